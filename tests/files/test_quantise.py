import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from nmfsep.files.write import quantise, to_integers

WIDTHS = (8, 16, 24, 32)


def limits(bits):
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def check(stems, mixture, bits, gain=1.0):
    """Quantise, and assert what always holds."""
    low, high = limits(bits)
    before = stems.copy(), mixture.copy()
    whole, moved = quantise(stems, mixture, bits, gain)
    assert whole.shape == stems.shape
    np.testing.assert_array_equal(whole.sum(axis=0, dtype=np.int64), mixture)
    assert low <= whole.min()
    assert whole.max() <= high
    np.testing.assert_array_equal(stems, before[0])
    np.testing.assert_array_equal(mixture, before[1])
    return whole, moved


@settings(deadline=None)  # a busy machine is no failure
@given(
    bits=st.sampled_from(WIDTHS),
    k=st.integers(1, 8),
    channels=st.integers(1, 3),
    level=st.sampled_from([0.0, 1e-6, 0.1, 1.0, 1.5, 4.0, 1000.0, 1e30]),
    gain=st.sampled_from([1.0, 0.5, 0.123]),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example(bits=32, k=2, channels=1, level=1.0, gain=1.0, extreme=True, seed=0)
@example(bits=24, k=8, channels=1, level=1e30, gain=1.0, extreme=True, seed=1)
def test_integer_stems_are_in_range_and_add_up_exactly(bits, k, channels, level, gain, extreme, seed):
    rng = np.random.default_rng(seed)
    low, high = limits(bits)
    stems = (level * rng.uniform(-1, 1, (k, channels, 40))).astype(np.float32)
    if extreme:
        mixture = rng.choice([low, low + 1, -1, 0, 1, high - 1, high], (channels, 40))
    else:
        mixture = rng.integers(low, high + 1, (channels, 40))
    check(stems, mixture.astype(np.int64 if bits == 32 else np.int32), bits, gain)


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("k", [2, 3, 8])
def test_stems_within_range_are_rounded_and_the_first_takes_what_rounding_leaves(rng, bits, k):
    stems = rng.uniform(-0.5, 0.5, (k, 2, 500)).astype(np.float32) / k
    mixture = to_integers(stems.sum(axis=0), bits)
    whole, moved = check(stems, mixture, bits)
    scaled = stems.astype(np.float64) * (1 << (bits - 1))
    np.testing.assert_array_equal(whole[1:], np.rint(scaled[1:]))
    slack = (k + 1) / 2 + (k * 128 if bits == 32 else 0)  # float32 has 24 bits
    assert np.abs(whole[0] - scaled[0]).max() <= slack
    assert moved == 0


@pytest.mark.parametrize(("value", "whole"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (0.75, 1)])
def test_halves_are_rounded_to_even(value, whole):
    stems = np.array([0, value / 128], np.float32).reshape(2, 1, 1)
    out, _ = check(stems, np.array([[3]], np.int32), 8)
    assert out[1, 0, 0] == whole
    assert to_integers(stems[1], 8)[0, 0] == whole


@pytest.mark.parametrize("bits", WIDTHS)
def test_silence_with_silent_stems_is_silent(bits):
    whole, moved = check(np.zeros((3, 2, 9), np.float32), np.zeros((2, 9), np.int32), bits)
    assert not whole.any()
    assert moved == 0


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_single_stem_is_the_mixture(rng, bits):
    low, high = limits(bits)
    mixture = rng.integers(low, high + 1, (2, 50))
    whole, moved = check(np.full((1, 2, 50), 7, np.float32), mixture, bits)
    np.testing.assert_array_equal(whole[0], mixture)
    assert moved == 0


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_stem_at_negative_full_scale_is_not_moved(bits):
    stems = np.array([0, -1], np.float32).reshape(2, 1, 1)
    whole, moved = check(stems, np.array([[limits(bits)[0]]]), bits)
    assert whole.ravel().tolist() == [0, limits(bits)[0]]
    assert moved == 0


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("sign", [1, -1])
def test_excess_goes_to_the_other_stems_and_is_counted(bits, sign):
    low, high = limits(bits)
    stems = np.array([-1.0, 1.5, 0.5], np.float32).reshape(3, 1, 1) * sign
    whole, moved = check(stems, np.array([[high if sign > 0 else low]]), bits)
    assert moved == 1
    assert whole[1, 0, 0] == (high if sign > 0 else low)


def test_gain_applies_to_the_stems(rng):
    stems = rng.uniform(-1, 1, (2, 1, 200)).astype(np.float32)
    whole, moved = check(stems, to_integers(stems.sum(axis=0), 16, 0.5), 16, 0.5)
    np.testing.assert_array_equal(whole[1], np.rint(stems[1].astype(np.float64) * 0.5 * 32768))
    assert moved == 0


@pytest.mark.parametrize(
    ("bits", "k"),
    [(16, 300), (24, 256), (24, 257), (24, 300), (32, 300)],
)
def test_many_stems_beyond_full_scale_add_up(bits, k):
    check(np.full((k, 1, 3), -4, np.float32), np.array([[0, 1, -1]]), bits)


@pytest.mark.parametrize("bits", WIDTHS)
def test_to_integers_is_exact_for_integers_and_held_to_the_range(bits):
    low, high = limits(bits)
    values = np.array([[low, low // 2, -1, 0, 1, high // 2 + 1]])
    samples = (values / (1 << (bits - 1))).astype(np.float32)
    np.testing.assert_array_equal(to_integers(samples, bits), values)
    assert to_integers(np.float32([[1, 7, -7]]), bits).tolist() == [[high, high, low]]


def test_to_integers_applies_the_gain_before_rounding():
    assert to_integers(np.float32([[0.75 / 128]]), 8, 4.0).tolist() == [[3]]
