"""``nmfsep inspect``: what is in a sound, in what was separated before, in a saved model, or in a dictionary."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, UsageError
from ..settings import OutputSettings, Settings
from . import console, options

if TYPE_CHECKING:
    from ..analysis.inspect import Inspection

ANALYSIS = (
    "model", "components", "levels", "level", "template_frames", "divergence", "solver", "start", "max_iter", "tol",
    "time_limit", "restarts", "sparsity", "smoothness", "seed", "n_fft", "hop_length", "window", "threads",
)  # fmt: skip
EXCERPT = ("offset", "duration")
PICTURES = ("plot", "audition")
KINDS = {"separation": "separated already", "model": "a saved model", "dictionary": "a dictionary"}
COUNT = {"default": None, "show_default": False, "help": "Components to look for."}
PATH = click.Path(path_type=Path)
ONSETS = 6  # in a table


@click.command("inspect", cls=options.Command, example="nmfsep inspect song.wav -k 4", page="inspect")
@click.argument("path", metavar="FILE", type=click.Path())
@options.from_settings(Settings, ANALYSIS, components=COUNT, **options.OF_MODELS)
@options.from_settings(OutputSettings, EXCERPT)
@options.option("--plot", section="Output", type=PATH, metavar="PNG", help="Draw spectrogram, W, Z and masks.")
@options.option("--audition", section="Output", type=PATH, metavar="DIR", help="Write the sound of each template.")
@options.from_settings(OutputSettings, ("force",))
@options.max_memory
@options.without_bar
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, **values: Any) -> int:
    """Describe what is in FILE: the pitch, onsets, energy and centroid of every component or stem.

    FILE is an audio file, or - for standard input, which is factorized into -k components as by split --atoms 1; a
    folder of stems, or the manifest in it; a model of split --save-model; or a dictionary.
    Pitches are the nearest notes at A4 = 440 Hz; a - has no pitch. Energies are shares of all, in dB. The centroid is
    the mean frequency of the template.
    """
    options.one_thread_of_blas()
    plot, audition = values["plot"], values["audition"]
    options.require_input(path)
    if plot is not None:
        from ..analysis.inspect import draw_inspection
        from ..analysis.plots.canvas import require_drawable

        require_drawable(plot, path, values["force"])
    from ..results.inspect import kind_of

    kind, failed = kind_of(path), list[NmfsepError]()
    if kind != "sound":
        _refuse(ctx, (*ANALYSIS, *EXCERPT, *(() if kind == "separation" else PICTURES)), kind, path)
    if kind in ("model", "dictionary"):
        console.print_result(path, *_archive(path, kind), values["as_json"])
        return 0
    from ..results.inspect import inspect_separated, write_auditions

    with options.memory_hint("use --duration", path):
        found = [_sound(ctx, path)] if kind == "sound" else inspect_separated(path, values["limit"], failed)
    if plot is not None and len(found) > 1:
        raise UsageError(f"--plot draws one sound, and {len(found)} were found", "give one manifest", path)
    for each in found:
        if plot is not None:
            draw_inspection(each, plot)
        if audition is not None:
            write_auditions(each, audition, values["force"])
        if not values["quiet"]:
            console.warn(each.warnings, console.quote(path))
        gap = "\n" if each is not found[0] else ""
        table = gap + components_table(each, titled=len(found) > 1)
        console.print_result(each.path, each.document(), table, values["as_json"])
    for fault in failed:
        console.say(console.describe(fault))
        if values["as_json"]:
            console.print_document(os.fsdecode(fault.path or path), {"errors": [console.error_entry(fault)]}, "failed")
    return InputError.exit_code if failed else 0


def _sound(ctx: click.Context, path: str) -> Inspection:
    try:
        settings = options.blind_settings(ctx, options.given(ctx, Settings) | {"atoms": 1}, "give -k 4")
    except UsageError as error:
        error.path = path
        raise
    from ..results.inspect import inspect_sound

    excerpt = options.settings_of(ctx, OutputSettings, EXCERPT)
    shown = not (ctx.params["quiet"] or ctx.params["no_progress"])
    with console.progress_bar(os.path.basename(path), settings.max_iter, shown) as progress:
        return inspect_sound(path, settings, excerpt, ctx.params["limit"], progress)


def _archive(path: str, kind: str) -> tuple[dict[str, Any], str]:
    """Return what a saved model or a dictionary holds, as a document and as a table."""
    from ..guidance import dictionary
    from ..results.inspect import dictionary_document, model_document
    from ..separation import saved

    if kind == "dictionary":
        about = dictionary_document(path, dictionary.read(path))
        return about, dictionary_table(about)
    about = model_document(path, saved.read(path))
    return about, model_table(about)


def _refuse(ctx: click.Context, names: Collection[str], kind: str, path: str) -> None:
    """Refuse options that mean something for sound only; of a picture, also where a variable gives it."""
    for name in names:
        if name in options.explicit(ctx) or (name in PICTURES and ctx.params[name] is not None):
            flag = "-k" if name == "components" else "--" + name.replace("_", "-")
            raise UsageError(f"{flag} is for sound, and this is {KINDS[kind]}", "leave it out", path)


def components_table(found: Inspection, titled: bool) -> str:
    """Return a line for each component of a sound, below its name if `titled`."""
    rows = [["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]]
    for component in found.components:
        pitch = component.pitch
        note = [pitch.name, str(pitch.note), f"{pitch.cents:+}"] if pitch else ["-", "-", "-"]
        level = f"{10 * math.log10(component.share):.1f} dB" if component.share > 0 else "-"
        times = " ".join(f"{onset:.2f}" for onset in component.onsets[:ONSETS])
        more = " …" if len(component.onsets) > ONSETS else ""
        centroid = f"{component.centroid:.0f} Hz" if component.centroid > 0 else "-"
        rows.append([component.name, *note, level, centroid, str(len(component.onsets)), times + more])
    head = f"{console.plain(found.track)}\n" if titled else ""
    return head + console.aligned(rows, left={0, 1, 7})


def dictionary_table(about: dict[str, Any]) -> str:
    """Return a line for each label of a dictionary, below two about all."""
    views, labels = about["views"], len(about["labels"])
    lasting = max(view["template_frames"] for view in views)
    head = (
        f"dictionary of {labels} label{'s' if labels != 1 else ''}, {about['sample_rate']} Hz, divergence "
        f"{about['divergence']}\nframes of {_frames(views)} samples"
        f"{f', templates of {lasting} frames' if lasting > 1 else ''}"
    )
    rows = [["label", "templates", "files", "seconds", "learned from"]]
    for entry in about["labels"]:
        source = entry["from"] or {}
        names = ", ".join(str(file.get("name")) for file in source.get("first", [])[:3])
        names += ", …" if source.get("files", 0) > 3 else ""
        counts = " ".join(map(str, entry["templates"]))
        files, seconds = str(source.get("files", "?")), str(source.get("seconds", "?"))
        rows.append([entry["label"], counts, files, seconds, names or "?"])
    return f"{head}\n\n{console.aligned(rows, left={0, 4})}"


def model_table(about: dict[str, Any]) -> str:
    """Return a line for each component of a saved model, below some about all."""
    mixture, settings = about["mixture"], about["settings"]
    rate, channels = mixture["sample_rate"], mixture["channels"]
    power = f", power {settings['mask_power']:g}" if settings["mask"] == "ratio" else ""
    solvers = ", ".join(dict.fromkeys(fit["solver"] for fit in about["fit"]))
    levels = f", level {settings['level']} of {','.join(map(str, settings['levels']))}" if settings["levels"] else ""
    # only of nmf is the divergence always a matter of choice
    nmf = settings["model"] == "nmf"
    model = f"divergence {settings['divergence']}" if nmf else f"model {settings['model']}{levels}"
    lines = [
        f"model of {console.name_of(mixture['name'])}: {mixture['length'] / rate:.3f} s from "
        f"{mixture['offset'] / rate:.3f} s on, {rate} Hz, {channels} channel{'s' if channels > 1 else ''}",
        f"frames of {_frames(about['views'])} samples; channels {settings['channels']}",
        f"{model}, solver {solvers}, {sum(fit['n_iter'] for fit in about['fit'])} iterations, seed {settings['seed']}; "
        f"made by nmfsep {about['versions'].get('nmfsep', '?')}",
        f"mask {settings['mask']}{power}; stems {', '.join(about['stems'])}",
        *map(_cue_line, about["guidance"]),
        "",
    ]
    rows = [["no.", "component", "stem", "templates", "energy"]]
    for component in about["components"]:
        templates, share = " ".join(map(str, component["templates"])), f"{100 * component['energy_share']:.1f}%"
        rows.append([str(component["number"]), component["name"], component["stem"], templates, share])
    return "".join(f"{console.plain(line)}\n" for line in lines) + console.aligned(rows, left={1, 2})


def _frames(views: Sequence[dict[str, Any]]) -> str:
    return " and ".join(f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in views)


def _cue_line(entry: dict[str, Any]) -> str:
    if "stretches" in entry:
        spans = " and ".join(f"{begin:g} s to {end:g} s" for begin, end in entry["stretches"])
        return f"{entry['labels'][0]} learned from {spans}"
    what = "templates of" if entry["kind"] == "dictionary" else f"{entry['kind']}:"
    return f"{what} {console.quote(entry['path'])}"
