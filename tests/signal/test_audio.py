import dataclasses

import numpy as np
import pytest

from nmfsep.errors import InputError
from nmfsep.signal.audio import Audio, require_finite


def test_a_vector_is_one_channel():
    audio = Audio(np.zeros(12, np.float32), 8000)
    assert (audio.channels, audio.length, audio.samples.shape) == (1, 12, (1, 12))


def test_samples_become_single_precision():
    audio = Audio(np.array([[0.1, 0.2]]), 8000)
    assert audio.samples.dtype == np.float32
    np.testing.assert_array_equal(audio.samples, np.float32([[0.1, 0.2]]))


def test_duration_is_in_seconds():
    assert Audio(np.zeros((3, 4000)), 16000).duration == 0.25


def test_fields_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Audio(np.zeros(4), 8000).sample_rate = 16000


def test_read_only_samples_are_taken_as_they_are():
    samples = np.ones((2, 5), np.float32)
    samples.flags.writeable = False
    assert Audio(samples, 8000).samples is samples


@pytest.mark.parametrize("shape", [(0,), (1, 0), (0, 5), (2, 3, 4)])
def test_shapes_without_samples_or_with_too_many_axes_are_refused(shape):
    with pytest.raises(InputError, match="no samples"):
        Audio(np.zeros(shape), 8000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_counted_and_the_first_is_timed(value):
    samples = np.zeros((2, 4000), np.float32)
    samples[1, 1000] = samples[0, 3000] = samples[1, 3000] = value
    with pytest.raises(InputError, match=r"3 samples are NaN or infinite, the first at 0\.125 s"):
        Audio(samples, 8000)


def test_infinities_of_both_signs_do_not_cancel():
    with pytest.raises(InputError, match="2 samples"):
        Audio(np.array([np.inf, -np.inf]), 8000)


def test_a_sum_that_overflows_is_not_taken_for_an_infinite_sample():
    samples = np.full((1, 4), 1.7e308)
    require_finite(samples, 8000)  # in doubles, the sum is infinite although no sample is
    samples[0, 2] = np.inf
    with pytest.raises(InputError, match="1 samples"):
        require_finite(samples, 8000)


@pytest.mark.parametrize("level", [3e38, 1e-45])
def test_extreme_levels_of_single_precision_are_kept(level):
    samples = np.full((1, 8), level, np.float32)
    np.testing.assert_array_equal(Audio(samples, 8000).samples, samples)


def test_doubles_beyond_single_precision_are_refused_without_a_warning():
    with pytest.raises(InputError, match="infinite"):
        Audio(np.array([0.0, 1e300]), 8000)
