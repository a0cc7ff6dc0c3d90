import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.kernels.divergence import Beta, as_divergence

BETAS = [-1, 0, 0.5, 1, 1.2, 1.5, 2, 3]
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def plain(beta, X, V):
    """Févotte & Idier 2011, eq. 1, entry by entry in float64."""
    total = 0.0
    for x, v in zip(X.ravel().tolist(), V.ravel().tolist(), strict=True):
        if beta == 1:
            total += (x * np.log(x / v) if x else 0.0) - x + v
        elif beta == 0:
            total += x / v - np.log(x / v) - 1
        else:
            total += (x**beta + (beta - 1) * v**beta - beta * x * v ** (beta - 1)) / (beta * (beta - 1))
    return total


def pair(dtype=np.float64, low=0.1):
    rng = np.random.default_rng(2)
    return rng.uniform(low, 3, (6, 5)).astype(dtype), rng.uniform(low, 3, (6, 5)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", BETAS)
def test_value_equals_the_formula(beta, dtype):
    X, V = pair(dtype)
    assert Beta(beta).value(X, V.copy()) == pytest.approx(plain(beta, X, V), rel=TOLERANCE[dtype])


@pytest.mark.parametrize("beta", [b for b in BETAS if b > 0])
def test_value_equals_the_formula_where_x_has_zeros(beta):
    X, V = pair()
    X[::2] = 0
    assert Beta(beta).value(X, V.copy()) == pytest.approx(plain(beta, X, V), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", BETAS)
def test_value_is_zero_where_the_model_is_exact(beta, dtype):
    X, _ = pair(dtype)
    # relative to the terms that cancel, which are about the sum of X^beta over beta (beta - 1)
    scale = float((X.astype(np.float64) ** beta).sum()) / min(1, abs(beta * (beta - 1)) or 1)
    assert abs(Beta(beta).value(X, X.copy())) <= 4 * np.finfo(dtype).eps * scale


@pytest.mark.parametrize("factor", [0.5, 0.99, 1.01, 2.0])
@pytest.mark.parametrize("beta", BETAS)
def test_value_is_positive_where_the_model_is_off(beta, factor):
    X, _ = pair()
    V = X.copy()
    V[2, 3] *= factor
    assert Beta(beta).value(X, V) > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beta", BETAS)
def test_ratios_are_the_two_parts_of_the_derivative(beta, dtype):
    X, V = pair(dtype)
    spare = np.full_like(V, np.nan)  # a buffer's contents are left over from something else
    negative, positive = Beta(beta).ratios(X, V.copy(), spare)
    x, v = X.astype(np.float64), V.astype(np.float64)
    np.testing.assert_allclose(negative, x * v ** (beta - 2), rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(1.0 if positive is None else positive, v ** (beta - 1), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("beta", BETAS)
def test_ratios_differ_by_the_numerical_gradient_of_value(beta):
    X, V = pair()
    negative, positive = Beta(beta).ratios(X, V.copy(), np.empty_like(V))
    gradient, step = np.empty_like(V), 1e-6
    for index in np.ndindex(V.shape):
        up, down = V.copy(), V.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (Beta(beta).value(X, up) - Beta(beta).value(X, down)) / (2 * step)
    difference = (1.0 if positive is None else positive) - negative
    np.testing.assert_allclose(difference, gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_x_is_only_read(beta):
    X, V = pair()
    X.flags.writeable = False
    Beta(beta).value(X, V.copy())
    Beta(beta).ratios(X, V.copy(), np.empty_like(V))


def test_kullback_leibler_is_finite_where_a_large_model_meets_a_zero():
    X, V = np.zeros((2, 2), np.float32), np.full((2, 2), 1e8, np.float32)
    assert Beta(1.0).value(X, V) == pytest.approx(4e8)


@pytest.mark.parametrize(
    ("spec", "beta"),
    [("kl", 1), ("frobenius", 2), ("is", 0), ("euclidean", 2), (2, 2), (1.3, 1.3), (np.float64(0.5), 0.5)],
)
def test_a_name_or_a_number_stands_for_its_beta(spec, beta):
    assert as_divergence(spec).beta == beta


@pytest.mark.parametrize("spec", [np.float32(1.5), np.int64(2)])
def test_a_numpy_number_stands_for_its_beta(spec):
    assert as_divergence(spec).beta == spec


def test_a_divergence_stands_for_itself():
    measure = Beta(1.7)
    assert as_divergence(measure) is measure


@pytest.mark.parametrize("beta", [float("nan"), float("inf"), -4.1, 5])
def test_a_beta_that_cannot_be_computed_is_refused(beta):
    with pytest.raises(UsageError, match="is not between"):
        as_divergence(beta)


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'frobenius'"):
        as_divergence("frobenus")
