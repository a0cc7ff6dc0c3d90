"""The tests' own processes: they start with fresh signals and end with what started them, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import children
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing forks")
SLEEP = "import time; time.sleep(600)"
TWO = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True)"
WITH_TESTS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import children
endless = ["--max-iter", "10000000", "--tol", "0", "-k", "2"]
run = children.start([*children.NMFSEP, "split", sys.argv[2], *endless], ".", children.environment())
shell = children.start(["sh", "-c", "sleep 600 & sleep 600"], ".", children.environment())
print(run.pid, shell.pid, flush=True)
time.sleep(600)
"""


def gone(number: int) -> bool:
    """Whether no process of that number runs, after a while."""
    deadline = time.monotonic() + children.PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if (Path("/proc") / str(number) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False


def test_processes_end_with_the_tests_though_these_are_killed(tmp_path: Path) -> None:
    song = children.ROOT / "sample_audio" / "triad.wav"
    command = [sys.executable, "-c", WITH_TESTS, children.ROOT / "tests", song]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env=dict(os.environ)) as tests:
        assert tests.stdout
        numbers = list(map(int, tests.stdout.readline().split()))
        assert len(numbers) == 2
        assert all((Path("/proc") / str(number)).exists() for number in numbers)
        tests.kill()
    assert all(map(gone, numbers))


def test_what_a_process_leaves_running_is_named_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "GRACE", 0.1)
    process = children.start([sys.executable, "-c", TWO], tmp_path, children.environment())
    number = int(process.stdout.readline())
    process.wait()
    (left,) = process.end()
    assert left.startswith(f"{number}: ")
    assert gone(number)


def test_a_process_that_still_runs_is_named_and_ended(tmp_path: Path) -> None:
    process = children.start([sys.executable, "-c", SLEEP], tmp_path, children.environment())
    assert process.end() == [f"{process.pid}: {sys.executable} -c {SLEEP}"]
    assert gone(process.pid)


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    process = children.start([sys.executable, "-c", SLEEP], tmp_path, children.environment())
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.1)
    assert gone(process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_process_has_the_signals_of_a_fresh_one_whatever_the_tests_ignore(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = (
        "import signal, sys; sys.path.insert(0, sys.argv[1]); import children\n"
        "for name in ('SIGINT', 'SIGHUP', 'SIGTERM'): signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
        "run = children.start(['sleep', '600'], '.', children.environment())\n"
        "run.send_signal(int(sys.argv[2])); print(run.wait())"
    )
    command = [sys.executable, "-c", script, str(children.ROOT / "tests"), str(int(number))]
    assert children.run(command, tmp_path, check=True).stdout == f"-{int(number)}\n".encode()


def test_a_command_that_is_not_there_is_an_error_here(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        children.run(["no-such-command"], tmp_path)


def test_a_run_in_memory_is_the_same_as_one_that_loads_everything(tmp_path: Path) -> None:
    for args in (["--version"], ["split", "missing.wav"], ["split", "-h"], ["spilt"]):
        runs = [children.run([*children.NMFSEP, *args], tmp_path, fresh=fresh) for fresh in (False, True)]
        assert len({(run.returncode, run.stdout, run.stderr) for run in runs}) == 1
