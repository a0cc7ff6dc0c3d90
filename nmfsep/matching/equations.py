"""Gains of waveforms that start at known samples, by least squares: only what overlaps depends on each other.

Columns in the order of their starts are put into blocks so long that each overlaps its neighbours only. The normal
equations then are block tridiagonal, and are solved by elimination from block to block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signal.audio import Samples

Doubles = NDArray[np.float64]
SEGMENT = 8192  # samples whose products are taken at a time
LEAST = 1e-6  # of the diagonal, added to it: columns may be nearly the same


@dataclass(frozen=True, slots=True)
class Column:
    """A waveform (samples,) that begins at sample `start`, and the price of the square of its gain."""

    start: int
    waveform: Samples
    price: float = 0.0

    @property
    def stop(self) -> int:
        """The sample after its last."""
        return self.start + len(self.waveform)


def solve(samples: Samples, columns: Sequence[Column]) -> Doubles:
    """Return the gains (columns, channels) with which columns come nearest to samples (channels, samples).

    What lies before or after the samples does not count.
    """
    order = sorted(range(len(columns)), key=lambda index: columns[index].start)
    ordered = [columns[index] for index in order]
    firsts = _blocks(ordered)
    found = np.empty((len(columns), len(samples)))
    found[order] = _eliminated(*_equations(samples, ordered, firsts))
    return found


def _blocks(columns: Sequence[Column]) -> list[int]:
    """Return the index of the first column of each block, and the number of columns."""
    firsts, edge, reach, ahead = [0], columns[0].start + SEGMENT, 0, 0
    for index, column in enumerate(columns):
        if column.start >= max(edge, reach):
            # the block that ends here must be over before the one after the next begins
            firsts.append(index)
            edge, reach, ahead = column.start + SEGMENT, ahead, 0
        ahead = max(ahead, column.stop)
    return [*firsts, len(columns)]


def _equations(
    samples: Samples, columns: Sequence[Column], firsts: Sequence[int]
) -> tuple[list[Doubles], list[Doubles], list[Doubles]]:
    """Return the blocks of the normal equations: on the diagonal, left of it, and on the right side."""
    sizes = np.diff(firsts).tolist()
    diagonal = [np.zeros((size, size)) for size in sizes]
    below = [np.zeros((size, before)) for before, size in zip([0, *sizes], sizes, strict=False)]
    right = [np.zeros((size, len(samples))) for size in sizes]
    active: list[int] = []
    coming = 0
    for begin in range(0, samples.shape[1], SEGMENT):
        stop = min(begin + SEGMENT, samples.shape[1])
        while coming < len(columns) and columns[coming].start < stop:
            active.append(coming)
            coming += 1
        active = [index for index in active if columns[index].stop > begin]
        if not active:
            continue
        rows = np.zeros((len(active), stop - begin), np.float32)
        for row, index in zip(rows, active, strict=True):
            own = columns[index]
            first, last = max(begin, own.start), min(stop, own.stop)
            row[first - begin : last - begin] = own.waveform[first - own.start : last - own.start]
        products, sides = rows @ rows.T, rows @ samples[:, begin:stop].T
        ends = np.searchsorted(active, firsts)
        for block in np.flatnonzero(np.diff(ends)).tolist():
            here = slice(ends[block], ends[block + 1])
            own_places = np.array(active[here]) - firsts[block]
            diagonal[block][np.ix_(own_places, own_places)] += products[here, here]
            right[block][own_places] += sides[here]
            if block and ends[block] > ends[block - 1]:
                there = slice(ends[block - 1], ends[block])
                places = np.array(active[there]) - firsts[block - 1]
                below[block][np.ix_(own_places, places)] += products[here, there]
    largest = max(float(np.diag(block).max()) for block in diagonal) or 1.0
    for matrix, first in zip(diagonal, firsts, strict=False):
        prices = np.array([column.price for column in columns[first : first + len(matrix)]])
        matrix += np.diag(LEAST * np.diag(matrix) + 1e-12 * largest + prices)
    return diagonal, below, right


def _eliminated(diagonal: list[Doubles], below: list[Doubles], right: list[Doubles]) -> Doubles:
    """Return the solution of block tridiagonal, symmetric equations, whose blocks are used up."""
    for index in range(1, len(diagonal)):
        both = np.linalg.solve(diagonal[index - 1], np.hstack([below[index].T, right[index - 1]]))
        size = len(below[index])
        diagonal[index] -= below[index] @ both[:, :size]
        right[index] -= below[index] @ both[:, size:]
    found: list[NDArray[np.floating]] = [np.linalg.solve(diagonal[-1], right[-1])]
    for index in range(len(diagonal) - 2, -1, -1):
        rest = right[index] - below[index + 1].T @ found[-1]
        found.append(np.linalg.solve(diagonal[index], rest))
    return np.concatenate(found[::-1]).astype(np.float64, copy=False)
