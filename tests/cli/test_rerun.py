"""A rerun replaces what nmfsep wrote, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from cli_harness import Cli, assert_add_up, digests, files

SPLIT = ("split", "song.wav", "-k", "2")
MANIFEST = "separated/song/song.nmfsep.json"


@pytest.fixture(autouse=True)
def first_run(song: Path, stems_of_song: Path, tmp_path: Path) -> None:
    """Have the stems of a run in place."""
    shutil.copytree(stems_of_song, tmp_path / "separated")


def test_own_files_are_replaced_without_a_word(cli: Cli, song: Path) -> None:
    before = digests(files(cli.folder / "separated")[:2], cli.folder / "separated")
    result = cli(*SPLIT, "--sparsity", "0.5")
    assert (result.code, result.err) == (0, "")
    assert digests(result.paths, cli.folder) != before
    assert_add_up([cli.folder / path for path in result.paths], song)
    assert cli("check", "separated").code == 0


@pytest.mark.parametrize("change", ["edited", "truncated", "replaced by a link"])
def test_an_own_file_that_was_changed_since_is_refused_without_force(cli: Cli, change: str) -> None:
    stem = cli.folder / "separated/song/component-2.wav"
    content = stem.read_bytes()
    if change == "replaced by a link":
        shutil.move(stem, cli.folder / "copy.wav")
        stem.symlink_to(cli.folder / "copy.wav")
    else:
        stem.write_bytes(content[:-1] + b"\x55" if change == "edited" else content[:-2])
    before = digests(files(cli.folder), cli.folder)
    result = cli(*SPLIT)
    assert (result.code, result.out) == (2, b"")
    assert "component-2.wav: exists and was not written by nmfsep, or was changed since" in result.err
    assert digests(files(cli.folder), cli.folder) == before


def test_force_replaces_a_file_that_was_changed_since(cli: Cli) -> None:
    (cli.folder / "separated/song/component-2.wav").write_text("edited")
    assert cli(*SPLIT, "--force").code == 0
    assert cli("check", "separated").code == 0


def test_a_smaller_k_removes_the_stems_that_no_longer_exist(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "4").code == 0
    assert len(files(cli.folder / "separated")) == 5
    result = cli(*SPLIT)
    assert files(cli.folder / "separated") == ["song/component-1.wav", "song/component-2.wav", "song/song.nmfsep.json"]
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_a_stale_stem_that_was_changed_since_is_left_alone(cli: Cli) -> None:
    assert cli("split", "song.wav", "-k", "3").code == 0
    (cli.folder / "separated/song/component-3.wav").write_text("edited")
    assert cli(*SPLIT).code == 0
    assert (cli.folder / "separated/song/component-3.wav").read_text() == "edited"


def test_another_track_of_the_folder_is_left_alone(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    flat = ("-k", "3", "-o", "flat", "--filename", "{track}-{index}.{ext}")
    assert cli("split", "song.wav", "other.wav", *flat).code == 0
    result = cli("split", "song.wav", "-k", "2", *flat[2:])
    assert result.code == 0
    assert [name for name in files(cli.folder / "flat") if name.startswith("other")] == [
        "other-1.wav", "other-2.wav", "other-3.wav", "other.nmfsep.json",
    ]  # fmt: skip
    assert cli("check", "flat").code == 0


def test_a_failed_rerun_leaves_the_stems_of_the_run_before(cli: Cli) -> None:
    before = digests(files(cli.folder), cli.folder)
    result = cli.shell("ulimit -f 1; exec nmfsep split song.wav -k 2")
    assert result.code == 3
    assert digests(files(cli.folder), cli.folder) == before
    assert cli("check", "separated").code == 0


def test_a_manifest_that_nmfsep_did_not_write_is_refused_without_force(cli: Cli, song: Path) -> None:
    (cli.folder / "new/song").mkdir(parents=True)
    (cli.folder / "new/song/song.nmfsep.json").write_text("my notes")
    assert cli(*SPLIT, "-o", "new").code == 2
    assert (cli.folder / "new/song/song.nmfsep.json").read_text() == "my notes"


def test_a_folder_in_place_of_the_manifest_is_found_before_work(cli: Cli, song: Path) -> None:
    (cli.folder / "new/song/song.nmfsep.json").mkdir(parents=True)
    assert cli(*SPLIT, "-o", "new").code == 2


@pytest.mark.parametrize("absolute", [False, True])
def test_a_manifest_cannot_make_a_rerun_remove_files_outside(cli: Cli, absolute: bool) -> None:
    precious = cli.folder / "precious.txt"
    precious.write_bytes(b"precious")
    manifest = json.loads((cli.folder / MANIFEST).read_text())
    name = str(precious) if absolute else "../../precious.txt"
    digest = hashlib.sha256(b"precious").hexdigest()
    manifest["stems"].append({"name": "x", "file": name, "bytes": 8, "sha256": digest})
    (cli.folder / MANIFEST).write_text(json.dumps(manifest))
    assert cli(*SPLIT).code == 0  # the manifest is ours but for that entry
    assert precious.read_bytes() == b"precious"
    assert cli("check", "separated").code == 0


def test_an_input_that_is_a_stem_of_an_earlier_run_is_not_removed(cli: Cli, song: Path) -> None:
    os.rename(song, cli.folder / "3.wav")
    names = ("-o", "out", "--filename", "{track}/{index}.{ext}")
    assert cli("split", "3.wav", "-k", "3", *names).code == 0
    before = digests(files(cli.folder / "out"), cli.folder / "out")
    result = cli("split", "out/3/3.wav", "-k", "2", *names)
    assert (result.code, result.out) == (2, b"")
    assert "out/3/3.wav: " in result.err
    assert digests(files(cli.folder / "out"), cli.folder / "out") == before
