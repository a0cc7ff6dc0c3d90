"""``nmfsep rank``: how many components a sound has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..errors import InputError, UsageError
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from . import console
from .console import aligned
from .inspect import require_absent
from .options import GROUPS, Command, knobs, max_memory, one_thread_of_blas, reporting
from .params import Whole

GROUPS |= {"plot": "Output", "lowest": "Model", "highest": "Model"}
ANALYSIS = ("seed", "n_fft", "hop_length", "window", "threads")
STRETCH = ("offset", "duration")


@click.command("rank", cls=Command, epilog="Example: nmfsep rank song.wav")
@click.argument("path", metavar="INPUT", type=click.Path())
@click.option("--lowest", type=Whole(2, 100), default=2, show_default=True, help="The least number to try.")
@click.option("--highest", type=Whole(2, 100), default=10, show_default=True, help="The largest number to try.")
@knobs(Settings, ANALYSIS)
@knobs(OutputSettings, STRETCH)
@click.option("--plot", type=click.Path(), metavar="PNG", envvar="NMFSEP_PLOT", help="Draw the evidence.")
@click.option("-f", "--force", is_flag=True, envvar="NMFSEP_FORCE", help="Replace files that another program wrote.")
@max_memory
@reporting
def command(path: str, lowest: int, highest: int, force: bool, **values: Any) -> int:
    """Tell how many components INPUT has: the table of the evidence, and the recommended number on the last line.

    INPUT, an audio file or - for standard input, is factorized several times with a little noise, for each number.
    Where all components come out again and again, the number is stable: the silhouette of the loosest is 0.5 or more
    (1 where all runs agree). The recommended number is the largest with 0.9 or more, or else with 0.5 or more; 1 if
    there is none. It counts spectra
    that recur, such as notes or drums; an instrument that plays several notes counts several times, and speech has no
    such number.
    """
    one_thread_of_blas()
    path = os.fsdecode(path)
    if path != "-" and not os.path.exists(os.fsencode(path)):
        raise UsageError("no such file or directory", "check the name", path)
    if highest < lowest:
        raise UsageError(f"--highest {highest} is less than --lowest {lowest}")
    require_absent(values["plot"], path, force)
    from ..jobs.inspect import rank_sound

    settings = Settings(**{name: values[name] for name in ANALYSIS})
    stretch = OutputSettings(**{name: values[name] for name in STRETCH})
    try:
        found = rank_sound(path, settings, stretch, range(lowest, highest + 1), values["limit"])
    except MemoryError as error:
        raise InputError("memory does not suffice", "use --duration", path) from error
    if not values["quiet"]:
        for warning in found.warnings:
            console.say(f"{console.quote(path)}: warning: {console.plain(warning)}")
    if values["plot"] is not None:
        _draw(found, Path(os.fsdecode(values["plot"])))
    if values["as_json"]:
        evidence = [row.document() for row in found.evidence]
        console.print_json({"input": path, "evidence": evidence, "recommended": found.recommended})
        return 0
    rows = [["components", "loosest", "mean", "unexplained", "stable"]]
    for row in found.evidence:
        figures = [f"{value:.2f}" for value in (row.loosest, row.mean, row.unexplained)]
        rows.append([str(row.components), *figures, "yes" if row.stable else "no"])
    console.print_bytes(f"{aligned(rows, ())}{found.recommended}\n".encode())
    return 0


def _draw(found: Any, target: Path) -> None:
    from ..analysis.plots.matrix import stability_picture
    from ..files.publish import Output, publish_one
    from ..grouping.rank import STABLE

    rows = found.evidence
    png = stability_picture(
        f"{found.track}: how stable its components are",
        [row.components for row in rows],
        [row.loosest for row in rows],
        [row.mean for row in rows],
        [row.unexplained for row in rows],
        STABLE,
        found.recommended,
    )
    with Output(target) as output:
        output.write(png)
        publish_one(output)
