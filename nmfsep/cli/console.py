"""Terminal output: messages and progress on stderr, results on stdout, with names that no terminal can be driven by."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from ..errors import NmfsepError

BAR = 10_000  # steps of the bar


class Files:
    """A bar on stderr for a run over many files: how many are done, failed and left.

    Parameters
    ----------
    sizes : sequence of float
        What each file is of the whole.
    """

    def __init__(self, sizes: Sequence[float], bar: Any = None) -> None:
        self._sizes, self._bar = sizes, bar
        self._total, self._whole, self._begun = max(sum(sizes), 1e-9), 0.0, 0.0
        self.left, self.counts = len(sizes), {"done": 0, "skipped": 0, "failed": 0}

    def __str__(self) -> str:
        counts = [f"{count} {status}" for status, count in self.counts.items() if count or status == "done"]
        return ", ".join([*counts, f"{self.left} left"])

    def part(self, number: int, share: float) -> None:
        """Show how much of a file is done that is in work."""
        self._begun = min(share, 1.0) * self._sizes[number]
        self._show()

    def end(self, number: int, status: str) -> None:
        """Count a file that has ended."""
        self.counts[status] += 1
        self.left -= 1
        self._begun = 0.0
        self._whole += self._sizes[number]
        self._show()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar off the terminal while lines are written."""
        if self._bar is None:
            yield
            return
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
        yield
        self._bar.render_progress()

    def _show(self) -> None:
        if self._bar is not None:
            place = round(BAR * (self._whole + self._begun) / self._total)
            self._bar.update(max(0, place - self._bar.pos), self)


@contextmanager
def files_bar(label: str, sizes: Sequence[float], shown: bool) -> Iterator[Files]:
    """Give the count of a run over files of these sizes, with a bar on stderr where one is to be seen."""
    if not shown or not sys.stderr.isatty():
        yield Files(sizes)
        return
    import click

    def counts(files: Files | None) -> str:
        return str(files) if files is not None and len(sizes) > 1 else ""

    with click.progressbar(length=BAR, label=plain(label)[:40], file=sys.stderr, item_show_func=counts) as bar:
        yield Files(sizes, bar)


FINE = 100  # parts of a step that the bar knows
Progress = Callable[[float, float], object]


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


def report(path: str | None, text: str) -> None:
    """Write what the user should know of a file, or of the whole run, to stderr."""
    say(plain(text) if path is None else f"{quote(path)}: {plain(text)}")


def ignore(path: str | None, text: str) -> None:
    """Write nothing, in place of `report`, where only errors are wanted."""


def print_paths(paths: Iterable[os.PathLike[str]]) -> None:
    """Write paths to stdout, one a line, as raw bytes; quoted where a terminal shows them."""
    terminal = sys.stdout.isatty()
    for path in paths:
        print_bytes((quote(path).encode("utf-8", "backslashreplace") if terminal else os.fsencode(path)) + b"\n")


def print_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    print_bytes(json.dumps(document, indent=1).encode() + b"\n")


def print_json_line(document: Any) -> None:
    """Write one JSON document to stdout, in one line."""
    print_bytes(json.dumps(document).encode() + b"\n")


def print_bytes(data: bytes) -> None:
    """Write to stdout and flush, so that an error shows here and not at exit."""
    write_all(sys.stdout.buffer, data)
    sys.stdout.buffer.flush()


def write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all bytes: an unbuffered stream may take fewer at a time."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


@contextmanager
def progress_bar(label: str, steps: int, shown: bool) -> Iterator[Progress | None]:
    """Give a callback (step, loss) that moves a bar on stderr, or None where no bar is to be seen."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    import click

    with click.progressbar(length=FINE * steps, label=plain(label)[:40], file=sys.stderr) as bar:

        def advance(step: float, loss: float) -> None:
            bar.update(int(FINE * step) - bar.pos)

        yield advance
        bar.update(FINE * steps - bar.pos)
