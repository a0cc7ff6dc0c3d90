"""Threads for the kernels, such that their number never changes a bit of the result."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ..system import BLAS_VARIABLES, cpu_count

T = TypeVar("T")
A = TypeVar("A")
SPANS = 8  # accumulators a pass keeps at the most; their sums are added in order, whoever computed them


class Workers:
    """A context in which BLAS runs single-threaded and spans of frames run side by side, by default on all cores.

    BLAS rounds differently for every number of its own threads, so it gets one; work is divided by size alone.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or cpu_count()
        self._pool: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._limits = contextlib.ExitStack()

    def __enter__(self) -> Workers:
        if any(os.environ.get(name) != "1" for name in BLAS_VARIABLES):
            self._limits.enter_context(_libraries().limit(limits=1, user_api="blas"))
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._limits.close()

    def map(self, function: Callable[[A], T], items: Sequence[A]) -> list[T]:
        """Return function(item) for every item, in order.

        This thread works, too: to wake another costs as much as a small span, so each is woken once and then takes
        item after item.
        """
        if self._pool is None or len(items) < 2:
            return [function(item) for item in items]
        results: list[Any] = [None] * len(items)
        turns = iter(range(len(items)))  # shared by the threads: each takes the next one

        def work() -> None:
            try:
                for index in turns:
                    results[index] = function(items[index])
            except BaseException:
                for _ in turns:  # leaves nothing to the others
                    pass
                raise

        others = [self._pool.submit(work) for _ in range(min(self.threads, len(items)) - 1)]
        try:
            work()
        finally:
            for other in others:
                if not other.cancel():  # one that has not begun, as all threads are busy, need not
                    other.result()
        return results

    def submit(self, function: Callable[[A], T], item: A) -> Callable[[], T]:
        """Start function(item), in its own thread if there are several; return what waits for the result."""
        if self._pool is None:
            return lambda: function(item)
        return self._pool.submit(function, item).result

    def ahead(self, function: Callable[[A], T], items: Iterable[A]) -> Iterator[T]:
        """Yield function(item) for every item, in order, no more than two for each thread before they are asked for."""
        waiting: deque[Callable[[], T]] = deque()
        for item in items:
            waiting.append(self.submit(function, item))
            if self._pool is None or len(waiting) > 2 * self.threads:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()

    def buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return this thread's array of that name, at least that large; its contents are left over."""
        held = self._local.__dict__.get(name)
        size = math.prod(shape)
        if held is None or held.size < size or held.dtype != dtype:
            held = self._local.__dict__[name] = np.empty(size, dtype)
        return held[:size].reshape(shape)


@functools.cache
def _libraries() -> Any:
    """Return the control of the libraries that are loaded, which takes longer to find than a small fit to do."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def spans(frames: int, tile: int) -> list[range]:
    """Divide frames into at most SPANS runs of tiles no longer than `tile`; each range steps from tile to tile.

    Tiles have one length; unless it is 1, their number is even, or a multiple of SPANS, so that threads end together.
    """
    tiles = max(1, -(-frames // tile))
    tiles += -tiles % (1 if tiles == 1 else 2 if tiles < SPANS else SPANS)
    tile = max(1, -(-frames // tiles))
    step = -(-tiles // min(SPANS, tiles)) * tile
    return [range(start, min(start + step, frames), tile) for start in range(0, frames, step)]


def tiles(span: range) -> Iterator[slice]:
    """Yield the tiles of a span, from `spans`, as slices of frames."""
    for start in span:
        yield slice(start, min(start + span.step, span.stop))
