"""Weights of the entries of X, and entries of the factors that are held."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.blocked import Weighted, entries
from nmfsep.kernels.divergence import Beta
from nmfsep.kernels.reference import Kernels
from nmfsep.kernels.threads import Workers
from nmfsep.nmf.fit import Execution

BETAS = [0, 0.5, 1, 1.5, 2, 3]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def product(rng, bins=30, k=3, frames=80):
    return rng.random((bins, k)) @ rng.random((k, frames)) + 0.01


@pytest.mark.parametrize("beta", BETAS)
def test_the_entries_of_a_divergence_add_up_to_it(beta, rng):
    X, V = rng.random((20, 30)) + 0.1, rng.random((20, 30)) + 0.1
    assert entries(X, V, beta).sum() == pytest.approx(Beta(beta).value(X, V.copy()), rel=1e-9)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tile", [1, 1 << 18])
def test_equal_weights_are_the_plain_kernels(beta, tile, rng, monkeypatch):
    monkeypatch.setattr(blocked, "TILE", tile)
    measure = Beta(beta)
    Xt, Wt, Zt = rng.random((50, 20)) + 0.1, rng.random((3, 20)), rng.random((50, 3))
    with Workers(2) as workers:
        reference, kernels, twice = Kernels(), Weighted(np.full(Xt.shape, 2.0)), Zt.copy()
        plain = reference.mm_pass(Xt, Wt, Zt, measure, 1.0, workers, Wt)
        for single, double in zip(plain, kernels.mm_pass(Xt, Wt, twice, measure, 1.0, workers, Wt), strict=True):
            np.testing.assert_allclose(double, 2 * np.broadcast_to(single, Wt.shape), rtol=1e-9)
        np.testing.assert_allclose(twice, Zt, rtol=1e-9)
        loss = kernels.divergence(Xt, Wt, Zt, measure, workers)
        assert loss == pytest.approx(2 * reference.divergence(Xt, Wt, Zt, measure, workers), rel=1e-9)


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("beta", BETAS)
def test_the_weighted_loss_never_rises(beta, solver, rng):
    X = product(rng) + 0.2 * rng.random((30, 80))
    fit = factorize(
        X,
        3,
        divergence=beta,
        solver=solver,
        weights=rng.random(X.shape),
        execution=Execution(loss_every=1),
        max_iter=60,
        tol=0,
    )
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]
    assert fit.losses[-1] < 0.5 * fit.losses[0]


def test_a_whole_weight_is_that_many_copies_of_the_frame(rng):
    X, counts = product(rng) + 0.2 * rng.random((30, 80)), rng.integers(1, 4, 80)
    W, Z = rng.random((30, 3)), rng.random((3, 80))
    options = {"solver": "mu", "max_iter": 40, "tol": 0}
    weighted = factorize(X, 3, W=W, Z=Z, weights=np.tile(counts, (30, 1)), **options)
    copies = np.asfortranarray(np.repeat(X, counts, axis=1))  # lest it be solved as its transpose, W first
    copied = factorize(copies, 3, W=W, Z=np.repeat(Z, counts, axis=1), **options)
    np.testing.assert_allclose(weighted.factors.W, copied.factors.W, rtol=1e-6)


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_missing_entries_are_told_by_the_others(beta, rng):
    X = product(rng)
    known = rng.random(X.shape) < 0.7
    holed = np.where(known, X, np.nan)
    fit = factorize(holed, 3, divergence=beta, weights=known, max_iter=3000, tol=0, seed=1, start="random")
    error = abs(fit.factors.reconstruct() - X)[~known]
    assert np.median(error) < 0.02 * X.mean()
    blind = factorize(np.where(known, X, 0), 3, divergence=beta, max_iter=500)
    assert np.median(error) < 0.1 * np.median(abs(blind.factors.reconstruct() - X)[~known])


def test_what_has_no_weight_does_not_matter(rng):
    X, weights = product(rng), rng.random((30, 80)).round()
    fits = [factorize(np.where(weights, X, junk), 3, weights=weights, max_iter=20) for junk in (0, 1e9, np.inf)]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.factors.Z, fits[0].factors.Z)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads, rng, monkeypatch):
    monkeypatch.setattr(blocked, "TILE", 300)
    X, weights = product(rng, frames=400), rng.random((30, 400))
    one = factorize(X, 3, weights=weights, max_iter=5, threads=2)
    np.testing.assert_array_equal(
        factorize(X, 3, weights=weights, max_iter=5, threads=threads).factors.W, one.factors.W
    )


@pytest.mark.parametrize("penalty", [{}, {"sparsity": 0.5}])
@pytest.mark.parametrize("solver", ["mu", "mue"])
def test_held_entries_stay_bit_for_bit_and_the_others_descend(solver, penalty, rng):
    X = product(rng) + 0.2 * rng.random((30, 80))
    W, Z = rng.random((30, 3)), rng.random((3, 80))
    masks = {"W": rng.random(W.shape) < 0.3, "Z": rng.random(Z.shape) < 0.3}
    fit = factorize(
        X, 3, W=W, Z=Z, fixed=masks, solver=solver, max_iter=40, tol=0, execution=Execution(loss_every=1), **penalty
    )
    np.testing.assert_array_equal(fit.factors.W[masks["W"]], W[masks["W"]])
    np.testing.assert_array_equal(fit.factors.Z[masks["Z"]], Z[masks["Z"]])
    assert (fit.factors.W != W)[~masks["W"]].all()
    assert (fit.factors.Z != Z)[~masks["Z"]].all()
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]


def test_a_mask_of_everything_is_a_fixed_factor(rng):
    X, W = product(rng), rng.random((30, 3))
    held, fixed = (
        factorize(X, 3, W=W, fixed=how, solver="mu", max_iter=30) for how in ({"W": np.ones(W.shape, bool)}, ["W"])
    )
    np.testing.assert_allclose(held.factors.Z, fixed.factors.Z, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": np.ones((3, 3))}, r"weights must be real numbers of shape \(30, 80\)"),
        ({"weights": -np.ones((30, 80))}, "weights hold negative"),
        ({"weights": np.full((30, 80), np.nan)}, "weights hold negative, NaN"),
        ({"weights": np.ones((30, 80)), "solver": "hals", "divergence": 2}, "solver 'hals' knows no"),
        ({"fixed": {"W": np.ones((30, 3), bool)}}, "W is to be held fixed but is not given"),
        ({"fixed": {"W": np.ones((30, 3))}, "W": np.ones((30, 3))}, "must be a mask of bool"),
        ({"fixed": {"V": np.ones((30, 3), bool)}}, "only 'W' and 'Z' can be held fixed"),
        ({"fixed": {"W": np.ones((30, 3), bool)}, "W": np.ones((30, 3)), "smoothness": 1}, "smoothness scales both"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, rng):
    with pytest.raises(UsageError, match=message):
        factorize(product(rng), 3, **options)
