"""Short-time Fourier transform with an exact inverse, whole or in blocks of frames.

Frames are centred as in librosa: frame t is the n_fft samples around sample t * hop_length, zeros outside the signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import UsageError
from .audio import Audio, Samples

Frames = NDArray[np.float32]
Bins = NDArray[np.complex64]


class Sliced(Protocol):
    """Samples of which stretches can be had, samples[:, start:stop]: an array, or what reads them from a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Samples: ...


BLOCK = 256  # frames transformed at a time by the whole-signal calls: a few MB, which stays in cache


@lru_cache(maxsize=8)
def window_samples(name: str, n_fft: int) -> NDArray[np.float64]:
    """Return the periodic window of that name, read-only, shape (n_fft,); raise UsageError if there is none."""
    if name == "hann":  # written out, since scipy.signal takes longer to import than a short file to separate
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    else:
        from scipy.signal import get_window

        try:
            taper = get_window(name, n_fft)
        except ValueError as error:
            raise UsageError(f"window {name!r} is unknown") from error
    taper.flags.writeable = False
    return taper


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """The STFT of a signal."""

    values: Bins  # (channels, bins, frames)
    length: int  # samples of the signal it came from, which the inverse gives back
    sample_rate: int  # hertz


@dataclass(frozen=True, slots=True)
class STFT:
    """A short-time Fourier transform.

    Parameters
    ----------
    n_fft : int, default 2048
        Samples in a frame.
    hop_length : int, default n_fft // 4
        Samples between frames, at most n_fft // 2.
    window : str, default "hann"
        Taper, for analysis and again for synthesis.

    Raises
    ------
    UsageError
        The frames do not overlap enough, or the window leaves samples uncovered, so there is no exact inverse.
    """

    n_fft: int = 2048
    hop_length: int = 0
    window: str = "hann"

    def __post_init__(self) -> None:
        if self.hop_length == 0:
            object.__setattr__(self, "hop_length", max(1, self.n_fft // 4))
        if self.n_fft < 4 or self.n_fft % 2:
            raise UsageError(f"n_fft {self.n_fft} is not an even number of at least 4 samples")
        if not 1 <= self.hop_length <= self.n_fft // 2:
            raise UsageError(f"hop_length {self.hop_length} is not between 1 and half of n_fft {self.n_fft}")
        if self._overlap_sum().min() < 1e-3:
            raise UsageError(f"window {self.window!r} with hop_length {self.hop_length} leaves samples uncovered")

    @property
    def bins(self) -> int:
        """Frequency bins of a frame."""
        return self.n_fft // 2 + 1

    def frequencies(self, sample_rate: int) -> NDArray[np.float64]:
        """Return the frequency of each bin in hertz."""
        return np.arange(self.bins, dtype=np.float64) * (sample_rate / self.n_fft)

    @property
    def overlap(self) -> int:
        """Steps of hop_length that a frame spans."""
        return -(-self.n_fft // self.hop_length)

    def n_frames(self, length: int) -> int:
        """Return the number of frames of a signal of that many samples.

        As many as librosa's, and one more where the last samples would lie under the very end of the last window.
        """
        frames = 1 + length // self.hop_length
        last = np.array([length - 1 + self.n_fft // 2])
        return frames + bool(self._covered(last, frames)[0] < 0.03 * self._overlap_sum().min())

    def forward(self, audio: Audio) -> Spectrogram:
        """Transform a whole signal."""
        frames = self.n_frames(audio.length)
        values = np.empty((audio.channels, frames, self.bins), np.complex64)
        for start in range(0, frames, BLOCK):
            stop = min(frames, start + BLOCK)
            values[:, start:stop] = self.forward_block(audio.samples, start, stop)
        return Spectrogram(values.swapaxes(1, 2), audio.length, audio.sample_rate)

    def forward_block(self, samples: Sliced, start: int, stop: int) -> Bins:
        """Transform frames start to stop of samples (channels, samples) into (channels, frames, bins)."""
        return self.transform(self.segment(samples, start, stop))

    def segment(self, samples: Sliced, start: int, stop: int) -> Samples:
        """Return the samples under frames start to stop, with zeros where those reach beyond the signal."""
        length = samples.shape[1]
        first = start * self.hop_length - self.n_fft // 2
        last = (stop - 1) * self.hop_length - self.n_fft // 2 + self.n_fft
        segment = samples[:, max(0, first) : min(length, last)]
        if first < 0 or last > length:
            segment = np.pad(segment, ((0, 0), (max(0, -first), max(0, last - length))))
        return segment

    def transform(self, segment: Samples) -> Bins:
        """Transform all frames that lie within a segment (channels, samples) into (channels, frames, bins)."""
        # rfft is several times faster with norm="forward", where it scales in single precision; the window undoes it.
        taper = (window_samples(self.window, self.n_fft) * self.n_fft).astype(np.float32)
        frames = sliding_window_view(segment, self.n_fft, axis=1)[:, :: self.hop_length] * taper
        out = np.empty((*frames.shape[:2], self.bins), np.complex64)
        np.fft.rfft(frames, axis=-1, norm="forward", out=out)
        return out

    def inverse(self, spectrogram: Spectrogram) -> Audio:
        """Transform back by weighted overlap-add; the exact inverse of forward."""
        values = spectrogram.values.swapaxes(1, 2)
        blocks = (self.inverse_block(values[:, at : at + BLOCK]) for at in range(0, values.shape[1], BLOCK))
        joined = np.concatenate(list(self.join(blocks, spectrogram.length)), axis=-1)
        return Audio(joined, spectrogram.sample_rate)

    def inverse_block(self, values: Bins) -> Samples:
        """Turn frames (channels, frames, bins) into overlap-added samples (channels, (frames + overlap - 1) * hop)."""
        channels, frames, _ = values.shape
        hop, steps = self.hop_length, self.overlap
        pieces = np.empty((channels, frames, self.n_fft), np.float32)
        np.fft.irfft(values, self.n_fft, axis=-1, out=pieces)  # type: ignore[arg-type] # numpy's stub lacks float32
        pieces *= synthesis_window(self)
        if steps * hop != self.n_fft:
            pieces = np.pad(pieces, ((0, 0), (0, 0), (0, steps * hop - self.n_fft)))
        summed = np.zeros((channels, frames + steps - 1, hop), np.float32)
        for step in range(steps):
            summed[:, step : step + frames] += pieces[:, :, step * hop : (step + 1) * hop]
        return summed.reshape(channels, -1)

    def join(self, blocks: Iterator[Samples], length: int) -> Iterator[Samples]:
        """Yield `length` samples in pieces, joined from consecutive results of inverse_block, each (..., samples).

        How the frames were cut into blocks changes no more than rounding.
        """
        hop, tail = self.hop_length, (self.overlap - 1) * self.hop_length
        total = self.n_frames(length)
        carry: Samples | None = None
        frame = 0
        for block in blocks:
            if carry is not None:
                block[..., :tail] += carry
            frames = block.shape[-1] // hop - self.overlap + 1
            keep = block.shape[-1] if frame + frames == total else frames * hop
            carry = block[..., keep:].copy()
            begin = frame * hop - self.n_fft // 2  # where this block begins in the signal
            piece = block[..., max(0, -begin) : min(keep, length - begin)]
            yield self._correct_edges(piece, max(0, begin), total)
            frame += frames

    def _overlap_sum(self) -> NDArray[np.float64]:
        """Sum of the squared windows over one hop, where all frames overlap."""
        squared = np.zeros(self.overlap * self.hop_length)
        squared[: self.n_fft] = window_samples(self.window, self.n_fft) ** 2
        total: NDArray[np.float64] = squared.reshape(self.overlap, self.hop_length).sum(axis=0)
        return total

    def _correct_edges(self, piece: Samples, begin: int, total: int) -> Samples:
        """Rescale, in place, the samples near either end, where fewer frames overlap than the window allows for."""
        half = self.n_fft // 2
        end = begin + piece.shape[-1]
        # Signal sample s is sample s + half of the padded signal; all frames that could cover it exist between these.
        inner_low, inner_high = self.n_fft - half, (total - 1) * self.hop_length - half
        first = min(end, inner_low)
        for low, high in ((begin, first), (max(begin, inner_high, first), end)):
            if low < high:
                position = np.arange(low, high) + half
                ideal = self._overlap_sum()[position % self.hop_length]
                piece[..., low - begin : high - begin] *= (ideal / self._covered(position, total)).astype(np.float32)
        return piece

    def _covered(self, position: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Sum of the squared windows at padded positions, over the frames that exist."""
        squared = window_samples(self.window, self.n_fft) ** 2
        covered = np.zeros(position.shape)
        for step in range(self.overlap):
            frame = position // self.hop_length - step
            inside = position - frame * self.hop_length
            valid = (frame >= 0) & (frame < total) & (inside < self.n_fft)
            covered[valid] += squared[inside[valid]]
        return np.maximum(covered, 1e-12)


@lru_cache(maxsize=8)
def synthesis_window(stft: STFT) -> Frames:
    """Return the window that makes overlap-added frames the signal again where all frames overlap, read-only."""
    inside = np.resize(stft._overlap_sum(), stft.n_fft)
    taper: Frames = (window_samples(stft.window, stft.n_fft) / inside).astype(np.float32)
    taper.flags.writeable = False
    return taper


def mean_magnitudes(samples: Samples, stft: STFT, start: int, stop: int) -> NDArray[np.float32]:
    """Return the magnitudes of frames start to stop, the mean over channels, (frames, bins).

    The mean is taken of magnitudes, not of samples, in which channels out of phase would cancel.
    """
    each: NDArray[np.float32] = np.abs(stft.forward_block(samples, start, stop))
    means: NDArray[np.float32] = each[0] if len(each) == 1 else each.mean(axis=0)
    return means
