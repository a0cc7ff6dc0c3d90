import numpy as np
import pytest

from nmfsep import Factors
from nmfsep.errors import UsageError


def make(k: int = 3, dtype: type = np.float64) -> Factors:
    rng = np.random.default_rng(0)
    return Factors(rng.random((7, k)).astype(dtype), rng.random((k, 9)).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalize_makes_columns_sum_to_one_and_keeps_the_product(dtype):
    factors = make(dtype=dtype)
    normal = factors.normalize()
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(normal.W.sum(axis=0), 1, rtol=10 * eps)
    np.testing.assert_allclose(normal.reconstruct(), factors.reconstruct(), rtol=20 * eps)
    assert normal.W.dtype == normal.Z.dtype == dtype


def test_normalize_leaves_a_zero_column_zero_and_its_row_as_it_was():
    factors = make()
    factors.W[:, 1] = 0
    normal = factors.normalize()
    assert not normal.W[:, 1].any()
    np.testing.assert_array_equal(normal.Z[1], factors.Z[1])


def test_normalize_does_not_write_to_the_factors_it_is_given():
    factors = make()
    factors.W.flags.writeable = factors.Z.flags.writeable = False
    W, Z = factors.W.copy(), factors.Z.copy()
    factors.normalize()
    np.testing.assert_array_equal(factors.W, W)
    np.testing.assert_array_equal(factors.Z, Z)


def test_normalize_twice_is_normalize_once():
    once = make().normalize()
    np.testing.assert_allclose(once.normalize().W, once.W, rtol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_any_diagonal_rescaling_normalizes_to_the_same_factors(seed):
    # W D and D^-1 Z are the same model: the ambiguity that normalize settles
    factors = make()
    D = 10 ** np.random.default_rng(seed).uniform(-6, 6, 3)
    other = Factors(factors.W * D, factors.Z / D[:, None]).normalize()
    np.testing.assert_allclose(other.W, factors.normalize().W, rtol=1e-13)
    np.testing.assert_allclose(other.Z, factors.normalize().Z, rtol=1e-13)


def test_a_rescaling_by_powers_of_two_normalizes_to_the_same_bits():
    factors, D = make(dtype=np.float32), np.float32([2**10, 2**-7, 1])
    other = Factors(factors.W * D, factors.Z / D[:, None]).normalize()
    np.testing.assert_array_equal(other.W, factors.normalize().W)
    np.testing.assert_array_equal(other.Z, factors.normalize().Z)


def test_select_takes_components_in_the_order_given():
    factors = make()
    chosen = factors.select([2, 0])
    np.testing.assert_array_equal(chosen.W, factors.W[:, [2, 0]])
    np.testing.assert_array_equal(chosen.Z, factors.Z[[2, 0]])
    assert chosen.components == 2


def test_energies_are_those_of_each_rank_one_model():
    factors = make()
    alone = [np.sum(np.outer(factors.W[:, k], factors.Z[k]) ** 2) for k in range(3)]
    np.testing.assert_allclose(factors.energies(), alone, rtol=1e-12)


def test_energies_of_small_float32_factors_do_not_vanish():
    # squares of 1e-25 are below the smallest float32
    factors = make(dtype=np.float32)
    small = Factors(factors.W * np.float32(1e-25), factors.Z * np.float32(1e-25))
    np.testing.assert_allclose(small.energies(), factors.energies() * 1e-100, rtol=1e-5)


@pytest.mark.parametrize(("w", "z"), [((4, 2), (3, 5)), ((4,), (4, 5)), ((4, 2), (2, 5, 1))])
def test_shapes_that_do_not_fit_are_refused(w, z):
    with pytest.raises(UsageError, match="not"):
        Factors(np.ones(w), np.ones(z))
