"""Strokes learned from their own repetitions in a mixture, where nobody has a sample of them.

Loops made on samplers and drum machines repeat strokes exactly, each time under other sounds. Strokes that are alike
are looked for in the stems that masks give, and their waveform is a Wiener average, in each bin W = sum g Y / N over
(sum g^2 / N + c / S): Y are the segments of the mixture at which it begins, less all other strokes, g its gains, N the
energy of what else is there, and S its own by the masks. Of one stroke that is the mask again; of many it takes each
bin from where the others are silent. Plain least squares would have as many unknowns as samples.

Whether strokes repeat at all is seen by leaving one out: each must be what the others say it is. On average over a
mixture they fit so well only where waveforms return; where they do not, the stems stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..kernels.threads import Workers
from ..signal.audio import Samples
from ..signal.stft import BLOCK, Bins, Spectrogram
from .clusters import Places, alike, begins, segment
from .equations import Column, Doubles, solve
from .known import EDGES, PRIOR, Matched, completed, filtered, frames_for, rise, whitening
from .pursuit import HEAD

LENGTH = 1.2  # seconds of a waveform
BEFORE = 0.003  # seconds before a stroke is heard, from which it is taken
FADED = 0.25  # of its length, over which its end fades out
AFTER = 0.03  # seconds after which a further stroke of a stem lies over the tail of the one before
PASSES = 2  # the second begins with the stems of the first
TRUST = 1.0, 0.03  # c, how far the stems are believed, in each pass
DOUBT = 0.01, 0.001  # of the energy of a stroke in its own stem, as noise, in the first round and later
MOST = 32  # repetitions whose whole length is averaged, evenly spaced; of the others, only heads
FITTING = 0.5  # leave-one-out fit below which a stroke is none of its cluster
REPEATING = 0.87  # mean of these fits in the first pass from which a mixture is taken to repeat its strokes


@dataclass(frozen=True, slots=True)
class Stroke:
    """A waveform that returns.

    Attributes
    ----------
    stem : int
    starts : ndarray, shape (times,)
        Samples at which it begins, before 0 if it was cut.
    gains : ndarray, shape (times, parts)
        Of the whole, and what is added to it from each of EDGES on.
    waveform : ndarray, shape (channels, samples)
    fits : ndarray, shape (times,)
        How much of each the others explain, from 0 to 1.
    """

    stem: int
    starts: Places
    gains: Doubles
    waveform: Samples
    fits: Doubles


@dataclass(frozen=True, slots=True)
class Repeated:
    """What was learned from repetitions: the strokes, none where they do not repeat, and their mean fit at first."""

    strokes: tuple[Stroke, ...]
    fit: float


def separate_again(
    mixture: Samples, stems: Samples, sample_rate: int, rounds: int, workers: Workers
) -> tuple[Repeated, Samples]:
    """Return the strokes that repeat in a mixture, and the stems with their waveforms; the same ones without any.

    Parameters
    ----------
    mixture : ndarray, shape (channels, samples)
    stems : ndarray, shape (stems, channels, samples)
        As masks give them.
    sample_rate : int
        Hertz.
    rounds : int
        Of averages and gains, in each of PASSES passes.
    workers : Workers
    """
    found = Repeated((), 0.0)
    for number in range(PASSES):
        strokes, explained = _Pass(mixture, stems, sample_rate, TRUST[number], workers).learned(rounds)
        fit = _mean_fit(strokes)
        if not strokes or (number == 0 and fit < REPEATING):
            return (Repeated((), fit) if number == 0 else found), stems
        found = Repeated(tuple(strokes), found.fit if number else fit)
        matched = Matched((), dict(enumerate(explained)))
        stems = completed(matched.rest(mixture), matched, stems, stems - explained, sample_rate)
    return found, stems


def fit_of(mixture: Samples, stems: Samples, sample_rate: int, workers: Workers) -> float:
    """Return how well strokes that are alike predict one another, from 0 to 1, by one round as of `separate_again`."""
    return _mean_fit(_Pass(mixture, stems, sample_rate, TRUST[0], workers).learned(1)[0])


def _mean_fit(strokes: Sequence[Stroke]) -> float:
    return float(np.mean(np.concatenate([each.fits for each in strokes]))) if strokes else 0.0


class _Pass:
    """One pass over a mixture: clusters of its stems, whose waveforms and gains are found in turn."""

    def __init__(self, mixture: Samples, stems: Samples, sample_rate: int, trust: float, workers: Workers) -> None:
        self._mixture, self._stems, self._rate, self._trust = mixture, stems, sample_rate, trust
        self._workers, self._stft = workers, frames_for(sample_rate)
        self._length = int(LENGTH * sample_rate)
        self._frames = self._stft.n_frames(self._length)
        self._head = slice(0, -(-int(HEAD * sample_rate) // self._stft.hop_length))
        edges = [rise(edge, self._length, sample_rate) for edge in EDGES]
        later = [*edges[1:], np.zeros(self._length)]
        self._tapers = np.array(
            [np.ones(self._length), *(a - b for a, b in zip(edges, later, strict=True))], np.float32
        )
        half = np.clip((np.arange(self._length) / self._length - 1 + FADED) / FADED, 0, 1)
        self._fade = (0.5 + 0.5 * np.cos(np.pi * half)).astype(np.float32)
        self._least = np.float32(1e-12 * float(np.square(mixture).max(initial=0)) * self._stft.n_fft + 1e-30)

    def learned(self, rounds: int) -> tuple[list[Stroke], Samples]:
        """Return the strokes, and what they explain of each stem, (stems, channels, samples)."""
        onsets = [begins(stem, self._rate) for stem in self._stems]
        strokes, early = list[Stroke](), int(BEFORE * self._rate)
        silence = np.zeros((len(self._mixture), self._length), np.float32)
        for stem, (sound, starts) in enumerate(zip(self._stems, onsets, strict=True)):
            strokes += [
                Stroke(stem, each.starts - early, each.gains[:, None], silence, np.zeros(len(each.starts)))
                for each in alike(sound, starts, self._rate)
            ]
        explained = np.zeros_like(self._stems)
        for number in range(rounds):
            heard = onsets if number == 0 else ()
            strokes = [each for each in self._averaged(strokes, explained, heard) if len(each.starts)]
            if not strokes:
                return [], explained
            response = whitening(self._mixture - self._sums(strokes).sum(axis=0))
            strokes = self._with_gains(strokes, response)
            explained = self._sums(strokes)
        if strokes:  # whose level may change as they go on
            left = filtered(self._mixture - explained.sum(axis=0), response)
            gains = self._solved(strokes, response, float(np.square(left, dtype=np.float64).mean()))
            strokes = [replace(each, gains=own) for each, own in zip(strokes, gains, strict=True)]
            explained = self._sums(strokes)
        return strokes, explained

    def _sums(self, strokes: Sequence[Stroke]) -> Samples:
        """Return what strokes explain of each stem, (stems, channels, samples)."""
        sums = np.zeros_like(self._stems)
        for each in strokes:
            total = sums[each.stem]
            for member, start in enumerate(each.starts.tolist()):
                first, last = max(0, start), min(total.shape[1], start + self._length)
                total[:, first:last] += self._sounding(each, member)[:, first - start : last - start]
        return sums

    def _sounding(self, stroke: Stroke, member: int) -> Samples:
        gains = stroke.gains[member].astype(np.float32)
        sound: Samples = stroke.waveform * (gains @ self._tapers[: len(gains)] if len(gains) > 1 else gains[0])
        return sound

    def _averaged(self, strokes: list[Stroke], explained: Samples, onsets: Sequence[Places]) -> Iterator[Stroke]:
        """Yield strokes with new waveforms, without what does not fit; `onsets` of all stems in the first round."""
        rest = self._mixture - explained.sum(axis=0)
        total = self._power(self._stems[0] - explained[0])
        for stem, known in zip(self._stems[1:], explained[1:], strict=True):
            total += self._power(stem - known)
        for stem in sorted({each.stem for each in strokes}):
            own = self._power(self._stems[stem])
            noise = np.maximum(total - own, 0) if len(onsets) else total
            starts = onsets[stem] if len(onsets) else None
            mine = [each for each in strokes if each.stem == stem]
            yield from self._workers.map(lambda each: self._average(each, rest, own, noise, starts), mine)  # noqa: B023

    def _power(self, samples: Samples) -> Samples:
        """Return |STFT|^2 of samples, (channels, frames, bins)."""
        count = self._stft.n_frames(samples.shape[1])
        power = np.empty((len(samples), count, self._stft.bins), np.float32)

        def fill(start: int) -> None:
            stop = min(count, start + BLOCK)
            power[:, start:stop] = _squared(self._stft.forward_block(samples, start, stop))

        self._workers.map(fill, range(0, count, BLOCK))
        return power

    def _under(self, power: Samples, start: int, count: int) -> Samples:
        """Return so many frames of power, the nearest to those of a segment that begins at a sample."""
        return segment(power.swapaxes(1, 2), round(start / self._stft.hop_length), count).swapaxes(1, 2)

    def _average(self, stroke: Stroke, rest: Samples, own: Samples, noise: Samples, onsets: Places | None) -> Stroke:
        """Return a stroke with the Wiener average for its waveform, and only members that it predicts.

        `own` and `noise` are the energies of its stem and of what is not the stroke, (channels, frames, bins); the
        latter lacks what the stem has after its next onset, where onsets are given.
        """
        shape = len(rest), self._frames, self._stft.bins
        above, below, level = np.zeros(shape, np.complex64), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        counts = np.zeros((self._frames, 1), np.float32)
        heads: list[tuple[np.float32, Bins, Samples]] = []
        averaged = set(np.linspace(0, len(stroke.starts) - 1, MOST).astype(int).tolist())
        hop, doubt = self._stft.hop_length, np.float32(DOUBT[onsets is None])
        for member, start in enumerate(stroke.starts.tolist()):
            gain = np.float32(stroke.gains[member, 0])
            count = self._frames if member in averaged else self._head.stop
            sound = segment(rest, start, self._length) + self._sounding(stroke, member)
            Y = self._stft.forward_block(sound, 0, count)
            energy, other = self._under(own, start, count), self._under(noise, start, count)
            if onsets is not None:
                following = onsets[onsets > start + (BEFORE + AFTER) * self._rate] - start
                tail = -(-int(following.min(initial=self._length)) // hop)
                other[:, tail:] += energy[:, tail:]
            other += doubt * energy + self._least
            above[:, :count] += gain * Y / other
            below[:, :count] += gain**2 / other
            level[:, :count] += np.log(energy / gain**2 + self._least)
            counts[:count] += 1
            heads.append((gain, Y[:, self._head], other[:, self._head]))
        prior = np.float32(1) / (np.exp(level / counts) + self._least)
        average: Bins = np.divide(above, below + np.float32(self._trust) * prior, dtype=np.complex64)
        known = above[:, self._head], below[:, self._head], prior[:, self._head]
        fits = np.array([_fit(*head, *known) for head in heads])
        waveform = self._stft.inverse(Spectrogram(average.swapaxes(1, 2), self._length, self._rate)).samples
        good = (fits > FITTING) & (np.count_nonzero(fits > FITTING) > 1)
        return Stroke(stroke.stem, stroke.starts[good], stroke.gains[good], waveform * self._fade, fits[good])

    def _with_gains(self, strokes: list[Stroke], response: Samples) -> list[Stroke]:
        """Return strokes with the gains of least squares, all jointly, of unit mean; those of 0 are none."""
        found = []
        for stroke, gains in zip(strokes, self._solved(strokes, response), strict=True):
            good = gains[:, 0] > 0
            if np.count_nonzero(good) > 1:
                mean = float(gains[good].mean())
                waveform = stroke.waveform * np.float32(mean)
                found.append(Stroke(stroke.stem, stroke.starts[good], gains[good] / mean, waveform, stroke.fits[good]))
        return found

    def _solved(self, strokes: list[Stroke], response: Samples, noise: float | None = None) -> list[Doubles]:
        """Return the gains (times, parts) of strokes, of wholes or, with the energy of noise, of deviations, too.

        Channels are interleaved, so that each gain is for all of them.
        """
        channels = len(self._mixture)
        tapers = self._tapers[: 1 if noise is None else None]

        def columns(stroke: Stroke) -> list[Column]:
            made = []
            for part, taper in enumerate(tapers):
                inside = np.flatnonzero(taper)
                first, last = int(inside[0]), int(inside[-1]) + 1
                waveform = filtered((stroke.waveform * taper)[:, first:last], response, whole=True).T.ravel()
                for start, gain in zip(stroke.starts.tolist(), stroke.gains[:, 0].tolist(), strict=True):
                    price = noise / (PRIOR * gain) ** 2 if part and noise else 0.0
                    made.append(Column(channels * (start + first), waveform, price))
            return made

        each = self._workers.map(columns, strokes)
        gains = solve(filtered(self._mixture, response).T.reshape(1, -1), [column for own in each for column in own])
        ends = np.cumsum([len(own) for own in each])
        return [part.reshape(len(tapers), -1).T for part in np.split(gains[:, 0], ends[:-1])]


def _fit(gain: np.float32, Y: Bins, other: Samples, above: Bins, below: Samples, prior: Samples) -> float:
    """Return the squared correlation of a head with what all others say it is, each bin as far as it is known."""
    left = np.maximum(below - gain**2 / other, 0) + prior
    guess: Bins = np.divide(gain * (above - gain * Y / other), left, dtype=np.complex64)
    energy = _squared(Y)
    weight = 1 / (other + gain**2 / left + np.float32(1e-4) * energy.max())
    product = max(0.0, float(((Y.conj() * guess).real * weight).sum(dtype=np.float64)))
    energies = [float((each * weight).sum(dtype=np.float64)) for each in (energy, _squared(guess))]
    return product**2 / max(energies[0] * energies[1], 1e-300)


def _squared(values: Bins) -> Samples:
    squares: Samples = np.square(values.real)
    squares += np.square(values.imag)
    return squares
