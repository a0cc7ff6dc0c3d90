"""Magnitudes of a mixture, which are factorized: of all of its frames, or of those that are learned from.

What fits into memory is learned from whole. Of a mixture on disk, frames are drawn at random in one pass over it, or
evenly spaced runs of frames are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import EPS, Matrix
from ..kernels.threads import Workers
from ..nmf.prepare import FLOOR
from ..nmf.sampling import Sample
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, Bins
from ..signal.stream import Stream

Mixture = Audio | Stream
Channels = TypeVar("Channels", Samples, Bins)
LOOK = 1024  # frames drawn from at a time
SPARSE = 8  # of so many frames less than one is transformed on its own


@dataclass(frozen=True, slots=True)
class Frames:
    """Magnitudes of the channels that are factorized together, at about unit mean.

    Attributes
    ----------
    Xt : ndarray, shape (frames, rows)
        The channels' bins one after the other, so that channels share Z and each has its own part of W: where a
        component lies between the channels is learned with it.
    scale : float32
        What the magnitudes were divided by: the power of two that `factorize` would divide out, so that it need not
        copy them.
    floor : float32
        The least entry.
    """

    Xt: Matrix
    scale: np.float32
    floor: np.float32


def views(samples: Channels, mode: str) -> list[Channels]:
    """Return what is factorized on its own: all channels together, their mean, or each channel.

    `samples` is (channels, ...), as are what is returned; transforms of samples are taken apart in the same way.
    """
    if mode == "independent":
        return list(samples[:, None])
    return [samples.mean(axis=0, keepdims=True)] if mode == "mid" else [samples]


def all_frames(samples: Samples, stft: STFT, threads: int | None = None) -> Frames:
    """Return the magnitudes of all frames of samples (channels, samples)."""
    channels, length = samples.shape
    frames = stft.n_frames(length)
    Xt = np.empty((frames, channels, stft.bins), np.float32)

    def fill(start: int) -> float:
        block = Xt[start : start + BLOCK]
        np.abs(stft.forward_block(samples, start, start + len(block)).swapaxes(0, 1), out=block)
        return float(block.sum(dtype=np.float64))

    with Workers(threads) as workers:
        total = sum(workers.map(fill, range(0, frames, BLOCK)))
    scale = _unit(total / Xt.size)
    if scale != 1:
        Xt /= scale
    return Frames(Xt.reshape(frames, -1), scale, np.float32(0))


def some_frames(rows: Matrix, known: int, beta: float) -> Frames:
    """Return magnitudes (frames, rows) brought to about unit mean in place, by their first `known` rows."""
    own = rows[:, :known]
    scale = _unit(float(own.mean(dtype=np.float64)))
    rows /= scale
    if beta > 0:
        return Frames(rows, scale, np.float32(0))
    floor = np.float32(max(own.max() * np.float32(FLOOR), EPS))
    np.maximum(own, floor, out=own)
    return Frames(rows, scale, floor)


def _unit(mean: float) -> np.float32:
    """Return the power of two next to a mean."""
    return np.float32(2.0 ** np.frexp(mean)[1] if mean > 0 else 1)


def draw(
    stream: Stream,
    stft: STFT,
    mode: str,
    frames: int,
    key: str,
    passed: Callable[[int], object],
) -> list[Matrix]:
    """Return magnitudes of frames drawn at random, (frames, rows), of each part that channels are fitted in.

    `key` decides which they are, and `passed` is called with the samples that have passed. Afterwards the length of the
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
            passed((start + count) * stft.hop_length)
        if not stream.needs_another_pass():
            return [sample.rows() for sample in samples]


def magnitudes_of(S: Bins) -> Matrix:
    """Return the magnitudes of transforms (channels, frames, bins) as rows, (frames, channels * bins)."""
    return np.abs(S).swapaxes(0, 1).reshape(S.shape[1], -1)


def covariances_of(S: Bins, merge: Callable[[Matrix], Matrix]) -> Matrix:
    """Return P11, P22, Re P12 and Im P12 of transforms (2, frames, bins), merged into bands: (frames, 4 * bands)."""
    cross = S[0] * S[1].conj()
    entries = [np.square(S[0].real) + np.square(S[0].imag), np.square(S[1].real) + np.square(S[1].imag)]
    return np.concatenate([merge(entry) for entry in (*entries, cross.real, cross.imag)], axis=1)


def runs_of_frames(
    stream: Stream,
    stft: STFT,
    mode: str,
    runs: int,
    run: int,
    passed: Callable[[int], object],
    rows_of: Callable[[Bins], Matrix] = magnitudes_of,
) -> list[Matrix]:
    """Return magnitudes of so many evenly spaced runs of frames, (frames, rows), of each part; of all, if they are few.

    It takes a pass over the stream, whose length must be known; `passed` is called with the samples that have passed.
    What `rows_of` makes of transforms (channels, frames, bins) takes the place of magnitudes.
    """
    wanted = evenly_spaced(stft.n_frames(stream.length), runs, run)
    found: list[list[Matrix]] = []
    for start, segment in segments(stream.pieces(), stft):
        count = 1 + (segment.shape[1] - stft.n_fft) // stft.hop_length
        chosen = wanted[(wanted >= start) & (wanted < start + count)] - start
        parts = views(segment, mode)
        found = found or [[] for _ in parts]
        if len(chosen):
            for rows, part in zip(found, parts, strict=True):
                rows.append(_transformer(part, stft, count, rows_of)(chosen))
        passed((start + count) * stft.hop_length)
    return [np.concatenate(rows) for rows in found]


def evenly_spaced(frames: int, runs: int, run: int) -> NDArray[np.intp]:
    """Return the numbers of the frames in so many evenly spaced runs of so many; of all frames, if they are few."""
    starts = np.linspace(0, max(0, frames - run), runs).astype(np.intp)
    return np.unique(np.minimum((starts[:, None] + np.arange(run)).ravel(), frames - 1))


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


def _transformer(
    samples: Samples, stft: STFT, count: int, rows_of: Callable[[Bins], Matrix] = magnitudes_of
) -> Callable[[NDArray[np.intp]], Matrix]:
    """Return what gives the magnitudes of chosen frames of a segment, (frames, channels * bins)."""

    def rows(chosen: NDArray[np.intp]) -> Matrix:
        if SPARSE * len(chosen) > count:
            S = stft.transform(samples)[:, chosen]
        else:
            starts = [int(frame) * stft.hop_length for frame in chosen]
            S = np.concatenate([stft.transform(samples[:, at : at + stft.n_fft]) for at in starts], axis=1)
        return rows_of(S)

    return rows
