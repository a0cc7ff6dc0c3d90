"""Sound that stays in its file: what Audio is, for those who take it from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .audio import Samples, not_finite, wrong_samples
from .read import BLOCK, Source, exponent_for

Block = NDArray[np.floating]


def blocks(source: Source, size: int = BLOCK) -> Iterator[NDArray[np.float64]]:
    """Yield a file from its beginning to its end, (channels, samples), at most `size` samples at a time."""
    with source.decoding():
        source.seek(0)
    while True:
        with source.decoding():
            block = source.block(size)
        if not len(block):
            return
        yield block.T


class Window:
    """A stretch of a stream of blocks (..., samples), which only moves on."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._held: Block | None = None
        self._first = 0

    @property
    def end(self) -> int:
        """Samples that have been read."""
        return self._first + (0 if self._held is None else self._held.shape[-1])

    def between(self, start: int, stop: int) -> Block:
        """Return samples start to stop, fewer where the stream ends; nothing before `start` can be had again.

        No stretch may begin after the end of the one before it.
        """
        if self._held is None:
            self._held = next(self._blocks, np.empty(0))
        pieces = [self._held[..., start - self._first :]]
        have = pieces[0].shape[-1]
        while have < stop - start and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            have += block.shape[-1]
        # a new array, since others may still look at the old one
        self._held = np.concatenate(pieces, axis=-1) if len(pieces) > 1 else pieces[0]
        self._first = start
        return self._held[..., : stop - start]


class Stream:
    """A stretch of a file, read again for each pass over it.

    Parameters
    ----------
    source : Source
        Open as long as the stream is used.
    offset, duration : float, optional
        Seconds; the whole file if not given.

    Attributes
    ----------
    path : str
    sample_rate, channels : int
    exponent : int
        As that of Audio; right after `needs_another_pass`.
    samples : Tape
        What Audio.samples is, from the last `rewind` on.
    """

    def __init__(self, source: Source, offset: float = 0.0, duration: float | None = None) -> None:
        self._source, self.path = source, source.path
        self._first, self._count = source.stretch(offset, duration)
        self._length, self._peak = 0, 0.0
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self.exponent = 0
        self.samples: Tape

    @property
    def length(self) -> int:
        """Samples per channel: those that the last pass saw, before the first what the header promises."""
        return self._length or self._source.expected(self._first, self._count) or 0

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.sample_rate

    def pieces(self) -> Iterator[Samples]:
        """Yield all samples from the beginning on, in pieces (channels, samples).

        Raise InputError where the file is damaged, or holds no samples or some that are not finite.
        """
        length, peak, bad, first_bad = 0, 0.0, 0, 0
        pieces = self._source.pieces(self._first, self._count, -self.exponent)
        while True:
            with self._source.decoding():
                piece, loudest = next(pieces, (None, 0.0))
            if piece is None:
                break
            peak = max(peak, loudest)
            count, place = wrong_samples(piece)
            first_bad = first_bad if bad else length + place
            bad += count
            length += piece.shape[1]
            if not bad:  # else only counted
                yield piece
        if bad and not exponent_for(peak) - self.exponent:
            found = not_finite(bad, first_bad / self.sample_rate)
            raise InputError(found.message, found.hint, self._source.path)
        if not length:
            raise InputError("holds no samples", path=self._source.path)
        self._length, self._peak = length, peak

    def needs_another_pass(self) -> bool:
        """Return whether the pass just done has to be done again, since it showed that another exponent is needed."""
        before, self.exponent = self.exponent, exponent_for(self._peak)
        return self.exponent != before

    def rewind(self) -> None:
        """Begin a pass over `samples`; the length must be known, from a pass over `pieces`."""
        self.samples = Tape(self)

    def release(self, position: int) -> None:
        """Forget what is before a sample."""
        self.samples.release(position)


class Tape:
    """Samples (channels, n) of a stream of known length, that can be sliced like an array by those who go forward."""

    def __init__(self, stream: Stream) -> None:
        self.shape: tuple[int, int] = (stream.channels, stream.length)
        self._window, self._path = Window(stream.pieces()), stream.path
        self._floor = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: tuple[slice, slice]) -> Samples:
        """Return a stretch of all channels, none of it before what was released; tape[:, start:stop]."""
        start, stop, _ = key[1].indices(self.shape[1])
        held: Samples = self._window.between(self._floor, max(start, stop))
        if self._window.end < stop:
            raise InputError("has become shorter while it was read", path=self._path)
        return held[:, start - self._floor :]

    def release(self, position: int) -> None:
        """Forget what is before a sample."""
        self._floor = min(position, self._window.end)
