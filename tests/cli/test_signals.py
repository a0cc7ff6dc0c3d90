"""Signals end a run within a second and leave nothing; a run that was killed leaves only complete files."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import children
import pytest
import soundfile as sf
from cli_harness import ENDLESS, RATE, Cli, files, until_busy, well_said

DEADLINE = 1.0  # seconds of computing, since those of the clock depend on what else the machine has to do
LOADING = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3)  # seconds of computing at the start of a fresh process


@pytest.mark.parametrize(
    ("number", "output"),
    [(signal.SIGINT, "out"), (signal.SIGTERM, "out"), (signal.SIGHUP, "out"), (signal.SIGTERM, "-")],
)
def test_a_signal_during_work_ends_the_run_by_that_signal_and_leaves_nothing(
    cli: Cli, song: Path, number: signal.Signals, output: str
) -> None:
    process = cli.start("split", "song.wav", "-k", "3", "-o", output, *ENDLESS)
    before = until_busy(process.pid)
    process.send_signal(number)
    out, err = process.communicate()
    assert process.seconds - before < DEADLINE
    assert (process.returncode, out) == (-number, b"")
    assert well_said(err) == ""
    assert files(cli.folder) == ["song.wav"]
    assert not list(cli.temp.iterdir())


def test_a_signal_ends_a_large_step_too(cli: Cli, sounds: Path) -> None:
    # a hundred components of a minute: many seconds of work between two evaluations of the loss
    args = ("split", sounds / "long.wav", "-k", "100", "--n-fft", "4096", "--divergence", "0.5", "-q", *ENDLESS)
    process = cli.start(*args)
    before = until_busy(process.pid, 1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.seconds - before < DEADLINE
    assert (process.returncode, well_said(err)) == (-signal.SIGINT, "")
    assert files(cli.folder) == []


def test_a_signal_ends_the_whole_batch(cli: Cli, song: Path, sounds: Path) -> None:
    args = ("split", "song.wav", sounds / "stereo.wav", "-k", "2", *ENDLESS)
    process = cli.start(*args)
    until_busy(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == -signal.SIGINT
    assert files(cli.folder) == ["song.wav"]


@pytest.mark.parametrize("used", LOADING)
def test_a_signal_at_the_start_shows_no_traceback(cli: Cli, song: Path, used: float) -> None:
    process = cli.start("split", "song.wav", "-k", "3", *ENDLESS, fresh=True)
    until_busy(process.pid, used)
    process.send_signal(signal.SIGTERM)
    assert process.communicate() == (b"", b"")
    assert process.returncode == -signal.SIGTERM


def test_an_impatient_user_sees_no_traceback(cli: Cli, song: Path) -> None:
    (cli.folder / "1").mkdir()
    script = Path(__file__).with_name("sabotage.py")
    command = [sys.executable, script, "storm", "1", "1", "out", "split", "../song.wav", "-k", "3", *ENDLESS]
    done = children.run(command, cli.folder, cli.env(), check=True)
    assert done.stdout == b"-2\n"
    assert files(cli.folder / "1") == ["stderr", "stdout"]
    assert (cli.folder / "1" / "stderr").read_bytes() == b""


@pytest.mark.parametrize("name", ["INT", "HUP"])
def test_a_signal_that_the_caller_has_ignored_stays_ignored(cli: Cli, song: Path, name: str) -> None:
    # a shell without job control starts a job with SIGINT ignored, as nohup does with SIGHUP
    run = f"trap '' {name}; exec {cli.wrapper()} split song.wav -k 2 {' '.join(ENDLESS)}"
    process = children.start(["sh", "-c", run], cli.folder, cli.env())
    before = until_busy(process.pid)
    process.send_signal(signal.Signals[f"SIG{name}"])
    until_busy(process.pid, before + 0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate() == (b"", b"")
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("lines", [1, 4])
def test_kill_9_leaves_whole_stems_only_and_the_next_run_works(cli: Cli, sounds: Path, lines: int) -> None:
    # test_writing.py strikes at every change of a name; here the signal comes from outside, in the next file's work
    for name in ("a.wav", "b.wav", "c.wav"):
        os.link(sounds / "long.wav", cli.folder / name)
    args = ("split", "a.wav", "b.wav", "c.wav", "-k", "2", "--max-iter", "5")
    process = cli.start(*args)
    told = [os.fsdecode(process.stdout.readline().rstrip()) for _ in range(lines)]
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = files(cli.folder / "separated")
    assert set(told) <= {f"separated/{path}" for path in left}
    stems = [path for path in left if path.endswith(".wav")]
    assert {sf.info(cli.folder / "separated" / path).frames for path in stems} == {60 * RATE}
    assert not list(cli.temp.iterdir())
    assert cli(*args).code == 0
    assert len(files(cli.folder / "separated")) == 9
    assert cli("check", "separated").code == 0


def test_kill_9_leaves_no_litter_of_standard_output(cli: Cli, sounds: Path) -> None:
    process = cli.start("split", sounds / "long.wav", "-k", "2", "-o", "-", "--max-iter", "0")
    assert process.stdout.read(4) == b"RIFF"  # more follows than a pipe holds, so that it waits
    process.kill()
    process.communicate()
    assert not list(cli.temp.iterdir())
