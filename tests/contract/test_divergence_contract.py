"""What every divergence in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.kernels.divergence import as_divergence
from nmfsep.registry import DIVERGENCES

divergences = pytest.mark.parametrize("name", DIVERGENCES)


def pair(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    X, V = rng.uniform(0.1, 4, (2, 7, 6)).astype(dtype)
    X.flags.writeable = False
    return X, V


def parts(name, X, V):
    negative, positive = as_divergence(name).ratios(X, V.copy(), np.full_like(V, np.nan))
    return negative, np.ones_like(V) if positive is None else positive


@divergences
def test_has_a_finite_beta(name):
    assert np.isfinite(as_divergence(name).beta)


@divergences
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_zero_only_where_the_model_is_exact(name, dtype):
    X, V = pair(dtype)
    measure, size = as_divergence(name), float(X.sum())
    assert abs(measure.value(X, X.copy())) < 10 * np.finfo(dtype).eps * size
    assert measure.value(X, V) > 0
    for factor in (0.9, 1.1):
        assert measure.value(X, X * dtype(factor)) > 0


@divergences
def test_grows_with_the_distance(name):
    X, V = pair()
    values = [as_divergence(name).value(X, X + step * (V - X)) for step in (0.1, 0.4, 0.7, 1.0)]
    assert (np.diff(values) > 0).all()


@divergences
def test_is_the_sum_over_entries(name):
    X, V = pair()
    measure = as_divergence(name)
    single = sum(measure.value(X[i : i + 1, j : j + 1], V[i : i + 1, j : j + 1].copy()) for i, j in np.ndindex(X.shape))
    assert measure.value(X, V) == pytest.approx(single, rel=1e-12)


@divergences
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_are_nonnegative_and_differ_by_the_numerical_gradient(name, dtype):
    X, V = pair(dtype)
    negative, positive = parts(name, X, V)
    assert negative.min() >= 0
    assert positive.min() >= 0
    measure, x, v = as_divergence(name), X.astype(np.float64), V.astype(np.float64)
    gradient = np.empty_like(v)
    for index in np.ndindex(v.shape):
        up, down = v.copy(), v.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        gradient[index] = (measure.value(x, up) - measure.value(x, down)) / 2e-6
    np.testing.assert_allclose(positive - negative, gradient, rtol=1e-4, atol=1e-5)


@divergences
@pytest.mark.parametrize("c", [0.25, 8.0])
def test_scales_with_the_level_to_the_power_beta(name, c):
    # factorize scales X inside, and scales the losses back by this law
    X, V = pair()
    measure = as_divergence(name)
    assert measure.value(c * X, c * V) == pytest.approx(c**measure.beta * measure.value(X, V.copy()), rel=1e-10)


@divergences
def test_float32_is_close_to_float64(name):
    X, V = pair(np.float32)
    measure = as_divergence(name)
    single = measure.value(X, V.copy())
    assert single == pytest.approx(measure.value(X.astype(np.float64), V.astype(np.float64)), rel=1e-5)


BETAS = {"kullback-leibler": 1, "itakura-saito": 0, "euclidean": 2, "fro": 2}


@pytest.mark.parametrize("alias", DIVERGENCES.aliases)
def test_every_alias_measures_what_its_name_says(alias):
    X, V = pair(np.float64)
    formula = {
        0: np.sum(X / V - np.log(X / V) - 1),
        1: np.sum(X * np.log(X / V) - X + V),
        2: 0.5 * np.sum((X - V) ** 2),
    }
    assert as_divergence(alias).value(X, V.copy()) == pytest.approx(formula[BETAS[alias]])


@divergences
def test_factorize_minimises_it(name):
    X = np.random.default_rng(1).gamma(1, 1, (15, 20)) + 0.05
    losses = {
        other: as_divergence(name).value(
            X, factorize(X, 3, divergence=other, max_iter=500, tol=0).factors.reconstruct() + 1e-12
        )
        for other in DIVERGENCES
    }
    # measured by itself, the fit that minimised it is the best
    assert min(losses, key=losses.get) == name
