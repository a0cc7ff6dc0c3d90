"""Files to be compared: found, opened together, held to be alike, and read side by side."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np

from ..access import require_readable
from ..errors import InputError, UsageError
from ..inputs import look
from ..naming import track_name
from ..signal.audio import not_finite
from ..signal.read import BLOCK, FAR, Source
from ..signal.stream import blocks
from .correlations import Real


def find(paths: Sequence[str], mixture: str | None = None) -> list[str]:
    """Return files, and in place of a folder the audio files in it, sorted by name.

    Parameters
    ----------
    paths : sequence of str
        "-" is standard input.
    mixture : str, optional
        A file that is left out where a folder holds it.

    Raises
    ------
    UsageError
        A path cannot be opened, a folder holds no audio, or two files have one name but for their folder and extension.
    """
    found: list[str] = []
    for path in paths:
        if path == "-" or not os.path.isdir(os.fsencode(path)):
            require_readable(path)
            found.append(path)
            continue
        files = [entry.path for entry in look(path, deep=False, products=True).inputs]
        inside = [file for file in files if not _is_same(file, mixture)]
        if not inside:
            raise UsageError("holds no audio files", "name the folder that the stems themselves lie in", path)
        found += inside
    names = Counter(track_name(path) for path in found)
    for path in found:
        if names[track_name(path)] > 1:
            raise UsageError(f"is one of {names[track_name(path)]} files called {track_name(path)!r}", "keep one", path)
    return found


class Tracks:
    """Files of one sample rate and number of channels, open for reading; a context manager.

    Parameters
    ----------
    paths : sequence of str

    Attributes
    ----------
    sample_rate, channels : int
    length : int
        Samples of each, once `survey` has been through them.
    warnings : list of str
        What is odd about a file though it can be read.

    Raises
    ------
    InputError
        A file cannot be read.
    UsageError
        Sample rates or numbers of channels differ.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        self.length, self.warnings = 0, list[str]()
        self._scale = 1.0
        with contextlib.ExitStack() as stack:
            self._sources = [stack.enter_context(Source(path)) for path in self.paths]
            first = self._sources[0]
            self.sample_rate, self.channels = first.sample_rate, first.channels
            for source in self._sources[1:]:
                if source.sample_rate != first.sample_rate:
                    message = f"has {source.sample_rate} Hz, where {first.path!r} has {first.sample_rate} Hz"
                    raise UsageError(
                        message, f"convert it first, as with 'sox IN -r {first.sample_rate} OUT'", source.path
                    )
                if source.channels != first.channels:
                    message = f"has {_count(source.channels)}, where {first.path!r} has {_count(first.channels)}"
                    raise UsageError(message, "convert one of them first, as with 'sox IN -c 1 OUT'", source.path)
            self._open = stack.pop_all()

    def __enter__(self) -> Tracks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def survey(self, trim: bool = False) -> None:
        """Read every file once: how long and how loud it is, and that its samples are numbers.

        Parameters
        ----------
        trim : bool, default False
            Whether files may differ in length; the shortest then decides.

        Raises
        ------
        InputError
            A file holds no samples, or some that are not finite.
        UsageError
            Lengths differ.
        """
        lengths, loudest = [], 0.0
        for source in self._sources:
            length, peak = _measure(source)
            lengths.append(length)
            loudest = max(loudest, peak)
            self.warnings += [f"{track_name(source.path)}: {warning}" for warning in source.warnings]
        for path, length in zip(self.paths, lengths, strict=True):
            if length != lengths[0] and not trim:
                message = f"has {length} samples, where {self.paths[0]!r} has {lengths[0]}"
                raise UsageError(message, "use --trim to compare as far as both go", path)
        self.length = min(lengths)
        if loudest > 0 and not 1 / FAR < loudest < FAR:  # squares would leave the range of numbers
            self._scale = 2.0 ** -int(np.frexp(loudest)[1])

    def blocks(self, indices: Sequence[int]) -> Iterator[Real]:
        """Yield some of the files side by side, (files, channels, samples), to their common length."""
        streams = [blocks(self._sources[index]) for index in indices]
        for start in range(0, self.length, BLOCK):
            count = min(BLOCK, self.length - start)
            block = np.zeros((len(streams), self.channels, count))
            for row, stream, index in zip(block, streams, indices, strict=True):
                samples = next(stream, row[:, :0])
                if samples.shape[1] < count:
                    raise InputError("has become shorter while it was read", path=self.paths[index])
                np.multiply(samples[:, :count], self._scale, out=row)
            yield block


def _measure(source: Source) -> tuple[int, float]:
    """Return length and peak of a file of finite samples."""
    length, bad, first, peak = 0, 0, 0, 0.0
    for block in blocks(source):
        finite = np.isfinite(block)
        if not finite.all():
            first = first if bad else length + int(np.flatnonzero(~finite.all(axis=0))[0])
            bad += int((~finite).sum())
        else:
            peak = max(peak, float(np.abs(block).max()))
        length += block.shape[1]
    if bad:
        error = not_finite(bad, first / source.sample_rate)
        raise InputError(error.message, error.hint, source.path)
    if length == 0:
        raise InputError("holds no samples", path=source.path)
    if source.frames is not None and length < source.frames:
        source.warn_cut(source.frames, length)
    return length, peak


def _is_same(path: str, other: str | None) -> bool:
    there = other not in (None, "-") and os.path.exists(os.fsencode(path))
    return there and os.path.samefile(os.fsencode(path), os.fsencode(str(other)))


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
