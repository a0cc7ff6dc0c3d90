"""``nmfsep inspect``: what is in a sound, in what was separated before, in a saved model, or in a dictionary."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, UsageError
from ..settings import OutputSettings, Settings
from . import console, tables
from .options import (
    OF_MODELS,
    Command,
    blind_settings,
    explicit,
    given,
    max_memory,
    one_thread_of_blas,
    option,
    options,
    reporting,
    settings_of,
    without_bar,
)

if TYPE_CHECKING:
    from ..analysis.inspect import Inspection

ANALYSIS = (
    "model", "components", "levels", "level", "template_frames", "divergence", "solver", "start", "max_iter", "tol",
    "time_limit", "restarts", "sparsity", "smoothness", "seed", "n_fft", "hop_length", "window", "threads",
)  # fmt: skip
EXCERPT = ("offset", "duration")
PICTURES = ("plot", "audition")


@click.command(
    "inspect",
    cls=Command,
    epilog="Example: nmfsep inspect song.wav -k 4\n\nMore on every option and value: nmfsep manual inspect",
)
@click.argument("path", metavar="FILE", type=click.Path())
@options(
    Settings,
    ANALYSIS,
    components={"default": None, "show_default": False, "help": "Components to look for."},
    **OF_MODELS,
)
@options(OutputSettings, EXCERPT)
@option("--plot", section="Output", type=click.Path(), metavar="PNG", help="Draw spectrogram, W, Z and masks.")
@option("--audition", section="Output", type=click.Path(), metavar="DIR", help="Write the sound of each template.")
@options(OutputSettings, ("force",))
@max_memory
@without_bar
@reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, **values: Any) -> int:
    """Describe what is in FILE: the pitch, onsets, energy and centroid of every component or stem.

    FILE is an audio file, or - for standard input, which is factorized into -k components as by split --atoms 1; a
    folder of stems, or the manifest in it; a model of split --save-model; or a dictionary.
    Pitches are the nearest notes at A4 = 440 Hz; a - has no pitch. Energies are shares of all, in dB. The centroid is
    the mean frequency of the template.
    """
    one_thread_of_blas()
    path = os.fsdecode(path)
    plot, audition = (values[name] and Path(os.fsdecode(values[name])) for name in PICTURES)
    if path != "-" and not os.path.exists(os.fsencode(path)):
        raise UsageError("no such file or directory", "check the name", path)
    if plot is not None:
        from ..analysis.plots.canvas import require_drawable

        require_drawable(plot, path, values["force"])
    from ..jobs.contents import kind_of

    kind, failed = kind_of(path), list[NmfsepError]()
    if kind in ("model", "dictionary"):
        return _print_archive(ctx, path, kind)
    try:
        found = _stems(ctx, path, failed) if kind == "separation" else [_sound(ctx, path)]
    except MemoryError as error:
        raise InputError("memory does not suffice", "use --duration", path) from error
    if plot is not None and len(found) > 1:
        raise UsageError(f"--plot draws one sound, and {len(found)} were found", "give one manifest", path)
    for each in found:
        if plot is not None:
            from ..analysis.inspect import draw_inspection

            draw_inspection(each, plot)
        if audition is not None:
            from ..jobs.inspect import write_auditions

            write_auditions(each, audition, values["force"])
        for warning in [] if values["quiet"] else each.warnings:
            console.say(f"{console.quote(path)}: warning: {console.plain(warning)}")
    documents = [each.document() for each in found]
    table = "\n".join(tables.components_table(each, titled=len(found) > 1) for each in found)
    _print(documents[0] if len(documents) == 1 else documents, table, values["as_json"])
    for fault in failed:
        console.say(console.describe(fault))
    return InputError.exit_code if failed else 0


def _sound(ctx: click.Context, path: str) -> Inspection:
    try:
        settings = blind_settings(ctx, given(ctx, Settings) | {"atoms": 1}, "give -k")
    except UsageError as error:
        error.path = path
        raise
    from ..jobs.inspect import inspect_sound

    excerpt, shown = settings_of(ctx, OutputSettings, EXCERPT), not (ctx.params["quiet"] or ctx.params["no_progress"])
    with console.progress_bar(os.path.basename(path), settings.max_iter, shown) as progress:
        return inspect_sound(path, settings, excerpt, ctx.params["limit"], progress)


def _stems(ctx: click.Context, path: str, failed: list[NmfsepError]) -> list[Inspection]:
    _refuse(ctx, (*ANALYSIS, *EXCERPT), "separated already", path)
    from ..jobs.inspect import inspect_separated

    return inspect_separated(path, ctx.params["limit"], failed)


def _print_archive(ctx: click.Context, path: str, kind: str) -> int:
    """Print what a saved model or a dictionary holds."""
    _refuse(ctx, (*ANALYSIS, *EXCERPT, *PICTURES), "a dictionary" if kind == "dictionary" else "a saved model", path)
    from ..guidance import dictionary
    from ..jobs.contents import dictionary_document, model_document
    from ..separation import saved as saved_file

    if kind == "dictionary":
        about = dictionary_document(path, dictionary.read(path))
        table = tables.dictionary_table(about)
    else:
        about = model_document(path, saved_file.read(path))
        table = tables.model_table(about)
    _print(about, table, ctx.params["as_json"])
    return 0


def _print(document: Any, table: str, as_json: bool) -> None:
    if as_json:
        console.print_json(document)
    else:
        console.print_bytes(table.encode("utf-8", "backslashreplace"))


def _refuse(ctx: click.Context, names: Collection[str], what: str, path: str) -> None:
    """Refuse options that mean something for sound only; of a picture, also where a variable gives it."""
    for name in names:
        if name in explicit(ctx) or (name in PICTURES and ctx.params[name] is not None):
            flag = "-k" if name == "components" else "--" + name.replace("_", "-")
            raise UsageError(f"{flag} is for sound, and this is {what}", "leave it out", path)
