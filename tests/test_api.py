"""The Python entry point does what the command line does, to the byte, for short files and long ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.registry import CUES

RATE = 8000
TIMES = ("seconds",)  # which differ from run to run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a sound of 8 s and a dictionary of one of its two tones."""
    t = np.arange(8 * RATE) / RATE
    gate = np.sin(2 * np.pi * 0.7 * t) > 0
    sound = 0.2 * np.sin(2 * np.pi * 300 * t) * gate + 0.1 * np.sin(2 * np.pi * 1100 * t)
    sound += np.random.default_rng(0).normal(0, 0.005, len(t))
    sf.write(tmp_path / "long.wav", sound, RATE, "PCM_16")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(out: Path) -> dict[str, object]:
    """Return all files below a folder, documents without their times."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".json":
                data = {key: value for key, value in json.loads(data).items() if key not in TIMES}
            found[str(path.relative_to(out))] = data
    return found


def command(*words: str) -> list[str]:
    """Run the command line; return what it printed."""
    run = [sys.executable, "-m", "nmfsep", *words]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()


def test_a_short_file_is_written_as_by_the_command_line(folder):
    printed = command("split", "long.wav", "-k", "2", "--fast", "--flac", "--save-model", "-o", "cli/out")
    os.rename("cli/out", "kept")
    stems = nmfsep.separate("long.wav", 2, atoms=1)
    paths = stems.write("cli/out", format="flac", save_model=True)
    assert files(Path("cli/out")) == files(Path("kept"))
    assert [str(path) for path in paths] == printed
    written = [sf.read(path, dtype="float32", always_2d=True)[0].T for path in paths]
    np.testing.assert_allclose(stems.samples, written, atol=2**-14)
    assert (stems.names, stems.sample_rate) == (("component-1", "component-2"), RATE)


@pytest.mark.parametrize("keep", [False, True])
def test_a_long_file_is_written_as_by_the_command_line(folder, monkeypatch, keep):
    monkeypatch.setattr("nmfsep.jobs.budget.IN_MEMORY", 1)  # as if it were so long
    words = ["split", "long.wav", "-k", "2", "--fast", "--max-memory", "300M", "-o", "cli/out"]
    script = "import nmfsep.jobs.budget as b; b.IN_MEMORY = 1; from nmfsep.cli.main import main; main()"
    words += ["--save-model"] if keep else []
    subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True)
    os.rename("cli/out", "kept")
    stems = nmfsep.separate(Path("long.wav"), 2, atoms=1, max_memory="300M")
    stems.write("cli/out", save_model=keep)
    assert files(Path("cli/out")) == files(Path("kept"))
    manifest = json.loads(Path("cli/out/long/long.nmfsep.json").read_text())
    assert manifest["learned_from"] is not None
    np.testing.assert_allclose(stems.samples.sum(axis=0), nmfsep.read("long.wav").samples, atol=1e-6)


def test_a_part_of_a_file_is_that_part(folder):
    audio = nmfsep.read("long.wav")
    whole = nmfsep.separate("long.wav", 2, atoms=1, offset=1.0, duration=2.0).samples
    part = nmfsep.Audio(audio.samples[:, RATE : 3 * RATE], RATE)
    np.testing.assert_array_equal(whole, nmfsep.separate(part, 2, atoms=1).samples)


def test_what_makes_no_sense_is_refused_before_any_work(folder):
    audio = nmfsep.read("long.wav")
    with pytest.raises(UsageError, match="check the name"):
        nmfsep.separate("missing.wav", 2)
    with pytest.raises(UsageError, match="not a size"):
        nmfsep.separate("long.wav", 2, max_memory="much")
    with pytest.raises(UsageError, match="are for files"):
        nmfsep.separate(audio, 2, max_memory="1G")
    with pytest.raises(UsageError, match="no file for the manifest"):
        nmfsep.separate(audio, 2, atoms=1).write("out")
    Path("out/long").mkdir(parents=True)
    Path("out/long/component-1.wav").write_bytes(b"mine")
    with pytest.raises(UsageError, match="not written by nmfsep"):
        nmfsep.separate("long.wav", 2, atoms=1).write("out")


def test_a_cue_of_the_registry_is_an_argument_by_its_name(folder, monkeypatch):
    Path("when.txt").write_text("0.0\t1.0\tlow\n3.0\t4.0\thigh\n")
    audio = nmfsep.read("long.wav")
    monkeypatch.setitem(CUES._entries, "regions", CUES._entries["labels"])
    known = nmfsep.separate(audio, labels="when.txt", max_iter=2)
    assert known.names == ("low", "high")
    for value in ("when.txt", Path("when.txt"), ["when.txt"]):
        np.testing.assert_array_equal(nmfsep.separate(audio, regions=value, max_iter=2).samples, known.samples)
    with pytest.raises(TypeError, match="unheard"):
        nmfsep.separate(audio, unheard="when.txt")
