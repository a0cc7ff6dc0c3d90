"""rerun makes the same bytes from a manifest, whatever the options were, and says what differs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from cli_harness import Cli, digests, files

import nmfsep
from nmfsep.results.rerun import spelled

MANIFEST = "separated/song/song.nmfsep.json"


def changed(cli: Cli, **entries: Any) -> None:
    """Write other entries into the manifest."""
    path = cli.folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


@pytest.mark.parametrize(
    "args",
    [
        ["-k", "2"],
        ["-k", "3", "--fast", "--seed", "7", "--mask", "wiener"],
        ["-k", "3", "--fast", "--group", "ab=1,2", "--save-model", "--export-labels"],
        ["-k", "3", "--fast", "--only", "2", "--filename", "{index}/{track}-{stem}.{ext}"],
        ["-k", "2", "--fast", "--filename", "{index}/{track}.{ext}", "--flac", "--residual=left"],
        ["-k", "2", "--max-iter", "200", "--offset", "0.1", "--duration", "0.5", "--int24", "--stem-names", "auto"],
        ["-k", "3", "--fast", "--two-stems", "1", "--clip-mode", "rescale"],
        ["--preset", "noise"],
        ["--learn", "high=0.5-0.7", "--background", "4", "--adapt", "0.2"],
        ["--model", "deep", "--levels", "6,2", "--max-iter", "20"],
    ],
    ids=" ".join,
)
def test_the_same_options_make_the_same_bytes(cli: Cli, song: Path, args: list[str]) -> None:
    assert cli("split", "song.wav", *args, "-q").code == 0
    names = files(cli.folder / "separated")
    before = digests(names, cli.folder / "separated")
    (manifest,) = (cli.folder / "separated").rglob("*.nmfsep.json")
    result = cli("rerun", manifest, "--check", cwd=cli.temp)  # wherever it is run
    assert (result.code, "same bytes" in result.out.decode()) == (0, True), result.err
    assert digests(names, cli.folder / "separated") == before
    assert cli("rerun", manifest, "-q").code == 0
    after = digests(names, cli.folder / "separated")
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 1  # the manifest, which has times
    line = cli("rerun", manifest, "--check").err.splitlines()[0].removeprefix("nmfsep: again: ")
    assert cli(*shlex.split(line)[1:], "-o", "other", "-q").code == 0
    (other,) = (cli.folder / "other").rglob("*.nmfsep.json")
    first, second = (json.loads(path.read_text()) for path in (manifest, other))
    assert [stem["sha256"] for stem in first["stems"]] == [stem["sha256"] for stem in second["stems"]]


def test_a_dictionary_is_used_again_and_one_that_changed_is_told(cli: Cli, workshop: Path) -> None:
    assert cli("split", "beat.wav", "-m", "kit.npz", "-q").code == 0
    manifest = "separated/beat/beat.nmfsep.json"
    assert cli("rerun", manifest, "--check").code == 0
    assert cli("learn", "kick=kick.wav", "snare=snares", "-k", "2", "-o", "kit.npz").code == 0
    result = cli("rerun", manifest, "--check")
    assert (result.code, "kit.npz: has changed since, and it was used" in result.err) == (4, True)


def test_a_rendering_is_rendered_again(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "3", "--fast", "-q", "--save-model", "--group", "a=1,2").code == 0
    args = ["separated/song/song.nmf.npz", "--no-group", "--mask", "binary"]
    assert cli("render", *args, "-o", "other").code == 0
    result = cli("rerun", "other/song/song.nmfsep.json", "--check")
    assert (result.code, "3 stems, same bytes" in result.out.decode()) == (0, True)
    assert "--mask binary" in result.err
    assert "--no-group" in result.err


def test_python_s_stems_are_made_again(cli: Cli, song: Path) -> None:
    nmfsep.separate(song, 3, atoms=1, max_iter=30).write(cli.folder / "separated")
    assert cli("rerun", MANIFEST, "--check").code == 0
    found = nmfsep.rerun(cli.folder / MANIFEST, check=True)
    assert (found.differences, found.versions) == ({}, {})


def test_other_bytes_and_other_versions_are_told(cli: Cli, song: Path, stems_of_song: Path) -> None:
    shutil.copytree(stems_of_song, cli.folder / "separated")
    stem = cli.folder / "separated/song/component-2.wav"
    manifest = json.loads((cli.folder / MANIFEST).read_text())
    data = bytearray(stem.read_bytes())
    data[1000] ^= 1
    data[1003] ^= 1
    stem.write_bytes(data)
    (manifest["stems"][1]["sha256"],) = digests(["separated/song/component-2.wav"], cli.folder)
    changed(cli, stems=manifest["stems"], versions=manifest["versions"] | {"numpy": "1.0"})
    result = cli("rerun", MANIFEST, "--check")
    assert (result.code, result.out.decode()) == (4, f"{MANIFEST}: differs\n")
    assert "component-2.wav: differs in 2 bytes, the first at 1000\n" in result.err
    assert f"numpy was 1.0, now {np.__version__}\n" in result.err
    result = cli("rerun", MANIFEST, "--json", "-q")
    assert (result.code, result.err) == (0, "nmfsep: component-2.wav: has other bytes than before\n")
    found = json.loads(result.out)
    assert (found["same"], found["versions"]) == (False, {"numpy": {"was": "1.0", "now": np.__version__}})
    assert found["command"][:3] == ["nmfsep", "split", "song.wav"]
    assert cli("rerun", MANIFEST, "--check").code == 0


def test_a_folder_that_moved_with_its_sound_is_no_matter(cli: Cli, song: Path, stems_of_song: Path) -> None:
    place = cli.folder / "else/where"
    place.mkdir(parents=True)
    shutil.move(song, place)
    shutil.copytree(stems_of_song, place / "separated")
    assert cli("rerun", place / MANIFEST, "--check").code == 0


def _other_sound(cli: Cli) -> None:
    sf.write(cli.folder / "song.wav", np.zeros(6000), 8000, "PCM_16")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda cli: os.remove(cli.folder / "song.wav"), 1, "its sound, 'song.wav', is gone"),
        (_other_sound, 1, "song.wav: is not the sound that was separated"),
        (lambda cli: changed(cli, asked=None), 2, "does not say which options made it"),
        (lambda cli: os.remove(cli.folder / MANIFEST), 2, "no such file or directory"),
        (lambda cli: (cli.folder / MANIFEST).write_text("{}"), 1, "is not a manifest of nmfsep"),
    ],
    ids=["no sound", "another sound", "no options", "no manifest", "no manifest in it"],
)
def test_what_cannot_be_done_again_is_refused(
    cli: Cli, song: Path, stems_of_song: Path, change: Any, code: int, message: str
) -> None:
    shutil.copytree(stems_of_song, cli.folder / "separated")
    change(cli)
    result = cli("rerun", MANIFEST)
    assert (result.code, result.out) == (code, b"")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"settings": {"components": 4, "best": True, "tol": 1e-05}}, ["-k", "4", "--best", "--tol", "1e-05"]),
        ({"settings": {"levels": [12, 4], "residual": "rest"}}, ["--levels", "12,4", "--residual=rest"]),
        ({"output": {"only": ["a", "b"], "label": "auto"}}, ["--stem-names", "auto", "--only", "a", "--only", "b"]),
        ({"cues": {"midi": ["a=x.mid", "b=y.mid"]}}, ["--midi", "a=x.mid", "--midi", "b=y.mid"]),
        ({"max_memory": 1000}, ["--max-memory", "1000"]),
    ],
    ids=str,
)
def test_options_are_spelled_as_they_are_typed(asked: dict[str, Any], words: Sequence[str]) -> None:
    assert spelled({"settings": {}, "output": {}, "cues": {}, "max_memory": None} | asked) == words


@pytest.mark.parametrize(
    "entry", [{"asked": {"cues": {}}}, {"asked": {"settings": 1}}, {"guidance": 1}, {"warnings": 3}, {"versions": []}]
)
def test_a_manifest_with_broken_fields_is_none(cli: Cli, song: Path, entry: dict[str, Any]) -> None:
    assert cli("split", "song.wav", "-k", "2", "--fast", "-q").code == 0
    changed(cli, **entry)
    for command in (["rerun", MANIFEST, "--check"], ["report", "separated"]):
        result = cli(*command)
        assert result.code == 1
        assert "is not a manifest of nmfsep" in result.err


def test_the_folder_of_a_manifest_will_do(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "2", "--fast", "-q").code == 0
    result = cli("rerun", "separated/song", "--check")
    assert (result.code, "same bytes" in result.out.decode()) == (0, True)
    assert cli("rerun", cli.temp, "--check").code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_the_command_is_in_one_line_whatever_the_name(cli: Cli, song: Path) -> None:
    song.rename(cli.folder / "a\nb.wav")
    assert cli("split", "a\nb.wav", "-k", "2", "--fast", "-q", "-o", "out").code == 0
    lines = cli("rerun", "out", "--check").err.splitlines()
    assert lines == ["nmfsep: again: nmfsep split $'a\\x0ab.wav' -k 2 --atoms 1"]
