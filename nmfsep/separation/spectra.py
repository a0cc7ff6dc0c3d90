"""Magnitudes of sound as the matrices that are factorized."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ..nmf.factors import Matrix
from ..nmf.kernels.workers import Workers
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT, Bins

Channels = TypeVar("Channels", Samples, Bins)


def magnitudes(samples: Samples, stft: STFT, threads: int | None = None) -> tuple[Matrix, np.float32]:
    """Return X / scale, and scale.

    X holds the channels' magnitudes one above the other, (channels * bins, frames), so that channels share Z and each
    has its own part of W: where a component lies between the channels is learned with it. The scale is the power of
    two that `factorize` would divide out, so that it need not copy X; it is in Fortran order for the same reason.
    """
    channels, length = samples.shape
    frames = stft.n_frames(length)
    Xt = np.empty((frames, channels, stft.bins), np.float32)

    def fill(start: int) -> float:
        block = Xt[start : start + BLOCK]
        np.abs(stft.forward_block(samples, start, start + len(block)).swapaxes(0, 1), out=block)
        return float(block.sum(dtype=np.float64))

    with Workers(threads) as workers:
        total = sum(workers.map(fill, range(0, frames, BLOCK)))
    scale = np.float32(2.0 ** np.frexp(total / Xt.size)[1] if total > 0 else 1)
    if scale != 1:
        Xt /= scale
    return Xt.reshape(frames, -1).T, scale


def mean_magnitudes(samples: Samples, stft: STFT, start: int, stop: int) -> Matrix:
    """Return the magnitudes of frames start to stop, the mean over channels, (frames, bins).

    The mean is taken of magnitudes, not of samples, in which channels out of phase would cancel.
    """
    each: Matrix = np.abs(stft.forward_block(samples, start, stop))
    means: Matrix = each[0] if len(each) == 1 else each.mean(axis=0)
    return means


def views(samples: Channels, mode: str) -> list[Channels]:
    """Return what is factorized on its own: all channels together, their mean, or each channel.

    `samples` is (channels, ...), as are what is returned; transforms of samples are taken apart in the same way.
    """
    if mode == "independent":
        return list(samples[:, None])
    return [samples.mean(axis=0, keepdims=True)] if mode == "mid" else [samples]
