"""Operating systems: what Linux, macOS and Windows do differently, in one place.

Everything else calls these functions and asks no platform by name. Each is correct everywhere and at its best where the
system can do more.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

O_BINARY = getattr(os, "O_BINARY", 0)  # without it Windows turns \n into \r\n
WINDOWS = os.name == "nt"
CONTROL_C = 0xC000013A - (1 << 32)  # how a program of Windows ends that was stopped by Ctrl-C: STATUS_CONTROL_C_EXIT
# how many threads a library of linear algebra takes: OpenBLAS, any of OpenMP, MKL, Accelerate of macOS
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
BROKEN_PIPE = int(getattr(signal, "SIGPIPE", 13))
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def cpu_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Return the bytes of memory that are free, those that there are where that is not told, None if neither is."""
    match = re.search(r"MemAvailable:\s+(\d+) kB", text_of("/proc/meminfo"))
    if match:
        return int(match.group(1)) << 10
    if WINDOWS:
        return _free_memory_of_windows()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _free_memory_of_windows() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint32), ("load", ctypes.c_uint32), ("amounts", ctypes.c_uint64 * 7))

    status = Status(ctypes.sizeof(Status))
    told = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.amounts[1]) if told else None


def memory_limits() -> list[int]:
    """Return the bytes that each limit set to this process leaves it: of its container, of its address space."""
    limits = []
    for most, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        numbers = [text_of(path).strip() for path in (most, used)]
        if all(re.fullmatch("[0-9]+", number) for number in numbers):
            limits.append(max(0, int(numbers[0]) - int(numbers[1])))
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    except (ImportError, OSError, ValueError):  # Windows, or a system that keeps it to itself
        pass
    return limits


def text_of(path: str) -> str:
    """Return what a file of the kernel says; nothing where it is not there or may not be read."""
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:
        return ""


def usable_name(name: str) -> str:
    """Return one part of a path such that it names one file, in its folder, as far as this system goes.

    What could lead elsewhere on any system is `_` on all of them: both slashes, NUL, and the colon, which on Windows
    stands behind a drive or before a stream hidden in a file. So are names of dots and blanks alone, and those of
    devices. What Windows merely refuses is replaced there only.
    """
    name = re.sub(r"[/\\:\0]", "_", name)
    if WINDOWS:
        name = re.sub(r'[*?"<>|\x01-\x1f]', "_", name)
        name = re.sub(r"[. ]+$", lambda end: "_" * len(end.group()), name)
    device = re.match(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", name, re.IGNORECASE)
    return "_" + name if device or not name.strip(". ") else name


def relative(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """Return a path as seen from a folder, with `/` everywhere; a whole one where it lies on another drive."""
    try:
        found = os.path.relpath(path, folder)
    except ValueError:
        found = os.path.abspath(path)
    return found.replace(os.sep, "/")


def expanded(arguments: Sequence[str]) -> list[str]:
    """Return arguments with the files that patterns stand for, which shells of Windows leave to programs."""
    if not WINDOWS:
        return list(arguments)
    import glob

    found: list[str] = []
    for argument in arguments:
        pattern = not argument.startswith("-") and re.search(r"[*?]", argument)
        found += (sorted(glob.glob(argument)) if pattern else []) or [argument]
    return found


def end_by(number: int) -> NoReturn:
    """End this process by a signal, so that a shell sees what it died of."""
    if WINDOWS:  # os.kill ends with the signal's number as the exit code: 2, as if an option were wrong
        sys.exit(CONTROL_C if number == signal.SIGINT else 128 + number)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(128 + number)  # it is blocked


def interrupt(number: int) -> None:
    """Send this process a signal, from any of its threads."""
    if WINDOWS:  # os.kill would end it on the spot
        signal.raise_signal(number)
    else:
        os.kill(os.getpid(), number)


def private_folder() -> Path | None:
    """Return a folder for what is temporary but may be used again, which nobody else can write to; None without one."""
    import tempfile

    owner = os.getuid() if hasattr(os, "getuid") else 0  # on Windows every user has a folder for what is temporary
    with contextlib.suppress(OSError):
        folder = Path(tempfile.gettempdir(), f"nmfsep-{owner}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
        found = folder.lstat()  # not what a link of somebody else leads to
        if stat.S_ISDIR(found.st_mode) and (WINDOWS or (found.st_uid == owner and not found.st_mode & 0o022)):
            return folder
    return None


def unblock_signals() -> None:
    """Let come through what would stop the process."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


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


def free_space(folder: Path) -> int | None:
    """Return the bytes free where an existing folder lies, None where nobody says."""
    import shutil

    return shutil.disk_usage(folder).free if hasattr(shutil, "disk_usage") else None


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
