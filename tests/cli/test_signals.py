"""Signals end a run within a second and leave nothing; a run that was killed leaves only complete files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile as sf
from cli_harness import ENDLESS, PATIENCE, RATE, Cli, files, until_busy, well_said

DEADLINE = 3.0  # the contract says one second; a loaded machine gets three


@pytest.mark.parametrize(
    ("number", "output"),
    [(signal.SIGINT, "out"), (signal.SIGTERM, "out"), (signal.SIGHUP, "out"), (signal.SIGTERM, "-")],
)
def test_a_signal_during_work_ends_the_run_by_that_signal_and_leaves_nothing(
    cli: Cli, song: Path, number: signal.Signals, output: str
) -> None:
    process = cli.start("split", "song.wav", "-k", "3", "-o", output, *ENDLESS, start_new_session=True)
    until_busy(process.pid)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < DEADLINE
    assert (process.returncode, out) == (-number, b"")
    assert well_said(err) == ""
    assert files(cli.folder) == ["song.wav"]
    assert not list(cli.temp.iterdir())


def test_a_signal_ends_a_large_step_too(cli: Cli, sounds: Path) -> None:
    # a hundred components of a minute: many seconds of work between two evaluations of the loss
    args = ("split", sounds / "long.wav", "-k", "100", "--n-fft", "4096", "--divergence", "0.5", *ENDLESS)
    process = cli.start(*args, start_new_session=True)
    until_busy(process.pid, 1.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < DEADLINE
    assert (process.returncode, well_said(err)) == (-signal.SIGINT, "")
    assert files(cli.folder) == []


def test_a_signal_ends_the_whole_batch(cli: Cli, song: Path, sounds: Path) -> None:
    args = ("split", "song.wav", sounds / "stereo.wav", "-k", "2", *ENDLESS)
    process = cli.start(*args, start_new_session=True)
    until_busy(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    assert files(cli.folder) == ["song.wav"]


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_signal_at_the_start_shows_no_traceback(cli: Cli, song: Path, delay: float) -> None:
    process = cli.start("split", "song.wav", "-k", "3", *ENDLESS)
    process.stdout.close()
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == -signal.SIGTERM
    assert err == b""


def test_an_impatient_user_sees_no_traceback(cli: Cli, song: Path) -> None:
    (cli.folder / "1").mkdir()
    script = Path(__file__).with_name("sabotage.py")
    command = [sys.executable, script, "storm", "1", "1", "out", "split", "../song.wav", "-k", "3", *ENDLESS]
    done = subprocess.run(command, cwd=cli.folder, env=cli.env(), capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b"-2\n"
    assert files(cli.folder / "1") == ["stderr", "stdout"]
    assert (cli.folder / "1" / "stderr").read_bytes() == b""


def test_a_background_job_of_a_script_ignores_ctrl_c(cli: Cli, song: Path) -> None:
    # a shell without job control starts a job with SIGINT ignored, as nohup does with SIGHUP
    cli.wrapper()
    script = "trap '' INT; .bin/nmfsep split song.wav -k 2 --time-limit 0.8 --max-iter 10000000 --tol 0 & pid=$!; "
    script += "sleep 0.6; kill -INT $pid; wait $pid"
    result = cli.shell(script)
    assert (result.code, len(result.paths)) == (0, 2)


def test_nohup_keeps_sighup_away(cli: Cli, song: Path) -> None:
    script = "trap '' HUP; nmfsep split song.wav -k 2 --time-limit 0.8 --max-iter 10000000 --tol 0 & pid=$!; "
    script += "sleep 0.6; kill -HUP $pid; wait $pid"
    result = cli.shell(script)
    assert (result.code, len(result.paths)) == (0, 2)


@pytest.mark.parametrize("delay", [0.12, 0.2, 0.24, 0.27, 0.3, 0.33, 0.36, 0.4])
def test_kill_9_leaves_complete_files_or_none(cli: Cli, sounds: Path, delay: float) -> None:
    args = ("split", sounds / "long.wav", "-k", "4", "--max-iter", "5")
    process = cli.start(*args)
    time.sleep(delay)
    process.kill()
    process.communicate()
    left = [path for path in files(cli.folder) if os.path.basename(path).startswith("component-")]
    for path in left:
        assert len(sf.read(cli.folder / path)[0]) == 60 * RATE
    assert not list(cli.temp.iterdir())
    # test_writing.py looks for litter, and for what needs force here: a kill between two names
    assert not left or cli(*args, "--force").code == 0


def test_kill_9_leaves_no_litter_of_standard_output(cli: Cli, sounds: Path) -> None:
    process = cli.start("split", sounds / "long.wav", "-k", "2", "-o", "-", "--max-iter", "0")
    assert process.stdout.read(4) == b"RIFF"  # more follows than a pipe holds, so that it waits
    process.kill()
    process.communicate()
    assert not list(cli.temp.iterdir())
