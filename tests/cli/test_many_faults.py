"""A long night: workers are killed, files are bad, the run is interrupted and goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from cli_harness import ENDLESS, PATIENCE, RATE, ROOT, Cli, files, well_said

pytestmark = pytest.mark.faults

QUICK = ("-k", "2", "--max-iter", "5", "--n-fft", "256")
HOOK = Path(__file__).parent / "struck"


def corpus(folder: Path, count: int, bad: int) -> dict[str, bool]:
    """Make short noises, every one another, some of them bad; return which are good."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    chosen = {f"n{number:04}.wav": True for number in range(count)}
    for name in rng.choice(list(chosen), bad, replace=False):
        chosen[str(name)] = False
    for number, (name, good) in enumerate(chosen.items()):
        if good:
            sf.write(folder / name, rng.uniform(-0.5, 0.5, 1000 + number), RATE, "PCM_16")
        else:
            (folder / name).write_bytes(b"RIFF\x04\0\0\0WAVE" if number % 2 else b"")
    return chosen


def struck(cli: Cli, victims: dict[str, int]) -> dict[str, str | None]:
    """Return the environment of a run in which the workers on these tracks are killed once."""
    flags = cli.folder / ".bin"  # which does not count as output
    flags.mkdir(exist_ok=True)
    return {"PYTHONPATH": f"{HOOK}:{ROOT}", "STRUCK": json.dumps(victims), "STRUCK_FLAGS": str(flags)}


def news_of(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("event", [1, 4, 8])
def test_a_killed_worker_costs_a_second_try_and_nothing_else(cli: Cli, event: int) -> None:
    good = corpus(cli.folder / "in", 5, 1)
    victim = next(name for name in good if good[name])
    env = struck(cli, {victim.removesuffix(".wav"): event})
    result = cli("split", "-r", "in", *QUICK, "-j", "2", "--json", env=env)
    assert result.code == 1
    assert (cli.folder / ".bin" / victim.removesuffix(".wav")).exists()
    assert "1 inputs were begun again" in result.err
    assert "4 of 5 inputs done, 1 failed" in result.err
    assert {entry["path"]: entry["status"] for entry in news_of(result.out)} == {
        f"in/{name}": "done" if ok else "failed" for name, ok in good.items()
    }
    assert len(files(cli.folder / "separated")) == 4 * 3
    assert cli("check", "separated").code == 0


@pytest.mark.smoke
def test_a_file_that_kills_its_worker_twice_fails_alone(cli: Cli) -> None:
    corpus(cli.folder / "in", 4, 0)
    hook = cli.folder / ".bin" / "sitecustomize.py"
    hook.parent.mkdir()
    hook.write_text(
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and 'n0002.wav' in str(args[0]):\n"
        "        os.abort()\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        "    sys.addaudithook(hook)\n"
    )
    result = cli("split", "-r", "in", *QUICK, "-j", "2", "--json", env={"PYTHONPATH": f"{hook.parent}:{ROOT}"})
    assert result.code == 1
    assert "in/n0002.wav: the process that worked on it was killed by signal 6, twice" in result.err
    assert sorted(entry["path"] for entry in news_of(result.out) if entry["status"] == "done") == [
        "in/n0000.wav", "in/n0001.wav", "in/n0003.wav",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_batch_leaves_nothing_half_done_and_goes_on(cli: Cli, number: signal.Signals) -> None:
    corpus(cli.folder / "in", 4, 0)
    sf.write(cli.folder / "in/long.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 60 * RATE), RATE)
    args = ("split", "-r", "in", "-k", "3", "-j", "2", "--json")
    process = cli.start(*args, *ENDLESS, "--time-limit", "0.3", start_new_session=True)
    assert process.stdout.readline()
    process.send_signal(number)
    rest, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -number
    if number != signal.SIGKILL:
        assert "Traceback" not in well_said(err)
        assert not list(cli.temp.iterdir())
    done = len(news_of(rest)) + 1
    assert cli("check", "separated").code == 0
    assert not [name for name in files(cli.folder / "separated") if name.endswith(".part")]
    again = cli(*args, *ENDLESS, "--time-limit", "0.3", "--skip-existing")
    assert again.code == 0
    status = [entry["status"] for entry in news_of(again.out)]
    assert len(status) == 5
    assert status.count("skipped") >= done


@pytest.mark.slow
def test_a_thousand_files_with_bad_ones_kills_and_an_interruption(cli: Cli) -> None:
    good = corpus(cli.folder / "in", 1000, 20)
    rng = random.Random(7)
    tracks = [name.removesuffix(".wav") for name, ok in good.items() if ok]
    env = struck(cli, {name: rng.randint(1, 9) for name in rng.sample(tracks, 10)})
    args = ("split", "-r", "in", *QUICK, "-j", "2", "--json", "--skip-existing")
    process = cli.start(*args, env=env, start_new_session=True)
    begun = [process.stdout.readline() for _ in range(400)]
    os.killpg(process.pid, signal.SIGINT)
    rest, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGINT
    well_said(err)
    first = news_of(b"".join(begun) + rest)
    process = cli.start(*args, env=env)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 1
    second = news_of(out)
    assert len(second) == 1000
    status = {entry["path"]: entry["status"] for entry in second}
    assert [path for path, state in status.items() if state == "failed"] != []
    assert {path for path, state in status.items() if state == "failed"} == {
        f"in/{n}" for n, ok in good.items() if not ok
    }
    earlier = {entry["path"] for entry in first if entry["status"] == "done"}
    skipped = {path for path, state in status.items() if state == "skipped"}
    assert earlier <= skipped
    assert len(skipped) <= len(earlier) + 2  # named when the run was interrupted, but not yet told
    summary = f"{980 - len(skipped)} of 1000 inputs done, {len(skipped)} skipped, done before, 20 failed"
    assert summary in well_said(err)
    assert len(list((cli.folder / ".bin").iterdir())) == 10
    shutil.rmtree(cli.folder / ".bin")
    assert len(files(cli.folder / "separated")) == 980 * 3
    assert cli("check", "separated", "-q").code == 0
    assert not list(cli.temp.iterdir())
    plain = cli.start("split", "-r", "in", *QUICK, "-o", "plain", "-q")
    plain.communicate(timeout=900)
    for name in files(cli.folder / "plain"):
        if name.endswith(".wav"):
            assert (cli.folder / "plain" / name).read_bytes() == (cli.folder / "separated" / name).read_bytes()
