import numpy as np
import pytest
import soundfile as sf

from nmfsep.jobs.manifest import sum_error
from nmfsep.signal.read import BLOCK, Source


@pytest.fixture
def files(tmp_path, rng):
    """A mixture of 16 bits, two stems that add up to it from sample 50 on, and their integers."""
    stems = rng.integers(-8000, 8000, (2, 400, 2)).astype(np.int16)
    mixture = np.concatenate([np.full((50, 2), 9, np.int16), stems.sum(axis=0, dtype=np.int16)])
    sf.write(tmp_path / "mixture.wav", mixture, 8000, "PCM_16")
    paths = [tmp_path / "1.wav", tmp_path / "2.wav"]
    for path, stem in zip(paths, stems, strict=True):
        sf.write(path, stem, 8000, "PCM_16")
    return tmp_path / "mixture.wav", paths, stems


def measure(mixture, paths, offset=50, length=400, gain=1.0):
    with Source(mixture) as source:
        return sum_error(paths, source, offset, length, gain)


def test_stems_that_add_up_have_no_error(files):
    assert measure(*files[:2]) == 0


@pytest.mark.parametrize("place", [0, 200, 399])
def test_one_step_in_one_sample_is_found_relative_to_the_peak(files, place):
    mixture, paths, stems = files
    stems[1, place, 1] += 1
    sf.write(paths[1], stems[1], 8000, "PCM_16")
    peak = np.abs(sf.read(mixture, start=50, dtype="int16")[0].astype(int)).max()
    assert measure(mixture, paths) == pytest.approx(1 / peak)


def test_the_stretch_of_the_mixture_counts(files):
    mixture, paths, _ = files
    assert measure(mixture, paths, offset=49) > 0.1


def test_the_gain_is_that_of_the_mixture(files):
    mixture, paths, _ = files
    assert measure(mixture, paths, gain=0.5) == pytest.approx(1)


@pytest.mark.parametrize(("lengths", "channels"), [((400, 399), 2), ((400, 0), 2), ((400, 400), 1)])
def test_stems_of_another_shape_never_add_up(files, lengths, channels):
    mixture, paths, stems = files
    for path, stem, length in zip(paths, stems, lengths, strict=True):
        sf.write(path, stem[:length, :channels], 8000, "PCM_16")
    assert measure(mixture, paths) == np.inf


def test_an_error_beyond_the_first_block_is_found(tmp_path):
    length = BLOCK + 10
    mixture = np.full(length, 0.5)
    stem = mixture.copy()
    stem[-1] = 0.25
    sf.write(tmp_path / "m.wav", mixture, 8000, "DOUBLE")
    sf.write(tmp_path / "s.wav", stem, 8000, "DOUBLE")
    assert measure(tmp_path / "m.wav", [tmp_path / "s.wav"], 0, length) == 0.5


def test_the_error_of_a_silent_mixture_is_absolute(tmp_path):
    sf.write(tmp_path / "m.wav", np.zeros(10), 8000, "DOUBLE")
    sf.write(tmp_path / "s.wav", np.full(10, 0.125), 8000, "DOUBLE")
    assert measure(tmp_path / "m.wav", [tmp_path / "s.wav"], 0, 10) == 0.125
    assert measure(tmp_path / "m.wav", [tmp_path / "m.wav"], 0, 10) == 0


def test_stems_that_are_not_numbers_do_not_add_up(tmp_path):
    sf.write(tmp_path / "m.wav", np.zeros(10), 8000, "DOUBLE")
    sf.write(tmp_path / "s.wav", np.full(10, np.nan), 8000, "DOUBLE")
    assert not measure(tmp_path / "m.wav", [tmp_path / "s.wav"], 0, 10) <= 1e-6
