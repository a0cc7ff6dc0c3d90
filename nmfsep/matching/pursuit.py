"""Matching pursuit: where in a stem the strokes of its sound begin, found by their first tenth of a second.

The stem is searched a stretch at a time, by correlation in the frequency domain. In each stretch the stroke that
explains most is taken off, and so on while one explains what is there; strokes in the last part of a stretch are left
to the next, which sees how they go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signal.audio import Samples

HEAD = 0.1  # seconds of a stroke that decide where it is found
FIT = 0.85  # share of the energy under a head that it explains, from which it is found there
FAINTEST = 1e-4  # of the energy of the loudest head
NEAR = 0.008  # seconds within which another stroke may be the better one
RIVAL = 2.0, 0.02  # times what the best head leaves, and a share of the energy, that its head may leave
APART = 0.01  # seconds between strokes
STRETCH = 0.37  # seconds searched at a time, at least


@dataclass(frozen=True, slots=True)
class Hit:
    """A stroke that was found: its index among those that were looked for, and the sample at which it begins."""

    stroke: int
    start: int


def find(stem: Samples, strokes: Sequence[Samples], sample_rate: int) -> list[Hit]:
    """Return the strokes in a stem, in the order of their starts.

    Parameters
    ----------
    stem : ndarray, shape (samples,)
    strokes : sequence of ndarray, shape (samples,)
    sample_rate : int
        Hertz of all of them.
    """
    return _Search(stem, strokes, sample_rate).hits() if strokes else []


def stretch(sample_rate: int) -> int:
    """Return the samples that are searched at a time."""
    return int(2 ** np.ceil(np.log2(max(8, STRETCH * sample_rate))))


class _Search:
    """The search for strokes in one stem, from which they are taken off as they are found."""

    def __init__(self, stem: Samples, strokes: Sequence[Samples], sample_rate: int) -> None:
        longest, self._size = max(1, int(HEAD * sample_rate)), stretch(sample_rate)
        self._strokes = strokes
        self._near, self._apart = max(1, int(NEAR * sample_rate)), max(1, int(APART * sample_rate))
        heads = [stroke[:longest] for stroke in strokes]
        self._lengths = np.array([len(head) for head in heads])
        self._energies = np.array([np.square(head, dtype=np.float64).sum() for head in heads], np.float32)[:, None]
        self._spectra = np.conj(np.fft.rfft(np.stack([np.pad(h, (0, self._size - len(h))) for h in heads])))
        self._width = self._size - longest  # places that a head can begin at in a stretch
        self._step = self._width - longest
        self._rest = np.pad(stem.astype(np.float32), (0, self._size))  # a copy, from which is subtracted
        self._length = len(stem)
        self._spectra = self._spectra.astype(np.complex64)

    def hits(self) -> list[Hit]:
        """Return all that is found."""
        places = range(0, self._length, self._step)
        loudest = max((self._loudest(place) for place in places), default=0.0)
        if loudest <= 0:
            return []
        found: list[Hit] = []
        for place in places:
            found += self._taken_off(place, FAINTEST * loudest, found)
        return sorted(found, key=lambda hit: hit.start)

    def _loudest(self, place: int) -> float:
        """Return the most energy that a head explains in a stretch where it is found."""
        part = self._rest[place : place + self._size]
        if not part.any():
            return 0.0
        _, explained, fits = self._compared(part)
        return float(explained[fits >= FIT].max(initial=0))

    def _compared(self, part: Samples) -> tuple[Samples, Samples, Samples]:
        """Return the products of heads with what is at each place, the energies they explain, and their shares."""
        whole = np.fft.irfft(np.fft.rfft(part) * self._spectra, self._size)
        products: Samples = whole[:, : self._width].astype(np.float32, copy=False)
        energy = np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))])
        squares: Samples = np.square(np.maximum(products, 0))
        explained: Samples = (squares / self._energies).astype(np.float32, copy=False)
        there = np.empty(explained.shape, np.float32)
        for length in np.unique(self._lengths):
            there[self._lengths == length] = energy[length : length + self._width] - energy[: self._width]
        fits: Samples = (explained / np.maximum(there, np.float32(1e-12 * energy[-1] + 1e-37))).astype(
            np.float32, copy=False
        )
        return products, explained, fits

    def _taken_off(self, place: int, faintest: float, before: Sequence[Hit]) -> list[Hit]:
        """Return the strokes that begin in a stretch, and take them off what is left of the stem."""
        part = self._rest[place : place + self._size].copy()
        free = np.ones(self._width, bool)
        free[max(0, self._length - place) :] = False
        for hit in before[-64:]:
            self._lock(free, hit.start - place)
        found: list[Hit] = []
        while True:
            if np.square(part, dtype=np.float64).sum() < faintest:
                return found
            products, explained, fits = self._compared(part)
            good = np.where((fits >= FIT) & (explained >= faintest) & free, explained, 0)
            stroke, at = (int(index) for index in np.unravel_index(good.argmax(), good.shape))
            if good[stroke, at] <= 0:
                return found
            stroke, at = self._best(place, at, explained, fits, free)
            gain = products[stroke, at] / self._energies[stroke, 0]
            whole = self._strokes[stroke]
            ends = part[at:]
            ends[: len(whole)] -= gain * whole[: len(ends)]
            self._lock(free, at)
            if at < self._step:
                found.append(Hit(stroke, place + at))
                left = self._rest[place + at :]
                left[: len(whole)] -= gain * whole[: len(left)]

    def _lock(self, free: NDArray[np.bool_], at: int) -> None:
        free[max(0, at - self._apart) : max(0, at + self._apart)] = False

    def _best(self, place: int, at: int, explained: Samples, fits: Samples, free: NDArray[np.bool_]) -> tuple[int, int]:
        """Return the stroke about a place whose whole length explains most, and where it begins."""
        low, high = max(0, at - self._near), min(self._width, at + self._near + 1)
        most_left = RIVAL[0] * (1 - float(fits[:, at].max())) + RIVAL[1]
        best, most = (int(fits[:, at].argmax()), at), -1.0
        for stroke, whole in enumerate(self._strokes):
            here = low + int((explained[stroke, low:high] * free[low:high]).argmax())
            if 1 - fits[stroke, here] > most_left or not free[here]:
                continue
            there = self._rest[place + here : place + here + len(whole)]
            product = max(0.0, float(there.astype(np.float64) @ whole[: len(there)]))
            energy = float(np.square(whole[: len(there)], dtype=np.float64).sum())
            if product**2 > most * energy:
                best, most = (stroke, here), product**2 / energy
        return best
