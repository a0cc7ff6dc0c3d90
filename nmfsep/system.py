"""Operating systems: what Linux, macOS and Windows do differently, in one place.

Everything else calls these functions and asks no platform by name. Each is correct everywhere and at its best where the
system can do more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

O_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows turns \n into \r\n
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
    """Read so many bytes at a place of an open file."""
    if hasattr(os, "pread"):
        return os.pread(fd, count, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, count)


def write_at(fd: int, data: bytes, offset: int) -> int:
    """Write bytes at a place of an open file; return how many."""
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


def lock(fd: int) -> None:
    """Wait for the lock of an open file; it ends with the descriptor. Does nothing where there are no locks."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # some network file systems have none
            fcntl.flock(fd, fcntl.LOCK_EX)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where folders can be opened."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
