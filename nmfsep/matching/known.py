"""Waveform matching: strokes of a dictionary found in the stems that masks give, and taken off the mixture.

A mask cannot part two sounds that share a bin; who has the waveform of one can subtract it. The gains of all strokes,
and small deviations from their waveforms, follow from least squares on the mixture, whitened by what they leave. The
rest is separated once more, and shared by the masks |E - P| |R|, where E are the stems of masks, P what strokes explain
of them, and R the stems of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..guidance.strokes import Strokes, channel_weights, onsets
from ..kernels.product import share
from ..settings.separation import nearest_size
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT
from .equations import Column, Doubles, solve
from .pursuit import HEAD, Hit, find

EXPLAINED = 0.8  # share of the stem's energy under its head that a stroke must explain once all gains are known
ENOUGH = 0.1  # share of a stem's energy that its strokes must explain together, else they were found by chance
EDGES = (0.03, 0.1, 0.3, 0.8)  # seconds at which a stroke may begin to differ from its waveform in level
PRIOR = 0.05  # how much, as a share of its gain
RESPONSE, SMOOTH = 2048, 8  # samples of the whitening filter, and bins over which the spectrum is smoothed
FLOOR, POWER = 1e-3, -0.25  # of the largest power, and the power of the power spectrum that whitens
SHARED = 0.046  # seconds of a frame in which the rest is shared
SHARED_AT_A_TIME = 128  # frames
FOREIGN = 0.7  # share of the mixture below which a bin is others'
AGREED = 0.15  # regression on a waveform that is needed there
HEARD, AGAIN = 0.1, 0.05  # of a stem's level, and seconds from a stroke, from which another counts as not matched

Hits = list[tuple[int, Hit]]  # each with its label


@dataclass(frozen=True, slots=True)
class Matched:
    """What strokes explain of a mixture.

    Attributes
    ----------
    hits : tuple of (int, Hit)
        Each with its label.
    waveforms : dict of int to ndarray, shape (channels, samples)
        For each label with hits the sum of its strokes.
    refused : frozenset of int
        Labels whose strokes the mixture contradicts.
    """

    hits: tuple[tuple[int, Hit], ...]
    waveforms: dict[int, Samples]
    refused: frozenset[int] = frozenset()

    def rest(self, mixture: Samples) -> Samples:
        """Return what they leave of the mixture."""
        left = mixture.copy()
        for waveform in self.waveforms.values():
            left -= waveform
        return left


def search(stems: Samples, strokes: Sequence[Strokes], sample_rate: int) -> Hits:
    """Return the strokes of each label that are found in its stem.

    Parameters
    ----------
    stems : ndarray, shape (labels or more, channels, samples)
    strokes : sequence of Strokes
        The waveforms of each label.
    sample_rate : int
        Hertz of all of them.
    """
    sounds = [channel_weights(stem) @ stem for stem in stems[: len(strokes)]]
    found = [find(sound, own, sample_rate) for sound, own in zip(sounds, strokes, strict=True)]
    return [(label, hit) for label, hits in enumerate(found) for hit in hits]


def match(
    mixture: Samples, stems: Samples, strokes: Sequence[Strokes], sample_rate: int, hits: Hits, masked: Samples
) -> Matched:
    """Return what strokes explain of a mixture; without hits where that is nothing.

    Parameters
    ----------
    mixture : ndarray, shape (channels, samples)
    stems : ndarray, shape (labels or more, channels, samples)
        In which the strokes were found.
    strokes : sequence of Strokes
        The waveforms of each label.
    sample_rate : int
        Hertz of all of them.
    hits : list of (int, Hit)
        From `search`.
    masked : ndarray
        Stems as masks give them.
    """
    response = None
    for _ in range(2):
        if hits:
            hits, response = _confirmed(mixture, stems, strokes, sample_rate, hits, response)
    refused: frozenset[int] = frozenset()
    while hits:
        matched = _with_deviations(mixture, hits, strokes, response, sample_rate)
        wrong = _contradicted(mixture, masked, matched, sample_rate)
        if not wrong:
            return replace(matched, refused=refused)
        refused |= wrong
        hits = [(label, hit) for label, hit in hits if label not in wrong]
    return Matched((), {}, refused)


def _confirmed(
    mixture: Samples,
    stems: Samples,
    strokes: Sequence[Strokes],
    sample_rate: int,
    hits: Hits,
    response: Samples | None,
) -> tuple[Hits, Samples]:
    """Return the strokes that explain enough of their stem when all are fitted, and a filter that whitens the rest."""
    bank = _Bank(strokes, sample_rate)
    wholes = [_Part(label, hit.stroke, 0, hit.start, 0.0) for label, hit in hits]
    gains = bank.gains(mixture, wholes, response)
    found = bank.sums(wholes, gains, mixture.shape)
    enough = {label for label, total in found.items() if _energy(total) > ENOUGH * _energy(stems[label])}
    weights = {label: channel_weights(stems[label]) for label in found}
    head, kept = int(HEAD * sample_rate), []
    for (label, hit), gain in zip(hits, gains, strict=True):
        here = slice(hit.start, hit.start + min(head, len(strokes[label][hit.stroke])))
        there, wrong = stems[label][:, here], stems[label][:, here] - found[label][:, here]
        if label in enough and weights[label] @ gain > 0 and _energy(wrong) < (1 - EXPLAINED) * _energy(there):
            kept.append((label, hit))
    return kept, whitening(_left(mixture, found))


def _with_deviations(
    mixture: Samples, hits: Hits, strokes: Sequence[Strokes], response: Samples | None, rate: int
) -> Matched:
    """Return strokes whose level may change as they go on, and whose start may lie between samples."""
    bank = _Bank(strokes, rate)
    wholes = [_Part(label, hit.stroke, 0, hit.start, 0.0) for label, hit in hits]
    gains = bank.gains(mixture, wholes, response)
    left = filtered(_left(mixture, bank.sums(wholes, gains, mixture.shape)), response)
    noise = float(np.square(left, dtype=np.float64).mean())
    parts = []
    for whole, gain in zip(wholes, gains, strict=True):
        allowed = PRIOR**2 * float(np.square(gain).mean())
        price = noise / max(allowed, 1e-30)
        parts.append(whole)
        parts += [
            _Part(whole.label, whole.stroke, part, whole.start, price)
            for part in range(1, bank.parts(whole.label, whole.stroke))
        ]
        parts += [_Part(whole.label, whole.stroke, 0, whole.start + shift, price) for shift in (-1, 1)]
    gains = bank.gains(mixture, parts, response)
    return Matched(tuple(hits), bank.sums(parts, gains, mixture.shape))


def _contradicted(mixture: Samples, stems: Samples, matched: Matched, sample_rate: int) -> set[int]:
    """Return the labels whose waveforms say nothing of the bins that masks gave to others.

    There a mask is wrong and a waveform that repeats is right, so that the mixture, less all other strokes, contains
    it: its regression on the waveform, each bin as important as any, is 1. On one that is only alike it is about 0.
    """
    stft = _frames(sample_rate)
    frames = stft.n_frames(mixture.shape[1])
    sums = {label: np.zeros(2) for label in matched.waveforms}
    least = 1e-9 * float(np.square(mixture).max(initial=0)) * stft.n_fft
    rest = matched.rest(mixture)
    for start in range(0, frames, BLOCK):
        stop = min(frames, start + BLOCK)
        whole, left = (np.abs(stft.forward_block(mixture, start, stop)), stft.forward_block(rest, start, stop))
        for label, waveform in matched.waveforms.items():
            own = stft.forward_block(waveform, start, stop)
            other = np.abs(stft.forward_block(stems[label], start, stop)) < FOREIGN * whole
            there, own = (left + own)[other], own[other]
            energy = np.square(np.abs(own), dtype=np.float64)
            weight = 1 / (np.square(np.abs(there), dtype=np.float64) + energy + least)
            sums[label] += [np.sum((there * np.conj(own)).real * weight), np.sum(energy * weight)]
    return {label for label, (product, energy) in sums.items() if product < AGREED * energy}


def _frames(sample_rate: int) -> STFT:
    return STFT(max(64, nearest_size(SHARED * sample_rate)))


@dataclass(frozen=True, slots=True)
class _Part:
    """A stroke of a label, or a part of it in time, at a sample; `price` is that of the square of its gain."""

    label: int
    stroke: int
    part: int
    start: int
    price: float


class _Bank:
    """The waveforms of strokes, whole and cut into parts that fade into each other, each made once."""

    def __init__(self, strokes: Sequence[Strokes], sample_rate: int) -> None:
        self._strokes, self._rate = strokes, sample_rate
        self._made: dict[tuple[int, int, int], tuple[int, Samples]] = {}

    def parts(self, label: int, stroke: int) -> int:
        """Return the number of parts of a stroke, with the whole."""
        return 1 + len(self._edges(label, stroke))

    def _edges(self, label: int, stroke: int) -> list[float]:
        return [edge for edge in EDGES if edge * self._rate < 0.9 * len(self._strokes[label][stroke])]

    def waveform(self, each: _Part) -> tuple[int, Samples]:
        """Return where a part begins in its stroke, and its samples."""
        key = (each.label, each.stroke, each.part)
        if key not in self._made:
            whole = self._strokes[each.label][each.stroke]
            first = 0
            if each.part:
                edges = self._edges(each.label, each.stroke)
                taper = _rise(edges[each.part - 1], len(whole), self._rate)
                if each.part < len(edges):
                    taper = taper - _rise(edges[each.part], len(whole), self._rate)
                inside = np.flatnonzero(taper)
                first, last = int(inside[0]), int(inside[-1]) + 1
                whole = (whole * taper)[first:last].astype(np.float32)
            self._made[key] = (first, whole)
        return self._made[key]

    def gains(self, mixture: Samples, parts: Sequence[_Part], response: Samples | None) -> Doubles:
        """Return the gains (parts, channels) of least squares, after a filter."""
        made: dict[tuple[int, int, int], Samples] = {}
        columns = []
        for each in parts:
            first, samples = self.waveform(each)
            key = (each.label, each.stroke, each.part)
            if key not in made:
                made[key] = filtered(samples[None], response, whole=True)[0]
            columns.append(Column(each.start + first, made[key], each.price))
        return solve(filtered(mixture, response), columns)

    def sums(self, parts: Sequence[_Part], gains: Doubles, shape: tuple[int, ...]) -> dict[int, Samples]:
        """Return for each label the sum of its parts, (channels, samples)."""
        found: dict[int, Samples] = {}
        for each, gain in zip(parts, gains.astype(np.float32), strict=True):
            total = found.setdefault(each.label, np.zeros(shape, np.float32))
            first, samples = self.waveform(each)
            begin = each.start + first
            samples = samples[max(0, -begin) : max(0, shape[1] - begin)]
            begin = max(0, begin)
            total[:, begin : begin + len(samples)] += gain[:, None] * samples
        return found


def _rise(edge: float, length: int, rate: int) -> NDArray[np.float64]:
    """Return half a raised cosine about a time in seconds, 0 before and 1 after."""
    time = np.arange(length) / rate
    rise: NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * np.clip((time - 0.8 * edge) / (0.4 * edge), 0, 1))
    return rise


def _energy(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _left(mixture: Samples, found: dict[int, Samples]) -> Samples:
    return Matched((), found).rest(mixture)


def whitening(samples: Samples) -> Samples:
    """Return the response (RESPONSE,) of a filter that evens out the smoothed spectrum of samples in part."""
    stft = STFT(RESPONSE)
    frames = stft.n_frames(samples.shape[1])
    power = np.zeros(stft.bins)
    for start in range(0, frames, BLOCK):
        block = np.abs(stft.forward_block(samples, start, min(frames, start + BLOCK)))
        power += np.square(block, dtype=np.float64).sum(axis=(0, 1))
    bell = np.exp(-0.5 * np.square(np.arange(-4 * SMOOTH, 4 * SMOOTH + 1) / SMOOTH))
    smooth = np.convolve(np.pad(power, 4 * SMOOTH, mode="reflect"), bell / bell.sum(), mode="valid")
    smooth /= smooth.max() or 1.0
    response = np.roll(np.fft.irfft((smooth + FLOOR) ** POWER), RESPONSE // 2) * np.hanning(RESPONSE)
    white: Samples = (response / np.sqrt(np.square(response).sum())).astype(np.float32)
    return white


def filtered(samples: Samples, response: Samples | None, whole: bool = False) -> Samples:
    """Return samples (channels, samples) through a filter, as long as before or, if `whole`, until it has died away."""
    if response is None:
        return samples
    order, length = len(response), samples.shape[1]
    size = 2 ** int(np.ceil(np.log2(min(1 << 16, length + order) + order)))
    step = size - order
    spectrum = np.fft.rfft(response, size)
    out = np.zeros((len(samples), length + order), np.float32)
    for start in range(0, length, step):
        part = samples[:, start : start + step]
        block = np.fft.irfft(np.fft.rfft(part, size) * spectrum, size)
        stop = min(start + size, length + order)
        out[:, start:stop] += block[:, : stop - start].astype(np.float32)
    return out if whole else out[:, :length]


def completed(rest: Samples, found: Matched, masked: Samples, again: Samples, sample_rate: int) -> Samples:
    """Return what strokes explain with each stem's share of the rest, by |masked - explained| |again|.

    Parameters
    ----------
    rest : ndarray, shape (channels, samples)
        What strokes leave of the mixture.
    found : Matched
        The strokes.
    masked : ndarray, shape (stems, channels, samples)
        The stems of masks.
    again : ndarray, shape (stems, channels, samples)
        The stems of the rest.
    sample_rate : int
        Hertz.

    Returns
    -------
    ndarray, shape (stems, channels, samples)
    """
    stft = _frames(sample_rate)
    frames = stft.n_frames(rest.shape[1])

    def blocks() -> Iterator[Samples]:
        for start in range(0, frames, SHARED_AT_A_TIME):
            stop = min(frames, start + SHARED_AT_A_TIME)
            whole = stft.forward_block(rest, start, stop)
            parts = np.empty((len(masked), *whole.shape), np.float32)
            for stem, part in enumerate(parts):
                left = stft.segment(masked[stem], start, stop)
                if stem in found.waveforms:
                    left = left - stft.segment(found.waveforms[stem], start, stop)
                np.multiply(
                    np.abs(stft.transform(left)), np.abs(stft.forward_block(again[stem], start, stop)), out=part
                )
            share(parts)
            yield np.stack([stft.inverse_block(whole * mine) for mine in parts])

    out, position = np.empty_like(masked), 0
    for piece in stft.join(blocks(), rest.shape[1]):
        out[..., position : position + piece.shape[-1]] = piece
        position += piece.shape[-1]
    for stem, waveform in found.waveforms.items():
        out[stem] += waveform
    return out


def unmatched(stem: Samples, starts: Sequence[int], sample_rate: int) -> int:
    """Return how many strokes are heard in a stem (channels, samples) that do not begin at any of these samples."""
    sound = channel_weights(stem) @ stem
    heard = onsets(sound, sample_rate, HEARD * float(np.abs(sound).max(initial=0)))
    near = np.array(starts, np.intp)
    far = [at for at in heard if np.abs(near - at).min(initial=len(sound)) > AGAIN * sample_rate]
    return len(far)
