"""A disk that fails at any single call: nothing is lost, and nothing is said to be there that is not.

`make torture` goes through all calls of all commands, some minutes each; the ordinary tests through a sample of one.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_harness import Cli
from torture import Injector, Scene, torture

SPLIT = ("split", "song.wav", "-k", "2", "--fast", "--threads", "1")
DICTIONARY = ("split", "beat.wav", "--threads", "1", "--max-iter", "5", "-m", "kit.npz")
OUT = ("-o", "out")
SCENES: dict[str, tuple[str, tuple[str, ...], str]] = {  # what is there before, the command, and what it writes
    "split": ("sounds", (*SPLIT, *OUT), "out"),
    "split again": ("stems", (*SPLIT, *OUT), "out"),
    "save-model": ("sounds", (*SPLIT, "--save-model", *OUT), "out"),
    "float32": ("sounds", (*SPLIT, "--float32", *OUT), "out"),
    "flac": ("sounds", (*SPLIT, "--flac", *OUT), "out"),
    "ogg": ("sounds", (*SPLIT, "--format", "ogg", *OUT), "out"),
    "aiff": ("sounds", (*SPLIT, "--format", "aiff", *OUT), "out"),
    "to a pipe": ("sounds", (*SPLIT, "-o", "-"), "nothing"),
    "from a pipe": ("sounds", ("split", "-", *SPLIT[2:], *OUT), "out"),
    "a part at a time": (
        "sounds",
        ("split", "long.wav", *SPLIT[2:], "--n-fft", "512", "--max-iter", "3", "--max-memory", "64M", *OUT),
        "out",
    ),
    "depfile": ("sounds", (*SPLIT, "--depfile", "out/deps", *OUT), "out"),
    "exports": ("kit", (*DICTIONARY, "--export-labels", "--export-midi", *OUT), "out"),
    "render": ("stems", ("render", "out/song/song.nmf.npz", "--threads", "1", "--group", "a=1,2", *OUT), "out"),
    "check": ("stems", ("check", "out"), "nothing"),
    "learn": ("kit", ("learn", "kick=kick.wav", "-k", "2", "--threads", "1", "-o", "kit.npz"), "kit.npz"),
    "factorize": ("kit", ("factorize", "x.npy", "-k", "2", "--threads", "1", *OUT), "out"),
    "evaluate": ("kit", ("evaluate", "kick.wav", "beat.wav", "--csv"), "nothing"),
}


def can_inject() -> bool:
    """Whether strace is here and may look into a process."""
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-o", "/dev/null", "-e", "inject=close:error=EIO:when=999", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def given(sounds: Path, lessons: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders with inputs, with stems and a model of an earlier run, and with a dictionary and factors."""
    folder = tmp_path_factory.mktemp("given")
    folders = {"sounds": folder / "sounds", "stems": folder / "stems", "kit": folder / "kit"}
    shutil.copytree(sounds, folders["sounds"])
    shutil.copytree(sounds, folders["stems"])
    shutil.copytree(lessons, folders["kit"])
    made = Cli(folders["stems"])("split", "song.wav", "-k", "3", "--fast", "--save-model", *OUT)
    assert made.code == 0
    np.save(folders["kit"] / "x.npy", np.random.default_rng(0).uniform(size=(20, 30)))
    made = Cli(folders["kit"])("factorize", "x.npy", "-k", "3", *OUT)
    assert made.code == 0
    return folders


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    """Return what runs commands with a failing call."""
    if not can_inject():
        pytest.skip("strace is not here, or may not trace")
    with Injector(tmp_path_factory.mktemp("injected")) as injector:
        yield injector


def scene(name: str, given: dict[str, Path]) -> Scene:
    """Return the scene of a name."""
    before, arguments, outputs = SCENES[name]
    return Scene(list(arguments), given[before], outputs, "song.wav" if name == "from a pipe" else None)


def test_a_rerun_over_good_stems_survives_a_sample_of_failing_calls(injector: Injector, given: dict[str, Path]) -> None:
    verdicts = list(torture(injector, scene("split again", given), 61))
    assert len(verdicts) > 5
    assert len({verdict.code for verdict in verdicts}) > 1
    assert [verdict for verdict in verdicts if verdict.wrong] == []


@pytest.mark.parametrize("injection", ["fsync:error=EIO:when=1", "pwrite64:error=ENOSPC:when=6"])
def test_an_error_that_libsndfile_would_not_tell_is_told(
    injector: Injector, given: dict[str, Path], injection: str
) -> None:
    code, ran = injector.run(scene("split", given), injection)
    assert code == 3
    assert (ran / "stderr").read_text().startswith("nmfsep: out/song/component-")
    assert not any(path.is_file() for path in (ran / "out").rglob("*"))


@pytest.mark.torture
@pytest.mark.parametrize("name", SCENES)
def test_a_command_survives_the_failure_of_any_call(injector: Injector, given: dict[str, Path], name: str) -> None:
    verdicts = list(torture(injector, scene(name, given)))
    assert len(verdicts) > 30
    assert [verdict for verdict in verdicts if verdict.wrong] == []
