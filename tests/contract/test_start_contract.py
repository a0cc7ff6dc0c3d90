"""What every start in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.registry import STARTS

starts = pytest.mark.parametrize("name", STARTS)
SHAPES = [(25, 14), (1, 1), (1, 6), (6, 1), (200, 30)]


def matrix(frames=25, bins=14, dtype=np.float32):
    Xt = np.random.default_rng(6).gamma(0.7, 1, (frames, bins)).astype(dtype)
    Xt.flags.writeable = False
    return Xt


def begin(name, Xt, k, seed=0):
    return STARTS.load(name)(Xt, k, np.random.default_rng(seed))


@starts
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_type_and_sign(name, shape, k, dtype, workers):
    factors = begin(name, matrix(*shape, dtype), k)
    assert factors.W.shape == (shape[1], k)
    assert factors.Z.shape == (k, shape[0])
    for factor in (factors.W, factors.Z):
        assert factor.dtype == dtype
        assert np.isfinite(factor).all()
        assert factor.min() >= 0
        assert factor.any()


@starts
@pytest.mark.parametrize("level", [1e-8, 1, 1e8])
@pytest.mark.parametrize("k", [1, 4])
def test_the_model_is_of_the_level_of_x(name, k, level, workers):
    Xt = matrix() * np.float32(level)
    assert 1 / 20 < begin(name, Xt, k).reconstruct().mean() / Xt.mean() < 20


@starts
@pytest.mark.parametrize("n", [-10, -2, 2, 10])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_level_of_a_power_of_four_goes_into_the_factors_bit_for_bit(name, n, dtype, workers):
    # four, since where each factor takes the square root of the level that must be exact
    Xt = matrix(dtype=dtype)
    plain, scaled = begin(name, Xt, 4), begin(name, Xt * dtype(4.0**n), 4)
    in_both = np.array_equal(scaled.W, plain.W * dtype(2.0**n)) and np.array_equal(scaled.Z, plain.Z * dtype(2.0**n))
    in_activations = np.array_equal(scaled.W, plain.W) and np.array_equal(scaled.Z, plain.Z * dtype(4.0**n))
    assert in_both or in_activations


@starts
def test_the_same_seed_gives_the_same_bits(name, workers):
    first, second = begin(name, matrix(), 4, seed=7), begin(name, matrix(), 4, seed=7)
    np.testing.assert_array_equal(first.W, second.W)
    np.testing.assert_array_equal(first.Z, second.Z)


@starts
def test_no_two_components_start_alike(name, workers):
    # multiplicative updates never part what is equal
    W = begin(name, matrix(), 4).W
    W = W / W.sum(axis=0)
    assert min(np.abs(W[:, i] - W[:, j]).max() for i in range(4) for j in range(i)) > 1e-3


@starts
def test_all_zero_gives_finite_factors(name, workers):
    factors = begin(name, np.zeros((8, 5), np.float32), 3)
    assert np.isfinite(factors.W).all()
    assert np.isfinite(factors.Z).all()
    np.testing.assert_allclose(factors.reconstruct(), 0, atol=1e-12)


@starts
def test_silent_frames_and_bins_are_no_obstacle(name, workers):
    Xt = matrix().copy()
    Xt[3:9], Xt[:, :4] = 0, 0
    factors = begin(name, Xt, 4)
    assert np.isfinite(factors.reconstruct()).all()


@starts
@pytest.mark.parametrize("divergence", ["kl", "frobenius"])
def test_a_fit_from_it_gets_near_the_best_fit_known(name, divergence):
    # hals fills zeros, which suits every start
    solver = "hals" if divergence == "frobenius" else "mu"
    if solver == "mu" and (begin(name, matrix(), 3).W == 0).any():
        pytest.skip("has exact zeros, which multiplicative updates cannot leave")
    losses = [
        factorize(matrix().T, 3, divergence=divergence, solver=solver, start=other, max_iter=300, tol=0).losses[-1]
        for other in ("random", name)
    ]
    assert losses[1] < 1.25 * losses[0]
