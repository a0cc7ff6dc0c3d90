"""Files to be compared are found, held to be alike, and read side by side."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep.analysis.evaluate import Tracks
from nmfsep.errors import InputError, UsageError
from nmfsep.jobs.inputs import stem_files

RATE = 8000


def write(path: Path, sound: np.ndarray, rate: int = RATE, subtype: str = "DOUBLE") -> str:
    path.parent.mkdir(exist_ok=True, parents=True)
    sf.write(path, sound, rate, subtype)
    return str(path)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, 70000)


@pytest.fixture
def folder(tmp_path: Path, noise: np.ndarray) -> Path:
    for name in ("b.wav", "A.FLAC", "c.aiff", ".hidden.wav", "deep/d.wav"):
        write(tmp_path / "stems" / name, noise[:100], subtype="PCM_16")
    (tmp_path / "stems" / "notes.txt").write_text("no sound")
    (tmp_path / "stems" / "song.nmfsep.json").write_text("{}")
    return tmp_path / "stems"


def test_a_folder_stands_for_the_audio_in_it(folder):
    assert stem_files([str(folder)]) == [str(folder / name) for name in ("A.FLAC", "b.wav", "c.aiff")]


def test_files_stay_as_they_are_whatever_they_are_called(folder):
    assert stem_files([str(folder / "notes.txt"), "-"]) == [str(folder / "notes.txt"), "-"]


def test_the_mixture_is_left_out_of_a_folder_by_whatever_name(folder, tmp_path):
    os.symlink(folder / "b.wav", tmp_path / "link.wav")
    for mixture in (folder / "b.wav", tmp_path / "link.wav"):
        assert stem_files([str(folder)], str(mixture)) == [str(folder / name) for name in ("A.FLAC", "c.aiff")]


def test_a_folder_without_audio_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path):
        with pytest.raises(UsageError, match="holds no audio files") as caught:
            stem_files([str(path)])
        assert caught.value.path == str(path)


def test_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file or directory"):
        stem_files([str(tmp_path / "stem")])


def test_two_files_of_one_name_are_refused(folder, noise):
    write(folder / "b.flac", noise[:100], subtype="PCM_16")
    with pytest.raises(UsageError, match="is one of 2 files called 'b'"):
        stem_files([str(folder)])


def test_blocks_are_the_files_side_by_side(tmp_path, noise):
    paths = [write(tmp_path / f"{i}.wav", np.c_[noise, noise[::-1]] * (i + 1)) for i in range(3)]
    with Tracks(paths) as tracks:
        tracks.survey()
        assert (tracks.sample_rate, tracks.channels, tracks.length) == (RATE, 2, 70000)
        for _ in range(2):
            found = np.concatenate(list(tracks.blocks([2, 0])), axis=-1)
            np.testing.assert_array_equal(found, np.stack([3 * np.stack([noise, noise[::-1]]), [noise, noise[::-1]]]))


@pytest.mark.parametrize("length", [1, 65536, 65537, 69999])
def test_lengths_that_differ_are_refused_or_trimmed(tmp_path, noise, length):
    paths = [write(tmp_path / "a.wav", noise), write(tmp_path / "b.wav", noise[:length])]
    with Tracks(paths) as tracks, pytest.raises(UsageError, match="use --trim") as caught:
        tracks.survey()
    assert caught.value.path == paths[1]
    assert f"has {length} samples" in caught.value.message
    with Tracks(paths) as tracks:
        tracks.survey(trim=True)
        assert tracks.length == length
        np.testing.assert_array_equal(np.concatenate(list(tracks.blocks([0, 1])), axis=-1)[0], noise[None, :length])


def test_rates_and_channels_that_differ_are_refused(tmp_path, noise):
    mono = write(tmp_path / "mono.wav", noise)
    with pytest.raises(UsageError, match=r"has 44100 Hz, where .* has 8000 Hz; convert it first"):
        Tracks([mono, write(tmp_path / "fast.wav", noise, 44100)])
    with pytest.raises(UsageError, match=r"has 2 channels, where .* has 1 channel;"):
        Tracks([mono, write(tmp_path / "stereo.wav", np.c_[noise, noise])])


def test_a_sample_that_is_no_number_is_named_with_its_time(tmp_path, noise):
    bad = noise.copy()
    bad[[66000, 66001, 69000]] = np.nan, np.inf, -np.inf
    path = write(tmp_path / "bad.wav", bad)
    with Tracks([path]) as tracks, pytest.raises(InputError, match=r"3 samples .* the first at 8\.250 s") as caught:
        tracks.survey()
    assert caught.value.path == path


def test_a_file_that_was_cut_is_told(tmp_path, noise):
    path = Path(write(tmp_path / "cut.wav", noise, subtype="PCM_16"))
    path.write_bytes(path.read_bytes()[:-2000])
    with Tracks([str(path)]) as tracks:
        tracks.survey()
        (warning,) = tracks.warnings
    assert warning.startswith("cut: ")
    assert tracks.length == 69000


@pytest.mark.parametrize("level", [1e-200, 1e200])
def test_levels_beyond_squares_are_brought_to_one_factor(tmp_path, noise, level):
    paths = [write(tmp_path / "a.wav", level * noise), write(tmp_path / "b.wav", level * noise / 4)]
    with Tracks(paths) as tracks:
        tracks.survey()
        a, b = np.concatenate(list(tracks.blocks([0, 1])), axis=-1)[:, 0]
    assert 0.25 < np.abs(a).max() <= 1
    np.testing.assert_allclose(a / b, 4)


def test_a_file_that_shrinks_meanwhile_is_an_error(tmp_path, noise):
    path = Path(write(tmp_path / "a.wav", noise, subtype="PCM_16"))
    with Tracks([str(path)]) as tracks:
        tracks.survey()
        os.truncate(path, 3000)
        with pytest.raises(InputError, match="has become shorter"):
            list(tracks.blocks([0]))
