"""Sound that stays in its file: what Audio is, for those who take it from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .audio import Samples, not_finite
from .read import BLOCK, Source, exponent_for, mute

Block = NDArray[np.floating]


def blocks(source: Source, size: int = BLOCK) -> Iterator[NDArray[np.float64]]:
    """Yield a file from its beginning to its end, (channels, samples), at most `size` samples at a time.

    Raises
    ------
    InputError
        The file is damaged.
    """
    try:
        with mute(source.container.kind):
            source.seek(0)
        while True:
            with mute(source.container.kind):
                block = source.block(size)
            if not len(block):
                return
            yield block.T
    except (RuntimeError, OSError) as error:
        raise InputError("cannot be decoded to its end; it is damaged", path=source.path) from error


class Window:
    """A stretch of a stream of blocks, which only moves on.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (..., samples)
        Consecutive pieces of a signal, equal in all but the last axis.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._held: Block | None = None
        self._first = 0

    def between(self, start: int, stop: int) -> Block:
        """Return samples start to stop, fewer where the stream ends; nothing before `start` can be had again.

        No stretch may begin after the end of the one before it.
        """
        if self._held is None:
            self._held = next(self._blocks, np.empty(0))
        pieces = [self._held[..., start - self._first :]]
        have = pieces[0].shape[-1]
        while have < stop - start:
            block = next(self._blocks, None)
            if block is None:
                break
            pieces.append(block)
            have += block.shape[-1]
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
    sample_rate, channels : int
    exponent : int
        As that of Audio; right after `needs_another_pass`.
    samples : Tape
        What Audio.samples is, from the last `rewind` on.
    """

    def __init__(self, source: Source, offset: float = 0.0, duration: float | None = None) -> None:
        self._source = source
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

        Raises
        ------
        InputError
            The file is damaged, or holds no samples or some that are not finite.
        """
        length, peak, bad, first_bad = 0, 0.0, 0, 0
        pieces = self._source.pieces(self._first, self._count, -self.exponent)
        while True:
            try:
                with mute(self._source.container.kind):
                    piece, loudest = next(pieces, (None, 0.0))
            except (RuntimeError, OSError) as error:
                message = "cannot be decoded to its end; it is damaged"
                raise InputError(message, path=self._source.path) from error
            if piece is None:
                break
            peak = max(peak, loudest)
            with np.errstate(over="ignore", invalid="ignore"):
                if bad or not np.isfinite(piece.sum(dtype=np.float64)):
                    wrong = ~np.isfinite(piece)
                    if wrong.any() and not bad:
                        first_bad = length + int(np.flatnonzero(wrong.any(axis=0))[0])
                    bad += int(wrong.sum())
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
    """Samples (channels, n) that can be sliced like an array by those who go forward.

    Parameters
    ----------
    stream : Stream
        Settled.
    """

    def __init__(self, stream: Stream) -> None:
        self.shape: tuple[int, int] = (stream.channels, stream.length)
        self._pieces = stream.pieces()
        self._held = np.empty((stream.channels, 0), np.float32)
        self._start = self._floor = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: tuple[slice, slice]) -> Samples:
        """Return a stretch of all channels, none of it before what was released; tape[:, start:stop]."""
        start, stop, _ = key[1].indices(self.shape[1])
        while self._start + self._held.shape[1] < stop:
            # a new array, since others may still look at the old one
            self._held = np.concatenate([self._held[:, self._floor - self._start :], next(self._pieces)], axis=1)
            self._start = self._floor
        return self._held[:, start - self._start : max(start, stop) - self._start]

    def release(self, position: int) -> None:
        """Forget what is before a sample."""
        self._floor = min(position, self._start + self._held.shape[1])
