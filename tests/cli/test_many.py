"""Many inputs: folders, lists, several processes, resuming, makefiles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_harness import Cli, digests, files

QUICK = ("-k", "2", "--max-iter", "5", "--n-fft", "512")


@pytest.fixture
def album(cli: Cli, song: Path, broken: Path) -> list[str]:
    """Return the sounds of a folder of songs, two of one name, one broken; beside them what is none."""
    for name in ("album/a.wav", "album/b.wav", "album/live/a.wav", "album/live/more/c.WAV"):
        (cli.folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(song, cli.folder / name)
    shutil.copy(broken, cli.folder / "album/broken.wav")
    (cli.folder / "album/cover.jpg").write_text("no sound")
    (cli.folder / "album/.hidden.wav").write_text("no sound")
    return ["a", "b", "live/a", "live/more/c"]


def by_path(out: list[str]) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in out]
    assert len({entry["path"] for entry in found}) == len(found)
    return {entry["path"]: entry for entry in found}


def test_a_folder_gives_the_same_files_and_the_same_news_for_any_number_of_processes(
    cli: Cli, album: list[str]
) -> None:
    seen = []
    for jobs in ("1", "2", "auto"):
        result = cli("split", "-r", "album", *QUICK, "-j", jobs, "-o", f"out{jobs}", "--json")
        assert result.code == 1
        first, failure, summary = sorted(result.err.splitlines(), key=lambda line: "broken" in line or "done" in line)
        assert first == "nmfsep: album: 5 sound files, 1 other files left out"
        assert "album/broken.wav: " in failure
        assert summary == "nmfsep: 4 of 5 inputs done, 1 failed"
        news = by_path(result.paths)
        assert {path: entry["status"] for path, entry in news.items()} == {
            "album/a.wav": "done", "album/b.wav": "done", "album/broken.wav": "failed", "album/live/a.wav": "done",
            "album/live/more/c.WAV": "done",
        }  # fmt: skip
        stems = files(cli.folder / f"out{jobs}")
        assert len(stems) == 3 * 4
        assert {name.rsplit("/", 1)[0] for name in stems} == set(album)
        sounds = [name for name in stems if name.endswith(".wav")]
        seen.append(digests(sounds, cli.folder / f"out{jobs}"))
        assert cli("check", f"out{jobs}").code == 0
    assert seen[0] == seen[1] == seen[2]


def test_a_folder_is_taken_only_when_that_is_said(cli: Cli, album: list[str]) -> None:
    result = cli("split", "album", *QUICK)
    assert (result.code, result.out) == (2, b"")
    assert "album: is a folder" in result.err
    assert "-r" in result.err


def test_a_folder_without_sound_is_told(cli: Cli) -> None:
    (cli.folder / "empty").mkdir()
    result = cli("split", "-r", "empty", *QUICK)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "holds no sound files" in result.err


def test_stems_within_the_folder_are_no_inputs_of_the_next_run(cli: Cli, album: list[str]) -> None:
    os.unlink(cli.folder / "album/broken.wav")
    assert cli("split", "-r", "album", *QUICK, "-o", "album").code == 0
    result = cli("split", "-r", "album", *QUICK, "-o", "album")
    assert result.code == 0
    assert "4 sound files, 1 other files and 8 that nmfsep wrote left out" in result.err


@pytest.mark.parametrize("null", [False, True])
def test_names_come_from_a_list(cli: Cli, song: Path, null: bool) -> None:
    names = [b"two words.wav", b"caf\xe9.wav", *([b"a\nb.wav"] if null else [])]
    for name in names:
        shutil.copy(song, os.fsencode(cli.folder) + b"/" + name)
    (cli.folder / "list").write_bytes((b"\0" if null else b"\n").join([*names, b""]))
    options = ["--files-from", "list", *(["-0"] if null else [])]
    result = cli("split", *QUICK, *options)
    assert (result.code, result.err) == (0, "")
    assert len(files(cli.folder / "separated")) == 3 * len(names)
    find = cli.shell(f"cat list | nmfsep split {' '.join(QUICK)} -o again --files-from - {'-0' if null else ''}")
    assert (find.code, find.err) == (0, "")
    assert len(files(cli.folder / "again")) == 3 * len(names)


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["song.wav", "-0"], "--files-from"),
        (["--files-from", "missing"], "missing: no such file"),
        (["--files-from", "empty"], "empty: names no input"),
        (["-", "--files-from", "-"], "only once"),
        (["song.wav", "-j", "two"], "not a whole number"),
        (["song.wav", "--print-outputs"], "--dry-run"),
        (["song.wav", "--depfile", "x.d", "-n"], "--dry-run"),
        (["song.wav", "--depfile", "song.wav"], "is an input or output"),
        (["song.wav", "--depfile", "separated/song/component-1.wav"], "is an input or output"),
        (["song.wav", "-o", "-", "--skip-existing"], "-o -"),
    ],
)
def test_what_makes_no_sense_is_refused_before_work(cli: Cli, song: Path, options: list[str], fragment: str) -> None:
    (cli.folder / "empty").touch()
    result = cli("split", *QUICK, *options)
    assert (result.code, result.out, result.err.count("\n")) == (2, b"", 1)
    assert fragment in result.err
    assert files(cli.folder) == ["empty", "song.wav"]


def test_learn_takes_names_from_a_list(workshop: Path, cli: Cli) -> None:
    (cli.folder / "list").write_text("kick=kick.wav\nsnare=snares\n")
    result = cli("learn", "-k", "kick=3,snare=8", "--files-from", "list", "-o", "other.npz")
    assert (result.code, result.err) == (0, "")
    assert (cli.folder / "other.npz").read_bytes() == (cli.folder / "kit.npz").read_bytes()


@pytest.mark.long
def test_what_is_done_is_skipped_and_what_changed_is_done_anew(cli: Cli, album: list[str], sounds: Path) -> None:
    os.unlink(cli.folder / "album/broken.wav")
    first = cli("split", "-r", "album", *QUICK, "-j", "2", "--json")
    assert first.code == 0
    before = {name: (cli.folder / "separated" / name).stat().st_mtime_ns for name in files(cli.folder / "separated")}
    shutil.copy(sounds / "stereo.wav", cli.folder / "album/a.wav")  # another input
    (cli.folder / "separated/b/component-2.wav").unlink()  # a stem is gone
    result = cli("split", "-r", "album", *QUICK, "-j", "2", "--json", "--skip-existing", "--threads", "1")
    assert result.code == 0
    assert "2 of 4 inputs done, 2 skipped, done before" in result.err
    news = by_path(result.paths)
    assert {path: entry["status"] for path, entry in news.items()} == {
        "album/a.wav": "done", "album/b.wav": "done", "album/live/a.wav": "skipped", "album/live/more/c.WAV": "skipped",
    }  # fmt: skip
    assert news["album/live/a.wav"]["tracks"] == by_path(first.paths)["album/live/a.wav"]["tracks"]
    after = {name: (cli.folder / "separated" / name).stat().st_mtime_ns for name in files(cli.folder / "separated")}
    assert {name for name in after if after[name] == before[name]} == {n for n in after if n.startswith("live/")}
    assert cli("check", "separated").code == 0


@pytest.mark.parametrize("change", [["--seed", "1"], ["--flac"], ["--clip-mode", "error"], ["--duration", "0.5"]])
def test_other_options_are_a_reason_to_do_it_anew(cli: Cli, song: Path, change: list[str]) -> None:
    plain, other = cli.many(("split", "song.wav", *QUICK), ("split", "song.wav", *QUICK, *change, "--skip-existing"))
    assert (plain.code, other.code, other.err) == (0, 0, "")
    (again,) = cli.many(("split", "song.wav", *QUICK, *change, "--skip-existing"))
    assert again.err == "nmfsep: 0 of 1 inputs done, 1 skipped, done before\n"
    assert again.paths == other.paths


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_knows_from_the_depfile_what_to_do_anew(cli: Cli, song: Path) -> None:
    name = "a b$c#1.wav"
    os.rename(song, cli.folder / name)
    assert cli("split", name, *QUICK, "--depfile", "deps.d").code == 0
    (cli.folder / "Makefile").write_text("all: separated/a\\ b$$c\\#1/component-1.wav\ninclude deps.d\n")
    assert subprocess.run(["make", "-q"], cwd=cli.folder, check=False).returncode == 0
    os.utime(cli.folder / name, (2e9, 2e9))
    assert subprocess.run(["make", "-nd"], cwd=cli.folder, check=False, capture_output=True).stdout.count(b"is newer")


def test_outputs_can_be_listed_for_make_without_a_look_at_the_inputs(cli: Cli, song: Path, broken: Path) -> None:
    args = ("split", "song.wav", "broken.wav", *QUICK, "--save-model")
    result = cli(*args, "-n", "--print-outputs")
    assert (result.code, result.err) == (0, "")
    assert files(cli.folder) == ["broken.wav", "song.wav"]
    cli(*args)
    written = [f"separated/{name}" for name in files(cli.folder / "separated")]
    assert sorted(path for path in result.paths if "song" in path) == written
    assert len(result.paths) == 2 * len(written)


def test_standard_input_is_one_of_many(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    result = cli("split", "-", "song.wav", "other.wav", "-j", "2", *QUICK, stdin=song.read_bytes())
    assert (result.code, result.err) == (0, "")
    assert {path.split("/")[1] for path in result.paths} == {"stdin", "song", "other"}


def test_a_large_file_waits_where_two_would_not_fit(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    result = cli("split", "song.wav", "other.wav", "-j", "2", *QUICK, "--max-memory", "60M")
    assert (result.code, result.err) == (0, "")
    assert len(result.paths) == 4
