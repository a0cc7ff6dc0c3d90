"""``nmfsep inspect``: what is in a sound, in what was separated before, in a saved model, or in a dictionary."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..errors import InputError, NmfsepError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .findings import Finding, KnownTemplates, SoundFinding
from .inspect_model import SavedModel
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
    from ..separation.archive import Archive
    from ..separation.saved_file import LARGEST, SCHEMA

    with Archive(path, LARGEST) as file:
        return file.schema == SCHEMA


def _is_separation(path: str) -> bool:
    return (path != "-" and os.path.isdir(os.fsencode(path))) or _begins(path).lstrip().startswith(b"{")


def _dictionary(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse_all("a dictionary", values, path)
    from ..separation.dictionary import read

    return [KnownTemplates(path, read(path))]


def _model(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse_all("a saved model", values, path)
    from ..separation.saved_file import read

    return [SavedModel(path, read(path))]


def _separation(path: str, values: dict[str, Any]) -> list[Finding]:
    _refuse((*ANALYSIS, *STRETCH), "separated already", path)
    from ..inspection.separated import inspect_separated

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
    from ..inspection.sound import inspect_sound

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
    from ..plots.canvas import is_ours, require_plots
    from ..signal.publish import folder_is_writable

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
