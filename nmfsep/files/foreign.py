"""Files between Python and libsndfile, which says nothing of errors of the system, above all of those on closing.

libsndfile reads and writes through callbacks here, out of which no exception comes. So the first error is kept, and
raised when the call of libsndfile has ended. It never sees a descriptor, which it would sync by itself, and lose what
the system says to that.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import soundfile as sf

from .. import system
from ..errors import InputError, OutputError
from .publish import Output


class Decoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to read.

    Parameters
    ----------
    file : BinaryIO
        Open for reading, and as long as it is read here.

    Raises
    ------
    InputError
        From what reads, too: a part of the file cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._feed = Feed(file)
        with self._feed.errors():
            super().__init__(self._feed)

    def read(self, *args: Any, **options: Any) -> Any:
        """Return samples, as SoundFile does."""
        with self._feed.errors():
            return super().read(*args, **options)

    def seek(self, *args: Any, **options: Any) -> Any:
        """Go to a sample, as SoundFile does."""
        with self._feed.errors():
            return super().seek(*args, **options)


class Encoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to write, which leaves syncing to us."""

    def flush(self) -> None:
        """Do nothing."""


class _Kept:
    """What both have: a place in the file, and the first error."""

    error: BaseException | None = None
    position = 0

    def size(self) -> int:
        """Return the bytes that there are."""
        raise NotImplementedError

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; return its place."""
        with self.keeping():
            self.position = offset + (self.size() if whence == 2 else (0, self.position)[whence])
        return self.position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self.position

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep an error for later."""
        try:
            yield
        except BaseException as error:
            self.error = self.error or error

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what was kept, rather than what libsndfile made of it; what would stop the process waits so long."""
        try:
            with system.signals_deferred():
                yield
        except Exception:
            if self.error is None:
                raise
        if self.error is not None:
            raise self.error


class Feed(_Kept):
    """A file as libsndfile reads it.

    Parameters
    ----------
    file : BinaryIO
        One of the system, or one that only can be read and gone back in.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._fd = None if isinstance(file, io.RawIOBase) else file.fileno()

    def size(self) -> int:
        """Return the bytes that there are."""
        return self._file.seek(0, 2) if self._fd is None else os.fstat(self._fd).st_size

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes; return how many. After an error there are none."""
        data = b""
        if self.error is None:
            with self.keeping():
                data = self._read(len(buffer))
                buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what was kept; errors of the system as InputError."""
        try:
            with super().errors():
                yield
        except OSError as error:
            message = f"cannot be read: {(error.strerror or str(error)).lower()}"
            raise InputError(message, "the disk, or the way to it, may be failing") from error

    def _read(self, count: int) -> bytes:
        if not 0 <= self.position < self.size():  # where a header that makes no sense leads
            return b""
        if self._fd is not None:
            return system.read_at(self._fd, count, self.position)
        self._file.seek(self.position)
        return self._file.read(count)


class Sink(_Kept):
    """A file as libsndfile writes it.

    Parameters
    ----------
    output : Output
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._end = 0

    def size(self) -> int:
        """Return the bytes that there are."""
        return self._end

    def write(self, data: bytes) -> int:
        """Write bytes, but none after an error."""
        if self.error is None:
            with self.keeping():
                self._output.seek(self.position)
                self._output.write(data)
        self.position += len(data)
        self._end = max(self._end, self.position)
        return len(data)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what was kept, and errors of libsndfile, as OutputError."""
        try:
            with super().errors():
                yield
        except (RuntimeError, AssertionError, OSError, TypeError, ValueError) as error:
            raise OutputError(f"cannot be written: {error}".lower().rstrip("."), path=self._output.path) from error
