"""Reading audio through libsndfile, after a look at what it is being given."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, install_command
from ..files import ffmpeg
from ..files.containers import Container, survey
from ..files.libsndfile import Chain, Decoder
from ..files.tags import Tags, read as read_tags
from ..files.view import USED, length_warning
from ..system import exists, read_at
from .audio import Audio


def open_input(path: str) -> BinaryIO:
    """Open a regular file, or copy a pipe or a remote file to a temporary one, so that one can go back in it.

    "-" is standard input; what has a scheme, such as s3://, is read through fsspec. Raise InputError where it is a
    folder, a device or an empty pipe, and OSError where it cannot be opened.
    """
    if path == "-":
        if sys.stdin is None:
            raise InputError("is closed")
        return _spool(sys.stdin.buffer)
    if is_url(path):
        return _fetch(path)
    mode = os.stat(os.fsencode(path)).st_mode
    if stat.S_ISDIR(mode):
        raise InputError("is a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise InputError("is a device, not a file")
    for fd in range(3):  # a closed stderr would give its descriptor to the input, and mute points it elsewhere
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    file = open(os.fsencode(path), "rb")  # noqa: SIM115 - the caller closes it
    if not stat.S_ISFIFO(mode):
        return file
    with file:
        return _spool(file)


def is_url(path: str) -> bool:
    """Whether a path is one of a remote file system; a local file of that name comes first."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None and not exists(path, follow=False)


def _fetch(url: str) -> BinaryIO:
    scheme = url.split(":")[0]
    try:
        import fsspec
    except ImportError as error:
        raise InputError(
            f"reading {scheme}:// needs fsspec", f"install it: {install_command('fsspec', extra='cluster')}"
        ) from error
    try:
        with fsspec.open(url, "rb") as remote:
            return _spool(remote)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"reading {scheme}:// needs a package: {error}", "install it") from error
    except Exception as error:  # each file system has errors of its own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"cannot be fetched: {reason[0][:200]}", "check the name and the permissions") from error


def _spool(pipe: BinaryIO) -> BinaryIO:
    spool = tempfile.TemporaryFile(prefix="nmfsep-")  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(pipe, spool, 1 << 20)
    spool.flush()
    if spool.tell() == 0:
        spool.close()
        raise InputError("no bytes came through")
    return spool


BLOCK = 1 << 16  # frames read at a time
HIGHEST = 1 << 24  # hertz; what is beyond is a damaged header
FAR = 2.0**32  # peaks beyond this, or below its inverse, are rescaled so that sums of powers fit single precision


def read(path: str | os.PathLike[str], offset: float = 0.0, duration: float | None = None) -> Audio:
    """Read a file, or a stretch of it, into memory.

    Parameters
    ----------
    path : path-like
        A file, a pipe or an address such as s3://; "-" is standard input.
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
    """An audio file open for reading; path and errors as for `read`.

    Attributes
    ----------
    sample_rate, channels : int
    subtype : str
        The sample format, in libsndfile's names: "PCM_16", "FLOAT", ...
    frames : int or None
        Samples per channel by the header; None where it does not say or cannot be believed.
    warnings : list of str
        What is odd about the file though it can be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            with contextlib.ExitStack() as opened:
                self._enter(opened)
                self._open = opened.pop_all()  # to stay so, since nothing was wrong
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error
        except OSError as error:
            raise InputError((error.strerror or str(error)).lower(), path=self.path) from error
        except RuntimeError as error:  # as all of soundfile's errors are
            hint = "it is damaged, or not what its first bytes say"
            raise InputError(f"cannot be decoded as {self.container.kind}", hint, self.path) from error

    def _enter(self, opened: contextlib.ExitStack) -> None:
        try:
            self._file = opened.enter_context(open_input(self.path))
        except OSError:  # some are ValueErrors, too
            raise
        except (ValueError, TypeError) as error:  # a NUL, or half a surrogate pair
            raise InputError("has a name that no file can have") from error
        self._opened = os.fstat(self._file.fileno())
        self.size = self._opened.st_size
        self._tags: Tags | None = None
        kind, subtype = ffmpeg.kind_of(self._file, self.size), ""
        if kind:
            spool, sound, subtype, self.warnings, self._tags = ffmpeg.decode(self._file, self.size, kind, self.path)
            opened.enter_context(spool)
            self.container, sounds = Container(kind[1]), [sound]
        else:
            self.container, sounds, self.warnings = survey(self._file, self.size)
        self._promise = "there should be" if any(view.altered for view in sounds) else "its header promises"
        with mute(self.container.kind):
            self._sound = opened.enter_context(Decoder(*sounds) if len(sounds) == 1 else Chain(sounds))
        self.sample_rate: int = self._sound.samplerate
        if not 1 <= self.sample_rate <= HIGHEST:
            raise InputError(f"has a sample rate of {self.sample_rate} Hz; 1 to {HIGHEST} can be read")
        self.channels: int = self._sound.channels
        self.subtype: str = subtype or self._sound.subtype
        # no codec that passes makes more than some thousand samples of a byte
        believed = 0 <= self._sound.frames <= max(1, self.size) << 12
        self.frames: int | None = self._sound.frames if believed else None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):  # a buffer that libsndfile moved under cannot find back; nothing was written
            self._open.close()

    @contextlib.contextmanager
    def decoding(self) -> Iterator[None]:
        """Keep the decoder quiet, and raise InputError with the path where what it reads is damaged or refused."""
        try:
            with mute(self.container.kind):
                yield
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error
        except (RuntimeError, OSError) as error:
            raise InputError("cannot be decoded to its end; it is damaged", path=self.path) from error

    def sha256(self) -> str:
        """Return the hash of the bytes that are read, whatever has become of their name; refuse what has changed."""
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

    def tags(self) -> Tags:
        """Return what the file says of its sound besides the samples."""
        if self._tags is None:
            with self.decoding():
                self._tags = read_tags(self._file, self.size, self.container)
        return self._tags

    def stretch(self, offset: float = 0.0, duration: float | None = None) -> tuple[int, int | None]:
        """Return first sample and number of samples of a stretch in seconds; refuse one that begins after the end."""
        first = round(offset * self.sample_rate)
        if self.frames is not None and 0 < self.frames <= first:
            message = f"ends at {self.frames / self.sample_rate:.3f} s, before --offset {offset:g}"
            raise InputError(message, path=self.path)
        return first, None if duration is None else max(1, round(duration * self.sample_rate))

    def read(self, offset: float = 0.0, duration: float | None = None) -> Audio:
        """Read the file, or a stretch of it given in seconds."""
        first, count = self.stretch(offset, duration)
        with self.decoding():
            samples, peak = self._samples(first, count, 0)
            exponent = exponent_for(peak)
            if exponent:
                samples, _ = self._samples(first, count, -exponent)
            if samples.shape[1] == 0:
                raise InputError("holds no samples")
            return Audio(samples, self.sample_rate, exponent)

    def seek(self, frame: int) -> None:
        """Go to a sample."""
        self._sound.seek(frame)

    def block(self, count: int, dtype: str = "float64") -> NDArray[Any]:
        """Return the next samples, (samples, channels), at most `count`."""
        samples: NDArray[Any] = self._sound.read(count, dtype=dtype, always_2d=True)
        return samples

    def integers(self, count: int) -> NDArray[np.int32]:
        """Return the next samples, (channels, samples), as 32-bit integers, shorter formats left-justified."""
        return self.block(count, "int32").T

    def _samples(self, first: int, count: int | None, power: int) -> tuple[NDArray[np.float32], float]:
        """Return samples (channels, n) times 2**power, and the largest magnitude before scaling."""
        wanted = self.expected(first, count)
        pieces: list[NDArray[np.float32]] = []
        # nothing takes memory by its claim alone; what expands as much as this is silence, or is not there
        believed = wanted is not None and wanted * self.channels <= max(1 << 24, 16 * self.size)
        whole = np.empty((self.channels, wanted), np.float32) if wanted is not None and believed else None
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
        floating, wanted = self._sound.subtype in ("FLOAT", "DOUBLE"), self.expected(first, count)
        self._sound.seek(first)
        position, peak = 0, 0.0
        while wanted is None or position < wanted:
            size = BLOCK if wanted is None else min(BLOCK, wanted - position)
            if self.subtype == "PCM_32" and self._sound.tell() != first + position:  # read as integers in between
                self._sound.seek(first + position)
            block = self.block(size, "float64" if floating else "float32")
            if not len(block):
                break
            if floating:
                peak = float(np.abs(block).max())
                with np.errstate(over="ignore", invalid="ignore"):
                    block = (np.ldexp(block, power) if power else block).astype(np.float32)
            position += len(block)
            yield block.T, peak
        if wanted is not None and position < wanted:
            self.warn_cut(first + wanted, first + position)

    def warn_cut(self, promised: int, there: int) -> None:
        """Say that there are fewer samples than were promised, unless that is said already."""
        if not any(USED in warning for warning in self.warnings):
            self.warnings.append(length_warning(promised / self.sample_rate, there / self.sample_rate, self._promise))


def exponent_for(peak: float) -> int:
    """Return the exponent of Audio with which samples of that peak fit single precision: 0 but for extreme ones."""
    return int(np.frexp(peak)[1]) if np.isfinite(peak) and peak > 0 and not 1 / FAR < peak < FAR else 0


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
