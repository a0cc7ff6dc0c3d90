"""``nmfsep inspect``: what is in a sound, or in what was separated before."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import InputError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .options import Command, knobs, max_memory, one_blas_thread, progressing, reporting
from .table import aligned

if TYPE_CHECKING:
    from ..inspection.report import Inspection

ANALYSIS = (
    "components", "divergence", "solver", "start", "max_iter", "tol", "time_limit", "restarts", "sparsity",
    "smoothness", "seed", "n_fft", "hop_length", "window", "threads",
)  # fmt: skip
STRETCH = ("offset", "duration")
SHOWN = 6  # onsets in the table


def _sound(path: str, values: dict[str, Any]) -> list[Inspection]:
    if values["components"] is None:
        raise UsageError("the number of components is missing", "give it with -k", path)
    settings = Settings(**{name: values[name] for name in ANALYSIS})
    stretch = OutputSettings(**{name: values[name] for name in STRETCH})
    from ..inspection.sound import inspect_sound

    shown = not (values["quiet"] or values["no_progress"])
    with console.progress_bar(os.path.basename(path), settings.max_iter, shown) as progress:
        return [inspect_sound(path, settings, stretch, values["limit"], progress)]


def _separation(path: str, values: dict[str, Any]) -> list[Inspection]:
    context = click.get_current_context()
    for name in (*ANALYSIS, *STRETCH):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "-k" if name == "components" else "--" + name.replace("_", "-")
            raise UsageError(f"{option} is for sound, and this was separated before", "leave it out", path)
    if not os.path.exists(os.fsencode(path)):
        raise UsageError("no such file or directory", "check the name", path)
    from ..inspection.separated import inspect_separated

    return inspect_separated(path, values["limit"])


# What FILE can be -> what inspects it, called with the path and all options.
KINDS: dict[str, Callable[[str, dict[str, Any]], list[Inspection]]] = {"sound": _sound, "separation": _separation}


def kind_of(path: str) -> str:
    """Return the name in KINDS of what a path is; what is nothing else is taken for sound."""
    if path != "-" and (os.path.isdir(os.fsencode(path)) or path.endswith(".json")):
        return "separation"
    return "sound"


@click.command("inspect", cls=Command, epilog="Example: nmfsep inspect song.wav -k 4")
@click.argument("path", metavar="FILE", type=click.Path())
@knobs(Settings, ANALYSIS, components={"default": None, "show_default": False, "help": "Components to look for."})
@knobs(OutputSettings, STRETCH)
@click.option(
    "--plot", type=click.Path(), metavar="PNG", envvar="NMFSEP_PLOT", help="Draw spectrogram, W, Z and masks."
)
@click.option(
    "--audition", type=click.Path(), metavar="DIR", envvar="NMFSEP_AUDITION", help="Write the sound of each template."
)
@click.option("-f", "--force", is_flag=True, envvar="NMFSEP_FORCE", help="Replace files that another program wrote.")
@max_memory
@progressing
@reporting
def command(path: str, plot: str | None, audition: str | None, force: bool, **values: Any) -> int:
    """Tell of every component its pitch, onsets, energy and centroid.

    FILE is an audio file, or - for standard input, which is factorized into -k components as split does; or a folder
    that split wrote to, or a manifest in it, of which the stems are described. Pitches are the nearest note of equal
    temperament at A4 = 440 Hz, with its MIDI number; a - has no pitch. Energies are shares of all, in dB. The centroid
    is the mean frequency of the template.
    """
    one_blas_thread()
    path = os.fsdecode(path)
    _require_absent(plot, path, force)
    try:
        found = KINDS[kind_of(path)](path, values)
    except MemoryError as error:
        raise InputError("memory does not suffice", "use --duration", path) from error
    if plot is not None and len(found) > 1:
        raise UsageError(f"--plot draws one sound, and {len(found)} were found", "give one manifest", path)
    written = []
    if plot is not None:
        from ..inspection.picture import picture
        from ..signal.publish import publish_alone

        publish_alone(Path(os.fsdecode(plot)), picture(found[0]))
    if audition is not None:
        from ..inspection.audition import write_auditions

        for inspection in found:
            written += write_auditions(inspection, Path(os.fsdecode(audition)), force)
    for warning in (warning for inspection in found for warning in inspection.warnings):
        if not values["quiet"]:
            console.say(f"{console.quote(path)}: warning: {console.plain(warning)}")
    if values["as_json"]:
        documents = [inspection.document() for inspection in found]
        console.print_json(documents[0] if len(documents) == 1 else documents)
    else:
        tables = "\n".join(_table(inspection, len(found) > 1) for inspection in found)
        console.print_bytes(tables.encode("utf-8", "backslashreplace"))
    return 0


def _require_absent(plot: str | None, path: str, force: bool) -> None:
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


def _table(found: Inspection, titled: bool) -> str:
    """Return the components as lines."""
    rows = [["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]]
    for component in found.components:
        pitch = component.pitch
        note = [pitch.name, str(pitch.note), f"{pitch.cents:+}"] if pitch else ["-", "-", "-"]
        level = f"{10 * math.log10(component.share):.1f} dB" if component.share > 0 else "-"
        times = " ".join(f"{onset:.2f}" for onset in component.onsets[:SHOWN])
        more = " …" if len(component.onsets) > SHOWN else ""
        centroid = f"{component.centroid:.0f} Hz" if component.centroid > 0 else "-"
        rows.append([component.name, *note, level, centroid, str(len(component.onsets)), times + more])
    head = f"{console.plain(found.track)}\n" if titled else ""
    return head + aligned(rows, left={0, 1, 7})
