"""split with several atoms a stem, with presets, and what it then tells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_harness import Cli, digests

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"


def manifest(cli: Cli, folder: str = "separated", track: str = "song") -> dict:
    return json.loads((cli.folder / folder / track / f"{track}.nmfsep.json").read_text())


@pytest.fixture
def song(cli: Cli) -> str:
    shutil.copy(SAMPLES / "song.wav", cli.folder)
    return "song.wav"


def test_stems_of_atoms_are_named_written_kept_and_rendered_as_any(cli: Cli, song: str) -> None:
    result = cli("split", song, "-k", "3", "--save-model", "--duration", "2.5", "-o", "a")
    assert result.code == 0
    assert result.paths == [f"a/song/component-{k}.wav" for k in (1, 2, 3)]
    about = manifest(cli, "a")
    assert about["choice"]["grouping"] == "timbre"
    assert about["choice"]["atoms"] == 12
    assert about["choice"]["r"] > 0.295 > 0.1 > about["choice"]["novelty"]
    for stem in about["stems"]:
        assert {"pitch", "centroid", "percussiveness", "pan", "level", "activity"} <= set(stem)
        assert stem["level"] < 0
        assert -1 <= stem["pan"] <= 1
    assert [round(sum(row), 2) for row in about["bleed"]] == [1, 1, 1]
    assert cli("check", "a").code == 0
    rendered = cli("render", "a/song/song.nmf.npz", song, "-o", "b")
    assert rendered.code == 0
    names = [f"component-{k}.wav" for k in (1, 2, 3)]
    assert digests(names, cli.folder / "a/song") == digests(names, cli.folder / "b/song")
    split = cli("split", song, "-k", "3", "--duration", "2.5", "--group", "band=1,3", "-o", "c")
    grouped = cli("render", "a/song/song.nmf.npz", song, "--group", "band=1,3", "-o", "d")
    assert split.code == grouped.code == 0
    names = ["band.wav", "component-2.wav"]
    assert digests(names, cli.folder / "c/song") == digests(names, cli.folder / "d/song")


def test_fast_is_one_atom_a_stem(cli: Cli, song: str) -> None:
    fast, one = (
        cli("split", song, "-k", "2", "--fast", "-o", "a"),
        cli("split", song, "-k", "2", "--atoms", "1", "-o", "b"),
    )
    assert fast.code == one.code == 0
    names = ["component-1.wav", "component-2.wav"]
    assert digests(names, cli.folder / "a/song") == digests(names, cli.folder / "b/song")
    assert manifest(cli, "a")["choice"] is None
    contradiction = cli("split", song, "-k", "2", "--fast", "--atoms", "4")
    assert (contradiction.code, "contradict" in contradiction.err) == (2, True)


def test_a_loop_is_looked_at_again_and_its_model_renders_the_same(cli: Cli) -> None:
    shutil.copy(SAMPLES / "drums.wav", cli.folder)
    result = cli("split", "drums.wav", "-k", "3", "--save-model", "--match", "off", "-v", "-o", "a")
    assert result.code == 0
    assert "4 atoms a stem, learned again 1 x from start " in result.err
    about = manifest(cli, "a", "drums")
    assert (about["choice"]["atoms"], about["choice"]["grouping"], about["choice"]["rounds"]) == (4, None, 1)
    assert [frames["n_fft"] for frames in about["frames"]] == [2048, 4096]
    assert cli("render", "a/drums/drums.nmf.npz", "drums.wav", "-o", "b").code == 0
    names = [f"component-{k}.wav" for k in (1, 2, 3)]
    assert digests(names, cli.folder / "a/drums") == digests(names, cli.folder / "b/drums")
    assert cli("split", "drums.wav", "-k", "3", "--best", "-o", "best").code == 0
    assert manifest(cli, "best", "drums")["choice"]["rounds"] == 2
    for more in (["--fast"], ["--atoms", "1"], ["--solver", "mu"]):
        refused = cli("split", "drums.wav", "-k", "3", "--best", *more)
        assert (refused.code, "--best" in refused.err) == (2, True)


def test_a_preset_names_its_stems_and_takes_no_number(cli: Cli) -> None:
    shutil.copy(SAMPLES / "drums.wav", cli.folder)
    result = cli("split", "drums.wav", "--preset", "drums")
    assert (result.code, result.err) == (0, "")
    assert result.paths == [f"separated/drums/{name}.wav" for name in ("kick", "snare", "hihat")]
    only = cli("split", "drums.wav", "--preset", "drums", "--only", "snare", "-o", "only")
    assert only.paths == ["only/drums/snare.wav"]
    for more, said in ((["-k", "3"], "says which stems"), (["--levels", "4,2"], "says which stems")):
        refused = cli("split", "drums.wav", "--preset", "drums", *more)
        assert (refused.code, said in refused.err) == (2, True)


def test_a_component_too_many_is_told_once_and_kept_in_the_manifest(cli: Cli, sounds: Path) -> None:
    shutil.copy(sounds / "square.wav", cli.folder)  # one spectrum
    result = cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--float32")
    assert manifest(cli, track="square")["hints"] == ["component-2 and component-3 are 0.96 alike: try -k 2"]
    assert result.err == "nmfsep: square.wav: hint: component-2 and component-3 are 0.96 alike: try -k 2\n"
    assert cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--float32", "-q").err == ""
    assert cli("split", "square.wav", "-k", "1").err == ""
