"""What make should know: which files were made from which."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import UsageError
from .signal.publish import Output, publish_one


def rule(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> bytes:
    """Return the line of a makefile that says what outputs are made from.

    Raises
    ------
    UsageError
        A name has a line break, which make has no spelling for.
    """
    left, right = (b" ".join(map(_escaped, names)) for names in (outputs, inputs))
    return left + b": " + right + b"\n"


def write(path: Path, rules: Sequence[bytes]) -> None:
    """Write rules to a file, in place of what it held.

    Raises
    ------
    OutputError
    """
    with Output(path) as file:
        file.write(b"".join(rules))
        publish_one(file)


def _escaped(name: str | os.PathLike[str]) -> bytes:
    raw = os.fsencode(name)
    if b"\n" in raw:
        raise UsageError("has a line break in its name, which no makefile can hold", "leave out --depfile", name)
    for char in (b"\\", b" ", b"\t", b"#", b":", b"%"):
        # make takes a backslash for itself unless one of the others follows
        raw = raw.replace(char, b"\\" + char) if char != b"\\" else raw
    return raw.replace(b"$", b"$$")
