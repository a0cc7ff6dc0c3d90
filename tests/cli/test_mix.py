"""mix puts stems together: without levels the mixture bit for bit, with them what they say, and nothing in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import Cli, real, whole

import nmfsep

RATE, LENGTH = 8000, 6000


@pytest.fixture
def stems(song: Path, stems_of_song: Path, tmp_path: Path) -> Path:
    """Have two stems of song.wav in place."""
    shutil.copytree(stems_of_song, tmp_path / "separated")
    return tmp_path / "separated/song"


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("there", [True, False], ids=["mixture there", "mixture gone"])
def test_without_levels_the_mix_is_the_mixture(cli: Cli, sounds: Path, subtype: str, there: bool) -> None:
    samples = np.random.default_rng(3).uniform(-0.9, 0.9, (LENGTH, 2)) * np.pi / 3.2
    sf.write(cli.folder / "loop.wav", samples, RATE, subtype)
    before = real(cli.folder / "loop.wav")
    assert cli("split", "loop.wav", "-k", "3", "--fast", "-q").code == 0
    if not there:
        (cli.folder / "loop.wav").unlink()
    result = cli("mix", "separated", "-o", "mix.wav")
    assert (result.code, result.paths) == (0, ["mix.wav"])
    after = real(cli.folder / "mix.wav")
    assert sf.info(cli.folder / "mix.wav").subtype == subtype
    if there or subtype.startswith("PCM"):
        assert result.err == ""
        np.testing.assert_array_equal(after, before)
    else:
        assert "the mixture is not at hand, so its samples come out to rounding only" in result.err
        np.testing.assert_allclose(after, before, atol=2e-6)


def test_stems_in_another_format_than_the_mixture_still_give_the_mixture(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "2", "--fast", "-q", "--format", "mp3", "--clip-mode", "rescale").code == 0
    result = cli("mix", "separated", "-o", "mix.flac")
    assert (result.code, result.err) == (0, "")
    np.testing.assert_array_equal(whole(cli.folder / "mix.flac"), whole(song))


def test_levels_mutes_and_solos_do_what_they_say(cli: Cli, stems: Path) -> None:
    first, second = (real(stems / f"component-{n}.wav") for n in (1, 2))
    for args, expected in (
        (["component-1=-6"], 10 ** (-6 / 20) * first + second),
        (["1=-6", "2=+1.5"], 10 ** (-6 / 20) * first + 10 ** (1.5 / 20) * second),
        (["--mute", "component-1"], second),
        (["--mute", "1"], second),
        (["--solo", "1"], first),
        (["2=-3", "--solo", "2", "--gain", "-3"], 10 ** (-6 / 20) * second),
        (["--mute", "1", "--mute", "2"], 0 * first),
    ):
        assert cli("mix", stems, *args, "-f", "-o", "mix.wav").code == 0
        np.testing.assert_allclose(real(cli.folder / "mix.wav"), expected, atol=2**-15)
    np.testing.assert_array_equal(whole(cli.folder / "mix.wav"), 0)
    assert cli("mix", stems, "--solo", "2", "-f", "-o", "mix.wav").code == 0
    np.testing.assert_array_equal(whole(cli.folder / "mix.wav"), whole(stems / "component-2.wav"))


def test_what_was_not_written_stays_in_the_mix_and_not_in_a_solo(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "3", "--fast", "-q", "--only", "2").code == 0
    stem = whole(cli.folder / "separated/song/component-2.wav")
    assert cli("mix", "separated", "--mute", "component-2", "-o", "without.wav").code == 0
    np.testing.assert_array_equal(whole(cli.folder / "without.wav"), whole(song) - stem)
    assert cli("mix", "separated", "--solo", "component-2", "-o", "alone.wav").code == 0
    np.testing.assert_array_equal(whole(cli.folder / "alone.wav"), stem)
    song.unlink()
    result = cli("mix", "separated", "-o", "sum.wav")
    assert (result.code, "only some stems were written" in result.err) == (0, True)


def test_a_part_of_a_file_gives_that_part(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "2", "--fast", "-q", "--offset", "0.25", "--duration", "0.5").code == 0
    assert cli("mix", "separated", "-o", "part.wav").code == 0
    np.testing.assert_array_equal(whole(cli.folder / "part.wav"), whole(song)[2000:6000])


def test_an_edited_stem_is_heard_and_told(cli: Cli, stems: Path) -> None:
    edited = 0.5 * real(stems / "component-1.wav")
    sf.write(stems / "component-1.wav", edited, RATE, "PCM_16")
    result = cli("mix", stems, "-o", "mix.wav")
    assert result.code == 0
    assert "'component-1' has changed since it was written, so the stems are added up as they are" in result.err
    expected = real(stems / "component-1.wav") + real(stems / "component-2.wav")
    np.testing.assert_array_equal(real(cli.folder / "mix.wav"), expected)
    for samples, what in ((edited[:-1], "1 samples shorter"), (np.r_[edited, edited[:1]], "is longer than the others")):
        sf.write(stems / "component-1.wav", samples, RATE, "PCM_16")
        result = cli("mix", stems, "-f", "-o", "mix.wav")
        assert (result.code, what in result.err) == (1, True)


def test_what_is_clipped_is_told_and_the_hint_helps(cli: Cli, stems: Path) -> None:
    result = cli("mix", stems, "1=12", "-o", "loud.wav")
    assert result.code == 0
    assert "samples are beyond full scale and were clipped; --gain -" in result.err
    gain = result.err.partition("--gain ")[2].split()[0]
    result = cli("mix", stems, "1=12", "--gain", gain, "-o", "right.wav")
    assert (result.code, result.err) == (0, "")
    assert 0.95 < np.abs(real(cli.folder / "right.wav")).max() <= 1
    result = cli("mix", stems, "1=12", "--subtype", "FLOAT", "-o", "float.wav")
    assert (result.code, result.err) == (0, "")


def test_standard_output_gets_the_same_file(cli: Cli, stems: Path) -> None:
    assert cli("mix", stems, "1=-3", "-o", "mix.wav").code == 0
    assert cli("mix", stems, "1=-3", "-o", "-").out == (cli.folder / "mix.wav").read_bytes()


def test_json_says_what_was_mixed(cli: Cli, stems: Path) -> None:
    result = cli("mix", stems, "1=-3", "--mute", "2", "-o", "mix.wav", "--json")
    (line,) = result.out.splitlines()
    found = json.loads(line)
    assert (found["path"], found["status"], found["output"]) == (str(stems), "done", "mix.wav")
    assert found["stems"] == [{"name": "component-1", "gain": -3.0}, {"name": "component-2", "gain": None}]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "-o", "mix.wav"], "nowhere: no such file or directory"),
        ([".temp", "-o", "mix.wav"], ".temp: holds no manifest of nmfsep"),
        (["separated", "-o", "mix.xyz"], "has the extension '.xyz', of no format"),
        (["separated", "-o", "song.wav", "-f"], "song.wav: is an input and would be overwritten"),
        (["separated", "-o", "separated/song/component-1.wav", "-f"], "is an input and would be overwritten"),
        (["separated", "-o", "there.wav"], "there.wav: exists; use --force"),
        (["separated", "component-3=1", "-o", "mix.wav"], "'component-3' is no stem; did you mean 'component-"),
        (["separated", "--mute", "3", "-o", "mix.wav"], "--mute '3' is no stem"),
        (["separated", "component-1", "-o", "mix.wav"], "'component-1' is not NAME=DB; give such as kick=-3"),
        (["separated", "1=200", "-o", "mix.wav"], "1: 200 dB must be at least -120"),
        (["separated", "--mute", "1", "--solo", "component-1", "-o", "mix.wav"], "contradict each other"),
        (["separated", "--json", "-o", "-"], "-o - and --json both want standard output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_refused(cli: Cli, stems: Path, args: list[str], message: str) -> None:
    cli.temp.mkdir(exist_ok=True)
    (cli.folder / "there.wav").write_bytes(b"mine")
    result = cli("mix", *args)
    assert (result.code, result.out) == (2, b"")
    assert message in result.err
    assert (cli.folder / "there.wav").read_bytes() == b"mine"
    assert not (cli.folder / "mix.wav").exists()


def test_python_mixes_as_the_command_does(cli: Cli, stems: Path) -> None:
    assert cli("mix", stems, "1=-3", "-o", "one.wav").code == 0
    found = nmfsep.mix(stems, cli.folder / "two.wav", {"component-1": -3})
    assert (found.of_mixture, found.subtype, found.warnings) == (True, "PCM_16", ())
    assert (cli.folder / "one.wav").read_bytes() == (cli.folder / "two.wav").read_bytes()


def test_without_a_name_to_write_to_nothing_is_mixed(cli: Cli, stems: Path) -> None:
    result = cli("mix", "separated")
    assert (result.code, result.out) == (2, b"")
    assert "Missing option '-o'" in result.err
