"""libsndfile on files of ours, so that no error of the system is lost.

libsndfile says nothing of errors of the system, above all of those on closing. So it gets no file of the system, which
it would also sync by itself, but calls us to read and write. No exception passes through it: the first one is kept,
nothing is read or written after it, and it is raised when the call of libsndfile has ended.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any, cast

import soundfile as sf

from .. import system
from ..errors import OutputError
from .publish import Output
from .view import BUFFER, View


class _Calls:
    """The first error of what libsndfile calls."""

    error: BaseException | None = None
    running = False

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what was kept, rather than what libsndfile made of it; what would stop the process waits so long."""
        self.running = True
        try:
            with system.signals_deferred():
                yield
        except Exception:
            if self.error is None:
                raise
        finally:
            self.running = False
        if self.error is not None:
            raise self.error


class _Readable(_Calls, View):
    """A view that ends at the first error. Small reads, of which there are many, do not get past its buffer."""

    def readinto(self, buffer: object) -> int:
        """Fill the buffer as far as there are bytes; return how many."""
        try:
            return 0 if self.error else super().readinto(buffer)
        except BaseException as error:
            self.error = error
            return 0


class _Buffer(io.BufferedReader):
    """A buffer that also goes where a header leads that makes no sense; there is nothing to read there."""

    beyond = 0  # bytes from the end

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte."""
        size = cast(View, self.raw).size
        place = offset + (0, self.tell(), size)[whence]
        within = place if 0 <= place <= size else size
        super().seek(within)
        self.beyond = place - within
        return place

    def tell(self) -> int:
        """Return the place of the next byte."""
        return super().tell() + self.beyond


class _Writable(_Calls):
    """A file that takes nothing after the first error."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.tell = output.tell

    def write(self, data: bytes) -> int:
        """Write bytes."""
        try:
            return 0 if self.error else self._output.write(data)
        except BaseException as error:
            self.error = error
            return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte."""
        try:
            return self._output.seek(offset, whence)
        except BaseException as error:
            self.error = self.error or error
            return -1


class Decoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to read, from its beginning on.

    Raises
    ------
    InputError
        Also from `read` and `seek`: a part of the file cannot be read.
    """

    def __init__(self, view: View) -> None:
        self._calls = _Readable(view.buffered(), [range(view.size)])
        with self._calls.errors():
            super().__init__(_Buffer(self._calls, BUFFER))

    def read(self, *args: Any, **options: Any) -> Any:
        """Return samples, as SoundFile does."""
        with self._calls.errors():
            return super().read(*args, **options)

    def seek(self, *args: Any, **options: Any) -> Any:
        """Go to a sample, as SoundFile does."""
        if self._calls.running:  # SoundFile does so within `read`
            return super().seek(*args, **options)
        with self._calls.errors():
            return super().seek(*args, **options)


class Encoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to write, with the parameters of SoundFile.

    Raises
    ------
    OutputError
        Also from `write` and `close`: it cannot be written.
    """

    def __init__(self, output: Output, *args: Any, **options: Any) -> None:
        self._path, self._calls = output.path, _Writable(output)
        try:
            with self._errors():
                super().__init__(self._calls, "w", *args, **options)
        except BaseException:
            with contextlib.suppress(Exception):
                self.close()
            raise

    def write(self, data: Any) -> None:
        """Append samples, as SoundFile does."""
        with self._errors():
            super().write(data)

    def flush(self) -> None:
        """Do nothing: we sync it ourselves."""

    def close(self) -> None:
        """Write what is left."""
        if not self.closed:
            with self._errors():
                super().close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with self._calls.errors():
                yield
        except (RuntimeError, AssertionError, OSError, TypeError, ValueError) as error:
            raise OutputError(f"cannot be written: {error}".lower().rstrip("."), path=self._path) from error
