"""A bar for a run over many files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .console import plain

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
        """Say how much of a file is done that is in work."""
        self._begun = min(share, 1.0) * self._sizes[number]
        self._show()

    def end(self, number: int, status: str) -> None:
        """Say how a file ended."""
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
