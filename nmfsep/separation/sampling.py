"""Frames drawn at random from more than fit into memory, and how much variety there is in them."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from ..nmf.factors import Matrix

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
    """

    def __init__(self, bins: int, size: int) -> None:
        self.size = size
        self.left_out = 0
        self._numbers: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._frames: list[Matrix] = [np.empty((0, bins), np.float32)]

    def add(self, key: str, start: int, frames: Matrix) -> None:
        """Add frames of a sound, of which `key` and `start` tell them apart from all others."""
        seed = int.from_bytes(hashlib.sha256(f"{key}:{start}".encode()).digest()[:8], "big")
        numbers = np.random.Generator(np.random.PCG64(seed)).integers(0, 2**63, len(frames), dtype=np.uint64)
        self._numbers = np.concatenate([self._numbers, numbers])
        self._frames.append(frames)
        if len(self._numbers) >= 2 * self.size:
            self._shrink()

    def merge(self, other: Sample) -> None:
        """Add the sample of other sounds."""
        self.left_out += other.left_out
        self._numbers = np.concatenate([self._numbers, other._numbers])
        self._frames += other._frames
        if len(self._numbers) >= 2 * self.size:
            self._shrink()

    def frames(self) -> Matrix:
        """Return the sample, (frames, bins), in the order of its numbers."""
        self._shrink()
        return self._frames[0]

    def first(self, count: int) -> Matrix:
        """Return the sample of a smaller size."""
        return self.frames()[:count]

    def _shrink(self) -> None:
        order = np.argsort(self._numbers, kind="stable")[: self.size]
        self.left_out += len(self._numbers) - len(order)
        self._frames = [np.concatenate(self._frames)[order]]
        self._numbers = self._numbers[order]


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
