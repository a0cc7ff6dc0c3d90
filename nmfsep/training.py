"""Finding the sounds to learn from: names, files, folders and patterns into sounds of one rate."""

from __future__ import annotations

import collections
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .errors import InputError, UsageError
from .manifest import file_sha256
from .separation.sounding import Sound
from .signal.audio import Samples
from .signal.formats import SUFFIXES
from .signal.rate import at_rate
from .signal.read import Source

PIECE = 300.0  # seconds of a recording that are in memory at a time, so that its length does not matter
NAMED = 20  # files named in a dictionary, of each label


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to learn from, as far as its header tells.

    Attributes
    ----------
    path : str
    sample_rate : int
        Hertz.
    channels : int
    seconds : float
    sha256 : str
    warnings : tuple of str
        What is odd about the file though it can be read.
    """

    path: str
    sample_rate: int
    channels: int
    seconds: float
    sha256: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str) -> Recording:
        """Look at a file.

        Raises
        ------
        UsageError
            It cannot be read at all.
        InputError
            It is not audio of a kind that is read, or broken.
        """
        if not os.path.isfile(os.fsencode(path)):
            raise UsageError("no such file" if not os.path.lexists(os.fsencode(path)) else "is not a file", path=path)
        if not os.access(os.fsencode(path), os.R_OK):
            raise UsageError("permission denied", path=path)
        with Source(path) as source:
            seconds = (source.frames or 0) / source.sample_rate
            digest = file_sha256(path)
            return cls(path, source.sample_rate, source.channels, seconds, digest, tuple(source.warnings))

    def load(self, sample_rate: int, offset: float = 0.0, duration: float | None = None) -> Samples:
        """Read the sound, or a stretch of it in seconds, at a rate in hertz; shape (channels, samples)."""
        with Source(self.path) as source:
            audio = source.read(offset, duration)
        try:
            return at_rate(audio, sample_rate)
        except InputError as error:
            raise InputError(error.message, path=self.path) from error


def labelled(arguments: Iterable[str]) -> dict[str, list[str]]:
    """Return the files of each label from arguments NAME=FILE, or FILE for one more of the label before.

    FILE may be a folder, which stands for all audio files in and below it, or a pattern with ``*``, ``?`` or ``[``.

    Raises
    ------
    UsageError
        An argument has no label, or names no file.
    """
    found: dict[str, list[str]] = {}
    label = None
    for argument in arguments:
        path = argument
        match = re.match(r"([^=/]+)=(.*)", argument, re.DOTALL)
        if match and not os.path.lexists(os.fsencode(argument)):
            label, path = match.groups()
            found.setdefault(label, [])
            if not path:  # the files are the next arguments, as a shell's own pattern gives them
                continue
        if label is None:
            name, equals, file = argument.partition("=")
            if equals and name:
                raise UsageError(f"{name!r} cannot be a label", f"use letters and digits, such as NAME={file}")
            raise UsageError(f"{argument!r} has no label", f"write NAME={file or name}")
        found[label] += _expand(path)
    for name, paths in found.items():
        if not paths:
            raise UsageError(f"{name!r} is given no file", f"write {name}=FILE")
        twice = [path for path, count in collections.Counter(map(os.path.realpath, paths)).items() if count > 1]
        if twice:
            raise UsageError(f"is given twice for {name!r}", "give each file once", twice[0])
    return found


def conversions(recordings: Sequence[Recording], sample_rate: int) -> str | None:
    """Return what has to be done to some of the files, in words; None if nothing."""
    other = sum(recording.sample_rate != sample_rate for recording in recordings)
    many = sum(recording.channels > 1 for recording in recordings)
    parts = [f"{other} of {len(recordings)} files converted to {sample_rate} Hz"] if other else []
    parts += [f"{many} of {len(recordings)} files averaged over their channels"] if many else []
    return ", ".join(parts) or None


def sounds(recordings: Sequence[Recording], sample_rate: int) -> list[Sound]:
    """Return the sounds of recordings, to be read when they are needed; of long ones, piece by piece."""

    def loaders(recording: Recording) -> Iterator[Sound]:
        # where the header promises more than there is, only reading tells how much that is
        pieces = 1 if recording.warnings else max(1, round(recording.seconds / PIECE))
        seconds = recording.seconds / pieces
        first = partial(recording.load, sample_rate, 0.0, None if pieces == 1 else PIECE)
        yield Sound(recording.sha256, first, seconds)
        for piece in range(1, pieces):
            duration = PIECE if piece < pieces - 1 else None
            load = partial(recording.load, sample_rate, piece * PIECE, duration)
            yield Sound(f"{recording.sha256}:{piece:06}", load, seconds)

    return [sound for recording in recordings for sound in loaders(recording)]


def provenance(label: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what a dictionary keeps of where a label's templates came from; the same whatever the order of files."""
    ordered = sorted(recordings, key=lambda recording: (recording.sha256, os.path.basename(recording.path)))
    names = [os.path.basename(recording.path) for recording in ordered[:NAMED]]
    return {
        "label": label,
        "files": len(ordered),
        "seconds": round(sum(recording.seconds for recording in ordered), 3),
        "sample_rates": sorted({recording.sample_rate for recording in ordered}),
        "channels": sorted({recording.channels for recording in ordered}),
        "first": [{"name": name, "sha256": recording.sha256} for name, recording in zip(names, ordered, strict=False)],
    }


def _expand(path: str) -> list[str]:
    if os.path.isdir(os.fsencode(path)):
        inside = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")
        ]
        if not inside:
            raise UsageError("holds no audio files", path=path)
        return sorted(inside)
    if not os.path.lexists(os.fsencode(path)) and re.search(r"[*?\[]", path):
        matches = sorted(name for name in glob.glob(path, recursive=True) if not os.path.isdir(name))
        if not matches:
            raise UsageError("matches no file", "check the pattern", path)
        return matches
    return [path]
