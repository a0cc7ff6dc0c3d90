"""Work on many items at the workers of a Dask cluster.

It is used in place of `Processes`, and as an executor of learning. The scheduler sends each item to a worker and, if
that dies, to another one; what all items share goes to each worker once, and sums are formed at the workers, two by
two, so that no results but the last are sent to the one that asked.

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

from ..errors import InputError, UsageError
from .pool import Lost

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")
LONGEST_GREETING = 1 << 20  # bytes; a scheduler's has some two hundred


class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://head:8786.
    say : function
        Is told when a scheduler that does not answer is waited for.
    patience : float, default 30
        Seconds to wait for it, and for its first worker.
    """

    threads: int | None = 1  # a worker has as many threads as it takes items at a time

    def __init__(self, address: str, say: Callable[[str], object] = str, patience: float = 30.0) -> None:
        self.address = address
        self.say = say
        self.patience = patience
        self.retried: set[int] = set()  # who works on what, and how often, only the scheduler knows
        self._client: Any = None

    def __enter__(self) -> Cluster:
        """Connect.

        Raises
        ------
        UsageError
            Dask is not installed, no scheduler answers, something else does, or it has no workers.
        """
        try:
            from distributed import Client
        except ImportError as error:
            message = "a scheduler needs dask.distributed"
            raise UsageError(message, "install it: pip install 'nmfsep[cluster]'") from error
        for name in ("distributed", "tornado"):  # what goes wrong is told in one line, by us
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._knock()
            self._client = Client(self.address, timeout=self.patience, set_as_default=False)
        except (OSError, ValueError) as error:
            message = f"no scheduler answers at {self.address!r}"
            raise UsageError(message, "give one like tcp://head:8786; dask scheduler starts it") from error
        try:
            self._client.wait_for_workers(1, timeout=self.patience)
        except TimeoutError as error:
            self.__exit__(None, None, None)
            raise UsageError(
                f"the scheduler at {self.address!r} has no workers", f"start some with: dask worker {self.address}"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):  # a scheduler that is gone has nothing left to be told
            self._client.close(timeout=self.patience)

    def _knock(self) -> None:
        """Raise an error where no scheduler listens, which Dask would find out late or by running out of memory.

        A scheduler begins with the length of a short message about itself, eight bytes in the machine's order. Letters,
        with which servers of other kinds greet, make a number beyond all bounds, and some wait in silence to be asked.

        Raises
        ------
        OSError, ValueError
            Nobody listens, or the address is none.
        UsageError
            Something else than a scheduler does.
        """
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme not in ("tcp", "tls") or parts.hostname is None or parts.port is None:
            raise ValueError(f"{self.address!r} is not such as tcp://head:8786")
        deadline = time.monotonic() + self.patience
        waits = False
        while True:
            try:
                with socket.create_connection((parts.hostname, parts.port), self.patience) as connection:
                    if parts.scheme == "tcp" and not _greets(connection, max(0.1, deadline - time.monotonic())):
                        message = f"what listens at {self.address!r} is no scheduler of Dask"
                        raise UsageError(message, "give its address, such as tcp://head:8786")
                return
            except ConnectionRefusedError:  # the machine is there; the scheduler may be about to start
                if time.monotonic() >= deadline:
                    raise
            if not waits:
                self.say(f"waiting up to {self.patience:.0f} s for the scheduler at {self.address!r}")
                waits = True
            time.sleep(0.1)

    def run(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        costs: Sequence[int] | None = None,
        budget: int | None = None,
    ) -> Iterator[tuple[int, R | Lost]]:
        """Yield the number of each item with function(item) as it is done, as `Processes.run` does.

        Costs and budget are left alone: they are of this machine, and each worker sees to its own memory.
        """
        from distributed import KilledWorker, as_completed

        with _lost_contact(self.address):
            numbers = {
                future: number
                for number, future in enumerate(
                    self._client.map(_call, _packed(items), function=pickle.dumps(function), pure=False, key="nmfsep")
                )
            }
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
        with _lost_contact(self.address):
            futures = self._each(function, items, common)
            futures.reverse()
            while futures:
                yield _result(futures.pop())

    def total(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> R:
        """Return the sum of function(item, common), neighbours first, as `nmf.statistics.total` adds."""
        with _lost_contact(self.address):
            level = self._each(function, items, common)
            while len(level) > 1:
                pairs = [
                    self._client.submit(operator.add, a, b, pure=False)
                    for a, b in zip(level[::2], level[1::2], strict=False)
                ]
                level = pairs + level[len(level) // 2 * 2 :]
            total: R = _result(level[0])
            return total

    def _each(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> list[Any]:
        """Return a future for each item; what they have in common goes to each worker once."""
        shared = self._client.scatter(pickle.dumps(partial(_swapped, function, common)), broadcast=True, hash=False)
        futures: list[Any] = self._client.map(_call, _packed(items), function=shared, pure=False)
        return futures


def _packed(items: Sequence[Any]) -> list[bytes]:
    return [pickle.dumps(item) for item in items]


def _call(item: bytes, function: bytes) -> Any:
    """Call a function at a worker."""
    return pickle.loads(function)(pickle.loads(item))


def _swapped(function: Callable[[T, C], R], common: C, item: T) -> R:
    return function(item, common)


def _greets(connection: socket.socket, patience: float) -> bool:
    """Whether what listens begins as a scheduler does, within so many seconds."""
    connection.settimeout(patience)
    try:
        with connection.makefile("rb") as stream:
            begin = stream.read(8)
    except OSError:
        return False
    return len(begin) == 8 and int.from_bytes(begin, sys.byteorder) < LONGEST_GREETING


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise InputError("one of the sounds took several workers with it", "they may have too little memory") from error


@contextlib.contextmanager
def _lost_contact(address: str) -> Iterator[None]:
    """Turn the loss of the scheduler into an InputError."""
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    try:
        yield
    except (CommClosedError, FutureCancelledError, TimeoutError) as error:
        raise InputError(f"lost the scheduler at {address!r}", "what is done can be kept: --skip-existing") from error
