"""What a cue is, and what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..kernels.factors import Matrix
from ..separation.mixture import mean_magnitudes
from ..settings.separation import Settings
from ..signal.audio import Audio
from ..signal.stft import BLOCK, STFT

AS_ASKED = np.nan  # the leash of templates that --adapt decides for
Costs = dict[str, Matrix]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the components before the fit, at one length of frames.

    Parameters
    ----------
    stft : STFT
    W : ndarray, shape (bins, components), float32
        Where the templates start.
    owners : ndarray, shape (components,)
        The index of each template's label, among those that were asked for.
    leash : ndarray, shape (components,)
        The share of the way to what fits the mixture best that each may move: 0 is held, 1 is free, AS_ASKED as the
        settings say.
    Z : ndarray, shape (components, frames), float32, optional
        Where the activations start, relative to their level; those of 0 stay 0. All at 1 if not given.
    known : int, optional
        Bins that the templates tell of, from 0 Hz; beyond these they are a guess. All if not given.
    delays : int, default 1
        Frames of a template, each a column; those of a template follow each other.
    """

    stft: STFT
    W: Matrix
    owners: NDArray[np.intp]
    leash: NDArray[np.float64]
    Z: Matrix | None = None
    known: int = 0
    delays: int = 1

    def __post_init__(self) -> None:
        if self.known == 0:
            object.__setattr__(self, "known", self.stft.bins)

    def of(self, label: int) -> NDArray[np.intp]:
        """Return the columns of a label."""
        return np.flatnonzero(self.owners == label)

    def renumbered(self, places: Sequence[int]) -> Evidence:
        """Return the same with each label's index taken from a list."""
        return replace(self, owners=np.asarray(places, np.intp)[self.owners])

    def beside(self, other: Evidence) -> Evidence:
        """Return the evidence of both, for the same frames."""
        if self.delays != other.delays:
            message = "a dictionary of templates of several frames cannot be combined with other guidance"
            raise UsageError(message, "learn it without --template-frames")
        Z = None
        if self.Z is not None or other.Z is not None:
            frames = (self.Z if self.Z is not None else other.Z).shape[1]  # type: ignore[union-attr]
            parts = [e.Z if e.Z is not None else np.ones((len(e.owners), frames), np.float32) for e in (self, other)]
            Z = np.concatenate(parts)
        W = np.concatenate([self.W, other.W], axis=1)
        owners, leash = np.concatenate([self.owners, other.owners]), np.concatenate([self.leash, other.leash])
        return Evidence(self.stft, W, owners, leash, Z, min(self.known, other.known), self.delays)


@dataclass(frozen=True, slots=True)
class Heard:
    """The stretch of a sound that is separated.

    Parameters
    ----------
    audio : Audio
    begin : float
        Seconds of the file before it.
    settings : Settings
    """

    audio: Audio
    begin: float
    settings: Settings

    @property
    def end(self) -> float:
        """Seconds of the file up to its end."""
        return self.begin + self.audio.length / self.audio.sample_rate

    def frames(self, stft: STFT, indices: NDArray[np.intp]) -> Matrix:
        """Return the magnitudes of some frames, the means over channels, (frames, bins); indices rise."""
        count = stft.n_frames(self.audio.length)
        found: Matrix = np.empty((len(indices), stft.bins), np.float32)
        for start in range(0, count, BLOCK):  # never all of the sound at once
            here = np.flatnonzero((indices >= start) & (indices < start + BLOCK))
            if len(here):
                block = mean_magnitudes(self.audio.samples, stft, start, min(count, start + BLOCK))
                found[here] = block[indices[here] - start]
        return found


def some(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of some indices, evenly spread."""
    return indices[:: -(-len(indices) // most)] if len(indices) else indices


class Cue(ABC):
    """One kind of what a separation is told. What most kinds have no say in has an answer here.

    Attributes
    ----------
    defaults : mapping
        Settings that are better with it where the user gave none.
    alone : bool
        Whether one label of it can do with the rest as free templates, without being asked to.
    moves : bool
        Whether templates of it move even without --adapt.
    matrices : int
        How many matrices as large as the activations it takes beside them.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}
    alone: ClassVar[bool] = True
    moves: ClassVar[bool] = False
    matrices: ClassVar[int] = 0

    @classmethod
    @abstractmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Cue:
        """Return the cue that the values of its option stand for; `given` are the settings that the user gave."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The stems that it tells of."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that it was read from."""
        return ()

    @property
    def shared(self) -> bool:
        """Whether its labels may be those of other cues, too, about which it then tells more."""
        return False

    @abstractmethod
    def origin(self, label: str) -> str:
        """Return what a label came from, for messages."""

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings that it was made with; raise UsageError where one that the user gave contradicts it."""
        return {}

    def stfts(self, sample_rate: int) -> list[STFT] | None:
        """Return the frames that suit it, None if all do."""
        return None

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Return what the user should know, before any sound is read; raise UsageError where it does not fit.

        Parameters
        ----------
        sample_rate : int
            Hertz.
        stfts : sequence of STFT
        begin, end : float
            Seconds of the file that are separated; None if the end is not known.
        """
        return ()

    @abstractmethod
    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return how many templates these labels of it have at the most, at each length of frames."""

    @abstractmethod
    def tell(self, heard: Heard, stfts: Sequence[STFT], labels: Sequence[str]) -> tuple[list[Evidence], list[str]]:
        """Return the evidence for these labels of it at each length of frames, and what the user should know.

        Raises
        ------
        InputError
            The sound does not hold what it tells of.
        """

    def costs(self, heard: Heard, evidence: Evidence, labels: Sequence[str]) -> Costs:
        """Return what entries of W and Z cost by it, shapes as of those; what is missing costs nothing."""
        return {}

    @abstractmethod
    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return what it was, as JSON with its kind, and the lengths of frames it was used with."""


def combined(parts: Sequence[Sequence[Evidence]]) -> list[Evidence]:
    """Return the evidence of several cues at each length of frames."""
    return [reduce(Evidence.beside, of_frames) for of_frames in zip(*parts, strict=True)]


def added(parts: Iterable[Costs]) -> Costs:
    """Return the sum of costs."""
    total: Costs = {}
    for costs in parts:
        for name, cost in costs.items():
            total[name] = total[name] + cost if name in total else cost
    return total
