"""Recordings to learn templates from: files of any rate, channels and length into sounds of one rate.

Headers are looked at first, then every file is read to its end once; a file that fails is left out if its label has
others. Long files are read piece by piece. Processes that learn load this and nothing of other jobs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import InputError, NmfsepError, UsageError
from ..guidance.learn import Executor, Sound
from ..signal.audio import Samples, at_rate
from ..signal.read import Source

PIECE = 300.0  # seconds of a recording that are in memory at a time, so that its length does not matter
FEWEST = 1 << 20  # samples of such a piece at the least, since at low rates 300 s are nothing
NAMED = 20  # files named in a dictionary, of each label


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to learn from, by its header; warnings say what is odd about it though it can be read."""

    path: str
    sample_rate: int
    channels: int
    seconds: float
    sha256: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str) -> Recording:
        """Look at a file; raise UsageError if it cannot be opened, InputError if it is no audio that can be read."""
        if not os.path.isfile(os.fsencode(path)):
            raise UsageError("no such file" if not os.path.lexists(os.fsencode(path)) else "is not a file", path=path)
        if not os.access(os.fsencode(path), os.R_OK):
            raise UsageError("permission denied", path=path)
        with Source(path) as source:
            seconds = (source.frames or 0) / source.sample_rate
            return cls(path, source.sample_rate, source.channels, seconds, source.sha256(), tuple(source.warnings))

    def load(self, sample_rate: int, offset: float = 0.0, duration: float | None = None) -> Samples:
        """Read the sound, or a stretch of it in seconds, at a rate in hertz; shape (channels, samples)."""
        with Source(self.path) as source:
            audio = source.read(offset, duration)
        try:
            return at_rate(audio, sample_rate)
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error

    def sounds(self, sample_rate: int) -> Iterator[Sound]:
        """Yield what is read when it is needed: the sound, of a long one piece by piece."""
        # a header that claims more than there is says nothing about the length: read such a file whole
        long = max(PIECE, FEWEST / self.sample_rate)
        pieces = 1 if self.warnings else max(1, round(self.seconds / long))
        for piece in range(pieces):
            load = partial(self.load, sample_rate, piece * long, long if piece < pieces - 1 else None)
            yield Sound(f"{self.sha256}:{piece:06}" if piece else self.sha256, load, self.seconds / pieces)


def look_at(paths: Mapping[str, Sequence[str]], left_out: list[NmfsepError]) -> dict[str, list[Recording]]:
    """Return the recordings of each label, of which some must be left; `left_out` takes what is wrong with others."""
    found: dict[str, list[Recording]] = {}
    for label, group in paths.items():
        found[label], faults = [], list[NmfsepError]()
        for path in group:
            try:
                found[label].append(Recording.of(path))
            except NmfsepError as error:
                faults.append(error)
        _require_some(label, found[label], faults)
        left_out += faults
    return found


def listen(
    recordings: Mapping[str, Sequence[Recording]], sample_rate: int, executor: Executor, left_out: list[NmfsepError]
) -> dict[str, list[Recording]]:
    """Return those of each label that can be read to their end, as `look_at` does."""
    found: dict[str, list[Recording]] = {}
    for label, group in recordings.items():
        pieces = [(recording.path, sound) for recording in group for sound in recording.sounds(sample_rate)]
        faults: dict[str, NmfsepError] = {}
        results = executor.map(_fault, [sound for _, sound in pieces], None)
        for (path, _), fault in zip(pieces, results, strict=True):
            if fault is not None:
                faults.setdefault(path, fault)
        found[label] = [recording for recording in group if recording.path not in faults]
        _require_some(label, found[label], list(faults.values()))
        left_out += faults.values()
    return found


def _fault(sound: Sound, common: None) -> NmfsepError | None:
    """Return what is wrong with a sound, if it cannot be read."""
    try:
        sound.load()
    except NmfsepError as error:
        return error
    return None


def _require_some(label: str, left: Sequence[Recording], faults: Sequence[NmfsepError]) -> None:
    """Raise what is wrong with the files of a label if none is left."""
    if faults and not left:
        if len(faults) == 1:
            raise faults[0]
        message = f"{faults[0].message}, and the other {len(faults) - 1} files of {label!r} cannot be read either"
        raise InputError(message, path=faults[0].path)


def conversions(recordings: Sequence[Recording], sample_rate: int) -> str | None:
    """Return what has to be done to some of the files, in words; None if nothing."""
    other = sum(recording.sample_rate != sample_rate for recording in recordings)
    many = sum(recording.channels > 1 for recording in recordings)
    parts = [f"{other} of {len(recordings)} files converted to {sample_rate} Hz"] if other else []
    parts += [f"{many} of {len(recordings)} files averaged over their channels"] if many else []
    return ", ".join(parts) or None


def provenance(label: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what a dictionary keeps of where a label's templates came from; the same whatever the order of files."""
    ordered = sorted(recordings, key=lambda recording: (recording.sha256, os.path.basename(recording.path)))
    return {
        "label": label,
        "files": len(ordered),
        "seconds": round(sum(recording.seconds for recording in ordered), 3),
        "sample_rates": sorted({recording.sample_rate for recording in ordered}),
        "channels": sorted({recording.channels for recording in ordered}),
        "first": [{"name": os.path.basename(each.path), "sha256": each.sha256} for each in ordered[:NAMED]],
    }
