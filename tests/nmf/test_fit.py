from types import SimpleNamespace

import numpy as np
import pytest

from nmfsep import Factors, factorize
from nmfsep.errors import UsageError
from nmfsep.nmf import fit as loop
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers import Solver


class Scripted:
    """A divergence whose values are written down beforehand."""

    beta = 1.0

    def __init__(self, losses):
        self.losses = iter(losses)

    def value(self, X, V):
        return next(self.losses)


class Counting(Solver):
    """A solver that does nothing but count."""

    def __init__(self):
        self.starts = self.steps = 0

    def start(self, Xt, state, problem):
        self.starts += 1

    def step(self, Xt, state, problem):
        self.steps += 1


def falling(ratio=0.5):
    loss = 1.0
    while True:
        yield loss
        loss *= ratio


def run(workers, losses, stop, callback=None):
    solver = Counting()
    start = Factors(np.ones((3, 2)), np.ones((2, 4)))
    return fit(np.ones((4, 3)), start, Problem(Scripted(losses)), solver, stop, workers, callback), solver


@pytest.mark.parametrize("n", [0, 1, 9, 10, 25])
def test_tol_zero_runs_exactly_max_iter(workers, n):
    result, solver = run(workers, iter([1.0] * 100), Stop(n, 0))  # a loss that stands still would stop any other
    assert result.n_iter == solver.steps == n
    assert not result.converged


@pytest.mark.parametrize(
    ("n", "every", "evaluated"),
    [(25, 10, (0, 10, 20, 25)), (20, 10, (0, 10, 20)), (3, 10, (0, 3)), (3, 1, (0, 1, 2, 3)), (0, 10, (0,))],
)
def test_losses_are_recorded_at_the_start_every_so_often_and_at_the_end(workers, n, every, evaluated):
    result, _ = run(workers, falling(), Stop(n, 0, None, every))
    assert result.evaluated == evaluated
    assert result.losses == tuple(0.5**i for i in range(len(evaluated)))


def test_stops_once_ten_iterations_gain_less_than_the_tolerance(workers):
    result, solver = run(workers, [8.0, 4.0, 3.0, 2.993, 2.0], Stop(1000, 1e-3))
    assert result.converged
    assert result.n_iter == solver.steps == 30
    assert result.losses == (8.0, 4.0, 3.0, 2.993)  # a gain of less than 0.008, if not than 0.003


def test_tolerance_is_relative_to_the_first_loss(workers):
    for scale in (1e-9, 1e9):
        result, _ = run(workers, [8 * scale, 4 * scale, 3.9 * scale, 3.8999 * scale], Stop(1000, 1e-3))
        assert result.n_iter == 30


def test_a_loss_that_rises_stops_the_fit(workers):
    result, _ = run(workers, [8.0, 4.0, 5.0, 1.0], Stop(1000, 1e-3))
    assert result.n_iter == 20


@pytest.mark.parametrize(("last", "converged"), [(0.65, True), (0.55, False)])
def test_a_short_last_interval_is_judged_by_its_gain_per_iteration(workers, last, converged):
    # iterations 11 to 15 are half an interval, so that what they gain counts twice
    result, _ = run(workers, [1.0, 0.7, last], Stop(15, 0.25))
    assert result.converged == converged


def test_no_time_stops_after_one_iteration(workers):
    result, solver = run(workers, falling(), Stop(1000, 0, time_limit=0))
    assert result.n_iter == solver.steps == 1
    assert result.evaluated == (0, 1)
    assert not result.converged


def test_the_time_limit_stops_after_the_iteration_that_reaches_it(workers, monkeypatch):
    ticks = iter(range(1000))  # one second a look at the clock: at the start, then once an iteration
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    result, _ = run(workers, falling(), Stop(1000, 0, time_limit=7))
    assert result.evaluated == (0, 7)


def test_the_callback_gets_each_iteration_with_its_loss(workers):
    calls = []
    run(workers, falling(), Stop(25, 0), lambda *call: calls.append(call))
    assert calls == [(10, 0.5), (20, 0.25), (25, 0.125)]


@pytest.mark.parametrize("answer", [True, np.True_, 1])
def test_a_callback_that_returns_true_stops(workers, answer):
    result, _ = run(workers, falling(), Stop(100, 0), lambda iteration, loss: answer if iteration == 20 else None)
    assert result.n_iter == 20
    assert not result.converged


def test_an_interrupt_in_the_callback_goes_through():
    def interrupt(iteration, loss):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        factorize(np.ones((300, 300)) + np.eye(300), 2, callback=interrupt, threads=2)


def test_the_start_is_copied(workers):
    class Writing(Counting):
        def step(self, Xt, state, problem):
            state.Wt[:] = state.Zt[:] = 7

    start = Factors(np.ones((3, 2)), np.ones((2, 4)))
    result = fit(np.ones((4, 3)), start, Problem(Scripted(falling())), Writing(), Stop(1, 0), workers)
    assert (start.W == 1).all()
    assert (start.Z == 1).all()
    assert (result.factors.W == 7).all()


def test_the_solver_is_prepared_once(workers):
    assert run(workers, falling(), Stop(30, 0))[1].starts == 1


def test_only_w_and_z_can_be_fixed():
    with pytest.raises(UsageError, match=r"not \['H'\]"):
        Problem(fixed=frozenset({"W", "H"}))


def test_only_w_and_z_can_be_free_and_change_places_in_the_transpose():
    with pytest.raises(UsageError, match=r"can be free, not \['H'\]"):
        Problem(free=frozenset({"H"}))
    turned = Problem(fixed=frozenset({"Z"}), free=frozenset({"W"})).transpose()
    assert (turned.fixed, turned.free) == ({"W"}, {"Z"})


@pytest.mark.parametrize(
    ("divergence", "solver"),
    [("kl", "mu"), ("is", "mu"), ("frobenius", "mu"), ("frobenius", "hals"), (0.5, "mu"), (1.5, "mu"), (3, "mu")],
)
@pytest.mark.parametrize("seed", range(2))
def test_a_known_factorization_is_recovered_from_a_random_start(divergence, solver, seed):
    rng = np.random.default_rng(seed)
    W, Z = rng.random((18, 3)) * (rng.random((18, 3)) < 0.6), rng.random((3, 30)) * (rng.random((3, 30)) < 0.6)
    W[:3] = Z[:, :3] = np.eye(3)  # each component somewhere alone: only then is the factorization unique
    W, Z = np.maximum(W, 0.01), np.maximum(Z, 0.01)  # clear of zero, where Itakura-Saito is infinite
    found = factorize(
        W @ Z, 3, divergence=divergence, solver=solver, start="random", seed=seed, max_iter=1500, tol=0
    ).factors
    for true, got in ((W.T, found.W.T), (Z, found.Z)):
        true, got = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (true, got))
        likeness = true @ got.T
        assert sorted(likeness.argmax(axis=1)) == [0, 1, 2]  # a permutation
        assert likeness.max(axis=1).min() > 0.995
