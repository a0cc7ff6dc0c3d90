"""Terminal output: messages and progress on stderr, results on stdout, with names that no terminal can be driven by."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from ..errors import NmfsepError

Progress = Callable[..., object]  # of how many steps are done, and of the loss, which no bar shows
FINE = 100  # parts of a step that a bar knows


def quote(name: str | bytes | os.PathLike[str]) -> str:
    """Return a name that a terminal can be shown and a shell can be given.

    Plain names stay as they are; others are quoted as bash does, controls and invalid bytes as escapes, so that no name
    can drive a terminal or end a line.
    """
    text = os.fsdecode(name)
    if text and all(char.isalnum() or char in "/._-+,:@%=~" for char in text):
        return text
    if all(char.isprintable() and not unicodedata.bidirectional(char).endswith(("O", "E", "I", "F")) for char in text):
        return "'" + text.replace("'", "'\\''") + "'"
    out = []
    for char in text:
        if char in "\\'":
            out.append("\\" + char)
        elif char.isprintable() and ord(char) < 0x7F:
            out.append(char)
        else:
            out.append("".join(f"\\x{byte:02x}" for byte in os.fsencode(char)))
    return "$'" + "".join(out) + "'"


def plain(text: str) -> str:
    """Return text with everything that is not printable escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in text
    )


def name_of(path: str | bytes | os.PathLike[str]) -> str:
    """Return what an input is called in messages."""
    return "standard input" if path == "-" else quote(path)


def fit_line(fit: Mapping[str, Any]) -> str:
    """Return how a fit went, from the entry of a manifest."""
    how, loss = "converged" if fit["converged"] else "stopped", list(fit["losses"].values())
    return f"{fit['solver']} {how} after {fit['n_iter']} iterations, loss {loss[0]:.5g} to {loss[-1]:.5g}"


def describe(error: NmfsepError) -> str:
    """Return an error in one line: "FILE: what is wrong; what to try"."""
    where = "" if error.path is None else name_of(error.path) + ": "
    return where + plain(str(error))


def say(message: str) -> None:
    """Write one line to stderr, whatever its encoding."""
    line = f"nmfsep: {message}\n"
    with suppress(OSError, ValueError, AttributeError):  # there is nowhere left to complain
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()


def warn(warnings: Iterable[str], name: str = "") -> None:
    """Write warnings, each in a line; of an input, `name` is what it is called."""
    for warning in warnings:
        say(f"{name}: warning: {plain(warning)}" if name else f"warning: {plain(warning)}")


def report(path: str | None, text: str) -> None:
    """Write what the user should know of a file, or of the whole run, to stderr."""
    say(plain(text) if path is None else f"{quote(path)}: {plain(text)}")


def print_paths(paths: Iterable[os.PathLike[str]]) -> None:
    """Write paths to stdout, one a line, as raw bytes; quoted where a terminal shows them."""
    terminal = sys.stdout.isatty()
    for path in paths:
        print_bytes((quote(path).encode("utf-8", "backslashreplace") if terminal else os.fsencode(path)) + b"\n")


def print_document(path: str, document: Mapping[str, Any], status: str = "done") -> None:
    """Write what is to be said of an input to stdout, as a JSON document in one line."""
    print_text(json.dumps({"path": path, "status": status} | dict(document)) + "\n")


def print_result(path: str, document: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Write a result to stdout, as a JSON document or as text."""
    if as_json:
        print_document(path, document)
    else:
        print_text(text)


def error_entry(error: NmfsepError, path: str = "") -> dict[str, Any]:
    """Return an error as JSON; `path` is where it names none."""
    where = path if error.path is None else os.fsdecode(error.path)
    return {"path": where, "message": str(error), "exit": error.exit_code}


def print_text(text: str) -> None:
    """Write a text to stdout, with what cannot be encoded as escapes."""
    print_bytes(text.encode("utf-8", "backslashreplace"))


def print_bytes(data: bytes) -> None:
    """Write all to stdout and flush, so that an error shows here and not at exit."""
    view = memoryview(data)
    while view:  # an unbuffered stream may take fewer at a time
        view = view[sys.stdout.buffer.write(view) :]
    sys.stdout.buffer.flush()


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Return rows as lines, the columns of these numbers to the left and the others to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + gap if n in left else gap + cell for n, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(padded).rstrip() + "\n")
    return "".join(lines)


def _width(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


@contextmanager
def progress_bar(label: str, steps: int, shown: bool) -> Iterator[Progress | None]:
    """Give a callback of the steps done that moves a bar on stderr, or None where no bar is to be seen."""
    with bar(label, FINE * steps, shown) as found:
        if found is None:
            yield None
            return
        yield lambda step, loss=0.0: found.update(int(FINE * step) - found.pos)
        found.update(FINE * steps - found.pos)


@contextmanager
def bar(label: str, length: int, shown: bool, show: Callable[[Any], str] | None = None) -> Iterator[Any]:
    """Give a bar of click on stderr, or None where no bar is to be seen; `show` turns what it is given into text."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=length, label=plain(label)[:40], file=sys.stderr, item_show_func=show) as found:
        yield found
