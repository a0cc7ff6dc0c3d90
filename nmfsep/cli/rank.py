"""``nmfsep rank``: how many components a sound has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..errors import InputError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .options import Command, max_memory, one_thread_of_blas, option, options, reporting, settings_of
from .params import Whole
from .tables import ranking_table

ANALYSIS = ("seed", "n_fft", "hop_length", "window", "threads")
EXCERPT = ("offset", "duration")


@click.command(
    "rank",
    cls=Command,
    epilog="Example: nmfsep rank song.wav\n\nMore on every option and value: nmfsep manual inspect",
)
@click.argument("path", metavar="INPUT", type=click.Path())
@option(
    "--lowest",
    section="Model",
    type=Whole(2, 100),
    default=2,
    show_default=True,
    variable=False,
    help="The least number to try.",
)
@option(
    "--highest",
    section="Model",
    type=Whole(2, 100),
    default=10,
    show_default=True,
    variable=False,
    help="The largest number to try.",
)
@options(Settings, ANALYSIS)
@options(OutputSettings, EXCERPT)
@option("--plot", section="Output", type=click.Path(), metavar="PNG", help="Draw the evidence.")
@options(OutputSettings, ("force",))
@max_memory
@reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, lowest: int, highest: int, **values: Any) -> int:
    """Print how many components INPUT has: the table of the evidence, and the recommended number on the last line.

    INPUT, an audio file or - for standard input, is factorized several times with a little noise, for each number.
    Where all components come out again and again, the number is stable: the silhouette of the loosest is 0.5 or more
    (1 where all runs agree). The recommended number is the largest with 0.9 or more, or else with 0.5 or more; 1 if
    there is none. It counts spectra that recur, such as notes or drums; an instrument that plays several notes counts
    several times, and speech has no such number.
    """
    one_thread_of_blas()
    path = os.fsdecode(path)
    plot = values["plot"] and Path(os.fsdecode(values["plot"]))
    if path != "-" and not os.path.exists(os.fsencode(path)):
        raise UsageError("no such file or directory", "check the name", path)
    if highest < lowest:
        raise UsageError(f"--highest {highest} is less than --lowest {lowest}")
    if plot is not None:
        from ..analysis.plots.canvas import require_drawable

        require_drawable(plot, path, values["force"])
    from ..analysis.inspect import draw_ranking
    from ..jobs.inspect import rank_sound

    settings, excerpt = settings_of(ctx, Settings, ANALYSIS), settings_of(ctx, OutputSettings, EXCERPT)
    try:
        found = rank_sound(path, settings, excerpt, range(lowest, highest + 1), values["limit"])
    except MemoryError as error:
        raise InputError("memory does not suffice", "use --duration", path) from error
    for warning in [] if values["quiet"] else found.warnings:
        console.say(f"{console.quote(path)}: warning: {console.plain(warning)}")
    if plot is not None:
        draw_ranking(found, plot)
    if values["as_json"]:
        evidence = [row.document() for row in found.evidence]
        console.print_json({"input": path, "evidence": evidence, "recommended": found.recommended})
    else:
        console.print_bytes(ranking_table(found).encode())
    return 0
