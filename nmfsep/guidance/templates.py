"""Templates with owners: the spectra that components begin with, or are held at, at one length of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..kernels.product import Matrix
from ..signal.stft import STFT


@dataclass(frozen=True, slots=True)
class Templates:
    """Columns of W, and which component each belongs to.

    Parameters
    ----------
    stft : STFT
        What they were measured with.
    W : ndarray, shape (bins, k), float32
        Templates in columns; those of a dictionary have unit Euclidean norm.
    owners : ndarray, shape (k,)
        The index of each column's component.
    known_bins : int, optional
        Bins that the templates describe, from 0 Hz; above these they are a guess. All if not given.
    delays : int, default 1
        Frames of a template, each a column; those of a template follow each other.
    mobility : ndarray, shape (k,), optional
        The share of the way to what fits the mixture best that each may move: 0 is held, 1 is free. As --adapt says if
        not given, and where it is NaN.
    Z : ndarray, shape (k, frames), float32, optional
        Where the activations start, relative to their level; those of 0 stay 0. All at 1 if not given.
    """

    stft: STFT
    W: Matrix
    owners: NDArray[np.intp]
    known_bins: int = 0
    delays: int = 1
    mobility: NDArray[np.float64] | None = None
    Z: Matrix | None = None

    def __post_init__(self) -> None:
        if self.known_bins == 0:
            object.__setattr__(self, "known_bins", self.stft.bins)

    def columns(self, component: int) -> NDArray[np.intp]:
        """Return the columns of a component."""
        return np.flatnonzero(self.owners == component)

    def groups(self, components: int) -> list[list[int]]:
        """Return the columns of each component."""
        return [self.columns(component).tolist() for component in range(components)]

    def mobilities(self, adapt: float) -> NDArray[np.float64]:
        """Return how far each template may move, those that --adapt decides about by its value."""
        if self.mobility is None:
            return np.full(len(self.owners), adapt)
        return np.where(np.isnan(self.mobility), adapt, self.mobility)

    def renumbered(self, places: Sequence[int]) -> Templates:
        """Return the same with each component's index taken from a list."""
        return replace(self, owners=np.asarray(places, np.intp)[self.owners])

    def joined(self, other: Templates) -> Templates:
        """Return the templates of both, for the same frames.

        Raises
        ------
        UsageError
            One lasts several frames, the other does not.
        """
        if self.delays != other.delays:
            message = "a dictionary of templates of several frames cannot be combined with other guidance"
            raise UsageError(message, "learn it without --template-frames")
        Z = mobility = None
        if self.Z is not None or other.Z is not None:
            frames = (self.Z if self.Z is not None else other.Z).shape[1]  # type: ignore[union-attr]
            parts = [each.Z if each.Z is not None else np.ones((len(each.owners), frames), np.float32)
                     for each in (self, other)]  # fmt: skip
            Z = np.concatenate(parts)
        if self.mobility is not None or other.mobility is not None:
            mobility = np.concatenate([self.mobilities(np.nan), other.mobilities(np.nan)])
        W = np.concatenate([self.W, other.W], axis=1)
        owners = np.concatenate([self.owners, other.owners])
        return Templates(self.stft, W, owners, min(self.known_bins, other.known_bins), self.delays, mobility, Z)
