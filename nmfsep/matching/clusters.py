"""Clusters of strokes that sound the same, found in a stem: heads compared at the lag at which they fit best.

Every head is compared with every other. The one that is like most others begins a cluster; their mean takes its place,
and those like the mean belong to it. Then come the strokes that are left, until none is like another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..guidance.strokes import channel_weights, onsets
from ..signal.audio import Samples
from .equations import Doubles
from .pursuit import APART, HEAD

RISE = 2.0  # above the tenths of a second before, from which a stroke begins; masks blur how it does
ALIKE = 0.6  # squared correlation of two heads from which they may be the same stroke
LAG = 0.006  # seconds by which an onset may lie before or after its stroke
MOST = 120  # strokes that may begin a cluster, the loudest; any may join
ROUNDED = 512  # samples to whose multiples transforms are rounded up

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Strokes that are alike: the samples at which they begin, and their gains, of unit mean."""

    starts: Places
    gains: Doubles


def segment(samples: Samples, start: int, length: int) -> Samples:
    """Return so many of samples (..., samples) from one on, with zeros where there are none."""
    part = samples[..., max(0, start) : max(0, start + length)]
    before = min(length, max(0, -start))
    return np.pad(part, [(0, 0)] * (samples.ndim - 1) + [(before, length - before - part.shape[-1])])


def begins(stem: Samples, sample_rate: int) -> Places:
    """Return where strokes begin in a stem (channels, samples) that masks gave."""
    return onsets(channel_weights(stem) @ stem, sample_rate, rise=RISE, swells=False)


def alike(stem: Samples, starts: Places, sample_rate: int) -> list[Cluster]:
    """Return the clusters of two strokes or more in a stem (channels, samples), of those that begin at `starts`."""
    return _Heads(channel_weights(stem) @ stem, starts, sample_rate).clusters() if len(starts) > 1 else []


class _Heads:
    """The heads of a sound's strokes, with what lies LAG before and after them."""

    def __init__(self, sound: Samples, starts: Places, sample_rate: int) -> None:
        self._starts, self._lag = starts, int(LAG * sample_rate)
        self._length, self._apart = max(1, int(HEAD * sample_rate)), int(APART * sample_rate)
        width = self._length + 2 * self._lag
        self._size = -(-width // ROUNDED) * ROUNDED
        self._wide = np.array([segment(sound, start - self._lag, width) for start in starts.tolist()], np.float32)
        self._spectra = np.fft.rfft(self._wide, self._size).astype(np.complex64)
        sums = np.cumsum(np.square(self._wide, dtype=np.float64), axis=1)
        sums = np.concatenate([np.zeros((len(starts), 1)), sums], axis=1)
        self._energies = sums[:, self._length :] - sums[:, : -self._length]  # of the head at each lag
        self._least = 1e-12 * float(self._energies.max())

    def clusters(self) -> list[Cluster]:
        """Return the clusters, in the order in which they were found."""
        energies = self._energies[:, self._lag]
        seeds = np.sort(np.argsort(-energies, kind="stable")[:MOST])
        fits = np.array([self._compared(self._heads([seed], self._lag)[0])[0] for seed in seeds.tolist()])
        levels, free, found = np.sqrt(energies), np.ones(len(energies), bool), list[Cluster]()
        while True:
            near = (fits > ALIKE) & free & free[seeds, None]
            worth = np.where(near.sum(axis=1) > 1, near @ levels, 0)
            best = int(worth.argmax())
            if worth[best] <= 0:
                return found
            members = np.flatnonzero(near[best])
            _, lags, _ = self._compared(self._heads([seeds[best]], self._lag)[0])
            for _ in range(2):
                mean = self._heads(members, self._lag + lags[members]).mean(axis=0)
                fit, lags, gains = self._compared(mean)
                members = np.flatnonzero((fit > ALIKE) & free)
                if len(members) < 2:
                    break
            if len(members) < 2:
                free[seeds[best]] = False
                continue
            free[members] = False
            members = self._distinct(members, self._starts + lags, fit)
            if len(members) > 1:
                own = gains[members]
                found.append(Cluster((self._starts + lags)[members], own / own.mean()))

    def _heads(self, members: Places | list[int], begin: Places | int) -> Samples:
        """Return the heads of some strokes, (members, samples), that begin at some of the samples held."""
        places = np.broadcast_to(begin, len(members))[:, None] + np.arange(self._length)
        heads: Samples = np.take_along_axis(self._wide[members], places, axis=1)
        return heads

    def _compared(self, head: Samples) -> tuple[Doubles, Places, Doubles]:
        """Return the squared correlation of all heads with one, at the lag where it is largest, and their gains."""
        spectra = self._spectra * np.conj(np.fft.rfft(head, self._size)).astype(np.complex64)
        products = np.fft.irfft(spectra, self._size)[:, : 2 * self._lag + 1]
        rows, at = np.arange(len(products)), products.argmax(axis=1)
        largest = np.maximum(products[rows, at], 0).astype(np.float64)
        own = float(np.square(head, dtype=np.float64).sum()) + self._least
        there = self._energies[rows, at] + self._least
        return largest**2 / np.maximum(own * there, 1e-300), at - self._lag, largest / max(own, 1e-300)

    def _distinct(self, members: Places, places: Places, fits: Doubles) -> Places:
        """Return the better of members at the same place."""
        kept: list[int] = []
        for index in members[np.argsort(places[members], kind="stable")].tolist():
            if not kept or places[index] - places[kept[-1]] >= self._apart:
                kept.append(index)
            elif fits[index] > fits[kept[-1]]:
                kept[-1] = index
        return np.array(kept, np.intp)
