"""The extrapolated solvers against their plain forms, and the race of starts."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.kernels.product import Factors
from nmfsep.kernels.reference import Kernels
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers import State
from nmfsep.nmf.solvers.mu import MUE


def spectrogram(bins=80, frames=300, k=6):
    """Decaying notes with harmonics over a little noise."""
    rng = np.random.default_rng(1)
    W = np.zeros((bins, k))
    for column, pitch in enumerate(rng.uniform(3, 12, k)):
        W[(pitch * np.arange(1, int(bins / pitch))).astype(int), column] = 1 / np.arange(1, int(bins / pitch))
    Z = np.zeros((k, frames))
    onsets = rng.random((k, frames)) < 0.05
    for t in range(frames):
        Z[:, t] = 0.9 * Z[:, t - 1] + onsets[:, t]
    return W @ Z + 1e-3 * rng.random((bins, frames))


@pytest.mark.parametrize("beta", [0, 0.5, 1, 1.5, 2])
def test_extrapolation_is_lower_than_the_plain_solver_after_as_many_iterations(beta):
    X = spectrogram()
    plain, ahead = (factorize(X, 6, divergence=beta, solver=s, max_iter=40, tol=0).losses[-1] for s in ("mu", "mue"))
    assert ahead < plain


def test_extrapolated_hals_is_lower_than_hals_after_as_many_iterations():
    X = spectrogram()
    plain, ahead = (factorize(X, 6, divergence=2, solver=s, max_iter=15, tol=0).losses[-1] for s in ("hals", "ehals"))
    assert ahead < plain


def test_the_first_step_without_momentum_is_the_plain_one():
    X = spectrogram()
    W, Z = np.random.default_rng(0).random((80, 3)), np.random.default_rng(1).random((3, 300))
    plain, ahead = (factorize(X, 3, solver=s, W=W, Z=Z, max_iter=1, tol=0).factors.reconstruct() for s in ("mu", "mue"))
    np.testing.assert_allclose(plain, ahead, rtol=1e-12)


def test_a_loss_that_rose_is_taken_back(workers):
    rng = np.random.default_rng(0)
    X = rng.random((7, 9))
    state = State.of(Factors(rng.random((7, 2)), rng.random((2, 9))), Kernels(), workers)
    solver, problem = MUE(), Problem()
    solver.start(X.T.copy(), state, problem)
    assert solver.observe(state, problem, 5.0) == 5.0
    W, Z = state.Wt.copy(), state.Zt.copy()
    solver.step(X.T.copy(), state, problem)
    assert solver.observe(state, problem, 6.0) == 5.0
    np.testing.assert_array_equal(state.Wt, W)
    np.testing.assert_array_equal(state.Zt, Z)


def test_a_race_ends_no_higher_than_its_first_start_after_as_many_iterations():
    X = np.random.default_rng(3).random((30, 50))
    alone = factorize(X, 5, start="random", max_iter=25, tol=0).losses[-1]
    raced = factorize(X, 5, start="random", restarts=6, max_iter=0, tol=0).losses[-1]
    assert raced < alone


def test_a_start_that_is_given_takes_part_in_the_race():
    X = spectrogram()
    good = factorize(X, 6, max_iter=300, tol=0)
    # no random start gets there in the few iterations of a race
    raced = factorize(X, 6, W=good.factors.W, Z=good.factors.Z, restarts=3, max_iter=0)
    assert raced.losses[0] <= good.losses[-1]


def test_a_race_is_the_same_for_the_same_seed_and_differs_for_another():
    X = np.random.default_rng(3).random((30, 50))
    first, second, other = (factorize(X, 5, restarts=4, start="random", seed=s).factors.W for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
