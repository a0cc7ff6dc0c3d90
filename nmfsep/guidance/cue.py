"""Cue, the interface of one kind of knowledge about stems: templates, and costs of where they may sound."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..kernels.product import Matrix
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from ..signal.stream import Stream
from .codebooks import Books
from .strokes import Strokes
from .templates import Templates

Costs = dict[str, Matrix]
Proposed = tuple[list[Templates], list[str]]  # templates at each length of frames, and what the user should know


@dataclass(frozen=True, slots=True)
class Context:
    """The stretch of a sound that is separated; it begins at `begin` seconds of its file."""

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


def evenly(indices: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of some indices, evenly spread."""
    return indices[:: -(-len(indices) // most)] if len(indices) else indices


def read_bytes(path: str, largest: int, kind: str, wanted: str) -> bytes:
    """Return what is in a file; raise UsageError where it cannot be read, or has more bytes than any of its kind."""
    try:
        with open(os.fsencode(path), "rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        hint = "check the name" if error.errno == 2 else None
        raise UsageError((error.strerror or str(error)).lower(), hint, path) from error
    if len(data) > largest:
        raise UsageError(f"is larger than {largest >> 20} MB, which no {kind} is", f"give a {wanted}", path)
    return data


def sha256(path: str) -> str:
    """Return the hash of a file."""
    with open(os.fsencode(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cue(ABC):
    """One kind of guidance. What most kinds say nothing about has an answer here."""

    kind: ClassVar[str]  # its name in the registry, which is that of its option
    defaults: ClassVar[Mapping[str, Any]] = {"sparsity": 0.0}  # settings that are better with it if none were given
    alone: ClassVar[bool] = True  # whether free templates learn the rest, without being asked, if it names one stem
    moves: ClassVar[bool] = False  # whether templates of it move even without --adapt
    shared: ClassVar[bool] = False  # whether it may add to what other cues know about a label
    matrices: ClassVar[int] = 0  # how many more matrices as large as the activations it takes
    templates: ClassVar[int]  # of each of its labels, at the most
    paths: tuple[str, ...] = ()  # the files that it was read from
    hashes: tuple[str, ...] = ()  # SHA-256 of each

    @property
    def lasting(self) -> bool:
        """Whether its templates last several frames."""
        return False

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

    def for_input(self, path: str) -> Cue:
        """Return what it says about one input of many."""
        return self

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """The stems that it is about, each once."""

    def labels_of_files(self) -> Sequence[Sequence[str]]:
        """Return the labels in each of its files."""
        return [self.labels] * len(self.paths)

    def origin(self, label: str) -> str:
        """Return what a label came from, for messages."""
        return f"--{self.kind} {label}"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings that it was made with; raise UsageError where one that the user gave contradicts it."""
        return {}

    def stfts(self, sample_rate: int) -> list[STFT] | None:
        """Return the frames that suit it, None if all do."""
        return None

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Return what the user should know, before any sound is read; raise UsageError where it does not fit.

        What is separated goes from `begin` to `end` in seconds of the file; `end` is None if it is not known.
        """
        return ()

    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return how many templates these labels of it have at the most, at each length of frames."""
        return [self.templates * len(labels)] * len(stfts)

    @abstractmethod
    def propose(self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]) -> Proposed:
        """Return the templates for these labels of it at each length of frames, and what the user should know.

        Raises
        ------
        InputError
            The sound does not hold what it is about.
        """

    def costs(self, context: Context, templates: Templates, labels: Sequence[str]) -> Costs:
        """Return what entries of W and Z cost by it, shapes as of those; what is missing costs nothing."""
        return {}

    @property
    def most_strokes(self) -> int:
        """How many waveforms it has at the most of a label to look for in the mixture."""
        return 0

    def strokes(self, sample_rate: int) -> dict[str, Strokes]:
        """Return the waveforms of labels that it has any of, at a rate; raise InputError where it cannot be had."""
        return {}

    def books(self) -> dict[str, Books]:
        """Return the codebooks of labels that it has any of."""
        return {}

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return its files as JSON, each with the lengths of frames it was used with."""
        return [
            {"kind": self.kind, "path": path, "sha256": digest, "labels": list(labels), "n_fft": list(frames)}
            for path, digest, labels in zip(self.paths, self.hashes, self.labels_of_files(), strict=True)
        ]
