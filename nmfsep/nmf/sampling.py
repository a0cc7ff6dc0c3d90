"""Frames drawn at random from more than fit into memory, and how much variety there is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Matrix

VARIETY = 0.003  # share of the energy that templates may leave, -25 dB
LOOKED_AT = 1000  # frames


class Sample:
    """A random sample of frames that come in blocks: those with the lowest of numbers drawn for each.

    The numbers depend on the frame's sound and place only, so that the same frames are drawn in whatever order they
    come (Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).

    Parameters
    ----------
    bins : int
    size : int
        Frames kept at the most.

    Attributes
    ----------
    seen : int
        Frames that have come.
    """

    def __init__(self, bins: int, size: int) -> None:
        self.size = size
        self.seen = 0
        self._numbers: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._frames: Matrix = np.empty((size, bins), np.float32)  # takes no memory before it is filled

    @property
    def left_out(self) -> int:
        """Frames that have come and were not kept."""
        return self.seen - len(self._numbers)

    def add(self, key: str, start: int, frames: Matrix) -> None:
        """Add frames of a sound, of which `key` and `start` tell them apart from all others."""
        self.choose(key, start, len(frames), lambda chosen: frames[chosen])

    def choose(self, key: str, start: int, count: int, frames: Callable[[NDArray[np.intp]], Matrix]) -> None:
        """Add frames as `add` does, of which only those are asked for that are kept.

        Parameters
        ----------
        key : str
        start, count : int
        frames : callable
            Returns those of the block at some indices.
        """
        seed = int.from_bytes(hashlib.sha256(f"{key}:{start}".encode()).digest()[:8], "big")
        numbers = np.random.Generator(np.random.PCG64(seed)).integers(0, 2**63, count, dtype=np.uint64)
        self._admit(numbers, frames)

    def merge(self, other: Sample) -> None:
        """Add the sample of other sounds."""
        self.seen += other.left_out
        self._admit(other._numbers, lambda chosen: other.rows()[chosen])

    def trim(self) -> None:
        """Give up the room for frames that have not come, and take no more."""
        self._frames, self.size = self.rows().copy(), len(self._numbers)

    def _admit(self, numbers: NDArray[np.uint64], frames: Callable[[NDArray[np.intp]], Matrix]) -> None:
        """Keep those of some frames that are among the lowest, and let others go for them."""
        count = len(numbers)
        self.seen += count
        held = len(self._numbers)
        everyone = np.concatenate([self._numbers, numbers])
        if len(everyone) <= self.size:
            new, places = np.arange(count), np.arange(held, held + count)
            self._numbers = everyone
        else:
            kept = np.argpartition(everyone, self.size - 1)[: self.size]
            new = np.sort(kept[kept >= held]) - held
            leaving = np.ones(held, bool)
            leaving[kept[kept < held]] = False
            places = np.concatenate([np.flatnonzero(leaving), np.arange(held, self.size)])
            self._numbers = np.concatenate([self._numbers, np.empty(self.size - held, np.uint64)])
            self._numbers[places] = numbers[new]
        if len(new):
            self._frames[places] = frames(new)

    def rows(self) -> Matrix:
        """Return the sample itself, (frames, bins), in no order that means anything."""
        return self._frames[: len(self._numbers)]

    def frames(self) -> Matrix:
        """Return the sample, (frames, bins), in the order of its numbers."""
        return self._frames[np.argsort(self._numbers, kind="stable")]

    def first(self, count: int) -> Matrix:
        """Return the sample of a smaller size."""
        return self.frames()[:count]


def richness(X: Matrix, most: int) -> int:
    """Return how many of the frames it takes to span the others but for VARIETY of their energy.

    Found by successive projection (see nmf.starts.spa), on evenly spaced frames (frames, bins).
    """
    residual = X[:: -(-len(X) // LOOKED_AT)].astype(np.float64)
    energies = np.einsum("tf,tf->t", residual, residual)
    enough = VARIETY * energies.sum()
    count = 0
    while energies.sum() > enough and count < most:
        pick = int(energies.argmax())
        direction = residual[pick] / np.sqrt(energies[pick])
        residual -= np.outer(residual @ direction, direction)
        energies = np.einsum("tf,tf->t", residual, residual)
        count += 1
    return max(2, count)
