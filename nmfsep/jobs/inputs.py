"""Finder of sound files: names, lists of names, folders and patterns in; the files to work on out.

A folder stands for the sounds in and below it, by their extensions, without those that a manifest says nmfsep wrote.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, NmfsepError, UsageError
from ..files.formats import SUFFIXES
from ..files.naming import MANIFEST, track_name
from ..system import exists, is_file, is_folder
from .manifest import files_of, load
from .safety import identities, require_readable


@dataclass(frozen=True, slots=True)
class Input:
    """A file to work on."""

    path: str  # "-" is standard input
    below: str = ""  # its folder, relative to the one that was given; empty for a file that was named itself
    found: bool = False  # in a folder, not named
    refused: UsageError | None = None  # why it cannot be worked on, though it was named


@dataclass(frozen=True, slots=True)
class Folder:
    """What was found in a folder."""

    path: str
    inputs: tuple[Input, ...]  # the sounds in and below it, by name
    others: int  # files with an extension that no sound has
    products: int  # sounds that are left out, because a manifest says nmfsep wrote them
    unread: tuple[str, ...] = ()  # folders that cannot be looked into


def listed(name: str, null: bool = False) -> list[str]:
    """Return the names in a file, one a line, or ended by NUL characters; "-" is standard input."""
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
        if not recursive or path == "-" or not is_folder(path):
            inputs.append(Input(path))
        elif (folder := look(path)).inputs:
            folders.append(folder)
            inputs += folder.inputs
        else:
            refused = UsageError("holds no sound files", f"looked for {' '.join(sorted(SUFFIXES))}", path)
            inputs.append(Input(path, refused=refused))
    return inputs, folders


def look(path: str, deep: bool = True, products: bool = False) -> Folder:
    """Return the sounds in a folder, by their extensions.

    Hidden files and folders are left out, and so are stems that nmfsep has written, unless `products` are wanted: the
    output folder may lie in the given one. Links to files are files; links to folders are not followed; pipes and
    devices are left out. Folders in it are looked into if `deep`.

    Raises
    ------
    UsageError
        It cannot be looked into.
    """
    inputs, others = list[Input](), 0
    written, unread = set[str](), list[str]()

    def refuse(error: OSError) -> None:
        if error.filename in (path, os.fsencode(path)):
            raise UsageError((error.strerror or str(error)).lower(), path=path) from error
        unread.append(os.fsdecode(error.filename))

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
        below = os.path.relpath(folder, path)
        for name in sorted(name for name in files if not name.startswith(".")):
            file = os.path.join(folder, name)
            if name.endswith(MANIFEST):
                written.update(_written(file) if not products else ())
            elif os.path.splitext(name)[1].lower() in SUFFIXES and (is_file(file) or not exists(file)):
                inputs.append(Input(file, "" if below == "." else below, found=True))
            else:
                others += 1
    kept = tuple(entry for entry in inputs if os.path.normpath(entry.path) not in written)
    return Folder(path, kept, others, len(inputs) - len(kept), tuple(unread))


def _written(manifest: str) -> Iterator[str]:
    """Yield the files that a manifest lists, or did before."""
    with contextlib.suppress(InputError):
        about = load(Path(manifest))
        for entry in [*files_of(about), *about.get("former", [])]:
            yield os.path.normpath(os.path.join(os.path.dirname(manifest), entry["file"]))


def labelled(
    arguments: Iterable[str], left_out: list[NmfsepError] | None = None, notes: list[str] | None = None
) -> dict[str, list[str]]:
    """Return the files of each label from arguments NAME=FILE, or FILE for one more of the label before.

    FILE may be a folder, which stands for the sounds in and below it, or a pattern with ``*``, ``?`` or ``[``. Folders
    before the first NAME= are labels themselves.
    `left_out` takes what is wrong with arguments that name no file, where their labels have others; without it, that is
    raised. `notes` takes what of folders is left out, in words.

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
        if match and not exists(argument, follow=False):
            label, path = match.groups()
            found.setdefault(label, [])
            if not path:  # the files are the next arguments, as a shell's own pattern gives them
                continue
        if label is None and is_folder(argument):
            own = os.path.basename(os.path.abspath(argument))
            found[own] = [*found.get(own, []), *_expand(argument, [] if notes is None else notes)]
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
        twice = [path for path, count in Counter(map(os.path.realpath, paths)).items() if count > 1]
        if twice:
            raise UsageError(f"is given twice for {name!r}", "give each file once", twice[0])
    return found


def _expand(path: str, notes: list[str]) -> list[str]:
    """Return the files of an argument, sorted where it is a folder or a pattern."""
    if is_folder(path):
        folder, hint = look(path), "name them to learn from them"
        if folder.products:
            notes.append(f"{path}: {folder.products} sounds that nmfsep wrote are left out; {hint}")
        notes += [f"{name}: cannot be looked into" for name in folder.unread]
        if not folder.inputs and folder.products:
            raise UsageError("holds no audio files, but what nmfsep wrote", hint, path)
        if not folder.inputs:
            raise UsageError("holds no audio files", path=path)
        return [entry.path for entry in folder.inputs]
    if not exists(path, follow=False) and re.search(r"[*?\[]", path):
        matches = sorted(name for name in glob.glob(path, recursive=True) if not is_folder(name))
        if not matches:
            raise UsageError("matches no file", "check the pattern", path)
        return matches
    return [path]


def stem_files(paths: Sequence[str], mixture: str | None = None) -> list[str]:
    """Return files to compare: each path, or instead of a folder the sounds in it, sorted by name.

    The mixture is left out where a folder holds it.

    Raises
    ------
    UsageError
        A path cannot be opened, a folder holds no audio, or two files have one name but for their folder and extension.
    """
    left_out = identities([mixture]) if mixture else set()
    found: list[str] = []
    for path in paths:
        if path == "-" or not is_folder(path):
            require_readable(path)
            found.append(path)
            continue
        files = [entry.path for entry in look(path, deep=False, products=True).inputs]
        inside = [file for file in files if not identities([file]) & left_out]
        if not inside:
            raise UsageError("holds no audio files", "name the folder that the stems themselves lie in", path)
        found += inside
    names = Counter(map(track_name, found))
    for path in found:
        if names[track_name(path)] > 1:
            raise UsageError(f"is one of {names[track_name(path)]} files called {track_name(path)!r}", "keep one", path)
    return found
