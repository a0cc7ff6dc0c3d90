import doctest
from importlib import import_module

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.nmf.fit import Execution

DIVERGENCES = ["kl", "frobenius", "is", 0.5, 1.5, 3]


def matrix(bins=20, frames=30, dtype=np.float32):
    return np.random.default_rng(1).gamma(0.5, 2, (bins, frames)).astype(dtype)


def assert_same_bits(first, second):
    np.testing.assert_array_equal(first.factors.W, second.factors.W)
    np.testing.assert_array_equal(first.factors.Z, second.factors.Z)
    assert first.losses == second.losses


def test_the_example_of_the_docstring_runs():
    result = doctest.testmod(import_module("nmfsep.nmf.factorize"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("n", [-30, -7, 1, 30])
def test_a_level_of_a_power_of_two_goes_into_z_bit_for_bit(n, divergence, dtype):
    X, scale = matrix(dtype=dtype), dtype(2.0**n)
    plain = factorize(X, 3, divergence=divergence, max_iter=20)
    scaled = factorize(X * scale, 3, divergence=divergence, max_iter=20)
    np.testing.assert_array_equal(scaled.factors.W, plain.factors.W)
    np.testing.assert_array_equal(scaled.factors.Z, plain.factors.Z * scale)
    beta = {"kl": 1, "frobenius": 2, "is": 0}.get(divergence, divergence)
    np.testing.assert_allclose(scaled.losses, np.array(plain.losses) * 2.0 ** (n * beta), rtol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_float32_is_close_to_float64(divergence):
    X = matrix(dtype=np.float32)
    single = factorize(X, 3, divergence=divergence, max_iter=30, tol=0)
    double = factorize(X.astype(np.float64), 3, divergence=divergence, max_iter=30, tol=0)
    assert single.factors.W.dtype == single.factors.Z.dtype == np.float32
    assert double.factors.W.dtype == double.factors.Z.dtype == np.float64
    V = double.factors.reconstruct()
    np.testing.assert_allclose(single.factors.reconstruct(), V, atol=1e-3 * V.max())
    np.testing.assert_allclose(single.losses, double.losses, rtol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        np.asfortranarray,
        lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
        lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
        lambda X: X.tolist(),
        lambda X: X.astype(np.int16),
        lambda X: X.astype(np.uint8),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(">f4"),
    ],
    ids=["fortran", "strided", "reversed", "list", "int16", "uint8", "float16", "big-endian"],
)
def test_layout_and_type_of_x_do_not_matter(make):
    X = np.round(matrix() * 10).clip(0, 255)  # whole numbers, which all of these types hold
    wanted, got = factorize(X, 3, max_iter=20), factorize(make(X), 3, max_iter=20)
    np.testing.assert_allclose(got.factors.W, wanted.factors.W, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(got.factors.Z, wanted.factors.Z, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_where_x_lies_in_memory_does_not_matter(seed):
    X = np.asarray(np.random.default_rng(seed).random((60, 50)), order="F")
    odd = np.ndarray(X.shape, X.dtype, bytearray(X.nbytes + 1), 1, order="F")  # as messages are taken apart
    odd[:] = X
    here, there = (factorize(A, 3, divergence="frobenius", max_iter=5).factors for A in (X, odd))
    assert (here.W.tobytes(), here.Z.tobytes()) == (there.W.tobytes(), there.Z.tobytes())


def test_a_matrix_of_booleans_is_one_of_zeros_and_ones():
    X = matrix() > 1
    assert_same_bits(factorize(X, 2, max_iter=10), factorize(X.astype(np.float32), 2, max_iter=10))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("divergence", ["kl", "frobenius", "is"])
def test_inputs_are_only_read(divergence, order):
    X = np.array(matrix(), order=order)
    X /= X.mean() * 1.5  # at this level, in Fortran order, X is used without a copy
    W, Z = np.full((20, 3), 0.5, np.float32), np.full((3, 30), 0.5, np.float32)
    W[:, 1] *= 2
    before = [A.copy() for A in (X, W, Z)]
    for A in (X, W, Z):
        A.flags.writeable = False
    for fixed in ((), ("W",), ("Z",), ("W", "Z")):
        factorize(X, 3, divergence=divergence, W=W, Z=Z, fixed=fixed, max_iter=3)
    factorize(X, 3, divergence=divergence, max_iter=3)
    for A, copy in zip((X, W, Z), before, strict=True):
        np.testing.assert_array_equal(A, copy)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.array([[1, np.nan]]), "NaN"),
        (np.array([[1, np.inf]]), "infinite"),
        (np.array([[np.inf, -np.inf]]), "infinite"),
        (np.array([[1.0, -1e-9]]), "negative"),
        (np.array([[1, -1]]), "negative"),
        (np.ones(3), "matrix"),
        (np.ones((2, 3, 4)), "matrix"),
        (np.ones((0, 3)), "matrix"),
        (np.ones((3, 0)), "matrix"),
        (np.ones((2, 2), complex), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
        (None, "matrix"),
    ],
    ids=lambda value: value if isinstance(value, str) else "X",
)
def test_what_is_no_finite_nonnegative_matrix_is_refused(X, words):
    with pytest.raises(UsageError, match=words):
        factorize(X, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, "at least 1, not 0"),
        ({"k": -1}, "at least 1"),
        ({"solver": "halss"}, "did you mean 'hals'"),
        ({"start": "rnd"}, "unknown"),
        ({"divergence": "k"}, "unknown"),
        ({"fixed": ("W",)}, "W is to be held fixed but is not given"),
        ({"fixed": ("H",)}, "only 'W' and 'Z'"),
        ({"W": np.ones((19, 2))}, r"\(19, 2\), not \(20, 2\)"),
        ({"Z": np.ones((3, 30))}, r"\(3, 30\), not \(2, 30\)"),
        ({"W": -np.ones((20, 2))}, "W holds negative"),
        ({"Z": np.full((2, 30), np.nan)}, "Z holds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_a_request_that_cannot_be_met_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        factorize(matrix(), **{"k": 2, **options})


def test_a_number_without_a_meaning_is_refused():
    with pytest.raises(UsageError, match="k must be a whole number"):
        factorize(matrix(), 2.5)
    with pytest.raises(UsageError, match="loss_every must be a whole number"):
        Execution(loss_every=0)


def test_more_components_than_the_rank_are_silent_and_said_to_be():
    fit = factorize(matrix(4, 30), 6)
    assert not fit.factors.Z[4:].any()
    assert "6 components" in fit.warnings[0]
    assert factorize(matrix(4, 30), 4).warnings == ()


def test_components_said_to_be_silent_are_so_from_a_random_start():
    fit = factorize(matrix(4, 30), 6, start="random")
    assert ("silent" in "".join(fit.warnings)) == (not fit.factors.Z.any(axis=1).all())


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_all_zero_is_factorized_into_silence_with_a_warning(divergence):
    fit = factorize(np.zeros((5, 7)), 3, divergence=divergence)
    np.testing.assert_allclose(fit.factors.reconstruct(), 0, atol=1e-10)
    assert "zero" in fit.warnings[0]
    assert np.isfinite(fit.losses).all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_zeros_and_silent_frames_leave_everything_finite(divergence):
    X = matrix()
    X[:4], X[:, 5:9] = 0, 0
    fit = factorize(X, 3, divergence=divergence)
    assert np.isfinite(fit.losses).all()
    assert np.isfinite(fit.factors.reconstruct()).all()


@pytest.mark.parametrize("beta", [-2.5, -3, -4])
def test_every_beta_admitted_can_be_computed(beta):
    X = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    X[:4], X[:, :4] = 0, 0
    try:
        losses = factorize(X, 3, divergence=beta, start="nndsvdar").losses
    except UsageError:  # not to admit it is as good
        return
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("beta", [1.5, 3])
def test_the_loss_is_never_negative(beta):
    X = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    X[0, 0] = 1e6  # one click in a quiet recording; the start already explains it, so that the loss is small
    assert min(factorize(X, 3, divergence=beta, start="nndsvdar", max_iter=30, tol=0).losses) >= 0


def test_columns_of_w_sum_to_one():
    np.testing.assert_allclose(factorize(matrix(), 3).factors.W.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("divergence", ["kl", "frobenius", "is"])
def test_permuting_frames_permutes_z(divergence):
    X = matrix(12, 30, np.float64)  # twelve bins: the sketch of the start is exact, in whatever order frames come
    order = np.random.default_rng(0).permutation(30)
    plain = factorize(X, 2, divergence=divergence, max_iter=50, tol=0).factors
    permuted = factorize(X[:, order], 2, divergence=divergence, max_iter=50, tol=0).factors
    np.testing.assert_allclose(permuted.W, plain.W, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(permuted.Z, plain.Z[:, order], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("level", [1e-6, 1, 1e6])
def test_given_factors_are_the_exact_start_in_the_units_of_x(level):
    rng = np.random.default_rng(0)
    W, Z = rng.random((20, 3)), level * rng.random((3, 30))
    fit = factorize(level * matrix(dtype=np.float64), 3, W=W, Z=Z, max_iter=0)
    np.testing.assert_allclose(fit.factors.reconstruct(), W @ Z, rtol=1e-12)
    both = factorize(level * matrix(dtype=np.float64), 3, W=W, Z=Z, fixed=("W", "Z"), max_iter=5)
    np.testing.assert_array_equal(both.factors.W, W)
    np.testing.assert_array_equal(both.factors.Z, Z)
    # and an exact factorization is a fixed point, of no loss
    exact = factorize(W @ Z, 3, W=W, Z=Z, max_iter=5, tol=0)
    np.testing.assert_allclose(exact.factors.reconstruct(), W @ Z, rtol=1e-9)
    assert abs(exact.losses[0]) < 1e-10 * level


@pytest.mark.parametrize("level", [1e-6, 1, 1e6])
def test_activations_that_are_not_given_start_at_the_level_of_x(level):
    X = level * matrix(dtype=np.float64)
    W = 7 * np.random.default_rng(0).random((20, 3))
    assert factorize(X, 3, W=W, max_iter=0).factors.reconstruct().mean() == pytest.approx(X.mean(), rel=1e-6)


def test_templates_that_are_not_given_start_at_the_level_of_x():
    X = matrix(dtype=np.float64)
    Z = 1000 * np.random.default_rng(0).random((3, 30))
    V = factorize(X, 3, Z=Z, max_iter=0).factors.reconstruct()
    assert V.mean() == pytest.approx(X.mean(), rel=0.3)


def test_templates_that_are_not_given_start_unequal():
    W = factorize(matrix(), 3, Z=np.ones((3, 30)), max_iter=5).factors.W
    assert abs(W[:, 0] - W[:, 1]).max() > 1e-3


@pytest.mark.parametrize(("divergence", "solver"), [("kl", "mu"), ("is", "mu"), (2, "hals"), (2, "mu"), (1.5, "mu")])
def test_threads_do_not_change_a_bit(divergence, solver, monkeypatch):
    X = matrix(260, 600)  # large enough for the blocked kernels
    monkeypatch.setattr(blocked, "TILE", 1 << 12)  # and for several tiles in each span
    first = factorize(X, 3, divergence=divergence, solver=solver, max_iter=5, threads=1)
    assert_same_bits(first, factorize(X, 3, divergence=divergence, solver=solver, max_iter=5, threads=2))


@pytest.mark.parametrize("start", ["random", "nndsvda", "nndsvdar"])
def test_the_same_seed_gives_the_same_bits(start):
    assert_same_bits(*(factorize(matrix(), 3, start=start, seed=5, max_iter=5) for _ in range(2)))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_losses_told_to_the_callback_never_rise_and_are_those_of_the_fit(divergence):
    told = []
    fit = factorize(
        matrix(), 3, divergence=divergence, callback=lambda *call: told.append(call), execution=Execution(loss_every=3)
    )
    assert [n for n, _ in told] == list(fit.evaluated[1:])
    losses = np.array([loss for _, loss in told])
    assert np.diff(losses).max() <= 1e-5 * losses[0]


def test_the_callback_hears_the_losses_of_the_result():
    told = []
    fit = factorize(1000 * matrix(), 3, callback=lambda _, loss: told.append(loss), max_iter=20)
    np.testing.assert_allclose(told, fit.losses[1:], rtol=1e-6)


def test_how_often_the_loss_is_taken_does_not_change_when_the_fit_stops():
    # tol is a share of the loss gained in ten iterations; looking more often may end a few iterations earlier
    stops = [factorize(matrix(), 3, execution=Execution(loss_every=every), max_iter=1000).n_iter for every in (1, 10)]
    assert abs(stops[0] - stops[1]) <= 10


def test_a_start_with_zeros_is_refused_or_warned_of_where_the_solver_cannot_leave_them():
    try:
        warnings = factorize(matrix(), 3, start="nndsvd", solver="mu", max_iter=5).warnings
    except UsageError:
        return
    assert any("nndsvd" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("level", "dtype"), [(1e-310, np.float64), (1e305, np.float64), (1e-40, np.float32), (5e36, np.float32)]
)
def test_levels_at_the_ends_of_what_numbers_hold_are_factorized(level, dtype):
    X = (matrix(dtype=np.float64) * level).astype(dtype)
    fit = factorize(X, 3, max_iter=20)
    assert np.isfinite(fit.factors.W).all()
    assert np.isfinite(fit.factors.Z).all()
