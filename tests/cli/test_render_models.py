"""A separation by any model can be kept, shown and rendered again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_harness import Cli, digests

MODELS = (["--model", "deep", "--levels", "8,3"], ["--model", "nmfd", "-k", "3", "--template-frames", "4"])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model[1])
def test_stems_of_any_model_are_rendered_again_byte_for_byte(cli: Cli, sounds: Path, model: list[str]) -> None:
    shutil.copy(sounds / "song.wav", cli.folder)
    made = cli("split", "song.wav", *model, "--max-iter", "8", "-q", "--save-model", "--group", "pair=1-2", "-o", "a")
    assert made.code == 0, made.err
    again = cli("render", "a/song/song.nmf.npz", "song.wav", "-q", "-o", "b")
    assert again.code == 0, again.err
    stems = sorted(path.name for path in (cli.folder / "b/song").glob("*.wav"))
    assert len(stems) == 2
    assert digests(stems, cli.folder / "b/song") == digests(stems, cli.folder / "a/song")
    about = json.loads(cli("inspect", "a/song/song.nmf.npz", "--json").out)
    assert (about["kind"], about["settings"]["model"], len(about["components"])) == ("model", model[1], 3)
    assert about["fit"][0].get("levels") == ([8, 3] if model[1] == "deep" else None)
