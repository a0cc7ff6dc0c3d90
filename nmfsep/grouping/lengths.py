"""Consensus over lengths of frames: the stems of one length matched with those of another, by when and where they are.

Short frames follow strokes, long ones tell low notes apart, and each errs elsewhere, so that the mean of the stems errs
less. Which stem of one length is which of another is decided by their models, added up over cells of third octaves and
tenths of a second: the pairs most alike come first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..settings.separation import Settings, nearest_size
from ..signal.stft import STFT
from .atoms import Grouped, most_atoms

AGREEING = "timbre"  # the grouping whose stems gain from several lengths
PAIR = 2  # stems, for which another length costs little and decides much
FACTORS = (2.0, 1.5)  # of the usual length; shorter frames lose more than they add
SECONDS = 0.1  # of a cell
LOWEST, OCTAVE = 50.0, 3  # hertz up to which all is one cell, and cells of an octave

Cells = NDArray[np.float64]


def further_lengths(stft: STFT, settings: Settings) -> list[STFT]:
    """Return the further lengths of frames at which atoms are grouped: none where one was given."""
    if settings.asked(("n_fft", "hop_length")):
        return []
    factors = FACTORS if settings.best else FACTORS[:1] if settings.components == PAIR else ()
    return [STFT(nearest_size(factor * stft.n_fft), 0, stft.window) for factor in factors]


def further_sizes(settings: Settings, sample_rate: int) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and atoms at each further length, if atoms may be grouped, before any sound is known."""
    if settings.preset or not (atoms := most_atoms(settings)):
        return []
    stft = STFT(*settings.frames(sample_rate), settings.window)
    return [(each.n_fft, each.hop_length, atoms) for each in further_lengths(stft, settings)]


def cells(found: Grouped, stft: STFT, sample_rate: int, frames: NDArray[np.intp]) -> Cells:
    """Return each stem's model added up over cells, (stems, channels * bands, times).

    Parameters
    ----------
    found : Grouped
    stft : STFT
    sample_rate : int
        Hertz.
    frames : ndarray
        Which frame of the mixture each of the activations is of.
    """
    frequencies = np.maximum(stft.frequencies(sample_rate), LOWEST)
    bands = np.floor(OCTAVE * np.log2(frequencies / LOWEST)).astype(np.intp)
    times = np.floor(frames * (stft.hop_length / sample_rate) / SECONDS).astype(np.intp)
    Z = _added(found.fit.factors.Z, times).T
    W = np.concatenate([_added(np.ascontiguousarray(each.W.T), bands) for each in found.factors])
    return np.stack([W[:, group] @ Z[group] for group in found.groups])


def matched(first: Cells, found: Grouped, other: Cells) -> Grouped:
    """Return what was found at another length with its stems in the order of the first, by their cells."""
    bands, times = (min(a, b) for a, b in zip(first.shape[1:], other.shape[1:], strict=True))
    a, b = (_unit(each[:, :bands, :times]) for each in (first, other))
    alike, order = a @ b.T, np.zeros(len(a), np.intp)
    for _ in range(len(a)):  # the most alike first
        mine, its = np.unravel_index(int(alike.argmax()), alike.shape)
        order[mine] = its
        alike[mine], alike[:, its] = -2, -2
    return replace(found, groups=[found.groups[stem] for stem in order])


def _added(rows: Matrix, cell: NDArray[np.intp]) -> Cells:
    """Return sums of columns by their cells, which never fall: (cells, rows), 0 where a cell has no column."""
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    sums = np.zeros((int(cell[-1]) + 1, len(rows)))
    sums[cell[first]] = np.add.reduceat(rows, first, axis=1, dtype=np.float64).T
    return sums


def _unit(stems: Cells) -> Cells:
    flat = stems.reshape(len(stems), -1)
    unit: Cells = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-30)
    return unit
