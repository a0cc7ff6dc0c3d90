import numpy as np
import pytest

from nmfsep.kernels.product import share
from nmfsep.separation.masks import binary, mask_of, ratio


def parts(stems=3, dtype=np.float32):
    return np.random.default_rng(0).uniform(0.1, 2, (stems, 4, 5)).astype(dtype)


@pytest.mark.parametrize("power", [0.3, 1, 1.5, 2, 7])
def test_ratio_is_the_formula(power):
    V = parts()
    got = V.copy()
    ratio(got, power)
    v = V.astype(np.float64) ** power
    np.testing.assert_allclose(got, v / v.sum(axis=0), rtol=1e-5)


def test_wiener_is_the_ratio_of_energies_whatever_the_power():
    V = parts()
    wanted = V.astype(np.float64) ** 2 / (V.astype(np.float64) ** 2).sum(axis=0)
    for power in (0.5, 1, 2, 9):
        got = V.copy()
        mask_of("wiener", power)(got)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_binary_gives_all_to_the_largest():
    V = parts()
    got = V.copy()
    binary(got, 1)
    np.testing.assert_array_equal(got.argmax(axis=0), V.argmax(axis=0))
    assert set(np.unique(got)) == {0.0, 1.0}


def test_binary_gives_a_tie_to_the_first():
    got = np.ones((3, 2), np.float32)
    got[0, 1] = 0.5
    binary(got, 1)
    np.testing.assert_array_equal(got, [[1, 0], [0, 1], [0, 0]])


def test_binary_shares_only_empty_cells():
    got = parts()
    got[:, 1, 2] = 0
    binary(got, 1)
    empty = np.zeros((4, 5), bool)
    empty[1, 2] = True
    np.testing.assert_array_equal(got[:, empty], np.float32(1 / 3))
    assert set(np.unique(got[:, ~empty])) == {0.0, 1.0}


def test_a_large_power_of_ratio_is_the_binary_mask():
    V = parts()
    V[0] *= 3
    sharp, hard = V.copy(), V.copy()
    ratio(sharp, 100)
    binary(hard, 1)
    clear = np.sort(V, axis=0)[-1] > 1.2 * np.sort(V, axis=0)[-2]
    assert clear.any()
    np.testing.assert_allclose(sharp[:, clear], hard[:, clear], atol=1e-6)


def test_a_larger_power_decides_more_sharply():
    peaks = []
    for power in (0.5, 1, 2, 4):
        got = parts()
        ratio(got, power)
        peaks.append(got.max(axis=0))
    assert (np.diff(peaks, axis=0) > 0).all()


def test_share_keeps_what_sums_to_one():
    V = np.array([[0.25, 0.0], [0.75, 1.0]], np.float32)
    got = V.copy()
    share(got)
    np.testing.assert_array_equal(got, V)
