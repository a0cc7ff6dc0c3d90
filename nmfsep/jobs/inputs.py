"""Finding the sounds to learn from: names, files, folders and patterns into sounds of one rate."""

from __future__ import annotations

import collections
import contextlib
import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, NmfsepError, UsageError
from ..files.formats import SUFFIXES
from ..files.naming import MANIFEST
from ..guidance.learn import Executor, Sound
from ..signal.audio import Samples, at_rate
from ..signal.read import Source
from .manifest import files_of, load


@dataclass(frozen=True, slots=True)
class Input:
    """A file to work on.

    Attributes
    ----------
    path : str
        "-" is standard input.
    below : str
        The folder it lies in, seen from the one that was given; empty for a file that was named itself.
    found : bool
        Whether it was found in a folder, not named.
    refused : UsageError, optional
        Why there is nothing to work on, though it was named.
    """

    path: str
    below: str = ""
    found: bool = False
    refused: UsageError | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """What was found in a folder.

    Attributes
    ----------
    path : str
    inputs : tuple of Input
        The sounds in and below it, by name.
    others : int
        Files with an extension that no sound has.
    products : int
        Sounds that are left out since a manifest beside or above them says nmfsep wrote them.
    unread : tuple of str
        Folders that cannot be looked into.
    """

    path: str
    inputs: tuple[Input, ...]
    others: int
    products: int
    unread: tuple[str, ...] = ()


def listed(name: str, null: bool = False) -> list[str]:
    """Return the names in a file, one a line, or ended by NUL characters; "-" is standard input.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    try:
        if name == "-":
            if sys.stdin is None:
                raise UsageError("bad file descriptor", path="-")
            data = sys.stdin.buffer.read()
        else:
            with open(os.fsencode(name), "rb") as file:
                data = file.read()
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "name a list of files", name) from error
    names = [os.fsdecode(part) for part in data.split(b"\0" if null else b"\n") if part]
    if not null and any("\0" in part for part in names):
        raise UsageError("has names that end with NUL characters", "use -0", name)
    return names


def gather(paths: Sequence[str], recursive: bool) -> tuple[list[Input], list[Folder]]:
    """Return the inputs in the order of the paths, folders in the place of which stand the sounds in and below them.

    A folder without sound is an input that is refused.
    """
    inputs, folders = [], []
    for path in paths:
        if not recursive or path == "-" or not os.path.isdir(os.fsencode(path)):
            inputs.append(Input(path))
            continue
        folder = look(path)
        if not folder.inputs:
            refused = UsageError("holds no sound files", f"looked for {' '.join(sorted(SUFFIXES))}", path)
            inputs.append(Input(path, refused=refused))
            continue
        folders.append(folder)
        inputs += folder.inputs
    return inputs, folders


def look(path: str, deep: bool = True, products: bool = False) -> Folder:
    """Return the sounds in a folder.

    What counts as sound is seen from the extension. Left out are hidden files and folders, and what nmfsep has written,
    so that the output folder may lie within the one that is given. Links to files are files, links to folders are not
    followed, and what is no file, such as a pipe, is none.

    Parameters
    ----------
    path : str
    deep : bool, default True
        Whether to look into the folders in it.
    products : bool, default False
        Whether what nmfsep has written is taken as well.

    Raises
    ------
    UsageError
        It cannot be looked into.
    """
    inputs: list[Input] = []
    written: set[str] = set()
    unread: list[str] = []
    others = 0
    for folder, names in _walk(path, deep, unread):
        below = os.path.relpath(folder, path)
        if not products:
            written.update(file for name in names for file in _written(folder, name))
        for name in names:
            file = os.path.join(folder, name)
            if os.path.splitext(name)[1].lower() in SUFFIXES and (os.path.isfile(file) or not os.path.exists(file)):
                inputs.append(Input(file, "" if below == "." else below, found=True))
            else:
                others += not name.endswith(MANIFEST)
    kept = tuple(entry for entry in inputs if os.path.normpath(entry.path) not in written)
    return Folder(path, kept, others, len(inputs) - len(kept), tuple(unread))


def _walk(path: str, deep: bool, unread: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with the names in it, all in order of their names, none that is hidden."""

    def refuse(error: OSError) -> None:
        if error.filename in (path, os.fsencode(path)):
            raise UsageError((error.strerror or str(error)).lower(), path=path) from error
        unread.append(os.fsdecode(error.filename))

    for folder, below, names in os.walk(path, onerror=refuse):
        below[:] = sorted(name for name in below if deep and not name.startswith("."))
        yield folder, sorted(name for name in names if not name.startswith("."))


def _written(folder: str, name: str) -> Iterator[str]:
    """Yield the files that a manifest vouches for."""
    if name.endswith(MANIFEST):
        with contextlib.suppress(InputError):
            manifest = load(Path(folder, name))
            for entry in [*files_of(manifest), *manifest.get("former", [])]:
                yield os.path.normpath(os.path.join(folder, entry["file"]))


PIECE = 300.0  # seconds of a recording that are in memory at a time, so that its length does not matter
FEWEST = 1 << 20  # samples of such a piece at the least, since at low rates 300 s are nothing
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
            return cls(path, source.sample_rate, source.channels, seconds, source.sha256(), tuple(source.warnings))

    def load(self, sample_rate: int, offset: float = 0.0, duration: float | None = None) -> Samples:
        """Read the sound, or a stretch of it in seconds, at a rate in hertz; shape (channels, samples)."""
        with Source(self.path) as source:
            audio = source.read(offset, duration)
        try:
            return at_rate(audio, sample_rate)
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error


def labelled(
    arguments: Iterable[str], left_out: list[NmfsepError] | None = None, notes: list[str] | None = None
) -> dict[str, list[str]]:
    """Return the files of each label from arguments NAME=FILE, or FILE for one more of the label before.

    FILE may be a folder, which stands for the sounds in and below it, or a pattern with ``*``, ``?`` or ``[``.

    Parameters
    ----------
    arguments : iterable of str
    left_out : list, optional
        Takes what is wrong with arguments that name no file, where their labels have others.
    notes : list of str, optional
        Takes what of folders is left out, in words.

    Raises
    ------
    UsageError
        An argument has no label, or a label has no file.
    """
    found: dict[str, list[str]] = {}
    faults: dict[str, UsageError] = {}
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
        try:
            found[label] += _expand(path, [] if notes is None else notes)
        except UsageError as error:
            faults.setdefault(label, error)
            if left_out is not None:
                left_out.append(error)
    for name, paths in found.items():
        if name in faults and (not paths or left_out is None):
            raise faults[name]
        if not paths:
            raise UsageError(f"{name!r} is given no file", f"write {name}=FILE")
        twice = [path for path, count in collections.Counter(map(os.path.realpath, paths)).items() if count > 1]
        if twice:
            raise UsageError(f"is given twice for {name!r}", "give each file once", twice[0])
    return found


def look_at(paths: Mapping[str, Sequence[str]], left_out: list[NmfsepError]) -> dict[str, list[Recording]]:
    """Return the recordings of each label, without those that are no audio; `left_out` takes what is wrong with these.

    Raises
    ------
    NmfsepError
        A label has no recording left.
    """
    found: dict[str, list[Recording]] = {}
    for label, group in paths.items():
        found[label], faults = [], list[NmfsepError]()
        for path in group:
            try:
                found[label].append(Recording.of(path))
            except NmfsepError as error:
                faults.append(error)
        _keep_going(label, found[label], faults, left_out)
    return found


def listen(
    recordings: Mapping[str, Sequence[Recording]], sample_rate: int, executor: Executor, left_out: list[NmfsepError]
) -> dict[str, list[Recording]]:
    """Return the recordings of each label that can be read to their end; `left_out` takes what is wrong with others.

    Raises
    ------
    NmfsepError
        A label has no recording left.
    """
    found: dict[str, list[Recording]] = {}
    for label, group in recordings.items():
        pieces = [(recording.path, sound) for recording in group for sound in sounds([recording], sample_rate)]
        faults: dict[str, NmfsepError] = {}
        for (path, _), fault in zip(
            pieces, executor.map(_fault, [sound for _, sound in pieces], sample_rate), strict=True
        ):
            if fault is not None:
                faults.setdefault(path, fault)
        found[label] = [recording for recording in group if recording.path not in faults]
        _keep_going(label, found[label], list(faults.values()), left_out)
    return found


def _fault(sound: Sound, common: int) -> NmfsepError | None:
    """Return what is wrong with a sound, if it cannot be read at the rate that all have in common."""
    try:
        sound.load()
    except NmfsepError as error:
        return error
    return None


def _keep_going(
    label: str, left: Sequence[Recording], faults: Sequence[NmfsepError], left_out: list[NmfsepError]
) -> None:
    """Take note of faults, but go on only if something is left of a label."""
    if faults and not left:
        if len(faults) == 1:
            raise faults[0]
        message = f"{faults[0].message}, and the other {len(faults) - 1} files of {label!r} cannot be read either"
        raise InputError(message, path=faults[0].path)
    left_out += faults


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
        long = max(PIECE, FEWEST / recording.sample_rate)
        pieces = 1 if recording.warnings else max(1, round(recording.seconds / long))
        seconds = recording.seconds / pieces
        first = partial(recording.load, sample_rate, 0.0, None if pieces == 1 else long)
        yield Sound(recording.sha256, first, seconds)
        for piece in range(1, pieces):
            duration = long if piece < pieces - 1 else None
            load = partial(recording.load, sample_rate, piece * long, duration)
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


def _expand(path: str, notes: list[str]) -> list[str]:
    if os.path.isdir(os.fsencode(path)):
        folder = look(path)
        if folder.products:
            notes.append(
                f"{path}: {folder.products} sounds that nmfsep wrote are left out; name them to learn from them"
            )
        notes += [f"{name}: cannot be looked into" for name in folder.unread]
        if not folder.inputs:
            only = ", but what nmfsep wrote" if folder.products else ""
            raise UsageError(f"holds no audio files{only}", "name them to learn from them" if only else None, path)
        return [entry.path for entry in folder.inputs]
    if not os.path.lexists(os.fsencode(path)) and re.search(r"[*?\[]", path):
        matches = sorted(name for name in glob.glob(path, recursive=True) if not os.path.isdir(name))
        if not matches:
            raise UsageError("matches no file", "check the pattern", path)
        return matches
    return [path]
