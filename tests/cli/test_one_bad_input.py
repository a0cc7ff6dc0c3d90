"""One bad input of many fails alone, by name; the others are done, and the exit code is 1."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli, files

QUICK = ("--max-iter", "5", "--fast")


def write_bad(folder: Path, kind: str) -> str:
    """Make an input that one thing is wrong with; return its name."""
    name = f"bad/{kind}.wav"
    (folder / "bad").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    if kind == "silent":
        sf.write(folder / name, np.zeros(6000), RATE)
    elif kind == "short":
        sf.write(folder / name, noise[:200], RATE)
    elif kind == "fast":
        sf.write(folder / name, noise, 96000)
    elif kind == "wide":
        sf.write(folder / name, np.tile(noise[:, None], 16), RATE)
    elif kind == "folder":
        (folder / name).mkdir()
    elif kind == "device":
        return os.devnull
    elif kind == "taken":
        sf.write(folder / name, noise, RATE)
        (folder / "separated/taken").mkdir(parents=True)
        (folder / "separated/taken/component-1.wav").write_text("mine")
    elif kind == "empty":
        (folder / name).touch()
    elif kind != "missing":
        sf.write(folder / name, noise, RATE)
    return name


BAD = [
    ("silent", ["-k", "auto"], "is silent"),
    ("short", ["-k", "auto"], "frames, too few"),
    ("fast", ["-k", "2", "--format", "mp3"], "mp3 cannot hold a sample rate of 96000 Hz"),
    ("wide", ["-k", "2", "--flac"], "flac holds at most 8 channels, not 16"),
    ("brief", ["--learn", "low=0-0.6", "--learn", "high=0.4-0.7"], "there is no 0 s to 0.6 s"),
    ("missing", ["-k", "2"], "no such file or directory"),
    ("folder", ["-k", "2"], "is a folder"),
    ("device", ["-k", "2"], "is a device, not a file"),
    ("taken", ["-k", "2"], "exists and was not written by nmfsep"),
    ("empty", ["-k", "2"], "is empty"),
]


@pytest.mark.parametrize(("kind", "options", "says"), BAD, ids=[kind for kind, *_ in BAD])
def test_it_fails_alone_whatever_is_wrong_with_it(
    cli: Cli, song: Path, kind: str, options: list[str], says: str
) -> None:
    bad = write_bad(cli.folder, kind)
    os.symlink("song.wav", cli.folder / "last.wav")
    args = ("split", "song.wav", bad, "last.wav", *options, *(QUICK if "--learn" not in options else ()))
    before = files(cli.folder)
    (done,) = cli.many((*args, "--json"))
    assert done.code == 1
    assert [track["input"]["path"] for track in done.joined("tracks")] == ["song.wav", "last.wav"]
    (error,) = done.joined("errors")
    assert (error["exit"], says in error["message"]) == (1, True)
    assert error["message"] in done.err
    assert "2 of 3 inputs done, 1 failed" in done.err
    assert not [name for name in files(cli.folder) if Path(bad).stem in name and name not in before]


def test_it_fails_alone_among_processes_and_in_a_dry_run(cli: Cli, song: Path) -> None:
    os.symlink("song.wav", cli.folder / "last.wav")
    args = ("split", "song.wav", write_bad(cli.folder, "wide"), "missing.wav", "last.wav", "-k", "2", "--flac", *QUICK)
    look, done = cli.many((*args, "-n"), (*args, "-j", "2"))
    for result in (look, done):
        assert result.code == 1
        assert "flac holds at most 8 channels, not 16" in result.err
        assert "no such file" in result.err
        assert {path.split("/")[1] for path in result.paths} == {"song", "last"}
    assert "2 of 4 inputs done, 2 failed" in done.err


def test_a_name_that_no_makefile_can_hold_fails_alone(cli: Cli, song: Path) -> None:
    os.symlink("song.wav", cli.folder / "line\nbreak.wav")
    result = cli("split", "line\nbreak.wav", "song.wav", "-k", "2", *QUICK, "--depfile", "rules")
    assert (result.code, len(result.paths)) == (1, 2)
    assert "has a line break in its name" in result.err
    assert (cli.folder / "rules").read_text().endswith("separated/song/song.nmfsep.json: song.wav\n")


def test_fail_fast_does_nothing_where_it_is_known_before_that_one_fails(cli: Cli, song: Path) -> None:
    args = ("split", "song.wav", "missing.wav", "-k", "2", "--fail-fast")
    for result in cli.many(args, (*args, "-j", "2")):
        assert (result.code, result.out) == (1, b"")
        assert "0 of 2 inputs done, 1 failed, 1 not begun" in result.err
        assert files(cli.folder) == ["song.wav"]


def test_a_name_in_a_list_or_a_folder_without_sound_fails_alone(cli: Cli, song: Path) -> None:
    (cli.folder / "empty").mkdir()
    (cli.folder / "list").write_text("gone.wav\nsong.wav\nempty\n")
    result = cli("split", "--files-from", "list", "-r", "-k", "2", *QUICK)
    assert (result.code, len(result.paths)) == (1, 2)
    failures = result.err.splitlines()
    assert failures[0] == "nmfsep: gone.wav: no such file or directory; check the name"
    assert failures[1].startswith("nmfsep: empty: holds no sound files")
    assert failures[2] == "nmfsep: 1 of 3 inputs done, 2 failed"


def test_what_all_inputs_cannot_do_is_wrong_with_the_command(cli: Cli, song: Path) -> None:
    os.symlink("song.wav", cli.folder / "last.wav")
    result = cli("split", "song.wav", "last.wav", "-k", "2", "--format", "ogg", "--subtype", "PCM_16")
    assert (result.code, result.out) == (2, b"")
    assert files(cli.folder) == ["last.wav", "song.wav"]
