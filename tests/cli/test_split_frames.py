"""How long a frame is follows from the sample rate, can be said, and is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli


def told(cli: Cli, *args: str) -> list[dict[str, int]]:
    """Return the frames that a manifest of song.wav has after a run."""
    result = cli("split", "song.wav", *args, "--threads", "1")
    assert (result.code, result.err) == (0, "")
    about = json.loads((cli.folder / "separated/song/song.nmfsep.json").read_text())
    return about["frames"]


@pytest.mark.parametrize(
    ("args", "n_fft", "hop"),
    [
        (("-k", "2"), 768, 192),
        (("--preset", "noise"), 1024, 256),
        (("-k", "2", "--n-fft", "300"), 300, 75),
        (("-k", "3", "--fast", "--hop-length", "100"), 768, 100),
    ],
)
def test_the_manifest_says_what_frames_were_used(
    cli: Cli, song: Path, args: tuple[str, ...], n_fft: int, hop: int
) -> None:
    assert RATE == 8000
    assert told(cli, *args) == [{"n_fft": n_fft, "hop_length": hop}]
    inspected = json.loads(cli("inspect", "separated", "--json").out)
    assert (inspected["n_fft"], inspected["hop_length"]) == (n_fft, hop)


def test_frames_that_are_asked_for_are_not_taken_for_those_of_the_rate(cli: Cli, song: Path) -> None:
    assert told(cli, "-k", "2", "--n-fft", "300") == [{"n_fft": 300, "hop_length": 75}]
    assert told(cli, "-k", "2", "--skip-existing") == [{"n_fft": 768, "hop_length": 192}]
    again = cli("split", "song.wav", "-k", "2", "--threads", "1", "--skip-existing", "--json")
    assert json.loads(again.out)["status"] == "skipped"


def test_inspect_takes_the_frames_of_the_rate(cli: Cli, song: Path) -> None:
    found = [
        json.loads(cli("inspect", "song.wav", "-k", "3", *more, "--json").out) for more in ((), ("--n-fft", "512"))
    ]
    assert [about["n_fft"] for about in found] == [768, 512]


def test_a_step_too_long_for_a_rate_is_one_line(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "3", "--hop-length", "1000")
    assert result.code in (1, 2)
    assert result.out == b""
    assert "hop_length 1000 is more than half of n_fft 768; that is what suits 8000 Hz; give --n-fft 2000" in result.err


def test_a_call_of_ultrasound_shorter_than_a_frame_of_speech_is_separated(cli: Cli) -> None:
    rate, rng = 384_000, np.random.default_rng(0)
    t = np.arange(rate // 4) / rate
    calls = np.sin(2 * np.pi * (90e3 * t - 60e4 * t**2)) * (t % 0.1 < 0.005)
    sf.write(cli.folder / "song.wav", 0.3 * calls + 0.01 * rng.standard_normal(len(t)), rate, "PCM_16")
    assert told(cli, "--preset", "noise") == [{"n_fft": 6144, "hop_length": 1536}]
    assert cli("check", "separated").code == 0


@pytest.mark.parametrize("command", ["split", "inspect", "rank", "evaluate"])
def test_the_help_tells_that_frames_follow_the_sample_rate(cli: Cli, command: str) -> None:
    assert "by sample rate if not given" in " ".join(cli(command, "--help").out.decode().split())
