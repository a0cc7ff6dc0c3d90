"""Operating systems: what Linux, macOS and Windows do differently, in one place.

Everything else calls these functions and asks no platform by name. Each is correct everywhere and at its best where the
system can do more.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

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
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def cpu_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Return the bytes of memory that are free; those that there are, or None, where the system does not say."""
    if match := re.search(r"MemAvailable:\s+(\d+) kB", text_of("/proc/meminfo")):
        return int(match[1]) << 10
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
    done = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined]
    return int(status.amounts[1]) if done else None


def memory_limits() -> list[int]:
    """Return the bytes that each limit set to this process leaves it: of its container, of its address space."""
    limits = []
    for folder, most, used in (("", "max", "current"), ("memory/", "limit_in_bytes", "usage_in_bytes")):
        numbers = [text_of(f"/sys/fs/cgroup/{folder}memory.{name}").strip() for name in (most, used)]
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


NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)  # where there is nothing


def mode_of(path: str | bytes | os.PathLike[str], follow: bool = True) -> int:
    """Return the mode of what a path leads to, or 0 where nothing is there.

    Raise OSError where the disk does not say. `os.path.exists`, `isfile` and their like say no then, and what is there
    would pass for missing, or be replaced.
    """
    try:
        return os.stat(os.fsencode(path), follow_symlinks=follow).st_mode
    except OSError as error:
        if error.errno not in NOWHERE:
            raise
    except ValueError:  # a NUL in it
        pass
    return 0


def exists(path: str | bytes | os.PathLike[str], follow: bool = True) -> bool:
    """Whether anything is there; a link to nothing counts unless it is followed."""
    return mode_of(path, follow) != 0


def is_file(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether a path leads to a regular file."""
    return stat.S_ISREG(mode_of(path))


def is_folder(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether a path leads to a folder."""
    return stat.S_ISDIR(mode_of(path))


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
