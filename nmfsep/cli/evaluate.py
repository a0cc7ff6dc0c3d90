"""``nmfsep evaluate``: how near stems come to the true ones."""

from __future__ import annotations

import csv
import io
import math
import os
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import InputError, UsageError
from ..registry import MASKS
from ..settings.commands import EvaluationSettings
from ..settings.separation import Settings
from . import console
from .console import aligned
from .options import GROUPS, Command, knobs, max_memory, reporting

if TYPE_CHECKING:
    from ..jobs.evaluate import Evaluation

GROUPS |= {"mixture": "Evaluation"}
ORACLE = ("n_fft", "hop_length", "window", "mask", "mask_power")  # what --oracle heeds
SHOWN = {
    "si_sdr": "SI-SDR",
    "si_sdr_gain": "gain",
    "sdr": "SDR",
    "sdr_gain": "gain",
    "sir": "SIR",
    "sar": "SAR",
    "snr": "SNR",
    "oracle_si_sdr": "oracle SI-SDR",
    "oracle_sdr": "oracle SDR",
}


@click.command("evaluate", cls=Command, epilog="Example: nmfsep evaluate stems separated/song")
@click.argument("references", nargs=-1, required=True, metavar="REF...", type=click.Path())
@click.argument("estimate", metavar="EST", type=click.Path())
@click.option(
    "--mixture",
    type=click.Path(),
    metavar="FILE",
    envvar="NMFSEP_MIXTURE",
    help="Tell what is gained over this file, and let --oracle take from it; the sum of the true stems if not given.",
)
@knobs(EvaluationSettings)
@knobs(Settings, ORACLE, mask={"names": MASKS})
@click.option("--csv", "as_csv", is_flag=True, envvar="NMFSEP_CSV", help="Print one CSV table instead.")
@max_memory
@reporting
def command(
    references: tuple[str, ...],
    estimate: str,
    mixture: str | None,
    as_csv: bool,
    limit: int | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Hold separated stems against the true ones and print, in dB, how near they come.

    REF is a folder of true stems, or their files; EST is a folder of estimates, or one file. All have one sample rate,
    number of channels and length. Printed are SI-SDR; SDR, SIR and SAR of BSS Eval v3; SNR, the plain ratio of
    energies; what is gained over the mixture; and how much of each true stem is in each estimate: 0 dB if all of it is,
    -20 dB for a tenth of its amplitude. All channels are judged together. Figures stop at 100 dB; a - is undefined, as
    where a stem is silent.
    """
    if as_csv and as_json:
        raise UsageError("--csv and --json contradict each other")
    settings = EvaluationSettings(**{name: values[name] for name in EvaluationSettings.__dataclass_fields__})
    if not settings.oracle:
        for name in ORACLE:
            if click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise UsageError(f"--{name.replace('_', '-')} is for --oracle only", "add --oracle, or leave it out")
    oracle = Settings(**{name: values[name] for name in ORACLE}) if settings.oracle else None
    from ..jobs.evaluate import document, evaluate, find
    from ..jobs.safety import require_readable

    paths = [os.fsdecode(path) for path in references]
    track = None if mixture is None else os.fsdecode(mixture)
    if [*paths, os.fsdecode(estimate), track].count("-") > 1:
        raise UsageError("standard input can be read only once")
    if track is not None:
        require_readable(track)
    try:
        found = evaluate(find(paths, track), find([os.fsdecode(estimate)], track), track, settings, oracle, limit)
    except MemoryError as error:
        raise InputError("memory does not suffice", "use a smaller --filter-length") from error
    if not quiet:
        for warning in found.warnings:
            console.say(f"warning: {console.plain(warning)}")
    if as_json:
        console.print_json(document(found))
    else:
        text = _csv(found) if as_csv else _tables(found)
        console.print_bytes(text.encode("utf-8", "backslashreplace"))
    return 0


def _tables(found: Evaluation) -> str:
    """Return the figures and the bleed, for people."""
    always = ("si_sdr", "sdr", "sar", "snr")
    columns = [n for n in SHOWN if n in found.columns and (n in always or not math.isnan(found.mean[n]))]
    rows = [["stem", "estimate", *(SHOWN[name] for name in columns)]]
    for row in found.rows:
        rows.append([row.stem, row.estimate or "-", *(_decibels(row.figures[name]) for name in columns)])
    if len(found.rows) > 1:
        rows.append(["mean", "", *(_decibels(found.mean[name]) for name in columns)])
    bleed = [["bleed", *found.stems]]
    for name, levels in zip(found.estimates, found.bleed.tolist(), strict=True):
        bleed.append([name, *map(_decibels, levels)])
    return f"{aligned(rows, {0, 1})}\n{aligned(bleed, {0})}"


def _csv(found: Evaluation) -> str:
    """Return one row for each true stem, then one for each estimate left over."""
    from ..jobs.evaluate import rounded

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stems = [f"bleed of {_cell(stem)}" for stem in found.stems]
    writer.writerow(["stem", "estimate", *found.columns, *stems])
    bleed = dict(zip(found.estimates, found.bleed.tolist(), strict=True))
    none = [math.nan] * len(stems)
    rows = [(row.stem, row.estimate, list(row.figures.values())) for row in found.rows]
    rows += [("", name, [math.nan] * len(found.columns)) for name in found.left_over]
    for stem, estimate, figures in rows:
        numbers = [*figures, *(none if estimate is None else bleed[estimate])]
        writer.writerow([_cell(stem), _cell(estimate or ""), *map(rounded, numbers)])  # None is an empty cell
    return text.getvalue()


def _cell(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    text = console.plain(name)
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def _decibels(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"
