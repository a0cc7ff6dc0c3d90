"""``nmfsep learn``: isolated sounds into a dictionary."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from ..settings import LearnSettings
from . import console
from .options import (
    Command,
    input_names,
    listed_names,
    one_thread_of_blas,
    option,
    options,
    reporting,
    settings_of,
    several_jobs,
    without_bar,
)


@click.command(
    "learn",
    cls=Command,
    common=("components", "out", "append", "count", "quiet"),
    epilog="Example: nmfsep learn kick=kick.wav snare=snares/ -o kit.npz\n\n"
    "More on every option and value: nmfsep manual dictionaries",
)
@click.argument("arguments", nargs=-1, required=False, metavar="NAME=FILE...", type=click.Path())
@listed_names
@options(LearnSettings)
@several_jobs
@option(
    "-o",
    "--out",
    section="Output",
    required=True,
    metavar="FILE",
    type=click.Path(),
    variable=False,
    help="Dictionary to write (.npz).",
)
@option("--append", section="Output", is_flag=True, variable=False, help="Add to the dictionary that is there.")
@option("-f", "--force", section="Output", is_flag=True, help="Replace a file that is no dictionary.")
@without_bar
@option("-v", "--verbose", is_flag=True, help="Print what was learned.")
@reporting
@click.pass_context
def command(ctx: click.Context, /, arguments: tuple[str, ...], **values: Any) -> int:
    """Learn templates of each NAME from isolated sounds, for split -m.

    FILE is an audio file, a folder of them, or a quoted pattern such as 'kicks/*.wav'; a FILE without NAME= belongs to
    the name before. Files of any rate and number of channels are converted; those that cannot be read are left out and
    named, and the exit code is 1. A dictionary that is there is replaced.
    """
    one_thread_of_blas()
    settings, quiet = settings_of(ctx, LearnSettings), values["quiet"]
    names, target = input_names(ctx, arguments, values["files_from"], values["null"]), Path(os.fsdecode(values["out"]))
    from ..jobs.contents import dictionary_document
    from ..jobs.corpus import learn_files
    from ..kernels.select import slower

    @contextlib.contextmanager
    def bar(steps: int) -> Iterator[Callable[[float], object] | None]:
        with console.progress_bar("learn", steps, not (quiet or values["no_progress"])) as advance:
            yield None if advance is None else lambda done: advance(done, 0.0)

    learned = learn_files(
        names,
        target,
        settings,
        append=values["append"],
        force=values["force"],
        processes=values["count"],
        scheduler=values["scheduler"],
        progress=bar,
        report=console.ignore if quiet else console.report,
    )
    for warning in slower():
        console.say(f"warning: {warning}")
    for error in learned.left_out:
        console.say(f"{console.describe(error)}; left out")
    if learned.lost and not quiet:
        gone = ", ".join(map(repr, learned.lost[:10]))
        console.say(f"{console.quote(target)}: replaced a dictionary that had {gone}, too; --append adds to one")
    for index, label in enumerate(learned.new.labels if values["verbose"] else ()):
        counts = " and ".join(map(str, learned.new.components(index)))
        strokes = len(learned.new.strokes[index]) if learned.new.strokes else 0
        console.say(f"{console.quote(label)}: {counts} templates, {strokes} strokes of {learned.files[label]} files")
    if values["as_json"]:
        failed = [{"path": os.fsdecode(error.path or ""), "message": str(error)} for error in learned.left_out]
        document = dictionary_document(str(target), learned.dictionary)
        console.print_json(document | ({"errors": failed} if failed else {}))
    else:
        console.print_paths([target])
    return InputError.exit_code if learned.left_out else 0
