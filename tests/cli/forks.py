"""Starts the processes of the tests: a server that has nmfsep loaded and forks for every run, as loading takes longest.

`children.py` starts it with a socket as standard input. Each message there brings four descriptors: the three standard
streams of a run, and a socket of its own whose first line is a JSON object with `command`, `cwd`, `env` and `loaded`.
Two processes are forked for it. One becomes the run, in a session of its own with the signals of a fresh process: it
executes the command or, if `loaded`, calls nmfsep as it is in memory. The other, its keeper, answers with the number of
the process and, once that has ended, on another line with its exit code, the seconds it has computed and why it could
not be started. It ends whatever is left of the session as soon as the other end of the socket is closed, which it also
is if the tests are killed.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import multiprocessing.process
import os
import pkgutil
import resource
import select
import signal
import socket
import sys
import tempfile
import threading
from typing import Any, NoReturn

CPU_LIMIT = 900  # seconds of a process, the last resort against one that nobody waits for
PR_SET_PDEATHSIG = 1
LAZY = ("scipy.linalg", "scipy.signal", "matplotlib.figure", "matplotlib.backends.backend_agg")
FRESH = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGXFSZ", "SIGCHLD", "SIGUSR1", "SIGUSR2")


def serve(control: socket.socket) -> None:
    """Fork a keeper for every request, and wait for all of them once there will be no more."""
    while True:
        _, streams, _, _ = socket.recv_fds(control, 1, 4)
        if not streams:
            break
        if os.fork() == 0:
            control.close()
            keep(streams)
        for fd in streams:
            os.close(fd)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def keep(streams: list[int]) -> NoReturn:
    """Start a run, tell how it ends, and see to it that nothing of it stays."""
    for fd in streams:
        os.set_inheritable(fd, False)
    line = socket.socket(fileno=streams.pop())
    request = json.loads(line.makefile().readline())
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        become(streams, begun, request)
    for fd in (*streams, begun):
        os.close(fd)
    failure = os.read(ready, 1000).decode()  # returns when the child is a session of its own
    code = None
    with contextlib.suppress(OSError):
        line.sendall(f"{child}\n".encode())
        while code is None:
            if line in select.select([wake, line], [], [])[0]:
                break
            os.read(wake, 100)
            ended, status, used = os.wait4(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                line.sendall(f"{code} {used.ru_utime + used.ru_stime} {failure}\n".encode())
        line.recv(1)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    os._exit(0)


def become(streams: list[int], begun: int, request: dict[str, Any]) -> NoReturn:
    """Become the run."""
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT))
        for name in FRESH:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number, fd in enumerate(streams):  # all above 2, where the server holds its own
            os.dup2(fd, number)
        os.chdir(request["cwd"])
        if not request["loaded"]:
            os.execvpe(request["command"][0], request["command"], request["env"])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python itself does
        os.closerange(3, max(streams) + 20)
        code = call(request["command"][3:], request["env"])
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(begun, str(error).encode())
    finally:
        os._exit(code)


def call(arguments: list[str], env: dict[str, str]) -> int:
    """Call the command line as a fresh interpreter would; return the exit code."""
    import nmfsep.__main__ as program

    os.environ.clear()
    os.environ.update(env)
    sys.modules["__main__"] = program  # what processes that it starts look at
    sys.argv[:] = [str(program.__file__), *arguments]
    sys.path[0] = multiprocessing.process.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
    tempfile.tempdir = None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        before = getattr(sys, name)
        buffering = 1 if number == 2 or os.isatty(number) else -1
        mode = "w" if number else "r"
        stream = open(number, mode, buffering, before.encoding, before.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    try:
        program.main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError) as error:
        os.write(2, f"Exception ignored in the last flush: {error}\n".encode())
        code = 120
    return code


def load() -> None:
    """Load all of nmfsep and what it uses, and start no thread, since none would live on in a fork."""
    import nmfsep

    for module in pkgutil.walk_packages(nmfsep.__path__, "nmfsep."):
        importlib.import_module(module.name)
    for name in LAZY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    nmfsep.separate(nmfsep.Audio([[0.0] * 4096], 8000), 2, threads=1)
    assert len(os.listdir("/proc/self/task")) == 1


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    load()
    gc.freeze()
    serve(socket.socket(fileno=os.dup(0)))
