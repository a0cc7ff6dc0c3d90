"""Running nmfsep as a real process, and reading what it left behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import children
import numpy as np
import soundfile as sf
from children import NMFSEP, PATIENCE, ROOT

__all__ = ["PATIENCE", "ROOT"]
RATE = 8000
LENGTH = 6000  # samples of the usual input: three quarters of a second
ENDLESS = ("--max-iter", "10000000", "--tol", "0")  # a fit that does not end by itself


@dataclass(frozen=True)
class Result:
    """How a process ended."""

    code: int
    out: bytes
    err: str

    @property
    def paths(self) -> list[str]:
        """The lines of stdout."""
        return os.fsdecode(self.out).splitlines()

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The JSON documents on stdout, each in a line, with what all of them have."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(list(document)[:2] == ["path", "status"] for document in found)
        return found

    def joined(self, name: str) -> list[Any]:
        """What the documents on stdout list under a name, such as all tracks."""
        return [entry for document in self.documents for entry in document[name]]


class Cli:
    """Runs the command line in a folder; every run is held to the rules for messages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = NMFSEP
        self.bin = folder / ".bin"

    def env(self, **changes: str | None) -> dict[str, str]:
        """Return the environment, free of what would change a run; None removes a variable."""
        return children.environment(**{"TMPDIR": str(self.temp), **changes})

    @property
    def temp(self) -> Path:
        """A folder of the run's own for temporary files, so that litter shows."""
        temp = self.folder / ".temp"
        temp.mkdir(exist_ok=True)
        return temp

    def __call__(
        self,
        *args: str | bytes | Path,
        env: dict[str, str | None] | None = None,
        cwd: Path | None = None,
        stdin: bytes | int | None = None,
        stdout: Any = subprocess.PIPE,
        fresh: bool = False,
    ) -> Result:
        """Run nmfsep to its end; `fresh` says that it is to be loaded afresh, which takes ten times as long."""
        return self._run([*self.command, *map(os.fspath, args)], env, cwd, stdin, stdout, fresh=fresh)

    def shell(self, script: str, env: dict[str, str | None] | None = None, shell: str = "bash") -> Result:
        """Run a script that finds nmfsep on PATH."""
        path = f"{self.wrapper().parent}{os.pathsep}{os.environ['PATH']}"
        command = [shell, "-c", script]
        return self._run(command, {"PATH": path, **(env or {})}, None, None, subprocess.PIPE, others=True)

    def many(self, *runs: Sequence[str | Path]) -> list[Result]:
        """Run nmfsep once for each list of arguments, one after the other."""
        return [self(*run) for run in runs]

    def wrapper(self) -> Path:
        """Return an executable called nmfsep."""
        script = self.bin / "nmfsep"
        if not script.exists():
            self.bin.mkdir()
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nmfsep "$@"\n')
            script.chmod(0o755)
        return script

    def start(self, *args: str | Path, env: dict[str, str | None] | None = None, **options: Any) -> Any:
        """Start nmfsep and return the process."""
        options.pop("start_new_session", None)  # every process has its own
        command = [*self.command, *map(os.fspath, args)]
        return children.start(command, self.folder, self.env(**(env or {})), **options)

    def _run(
        self, command: list[Any], env: Any, cwd: Any, stdin: Any, stdout: Any, others: bool = False, fresh: bool = False
    ) -> Result:
        feed: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        where = cwd or self.folder
        done = children.run(command, where, self.env(**(env or {})), stdout=stdout, fresh=fresh, **feed)
        return Result(done.returncode, done.stdout or b"", well_said(done.stderr, others))


def well_said(stderr: bytes, others: bool = False) -> str:
    """Return the text of stderr after checking it: lines of nmfsep, no traceback, nothing that drives a terminal.

    `others` says that other programs write there too.
    """
    text = stderr.decode()
    assert "Traceback" not in text, text
    assert "this is a bug" not in text, text
    for line in text.splitlines():
        assert others or line.startswith("nmfsep: "), text
    controls = [char for char in text if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160]
    assert not controls, text
    return text


def files(folder: Path) -> list[str]:
    """Return what lies in and below a folder, hidden files too; the harness's own folders do not count."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(str(path) for path in found if path.parts[0] != ".bin")


def digests(paths: Iterable[str | Path], folder: Path) -> list[str]:
    """Return the hash of each file."""
    return [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]


def whole(path: str | Path) -> np.ndarray[Any, Any]:
    """Return samples (samples, channels) as integers, shorter formats left-justified, wide enough to be added."""
    with open(os.fsencode(path), "rb") as file:
        return sf.read(file, dtype="int32", always_2d=True)[0].astype(np.int64)


def real(path: str | Path) -> np.ndarray[Any, Any]:
    """Return samples (samples, channels)."""
    with open(os.fsencode(path), "rb") as file:
        return sf.read(file, dtype="float64", always_2d=True)[0]


def assert_add_up(stems: Iterable[str | Path], mixture: Path) -> None:
    """Assert that the stems give the mixture: integers bit for bit, floats within 1e-6 of the peak."""
    with open(os.fsencode(mixture), "rb") as file:
        subtype = sf.SoundFile(file).subtype
    if subtype in ("FLOAT", "DOUBLE"):
        x = real(mixture)
        assert np.abs(sum(real(stem) for stem in stems) - x).max() <= 1e-6 * np.abs(x).max()
    else:
        np.testing.assert_array_equal(sum(whole(stem) for stem in stems), whole(mixture))


def until_busy(group: int, seconds: float = 0.35) -> float:
    """Wait until some process of a group has computed for so long, which is well within its fit; return how long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        used = max(_cpu_ticks(group), default=0) / os.sysconf("SC_CLK_TCK")
        if used >= seconds:
            return used
        os.killpg(group, 0)  # raises if it has ended
        time.sleep(0.01)
    raise AssertionError("the process never came to work")


def _cpu_ticks(group: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                yield int(fields[11])
