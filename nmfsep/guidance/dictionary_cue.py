"""Dictionary cue: templates learned before, from recordings of the sounds alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, ClassVar

from ..errors import UsageError
from ..signal.stft import STFT
from .cue import Context, Cue
from .dictionary import Dictionary, convert, read, suitable
from .templates import Templates


@dataclass(frozen=True, slots=True)
class Dictionaries(Cue):
    """The dictionaries of a run.

    Parameters
    ----------
    dictionaries : tuple of Dictionary
        At least one; no label twice.
    paths : tuple of str
        What to call each in messages: its path.
    hashes : tuple of str
        SHA-256 of each file.

    Raises
    ------
    UsageError
        Two have a label.
    """

    alone: ClassVar[bool] = False
    dictionaries: tuple[Dictionary, ...]
    paths: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    _fitted: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner: dict[str, int] = {}
        for index, dictionary in enumerate(self.dictionaries):
            for label in dictionary.labels:
                if label in owner:
                    other = self._name(owner[label]) if owner[label] != index else "itself"
                    hint = "give one of them, or learn it anew under another name"
                    raise UsageError(f"has label {label!r}, as {other} has", hint, self._name(index))
                owner[label] = index

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Dictionaries:
        """Read dictionaries from files."""
        dictionaries = tuple(read(path) for path in texts)
        hashes = []
        for path in texts:
            with open(os.fsencode(path), "rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        return cls(dictionaries, tuple(texts), tuple(hashes))

    @classmethod
    def of(cls, value: Any, given: Mapping[str, Any]) -> Dictionaries:
        """Return the cue of dictionaries in memory, of their files, or of both."""
        kits = [value] if isinstance(value, (Dictionary, str, os.PathLike)) else list(value)
        paths = [os.fspath(kit) for kit in kits if not isinstance(kit, Dictionary)]
        if len(paths) == len(kits):
            return cls.read(paths, given)
        return cls(tuple(kit if isinstance(kit, Dictionary) else read(kit) for kit in kits))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in order."""
        return tuple(label for dictionary in self.dictionaries for label in dictionary.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The files."""
        return self.paths

    def origin(self, label: str) -> str:
        """Return the dictionary of a label."""
        return next(self._name(i) for i, dictionary in enumerate(self.dictionaries) if label in dictionary.labels)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the first was learned with."""
        first = self.dictionaries[0]
        stft = first.views[0].stft
        if given.get("window", stft.window) != stft.window:
            message = f"its templates were measured with window {stft.window!r}"
            raise UsageError(message, "leave out --window", self._name(0))
        frames = {"n_fft": stft.n_fft, "hop_length": stft.hop_length} if given.get("n_fft") is None else {}
        found = {"divergence": first.divergence, "window": stft.window, **frames}
        if first.views[0].delays > 1:  # there is no such penalty on activations that several frames share
            if given.get("sparsity"):
                hint = "leave out --sparsity"
                raise UsageError("templates of several frames know no sparsity", hint, self._name(0))
            found["sparsity"] = 0.0
        return found

    def stfts(self, sample_rate: int) -> list[STFT] | None:
        """Return frames that last about as long as those of the first."""
        return suitable(self.dictionaries[0], sample_rate)

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Return what has to be converted; raise UsageError where it cannot be."""
        return self.fitted(sample_rate, stfts)[1]

    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return the number of templates."""
        return [view.W.shape[1] for view in self.fitted(sample_rate, stfts)[0].views]

    def propose(
        self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]
    ) -> tuple[list[Templates], list[str]]:
        """Return the templates, converted to the mixture's rate and frames."""
        fitted, notes = self.fitted(context.audio.sample_rate, stfts)
        return list(fitted.views), list(notes)

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return the path and hash of each, and its labels."""
        parts = zip(self.paths, self.hashes, self.dictionaries, strict=True)
        return [
            {
                "kind": "dictionary", "path": path, "sha256": digest, "labels": list(dictionary.labels),
                "n_fft": list(frames),
            }
            for path, digest, dictionary in parts
        ]  # fmt: skip

    def fitted(self, sample_rate: int, stfts: Sequence[STFT]) -> tuple[Dictionary, tuple[str, ...]]:
        """Return one dictionary of all labels for mixtures of a rate, and what had to be converted.

        Raises
        ------
        UsageError
            One cannot be converted.
        """
        key = (sample_rate, *stfts)
        if key not in self._fitted:
            self._fitted[key] = self._fit(sample_rate, stfts)
        found: tuple[Dictionary, tuple[str, ...]] = self._fitted[key]
        return found

    def _fit(self, sample_rate: int, stfts: Sequence[STFT]) -> tuple[Dictionary, tuple[str, ...]]:
        notes, fitted = [], []
        for index, dictionary in enumerate(self.dictionaries):
            try:
                fitted.append(convert(dictionary, sample_rate, stfts))
            except UsageError as error:
                raise UsageError(error.message, error.hint, self._name(index)) from error
            if dictionary.sample_rate != sample_rate:
                note = f"templates of {self._name(index)!r} converted from {dictionary.sample_rate} to {sample_rate} Hz"
                if min(view.known_bins - view.stft.bins for view in fitted[-1].views) < 0:
                    note += f"; they tell nothing of what is above {dictionary.sample_rate // 2} Hz"
                notes.append(note)
            elif {view.stft.n_fft for view in dictionary.views} != {stft.n_fft for stft in stfts}:
                lengths = " and ".join(str(stft.n_fft) for stft in stfts)
                notes.append(f"templates of {self._name(index)!r} converted to n_fft {lengths}")
        return reduce(Dictionary.append, fitted), tuple(notes)

    def _name(self, index: int) -> str:
        return self.paths[index] if index < len(self.paths) else f"dictionary {index + 1}"
