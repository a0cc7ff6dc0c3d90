"""Dependency file for make: rules that say which outputs were made from which inputs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import UsageError
from ..files.publish import Output, publish_one


def rule(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> bytes:
    """Return the line of a makefile that says what outputs are made from.

    Raises
    ------
    UsageError
        A name has a line break, which make has no spelling for.
    """
    left = b" ".join(_escaped(name, rb" \t#:%") for name in outputs)
    right = b" ".join(_escaped(name, rb" \t#:") for name in inputs)
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


def _escaped(name: str | os.PathLike[str], special: bytes) -> bytes:
    raw = os.fsencode(name)
    if b"\n" in raw:
        raise UsageError("has a line break in its name, which no makefile can hold", "leave out --depfile", name)
    # make takes a backslash for itself unless one of these follows
    return re.sub(b"([%s])" % special, rb"\\\1", raw).replace(b"$", b"$$")
