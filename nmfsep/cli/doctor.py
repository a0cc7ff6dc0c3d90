"""``nmfsep doctor``: what there is to work with."""

from __future__ import annotations

import click

from . import console, options


@click.command("doctor", cls=options.Command, example="nmfsep doctor", page="start")
@options.flag("--json", "as_json", help="Print a JSON document in one line instead.")
@options.flag("--debug", variable=False, help="Show the traceback of a bug.")
def command(as_json: bool, debug: bool) -> int:
    """Print versions, BLAS, codecs, extras, cores, memory and folders, for a report of a bug or a first look.

    What is missing is said on stderr with what to do about it; exit code 1 then.
    """
    from ..jobs.doctor import examine, lines

    found = examine()
    console.print_result(found["folder"], found, console.aligned(lines(found), {0, 1}), as_json)
    for problem in found["problems"]:
        console.say(console.plain(problem))
    return 1 if found["problems"] else 0
