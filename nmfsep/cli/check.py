"""``nmfsep check``: stems against their manifest."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import MismatchError, NmfsepError, UsageError
from . import console
from .options import reporting


@click.command("check", epilog="Example: nmfsep check separated")
@click.argument("paths", nargs=-1, required=True, metavar="DIR...", type=click.Path())
@reporting
def command(paths: tuple[str, ...], as_json: bool, quiet: bool, debug: bool) -> int:
    """Verify that stems are as they were written: sizes, hashes, and that they add up to their input.

    DIR is a folder, searched with all below it, or one manifest. Exit 4 if anything differs.
    """
    from ..manifest import find, verify

    manifests: list[Path] = []
    for path in paths:
        if not Path(path).exists():
            raise UsageError("no such file or directory", path=path)
        manifests += find(Path(path))
    if not manifests:
        raise UsageError("holds no manifest of nmfsep, so there is nothing to check", path=paths[0])
    rows, code = [], 0
    for manifest in manifests:
        try:
            found, good = verify(manifest), True
        except NmfsepError as error:
            console.say(console.describe(error))
            found, good = str(error), False
            code = max(code, error.exit_code if isinstance(error, MismatchError) else 1)
        rows.append({"manifest": str(manifest), "ok": good, "message": found})
        if good and not as_json and not quiet:
            console.print_bytes(f"{console.quote(manifest)}: {found}\n".encode("utf-8", "backslashreplace"))
    if as_json:
        console.print_json(rows)
    return code
