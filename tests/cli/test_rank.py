"""rank tells how many components a sound has, and -k auto takes it at its word."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli, files


@pytest.fixture(autouse=True)
def notes(cli: Cli) -> None:
    """Have three notes, alone and together, in notes.wav."""
    rng = np.random.default_rng(0)
    t = np.arange(3 * RATE) / RATE
    steps = (np.arange(len(t)) * 15 // len(t)).astype(int)
    gate = np.kron(np.eye(3, dtype=int), np.ones((1, 2), int))
    gates = np.concatenate([gate, gate, [[1, 0, 1], [1, 1, 0], [0, 1, 1]]], axis=1)
    tones = [sum(0.5**h * np.sin(2 * np.pi * (h + 1) * f * t) for h in range(5)) for f in (220, 311, 523)]
    fade = np.hanning(400) / np.hanning(400).sum()  # without clicks, which would be a fourth component
    sound = sum(tone * np.convolve(gates[k][steps], fade, "same") for k, tone in enumerate(tones))
    sf.write(cli.folder / "notes.wav", 0.1 * sound + 1e-4 * rng.standard_normal(len(t)), RATE, "PCM_16")


def test_the_table_ends_with_the_recommended_number(cli: Cli) -> None:
    result = cli("rank", "notes.wav", "--highest", "5")
    assert (result.code, result.err) == (0, "")
    head, *rows, last = [line.split() for line in result.out.decode().splitlines()]
    assert head == ["components", "loosest", "mean", "unexplained", "stable"]
    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert (rows[1][4], last) == ("yes", ["3"])
    assert cli("rank", "notes.wav", "--highest", "5", "--threads", "1").out == result.out


@pytest.mark.long
def test_json_and_picture_tell_the_same(cli: Cli) -> None:
    pytest.importorskip("matplotlib")
    document = json.loads(cli("rank", "notes.wav", "--lowest", "3", "--highest", "4", "--json", "--plot", "k.png").out)
    assert document["recommended"] == 3
    assert [row["components"] for row in document["evidence"]] == [3, 4]
    assert document["evidence"][0]["stable"]
    assert (cli.folder / "k.png").read_bytes().startswith(b"\x89PNG")
    refused = cli("rank", "notes.wav", "--plot", "notes.wav")
    assert (refused.code, "would be overwritten" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("nothing.wav",), "no such file"),
        (("notes.wav", "--lowest", "5", "--highest", "4"), "--highest 4 is less than --lowest 5"),
        (("notes.wav", "--duration", "0.01"), "too few to tell"),
        (("notes.wav", "--max-memory", "1M"), "may take"),
    ],
)
def test_what_cannot_be_ranked_is_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("rank", *args)
    assert (result.code, result.out) == (2, b"")
    assert said in result.err


def test_silence_has_no_number(cli: Cli) -> None:
    sf.write(cli.folder / "silence.wav", np.zeros(RATE), RATE, "PCM_16")
    result = cli("rank", "silence.wav", "--highest", "3")
    assert (result.code, "is silent" in result.err) == (2, True)


def test_a_file_that_cannot_be_counted_fails_alone(cli: Cli) -> None:
    (cli.folder / "broken.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    result = cli("split", "broken.wav", "notes.wav", "-k", "auto", "-q")
    assert result.code == 1
    assert result.err.startswith("nmfsep: broken.wav: ")
    assert len(result.paths) == 3
    assert cli("check", "separated").code == 0


def test_k_auto_makes_as_many_stems(cli: Cli) -> None:
    result = cli("split", "notes.wav", "-k", "auto")
    assert result.code == 0
    assert result.paths == [f"separated/notes/component-{k}.wav" for k in (1, 2, 3)]
    assert result.err == "nmfsep: notes.wav: 3 components\n"
    manifest = json.loads((cli.folder / "separated/notes/notes.nmfsep.json").read_text())
    assert (manifest["settings"]["components"], manifest["settings"]["atoms"]) == (3, 1)
    assert cli("check", "separated").code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-", "-k", "auto"), "reads its input twice"),
        (("notes.wav", "-k", "auto", "--preset", "drums"), "-k auto counts"),
        (("notes.wav", "-k", "auto", "--model", "nmfd"), "-k auto counts"),
        (("notes.wav", "-k", "aut"), "is not a whole number"),
    ],
)
def test_where_nothing_can_be_counted_auto_is_refused(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("split", *args)
    assert (result.code, said in result.err) == (2, True), result.err
    assert files(cli.folder) == ["notes.wav"]
