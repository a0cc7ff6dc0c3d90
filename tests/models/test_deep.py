import doctest
from importlib import import_module

import numpy as np
import pytest

from nmfsep import Factors, deep_nmf, deep_semi_nmf, factorize, semi_nmf
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.divergence import Beta, as_divergence, frobenius
from nmfsep.models.deep import Chain, descend_between
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem

divergences = pytest.mark.parametrize("divergence", ["kl", "frobenius", "is", 0.5, 1.5, 3])
orientations = pytest.mark.parametrize("free", ["W", "Z"])


def matrix(bins=20, frames=30, dtype=np.float64, signed=False):
    rng = np.random.default_rng(1)
    X = (rng.standard_normal((bins, frames)) if signed else 0.05 + rng.gamma(0.5, 1, (bins, frames))).astype(dtype)
    X.flags.writeable = False
    return X


def nested(seed=0):
    """Six parts that each have bins of their own, in three pairs, in frames where each pair is once alone."""
    rng = np.random.default_rng(seed)
    W1 = np.kron(np.eye(6), rng.uniform(0.5, 1, (4, 1)))
    W2 = np.kron(np.eye(3), rng.uniform(0.5, 1, (2, 1)))
    Z = rng.random((3, 40)) * (rng.random((3, 40)) < 0.6)
    Z[:, :3] = np.eye(3)
    return W1, W2, Z


def slack(dtype):
    return 1e-12 if dtype == np.float64 else 2e-5


def test_the_example_of_the_docstring_runs():
    result = doctest.testmod(import_module("nmfsep.models.deep"))
    assert result.attempted > 0
    assert result.failed == 0


@divergences
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [(9, 5, 2), (6, 3), (4,), (7, 6, 5, 4)])
def test_refinement_never_raises_the_loss_and_keeps_every_factor_nonnegative(divergence, dtype, levels):
    result = deep_nmf(matrix(dtype=dtype), levels, divergence=divergence, max_iter=60, tol=0)
    assert result.levels == levels
    assert np.diff(result.losses).max() <= slack(dtype) * result.losses[0]
    for factor in (*result.layers, result.Z):
        assert factor.dtype == dtype
        assert factor.min() >= 0
        assert np.isfinite(factor).all()


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("free", [None, "W", "Z"])
def test_no_single_step_raises_the_loss(beta, free, workers):
    if free and beta != 2:
        pytest.skip("signed factors are for beta 2")
    rng = np.random.default_rng(3)
    X, W, A, B, Z = matrix(), rng.random((20, 6)), rng.random((6, 4)), rng.random((4, 2)), rng.random((2, 30))
    chain = Chain([A, B], Z)
    problem = Problem(Beta(beta), free=frozenset({free} if free else ()))
    begin, stop = Factors(W, A @ B @ Z), Stop(50, 0, None, 1)
    losses = fit(np.ascontiguousarray(X.T), begin, problem, chain, stop, workers).losses
    assert np.diff(losses).max() <= 1e-12 * losses[0]
    assert losses[-1] < 0.95 * losses[1]


@orientations
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signed_refinement_never_raises_the_loss_and_keeps_signs(free, dtype):
    result = deep_semi_nmf(matrix(dtype=dtype, signed=True), (9, 5, 2), free=free, max_iter=100, tol=0)
    assert result.Z.dtype == np.float64
    assert np.diff(result.losses).max() <= 1e-12 * result.losses[0]
    assert result.losses[0] < 0.5 * np.sum(matrix(signed=True) ** 2)
    signed, bound = (result.layers, [result.Z]) if free == "W" else ([result.Z], result.layers)
    assert all(factor.min() < 0 for factor in signed)
    assert all(factor.min() >= 0 for factor in bound)


@divergences
@pytest.mark.parametrize("level", [1e-5, 1, 1e5])
def test_the_losses_are_those_of_the_factors_at_every_level(divergence, level):
    X = level * matrix()
    told = []
    result = deep_nmf(X, (7, 3), divergence=divergence, max_iter=20, callback=lambda *call: told.append(call))
    for number in (1, 2):
        V = result.level(number).reconstruct()
        assert as_divergence(divergence).value(X, V) == pytest.approx(result.losses[-1], rel=1e-6)
    iterations = [iteration for iteration, _ in told]
    assert iterations == sorted(set(iterations))
    assert told[-1] == (sum(stage.n_iter for stage in result.pretraining) + result.n_iter, result.losses[-1])


def test_every_level_reconstructs_the_same_and_the_coarsest_is_the_result():
    result = deep_nmf(matrix(), (9, 5, 2))
    V = result.layers[0] @ result.layers[1] @ result.layers[2] @ result.Z
    for number, parts in ((1, 9), (2, 5), (3, 2)):
        factors = result.level(number)
        assert factors.components == parts
        np.testing.assert_allclose(factors.reconstruct(), V, rtol=1e-12)
        np.testing.assert_allclose(factors.W.sum(axis=0), 1)
    np.testing.assert_array_equal(result.factors.W, result.level(3).W)
    np.testing.assert_array_equal(result.factors.Z, result.Z)


def likeness(A, B):
    """Cosines between the columns of A and of B."""
    return (A / np.linalg.norm(A, axis=0)).T @ (B / np.linalg.norm(B, axis=0))


@pytest.mark.parametrize("divergence", ["kl", "frobenius"])
@pytest.mark.parametrize("seed", range(3))
def test_nested_products_are_recovered(divergence, seed):
    W1, W2, Z = nested(seed)
    X = W1 @ W2 @ Z
    result = deep_nmf(X, (6, 3), divergence=divergence, max_iter=500, tol=0)
    assert np.abs(X - result.level(1).reconstruct()).max() < 0.01 * X.max()
    found = likeness(W1 @ W2, result.level(2).W)
    assert sorted(found.argmax(axis=1)) == [0, 1, 2]
    assert found.max(axis=1).min() > 0.999


@pytest.mark.parametrize(("divergence", "seed"), [("frobenius", 0), ("frobenius", 1), ("frobenius", 2), ("kl", 0)])
def test_the_tree_puts_parts_with_those_they_sound_with(divergence, seed):
    W1, W2, Z = nested(seed)
    rng = np.random.default_rng(seed)
    # at times each part sounds by itself: only then is it known as a part
    X = W1 @ (W2 @ Z + rng.random((6, 40)) * (rng.random((6, 40)) < 0.3))
    result = deep_nmf(X, (6, 3), divergence=divergence, max_iter=300, tol=0)
    found = likeness(W1, result.layers[0])
    order = found.argmax(axis=1)
    assert sorted(order) == list(range(6))
    assert found.max(axis=1).min() > 0.99
    parents = result.parents(1)[order]
    assert parents[0::2].tolist() == parents[1::2].tolist()
    assert sorted(parents[0::2]) == [0, 1, 2]


@pytest.mark.parametrize("free", ["W", "Z"])
def test_exact_signed_products_are_recovered(free):
    rng = np.random.default_rng(4)
    W1, W2, Z = (rng.random(shape) * (rng.random(shape) < 0.7) for shape in ((20, 6), (6, 3), (3, 50)))
    if free == "W":
        W1, W2 = rng.standard_normal((20, 6)), rng.standard_normal((6, 3))
    else:
        Z = rng.standard_normal((3, 50))
    X = W1 @ W2 @ Z
    result = deep_semi_nmf(X, (6, 3), free=free, max_iter=500, tol=0)
    assert np.linalg.norm(X - result.factors.reconstruct()) < 0.02 * np.linalg.norm(X)


def test_an_exact_start_is_a_fixed_point(workers):
    W1, W2, Z = nested()
    chain = Chain([W2], Z)
    Xt = np.ascontiguousarray((W1 @ W2 @ Z).T)
    for beta in (1.0, 2.0):
        result = fit(Xt, Factors(W1, W2 @ Z), Problem(Beta(beta)), chain, Stop(5, 0, None, 1), workers)
        np.testing.assert_allclose(result.factors.reconstruct(), Xt.T, atol=1e-9)
        np.testing.assert_allclose(result.factors.W @ chain.between[0] @ chain.Zt.T, Xt.T, atol=1e-9)


def test_a_single_level_is_plain_factorization():
    X = matrix()
    deep, plain = (
        deep_nmf(X, (4,), divergence=2, max_iter=500, tol=0),
        factorize(X, 4, divergence=2, max_iter=500, tol=0),
    )
    assert deep.losses[0] == pytest.approx(plain.losses[-1])
    assert deep.losses[-1] <= plain.losses[-1] * (1 + 1e-12)


def test_with_every_template_free_the_depth_adds_nothing_to_the_fit():
    # W_1 … W_L is any matrix, so that the model is the semi-NMF of the last level
    X = matrix(signed=True)
    deep = deep_semi_nmf(X, (9, 3), max_iter=500, tol=0).losses[-1]
    assert deep == pytest.approx(semi_nmf(X, 3, max_iter=500, tol=0).losses[-1], rel=0.05)
    assert deep >= 0.5 * (np.linalg.svd(X, compute_uv=False)[3:] ** 2).sum()


def test_shares_do_not_depend_on_scale_and_sum_to_one():
    result = deep_nmf(matrix(), (7, 3))
    shares = result.shares(1)
    assert shares.shape == (7, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    # of the activation of part i, that on behalf of j
    Z = result.level(2).Z
    by_hand = [[sum(result.layers[1][i, j] * Z[j]) / sum(result.level(1).Z[i]) for j in range(3)] for i in range(7)]
    np.testing.assert_allclose(shares, by_hand, rtol=1e-9)
    np.testing.assert_array_equal(result.parents(1), shares.argmax(axis=1))
    scaled = deep_nmf(1024 * matrix(), (7, 3))
    np.testing.assert_allclose(scaled.shares(1), shares, rtol=1e-9)


def test_a_middle_factor_descends_to_the_minimum_that_nnls_finds():
    from scipy.optimize import nnls

    rng = np.random.default_rng(5)
    A, B, X = rng.random((12, 4)) * [1, 100, 0.01, 1], rng.random((3, 15)), rng.random((12, 15)) - 0.3
    wanted = nnls(np.kron(A, B.T), X.ravel())[0].reshape(4, 3)
    M = np.ones((4, 3))
    for _ in range(500):
        descend_between(A.T @ X @ B.T, A.T @ A, B @ B.T, M)
    np.testing.assert_allclose(M, wanted, atol=1e-5 * wanted.max())
    assert (wanted == 0).any()


def test_a_middle_factor_between_silent_parts_stays_finite():
    M = np.ones((2, 2))
    descend_between(np.zeros((2, 2)), np.diag([1.0, 0]), np.zeros((2, 2)), M)
    assert np.isfinite(M).all()


@pytest.mark.parametrize("model", [deep_nmf, deep_semi_nmf])
@pytest.mark.parametrize("X", [np.zeros((5, 7)), np.ones((5, 7)), np.ones((1, 1)), np.eye(4)], ids=str)
def test_degenerate_matrices_stay_finite(model, X):
    result = model(X, (3, 2), max_iter=30)
    assert np.isfinite(result.losses).all()
    for number in (1, 2):
        assert np.isfinite(result.level(number).reconstruct()).all()
    assert np.isfinite(result.shares(1)).all()
    if not X.any():
        assert "zero" in result.warnings[0]


@divergences
def test_silent_frames_and_bins_stay_finite(divergence):
    X = matrix().copy()
    X[:4], X[:, 5:9] = 0, 0
    result = deep_nmf(X, (6, 3), divergence=divergence)
    assert np.isfinite(result.losses).all()
    assert np.isfinite(result.factors.reconstruct()).all()


@pytest.mark.parametrize("divergence", ["kl", "frobenius"])
def test_more_parts_than_the_rank_are_warned_of(divergence):
    result = deep_nmf(matrix(4, 30), (8, 6, 2), divergence=divergence)
    assert "8 components are more than the 4" in result.warnings[0]
    assert np.isfinite(result.losses).all()
    np.testing.assert_allclose(result.shares(1).sum(axis=1), 1)


def test_parts_that_are_silent_are_shared_evenly():
    result = deep_nmf(matrix(4, 30), (8, 2), divergence=2, max_iter=0)
    silent = ~result.level(1).Z.any(axis=1)
    assert silent.any()
    np.testing.assert_array_equal(result.shares(1)[silent], 0.5)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ((4, 12), "fewer parts from one to the next, not 4, 12"),
        ((40, 4, 12), "not 40, 4, 12; start with the finest"),
        ((4, 4), "fewer parts"),
        ((), "levels must be a list"),
        (4, "levels must be a list"),
        ("40,12", "levels must be a list"),
        ((4, 0), "each level must be a whole number of at least 1, not 0"),
        ((4.5, 2), "each level must be"),
    ],
    ids=str,
)
@pytest.mark.parametrize("model", [deep_nmf, deep_semi_nmf])
def test_levels_that_make_no_sense_are_refused_in_a_line(model, levels, words):
    with pytest.raises(UsageError, match=words) as refusal:
        model(matrix(), levels)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "X", "options", "words"),
    [
        (deep_nmf, [[1, np.nan]], {}, "NaN"),
        (deep_nmf, [[1, -1.0]], {}, "negative"),
        (deep_nmf, np.ones(3), {}, "matrix"),
        (deep_nmf, np.ones((3, 3)), {"divergence": "k"}, "unknown"),
        (deep_semi_nmf, [[1, np.inf]], {}, "infinite"),
        (deep_semi_nmf, np.ones((3, 3)), {"free": "H"}, "free must be"),
        (deep_semi_nmf, np.ones((3, 3)), {"solver": "hal"}, "did you mean"),
    ],
    ids=["nan", "negative", "vector", "divergence", "inf", "free", "solver"],
)
def test_what_cannot_be_done_is_refused(model, X, options, words):
    with pytest.raises(UsageError, match=words):
        model(X, (2, 1), **options)


@pytest.mark.parametrize("level", [0, 3, -1, 1.5])
def test_a_level_that_does_not_exist_is_refused(level):
    result = deep_nmf(matrix(), (4, 2), max_iter=1)
    with pytest.raises(UsageError, match="no level"):
        result.level(level)
    with pytest.raises(UsageError, match="no level"):
        result.parents(2)


@pytest.mark.parametrize("divergence", ["kl", "frobenius", 0.5])
@pytest.mark.parametrize("n", [-20, 20])
def test_a_level_of_a_power_of_two_goes_into_z_bit_for_bit(divergence, n):
    X = matrix(dtype=np.float32)
    plain, loud = (deep_nmf(Y, (6, 3), divergence=divergence, max_iter=20) for Y in (X, X * np.float32(2.0**n)))
    for quiet_layer, loud_layer in zip(plain.layers, loud.layers, strict=True):
        np.testing.assert_array_equal(loud_layer, quiet_layer)
    np.testing.assert_array_equal(loud.Z, plain.Z * np.float32(2.0**n))


@pytest.mark.parametrize("model", [deep_nmf, deep_semi_nmf])
@pytest.mark.parametrize("divergence", ["kl", "frobenius"])
def test_threads_and_runs_change_no_bit_and_tiles_only_round(model, divergence, monkeypatch):
    X = matrix(260, 400, np.float32)  # large enough for the blocked kernels
    options = {"start": "random", "seed": 3, "max_iter": 5, "tol": 0}
    if model is deep_nmf:
        options["divergence"] = divergence
    whole = model(X, (6, 3), **options)
    monkeypatch.setattr(blocked, "TILE", 1 << 12)
    runs = [model(X, (6, 3), threads=threads, **options) for threads in (1, 1, 2)]
    for other in runs[1:]:
        for a, b in zip(runs[0].layers, other.layers, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(runs[0].Z, other.Z)
    assert runs[0].losses[-1] == pytest.approx(whole.losses[-1], rel=1e-3)


def test_no_time_does_one_iteration_of_each_stage():
    result = deep_nmf(matrix(), (6, 3), time_limit=0)
    assert [stage.n_iter for stage in result.pretraining] == [1, 1]
    assert result.n_iter == 1


def test_inputs_are_only_read(workers):
    X, (W1, W2, Z) = matrix(), nested()
    copies = [A.copy() for A in (X, W2, Z)]
    deep_nmf(X, (4, 2), divergence=2, max_iter=5)
    for free in ((), {"W"}, {"Z"}):
        problem = Problem(frobenius, free=frozenset(free))
        Xt = np.random.default_rng(0).random((40, 24))
        fit(Xt, Factors(W1, W2 @ Z), problem, Chain([W2], Z), Stop(3, 0), workers)
    for A, copy in zip((X, W2, Z), copies, strict=True):
        np.testing.assert_array_equal(A, copy)
