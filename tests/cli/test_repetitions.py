"""split where strokes repeat: the line on stderr, the manifest, one-shots, and what render says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile as sf
from cli_harness import Cli, assert_add_up, digests

RATE = 8000


def write_loop(path: Path) -> None:
    """Write a loop of two strokes, low and high, that are the same each time but for their levels."""
    rng = np.random.default_rng(4)
    mixture, time = np.zeros(4 * RATE), np.arange(RATE // 4) / RATE
    low = np.sin(2 * np.pi * 90 * time) * np.exp(-12 * time) + 0.2 * rng.standard_normal(len(time)) * np.exp(-90 * time)
    high = np.diff(rng.standard_normal(len(time) + 1)) * np.exp(-30 * time)
    for shot, step in ((low, 0.5), (0.3 * high, 0.31)):
        for begin in np.arange(0.05, 3.6, step):
            start = round((begin + rng.uniform(0, 0.01)) * RATE)
            mixture[start : start + len(shot)] += 0.4 * rng.uniform(0.5, 1) * shot
    sf.write(path, mixture, RATE, subtype="PCM_16")


def test_what_repeats_is_said_listed_and_written(cli: Cli, workshop: Path) -> None:
    write_loop(workshop / "loop.wav")
    command = ("split", "loop.wav", "-k", "2", "--save-model", "--export-strokes", "kit", "-o", "a")
    result = cli(*command)
    assert "each stroke is the mean of its repetitions" in result.err
    assert_add_up([workshop / path for path in result.paths], workshop / "loop.wav")
    repeated = json.loads((workshop / "a/loop/loop.nmfsep.json").read_text())["repeated"]
    assert repeated["fit"] >= 0.87
    shots = sorted(path.name for path in (workshop / "kit/loop").glob("*.wav"))
    assert shots == sorted(Path(stroke["file"]).name for stroke in repeated["strokes"])
    assert {sf.info(workshop / "kit/loop" / name).subtype for name in shots} == {"PCM_24"}
    kit = digests([f"kit/loop/{name}" for name in shots], workshop)
    again = cli(*command)
    assert digests(again.paths, workshop) == digests(result.paths, workshop)
    assert digests([f"kit/loop/{name}" for name in shots], workshop) == kit
    assert cli("check", "kit").code == 0
    rendered = cli("render", "a/loop/loop.nmf.npz", "-o", "b")
    assert "by masks alone" in rendered.err
    masks = cli("split", "loop.wav", "-k", "2", "--match", "off", "-o", "c")
    assert digests(rendered.paths, workshop) == digests(masks.paths, workshop)


def test_strokes_are_refused_where_none_are_looked_for(cli: Cli, workshop: Path) -> None:
    (workshop / "kit/beat").mkdir(parents=True)
    (workshop / "kit/beat/beat.nmfsep.json").write_text("mine")
    for options, why in (
        (("-k", "2", "--match", "off"), "--match off looks for no strokes"),
        (("-m", "kit.npz"), "without guidance only"),
        (("-k", "2", "-o", "-"), "-o - writes stems only"),
        (("-k", "2"), "was not written by nmfsep"),
    ):
        result = cli("split", "beat.wav", "--export-strokes", "kit", *options)
        assert result.code in (1, 2)
        assert why in result.err
    assert (workshop / "kit/beat/beat.nmfsep.json").read_text() == "mine"
