"""Runs nmfsep with one system call failing, in forks of one process that has everything loaded.

Each line of standard input is a JSON object with the `folder` to run in, the `arguments`, and `strace`, the options
that say what to trace and what to inject. Each run leaves `stdout` and `stderr` in its folder, and what strace says in
`calls`; its exit code is printed. A run that does not end is killed, and its code is null.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
from typing import Any, NoReturn

PATIENCE = 30  # seconds for a run that takes a tenth of one
PR_SET_PTRACER = 0x59616D61


def become(request: dict[str, Any], door: int, ready: int) -> NoReturn:
    """Become nmfsep as soon as strace looks on, which is to see nothing of what is done before."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1))  # where only a parent may trace
    os.chdir(request["folder"])
    with open(request.get("stdin", os.devnull)) as given:
        os.dup2(given.fileno(), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv[:] = ["nmfsep", *request["arguments"]]
    waiting = select.poll()
    waiting.register(door, select.POLLHUP)
    os.close(ready)
    waiting.poll()
    code = 1
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        os._exit(code)


def run(request: dict[str, Any]) -> int | None:
    """Run nmfsep under strace; return its exit code."""
    (door, key), (waits, ready) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(key)
        become(request, door, ready)
    for end in (door, ready):
        os.close(end)
    os.read(waits, 1)  # until the child has closed its own
    os.close(waits)
    options = ["-y", "-o", os.path.join(request["folder"], "calls"), *request["strace"]]
    tracer = subprocess.Popen(["strace", *options, "-p", str(child)], stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline().decode()
        if "attached" not in said:
            raise OSError(said)
        os.close(key)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.kill()
            tracer.wait()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import nmfsep
    from nmfsep.cli.main import main

    for module in pkgutil.walk_packages(nmfsep.__path__, "nmfsep."):
        if module.name not in ("nmfsep.__main__", "nmfsep.models.sklearn"):  # which takes long, and is no command's
            importlib.import_module(module.name)
    codecs.lookup("cp437")  # which zipfile takes for names
    nmfsep.separate(nmfsep.Audio([[0.0] * 4096], 8000), 2, threads=1)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
