"""Activations of held templates: near the least loss, and the same however frames are cut into blocks."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.kernels.blocked import Blocked
from nmfsep.kernels.divergence import as_divergence
from nmfsep.kernels.reference import Kernels
from nmfsep.kernels.threads import Workers
from nmfsep.nmf.blockwise import solve, solve_each, steps_for
from nmfsep.nmf.problem import Problem

FRAMES, BINS, K = 90, 40, 4


def problem(divergence="kl", **penalties):
    return Problem(as_divergence(divergence), **penalties)


def matrices(seed=0):
    rng = np.random.default_rng(seed)
    Wt, Zt = rng.random((K, BINS)) ** 4 + 0.01, rng.random((FRAMES, K)) ** 3
    return (Zt @ Wt * rng.exponential(1, (FRAMES, BINS))).astype(np.float32), Wt.astype(np.float32)


@pytest.mark.parametrize(("divergence", "above"), [("kl", 2e-3), ("frobenius", 1e-3), (1.5, 2e-3), ("is", 1e-2)])
def test_the_loss_is_near_the_least_there_is(divergence, above):
    X, Wt = matrices()
    asked = problem(divergence)
    Z = solve(X, Wt, asked, Kernels(), Workers(1))
    assert (Z >= 0).all()
    best = factorize(X.T, K, W=Wt.T, fixed={"W"}, divergence=divergence, solver="mu", max_iter=3000, tol=0).losses[-1]
    assert Kernels().divergence(X, Wt, Z, asked.divergence, Workers(1)) <= (1 + above) * best


@pytest.mark.parametrize(
    "asked", [problem(), problem("is"), problem("frobenius"), problem(sparsity=0.5), problem("frobenius", sparsity=0.1)]
)
@pytest.mark.parametrize("kernels", [Kernels(), Blocked()], ids=["reference", "blocked"])
def test_a_frame_is_solved_as_if_it_were_alone(asked, kernels):
    X, Wt = matrices()
    whole = solve(X, Wt, asked, kernels, Workers(1))
    for cut in (1, 7, 64):
        parts = [solve(X[start : start + cut], Wt, asked, kernels, Workers(1)) for start in range(0, FRAMES, cut)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=2e-4, atol=1e-6 * whole.max())


def test_sparsity_leaves_fewer_activations():
    X, Wt = matrices()
    plain, sparse = (solve(X, Wt, problem(sparsity=weight), Kernels(), Workers(1)) for weight in (0, 3))
    assert sparse.sum() < 0.9 * plain.sum()


def test_silence_has_no_activations_and_level_scales_them():
    X, Wt = matrices()
    X[3] = 0
    Z = solve(X, Wt, problem(), Kernels(), Workers(1))
    assert Z[3].max() < 1e-6
    np.testing.assert_allclose(solve(8 * X, Wt, problem(), Kernels(), Workers(1)), 8 * Z, rtol=1e-3, atol=1e-6)


def test_nothing_is_written_to():
    X, Wt = matrices()
    X.flags.writeable = Wt.flags.writeable = False
    solve(X, Wt, problem(), Kernels(), Workers(1))


def test_more_components_take_more_steps_up_to_a_limit():
    assert steps_for(2) < steps_for(8) < steps_for(28) == steps_for(1000)


def test_sets_of_templates_are_solved_each_by_itself():
    X, Wt = matrices()
    other = matrices(1)[1]
    both = solve_each(X, np.stack([Wt, other]), steps_for(K))
    for found, templates in zip(both, (Wt, other), strict=True):
        alone = solve(X, templates, problem(), Kernels(), Workers(1))
        np.testing.assert_allclose(found, alone, rtol=1e-3, atol=1e-6 * alone.max())
    np.testing.assert_allclose(solve_each(X[:7], np.stack([Wt, other]), steps_for(K)), both[:, :7], rtol=2e-4)


def test_sets_of_templates_are_silent_where_there_is_nothing():
    Z = solve_each(np.zeros((3, BINS), np.float32), matrices()[1][None])
    assert (Z < 1e-6).all()
    assert np.isfinite(Z).all()
