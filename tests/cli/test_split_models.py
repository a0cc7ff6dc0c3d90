"""split by any model, and at any level of a deep one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile as sf
from cli_harness import Cli, assert_add_up, files, whole

from nmfsep.models.by_name import has_levels
from nmfsep.registry import MODELS


@pytest.mark.parametrize("model", MODELS)
def test_every_model_writes_stems_that_add_up(cli: Cli, song: Path, model: str) -> None:
    parts = ["--levels", "6,3"] if has_levels(model) else ["-k", "3"]
    result = cli("split", "song.wav", "--model", model, *parts, "--max-iter", "20", "-q", "--json")
    assert (result.code, result.err) == (0, "")
    (manifest,) = json.loads(result.out)["tracks"]
    assert (manifest["settings"]["model"], manifest["sum_error"]) == (model, 0)
    assert_add_up([cli.folder / "separated/song" / stem["file"] for stem in manifest["stems"]], song)
    assert cli("check", "separated").code == 0


def test_the_stems_of_each_level_are_sums_of_those_below_as_the_manifest_says(cli: Cli, song: Path) -> None:
    samples, rate = sf.read(song)
    sf.write(song, samples, rate, "PCM_16")
    trees, stems = [], []
    for level in ("1", "2"):
        args = ("--model", "deep", "--levels", "5,2", "--level", level, "-o", level, "--int24", "-q")
        result = cli("split", "song.wav", *args)
        assert (result.code, result.err) == (0, "")
        stems.append([whole(cli.folder / path) for path in result.paths])
        manifest = json.loads((cli.folder / level / "song/song.nmfsep.json").read_text())
        (fit,) = manifest["fit"]
        assert (fit["levels"], manifest["settings"]["level"]) == ([5, 2], int(level))
        trees.append(fit["tree"])
    assert [len(level) for level in stems] == [5, 2]
    assert trees[0] == trees[1]
    (parents,) = trees[0]
    for part, stem in enumerate(stems[1], 1):
        below = sum(finer for finer, parent in zip(stems[0], parents, strict=True) if parent == part)
        assert abs(below - stem).max() <= 1 << 12  # of 2³¹: rounding, and what is left of it, which the loudest takes


def test_a_number_of_components_from_a_variable_is_not_meant_for_levels(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "--model", "deep", "--levels", "4,2", "-q", env={"NMFSEP_COMPONENTS": "7"})
    assert (result.code, len(result.paths)) == (0, 2)


BAD = [
    (["--model", "deep"], "model 'deep' needs --levels"),
    (["--model", "deep", "-k", "2", "--levels", "4,2"], "model 'deep' takes --levels in the place of -k"),
    (["--model", "deep", "--levels", "4,4"], "--levels 4,4 must have fewer parts from one level to the next"),
    (["--model", "deep", "--levels", "2,4"], "try 4,2"),
    (["--model", "deep", "--levels", "4,2", "--level", "3"], "levels go from 1 to 2"),
    (["--model", "deep", "--levels", "4,x"], "'x' is not a whole number"),
    (["--model", "deep", "--levels", "4,2", "--channels", "independent"], "a tree of its own"),
    (["--level", "1", "-k", "2"], "--level needs --levels"),
    (["--levels", "4,2"], "model 'nmf' has no levels"),
    (["--model", "kmeans", "-k", "2", "--divergence", "kl"], "model 'kmeans' has no option --divergence"),
    (["--template-frames", "4", "-k", "2"], "model 'nmf' has no option --template-frames; 'nmfd' has it"),
    (["--model", "semmi", "-k", "2"], "did you mean 'semi'"),
    (["--model", "nmfd"], "how many stems is not said"),
]


@pytest.mark.parametrize(("args", "fragment"), BAD, ids=[" ".join(args) for args, _ in BAD])
def test_what_a_model_lacks_is_refused_before_anything_is_read(
    cli: Cli, song: Path, args: list[str], fragment: str
) -> None:
    result = cli("split", "song.wav", *args)
    assert (result.code, result.out) == (2, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err
    assert files(cli.folder) == ["song.wav"]


def test_a_dictionary_goes_with_the_plain_model_only(cli: Cli, song: Path) -> None:
    assert cli("learn", "a=song.wav", "-k", "1", "--n-fft", "1024", "-o", "kit.npz").code == 0
    result = cli("split", "song.wav", "-m", "kit.npz", "--background", "2", "--model", "nmfd")
    assert (result.code, result.out) == (2, b"")
    assert "with a dictionary the model is nmf" in result.err
