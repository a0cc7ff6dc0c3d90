"""``nmfsep rank``: how many components a sound has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..settings import OutputSettings, Settings
from . import console, options
from .params import Whole

ANALYSIS = ("seed", "n_fft", "hop_length", "window", "threads")
EXCERPT = ("offset", "duration")
TRIED: dict[str, Any] = {"section": "Model", "type": Whole(2, 100), "show_default": True, "variable": False}


@click.command("rank", cls=options.Command, example="nmfsep rank song.wav", page="inspect")
@click.argument("path", metavar="INPUT", type=click.Path())
@options.option("--lowest", default=2, help="The least number to try.", **TRIED)
@options.option("--highest", default=10, help="The largest number to try.", **TRIED)
@options.from_settings(Settings, ANALYSIS)
@options.from_settings(OutputSettings, EXCERPT)
@options.option("--plot", section="Output", type=click.Path(path_type=Path), metavar="PNG", help="Draw the evidence.")
@options.from_settings(OutputSettings, ("force",))
@options.max_memory
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, lowest: int, highest: int, **values: Any) -> int:
    """Print how many components INPUT has: the table of the evidence, and the recommended number on the last line.

    INPUT, an audio file or - for standard input, is factorized several times with a little noise, for each number.
    Where all components come out again and again, the number is stable: the silhouette of the loosest is 0.5 or more
    (1 where all runs agree). The recommended number is the largest with 0.9 or more, or else with 0.5 or more; 1 if
    there is none. It counts spectra that recur, such as notes or drums; an instrument that plays several notes counts
    several times, and speech has no such number.
    """
    options.one_thread_of_blas()
    plot = values["plot"]
    options.require_input(path)
    if highest < lowest:
        raise UsageError(f"--highest {highest} is less than --lowest {lowest}")
    if plot is not None:
        from ..analysis.plots.canvas import require_drawable

        require_drawable(plot, path, values["force"])
    from ..analysis.inspect import draw_ranking
    from ..results.inspect import rank_sound

    settings = options.settings_of(ctx, Settings, ANALYSIS)
    excerpt = options.settings_of(ctx, OutputSettings, EXCERPT)
    with options.memory_hint("use --duration", path):
        found = rank_sound(path, settings, excerpt, range(lowest, highest + 1), values["limit"])
    if not values["quiet"]:
        console.warn(found.warnings, console.quote(path))
    if plot is not None:
        draw_ranking(found, plot)
    rows = [["components", "loosest", "mean", "unexplained", "stable"]]
    for row in found.evidence:
        figures = [f"{value:.2f}" for value in (row.loosest, row.mean, row.unexplained)]
        rows.append([str(row.components), *figures, "yes" if row.stable else "no"])
    table = f"{console.aligned(rows, ())}{found.recommended}\n"
    evidence = [row.document() for row in found.evidence]
    document = {"evidence": evidence, "recommended": found.recommended}
    console.print_result(path, document, table, values["as_json"])
    return 0
