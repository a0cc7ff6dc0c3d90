"""Where the work on many sounds is done: here, one after the other, or wherever another executor sends it.

What is sent are functions of modules, and arguments that can be pickled; what comes back is in the order of the items,
so that nothing depends on where the work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from ..nmf.statistics import Statistics, total

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


class Executor(Protocol):
    """What calls a function of every item and of what all items have in common."""

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, added as `nmf.statistics.total` adds."""


class Here:
    """An executor that calls the function itself."""

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        return (function(item, common) for item in items)

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, of which few are held at a time."""
        return total(self.map(function, items, common))


def in_order(found: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    """Yield results that come with the numbers of their items in the order of these."""
    waiting: dict[int, Any] = {}
    wanted = 0
    for number, result in found:
        waiting[number] = result
        while wanted in waiting:
            yield waiting.pop(wanted)
            wanted += 1
