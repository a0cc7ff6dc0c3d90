"""Files between Python and libsndfile, which says nothing of errors of the system, above all of those on closing.

libsndfile reads and writes through callbacks here, out of which no exception comes. So the first error is kept, and
raised when the call of libsndfile has ended. It never sees a descriptor, which it would sync by itself, and lose what
the system says to that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import soundfile as sf

from .. import system
from ..errors import OutputError
from .publish import Output


class Encoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to write, which leaves syncing to us."""

    def flush(self) -> None:
        """Do nothing."""


class Sink:
    """A file as libsndfile writes it.

    Parameters
    ----------
    output : Output
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._error: BaseException | None = None
        self._position = self._end = 0

    def write(self, data: bytes) -> int:
        """Write bytes, but none after an error."""
        if self._error is None:
            try:
                self._output.seek(self._position)
                self._output.write(data)
            except BaseException as error:
                self._error = error
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def read(self, count: int) -> bytes:
        """Return the next bytes."""
        data = b""
        if self._error is None:
            try:
                self._output.seek(self._position)
                data = self._output.read(count)
            except BaseException as error:
                self._error = error
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; return its place."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what went wrong in calls of libsndfile; what would stop the process waits for their end.

        Raises
        ------
        OutputError
        """
        try:
            with system.signals_deferred():
                yield
        except (RuntimeError, AssertionError, OSError, TypeError, ValueError) as error:
            if self._error is None:
                message = f"cannot be written: {error}".lower().rstrip(".")
                raise OutputError(message, path=self._output.path) from error
        if self._error is not None:
            raise self._error
