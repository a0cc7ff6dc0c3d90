"""Opening an input, whatever carries it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from typing import BinaryIO

from ..errors import InputError


def open_input(path: str) -> BinaryIO:
    """Open a regular file, or copy a pipe to a temporary one, so that one can go back in it.

    Parameters
    ----------
    path : str
        "-" is standard input.

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


def _spool(pipe: BinaryIO) -> BinaryIO:
    spool = tempfile.TemporaryFile(prefix="nmfsep-")  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(pipe, spool, 1 << 20)
    spool.flush()
    if spool.tell() == 0:
        spool.close()
        raise InputError("no bytes came through the pipe")
    return spool
