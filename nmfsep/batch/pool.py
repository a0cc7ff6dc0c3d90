"""Pools of processes: a function of every item, each item in a process that may die without taking others with it.

`Pool` is what commands see: `run` yields results as they are done, `map` in order, `total` their sum. `Processes` has
workers on this machine; `batch.cluster.Cluster` has those of a Dask scheduler.
"""

from __future__ import annotations

import abc
import contextlib
import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, TypeVar

from ..errors import InputError
from ..nmf.blockwise import Statistics, total
from ..system import STOP_SIGNALS, interrupt, signals_blocked, unblock_signals

T = TypeVar("T")
R = TypeVar("R")
C = TypeVar("C")
GRACE = 0.8  # seconds that processes have to tidy up when the run is interrupted


@dataclass(frozen=True, slots=True)
class Lost:
    """An item whose process died twice, the second time with nothing else running.

    `code` is how it ended then: the exit code, the signal as a negative number, or None where that is not known.
    """

    code: int | None


class Pool(contextlib.AbstractContextManager["Pool"]):
    """Workers that call a function of many items; a context manager, and an executor of learning.

    `threads` is how many each call should use; None leaves it to the call. `retried` are the items of the last run
    whose process died, so that they were begun again.
    """

    def __init__(self, threads: int | None) -> None:
        self.threads = threads
        self.retried: set[int] = set()

    @abc.abstractmethod
    def run(
        self, function: Callable[[T], R], items: Sequence[T], costs: Sequence[int] = (), budget: int | None = None
    ) -> Iterator[tuple[int, R | Lost]]:
        """Yield the number of each item with function(item), as it is done.

        Parameters
        ----------
        function : callable
            Of a module, or a partial of one: it is sent to the workers, as the items are. What it raises is raised.
        items : sequence
            In the order in which to begin.
        costs : sequence of int, optional
            What each takes of the budget while it is in work.
        budget : int, optional
            What all in work may take; a single one may take more.
        """

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        waiting: dict[int, R] = {}
        wanted = 0
        for number, result in self.run(partial(apply, function, common), items):
            if isinstance(result, Lost):
                raise InputError("one of the sounds took two processes with it", "it may need more memory")
            waiting[number] = result
            while wanted in waiting:
                yield waiting.pop(wanted)
                wanted += 1

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items."""
        return total(self.map(function, items, common))


def apply(function: Callable[[T, C], R], common: C, item: T) -> R:
    """Return function(item, common); a partial of this is a function of an item that can be sent."""
    return function(item, common)


class Processes(Pool):
    """Processes of this machine, each of which works on one item at a time.

    Each is a pool of the standard library with a single worker. A pool whose worker dies is broken and gives up all
    that was handed to it; with one worker and one item at a time that is exactly the item that was in work, and the
    others go on. The workers are started afresh (spawn), not forked: a fork of a process with threads may hang, and a
    fork server leaves a socket behind if it is killed. They begin to load their modules at once, while the run is being
    planned.
    """

    def __init__(self, count: int, modules: Sequence[str] = (), threads: int | None = None) -> None:
        super().__init__(threads)
        self._workers = [_Worker(tuple(modules)) for _ in range(count)]

    def __enter__(self) -> Processes:
        with contextlib.ExitStack() as stack:
            stack.push(self)  # which ends those that have begun, if one cannot
            for worker in self._workers:
                worker.begin()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = [worker.process for worker in self._workers if worker.process is not None and worker.busy]
        for process in ended:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in ended:
            process.join(max(0.0, deadline - time.monotonic()))
            process.kill()
        for worker in self._workers:
            worker.end()

    def run(
        self, function: Callable[[T], R], items: Sequence[T], costs: Sequence[int] = (), budget: int | None = None
    ) -> Iterator[tuple[int, R | Lost]]:
        """Yield the number of each item with function(item), as it is done.

        An item whose process dies is worked on once more, at the end and with nothing else running, since what kills a
        process is mostly a lack of memory.
        """
        costs, self.retried = costs or [0] * len(items), set()
        waiting, again = deque(range(len(items))), deque[int]()
        busy: dict[Future[R], tuple[_Worker, int]] = {}

        def next_item() -> int:
            """Return the number of the item to begin now, -1 if none may."""
            used = sum(costs[index] for _, index in busy.values())
            for index in waiting:
                if not busy or budget is None or used + costs[index] <= budget:
                    waiting.remove(index)
                    return index
            return again.popleft() if again and not busy and not waiting else -1

        while waiting or again or busy:
            for worker in self._workers:
                if not worker.busy and (index := next_item()) >= 0:
                    busy[worker.submit(function, items[index])] = worker, index
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, index = busy.pop(future)
                worker.busy = False
                try:
                    yield index, future.result()
                except BrokenProcessPool:
                    code = worker.end()
                    if index in self.retried:
                        yield index, Lost(code)
                    else:
                        self.retried.add(index)
                        again.append(index)


class _Worker:
    """A process and the pool that feeds it."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._modules = modules
        self._pool: ProcessPoolExecutor | None = None
        self.process: BaseProcess | None = None
        self.busy = False

    def begin(self) -> ProcessPoolExecutor:
        """Start the process, which then loads what it needs."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _begin, (self._modules,))
        before = multiprocessing.active_children()
        with signals_blocked(), _safe_path():  # until it knows what to do about them
            self._pool.submit(_nothing)
        started = [process for process in multiprocessing.active_children() if process not in before]
        self.process = started[0] if started else None  # none if it is dead by now
        return self._pool

    def submit(self, function: Callable[[T], R], item: T) -> Future[R]:
        """Begin to work on an item."""
        self.busy = True
        if self._pool is not None and self.process is not None and self.process.is_alive():
            with contextlib.suppress(BrokenProcessPool):  # killed while it had nothing to do
                return self._pool.submit(_call, function, item)
        self.end()
        return self.begin().submit(_call, function, item)

    def end(self) -> int | None:
        """Wait until the process has ended, which it does when it has nothing to do; return how."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        code = self.process.exitcode if self.process is not None else None
        self._pool = self.process = None
        return code


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Start interpreters that import nothing from the folder they happen to be in."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTHONSAFEPATH"]
        if before is not None:
            os.environ["PYTHONSAFEPATH"] = before


def _begin(modules: Sequence[str]) -> None:
    """Prepare a process: the first that runs in it."""
    for number in STOP_SIGNALS:  # a terminal sends its signals to all; the one that started this process decides
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    unblock_signals()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    for module in modules:
        importlib.import_module(module)
    signal.signal(signal.SIGTERM, _leave)  # from here on there may be something to tidy up


def _nothing() -> None:
    """Do nothing, so that the process starts."""


def _call(function: Callable[[T], R], item: T) -> R:
    try:
        return function(item)
    except SystemExit:  # of _leave, once all is tidied up; a pool would take it for a result
        os._exit(128 + signal.SIGTERM)


def _leave(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise SystemExit(128 + number)


def _end_with(sentinel: int) -> None:
    """Wait until the process that started this one is gone, then end as SIGTERM ends it."""
    connection.wait([sentinel])
    interrupt(signal.SIGTERM)
