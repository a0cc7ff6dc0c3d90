"""Operating systems: what Linux, macOS and Windows do differently, in one place.

Everything else calls these functions and asks no platform by name. Each is correct everywhere and at its best where the
system can do more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

O_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows turns \n into \r\n
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def cpu_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Hold back what would stop the process, where signals can be held back."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def free_space(folder: Path) -> int:
    """Return the bytes free where an existing folder lies."""
    return shutil.disk_usage(folder).free


def read_at(fd: int, count: int, offset: int) -> bytes:
    """Read so many bytes at a place of an open file, fewer at its end."""
    if hasattr(os, "pread"):
        return os.pread(fd, count, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, count)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all bytes at a place of an open file; the system may take fewer at a time."""
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            count = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            count = os.write(fd, view)
        if not count:  # or this would go on for ever
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        view, offset = view[count:], offset + count


def lock(fd: int) -> None:
    """Wait for the lock of an open file; it ends with the descriptor. Does nothing where there are no locks."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network file systems have none
            fcntl.flock(fd, fcntl.LOCK_EX)


def remove_unless_locked(path: str) -> None:
    """Remove a file if nobody has it open and locked; an error says that it stays."""
    if fcntl is None:  # Windows removes no file that is open
        os.unlink(path)
        return
    fd = os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0))
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        close(fd)


def close(fd: int) -> None:
    """Close a file of which nothing is left to be written; what goes wrong then matters to nobody."""
    with contextlib.suppress(OSError):
        os.close(fd)


def open_unnamed(folder: Path) -> int | None:
    """Open a file without a name that can be given one, so that a killed run leaves nothing; None where there is none.

    It takes O_TMPFILE of Linux, which NFS and FAT do not have, and /proc, by which the file is found again.
    """
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except (AttributeError, OSError):
        return None
    if os.path.exists(f"/proc/self/fd/{fd}"):
        return fd
    close(fd)
    return None


def name_unnamed(fd: int, path: Path) -> None:
    """Give a file that was opened without a name one that is free."""
    # linkat follows the link in /proc only if it gets a folder's descriptor, though it needs none
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


def set_aside(path: Path, aside: Path) -> None:
    """Give a file a second name, or another one where it can have but one."""
    try:
        os.link(path, aside, follow_symlinks=False)
    except (AttributeError, NotImplementedError):
        os.rename(path, aside)
    except OSError as error:
        # FAT, some network file systems, and files of another user have no second names
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, *UNSUPPORTED) or path.is_dir():
            raise
        os.rename(path, aside)


def put_back(aside: Path, path: Path) -> None:
    """Give a file that was set aside its name again, in place of whatever has it now."""
    try:
        os.replace(aside, path)
    except OSError:  # there is another way
        path.unlink(missing_ok=True)
        os.link(aside, path, follow_symlinks=False)
    with contextlib.suppress(OSError):  # two names of one file are left as they are by a renaming
        os.unlink(aside)


def open_folder(folder: Path) -> int | None:
    """Open a folder to lock or sync it; None where the system does not open folders, or not this one."""
    try:
        return os.open(folder, os.O_RDONLY)
    except PermissionError:
        return None


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; all that there is where folders cannot be synced one by one."""
    fd = open_folder(folder)
    if fd is None:
        if hasattr(os, "sync"):
            os.sync()
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        close(fd)


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Let what would stop the process wait, whichever of its threads gets it.

    For what must be done as a whole, and for calls from C, out of which no exception comes. Python hears of signals in
    its main thread, so that there is nothing to do in others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before: dict[int, Any] = {}
    try:
        for number in STOP_SIGNALS:
            if signal.getsignal(number) not in (None, signal.SIG_IGN):
                before[number] = signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number in reversed(before):  # the one that may raise an error comes last
            signal.signal(number, before[number])
        if came:
            signal.raise_signal(came[0])
