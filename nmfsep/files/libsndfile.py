"""Sound files that libsndfile decodes and encodes on files of ours, so that no error of the system is lost.

libsndfile says nothing of errors of the system, above all of those on closing. So it gets no file of the system, which
it would also sync by itself, but calls us to read and write. No exception passes through it: the first one is kept,
nothing is read or written after it, and it is raised when the call of libsndfile has ended.
"""

from __future__ import annotations

import contextlib
import io
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, cast

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from .. import system
from ..errors import InputError, OutputError
from .publish import Output
from .view import BUFFER, View


class _Calls:
    """The first error of what libsndfile calls."""

    error: BaseException | None = None
    running = False

    def keep_error(self, call: Callable[..., int], *args: object) -> int:
        """Return what a call returns; 0 if it fails, or one before it did."""
        try:
            return 0 if self.error else call(*args)
        except BaseException as error:
            self.error = error
            return 0

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
        return self.keep_error(super().readinto, buffer)


class _Buffer(io.BufferedReader):
    """A buffer that also goes where a header leads that makes no sense; there is nothing to read there."""

    beyond = 0  # bytes from the end

    def seek(self, offset: int, whence: int = 0) -> int:
        size = cast(View, self.raw).size
        place = offset + (0, self.tell(), size)[whence]
        within = place if 0 <= place <= size else size
        super().seek(within)
        self.beyond = place - within
        return place

    def tell(self) -> int:
        return super().tell() + self.beyond


class _Writable(_Calls):
    """A file that takes nothing after the first error, and begins behind the first bytes of another."""

    def __init__(self, output: Output, first: int) -> None:
        self._output, self._first = output, first
        output.write(bytes(first))

    def tell(self) -> int:
        return self._output.tell() - self._first

    def write(self, data: bytes) -> int:
        return self.keep_error(self._output.write, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        place = self.keep_error(self._output.seek, offset + (0 if whence else self._first), whence)
        return place - self._first


class Decoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to read, from its beginning on.

    Raises
    ------
    InputError
        From all methods: a part of the file cannot be read.
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


class Chain:
    """Sounds end to end, read like one; one is open at a time. InputError: they differ in rate, channels or format."""

    def __init__(self, views: Sequence[View]) -> None:
        self._views = views
        self._lengths: list[int] = []
        first = ""
        for view in views:
            with Decoder(view) as sound:
                channels = "1 channel" if sound.channels == 1 else f"{sound.channels} channels"
                form = f"{sound.samplerate} Hz, {channels}, {sound.subtype}"
                if not self._lengths:
                    first = form
                    self.samplerate, self.channels, self.subtype = sound.samplerate, sound.channels, sound.subtype
                elif form != first:
                    message = f"{first}, and after {self.frames / self.samplerate:.3f} s {form}"
                    hint = "part it there, or convert it first"
                    raise InputError(f"consists of sounds that differ: {message}", hint)
                self._lengths.append(sound.frames)
        self._index, self._sound = 0, Decoder(views[0])

    @property
    def frames(self) -> int:
        """Samples per channel, as far as is known."""
        return sum(self._lengths)

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self._sound.close()

    def tell(self) -> int:
        """Return the place of the next sample."""
        return sum(self._lengths[: self._index]) + int(self._sound.tell())

    def seek(self, frame: int) -> int:
        """Go to a sample; return its place."""
        starts = [0, *accumulate(self._lengths[:-1])]
        index = bisect_right(starts, frame) - 1
        self._go(index)
        self._sound.seek(frame - starts[index])
        return frame

    def read(self, count: int, dtype: str, always_2d: bool = True) -> NDArray[Any]:
        """Return the next samples, (samples, channels), at most `count`, fewer only at the end."""
        pieces: list[NDArray[Any]] = []
        wanted = count
        while True:
            piece = self._sound.read(wanted, dtype=dtype, always_2d=True)
            pieces.append(piece)
            wanted -= len(piece)
            if not wanted or (not len(piece) and self._index == len(self._views) - 1):
                return np.concatenate(pieces)
            if not len(piece):
                self._lengths[self._index] = int(self._sound.tell())  # fewer if it was cut
                self._go(self._index + 1)

    def _go(self, index: int) -> None:
        if index != self._index:
            self._sound.close()
            self._sound, self._index = Decoder(self._views[index]), index


class Encoder(sf.SoundFile):  # type: ignore[misc]
    """A sound file to write, with the parameters of SoundFile, and so many bytes of it free for tags.

    Raises
    ------
    OutputError
        From all methods: it cannot be written.
    """

    def __init__(self, output: Output, *args: Any, room: int = 0, **options: Any) -> None:
        first = room if options.get("format") == "MP3" else 0
        self._path, self._calls = output.path, _Writable(output, first)
        try:
            with self._errors():
                super().__init__(self._calls, "w", *args, **options)
                if room > first:
                    self.comment = "-" * room
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
