"""Alignment of a score with a recording: offset, tempo, and how both drift.

Score and sound are compared in semitone bands, by their levels and by what sets in there, as in Ewert, Müller & Grosche
("High resolution audio synchronization using chroma onset features", ICASSP 2009). First all offsets are tried at once,
by correlation, for each of many tempos; then the best line is bent, in steps of a second, where that makes the match
clearly better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..signal.audio import Samples
from ..signal.pitch import to_hertz
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from .notes import Note

RATE = 50.0  # frames a second
COARSE = 4  # frames in one when all offsets are tried
LOWEST, HIGHEST = 28, 108  # MIDI notes of the bands
FRAME = 0.1  # seconds of a frame
TEMPOS = np.exp(np.linspace(-0.25, 0.25, 51))  # of the recording over that of the score
HARMONICS = 4
WINDOW, STEP, REACH = 3.0, 1.0, 0.6  # seconds that are compared, between them, and how far the line may bend
STIFFNESS = 0.008  # of the match that a bend of one frame costs
Curve = NDArray[np.floating]
Spectra = NDArray[np.complexfloating]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A map from seconds of a score to seconds of a recording: straight lines between points that rise, and beyond."""

    score: Curve
    sound: Curve

    def __call__(self, seconds: Curve) -> Curve:
        """Return the seconds of the recording at which those of the score are."""
        at: Curve = np.interp(seconds, self.score, self.sound)
        for end, near in ((0, 1), (-1, -2)):
            slope = (self.sound[near] - self.sound[end]) / (self.score[near] - self.score[end])
            beyond = seconds < self.score[0] if end == 0 else seconds > self.score[-1]
            at = np.where(beyond, self.sound[end] + (seconds - self.score[end]) * slope, at)
        return at


def align(notes: Sequence[Note], samples: Samples, sample_rate: int) -> Alignment:
    """Find a score in a recording.

    Parameters
    ----------
    notes : sequence of Note
        At least one.
    samples : ndarray, shape (channels, samples)
    sample_rate : int
        Hertz.
    """
    written, sound = _score_features(notes), _sound_features(samples, sample_rate)
    offset, tempo = _line(written, sound)
    return _bent(_stretched(written, tempo), sound, offset, tempo)


def _line(written: Curve, sound: Curve) -> tuple[float, float]:
    """Return offset in seconds and tempo with which score and sound match best."""
    thin, thin_sound = _thinned(written), _thinned(sound)

    @cache
    def spectra(size: int) -> tuple[Spectra, Spectra]:
        return np.fft.rfft(thin_sound, size, axis=0), np.fft.rfft(np.ones(len(thin_sound)), size)

    found = []
    for tempo in TEMPOS:
        matches = _correlation(_stretched(thin, tempo), len(thin_sound), spectra)
        best = int(matches.argmax())
        offset = best if best < len(thin_sound) else best - len(matches)
        found.append((matches[best] * (1 - 0.05 * abs(np.log(tempo))), offset, tempo))
    _, near, about = max(found)
    step = np.log(TEMPOS[1] / TEMPOS[0])
    # finer, and the score's own tempo where that is near
    tempos = [*(about * np.exp(np.linspace(-step, step, 11))), *([1.0] if abs(np.log(about)) < step else [])]
    lags = near * COARSE + np.arange(-3 * COARSE, 3 * COARSE + 1)
    finest = (-np.inf, 0.0, 1.0)
    for tempo in tempos:
        sums = _matches(_stretched(written, tempo), sound, lags).sum(axis=0)
        finest = max(finest, (float(sums.max()), float(lags[sums.argmax()]), float(tempo)))
    return finest[1] / RATE, finest[2]


def _correlation(written: Curve, length: int, spectra: Callable[[int], tuple[Spectra, Spectra]]) -> Curve:
    """Return how well a score matches a sound of some length at every offset, the negative ones last."""
    size = 1 << int(np.ceil(np.log2(len(written) + length)))
    sound, ones = spectra(size)
    products = np.einsum("fb,fb->f", sound, np.conj(np.fft.rfft(written, size, axis=0)))
    energies = ones * np.conj(np.fft.rfft(np.square(written).sum(axis=1), size))
    match: Curve = np.fft.irfft(products, size)
    energy = np.maximum(np.fft.irfft(energies, size), 0)
    # little of the score in the recording matches easily
    match /= np.sqrt(np.maximum(energy, 0.1 * energy.max(initial=0)) + 1e-12)
    return match


def _matches(written: Curve, sound: Curve, lags: NDArray[np.int_]) -> Curve:
    """Return the product of score and sound, (frames, lags), with the score so many frames later."""
    padded = np.zeros((len(sound) + int(lags[-1] - lags[0]), written.shape[1]), written.dtype)
    place = np.arange(len(padded)) - int(lags[-1])
    inside = (place >= 0) & (place < len(written))
    padded[inside] = written[place[inside]]
    columns = [np.einsum("tb,tb->t", sound, padded[lags[-1] - lag : lags[-1] - lag + len(sound)]) for lag in lags]
    return np.stack(columns, axis=1)


def _bent(written: Curve, sound: Curve, offset: float, tempo: float) -> Alignment:
    """Return the line, bent where that makes score and sound match clearly better."""
    reach, half, step = round(REACH * RATE), round(WINDOW * RATE / 2), round(STEP * RATE)
    centres, bends = np.arange(0, len(sound) + step, step), np.arange(-reach, reach + 1)
    each = _matches(written, sound, round(offset * RATE) + bends)
    sums = np.concatenate([np.zeros((1, len(bends))), np.cumsum(each, axis=0)])
    low, high = np.clip(centres - half, 0, len(sound)), np.clip(centres + half, 0, len(sound))
    scores = sums[high] - sums[low]
    scores /= max(float(scores.max(initial=0)), 1e-12)
    costs = STIFFNESS * np.abs(bends[:, None] - bends)
    total, back = scores[0] - 0.2 * STIFFNESS * np.abs(bends), []
    for row in scores[1:]:  # the best path through the windows
        reached = total - costs
        back.append(reached.argmax(axis=1))
        total = reached.max(axis=1) + row
    path = [int(total.argmax())]
    for chosen in reversed(back):
        path.append(int(chosen[path[-1]]))
    at = centres / RATE
    return Alignment((at - bends[path[::-1]] / RATE - offset) / tempo, at)


def _sound_features(samples: Samples, sample_rate: int) -> Curve:
    """Return levels and onsets of a recording in semitone bands, (frames, 2 * bands)."""
    n_fft = min(max(16, 2 ** round(np.log2(FRAME * sample_rate))), 2**20)
    stft = STFT(n_fft, max(1, min(n_fft // 2, round(sample_rate / RATE))), "hann")
    frequencies = stft.frequencies(sample_rate)
    nearest = np.round(69 + 12 * np.log2(np.maximum(frequencies, 1) / 440)).astype(int)
    bands = np.zeros((stft.bins, HIGHEST - LOWEST + 1), np.float32)
    kept = np.flatnonzero((nearest >= LOWEST) & (nearest <= HIGHEST))
    bands[kept, nearest[kept] - LOWEST] = 1
    for k, hertz in enumerate(to_hertz(np.arange(LOWEST, HIGHEST + 1.0))):
        if not bands[:, k].any() and hertz < frequencies[-1]:  # narrower than a bin
            bands[round(hertz / frequencies[1]), k] = 1
    frames = stft.n_frames(samples.shape[1])
    blocks = (mean_magnitudes(samples, stft, at, min(frames, at + BLOCK)) for at in range(0, frames, BLOCK))
    levels = np.concatenate([X @ bands for X in blocks])
    levels = np.log1p(1000 * levels / max(float(levels.max(initial=0)), 1e-12))
    step = stft.hop_length / sample_rate * RATE
    if abs(step - 1) > 1e-9:  # rates that no whole hop divides
        at = np.arange(int(frames * step)) / step
        levels = np.stack([np.interp(at, np.arange(frames), band) for band in levels.T], axis=1)
    return _levels_and_onsets(levels)


def _score_features(notes: Sequence[Note]) -> Curve:
    """Return the same of a score."""
    length = max(note.end for note in notes) + 1
    levels = np.zeros((int(np.ceil(length * RATE)) + 1, HIGHEST - LOWEST + 1), np.float32)
    for note in notes:
        begin, end = round(note.begin * RATE), round(note.end * RATE)
        if note.drum:
            levels[begin : begin + 5] += 0.3
            continue
        last = max(begin + 3, end)
        fading = (0.5 + 0.5 * note.velocity / 127) * np.exp(-np.arange(last - begin) / (RATE * 1.5))
        for h in range(1, HARMONICS + 1):
            band = note.pitch + round(12 * np.log2(h)) - LOWEST
            if 0 <= band < levels.shape[1]:
                stretch = levels[begin:last, band]
                np.maximum(stretch, fading[: len(stretch)] / h**0.5, out=stretch)
    return _levels_and_onsets(levels)


def _levels_and_onsets(levels: Curve) -> Curve:
    rise = np.zeros_like(levels)
    rise[2:] = np.maximum(levels[2:] - levels[:-2], 0)
    parts = []
    for part in (levels, rise):
        centred = part - part.mean(axis=0)
        parts.append(centred / max(float(np.linalg.norm(centred)) / np.sqrt(len(part)), 1e-12))
    return np.concatenate(parts, axis=1)


def _stretched(written: Curve, tempo: float) -> Curve:
    """Return the features of a score that is played slower by a factor."""
    rows = np.arange(int(len(written) * tempo)) / tempo
    return written[np.minimum(np.round(rows).astype(np.intp), len(written) - 1)]


def _thinned(features: Curve) -> Curve:
    frames = -(-len(features) // COARSE) * COARSE
    padded = np.pad(features, ((0, frames - len(features)), (0, 0)))
    thin: Curve = padded.reshape(-1, COARSE, features.shape[1]).mean(axis=1)
    return thin
