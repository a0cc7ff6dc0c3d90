"""Mixture: its identity, and the magnitudes of its frames, which are factorized.

What fits into memory is learned from whole. Of a mixture on disk, frames are drawn at random in one pass over it, or
evenly spaced excerpts are taken.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..grouping.atoms import sampled
from ..kernels.product import EPS, Matrix
from ..kernels.threads import Workers
from ..nmf.blockwise import Sample
from ..nmf.prepare import FLOOR
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, Bins
from ..signal.stream import Stream

Mixture = Audio | Stream
Channels = TypeVar("Channels", Samples, Bins)
LOOK = 1024  # frames drawn from at a time
SPARSE = 8  # of so many frames less than one is transformed on its own


@dataclass(frozen=True, slots=True)
class MixtureIdentity:
    """The sound that was factorized: the stretch of `length` samples of a file from sample `offset` on.

    `name` is that of the file, without folders; `sha256` is from `samples_sha256`; `to_end` says whether the stretch
    went to the end of the file.
    """

    name: str
    sha256: str
    sample_rate: int
    channels: int
    offset: int
    length: int
    to_end: bool

    @property
    def stretch(self) -> tuple[float, float | None]:
        """The offset and the duration to read it by, in seconds."""
        return self.offset / self.sample_rate, None if self.to_end else self.length / self.sample_rate


def identity_of(path: str, mixture: Mixture, offset: int, to_end: bool) -> MixtureIdentity:
    """Return the identity of a mixture, which was read from a file from some sample on."""
    name, digest = "-" if path == "-" else os.path.basename(path), samples_sha256(mixture)
    return MixtureIdentity(name, digest, mixture.sample_rate, mixture.channels, offset, mixture.length, to_end)


def samples_sha256(mixture: Mixture) -> str:
    """Return a hash of the samples, which tags and containers do not change."""
    while True:
        digest = hashlib.sha256()
        for piece in mixture.pieces():
            digest.update(np.ascontiguousarray(piece.T).astype("<f4", copy=False).data)
        if not mixture.needs_another_pass():
            break
    digest.update(f"{mixture.exponent} {mixture.channels} {mixture.length}".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Frames:
    """Magnitudes of the channels that are factorized together, (frames, rows), at about unit mean.

    The channels' bins lie one after the other, so that channels share Z and each has its own part of W: where a
    component lies between the channels is learned with it. What they were divided by is the power of two that
    `factorize` would divide out, so that it need not copy them.
    """

    Xt: Matrix
    scale: np.float32  # what they were divided by
    floor: np.float32  # the least entry


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


def draw(stream: Stream, stft: STFT, mode: str, frames: int, key: str, passed: Callable[[int], object]) -> list[Matrix]:
    """Return magnitudes of frames drawn at random, (frames, rows), of each part that channels are fitted in.

    `key` decides which they are, and `passed` is called with the samples that have passed. Afterwards the length of the
    stream and its exponent are known.
    """
    while True:
        samples: list[Sample] = []
        for start, count, parts in _looks(stream, stft, mode, passed):
            samples = samples or [Sample(len(part) * stft.bins, frames) for part in parts]
            for sample, part in zip(samples, parts, strict=True):
                sample.choose(key, start, count, partial(_magnitudes, part, stft, count))
        if not stream.needs_another_pass():
            return [sample.rows() for sample in samples]


def excerpts(stream: Stream, stft: STFT, mode: str, passed: Callable[[int], object]) -> Matrix:
    """Return magnitudes (frames, rows) of the frames that atoms are learned from, of channels together or their mean.

    The length of the stream must be known; `passed` is called with the samples that have passed.
    """
    wanted = sampled(stft.n_frames(stream.length))
    found = []
    for start, count, (part,) in _looks(stream, stft, mode, passed):
        chosen = wanted[(wanted >= start) & (wanted < start + count)] - start
        if len(chosen):
            found.append(_magnitudes(part, stft, count, chosen))
    return np.concatenate(found)


def _looks(
    stream: Stream, stft: STFT, mode: str, passed: Callable[[int], object]
) -> Iterator[tuple[int, int, list[Samples]]]:
    """Yield in one pass over a stream the first of some frames, how many they are, and the samples under each part."""
    for start, segment in segments(stream.pieces(), stft):
        count = 1 + (segment.shape[1] - stft.n_fft) // stft.hop_length
        yield start, count, views(segment, mode)
        passed((start + count) * stft.hop_length)


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


def _magnitudes(samples: Samples, stft: STFT, count: int, chosen: NDArray[np.intp]) -> Matrix:
    """Return the magnitudes of chosen frames of `count` in a segment, (frames, channels * bins)."""
    if SPARSE * len(chosen) > count:
        S = stft.transform(samples)[:, chosen]
    else:
        starts = [int(frame) * stft.hop_length for frame in chosen]
        S = np.concatenate([stft.transform(samples[:, at : at + stft.n_fft]) for at in starts], axis=1)
    return np.abs(S).swapaxes(0, 1).reshape(len(chosen), -1)
