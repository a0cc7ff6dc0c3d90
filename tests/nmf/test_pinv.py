import numpy as np
import pytest

from nmfsep import Factors, factorize
from nmfsep.kernels.divergence import frobenius
from nmfsep.kernels.reference import Kernels
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers import State
from nmfsep.nmf.solvers.pinv import Pinv

PROBLEM = Problem(frobenius)


def problem(seed=4, bins=12, frames=15, k=3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.gamma(2, 0.5, (bins, frames))
    return (A.astype(dtype) for A in (X, rng.uniform(0.1, 1, (bins, k)), rng.uniform(0.1, 1, (k, frames))))


def prepared(X, W, Z, workers):
    state = State.of(Factors(W, Z), Kernels(), workers)
    solver = Pinv()
    solver.start(X.T, state, PROBLEM)
    return solver, state


@pytest.mark.parametrize("seed", range(5))
def test_each_step_is_the_formula(seed, workers):
    X, W, Z = problem(seed)
    solver, state = prepared(X, W, Z, workers)
    for _ in range(6):
        W = np.maximum(X @ np.linalg.pinv(Z), 0)
        Z = np.maximum(np.linalg.pinv(W) @ X, 0)
        solver.step(np.ascontiguousarray(X.T), state, PROBLEM)
        np.testing.assert_allclose(state.Wt.T, W, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(state.Zt.T, Z, rtol=1e-8, atol=1e-10)


def test_more_frames_than_a_tile_give_the_formula_as_well(workers):
    X, W, Z = problem(frames=700)
    solver, state = prepared(X, W, Z, workers)
    W = np.maximum(X @ np.linalg.pinv(Z), 0)
    solver.step(np.ascontiguousarray(X.T), state, PROBLEM)
    np.testing.assert_allclose(state.Zt.T, np.maximum(np.linalg.pinv(W) @ X, 0), rtol=1e-8, atol=1e-10)


def test_the_loss_does_rise_and_what_is_returned_is_the_best_iterate(workers):
    # otherwise nothing would have to be kept: here the formula by itself gets worse
    for seed in range(20):
        X, W, Z = problem(seed, 12, 40, 5)
        X[X < 0.6] = 0
        w, z, plain = W, Z, []
        for _ in range(60):
            w = np.maximum(X @ np.linalg.pinv(z), 0)
            z = np.maximum(np.linalg.pinv(w) @ X, 0)
            plain.append(0.5 * np.sum((X - w @ z) ** 2))
        if min(plain) < 0.999 * plain[-1]:
            break
    else:
        pytest.fail("no start made the heuristic rise")
    result = fit(np.ascontiguousarray(X.T), Factors(W, Z), PROBLEM, Pinv(), Stop(60, 0, None, 1), workers)
    assert result.losses[-1] == pytest.approx(min(plain), rel=1e-6)
    assert 0.5 * np.sum((X - result.factors.reconstruct()) ** 2) == pytest.approx(min(plain), rel=1e-6)


@pytest.mark.parametrize("zero", ["W", "Z", "both"])
def test_a_dead_component_takes_on_the_frame_explained_worst(zero, workers):
    X, W, Z = problem()
    X[:, 7] *= 20
    if zero != "Z":
        W[:, 1] = 0
    if zero != "W":
        Z[1] = 0
    solver, state = prepared(X, W, Z, workers)
    if zero == "W":  # templates come first, so this one is found again from its activations
        solver.step(np.ascontiguousarray(X.T), state, PROBLEM)
        assert state.Wt[1].any()
        return
    w = np.maximum(X @ np.linalg.pinv(Z), 0)
    z = np.maximum(np.linalg.pinv(w) @ X, 0)
    rest = np.maximum(X - w @ z, 0)
    worst = np.argmax((rest**2).sum(axis=0))
    solver.step(np.ascontiguousarray(X.T), state, PROBLEM)
    np.testing.assert_allclose(state.Wt[1], rest[:, worst], rtol=1e-8)
    np.testing.assert_array_equal(np.flatnonzero(state.Zt[:, 1]), [worst])
    result = fit(np.ascontiguousarray(X.T), Factors(W, Z), PROBLEM, Pinv(), Stop(30, 0, None, 1), workers)
    alive = result.factors.energies() > 1e-6 * result.factors.energies().max()
    assert alive.all()


def test_fixed_templates_that_match_nothing_are_not_reseeded(workers):
    X, W, Z = problem()
    X[6:] = 0
    W[:, 1] = np.arange(12) >= 6  # sounds where X is silent
    W[6:, [0, 2]] = 0
    problem_ = Problem(frobenius, frozenset({"W"}))
    result = fit(np.ascontiguousarray(X.T), Factors(W, Z), problem_, Pinv(), Stop(3, 0, None, 1), workers)
    np.testing.assert_array_equal(result.factors.W, W)
    np.testing.assert_allclose(result.factors.Z[1], 0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_an_exact_model_leaves_of_x_is_rounding_and_no_template(dtype):
    _, W, Z = problem(k=4)
    W[:, 2:], Z[2:] = 0, 0
    result = factorize((W @ Z).astype(dtype), 4, divergence=2, solver="pinv", W=W, Z=Z, max_iter=30, tol=0)
    assert not result.factors.Z[2:].any()
    np.testing.assert_allclose(result.factors.reconstruct(), W @ Z, rtol=50 * np.finfo(dtype).eps)


def test_collinear_components_are_no_obstacle(workers):
    X, W, Z = problem()
    W[:, 1], Z[1] = W[:, 0], Z[0]
    result = fit(np.ascontiguousarray(X.T), Factors(W, Z), PROBLEM, Pinv(), Stop(10, 0, None, 1), workers)
    assert np.isfinite(result.factors.reconstruct()).all()
    assert result.losses[-1] < result.losses[0]


def test_the_scale_of_the_start_changes_no_step(workers):
    X, W, Z = problem()
    D = 2.0 ** np.array([-20, 0, 20])
    runs = [
        fit(np.ascontiguousarray(X.T), Factors(*pair), PROBLEM, Pinv(), Stop(5, 0, None, 1), workers)
        for pair in ((W, Z), (W * D, Z / D[:, None]))
    ]
    np.testing.assert_allclose(runs[0].factors.reconstruct(), runs[1].factors.reconstruct(), rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_that_are_nearly_silent_do_not_overflow(dtype, workers):
    X, W, Z = problem(dtype=dtype)
    solver, state = prepared(X, W, Z, workers)
    for _ in range(10):
        state.Zt[:, 1] *= dtype(1e-6)  # its template comes out a million times as large, and so on
        solver.step(np.ascontiguousarray(X.T), state, PROBLEM)
        assert np.isfinite(state.Wt).all()
        assert np.isfinite(state.Zt).all()
        assert state.Wt.max() < 2**21
    V, wanted = state.Zt @ state.Wt, run_formula(*problem(), 10)
    np.testing.assert_allclose(V.T, wanted, atol=1e-3 if dtype == np.float32 else 1e-8)


def run_formula(X, W, Z, steps):
    for _ in range(steps):
        W = np.maximum(X @ np.linalg.pinv(Z), 0)
        Z = np.maximum(np.linalg.pinv(W) @ X, 0)
    return W @ Z


def test_it_stops_once_it_has_not_got_better():
    X = next(problem(frames=40))
    result = factorize(X, 5, divergence=2, solver="pinv", max_iter=5000)
    assert result.converged
    assert result.n_iter < 5000
