"""``nmfsep check``: stems against their manifest."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..errors import MismatchError, NmfsepError, UsageError
from ..system import exists
from . import console, options


@click.command("check", cls=options.Command, example="nmfsep check separated", page="start")
@click.argument("paths", nargs=-1, required=True, metavar="DIR...", type=click.Path())
@options.reporting
def command(paths: tuple[str, ...], as_json: bool, quiet: bool, debug: bool) -> int:
    """Verify that stems are as they were written: sizes, hashes, and that they add up to their input.

    DIR is a folder, searched with all below it, or one manifest. Exit 4 if anything differs.
    """
    from ..jobs.manifest import find, verify

    manifests, faults = list[Path](), list[UsageError]()
    for path in paths:
        there = exists(path)
        below = list(find(Path(path))) if there else []
        if not below:
            empty = "holds no manifest of nmfsep, so there is nothing to check"
            faults.append(UsageError(empty if there else "no such file or directory", path=path))
        manifests += below
    for fault in faults[0 if manifests else 1 :]:
        console.say(console.describe(fault))
    if not manifests:
        raise faults[0]
    for fault in faults if as_json else ():
        console.print_document(os.fsdecode(fault.path or ""), {"ok": False, "message": str(fault)}, "failed")
    code = 1 if faults else 0
    for manifest in manifests:
        try:
            found, good = verify(manifest), True
        except NmfsepError as error:
            console.say(console.describe(error))
            found, good = str(error), False
            code = max(code, error.exit_code if isinstance(error, MismatchError) else 1)
        if as_json:
            console.print_document(str(manifest), {"ok": good, "message": found}, "done" if good else "failed")
        elif good and not quiet:
            console.print_text(f"{console.quote(manifest)}: {found}\n")
    return code
