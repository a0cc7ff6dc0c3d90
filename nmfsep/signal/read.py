"""Reading audio through libsndfile, after a look at what it is being given."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..errors import InputError
from ..system import read_at
from .audio import Audio
from .containers import Container, identify, ogg_was_cut
from .large import Large
from .open import open_input

BLOCK = 1 << 16  # frames read at a time
UNKNOWN = 0xFFFFFFFF  # a size field that means "to the end of the file"
FAR = 2.0**60  # peaks beyond this, or below its inverse, are rescaled so that powers stay within single precision


def read(path: str | os.PathLike[str], offset: float = 0.0, duration: float | None = None) -> Audio:
    """Read a file, or a stretch of it, into memory.

    Parameters
    ----------
    path : path-like
        "-" is standard input.
    offset, duration : float, optional
        Seconds; the whole file if not given.

    Raises
    ------
    InputError
        The file cannot be read, is not audio of an admitted kind, or holds no samples or samples that are not finite.
    """
    with Source(path) as source:
        return source.read(offset, duration)


class Source:
    """An audio file open for reading.

    Parameters
    ----------
    path : path-like
        A regular file, a pipe, or "-" for standard input; pipes are first copied to a temporary file.

    Attributes
    ----------
    sample_rate, channels : int
    subtype : str
        The sample format, in libsndfile's names: "PCM_16", "FLOAT", ...
    warnings : list of str
        What is odd about the file though it can be read.

    Raises
    ------
    InputError
        As for `read`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.warnings: list[str] = []
        self._open = contextlib.ExitStack()
        try:
            file = self._open.enter_context(open_input(self.path))
            self._file, self._opened = file, os.fstat(file.fileno())
            self.size = self._opened.st_size
            self.container = identify(file, self.size)
            with mute(self.container.kind):
                self._sound = self._open.enter_context(self._decoder(file))
        except InputError as error:
            self._open.close()
            raise InputError(error.message, error.hint, self.path) from error
        except OSError as error:
            self._open.close()
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error
        except (RuntimeError, ValueError, TypeError) as error:  # soundfile's errors are RuntimeErrors
            self._open.close()
            if not hasattr(self, "container"):  # a NUL, or half a surrogate pair
                raise InputError("has a name that no file can have", path=self.path) from error
            hint = "it is damaged, or not what its first bytes say"
            raise InputError(f"cannot be decoded as {self.container.kind}", hint, self.path) from error
        self.sample_rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.subtype: str = self._sound.subtype
        self._promised: int = self._sound.frames

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a buffer that libsndfile moved under cannot find back; nothing was written
            self._open.close()

    def sha256(self) -> str:
        """Return the hash of the bytes that are read, whatever has become of their name.

        Raises
        ------
        InputError
            They have changed since they were opened.
        """
        digest, place, fd = hashlib.sha256(), 0, self._file.fileno()
        try:
            position = os.lseek(fd, 0, os.SEEK_CUR)
            while piece := read_at(fd, 1 << 20, place):
                digest.update(piece)
                place += len(piece)
            os.lseek(fd, position, os.SEEK_SET)
            now = os.fstat(fd)
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            raise InputError("changed while it was read", "run again when it is whole", self.path)
        return digest.hexdigest()

    @property
    def frames(self) -> int | None:
        """Samples per channel as the header has them; None where it does not say or cannot be believed."""
        # no codec that passes makes more than some thousand samples of a byte
        return self._promised if 0 <= self._promised <= max(1, self.size) << 12 else None

    def stretch(self, offset: float = 0.0, duration: float | None = None) -> tuple[int, int | None]:
        """Return the first sample and the number of samples of a stretch given in seconds.

        Raises
        ------
        InputError
            It begins after the end.
        """
        first = round(offset * self.sample_rate)
        if self.frames is not None and 0 < self.frames <= first:
            message = f"ends at {self.frames / self.sample_rate:.3f} s, before --offset {offset:g}"
            raise InputError(message, path=self.path)
        return first, None if duration is None else max(1, round(duration * self.sample_rate))

    def read(self, offset: float = 0.0, duration: float | None = None) -> Audio:
        """Read the file, or a stretch of it given in seconds."""
        first, count = self.stretch(offset, duration)
        try:
            with mute(self.container.kind):
                samples, peak = self._samples(first, count, 0)
                exponent = exponent_for(peak)
                if exponent:
                    samples, _ = self._samples(first, count, -exponent)
            if samples.shape[1] == 0:
                raise InputError("holds no samples")
            return Audio(samples, self.sample_rate, exponent)
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error
        except (RuntimeError, OSError) as error:
            raise InputError("cannot be decoded to its end; it is damaged", path=self.path) from error

    def seek(self, frame: int) -> None:
        """Go to a sample."""
        self._sound.seek(frame)

    def block(self, count: int) -> NDArray[np.float64]:
        """Return the next samples, (samples, channels), at most `count`."""
        samples: NDArray[np.float64] = self._sound.read(count, dtype="float64", always_2d=True)
        return samples

    def integers(self, count: int) -> NDArray[np.int32]:
        """Return the next samples, (channels, samples), as 32-bit integers, shorter formats left-justified."""
        samples: NDArray[np.int32] = self._sound.read(count, dtype="int32", always_2d=True)
        return samples.T

    def _samples(self, first: int, count: int | None, power: int) -> tuple[NDArray[np.float32], float]:
        """Return samples (channels, n) times 2**power, and the largest magnitude before scaling."""
        wanted = self.expected(first, count)
        pieces: list[NDArray[np.float32]] = []
        whole = None if wanted is None else np.empty((self.channels, wanted), np.float32)
        position, peak = 0, 0.0
        for block, loudest in self.pieces(first, count, power):
            peak = max(peak, loudest)
            if whole is None:
                pieces.append(block)
            else:
                whole[:, position : position + block.shape[1]] = block
            position += block.shape[1]
        if whole is None:
            whole = np.concatenate(pieces, axis=1) if pieces else np.empty((self.channels, 0), np.float32)
        return whole[:, :position], peak

    def expected(self, first: int, count: int | None) -> int | None:
        """Return how many samples a stretch has by the header, None if it does not say."""
        known = None if self.frames is None else max(0, self.frames - first)
        return min((n for n in (known, count) if n is not None), default=None)

    def pieces(self, first: int, count: int | None, power: int) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Yield a stretch in pieces (channels, n) times 2**power, each with its largest magnitude before scaling.

        The magnitude is 0 where samples are not floating-point, which need no scaling.
        """
        floating, wanted = self.subtype in ("FLOAT", "DOUBLE"), self.expected(first, count)
        self._sound.seek(first) if first else self._sound.seek(0)
        position, peak = 0, 0.0
        while wanted is None or position < wanted:
            size = BLOCK if wanted is None else min(BLOCK, wanted - position)
            if self.subtype == "PCM_32" and self._sound.tell() != first + position:  # read as integers in between
                self._sound.seek(first + position)
            block = self._sound.read(size, dtype="float64" if floating else "float32", always_2d=True)
            if not len(block):
                break
            if floating:
                peak = float(np.abs(block).max())
                with np.errstate(over="ignore", invalid="ignore"):
                    block = (np.ldexp(block, power) if power else block).astype(np.float32)
            position += len(block)
            yield block.T, peak
        if wanted is not None and position < wanted and not self.warnings:
            self._warn_cut(first + wanted, first + position)

    def _decoder(self, file: BinaryIO) -> sf.SoundFile:
        container = self.container
        opened: io.RawIOBase | int = file.fileno()
        if container.data_size is not None and container.data_start is not None:
            there = self.size - container.data_start
            if container.data_size > there:
                streamed = container.data_size == UNKNOWN or 0x7FFFF000 <= container.data_size <= 0x7FFFFFFF
                if there < container.block:
                    raise InputError("holds no samples")
                if not streamed:
                    self.warnings.append(
                        f"the header promises {container.data_size} bytes of samples, the file has {there}; "
                        "it was cut, and what is there is used"
                    )
            elif container.data_size == 0 and container.kind not in ("AIFF", "CAF") and there >= container.block:
                hint = "repair it first, as with 'sox --ignore-length IN OUT'"
                raise InputError(
                    f"has a header that was never finished: it promises no samples, {there} bytes follow", hint
                )
            elif container.kind == "WAV" and _wrapped(container, there, self.size):
                self.warnings.append(
                    f"the header says {container.data_size} bytes of samples where {there} follow; all of them are used"
                )
                opened = Large(file, container, there)
            if container.data_size == UNKNOWN and there > UNKNOWN:
                opened = Large(file, container, there)
        elif container.kind == "OGG" and ogg_was_cut(file, self.size):
            self.warnings.append("does not end with a last page; it was cut, and what is there is used")
        if isinstance(opened, int):
            os.lseek(opened, 0, os.SEEK_SET)
        return sf.SoundFile(opened, closefd=False) if isinstance(opened, int) else sf.SoundFile(opened)

    def _warn_cut(self, promised: int, there: int) -> None:
        rate = self.sample_rate
        self.warnings.append(
            f"ends after {there / rate:.3f} s where its header promises {promised / rate:.3f} s; what is there is used"
        )


def exponent_for(peak: float) -> int:
    """Return the exponent of Audio with which samples of that peak fit single precision: 0 but for extreme ones."""
    return int(np.frexp(peak)[1]) if np.isfinite(peak) and peak > 0 and not 1 / FAR < peak < FAR else 0


def _wrapped(container: Container, there: int, size: int) -> bool:
    """Whether the size field of a WAV file passed 4 GiB and began again at zero."""
    assert container.data_size is not None
    return size > 1 << 32 and there - container.data_size >= (1 << 32) - (1 << 16)


@contextlib.contextmanager
def mute(kind: str) -> Iterator[None]:
    """Keep the MP3 decoder, which complains on its own, from writing to stderr."""
    if kind != "MP3":
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        held = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(held, 2)
            os.close(held)
