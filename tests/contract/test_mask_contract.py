"""What every mask in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep.registry import MASKS

masks = pytest.mark.parametrize("name", MASKS)
powers = pytest.mark.parametrize("power", [0.01, 0.5, 1, 1.5, 2, 100])
LEVELS = [1e-30, 1e-10, 1, 1e10, 1e30]


def parts(stems=3, seed=0, dtype=np.float32):
    """Models with zero entries, zero cells and equal entries."""
    V = np.random.default_rng(seed).gamma(0.5, 1, (stems, 6, 7)).astype(dtype)
    V[0, 0] = 0
    V[:, 1, 2:4] = 0
    V[:, 2] = V[:1, 2]
    return V


def masked(name, V, power=1.0):
    shares = V.copy()
    MASKS.load(name)(shares, power)
    return shares


def assert_shares(shares):
    assert np.isfinite(shares).all()
    assert shares.min() >= 0
    assert shares.max() <= 1
    # the sum over many stems is itself rounded, half a unit in the last place for each
    np.testing.assert_allclose(shares.sum(axis=0, dtype=np.float64), 1, atol=max(1e-6, len(shares) * 6e-8))


@masks
@powers
@pytest.mark.parametrize("stems", [1, 2, 3, 50])
def test_shares_lie_in_zero_to_one_and_sum_to_one(name, power, stems):
    for level in LEVELS:
        assert_shares(masked(name, parts(stems) * np.float32(level), power))


@masks
@powers
def test_levels_far_apart_do_not_overflow(name, power):
    V = parts() * np.float32([1e-30, 1, 1e30]).reshape(3, 1, 1)
    shares = masked(name, V, power)
    assert_shares(shares)
    if power >= 1:
        clear = V[2] > 1e20
        np.testing.assert_allclose(shares[2, clear], 1, atol=1e-6)


@masks
@powers
@pytest.mark.parametrize("stems", [1, 2, 3, 7])
def test_cells_where_every_model_is_zero_are_shared_equally(name, power, stems):
    shares = masked(name, parts(stems), power)
    np.testing.assert_array_equal(shares[:, 1, 2:4], np.float32(1 / stems))
    np.testing.assert_array_equal(masked(name, np.zeros((stems, 2, 2), np.float32), power), np.float32(1 / stems))


@masks
@powers
def test_a_model_that_is_zero_gets_nothing_where_another_is_not(name, power):
    assert not masked(name, parts(), power)[0, 0].any()


@masks
@powers
def test_a_larger_model_never_gets_a_smaller_share(name, power):
    V = parts()
    shares = masked(name, V, power)
    larger = V[:, None] > V[None, :]
    assert (shares[:, None] >= shares[None, :])[larger].all()


@masks
@powers
@pytest.mark.parametrize("n", [-30, 30])
def test_the_level_of_the_models_changes_no_bit(name, power, n):
    V = parts() + np.float32(0.01)  # clear of denormals
    np.testing.assert_array_equal(masked(name, V * np.float32(2.0**n), power), masked(name, V, power))


@masks
def test_cells_do_not_depend_on_each_other(name):
    V = parts()
    np.testing.assert_array_equal(masked(name, V)[:, 3:], masked(name, V[:, 3:].copy()))


@masks
def test_the_type_stays(name):
    for dtype in (np.float32, np.float64):
        V = parts(dtype=dtype)
        assert masked(name, V).dtype == dtype
        assert_shares(masked(name, V))


def test_binary_is_zero_or_one_except_in_empty_cells():
    V = parts()
    shares = masked("binary", V)
    filled = V.any(axis=0)
    assert set(np.unique(shares[:, filled])) == {0.0, 1.0}
    assert not filled.all()
