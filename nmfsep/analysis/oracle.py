"""Ideal masks of true stems: how well any mask at that STFT could do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..separation.masks import Parts
from ..signal.audio import Samples
from ..signal.stft import STFT
from ..signal.stream import Block, Window
from .scores import Real

FRAMES = 64  # transformed at a time


def ideal_stems(blocks: Iterable[Block], length: int, stft: STFT, mask: Callable[[Parts], None]) -> Iterator[Samples]:
    """Yield what masks made from the true stems themselves take out of the mixture, piece by piece.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (stems + 1, channels, samples)
        Consecutive pieces of the true stems and, last, of the mixture.
    length : int
        Samples of each.
    stft : STFT
    mask : callable
        Turns magnitudes (stems, frames, bins) into shares, in place.

    Yields
    ------
    ndarray, shape (stems, channels, samples)
        Consecutive pieces, which add up to `length` samples.
    """
    window, frames, hop = Window(blocks), stft.n_frames(length), stft.hop_length

    def masked() -> Iterator[Samples]:
        for start in range(0, frames, FRAMES):
            stop = min(frames, start + FRAMES)
            first = max(0, (start * hop - stft.n_fft // 2) // hop)  # the frame whose centre the stretch begins with
            sound = window.between(first * hop, (stop - 1) * hop + stft.n_fft // 2).astype(np.float32)
            signals, channels, _ = sound.shape
            S = stft.forward_block(sound.reshape(signals * channels, -1), start - first, stop - first)
            S = S.reshape(signals, channels, *S.shape[1:])
            shares = np.abs(S[:-1])
            for channel in range(channels):
                mask(shares[:, channel])
            stems = (shares * S[-1]).reshape(-1, *S.shape[2:])
            yield stft.inverse_block(stems).reshape(signals - 1, channels, -1)

    yield from stft.join(masked(), length)


def with_ideal_stems(blocks: Iterable[Block], length: int, stft: STFT, mask: Callable[[Parts], None]) -> Iterator[Real]:
    """Yield the true stems and after them their ideal estimates, (2 * stems, channels, samples), as `ideal_stems`."""
    queue: deque[Block] = deque()  # itertools.tee would hold on to dozens of blocks

    def ahead() -> Iterator[Block]:
        for block in blocks:
            queue.append(block)
            yield block

    def behind() -> Iterator[Block]:
        while queue:
            yield queue.popleft()

    truth, position = Window(behind()), 0
    for estimates in ideal_stems(ahead(), length, stft, mask):
        count = estimates.shape[-1]
        yield np.concatenate([truth.between(position, position + count)[:-1], estimates])
        position += count
