"""Cue, the interface of one kind of knowledge about stems: templates, and costs of where they may sound."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..kernels.factors import Matrix
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from ..signal.stream import Stream
from .templates import Templates

Costs = dict[str, Matrix]


@dataclass(frozen=True, slots=True)
class Context:
    """The stretch of a sound that is separated.

    Parameters
    ----------
    audio : Audio or Stream
    begin : float
        Seconds of the file before it.
    settings : Settings
    """

    audio: Audio | Stream
    begin: float
    settings: Settings

    @property
    def samples(self) -> Samples:
        """Samples of a mixture in memory, (channels, samples); all cues but dictionaries need it there."""
        assert isinstance(self.audio, Audio)
        return self.audio.samples

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
                block = mean_magnitudes(self.samples, stft, start, min(count, start + BLOCK))
                found[here] = block[indices[here] - start]
        return found


def some(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of some indices, evenly spread."""
    return indices[:: -(-len(indices) // most)] if len(indices) else indices


class Cue(ABC):
    """One kind of guidance. What most kinds say nothing about has an answer here.

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

    @classmethod
    def of(cls, value: Any, given: Mapping[str, Any]) -> Cue:
        """Return the cue that an argument of Python's `separate` stands for: a path, several, or one for each name."""
        if isinstance(value, Mapping):
            return cls.read([f"{name}={os.fspath(path)}" for name, path in value.items()], given)
        paths = [value] if isinstance(value, (str, os.PathLike)) else value
        return cls.read([os.fspath(path) for path in paths], given)

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The stems that it is about."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that it was read from."""
        return ()

    @property
    def shared(self) -> bool:
        """Whether its labels may be those of other cues, too, about which it then adds knowledge."""
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
    def propose(
        self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]
    ) -> tuple[list[Templates], list[str]]:
        """Return the templates for these labels of it at each length of frames, and what the user should know.

        Raises
        ------
        InputError
            The sound does not hold what it is about.
        """

    def costs(self, context: Context, templates: Templates, labels: Sequence[str]) -> Costs:
        """Return what entries of W and Z cost by it, shapes as of those; what is missing costs nothing."""
        return {}

    @abstractmethod
    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return what it was, as JSON with its kind, and the lengths of frames it was used with."""


def combined(parts: Sequence[Sequence[Templates]]) -> list[Templates]:
    """Return the templates of several cues at each length of frames."""
    return [reduce(Templates.joined, of_frames) for of_frames in zip(*parts, strict=True)]


def added(parts: Iterable[Costs]) -> Costs:
    """Return the sum of costs."""
    total: Costs = {}
    for costs in parts:
        for name, cost in costs.items():
            total[name] = total[name] + cost if name in total else cost
    return total
