import doctest
from importlib import import_module

import numpy as np
import pytest

from nmfsep import Factors, semi_nmf
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.divergence import frobenius
from nmfsep.models.semi import svd
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.registry import SIGNED_SOLVERS, SIGNED_STARTS

orientations = pytest.mark.parametrize("free", ["W", "Z"])
solvers = pytest.mark.parametrize("solver", SIGNED_SOLVERS)
starts = pytest.mark.parametrize("start", SIGNED_STARTS)


def matrix(bins=14, frames=30, dtype=np.float64, seed=0):
    X = np.random.default_rng(seed).standard_normal((bins, frames)).astype(dtype)
    X.flags.writeable = False
    return X


def error(Y, result):
    return np.linalg.norm(Y - result.factors.reconstruct())


def tail(Y, rank):
    """Error of the best approximation of that rank (Eckart & Young)."""
    return np.sqrt((np.linalg.svd(Y, compute_uv=False)[rank:] ** 2).sum())


def test_the_example_of_the_docstring_runs():
    result = doctest.testmod(import_module("nmfsep.models.semi"))
    assert result.attempted > 0
    assert result.failed == 0


@orientations
@solvers
@starts
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_one_factor_is_nonnegative_the_other_signed_and_the_loss_never_rises(free, solver, start, dtype, k):
    losses = []
    result = semi_nmf(
        matrix(dtype=dtype),
        k,
        free=free,
        solver=solver,
        start=start,
        max_iter=200,
        tol=0,
        callback=lambda _, v: losses.append(v),
    )
    bound, signed = (result.factors.Z, result.factors.W) if free == "W" else (result.factors.W, result.factors.Z)
    assert bound.min() >= 0
    assert signed.min() < 0
    assert bound.dtype == signed.dtype == dtype
    slack = 1e-12 if dtype == np.float64 else 1e-5
    assert np.diff(result.losses).max() <= slack * result.losses[0]
    np.testing.assert_allclose(losses, result.losses[1:])
    assert 0.5 * error(matrix(), result) ** 2 == pytest.approx(result.losses[-1], rel=1e-4)


@orientations
@solvers
def test_every_single_step_lowers_the_loss(free, solver, workers):
    rng = np.random.default_rng(2)
    Y, factors = matrix(), Factors(rng.random((14, 3)), rng.random((3, 30)))
    problem = Problem(frobenius, free=frozenset({free}))
    stop = Stop(40, 0, None, 1)
    losses = fit(np.ascontiguousarray(Y.T), factors, problem, SIGNED_SOLVERS.load(solver)(), stop, workers).losses
    assert np.diff(losses).max() <= 1e-12 * losses[0]
    assert losses[-1] < 0.9 * losses[1]


@orientations
@pytest.mark.parametrize("k", [1, 2, 3, 7, 14, 15, 20])
@pytest.mark.parametrize("shape", [(14, 30), (30, 14), (14, 14)])
def test_the_svd_start_is_at_most_the_error_of_the_best_rank_k_minus_1(free, k, shape):
    Y = matrix(*shape)
    begin = semi_nmf(Y, k, free=free, start="svd", max_iter=0)
    assert error(Y, begin) <= tail(Y, k - 1) + 1e-10
    assert (begin.factors.Z if free == "W" else begin.factors.W).min() >= 0
    # and no fit of rank k can be better than the best approximation of rank k
    assert error(Y, semi_nmf(Y, k, free=free, max_iter=300, tol=0)) >= tail(Y, k) - 1e-10


@orientations
@solvers
def test_the_guarantee_survives_the_first_steps(free, solver):
    Y = matrix()
    for n in (0, 1, 5):
        assert error(Y, semi_nmf(Y, 6, free=free, solver=solver, max_iter=n, tol=0)) <= tail(Y, 5) + 1e-9


def test_the_start_for_one_component_is_the_better_half_of_the_leading_pair():
    Y = matrix()
    V = np.linalg.svd(Y)[2]
    halves = [np.maximum(sign * V[0], 0) for sign in (1, -1)]
    errors = [np.linalg.norm(Y - np.outer(Y @ v, v) / (v @ v)) for v in halves]
    begin = svd(np.ascontiguousarray(Y.T), 1, np.random.default_rng(0))
    assert np.linalg.norm(Y - begin.reconstruct()) == pytest.approx(min(errors))


@orientations
def test_orientations_are_transposes_of_each_other(free):
    Y = matrix()
    first = semi_nmf(Y, 4, free=free, tol=0, max_iter=500)
    second = semi_nmf(Y.T, 4, free={"W": "Z", "Z": "W"}[free], tol=0, max_iter=500)
    # which factor is updated first differs, the minimum does not
    assert first.losses[0] == pytest.approx(second.losses[0], rel=1e-9)
    assert first.losses[-1] == pytest.approx(second.losses[-1], rel=2e-2)


def test_mu_steps_are_the_formula_of_ding_li_and_jordan(workers):
    rng = np.random.default_rng(3)
    Y, F, H = matrix(), rng.standard_normal((14, 3)), rng.random((3, 30)) + 0.1
    problem = Problem(frobenius, free=frozenset({"W"}))
    got = fit(
        np.ascontiguousarray(Y.T), Factors(F, H), problem, SIGNED_SOLVERS.load("mu")(), Stop(3, 0, None, 1), workers
    ).factors

    def parts(A):
        return (np.abs(A) + A) / 2, (np.abs(A) - A) / 2

    for _ in range(3):
        (P, p), (G, g) = parts(F.T @ Y), parts(F.T @ F)
        H = H * np.sqrt((P + g @ H) / (p + G @ H))
        F = Y @ np.linalg.pinv(H)
    np.testing.assert_allclose(got.Z, H, rtol=1e-8)
    np.testing.assert_allclose(got.W, F, rtol=1e-8, atol=1e-10)


@orientations
def test_hals_reaches_a_point_that_satisfies_the_kkt_conditions(free):
    # one component, since with more the infimum need not be attained; columns of Y point both ways
    Y = matrix() if free == "W" else matrix().T
    factors = semi_nmf(Y, 1, free=free, max_iter=3000, tol=0).factors
    gradients = (factors.reconstruct() - Y) @ factors.Z.T, factors.W.T @ (factors.reconstruct() - Y)
    on_free, on_bound = gradients if free == "W" else gradients[::-1]
    bound = factors.Z if free == "W" else factors.W
    level = np.linalg.norm(Y)
    assert np.abs(on_free).max() < 1e-6 * level * np.abs(bound).max()
    assert on_bound.min() > -1e-6 * level
    assert np.abs(bound * on_bound).max() < 1e-6 * level * bound.max()
    assert (bound == 0).any()


@orientations
@solvers
def test_an_exact_model_is_recovered(free, solver):
    rng = np.random.default_rng(7)
    Z = rng.random((3, 40)) * (rng.random((3, 40)) < 0.5)
    Z[:, :3] = np.eye(3)
    Y = rng.standard_normal((12, 3)) @ Z
    Y = Y if free == "W" else Y.T
    assert error(Y, semi_nmf(Y, 3, free=free, solver=solver, max_iter=3000, tol=0)) < 0.03 * np.linalg.norm(Y)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("solver", SIGNED_SOLVERS)
def test_threads_and_runs_change_no_bit(solver, seed, monkeypatch):
    monkeypatch.setattr(blocked, "TILE", 1 << 12)
    Y = matrix(260, 400, np.float32, seed)
    runs = [
        semi_nmf(Y, 4, solver=solver, start="random", seed=seed, max_iter=5, threads=threads).factors
        for threads in (1, 1, 2)
    ]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].W, other.W)
        np.testing.assert_array_equal(runs[0].Z, other.Z)


@orientations
@pytest.mark.parametrize("n", [-20, 20])
def test_a_level_of_a_power_of_two_goes_into_z_bit_for_bit(free, n):
    plain, scaled = semi_nmf(matrix(), 3, free=free), semi_nmf(matrix() * 2.0**n, 3, free=free)
    np.testing.assert_array_equal(scaled.factors.W, plain.factors.W)
    np.testing.assert_array_equal(scaled.factors.Z, plain.factors.Z * 2.0**n)
    np.testing.assert_allclose(scaled.losses, np.array(plain.losses) * 4.0**n, rtol=1e-12)


@orientations
@solvers
@starts
def test_degenerate_matrices_stay_finite(free, solver, start):
    for Y in (np.zeros((5, 7)), -np.ones((5, 7)), np.ones((1, 1)), matrix(1, 9), matrix(9, 1)):
        result = semi_nmf(Y, 3, free=free, solver=solver, start=start, max_iter=20)
        assert np.isfinite(result.losses).all()
        assert np.isfinite(result.factors.reconstruct()).all()
        assert np.isfinite(result.factors.W).all()
    np.testing.assert_allclose(semi_nmf(np.zeros((5, 7)), 3).factors.reconstruct(), 0, atol=1e-12)
    assert "zero" in semi_nmf(np.zeros((5, 7)), 3).warnings[0]


def test_a_constant_negative_matrix_is_modelled_by_one_component():
    assert error(-np.ones((5, 7)), semi_nmf(-np.ones((5, 7)), 1)) < 1e-10


def test_components_beyond_what_can_be_used_are_warned_of():
    assert semi_nmf(matrix(4, 30), 5).warnings == ()
    assert "6 components are more than the 5" in semi_nmf(matrix(4, 30), 6).warnings[0]


@pytest.mark.parametrize(
    ("Y", "options", "words"),
    [
        (np.array([[1, np.nan]]), {}, "NaN"),
        (np.array([[-np.inf, np.inf]]), {}, "infinite"),
        (np.ones(3), {}, "matrix"),
        (np.ones((2, 2)), {"k": 0}, "at least 1"),
        (np.ones((2, 2)), {"free": "H"}, "free must be 'W' or 'Z'"),
        (np.ones((2, 2)), {"solver": "hal"}, "did you mean 'hals'"),
        (np.ones((2, 2)), {"start": "sv"}, "did you mean 'svd'"),
    ],
    ids=lambda value: "X" if isinstance(value, np.ndarray) else str(value),
)
def test_what_cannot_be_done_is_refused_in_a_sentence(Y, options, words):
    with pytest.raises(UsageError, match=words):
        semi_nmf(Y, **{"k": 2, **options})
