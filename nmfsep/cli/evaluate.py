"""``nmfsep evaluate``: how near stems come to the true ones."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import InputError, UsageError
from ..registry import MASKS
from ..settings import EvaluationSettings, Settings
from . import console
from .options import Command, max_memory, option, options, reporting, settings_of
from .tables import evaluation_csv, evaluation_table

ORACLE = ("n_fft", "hop_length", "window", "mask", "mask_power")  # of the ideal masks


@click.command(
    "evaluate",
    cls=Command,
    epilog="Example: nmfsep evaluate stems separated/song\n\nMore on every option and value: nmfsep manual evaluate",
)
@click.argument("references", nargs=-1, required=True, metavar="REF...", type=click.Path())
@click.argument("estimate", metavar="EST", type=click.Path())
@option(
    "--mixture",
    section="Evaluation",
    type=click.Path(),
    metavar="FILE",
    help="What gains are measured from; the sum of the true stems if not given.",
)
@options(EvaluationSettings)
@options(Settings, ORACLE, mask={"names": MASKS})
@option("--csv", "as_csv", is_flag=True, help="Print one CSV table instead.")
@max_memory
@reporting
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
    """
    if values["as_csv"] and values["as_json"]:
        raise UsageError("--csv and --json contradict each other")
    settings, oracle = settings_of(ctx, EvaluationSettings), settings_of(ctx, Settings, ORACLE)
    for name in ORACLE:
        if name in oracle.given and not settings.oracle:
            raise UsageError(f"--{name.replace('_', '-')} is for --oracle only", "add --oracle, or leave it out")
    from ..analysis.evaluate import evaluate
    from ..jobs.inputs import stem_files
    from ..jobs.safety import require_readable

    paths, estimate = [os.fsdecode(path) for path in references], os.fsdecode(estimate)
    track = None if mixture is None else os.fsdecode(mixture)
    if [*paths, estimate, track].count("-") > 1:
        raise UsageError("standard input can be read only once")
    if track is not None:
        require_readable(track)
    try:
        stems, estimates = stem_files(paths, track), stem_files([estimate], track)
        found = evaluate(stems, estimates, track, settings, oracle if settings.oracle else None, values["limit"])
    except MemoryError as error:
        raise InputError("memory does not suffice", "use a smaller --filter-length") from error
    for warning in [] if values["quiet"] else found.warnings:
        console.say(f"warning: {console.plain(warning)}")
    if values["as_json"]:
        console.print_json(found.document())
    else:
        text = evaluation_csv(found) if values["as_csv"] else evaluation_table(found)
        console.print_bytes(text.encode("utf-8", "backslashreplace"))
    return 0
