"""``nmfsep learn``: isolated sounds into a dictionary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..settings import LearnSettings
from . import console, options


@click.command(
    "learn",
    cls=options.Command,
    common=("components", "out", "append", "count", "quiet"),
    example="nmfsep learn kick=kick.wav snare=snares/ -o kit.npz",
    page="dictionaries",
)
@click.argument("arguments", nargs=-1, required=False, metavar="NAME=FILE...", type=click.Path())
@options.listed_names
@options.option(
    "--labels", "labels_from", section="Input", metavar="FILE", type=click.Path(), variable=False,
    help="Learn what this track or table marks in recordings.",
)  # fmt: skip
@options.from_settings(LearnSettings)
@options.several_jobs
@options.option(
    "-o", "--out", section="Output", required=True, metavar="FILE", type=click.Path(path_type=Path), variable=False,
    help="Dictionary to write (.npz).",
)  # fmt: skip
@options.flag("--append", section="Output", variable=False, help="Add to the dictionary that is there.")
@options.flag("-f", "--force", section="Output", help="Replace a file that is no dictionary.")
@options.without_bar
@options.flag("-v", "--verbose", help="Print what was learned.")
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, arguments: tuple[str, ...], **values: Any) -> int:
    """Learn templates of each NAME from isolated sounds, for split -m.

    FILE is an audio file, a folder of them, or a quoted pattern such as 'kicks/*.wav'; a FILE without NAME= belongs to
    the name before, and a folder before any name is a label itself. FILE@T1-T2 is a stretch. With --labels recordings
    stand without names, and {track} in its name for the path of each without extension. Files of any rate and number of
    channels are converted; those that cannot be read are left out and named, and the exit code is 1. A dictionary that
    is there is replaced.
    """
    options.one_thread_of_blas()
    settings, quiet = options.settings_of(ctx, LearnSettings), values["quiet"]
    names = options.input_names(ctx, arguments, values["files_from"], values["null"])
    target = values["out"]
    from ..batch.corpus import learn_files
    from ..batch.tracks import no_report
    from ..kernels.select import slower
    from ..results.inspect import dictionary_document

    passed = {name: values[name] for name in ("labels_from", "append", "force", "scheduler")}
    report, shown = no_report if quiet else console.report, not (quiet or values["no_progress"])
    learned = learn_files(
        names, target, settings, processes=values["count"], report=report,
        progress=lambda steps: console.progress_bar("learn", steps, shown), **passed,
    )  # fmt: skip
    console.warn(slower())
    for error in learned.left_out:
        console.say(f"{console.describe(error)}; left out")
    if learned.lost and not quiet:
        gone = ", ".join(map(repr, learned.lost[:10]))
        console.say(f"{console.quote(target)}: replaced a dictionary that had {gone}, too; --append adds to one")
    for index, label in enumerate(learned.new.labels if values["verbose"] else ()):
        counts = " and ".join(map(str, learned.new.components(index)))
        strokes = len(learned.new.strokes[index]) if learned.new.strokes else 0
        console.say(f"{console.quote(label)}: {counts} templates of {learned.files[label]} files, {strokes} strokes")
    if values["as_json"]:
        failed = [console.error_entry(error) for error in learned.left_out]
        document = dictionary_document(str(target), learned.dictionary)
        console.print_document(str(target), document | ({"errors": failed} if failed else {}))
    else:
        console.print_paths([target])
    return InputError.exit_code if learned.left_out else 0
