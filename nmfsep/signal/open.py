"""Opening an input, whatever carries it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import tempfile
from typing import BinaryIO

from ..errors import InputError


def open_input(path: str) -> BinaryIO:
    """Open a regular file, or copy a pipe or a remote file to a temporary one, so that one can go back in it.

    Parameters
    ----------
    path : str
        "-" is standard input; what has a scheme, such as s3://, is read through fsspec.

    Raises
    ------
    InputError
        It is a folder, a device or an empty pipe.
    OSError
        It cannot be opened.
    """
    if path == "-":
        if sys.stdin is None:
            raise InputError("is closed")
        return _spool(sys.stdin.buffer)
    if is_url(path):
        return _fetch(path)
    mode = os.stat(os.fsencode(path)).st_mode
    if stat.S_ISDIR(mode):
        raise InputError("is a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise InputError("is a device, not a file")
    for fd in range(3):  # a closed stderr would give its descriptor to the input, and mute points it elsewhere
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    file = open(os.fsencode(path), "rb")  # noqa: SIM115 - the caller closes it
    if not stat.S_ISFIFO(mode):
        return file
    with file:
        return _spool(file)


def is_url(path: str) -> bool:
    """Whether a path is one of a remote file system; a local file of that name comes first."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None and not os.path.lexists(os.fsencode(path))


def _fetch(url: str) -> BinaryIO:
    scheme = url.split(":")[0]
    try:
        import fsspec
    except ImportError as error:
        raise InputError(f"reading {scheme}:// needs fsspec", "install it: pip install 'nmfsep[cluster]'") from error
    try:
        with fsspec.open(url, "rb") as remote:
            return _spool(remote)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"reading {scheme}:// needs a package: {error}", "install it") from error
    except Exception as error:  # each file system has errors of its own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"cannot be fetched: {reason[0][:200]}", "check the name and the permissions") from error


def _spool(pipe: BinaryIO) -> BinaryIO:
    spool = tempfile.TemporaryFile(prefix="nmfsep-")  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(pipe, spool, 1 << 20)
    spool.flush()
    if spool.tell() == 0:
        spool.close()
        raise InputError("no bytes came through")
    return spool
