"""``nmfsep rerun``: the separation that a manifest is of once more."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import MismatchError
from ..settings.fields import MAX_ITER
from . import console, options


@click.command(
    "rerun", cls=options.Command, example="nmfsep rerun separated/song/song.nmfsep.json --check", page="batch"
)
@click.argument("path", metavar="MANIFEST", type=click.Path())
@options.flag("--check", help="Write nothing, only compare; exit 4 if bytes differ.", variable=False)
@options.without_bar
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, check: bool, **values: Any) -> int:
    """Separate again what MANIFEST is of, with the same options, and say what comes out otherwise.

    MANIFEST is the .nmfsep.json file that split or render wrote, or the folder with it. New stems replace the old ones.
    Named are the files whose bytes are others than before, and the versions that differ. The sound must have the bytes
    that it had.
    """
    options.one_thread_of_blas()
    from ..results.rerun import rerun

    quiet = values["quiet"]
    bar = console.progress_bar(os.path.basename(path), MAX_ITER, not (quiet or values["no_progress"]))
    with bar as progress:
        found = rerun(path, check, progress)
    if not quiet:
        console.say("again: " + " ".join(map(console.quote, found.command)))
        for name, (was, now) in found.versions.items():
            console.say(f"{name} was {was}, now {now}")
    for name, what in found.differences.items():
        console.say(f"{console.quote(name)}: {what}")
    if values["as_json"]:
        console.print_document(path, found.document())
    elif not quiet and check:
        count = len(found.manifest["stems"])
        console.print_text(
            f"{console.quote(path)}: {'differs' if found.differences else f'{count} stems, same bytes'}\n"
        )
    return MismatchError.exit_code if check and found.differences else 0
