"""Breaks the Nth thing a process does to names below a folder, or kills it there.

Every such thing raises an audit event before it happens, so that a test can go through all of them one by one, as
SQLite's tests do: ``python sabotage.py MODE FIRST LAST OUT ARG...`` runs nmfsep with these arguments in the folders
FIRST, FIRST + 1 ... LAST, each in a process of its own that is struck at the event of that number below OUT. The modes
are "kill", "fail", "rename" (which fails the Nth renaming) and "fsync" (which fails the Nth fsync). In mode "storm" the
process gets a SIGINT in the midst of its work, and from then on one more before each event of any kind. Each process
writes `stdout` and `stderr` in its folder, and makes a file `struck` when it came to that; exit codes are printed.

The processes are forks of one that has everything loaded, since that takes longer than all the rest.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from typing import Any

MODE, FIRST, LAST, OUT = sys.argv[1:5]
EVENTS = {"os.rename"} if MODE == "rename" else {"open", "os.link", "os.mkdir", "os.remove", "os.rename"}


def sabotage(when: int, struck: str) -> None:
    """Strike this process at the event of that number."""
    count = 0

    def strike() -> None:
        nonlocal count
        count += 1
        if count == when:
            with open(struck, "w"):
                pass
            if MODE == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in EVENTS and any(isinstance(arg, (str, bytes)) and OUT in os.fsdecode(arg) for arg in args):
            strike()

    def failing(fd: int, fsync: Any = os.fsync) -> None:
        strike()
        fsync(fd)

    if MODE == "fsync":
        os.fsync = failing
    else:
        sys.addaudithook(hook)


def storm() -> None:
    """Send this process a signal, and further ones while it tidies up."""
    begun = threading.Event()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if begun.is_set() and event != "os.kill":
            os.kill(os.getpid(), signal.SIGINT)

    def begin() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        begun.set()

    sys.addaudithook(hook)
    timer = threading.Timer(0.2, begin)
    timer.daemon = True
    timer.start()


def run(when: int) -> None:
    """Become nmfsep, struck at that event."""
    os.chdir(str(when))
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    sys.argv[:] = ["nmfsep", *sys.argv[5:]]
    if MODE == "storm":
        storm()
    else:
        sabotage(when, os.path.abspath("struck"))
    try:
        main()
    except SystemExit as end:  # the interpreter's own tidying up takes longest of all
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import nmfsep.cli.split
    import nmfsep.jobs.track
    from nmfsep.cli.main import main

    nmfsep.separate(nmfsep.Audio([[0.0] * 4096], 8000), 2, threads=1)
    for turn in range(int(FIRST), int(LAST) + 1):
        child = os.fork()
        if child == 0:
            run(turn)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
