"""Takes from this system what others lack: put this folder on PYTHONPATH, and ELSEWHERE says which, windows or macos.

Only what Python itself leaves out or does differently there is told, as its documentation has it; file systems and
shells are those of this machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from typing import Any

SYSTEM = os.environ.get("ELSEWHERE", "")
BINARY = 1 << 28  # stands for O_BINARY


def lose(module: Any, *names: str) -> None:
    """Take names from a module."""
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def be_windows() -> None:
    """Have the system do as Windows does with files, signals and processes."""
    sys.modules["fcntl"] = sys.modules["resource"] = None  # type: ignore[assignment]
    lose(os, "pread", "pwrite", "statvfs", "fchmod", "fchown", "geteuid", "getuid", "sysconf", "killpg", "setsid")
    lose(os, "fork", "mkfifo", "posix_fallocate", "fdatasync", "getloadavg")
    lose(signal, "pthread_sigmask", "SIGHUP", "SIGPIPE", "SIGKILL", "SIGQUIT", "SIGALRM")
    os.O_BINARY = BINARY  # type: ignore[attr-defined]
    opened, replaced, unlinked = os.open, os.replace, os.unlink

    def held(path: Any) -> bool:
        there = os.stat(path, follow_symlinks=False)
        for fd in range(3, 256):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(fd), there):
                    return True
        return False

    def open_file(path: Any, flags: int, mode: int = 0o777) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        if not flags & BINARY and flags & os.O_CREAT:
            raise AssertionError(f"{path!r} would get \\r\\n for \\n")
        return opened(path, flags & ~BINARY, mode)

    def replace(source: Any, target: Any) -> None:
        if held(source) or (os.path.lexists(target) and held(target)):
            raise PermissionError(errno.EACCES, "it is being used by another process", source)
        replaced(source, target)

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        if dir_fd is None and os.path.lexists(path) and held(path):
            raise PermissionError(errno.EACCES, "it is being used by another process", path)
        unlinked(path, dir_fd=dir_fd)

    os.open, os.replace, os.rename, os.unlink, os.remove = open_file, replace, replace, unlink, unlink  # type: ignore[assignment]


if SYSTEM:
    lose(os, "O_TMPFILE", "sched_getaffinity", "sched_setaffinity", "memfd_create", "copy_file_range")
if SYSTEM == "windows":
    be_windows()
