"""Every system call of a command made to fail, one after the other, and a judgement of what each failure leaves."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli_harness import Cli

from nmfsep.errors import NmfsepError
from nmfsep.jobs.manifest import find, verify

WRITING = ("ENOSPC", "EIO", "EDQUOT")
CALLS = {
    "openat": ("EIO", "ENOSPC", "EMFILE"),
    "read": ("EIO",),
    "pread64": ("EIO",),
    "write": WRITING,
    "pwrite64": WRITING,
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "close": ("EIO", "ENOSPC", "EDQUOT"),
    "mkdir": ("ENOSPC", "EIO"),
    "link": ("ENOSPC", "EIO"),
    "linkat": ("ENOSPC", "EIO"),
    "rename": ("ENOSPC", "EIO"),
    "unlink": ("EIO",),
    "ftruncate": ("EIO",),
    "lseek": ("EIO",),
    "stat": ("EIO",),
    "lstat": ("EIO",),
    "newfstatat": ("EIO",),
    "fstat": ("EIO",),
    "flock": ("EIO",),
    "statfs": ("EIO",),
    "statvfs": ("EIO",),
    "getdents64": ("EIO",),
    "readlink": ("EIO",),
    "dup": ("EMFILE",),
    "fcntl": ("EIO",),
}
ASIDE = {"deps": ""}  # a file that may be there or not after an error, since it vouches for nothing
IMPORTS = re.compile(r"\.py[co]?\b|__pycache__|\.so\b")


@dataclass
class Scene:
    """A command, the files that it finds, and what it makes of them.

    Attributes
    ----------
    arguments : list of str
    given : Path
        A folder with its inputs, and with what an earlier run wrote.
    outputs : str
        What is judged: a folder or a file that it writes; nothing if it only prints.
    stdin : str
        A file of the folder that is its standard input.
    """

    arguments: list[str]
    given: Path
    outputs: str = "out"
    stdin: str | None = None


@dataclass
class Injector:
    """Runs a scene in a fresh copy of its folder, with an injection."""

    folder: Path
    runs: int = 0
    _process: Any = None

    def __enter__(self) -> Injector:
        command = [sys.executable, Path(__file__).with_name("injector.py")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=Cli(self.folder).env(), text=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def run(self, scene: Scene, injection: str | None = None) -> tuple[int | None, Path]:
        """Return the exit code, and the folder that it ran in, which the next run takes away."""
        here = self.folder / "run"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(scene.given, here)
        strace = [f"--trace={','.join('?' + name for name in CALLS)}"]
        strace += [f"--inject={injection}"] if injection else []
        request = {"folder": str(here), "arguments": scene.arguments, "strace": strace}
        if scene.stdin:
            request["stdin"] = scene.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self.runs += 1
        return json.loads(self._process.stdout.readline()), here


@dataclass
class Verdict:
    """What was wrong with a run, if anything was."""

    injection: str
    code: int | None
    said: str
    wrong: list[str] = field(default_factory=list)


def torture(injector: Injector, scene: Scene, sample: int = 1) -> Iterator[Verdict]:
    """Yield a verdict for each injection into each call that a run makes; of `sample` of them for one."""
    code, here = injector.run(scene)
    assert code == 0, (here / "stderr").read_text()
    good, stdout = state(here / scene.outputs), (here / "stdout").read_bytes()
    earlier = state(scene.given / scene.outputs)
    counts: dict[str, int] = {}
    number = 0
    for line in (here / "calls").read_text().splitlines():
        name = line.partition("(")[0]
        if name not in CALLS:
            continue
        counts[name] = when = counts.get(name, 0) + 1
        if not concerns(line, here):
            continue
        for always in ("", "+"):
            number += 1
            if number % sample:
                continue
            error = CALLS[name][number // sample % len(CALLS[name])]
            injection = f"{name}:error={error}:when={when}{always}"
            code, ran = injector.run(scene, injection)
            verdict = Verdict(injection, code, (ran / "stderr").read_text())
            verdict.wrong = list(faults(scene, verdict, ran, earlier, good, stdout, error, line))
            yield verdict


def concerns(line: str, folder: Path) -> bool:
    """Whether a call is one of the files of a run, or of a temporary one, not of the program."""
    call = re.sub(r"AT_FDCWD<[^>]*>", "", line)
    named = re.search(r'"([^"]*)"', call)
    if named and not re.match(r"\w+\(\d+<", call):
        name = named.group(1)
        return not IMPORTS.search(name) and (
            not name.startswith("/") or name.startswith((str(folder), tempfile.gettempdir()))
        )
    return str(folder) in call or tempfile.gettempdir() in call


def faults(
    scene: Scene,
    verdict: Verdict,
    ran: Path,
    earlier: dict[str, str],
    good: dict[str, str],
    stdout: bytes,
    error: str,
    line: str,
) -> Iterator[str]:
    """Yield what a run did wrong whose call failed as the injection says."""
    code, said, now = verdict.code, verdict.said, state(ran / scene.outputs)
    if code is None:
        yield "does not end"
    if "Traceback" in said or "this is a bug" in said:
        yield "takes a failing call for a bug"
    if code == 0:
        if now != good:
            yield f"exit 0, but there is {sorted(now)}"
        if (ran / "stdout").read_bytes() != stdout:
            yield "exit 0, but standard output is not whole"
    elif now | ASIDE not in (earlier | ASIDE, good | ASIDE):
        yield f"there is neither what was there before nor what should be, but {sorted(now)}"
    mute = verdict.injection.startswith("write") and verdict.injection.endswith("+")  # stderr fails as well
    unseen = "stat" in verdict.injection and "no such file" in said  # whether a name is there is asked of stat
    if code and "/stderr>" not in line and not mute and not unseen:
        cause = os.strerror(getattr(errno, error)).lower()
        unnamed = "no usable temporary directory" in said  # of several that were tried, each with a cause of its own
        if cause not in said.lower() and "not seekable" not in said and not unnamed:
            yield f"does not say {cause!r}"
        if not all(text.startswith("nmfsep: ") for text in said.splitlines()):
            yield "says what is not ours"
    for manifest in find(ran / scene.outputs) if (ran / scene.outputs).is_dir() else ():
        try:
            verify(manifest)
        except NmfsepError as wrong:
            yield f"what is there does not verify: {wrong}"
    removing = verdict.injection.startswith(("unlink", "rename", "getdents", "flock", "openat"))
    if (
        litter := [name for name in os.listdir(ran / scene.outputs) if name.startswith(".nmfsep-")]
        if (not removing and (ran / scene.outputs).is_dir())
        else []
    ):
        yield f"leaves {litter}"


def state(path: Path) -> dict[str, str]:
    """Return the hashes of the files there; of a manifest, of what it vouches for."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    found = {}
    for file in files:
        if file.name.startswith(".nmfsep-"):
            continue
        data = file.read_bytes()
        if file.name.endswith(".nmfsep.json"):
            manifest = json.loads(data)
            manifest.pop("seconds", None)
            for name in ("relative", "sha256"):  # None where the input's name cannot be looked up any more
                manifest["input"].pop(name, None)
            data = json.dumps(manifest).encode()
        found[str(file.relative_to(path))] = hashlib.sha256(data).hexdigest()
    return found
