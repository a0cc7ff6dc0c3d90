"""check tells stems that are as they were written from those that are not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile as sf
from cli_harness import Cli

MANIFEST = "separated/song/song.nmfsep.json"


@pytest.fixture(autouse=True)
def stems(song: Path, stems_of_song: Path, tmp_path: Path) -> None:
    """Have stems in place."""
    shutil.copytree(stems_of_song, tmp_path / "separated")


@pytest.mark.parametrize("path", ["separated", "separated/song", MANIFEST, "."])
def test_good_stems_exit_0_and_the_sum_is_checked(cli: Cli, path: str) -> None:
    result = cli("check", path)
    assert (result.code, result.err) == (0, "")
    assert result.out.decode().endswith("song.nmfsep.json: hashes match; the stems add up to the input, error 0\n")


def _flip(stem: Path) -> None:
    content = bytearray(stem.read_bytes())
    content[len(content) // 2] ^= 1
    stem.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_flip, "has changed since it was written"),
        (lambda stem: stem.write_bytes(stem.read_bytes()[:-2]), "bytes, not"),
        (lambda stem: stem.write_bytes(stem.read_bytes() + b"\0"), "bytes, not"),
        (os.remove, "is missing"),
        (lambda stem: shutil.copy(stem.with_name("component-1.wav"), stem), "has changed"),
    ],
    ids=["a flipped bit", "cut", "grown", "missing", "another stem"],
)
def test_a_stem_that_differs_exits_4(cli: Cli, change: Callable[[Path], object], message: str) -> None:
    change(cli.folder / "separated/song/component-2.wav")
    result = cli("check", "separated")
    assert (result.code, result.out) == (4, b"")
    assert result.err.startswith(f"nmfsep: {MANIFEST}: stem 'component-2.wav' ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_stems_that_no_longer_add_up_exit_4(cli: Cli) -> None:
    # hashes made to fit, as after an edit that was covered up
    stem = cli.folder / "separated/song/component-2.wav"
    samples, rate = sf.read(stem, dtype="int16")
    samples[100] += 1
    sf.write(stem, samples, rate)
    manifest = json.loads((cli.folder / MANIFEST).read_text())
    from hashlib import sha256

    manifest["stems"][1]["sha256"] = sha256(stem.read_bytes()).hexdigest()
    (cli.folder / MANIFEST).write_text(json.dumps(manifest))
    result = cli("check", "separated")
    assert (result.code, result.out) == (4, b"")
    assert "the stems differ from the input by " in result.err


def test_one_bad_track_does_not_hide_the_others(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    assert cli("split", "other.wav", "-k", "2").code == 0
    _flip(cli.folder / "separated/other/component-1.wav")
    result = cli("check", "separated")
    assert result.code == 4
    assert "other.nmfsep.json" in result.err
    assert "song.nmfsep.json" in result.out.decode()


def test_json_tells_every_manifest(cli: Cli) -> None:
    good = cli("check", "separated", "--json").documents
    assert [(row["path"], row["status"], row["ok"]) for row in good] == [(MANIFEST, "done", True)]
    _flip(cli.folder / "separated/song/component-1.wav")
    result = cli("check", "separated", "--json")
    (row,) = result.documents
    assert (result.code, row["status"], row["ok"]) == (4, "failed", False)
    assert row["message"] in result.err


def test_quiet_prints_nothing_where_all_is_well(cli: Cli) -> None:
    result = cli("check", "separated", "-q")
    assert (result.code, result.out, result.err) == (0, b"", "")


def test_stems_moved_with_their_manifest_still_match(cli: Cli, song: Path) -> None:
    os.rename(cli.folder / "separated", cli.folder / "moved")
    assert b"add up" in cli("check", "moved").out
    song.unlink()
    result = cli("check", "moved")
    assert (result.code, result.err) == (0, "")
    assert b"hashes match; the input is not at hand" in result.out


def test_nothing_to_check_is_a_usage_error(cli: Cli) -> None:
    (cli.folder / "empty").mkdir()
    result = cli("check", "empty")
    assert (result.code, result.out) == (2, b"")
    assert "nothing to check" in result.err


@pytest.mark.parametrize("options", [["--flac"], ["--float32"], ["--only", "component-2"], ["--residual"]])
def test_what_split_has_just_written_passes(cli: Cli, options: list[str]) -> None:
    assert cli("split", "song.wav", "-k", "2", "-o", "new", *options).code == 0
    assert cli("check", "new").code == 0


def test_rescaled_stems_pass(cli: Cli, sounds: Path) -> None:
    assert (
        cli("split", sounds / "square.wav", "-k", "3", "--n-fft", "2048", "-o", "new", "--clip-mode", "rescale").code
        == 0
    )
    assert cli("check", "new").code == 0


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "stems": [{"file": 1}]}', "[" * 100000, "\udce9"],
    ids=range(8),
)
def test_a_file_that_is_no_manifest_is_an_error(cli: Cli, content: str) -> None:
    (cli.folder / MANIFEST).write_text(content, "utf-8", "surrogateescape")
    result = cli("check", "separated")
    assert (result.code, result.err) == (1, f"nmfsep: {MANIFEST}: is not a manifest of nmfsep\n")


def test_a_manifest_of_a_later_version_is_an_error(cli: Cli) -> None:
    manifest = json.loads((cli.folder / MANIFEST).read_text()) | {"schema": 999}
    (cli.folder / MANIFEST).write_text(json.dumps(manifest))
    result = cli("check", "separated")
    assert result.code == 1
    assert "has schema 999; this version knows up to 1; upgrade nmfsep" in result.err


@pytest.mark.parametrize("missing", ["input", "sum_tolerance", "gain", "bytes"])
def test_a_manifest_that_lacks_something_is_an_error(cli: Cli, missing: str) -> None:
    manifest = json.loads((cli.folder / MANIFEST).read_text())
    manifest.pop(missing, None)
    for stem in manifest["stems"]:
        stem.pop(missing, None)
    (cli.folder / MANIFEST).write_text(json.dumps(manifest))
    result = cli("check", "separated")
    assert result.code == 1
    assert "is not a manifest of nmfsep" in result.err


def test_a_name_that_is_missing_does_not_hide_the_others(cli: Cli) -> None:
    (cli.folder / "empty").mkdir()
    some, none = cli.many(("check", "none", "separated", "empty"), ("check", "none", "empty"))
    assert (some.code, len(some.paths)) == (1, 1)
    assert some.err.splitlines() == [
        "nmfsep: none: no such file or directory",
        "nmfsep: empty: holds no manifest of nmfsep, so there is nothing to check",
    ]
    assert (none.code, none.out, none.err.count("\n")) == (2, b"", 2)


def test_inspect_describes_what_it_can_of_a_folder(cli: Cli) -> None:
    shutil.copytree(cli.folder / "separated/song", cli.folder / "separated/other")
    manifest = cli.folder / "separated/other/song.nmfsep.json"
    manifest.write_text("{}")
    some, none = cli.many(("inspect", "separated"), ("inspect", "separated/other"))
    assert some.code == none.code == 1
    assert b"component-1" in some.out
    assert some.err == none.err == "nmfsep: separated/other/song.nmfsep.json: is not a manifest of nmfsep\n"
