"""Processes that the tests start: each in a session of its own, with the signals of a fresh process, and ended with it.

That holds however the tests were started, with SIGINT ignored or in the background, and however they end, by SIGKILL
too. On Linux a server starts them (`cli/forks.py`), and runs of nmfsep are forks of it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
NMFSEP = [sys.executable, "-m", "nmfsep"]
PATIENCE = 300  # seconds after which a process counts as hung, however busy the machine is
GRACE = 20.0  # seconds in which what a run has started must end once the run has
# variables that are read when they are needed; all others may decide something while Python or a library loads
LATE = ("NMFSEP_", "PYTEST_", "PATH", "TMPDIR", "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR")
MARK = "TESTS_OF_NMFSEP"  # a variable that all processes of one session of tests have


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment, free of what would change a run; None removes a variable."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NMFSEP_", "PYTHON", "_NMF"))}
    env |= {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    for name, value in changes.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


class Process:
    """A process begun by the server, with the methods of `subprocess.Popen` that tests use."""

    def __init__(
        self,
        command: Sequence[str | bytes],
        cwd: Path,
        env: Mapping[str, str],
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.PIPE,
        stderr: int | IO[bytes] | None = subprocess.PIPE,
        fresh: bool = False,
    ) -> None:
        """Start a command; `fresh` says that nmfsep is to be loaded afresh."""
        self.args = list(map(os.fsdecode, command))
        self.returncode: int | None = None
        self.seconds = 0.0  # of computing, all that it has started included, once it has ended
        loaded = not fresh and self.args[:3] == NMFSEP and _early(env) == _early(_server().env)
        request = {"command": self.args, "cwd": str(cwd), "env": dict(env), "loaded": loaded}
        self._line, theirs = socket.socketpair()
        with contextlib.ExitStack() as given:
            given.enter_context(theirs)
            self.stdin, read = _stream(stdin, given, "wb")
            self.stdout, out = _stream(stdout, given, "rb")
            self.stderr, err = (None, out) if stderr == subprocess.STDOUT else _stream(stderr, given, "rb")
            socket.send_fds(_server().control, [b"!"], [read, out, err, theirs.fileno()])
        self._line.sendall(json.dumps(request).encode() + b"\n")
        self._said = b""
        self.pid = int(self._next(PATIENCE) or 0)
        RUNNING.add(self)

    def _next(self, timeout: float | None) -> str | None:
        """Return the next line of the keeper, None if there is none in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._said:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._line], [], [], left)[0]:
                return None
            block = self._line.recv(4096)
            assert block, "the keeper of the process is gone"
            self._said += block
        text, _, self._said = self._said.partition(b"\n")
        return text.decode()

    def wait(self, timeout: float | None = PATIENCE) -> int:
        """Return the exit code, or the signal as a negative number."""
        if self.returncode is None:
            said = self._next(timeout)
            if said is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            code, seconds, failure = said.split(" ", 2)
            self.returncode, self.seconds = int(code), float(seconds)
            if failure:
                raise OSError(failure)
        return self.returncode

    def poll(self) -> int | None:
        """Return how it ended, None if it has not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: bytes | None = None, timeout: float = PATIENCE) -> tuple[Any, Any]:
        """Feed it and read what it writes until all of it has ended; kill it if that takes too long."""
        streams = {name: getattr(self, name) for name in ("stdout", "stderr")}
        streams = {name: stream for name, stream in streams.items() if stream is not None and not stream.closed}
        read: dict[str, bytes] = {}
        threads = [
            threading.Thread(target=lambda name=name, stream=stream: read.update({name: stream.read()}), daemon=True)
            for name, stream in streams.items()
        ]
        if self.stdin is not None:
            threads.append(threading.Thread(target=_feed, args=(self.stdin, input or b""), daemon=True))
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        try:
            self.wait(max(0.0, deadline - time.monotonic()))
            if any(thread.is_alive() for thread in threads):
                raise subprocess.TimeoutExpired(self.args, timeout)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        for stream in streams.values():
            stream.close()
        if not _exists(self.pid):
            self.end()
        return read.get("stdout"), read.get("stderr")

    def end(self) -> list[str]:
        """End what is left of its session; return what that was."""
        left = [] if self.poll() is not None else [f"{self.pid}: {' '.join(self.args)[:200]}"]
        deadline = time.monotonic() + GRACE
        while not left and _exists(self.pid) and (found := list(_alive(self.pid))):
            if time.monotonic() > deadline:
                left = found
            time.sleep(0.01)
        self._line.close()  # upon which the keeper kills the session
        self.returncode = -signal.SIGKILL if self.returncode is None else self.returncode
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        RUNNING.discard(self)
        return left


RUNNING: set[Process] = set()


def start(command: Sequence[str | bytes], cwd: Path, env: Mapping[str, str], **options: Any) -> Any:
    """Start a command and return the process."""
    if sys.platform == "linux":
        return Process(command, cwd, env, **options)
    options.pop("fresh", None)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=cwd, env=env, **pipes)


def run(
    command: Sequence[str | bytes | Path],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    check: bool = False,
    timeout: float = PATIENCE,
    **options: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, as `subprocess.run` does with its output captured."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    process = start([os.fspath(part) for part in command], cwd, environment() if env is None else env, **options)
    out, err = process.communicate(input, timeout=timeout)
    assert process.returncode == 0 or not check, err.decode()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        self.env = environment()
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "cli" / "forks.py"],
                stdin=theirs, stdout=subprocess.DEVNULL, env=self.env, cwd=ROOT, start_new_session=True,
            )  # fmt: skip


@functools.cache
def _server() -> _Server:
    return _Server()


def end_all() -> list[str]:
    """End the server and all that it started; return the processes of this session of tests that outlive it."""
    for process in list(RUNNING):
        process.end()
    if _server.cache_info().currsize:
        _server().control.close()
        _server().process.wait(PATIENCE)
        _server.cache_clear()
    mark = f"{MARK}={os.environ[MARK]}".encode()
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and mark in (folder / "environ").read_bytes().split(b"\0"):
                what = _described(folder)
                if "multiprocessing.resource_tracker" not in what:  # which Python itself starts, and ends
                    left.append(what)
                    os.kill(int(folder.name), signal.SIGKILL)
    return left


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(LATE)}


def _stream(given: Any, opened: contextlib.ExitStack, mode: str) -> tuple[IO[bytes] | None, int]:
    """Return our end and the number of the other of a standard stream."""
    if given == subprocess.PIPE:
        ours, theirs = os.pipe()[:: 1 if mode == "rb" else -1]
        opened.callback(os.close, theirs)
        return open(ours, mode), theirs
    if given is None or given == subprocess.DEVNULL:
        return None, opened.enter_context(open(os.devnull, "r+b")).fileno()
    return None, given if isinstance(given, int) else given.fileno()


def _feed(stream: IO[bytes], content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), stream:
        stream.write(content)


def _exists(group: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def _alive(group: int) -> Iterator[str]:
    """Yield what runs in a group of processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, _, its_group = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:3]
            if int(its_group) == group and state != "Z":
                yield _described(folder)


def _described(folder: Path) -> str:
    return f"{folder.name}: {(folder / 'cmdline').read_bytes()[:200].replace(bytes(1), b' ').decode(errors='replace')}"
