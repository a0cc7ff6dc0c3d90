"""inspect tells what is in a sound or in a separation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli, digests, files

from nmfsep.cli.inspect import ANALYSIS


def soft(gate: np.ndarray) -> np.ndarray:
    """Return a gate that opens and shuts within a few milliseconds, so that it does not click."""
    return np.convolve(gate, np.hanning(200) / np.hanning(200).sum(), "same")


@pytest.fixture(autouse=True)
def notes(cli: Cli) -> None:
    """Have two notes in turns, A3 and C#5, in notes.wav."""
    t = np.arange(2 * RATE) / RATE
    low, high = (
        sum(0.5**h * np.sin(2 * np.pi * (h + 1) * f * t) for h in range(5)) * soft(np.floor(4 * t) % 2 == turn)
        for f, turn in ((220, 0), (554.37, 1))
    )
    sf.write(cli.folder / "notes.wav", 0.2 * low + 0.1 * high, RATE, "PCM_16")


def test_the_table_names_notes_times_and_levels(cli: Cli) -> None:
    result = cli("inspect", "notes.wav", "-k", "2")
    assert (result.code, result.err) == (0, "")
    head, *rows = [line.split() for line in result.out.decode().splitlines()]
    assert head == ["component", "pitch", "MIDI", "cents", "energy", "centroid", "onsets", "at"]
    assert [row[:3] for row in rows] == [["component-1", "A3", "57"], ["component-2", "C#5", "73"]]
    assert [row[8] for row in rows] == ["4", "4"]
    np.testing.assert_allclose(np.array(rows[0][9:], float), [0, 0.5, 1, 1.5], atol=0.07)
    np.testing.assert_allclose(np.array(rows[1][9:], float), [0.25, 0.75, 1.25, 1.75], atol=0.07)
    assert files(cli.folder) == ["notes.wav"]


def test_json_tells_the_same_and_more(cli: Cli) -> None:
    document = json.loads(cli("inspect", "notes.wav", "-k", "2", "--json").out)
    assert (document["kind"], document["track"], document["sample_rate"], document["seconds"]) == (
        "sound", "notes", RATE, 2.0,
    )  # fmt: skip
    one, two = document["components"]
    assert one["pitch"]["name"] == "A3"
    assert one["pitch"]["hertz"] == pytest.approx(220, rel=0.01)
    assert one["energy_share"] + two["energy_share"] == pytest.approx(1)
    assert one["centroid"] < two["centroid"]


def test_a_separation_is_told_apart_from_a_sound(cli: Cli) -> None:
    assert cli("split", "notes.wav", "-k", "2", "-q").code == 0
    for path in ("separated", "separated/notes", "separated/notes/notes.nmfsep.json"):
        result = cli("inspect", path)
        assert (result.code, result.err) == (0, "")
        rows = [line.split() for line in result.out.decode().splitlines()]
        assert [row[1] for row in rows[1:]] == ["A3", "C#5"]


def test_several_separations_are_listed_one_after_the_other(cli: Cli) -> None:
    shutil.copy(cli.folder / "notes.wav", cli.folder / "again.wav")
    assert cli("split", "notes.wav", "again.wav", "-k", "2", "-q").code == 0
    result = cli("inspect", "separated")
    assert [line for line in result.out.decode().splitlines() if "  " not in line] == ["again", "", "notes"]
    assert [each["track"] for each in cli("inspect", "separated", "--json").documents] == ["again", "notes"]
    result = cli("inspect", "separated", "--plot", "x.png")
    assert (result.code, result.out) == (2, b"")
    assert "--plot draws one sound, and 2 were found" in result.err


def test_sound_can_come_through_a_pipe(cli: Cli) -> None:
    piped = cli("inspect", "-", "-k", "2", "--json", stdin=(cli.folder / "notes.wav").read_bytes())
    document = json.loads(piped.out)
    expected = json.loads(cli("inspect", "notes.wav", "-k", "2", "--json").out)
    assert document == expected | {"path": "-", "track": "stdin"}


def test_a_stretch_can_be_inspected(cli: Cli) -> None:
    document = json.loads(
        cli("inspect", "notes.wav", "-k", "1", "--offset", "0.25", "--duration", "0.25", "--json").out
    )
    assert document["seconds"] == 0.25
    assert document["components"][0]["pitch"]["name"] == "C#5"


def test_a_picture_is_drawn_and_its_own_are_replaced(cli: Cli) -> None:
    args = ("inspect", "notes.wav", "-k", "2", "--plot")
    assert cli(*args, "out/notes.png").code == 0
    first = digests(["out/notes.png"], cli.folder)
    assert cli(*args, "out/notes.png").code == 0
    assert digests(["out/notes.png"], cli.folder) == first
    assert files(cli.folder) == ["notes.wav", "out/notes.png"]


@pytest.mark.long
def test_nothing_else_is_drawn_over(cli: Cli) -> None:
    (cli.folder / "mine.png").write_text("mine")
    args = ("inspect", "notes.wav", "-k", "2", "--plot")
    result = cli(*args, "mine.png")
    assert (result.code, result.out) == (2, b"")
    assert "mine.png: exists and was not drawn by nmfsep; use --force to replace it" in result.err
    assert (cli.folder / "mine.png").read_text() == "mine"
    assert cli(*args, "notes.wav", "--force").code == 2
    assert cli(*args, "mine.png", "--force").code == 0
    assert (cli.folder / "mine.png").read_bytes().startswith(b"\x89PNG")


def test_templates_can_be_heard(cli: Cli) -> None:
    result = cli("inspect", "notes.wav", "-k", "2", "--audition", "heard")
    assert (result.code, result.err) == (0, "")
    assert files(cli.folder / "heard") == ["notes/component-1.wav", "notes/component-2.wav", "notes/notes.nmfsep.json"]
    assert cli("check", "heard").code == 0
    document = json.loads(cli("inspect", "heard/notes/component-2.wav", "-k", "1", "--json").out)
    assert document["components"][0]["pitch"]["name"] == "C#5"
    assert cli("inspect", "notes.wav", "-k", "1", "--audition", "heard").code == 0
    assert files(cli.folder / "heard") == ["notes/component-1.wav", "notes/notes.nmfsep.json"]


@pytest.mark.long
def test_silence_is_described_as_such(cli: Cli) -> None:
    sf.write(cli.folder / "silence.wav", np.zeros(RATE), RATE)
    result = cli("inspect", "silence.wav", "-k", "2", "--plot", "silence.png", "--audition", "heard")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert "warning" in result.err
    assert ["component-1", "-", "-", "-", "-", "-", "0"] in [line.split() for line in result.out.decode().splitlines()]
    assert cli("inspect", "silence.wav", "-k", "2", "-q").err == ""


BAD = [
    (2, ["notes.wav"], "notes.wav: how many stems is not said; give -k"),
    (2, ["notes.wav", "-k", "0"], "at least 1"),
    (2, ["missing.wav", "-k", "2"], "missing.wav: no such file or directory; check the name"),
    (2, ["missing.json"], "missing.json: no such file or directory; check the name"),
    (2, ["empty"], "empty: holds no separation of nmfsep; give an audio file, or the folder that split wrote to"),
    (2, ["empty", "-k", "2"], "empty: -k is for sound, and this is separated already; leave it out"),
    (2, ["empty", "--n-fft", "512"], "empty: --n-fft is for sound"),
    (2, ["notes.wav", "-k", "2", "--solver", "hals"], "solver 'hals' minimises beta 2, not 1"),
    (2, ["notes.wav", "-k", "2", "--plot", "empty"], "empty: is a folder where a picture should go"),
    (2, ["notes.wav", "-k", "2", "--plot", "notes.wav/x.png"], "cannot be written to"),
    (2, ["notes.wav", "-k", "2", "--max-memory", "1M"], "'notes' needs about"),
    (2, ["notes.wav", "-k", "2", "--starts", "spa"], "--start"),
    (1, ["broken.wav", "-k", "2"], "broken.wav: "),
    (1, ["notes.wav", "-k", "2", "--offset", "9"], "before --offset 9"),
    (1, ["other.json"], "other.json: is not a manifest of nmfsep"),
]


@pytest.mark.parametrize(("code", "args", "fragment"), BAD, ids=[" ".join(args) for _, args, _ in BAD])
def test_bad_input_is_answered_with_one_clear_line(cli: Cli, code: int, args: list[str], fragment: str) -> None:
    (cli.folder / "empty").mkdir()
    (cli.folder / "other.json").write_text("{}")
    (cli.folder / "broken.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    before = files(cli.folder)
    result = cli("inspect", *args)
    assert (result.code, result.out) == (code, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err
    assert files(cli.folder) == before


def test_every_option_of_the_analysis_is_one_of_split(cli: Cli) -> None:
    ours, theirs = (cli(command, "--help").out.decode() for command in ("inspect", "split"))
    for name in ANALYSIS:
        assert f"--{name.replace('_', '-')}" in ours
        assert f"--{name.replace('_', '-')}" in theirs


def test_the_same_bytes_whatever_the_threads(cli: Cli) -> None:
    runs = {cli("inspect", "notes.wav", "-k", "2", "--json", "--threads", n).out for n in ("1", "2")}
    assert len(runs) == 1


@pytest.mark.long
def test_the_input_may_be_a_name_of_any_kind(cli: Cli) -> None:
    name = Path("odd $x^ \n\x1b 日 name.wav")
    shutil.copy(cli.folder / "notes.wav", cli.folder / name)
    result = cli("inspect", name, "-k", "1", "--plot", "odd.png")
    assert result.code == 0


def test_a_dictionary_is_told_apart_by_what_is_in_it(cli: Cli) -> None:
    learned = cli("learn", "notes=notes.wav", "-k", "2", "--n-fft", "1024", "-o", "kit.npz", "--json")
    assert (learned.code, learned.err) == (0, "")
    (cli.folder / "kit.npz").rename(cli.folder / "kit.wav")  # its name tells nothing
    result = cli("inspect", "kit.wav")
    assert (result.code, result.err) == (0, "")
    assert result.out.decode().splitlines() == [
        f"dictionary of 1 label, {RATE} Hz, divergence kl",
        "frames of 1024 (hop 256, hann) samples",
        "",
        "label  templates  files  seconds  learned from",
        "notes          2      1      2.0  notes.wav",
    ]
    document = json.loads(cli("inspect", "kit.wav", "--json").out)
    assert document == json.loads(learned.out) | {"path": "kit.wav"}
    for option, value in (("-k", "2"), ("--plot", "x.png"), ("--audition", "out")):
        refused = cli("inspect", "kit.wav", option, value)
        assert (refused.code, refused.out) == (2, b"")
        assert refused.err == f"nmfsep: kit.wav: {option} is for sound, and this is a dictionary; leave it out\n"
