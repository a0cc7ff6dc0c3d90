"""``nmfsep detect``: where in recordings the sounds of a dictionary are heard."""

from __future__ import annotations

from typing import Any

import click

from ..errors import UsageError
from ..settings import DetectSettings
from . import console, options
from .reporter import collect_inputs


@click.command(
    "detect",
    cls=options.Command,
    common=("dictionaries", "threshold", "format", "out", "clips", "recursive", "count", "quiet"),
    example="nmfsep detect -m calls.npz night.wav",
    page="detect",
)
@click.argument("inputs", nargs=-1, required=False, metavar="INPUT...", type=click.Path())
@options.listed_names
@options.flag("-r", "--recursive", section="Input", help="Take all sounds in and below folders.")
@options.option(
    "-m", "--dictionary", "dictionaries", section="Input", required=True, multiple=True, metavar="FILE",
    type=click.Path(), help="Dictionary of the sounds to look for.",
)  # fmt: skip
@options.from_settings(DetectSettings)
@options.several_jobs
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **values: Any) -> int:
    """Print where in each INPUT the sounds of a dictionary are heard: a table of events, one a line.

    INPUT is an audio file of any length, - for standard input, or with -r a folder. An event has a label, begin and end
    in seconds, the lowest and highest frequency in Hz, a score from 0 to 1, and the level of its sound in dB of full
    scale. With --json there is one document in a line for each INPUT.
    """
    options.one_thread_of_blas()
    settings, quiet = options.settings_of(ctx, DetectSettings), values["quiet"]
    names = options.input_names(ctx, inputs, values["files_from"], values["null"])
    if len(names) > 1 and settings.format in ("raven", "audacity") and settings.out is None and not values["as_json"]:
        raise UsageError(f"--format {settings.format} is a table for each recording", "give a folder with -o")
    entries = collect_inputs(names, values["recursive"], quiet)
    from ..batch.events import detect_files
    from ..batch.tracks import no_report
    from ..detection.tables import TABLES

    report = no_report if quiet else console.report
    results = detect_files(
        entries, values["dictionaries"], settings,
        processes=values["count"], scheduler=values["scheduler"], report=report,
    )  # fmt: skip
    code, head = 0, True
    for path, found in results:
        console.warn([] if quiet else found.warnings, console.name_of(path))
        if found.error is not None:
            console.say(console.describe(found.error))
            code = max(code, found.error.exit_code)
        if values["as_json"]:
            events = [event.document() for event in found.events]
            error = {} if found.error is None else {"error": console.error_entry(found.error, path)}
            console.print_document(path, {"events": events} | error, "done" if found.error is None else "failed")
        elif found.error is None:
            text = TABLES[settings.format](path, found.events)
            if settings.format in ("tsv", "csv") and not head:
                text = text.partition("\n")[2]
            console.print_text(text)
            head = False
    return code
