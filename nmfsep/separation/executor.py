"""Where the work on many sounds is done: here, one after the other, or wherever another executor sends it.

What is sent are functions of modules, and arguments that can be pickled; what comes back is in the order of the items,
so that nothing depends on where the work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from ..errors import InputError
from ..nmf.statistics import Statistics, total
from ..processes import Lost, Processes

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


class Executor(Protocol):
    """What calls a function of every item and of what all items have in common.

    Attributes
    ----------
    threads : int or None
        Threads that each call should use, where that is decided here.
    """

    threads: int | None

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, added as `nmf.statistics.total` adds."""


class Here:
    """An executor that calls the function itself."""

    threads: int | None = None

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        return (function(item, common) for item in items)

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, of which few are held at a time."""
        return total(self.map(function, items, common))


class Pooled:
    """An executor of several processes on this machine.

    Parameters
    ----------
    processes : Processes
        An entered context.
    threads : int, optional
        Threads of each.
    """

    def __init__(self, processes: Processes, threads: int | None = None) -> None:
        self._processes = processes
        self.threads = threads

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        waiting: dict[int, R] = {}
        wanted = 0
        for number, result in self._processes.run(partial(_call, function, common), items):
            if isinstance(result, Lost):
                raise InputError("one of the sounds took two processes with it", "it may need more memory")
            waiting[number] = result
            while wanted in waiting:
                yield waiting.pop(wanted)
                wanted += 1

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items."""
        return total(self.map(function, items, common))


def _call(function: Callable[[T, C], R], common: C, item: T) -> R:
    return function(item, common)
