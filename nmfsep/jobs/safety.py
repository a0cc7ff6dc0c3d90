"""Safety of files: what may be read, what may be replaced, and whether the disk has room.

Nothing replaces an input, a file of another program, or the stems of another input, unless --force asks for it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import OutputError, UsageError
from ..files.publish import folder_is_writable
from ..memory import show_size
from ..signal.read import is_url
from ..system import exists, free_space, is_folder
from .manifest import Origin, load_if_any, written_by_us

GENERATOR = b'<meta name="generator" content="nmfsep report">'  # in the head of every report


def require_readable(path: str) -> None:
    """Raise UsageError unless a path names a file or pipe that can be opened, or is "-" for standard input."""
    if path == "-" or is_url(path):
        return
    try:
        mode = os.stat(os.fsencode(path)).st_mode
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(reason, "check the name" if error.errno == 2 else None, path) from error
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise UsageError("has a name that no file can have", path=path) from error
    if stat.S_ISDIR(mode):
        raise UsageError("is a folder", "name its files, or use -r where the command has it", path)
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise UsageError("is a device, not a file", path=path)
    if not os.access(os.fsencode(path), os.R_OK):
        raise UsageError("permission denied", path=path)


def identities(paths: Sequence[str]) -> set[tuple[int, int]]:
    """Return device and inode of the files that exist, which identify them by whatever name."""
    return {identity for path in paths if path != "-" and (identity := _identity(path))}


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(os.fsencode(path))
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def require_free(
    targets: Sequence[Path],
    manifest: Path,
    inputs: Sequence[str] | set[tuple[int, int]],
    force: bool,
    kept: Path | None = None,
    origin: Origin | None = None,
    remedy: str = "",
) -> list[Path]:
    """Refuse to write over an input, or over what nmfsep did not write from this one, or where nothing can be written.

    Returned are the files of an earlier run that are not among the targets, which that run's manifest lists.

    Parameters
    ----------
    targets : sequence of Path
        The files to be written, besides the manifest.
    manifest : Path
    inputs : sequence of str, or their identities
        Files that must not be touched.
    force : bool
        Whether what another program wrote may be replaced.
    kept : Path, optional
        A file of the earlier run that is read from and stays.
    origin : Origin, optional
        What the files are made from.
    remedy : str, default ""
        What else helps than another folder, where there are files from another input.

    Raises
    ------
    UsageError
    """
    protected = inputs if isinstance(inputs, set) else identities(inputs)
    mine = written_by_us(manifest)
    if kept is not None and kept not in targets:
        mine.discard(kept)
    if origin is not None and not force and (other := origin.other(manifest)):
        message = f"would replace {other} in {str(manifest.parent)!r}"
        raise UsageError(message, f"use another folder with -o, {remedy}or --force to replace them", origin.path)
    written = (*targets, manifest)
    existing = [path for path in written if exists(path, follow=False)]
    for path in dict.fromkeys((*existing, *sorted(mine))):  # what a rerun does not write again it removes
        if _identity(path) in protected:
            raise UsageError("is an input and would be overwritten", "choose another folder with -o", path)
        if is_folder(path):
            raise UsageError("is a folder where a file should go", "choose another folder with -o", path)
    if existing and not force:
        for path in existing:
            if path not in mine and not (path == manifest and load_if_any(path) is not None):
                hint = "use --force to replace it, or another folder with -o"
                raise UsageError("exists and was not written by nmfsep, or was changed since", hint, path)
    for folder in dict.fromkeys(path.parent for path in written):
        if not folder_is_writable(folder):
            raise UsageError("cannot be written to", "choose another folder with -o", folder)
    return sorted(mine - {*targets})


def require_replaceable(page: Path, inputs: Sequence[str] | set[tuple[int, int]], force: bool) -> None:
    """Raise UsageError unless a report can be written: over nothing but an earlier one, if not by force."""
    if is_folder(page):
        raise UsageError("is a folder where the page should go", "name an .html file with -o", page)
    if _identity(page) in (inputs if isinstance(inputs, set) else identities(inputs)):
        raise UsageError("is an input and would be overwritten", "choose another name with -o", page)
    if exists(page, follow=False) and not force and not _is_report(page):
        raise UsageError("exists and is no report of nmfsep", "use --force to replace it, or another name", page)
    if not folder_is_writable(page.parent):
        raise UsageError("cannot be written to", "choose another folder with -o", page.parent)


def _is_report(path: Path) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return GENERATOR in file.read(1024)
    return False


def require_space(folder: Path, need: int) -> None:
    """Raise OutputError unless so many bytes are free where a folder is or will be."""
    path = folder
    while not exists(folder) and folder != folder.parent:  # above a drive that is not there is nothing
        folder = folder.parent
    try:
        free = free_space(folder)
    except OSError as error:
        raise OutputError((error.strerror or str(error)).lower(), path=path) from error
    if free is not None and need > free:
        message = f"no space left on device: {show_size(need)} are needed, {show_size(free)} are free"
        raise OutputError(message, path=path)
