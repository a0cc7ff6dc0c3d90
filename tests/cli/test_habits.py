"""What people type by habit is understood, or answered with what they should type."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_harness import Cli, digests

QUICK = ("--fast", "--max-iter", "5")


def test_nmfsep_alone_shows_its_help(cli: Cli) -> None:
    alone = cli()
    assert (alone.code, alone.err) == (0, "")
    assert alone.out == cli("--help").out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--format", "FLAC"], ["--format", "flac"]),
        (["--format", "WAV", "--subtype", "float"], ["--format", "wav", "--subtype", "FLOAT"]),
        (["--divergence", "KL"], ["--divergence", "kl"]),
        (["--divergence", "Itakura-Saito"], ["--divergence", "is"]),
        (["--mask", "Binary"], ["--mask", "binary"]),
        (["--solver", "AUTO"], ["--solver", "auto"]),
        (["--window", "Hann"], ["--window", "hann"]),
        (["--atoms", "Auto"], ["--atoms", "auto"]),
        (["--max-memory", "1.5G"], ["--max-memory", "1536M"]),
        (["--only", "2"], ["--only", "component-2"]),
        (["--two-stems", "1"], ["--two-stems", "component-1"]),
    ],
    ids=lambda args: " ".join(args),
)
def test_it_is_understood_as_it_is_meant(cli: Cli, song: Path, typed: list[str], meant: list[str]) -> None:
    found = []
    for args in (typed, meant):
        quick = QUICK if "--atoms" not in args else QUICK[1:]
        result = cli("split", "song.wav", "-k", "2", *quick, *args, "-f")
        assert (result.code, result.err) == (0, "")
        found.append((result.paths, digests(result.paths, cli.folder)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["split", "song.wav"], "give -k 4, -k auto, --preset, or a dictionary with -m"),
        (["split", "song.wav", "-k", "2", "--solver", "hals"], "use --divergence frobenius with it, or solver mu"),
        (["render", "song.wav"], "is a sound, not a model; make one first: nmfsep split FILE -k 4 --save-model"),
        (["split", "song.wav", "-k", "2", "--only", "3"], "--only '3' is no stem; "),
        (["split", "song.wav", "-k", "2", "--max-memory", "1.5X"], "give one such as 800M or 1.5G"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_answer_is_what_to_type(cli: Cli, song: Path, args: list[str], hint: str) -> None:
    result = cli(*args)
    assert (result.code, result.out) == (2, b"")
    assert hint in result.err


def test_a_model_whose_mixture_has_moved_asks_for_it(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "2", *QUICK, "--save-model").code == 0
    model = "separated/song/song.nmf.npz"
    shutil.move(song, cli.folder / "moved.wav")
    result = cli("render", model)
    assert (result.code, f"its mixture has moved; give the mixture: nmfsep render {model} MIXTURE" in result.err) == (
        2,
        True,
    )
    assert cli("render", model, "moved.wav", "-o", "again").code == 0


@pytest.mark.parametrize(
    "args",
    [["split", "song.wav", "-k", "2"], ["mix", "separated"], ["render", "song.nmf.npz", "song.wav"]],
    ids=" ".join,
)
def test_sound_is_not_written_to_a_terminal(cli: Cli, song: Path, args: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [*cli.command, *args, "-o", "-"]
        done = subprocess.run(
            command, cwd=cli.folder, env=cli.env(), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2
    assert b"-o - would write sound to the terminal; send it on: ... -o - > out.wav" in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["split", "song.wav", "stereo.wav", "-k", "2", *QUICK],
        ["split", "song.wav", "stereo.wav", "-k", "2", "-n"],
        ["check", "separated"],
        ["inspect", "separated"],
        ["inspect", "song.wav", "-k", "2"],
        ["rank", "song.wav", "--highest", "2"],
        ["evaluate", "separated/song", "separated/song"],
        ["mix", "separated", "-o", "mix.wav"],
        ["rerun", "separated/song/song.nmfsep.json", "--check"],
        ["learn", "song=song.wav", "-o", "song.npz"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_json_has_one_shape(cli: Cli, song: Path, sounds: Path, stems_of_song: Path, args: list[str]) -> None:
    shutil.copy(sounds / "stereo.wav", cli.folder)
    shutil.copytree(stems_of_song, cli.folder / "separated")
    result = cli(*args, "--json")
    assert result.code == 0
    found = result.documents  # which looks at the shape
    assert len(found) == (2 if "stereo.wav" in args else 1)
    assert {document["status"] for document in found} <= {"done", "planned"}


@pytest.mark.parametrize("command", [["inspect", "-k", "2"], ["rank"], ["split", "-k", "2"]], ids=" ".join)
def test_json_says_which_input_failed(cli: Cli, broken: Path, command: list[str]) -> None:
    result = cli(*command, "broken.wav", "--json")
    (found,) = result.documents
    assert (result.code, found["path"], found["status"]) == (1, "broken.wav", "failed")
    assert found["errors"][0]["message"] in result.err
    assert json.loads(result.out) == found
