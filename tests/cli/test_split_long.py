"""What does not fit into memory is done a part at a time, and it shows nowhere but in the plan and the manifest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import Cli, assert_add_up, digests, files, until_busy

pytestmark = pytest.mark.long

RATE, SECONDS = 8000, 300
SMALL = ("--n-fft", "256", "-k", "3", "--fast", "--threads", "1")
LITTLE = ("--max-memory", "180M")


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return five minutes of sound, which nobody writes to."""
    path = tmp_path_factory.mktemp("night") / "night.wav"
    rng = np.random.default_rng(0)
    t = np.arange(RATE * SECONDS) / RATE
    gates = np.repeat(rng.random((3, SECONDS)) ** 3, RATE, axis=1)
    tones = [np.sin(2 * np.pi * pitch * t) * gate for pitch, gate in zip((300, 900, 2000), gates, strict=True)]
    left = 0.2 * sum(tones) + 0.01 * rng.standard_normal(len(t))
    sf.write(path, np.c_[left, 0.5 * left[::-1]], RATE, "PCM_16")
    return path


@pytest.fixture
def here(cli: Cli, night: Path) -> Cli:
    """Return a runner in a folder where the night is."""
    os.link(night, cli.folder / "night.wav")
    return cli


def test_the_plan_says_so(here: Cli) -> None:
    result = here("split", "night.wav", *SMALL, *LITTLE, "--dry-run", "--json")
    row = json.loads(result.out)["tracks"][0]
    assert row["streamed"]
    assert row["memory"] <= 180 << 20
    assert "read a part at a time, learned from 16384 frames" in result.err
    plenty = json.loads(here("split", "night.wav", *SMALL, "--max-memory", "2G", "--dry-run", "--json").out)
    assert not plenty["tracks"][0]["streamed"]
    assert plenty["tracks"][0]["memory"] > 180 << 20


def test_stems_add_up_bit_for_bit_and_come_out_the_same_with_any_threads(here: Cli) -> None:
    first = here("split", "night.wav", *SMALL, *LITTLE)
    assert (first.code, first.err, len(first.paths)) == (0, "", 3)
    stems = [here.folder / path for path in first.paths]
    assert_add_up(stems, here.folder / "night.wav")
    manifest = json.loads((here.folder / "separated/night/night.nmfsep.json").read_text())
    assert manifest["learned_from"] == {"frames": 16384, "of": 37501}
    hashes = digests(first.paths, here.folder)
    other = here("split", "night.wav", *SMALL[:-1], "2", *LITTLE, "-o", "other")
    assert digests(other.paths, here.folder) == hashes
    assert here("check", "separated").code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs the peak of a process")
def test_memory_stays_below_the_limit(here: Cli) -> None:
    script = (
        "import re, sys; from nmfsep.cli.main import main; "
        "sys.argv = ['nmfsep', 'split', 'night.wav', '--n-fft', '256', '-k', '3', '--max-memory', '180M', '-q']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])"  # not that of its parent
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=here.folder, env=environment, capture_output=True, check=True, text=True
    )
    assert int(done.stdout.split()[-1]) < 190 << 10


def test_all_that_decides_the_stems_holds(here: Cli) -> None:
    result = here(
        "split", "night.wav", *SMALL, *LITTLE, "--residual", "--group", "two=1,2", "--offset", "10",
        "--duration", "280", "--only", "two", "--only", "residual", "--mask-power", "2", "--flac",
        "--clip-mode", "rescale", "--save-model",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    assert [Path(path).name for path in result.paths] == ["two.flac", "residual.flac"]
    assert {sf.info(here.folder / path).frames for path in result.paths} == {280 * RATE}
    model = "separated/night/night.nmf.npz"
    again = here(
        "render", model, "-o", "again", "--only", "two", "--only", "residual", "--flac", "--clip-mode", "rescale",
        "--max-memory", "70M", "--threads", "1", "-q",
    )  # fmt: skip
    assert (again.code, again.err) == (0, "")
    for one, other in zip(result.paths, again.paths, strict=True):
        a, b = (sf.read(here.folder / path, dtype="int16")[0].astype(int) for path in (one, other))
        assert abs(a - b).max() <= 1  # activations were solved a block at a time, too


@pytest.mark.smoke
def test_integers_of_32_bits_add_up(cli: Cli) -> None:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (200 * RATE, 2))
    sf.write(cli.folder / "deep.wav", noise, RATE, "PCM_32")
    result = cli("split", "deep.wav", "--n-fft", "64", "-k", "2", "--max-memory", "64M", "--max-iter", "10")
    assert (result.code, result.err) == (0, "")
    assert json.loads((cli.folder / "separated/deep/deep.nmfsep.json").read_text())["learned_from"]
    assert_add_up([cli.folder / path for path in result.paths], cli.folder / "deep.wav")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("-k", "2", "--start", "semantic"), "start 'semantic' needs frames that follow each other"),
        (("-k", "2", "--smoothness", "1"), "smoothness couples all frames"),
        (("--model", "kmeans", "-k", "2"), "model 'kmeans' needs all frames at once"),
    ],
)
def test_what_cannot_be_done_in_parts_says_why_and_what_to_do(here: Cli, given: tuple[str, ...], reason: str) -> None:
    result = here("split", "night.wav", "--n-fft", "256", *LITTLE, *given)
    assert (result.code, result.paths) == (2, [])
    assert f"{reason}, so that 'night' cannot stay on disk and needs" in result.err
    assert "--max-memory" in result.err


def test_an_interrupt_leaves_nothing(here: Cli) -> None:
    process = here.start("split", "night.wav", *SMALL, *LITTLE, start_new_session=True)
    until_busy(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert [path for path in files(here.folder) if path != "night.wav"] == []


def test_names_that_say_what_is_heard_are_known_once_the_stems_are(here: Cli) -> None:
    result = here("split", "night.wav", *SMALL, *LITTLE, "--stem-names", "auto")
    manifest = json.loads((here.folder / "separated/night/night.nmfsep.json").read_text())
    assert manifest["learned_from"] is not None
    assert result.paths == [f"separated/night/{stem['name']}.wav" for stem in manifest["stems"]]
    assert sorted(stem["name"][0] for stem in manifest["stems"]) == ["1", "2", "3"]
    assert all("component" not in stem["name"] for stem in manifest["stems"])
    grouped = here("split", "night.wav", *SMALL, *LITTLE, "--group", "auto:2")
    assert (grouped.code, "needs all activations" in grouped.err) == (2, True)
