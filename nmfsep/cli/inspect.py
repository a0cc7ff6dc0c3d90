"""``nmfsep inspect``: what is in a sound, in what was separated before, in a saved model, or in a dictionary."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.core import ParameterSource

from ..errors import InputError, NmfsepError, UsageError
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from . import console
from .console import aligned
from .options import (
    CLUSTERED,
    GROUPS,
    RACES,
    Command,
    given,
    knobs,
    max_memory,
    of_model,
    one_thread_of_blas,
    reporting,
    without_bar,
)

if TYPE_CHECKING:
    from ..guidance.dictionary import Dictionary
    from ..jobs.inspect import Inspection

SHOWN = 6  # onsets in the table


class Finding(Protocol):
    """One thing that was inspected."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""

    def table(self) -> str:
        """Return it as lines."""


class SoundFinding:
    """The components of a sound."""

    def __init__(self, inspection: Inspection, titled: bool = False) -> None:
        self.inspection, self.titled = inspection, titled
        self.warnings = inspection.warnings

    def document(self) -> dict[str, Any]:
        """Return the components as JSON."""
        return self.inspection.document()

    def table(self) -> str:
        """Return a line for each component."""
        rows = [["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]]
        for component in self.inspection.components:
            pitch = component.pitch
            note = [pitch.name, str(pitch.note), f"{pitch.cents:+}"] if pitch else ["-", "-", "-"]
            level = f"{10 * math.log10(component.share):.1f} dB" if component.share > 0 else "-"
            times = " ".join(f"{onset:.2f}" for onset in component.onsets[:SHOWN])
            more = " …" if len(component.onsets) > SHOWN else ""
            centroid = f"{component.centroid:.0f} Hz" if component.centroid > 0 else "-"
            rows.append([component.name, *note, level, centroid, str(len(component.onsets)), times + more])
        head = f"{console.plain(self.inspection.track)}\n" if self.titled else ""
        return head + aligned(rows, left={0, 1, 7})

    def draw(self, target: Path) -> None:
        """Write spectrogram, W, Z and masks."""
        from ..files.publish import Output, publish_one
        from ..jobs.inspect import picture

        with Output(target) as output:
            output.write(picture(self.inspection))
            publish_one(output)

    def sound(self, folder: Path, force: bool) -> None:
        """Write the sound of each template."""
        from ..jobs.inspect import write_auditions

        write_auditions(self.inspection, folder, force)


class KnownTemplates:
    """The labels of a dictionary."""

    warnings: tuple[str, ...] = ()

    def __init__(self, path: str, dictionary: Dictionary) -> None:
        self.path, self.dictionary = path, dictionary

    def document(self) -> dict[str, Any]:
        """Return what there is to say of a dictionary as JSON."""
        dictionary = self.dictionary
        return {
            "path": self.path,
            "kind": "dictionary",
            "sample_rate": dictionary.sample_rate,
            "channels": dictionary.channels,
            "divergence": dictionary.divergence,
            "views": [
                {
                    "n_fft": view.stft.n_fft,
                    "hop_length": view.stft.hop_length,
                    "window": view.stft.window,
                    "templates": view.W.shape[1] // view.delays,
                    "template_frames": view.delays,
                }
                for view in dictionary.views
            ],
            "labels": [
                {"label": label, "templates": list(dictionary.components(index)), "from": self._source(label)}
                for index, label in enumerate(dictionary.labels)
            ],
        }

    def _source(self, label: str) -> dict[str, Any] | None:
        return next((entry for entry in self.dictionary.provenance if entry.get("label") == label), None)

    def table(self) -> str:
        """Return a line for each label, below two about all."""
        about = self.document()
        views = about["views"]
        frames = " and ".join(f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in views)
        head = (
            f"dictionary of {_count(len(about['labels']))}, {about['sample_rate']} Hz, divergence "
            f"{about['divergence']}\nframes of {frames} samples\n\n"
        )
        lasting = max(view["template_frames"] for view in views)
        if lasting > 1:
            head = head.rstrip("\n") + f", templates of {lasting} frames\n\n"
        rows = [["label", "templates", "files", "seconds", "learned from"]]
        for entry in about["labels"]:
            source = entry["from"] or {}
            names = ", ".join(str(file.get("name")) for file in source.get("first", [])[:3])
            names += ", …" if source.get("files", 0) > 3 else ""
            counts = " ".join(map(str, entry["templates"]))
            files, seconds = str(source.get("files", "?")), str(source.get("seconds", "?"))
            rows.append([entry["label"], counts, files, seconds, names or "?"])
        return head + aligned(rows, left={0, 4})


def _count(labels: int) -> str:
    return "1 label" if labels == 1 else f"{labels} labels"


if TYPE_CHECKING:
    from ..separation.saved import Saved


class SavedModel:
    """A saved factorization."""

    warnings: tuple[str, ...] = ()  # those of its separation were told then, and are in the document

    def __init__(self, path: str, saved: Saved) -> None:
        self.path, self.saved = path, saved

    def document(self) -> dict[str, Any]:
        """Return what there is to say of it as JSON."""
        from dataclasses import asdict

        from ..separation.stem_groups import arrange

        saved = self.saved
        stems = arrange(saved.settings, saved.labels)
        owner = {member: name for name, members in zip(stems.names, stems.members, strict=False) for member in members}
        shares = saved.energy_shares()
        settings = saved.settings.values()
        del settings["threads"]
        return {
            "path": self.path,
            "kind": "model",
            "mixture": asdict(saved.mixture),
            "views": [
                {"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length, "window": each.stft.window}
                for each in saved.resolutions
            ],
            "settings": settings,
            "stems": list(stems.names),
            "components": [
                {
                    "number": index + 1,
                    "name": name,
                    "stem": owner[index],
                    "templates": [len(each.components.groups[index]) for each in saved.resolutions],
                    "energy_share": round(shares[index], 6),
                }
                for index, name in enumerate(saved.components)
            ],
            "guidance": list(saved.guidance),
            "fit": list(saved.fits),
            "warnings": list(saved.warnings),
            "versions": saved.versions,
        }

    def table(self) -> str:
        """Return a line for each component, below some about all."""
        about = self.document()
        mixture, settings = about["mixture"], about["settings"]
        rate, channels = mixture["sample_rate"], mixture["channels"]
        name = "standard input" if mixture["name"] == "-" else console.quote(mixture["name"])
        stretch = f"{mixture['length'] / rate:.3f} s from {mixture['offset'] / rate:.3f} s on"
        frames = " and ".join(
            f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in about["views"]
        )
        power = f", power {settings['mask_power']:g}" if settings["mask"] == "ratio" else ""
        solvers = ", ".join(dict.fromkeys(fit["solver"] for fit in about["fit"]))
        lines = [
            f"model of {name}: {stretch}, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}",
            f"frames of {frames} samples; channels {settings['channels']}",
            f"{_kind(settings)}, solver {solvers}, "
            f"{sum(fit['n_iter'] for fit in about['fit'])} iterations, seed {settings['seed']}; "
            f"made by nmfsep {about['versions'].get('nmfsep', '?')}",
            f"mask {settings['mask']}{power}; stems {', '.join(about['stems'])}",
            *(_cue(entry) for entry in about["guidance"]),
            "",
        ]
        rows = [("no.", "component", "stem", "templates", "energy")]
        rows += [
            (
                str(component["number"]),
                console.plain(component["name"]),
                console.plain(component["stem"]),
                " ".join(map(str, component["templates"])),
                f"{100 * component['energy_share']:.1f}%",
            )
            for component in about["components"]
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for number, component, stem, templates, energy in rows:
            left = f"{number:>{widths[0]}}  {component:<{widths[1]}}  {stem:<{widths[2]}}"
            lines.append(f"{left}  {templates:>{widths[3]}}  {energy:>{widths[4]}}")
        return "\n".join(console.plain(line) for line in lines) + "\n"


def _cue(entry: dict[str, Any]) -> str:
    """Return a line about something that was told beforehand."""
    if "stretches" in entry:
        spans = " and ".join(f"{begin:g} s to {end:g} s" for begin, end in entry["stretches"])
        return f"{entry['labels'][0]} learned from {spans}"
    what = "templates of" if entry["kind"] == "dictionary" else f"{entry['kind']}:"
    return f"{what} {console.quote(entry['path'])}"


def _kind(settings: dict[str, Any]) -> str:
    """Return what was fitted; the divergence is for others than nmf not always a matter of choice."""
    if settings["model"] == "nmf":
        return f"divergence {settings['divergence']}"
    levels = f", level {settings['level']} of {','.join(map(str, settings['levels']))}" if settings["levels"] else ""
    return f"model {settings['model']}{levels}"


GROUPS |= {"plot": "Output", "audition": "Output"}
ANALYSIS = (
    "model", "components", "levels", "level", "template_frames", "divergence", "solver", "start", "max_iter", "tol",
    "time_limit", "restarts", "sparsity", "smoothness", "seed", "n_fft", "hop_length", "window", "threads",
)  # fmt: skip
STRETCH = ("offset", "duration")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing to inspect.

    Attributes
    ----------
    claims : callable
        Whether a path is of this kind, by what is in it.
    find : callable
        Called with the path and all options, and a list for what fails where other things are found; returns these.
    """

    claims: Callable[[str], bool]
    find: Callable[[str, dict[str, Any]], list[Finding]]


def _begins(path: str) -> bytes:
    """Return the first bytes of a file; none of a pipe, which could be read only once."""
    if path == "-" or not os.path.isfile(os.fsencode(path)):
        return b""
    try:
        with open(os.fsencode(path), "rb") as file:
            return file.read(64)
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "check the name", path) from error


def _is_archive(path: str) -> bool:
    return _begins(path).startswith(b"PK")


def _is_model(path: str) -> bool:
    if not _is_archive(path):
        return False
    from ..files.npz import Archive
    from ..separation.model_file import LARGEST, SCHEMA

    with Archive(path, LARGEST) as file:
        return file.schema == SCHEMA


def _is_separation(path: str) -> bool:
    return (path != "-" and os.path.isdir(os.fsencode(path))) or _begins(path).lstrip().startswith(b"{")


def _dictionary(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse_all("a dictionary", values, path)
    from ..guidance.dictionary import read

    return [KnownTemplates(path, read(path))]


def _model(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse_all("a saved model", values, path)
    from ..separation.model_file import read

    return [SavedModel(path, read(path))]


def _separation(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse((*ANALYSIS, *STRETCH), "separated already", path)
    from ..jobs.inspect import inspect_separated

    found = inspect_separated(path, values["limit"], values["failed"])
    return [SoundFinding(inspection, titled=len(found) > 1) for inspection in found]


def _sound(path: str, values: dict[str, Any]) -> list[Finding]:
    context = click.get_current_context()
    try:
        settings = of_model(context, given(context, Settings) | {"atoms": 1}, "give -k")
    except UsageError as error:
        error.path = path
        raise
    stretch = OutputSettings(**{name: values[name] for name in STRETCH})
    from ..jobs.inspect import inspect_sound

    shown = not (values["quiet"] or values["no_progress"])
    with console.progress_bar(os.path.basename(path), settings.max_iter, shown) as progress:
        return [SoundFinding(inspect_sound(path, settings, stretch, values["limit"], progress))]


# What FILE can be, the first that claims it; what nothing else claims is taken for sound.
KINDS: dict[str, Kind] = {
    "model": Kind(_is_model, _model),
    "dictionary": Kind(_is_archive, _dictionary),  # which may have no schema, if a script saved it
    "separation": Kind(_is_separation, _separation),
    "sound": Kind(lambda _: True, _sound),
}


@click.command("inspect", cls=Command, epilog="Example: nmfsep inspect song.wav -k 4")
@click.argument("path", metavar="FILE", type=click.Path())
@knobs(
    Settings,
    ANALYSIS,
    components={"default": None, "show_default": False, "help": "Components to look for."},
    restarts=RACES,
    tol=CLUSTERED,
)
@knobs(OutputSettings, STRETCH)
@click.option(
    "--plot", type=click.Path(), metavar="PNG", envvar="NMFSEP_PLOT", help="Draw spectrogram, W, Z and masks."
)
@click.option(
    "--audition", type=click.Path(), metavar="DIR", envvar="NMFSEP_AUDITION", help="Write the sound of each template."
)
@click.option(
    "-f",
    "--force",
    is_flag=True,
    envvar="NMFSEP_FORCE",
    help="Replace files of another program, or made from another input.",
)
@max_memory
@without_bar
@reporting
def command(path: str, force: bool, **values: Any) -> int:
    """Tell of every component its pitch, onsets, energy and centroid, or what a file of nmfsep holds.

    FILE is an audio file, or - for standard input, which is factorized into -k components as split --atoms 1 does; a
    folder that split wrote to, or a manifest in it, of which the stems are described; a model that split --save-model
    wrote, of which the mixture, the settings and the components that render can group are; or a dictionary, of which
    the labels are.
    Pitches are the nearest note of equal temperament at A4 = 440 Hz, with its MIDI number; a - has no pitch. Energies
    are shares of all, in dB. The centroid is the mean frequency of the template.
    """
    one_thread_of_blas()
    path = os.fsdecode(path)
    plot, audition = values["plot"], values["audition"]
    if path != "-" and not os.path.exists(os.fsencode(path)):
        raise UsageError("no such file or directory", "check the name", path)
    require_absent(plot, path, force)
    kind = next(kind for kind in KINDS.values() if kind.claims(path))
    failed: list[NmfsepError] = []
    try:
        found = kind.find(path, values | {"failed": failed})
    except MemoryError as error:
        raise InputError("memory does not suffice", "use --duration", path) from error
    if plot is not None and len(found) > 1:
        raise UsageError(f"--plot draws one sound, and {len(found)} were found", "give one manifest", path)
    for finding in found:
        if plot is not None and isinstance(finding, SoundFinding):
            finding.draw(Path(os.fsdecode(plot)))
        if audition is not None and isinstance(finding, SoundFinding):
            finding.sound(Path(os.fsdecode(audition)), force)
        for warning in finding.warnings:
            if not values["quiet"]:
                console.say(f"{console.quote(path)}: warning: {console.plain(warning)}")
    if values["as_json"]:
        documents = [finding.document() for finding in found]
        console.print_json(documents[0] if len(documents) == 1 else documents)
    else:
        tables = "\n".join(finding.table() for finding in found)
        console.print_bytes(tables.encode("utf-8", "backslashreplace"))
    for fault in failed:
        console.say(console.describe(fault))
    return InputError.exit_code if failed else 0


def _refuse_all(what: str, values: dict[str, Any], path: str) -> None:
    """Refuse whatever means something for sound only."""
    _refuse((*ANALYSIS, *STRETCH), what, path)
    for name in ("plot", "audition"):
        if values[name] is not None:
            raise UsageError(f"--{name} is for sound, and this is {what}", "leave it out", path)


def _refuse(names: tuple[str, ...], what: str, path: str) -> None:
    """Refuse options that were given for what they mean nothing for."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "-k" if name == "components" else "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for sound, and this is {what}", "leave it out", path)


def require_absent(plot: str | None, path: str, force: bool) -> None:
    """Refuse to draw over an input, or over what nmfsep did not draw."""
    if plot is None:
        return
    from ..analysis.plots.canvas import is_ours, require_plots
    from ..files.publish import folder_is_writable

    require_plots()
    target = Path(os.fsdecode(plot))
    if os.path.isdir(target):
        raise UsageError("is a folder where a picture should go", "name a PNG file", target)
    if path != "-" and os.path.exists(target) and os.path.exists(path) and os.path.samefile(target, path):
        raise UsageError("is the input and would be overwritten", "choose another name", target)
    if os.path.lexists(target) and not force and not is_ours(target):
        raise UsageError("exists and was not drawn by nmfsep", "use --force to replace it", target)
    if not folder_is_writable(target.parent):
        raise UsageError("cannot be written to", "choose another folder", target.parent)
