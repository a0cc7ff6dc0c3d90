"""Drawing frames at random from a mixture on disk, in one pass over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Matrix
from ..kernels.threads import Workers
from ..nmf.sampling import Sample
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT, Bins
from ..signal.stream import Stream

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


LOOK = 1024  # frames drawn from at a time
SPARSE = 8  # of so many frames less than one is transformed on its own


def draw(
    stream: Stream,
    stft: STFT,
    mode: str,
    frames: int,
    key: str,
    told: Callable[[int], object],
) -> list[Matrix]:
    """Return magnitudes of frames drawn at random, (frames, rows), of each part that channels are fitted in.

    `key` decides which they are, and `told` is called with the samples that have passed. Afterwards the length of the
    stream and its exponent are known.
    """
    while True:
        samples: list[Sample] = []
        for start, segment in segments(stream.pieces(), stft):
            parts = views(segment, mode)
            samples = samples or [Sample(len(part) * stft.bins, frames) for part in parts]
            count = 1 + (segment.shape[1] - stft.n_fft) // stft.hop_length
            for sample, part in zip(samples, parts, strict=True):
                sample.choose(key, start, count, _transformer(part, stft, count))
            told((start + count) * stft.hop_length)
        if not stream.settle():
            return [sample.rows() for sample in samples]


def stretches(
    stream: Stream, stft: STFT, mode: str, runs: int, run: int, told: Callable[[int], object]
) -> list[Matrix]:
    """Return magnitudes of so many evenly spaced runs of frames, (frames, rows), of each part; of all, if they are few.

    It takes a pass over the stream, whose length must be known; `told` is called with the samples that have passed.
    """
    frames = stft.n_frames(stream.length)
    starts = np.linspace(0, max(0, frames - run), runs).astype(np.intp)
    wanted = np.unique(np.minimum((starts[:, None] + np.arange(run)).ravel(), frames - 1))
    found: list[list[Matrix]] = []
    for start, segment in segments(stream.pieces(), stft):
        count = 1 + (segment.shape[1] - stft.n_fft) // stft.hop_length
        chosen = wanted[(wanted >= start) & (wanted < start + count)] - start
        parts = views(segment, mode)
        found = found or [[] for _ in parts]
        if len(chosen):
            for rows, part in zip(found, parts, strict=True):
                rows.append(_transformer(part, stft, count)(chosen))
        told((start + count) * stft.hop_length)
    return [np.concatenate(rows) for rows in found]


def segments(pieces: Iterator[Samples], stft: STFT) -> Iterator[tuple[int, Samples]]:
    """Yield the samples under LOOK frames after each other, with the number of the first; the last are fewer."""
    hop, half = stft.hop_length, stft.n_fft // 2
    held: Samples | None = None
    length = start = 0
    span = (LOOK - 1) * hop + stft.n_fft
    for piece in pieces:
        length += piece.shape[1]
        before = np.zeros((len(piece), half), np.float32) if held is None else held
        held = np.concatenate([before, piece], axis=1)
        while held.shape[1] >= span:
            yield start, held[:, :span]
            held = held[:, LOOK * hop :]
            start += LOOK
    assert held is not None
    while (left := stft.n_frames(length) - start) > 0:
        count = min(LOOK, left)
        short = (count - 1) * hop + stft.n_fft - held.shape[1]
        segment = np.pad(held, ((0, 0), (0, max(0, short))))
        yield start, segment[:, : (count - 1) * hop + stft.n_fft]
        held = held[:, count * hop :]
        start += count


def _transformer(samples: Samples, stft: STFT, count: int) -> Callable[[NDArray[np.intp]], Matrix]:
    """Return what gives the magnitudes of chosen frames of a segment, (frames, channels * bins)."""

    def magnitudes(chosen: NDArray[np.intp]) -> Matrix:
        if SPARSE * len(chosen) > count:
            S = stft.transform(samples)[:, chosen]
        else:
            starts = [int(frame) * stft.hop_length for frame in chosen]
            S = np.concatenate([stft.transform(samples[:, at : at + stft.n_fft]) for at in starts], axis=1)
        return np.abs(S).swapaxes(0, 1).reshape(len(chosen), -1)

    return magnitudes
