"""Finder of sound files: names, lists of names, folders and patterns in; the files to work on out.

A folder stands for the sounds in and below it, by their extensions, without those that a manifest says nmfsep wrote.
"""

from __future__ import annotations

import collections
import contextlib
import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, NmfsepError, UsageError
from ..files.formats import SUFFIXES
from ..files.naming import MANIFEST
from .manifest import files_of, load


@dataclass(frozen=True, slots=True)
class Input:
    """A file to work on.

    Attributes
    ----------
    path : str
        "-" is standard input.
    below : str
        Its folder, relative to the one that was given; empty for a file that was named itself.
    found : bool
        Whether it was found in a folder, not named.
    refused : UsageError, optional
        Why it cannot be worked on, though it was named.
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
        Sounds that are left out, because a manifest says nmfsep wrote them.
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
    """Return the inputs in the order of the paths, and the folders among these, which are replaced by their sounds.

    A folder without sounds is an input that is refused.
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
    """Return the sounds in a folder, by their extensions.

    Hidden files and folders are left out, and so are stems that nmfsep has written, so that the output folder may lie
    in the given one. Links to files are files; links to folders are not followed; pipes and devices are left out.

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
