"""Short sounds, and the command line as a process in a folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import LENGTH, RATE, Cli


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sounds, which nobody writes to."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(1)
    t = np.arange(LENGTH) / RATE
    low = 0.3 * np.sin(2 * np.pi * 440 * t) * (t < 0.4)
    high = 0.2 * np.sin(2 * np.pi * 1300 * t) * (t > 0.3)
    song = low + high + 0.02 * rng.standard_normal(LENGTH)
    sf.write(folder / "song.wav", song, RATE, "PCM_16")
    sf.write(folder / "stereo.wav", np.c_[song, song[::-1] / 2], 22050, "PCM_24")
    sf.write(folder / "square.wav", np.where(np.sin(2 * np.pi * 97 * t) < 0, -1, 32767 / 32768), RATE, "PCM_16")
    sf.write(folder / "silence.wav", np.zeros(LENGTH), RATE, "PCM_16")
    sf.write(folder / "long.wav", 0.1 * rng.standard_normal(60 * RATE), RATE, "PCM_16")
    (folder / "broken.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    return folder


@pytest.fixture(scope="session")
def stems_of_song(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two stems of song.wav and their manifest; copy it before changing anything."""
    cli = Cli(tmp_path_factory.mktemp("stems"))
    shutil.copy(sounds / "song.wav", cli.folder)
    assert cli("split", "song.wav", "-k", "2").code == 0
    return cli.folder / "separated"


@pytest.fixture(scope="session")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sounds, a mixture of such, and kit.npz, learned from the sounds; nobody writes to it."""
    cli = Cli(tmp_path_factory.mktemp("lessons"))
    rng = np.random.default_rng(2)
    t = np.arange(LENGTH) / RATE
    envelope = np.exp(-12 * (t % 0.25))
    kick, hiss = np.sin(2 * np.pi * 180 * t) * envelope, rng.standard_normal((3, LENGTH)) * np.exp(-9 * (t % 0.3))
    (cli.folder / "snares").mkdir()
    for name, sound in {"kick": 0.5 * kick, "snares/one": 0.1 * hiss[0], "snares/two": 0.2 * hiss[1]}.items():
        sf.write(cli.folder / f"{name}.wav", sound, RATE, "PCM_16")
    sf.write(cli.folder / "beat.wav", 0.3 * kick[::-1] + 0.08 * hiss[2], RATE, "PCM_16")
    result = cli("learn", "kick=kick.wav", "snare=snares", "-k", "kick=3,snare=8", "-o", "kit.npz")
    assert (result.code, result.err) == (0, "")
    cli.temp.rmdir()
    return cli.folder


@pytest.fixture
def workshop(lessons: Path, tmp_path: Path) -> Path:
    """Return tmp_path with a copy of all lessons in it."""
    return Path(shutil.copytree(lessons, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a runner of nmfsep in tmp_path."""
    return Cli(tmp_path)


@pytest.fixture
def song(sounds: Path, tmp_path: Path) -> Path:
    """Return a copy of song.wav in tmp_path."""
    return Path(shutil.copy(sounds / "song.wav", tmp_path))


@pytest.fixture
def broken(sounds: Path, tmp_path: Path) -> Path:
    """Return a copy in tmp_path of a file that is no audio."""
    return Path(shutil.copy(sounds / "broken.wav", tmp_path))
