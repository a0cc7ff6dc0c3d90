"""Rendering of stems, a block of frames at a time: each mask times the mixture's transform, and its inverse."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels.threads import Workers
from ..signal.audio import Samples
from ..signal.stft import STFT, Bins
from ..signal.stream import Tape
from .components import Components
from .masks import Parts

BLOCK = 1 << 21  # entries of all stems' models in a block of frames that is rendered
SHORTEST = 32  # frames in a block at the least, so that what overlaps the next block stays a small part of it

# A filter shares the mixture out. It takes a block of it, (channels, frames, bins), and the components there. For each
# channel it yields the transforms, (frames, bins), of all stems but the first, which is what they leave.
Filter = Callable[[Bins, Components], Iterator[Iterator[Bins]]]


@dataclass(frozen=True, slots=True)
class Masking:
    """A filter of one mask for each channel and stem."""

    mask: Callable[[Parts], None]

    def __call__(self, mixture: Bins, model: Components) -> Iterator[Iterator[Bins]]:
        """Yield the masked mixture."""
        for channel, S in enumerate(mixture):
            shares = model.parts(channel, S)
            self.mask(shares)
            yield (S * mine for mine in shares[1:])


def block_frames(stems: int, channels: int, bins: int) -> int:
    """Return the frames rendered at a time."""
    return max(SHORTEST, min(256, BLOCK // (stems * channels * bins)))


def inverse(
    samples: Samples | Tape, stft: STFT, stems: Components, filter: Filter, workers: Workers
) -> Iterator[Samples]:
    """Filter every stem out of the mixture and transform back.

    Parameters
    ----------
    samples : ndarray or Tape, shape (channels, samples)
        The mixture.
    stft : STFT
    stems : Components
    filter : callable
        A Filter.
    workers : Workers
        Entered.

    Yields
    ------
    ndarray, shape (stems, channels, samples)
        Consecutive pieces of the stems. They add up to the mixture because the first stem is what the others leave:
        one inverse transform fewer, and no sum can be more exact.
    """
    channels, length = samples.shape
    frames = stft.n_frames(length)
    size = block_frames(stems.count, channels, stft.bins)

    def others(block: tuple[int, Samples]) -> Samples:
        """Overlap-added samples of all stems but the first, (stems - 1, channels, samples)."""
        start, segment = block
        S = stft.transform(segment)
        count = S.shape[1]
        out = np.empty((stems.count - 1, channels, (count + stft.overlap - 1) * stft.hop_length), np.float32)
        for channel, shares in enumerate(filter(S, stems.at(start, start + count, S))):
            for stem, bins in enumerate(shares):
                out[stem, channel] = stft.inverse_block(bins[None])[0]
        return out

    def blocks() -> Iterator[Samples]:
        # one block ahead for each thread, so that they stay busy while the caller writes
        ahead: deque[Callable[[], Samples]] = deque()
        for start in range(0, frames, size):
            segment = stft.segment(samples, start, min(frames, start + size))
            ahead.append(workers.submit(others, (start, segment)))
            if len(ahead) > workers.threads:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()

    position = 0
    for piece in stft.join(blocks(), length):
        count = piece.shape[-1]
        sound = np.empty((stems.count, channels, count), np.float32)
        sound[1:] = piece
        np.subtract(samples[:, position : position + count], piece.sum(axis=0), out=sound[0])
        position += count
        yield sound


def mean(samples: Samples | Tape, streams: Sequence[Iterator[Samples]]) -> Iterator[Samples]:
    """Yield the mean of streams of stems that are cut into pieces differently; the first stem is what others leave."""
    rest: list[Samples] = [np.empty((1, len(samples), 0), np.float32)] * len(streams)
    position = 0
    while position < samples.shape[1]:
        rest = [piece if piece.shape[-1] else next(stream) for piece, stream in zip(rest, streams, strict=True)]
        count = min(piece.shape[-1] for piece in rest)
        stems: Samples = rest[0][..., :count].copy()
        for piece in rest[1:]:
            stems += piece[..., :count]
        stems /= np.float32(len(rest))
        np.subtract(samples[:, position : position + count], stems[1:].sum(axis=0), out=stems[0])
        rest = [piece[..., count:] for piece in rest]
        position += count
        yield stems
