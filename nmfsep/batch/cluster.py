"""Dask cluster as a pool: the same interface as processes of this machine, with workers on any number of machines.

The scheduler sends each item to a worker and, if that dies, to another one; what all items share goes to each worker
once, and sums are formed at the workers, two by two, so that no results but the last are sent to the one that asked.

Dask leaves arrays where they lie in a message, at any odd address, and NumPy adds up such arrays in another order,
which rounds differently. What is sent is therefore pickled as a whole, so that a worker gets arrays as they are here.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import pickle
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from ..errors import InputError, UsageError, install_command
from ..nmf.blockwise import Statistics
from .pool import Lost, Pool, apply

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")
LONGEST_GREETING = 1 << 20  # bytes; a scheduler's has some two hundred


class Cluster(Pool):
    """The workers of a Dask scheduler.

    The scheduler alone knows who works on what and how often, so that `retried` stays empty.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://head:8786.
    say : callable
        Called with a message when a scheduler that does not answer is waited for.
    patience : float, default 30
        Seconds to wait for it, and for its first worker.
    """

    def __init__(self, address: str, say: Callable[[str], object] = str, patience: float = 30.0) -> None:
        super().__init__(threads=1)  # a worker has as many threads as it takes items at a time
        self.address, self.say, self.patience = address, say, patience
        self._client: Any = None

    def __enter__(self) -> Cluster:
        """Connect.

        Raises
        ------
        UsageError
            Dask is not installed, no scheduler answers, or it has no workers.
        """
        try:
            from distributed import Client
        except ImportError as error:
            hint = f"install it: {install_command('distributed', 'fsspec', extra='cluster')}"
            raise UsageError("a scheduler needs dask.distributed", hint) from error
        for name in ("distributed", "tornado"):  # errors are reported by nmfsep, in one line
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._wait_for_scheduler()
            self._client = Client(self.address, timeout=self.patience, set_as_default=False)
        except (OSError, ValueError) as error:
            message = f"no scheduler answers at {self.address!r}"
            raise UsageError(message, "give one like tcp://head:8786; dask scheduler starts it") from error
        try:
            self._client.wait_for_workers(1, timeout=self.patience)
        except TimeoutError as error:
            self.__exit__(None, None, None)
            message = f"the scheduler at {self.address!r} has no workers"
            raise UsageError(message, f"start some with: dask worker {self.address}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            self._client.close(timeout=self.patience)

    def _wait_for_scheduler(self) -> None:
        """Wait until a scheduler listens, which may be about to start; raise OSError or ValueError if none does.

        A scheduler speaks first and begins with the length of a message. Dask waits for ever where nobody speaks, and
        takes the greeting of another server for a length beyond all memory.
        """
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("tcp", "tls") or parts.hostname is None or parts.port is None:
            raise ValueError(f"{self.address!r} is not such as tcp://head:8786")
        deadline, waits = time.monotonic() + self.patience, False
        while True:
            try:
                with socket.create_connection((parts.hostname, parts.port), self.patience) as connection:
                    length = connection.recv(8) if parts.scheme == "tcp" else bytes(8)
                break
            except ConnectionRefusedError:
                if time.monotonic() >= deadline:
                    raise
            if not waits:
                self.say(f"waiting up to {self.patience:.0f} s for the scheduler at {self.address!r}")
                waits = True
            time.sleep(0.1)
        if len(length) < 8 or int.from_bytes(length, sys.byteorder) > LONGEST_GREETING:
            raise ConnectionError("another server listens")

    def run(
        self, function: Callable[[T], R], items: Sequence[T], costs: Sequence[int] = (), budget: int | None = None
    ) -> Iterator[tuple[int, R | Lost]]:
        """Yield the number of each item with function(item), as it is done.

        Costs and budget are of this machine and ignored; each worker sees to its own memory.
        """
        from distributed import KilledWorker, as_completed

        with self._lost_contact():
            numbers = {future: number for number, future in enumerate(self._begin(function, items))}
            try:
                for future in as_completed(list(numbers), loop=self._client.loop):
                    number = numbers.pop(future)
                    try:
                        result = future.result()
                    except KilledWorker:
                        result = Lost(None)
                    del future  # the scheduler forgets what nobody asks for
                    yield number, result
            finally:
                self._client.cancel(list(numbers))

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        with self._lost_contact():
            futures = self._begin(partial(apply, function, common), items)
            futures.reverse()
            while futures:
                yield _result(futures.pop())

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common), neighbours first, as `nmf.blockwise.total` adds."""
        with self._lost_contact():
            level = self._begin(partial(apply, function, common), items)
            while len(level) > 1:
                pairs = zip(level[::2], level[1::2], strict=False)
                sums = [self._client.submit(operator.add, a, b, pure=False) for a, b in pairs]
                level = sums + level[len(level) // 2 * 2 :]
            total: Statistics = _result(level[0])
            return total

    def _begin(self, function: Callable[[T], R], items: Sequence[T]) -> list[Any]:
        """Have the function called of every item; return a future for each.

        The function goes to each worker once, in bytes. It is work, which the scheduler can have done again: scattered
        to the workers, it is lost with one of them, and what needs it waits for ever. As a plain argument of `map` all
        clients of a scheduler would share its name.
        """
        shared = self._client.submit(bytes, pickle.dumps(function), pure=False)
        packed = [pickle.dumps(item) for item in items]
        futures: list[Any] = self._client.map(_call, packed, function=shared, pure=False, key="nmfsep")
        return futures

    @contextlib.contextmanager
    def _lost_contact(self) -> Iterator[None]:
        """Turn the loss of the scheduler into an InputError."""
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError

        try:
            yield
        except (CommClosedError, FutureCancelledError, TimeoutError) as error:
            hint = "what is done can be kept: --skip-existing"
            raise InputError(f"lost the scheduler at {self.address!r}", hint) from error


def _call(item: bytes, function: bytes) -> Any:
    """Call a function at a worker."""
    return pickle.loads(function)(pickle.loads(item))


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise InputError("one of the sounds took several workers with it", "they may have too little memory") from error
