"""Which files to work on: named, listed in a file, or found in folders, by one rule for all commands."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, UsageError
from .manifest import files_of, load
from .naming import MANIFEST
from .signal.formats import SUFFIXES


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
