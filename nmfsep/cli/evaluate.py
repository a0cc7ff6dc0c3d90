"""``nmfsep evaluate``: how near stems come to the true ones, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..registry import MASKS
from ..settings import EvaluationSettings, Settings
from . import console, options

if TYPE_CHECKING:
    from ..analysis.evaluate import Evaluation

ORACLE = ("n_fft", "hop_length", "window", "mask", "mask_power")  # of the ideal masks
FIGURES = {
    "si_sdr": "SI-SDR", "si_sdr_gain": "gain", "sdr": "SDR", "sdr_gain": "gain", "sir": "SIR", "sar": "SAR",
    "snr": "SNR", "oracle_si_sdr": "oracle SI-SDR", "oracle_sdr": "oracle SDR",
}  # fmt: skip
ALWAYS = ("si_sdr", "sdr", "sar", "snr")  # in the table, also where they are undefined


@click.command(
    "evaluate", cls=options.Command, example="nmfsep evaluate stems separated/song", page="evaluate"
)  # fmt: skip
@click.argument("references", nargs=-1, required=True, metavar="REF...", type=click.Path())
@click.argument("estimate", metavar="EST", type=click.Path())
@options.option(
    "--mixture", section="Evaluation", type=click.Path(), metavar="FILE",
    help="What gains are measured from; the sum of the true stems if not given.",
)  # fmt: skip
@options.from_settings(EvaluationSettings)
@options.flag("--events", section="Evaluation", help="REF and EST are tables of events: compare what is heard when.")
@options.from_settings(Settings, ORACLE, mask={"names": MASKS})
@options.flag("--csv", "as_csv", help="Print one CSV table instead.")
@options.max_memory
@options.reporting
@click.pass_context
def command(
    ctx: click.Context, /, references: tuple[str, ...], estimate: str, mixture: str | None, **values: Any
) -> int:
    """Compare separated stems with the true ones and print, in dB, how near they come.

    REF is a folder of true stems, or their files; EST is a folder of estimates, or one file. All have one sample rate,
    number of channels and length. Printed are SI-SDR; SDR, SIR and SAR of BSS Eval v3; SNR, the plain ratio of
    energies; what is gained over the mixture; and how much of each true stem is in each estimate: 0 dB if all of it is,
    -20 dB for a tenth of its amplitude. All channels are judged together. Figures stop at 100 dB; a - is undefined, as
    where a stem is silent.

    With --events both are tables of events in one recording, such as detect writes and people mark. Printed are
    precision, recall and F1 of each label and of all.
    """
    if values["as_csv"] and values["as_json"]:
        raise UsageError("--csv and --json contradict each other")
    settings, oracle = options.settings_of(ctx, EvaluationSettings), options.settings_of(ctx, Settings, ORACLE)
    for name in ORACLE:
        if name in oracle.given and not settings.oracle:
            raise UsageError(f"--{name.replace('_', '-')} is for --oracle only", "add --oracle, or leave it out")
    if values["events"]:
        return _compare(ctx, references, estimate, settings.tolerance, values["as_json"])
    if "tolerance" in settings.given:
        raise UsageError("--tolerance is for --events only", "add --events, or leave it out")
    from ..analysis.evaluate import evaluate
    from ..jobs.inputs import stem_files
    from ..jobs.safety import require_readable

    if [*references, estimate, mixture].count("-") > 1:
        raise UsageError("standard input can be read only once")
    if mixture is not None:
        require_readable(mixture)
    with options.memory_hint("use a smaller --filter-length"):
        stems, estimates = stem_files(references, mixture), stem_files([estimate], mixture)
        found = evaluate(stems, estimates, mixture, settings, oracle if settings.oracle else None, values["limit"])
    if not values["quiet"]:
        console.warn(found.warnings)
    about = found.document()
    console.print_result(estimate, about, csv_table(about) if values["as_csv"] else table(found), values["as_json"])
    return 0


def _compare(ctx: click.Context, references: tuple[str, ...], found: str, tolerance: float, as_json: bool) -> int:
    """Compare two tables of events, and print how many are the same."""
    other = sorted(options.explicit(ctx) & {"mixture", "match", "filter_length", "trim", "oracle", "as_csv"})
    if other:
        name = "csv" if other[0] == "as_csv" else other[0].replace("_", "-")
        raise UsageError(f"--{name} is about stems, --events about tables of events", "leave out one")
    if len(references) > 1:
        raise UsageError("--events compares two tables, the true one and the one found", "give each recording's apart")
    from ..detection.compare import Score, compare_events

    scores = compare_events(references[0], found, tolerance)
    whole = sum(scores.values(), Score())
    rows = [["label", "true", "found", "hits", "precision", "recall", "F1"]]
    for label, score in (*scores.items(), ("all", whole)):
        shares = ("-" if share is None else f"{share:.3f}" for share in (score.precision, score.recall, score.f1))
        rows.append([label, str(score.true), str(score.found), str(score.hits), *shares])
    labels = [{"label": label} | score.document() for label, score in scores.items()]
    about = {"tolerance": tolerance, "labels": labels, "all": whole.document()}
    console.print_result(found, about, console.aligned(rows, {0}), as_json)
    return 0


def table(found: Evaluation) -> str:
    """Return the figures of each true stem, and how much of each is in each estimate."""
    columns = [n for n in FIGURES if n in found.columns and (n in ALWAYS or not math.isnan(found.mean[n]))]
    rows = [["stem", "estimate", *(FIGURES[name] for name in columns)]]
    for row in found.rows:
        rows.append([row.stem, row.estimate or "-", *(_decibels(row.figures[name]) for name in columns)])
    if len(found.rows) > 1:
        rows.append(["mean", "", *(_decibels(found.mean[name]) for name in columns)])
    bleed = [["bleed", *found.stems]]
    for name, levels in zip(found.estimates, found.bleed.tolist(), strict=True):
        bleed.append([name, *map(_decibels, levels)])
    return f"{console.aligned(rows, {0, 1})}\n{console.aligned(bleed, {0})}"


def csv_table(about: dict[str, Any]) -> str:
    """Return the document as CSV: one row for each true stem, then one for each estimate left over."""
    stems = [row["stem"] for row in about["stems"]]
    figures = [name for name in about["stems"][0] if name not in ("stem", "estimate")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stem", "estimate", *figures, *(f"bleed of {_cell(stem)}" for stem in stems)])
    for row in [*about["stems"], *({"stem": "", "estimate": name} for name in about["left_over"])]:
        bleed = about["bleed"].get(row["estimate"], {})  # what there is none of is an empty cell
        numbers = [*map(row.get, figures), *map(bleed.get, stems)]
        writer.writerow([_cell(row["stem"]), _cell(row["estimate"] or ""), *numbers])
    return text.getvalue()


def _cell(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    text = console.plain(name)
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def _decibels(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"
