"""Templates that are held, or pulled back to where they were."""

import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.errors import UsageError
from nmfsep.kernels.divergence import Beta
from nmfsep.nmf import problem as penalties
from nmfsep.nmf.fit import Execution
from nmfsep.nmf.problem import Anchor, Problem

BETAS = [0, 0.5, 1, 1.5, 2, 3]
BINS, FRAMES, K = 30, 80, 4


def data(seed=0):
    """A matrix, and templates of which it is not made."""
    rng = np.random.default_rng(seed)
    X = rng.random((BINS, 5)) ** 2 @ rng.random((5, FRAMES)) + 0.02
    return X / X.mean(), rng.random((BINS, K)) + 0.1


def anchored(weight, beta=1, seed=0, **options):
    X, W = data(seed)
    weights = np.broadcast_to(np.asarray(weight, np.float64), (K,)).copy()
    options = {"max_iter": 60, "tol": 0, "execution": Execution(loss_every=1)} | options
    return factorize(X, K, W=W, divergence=beta, anchor=Anchor(W.T.copy(), weights), **options)


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("beta", BETAS)
def test_held_templates_stay_bit_for_bit_and_the_others_move(beta, solver):
    _, W = data()
    found = anchored([np.inf, 0, np.inf, 0], beta, solver=solver).factors.W
    np.testing.assert_array_equal(found[:, [0, 2]], W[:, [0, 2]])
    assert np.abs(found[:, [1, 3]] - W[:, [1, 3]]).max() > 0.05


@pytest.mark.parametrize("unit", [2.0**-30, 1000.0])
def test_held_templates_stay_at_any_level_and_precision(unit):
    X, W = data()
    for kind in (np.float32, np.float64):
        templates = np.ascontiguousarray(W.T, kind)
        held = Anchor(templates, np.array([np.inf, 0, 0, np.inf]))
        found = factorize((X * unit).astype(kind), K, W=templates.T, anchor=held, max_iter=20).factors.W
        assert found.dtype == kind
        np.testing.assert_array_equal(found[:, [0, 3]], templates.T[:, [0, 3]])


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("weight", [0.3, 30, [0, 5, np.inf, 100]])
def test_the_loss_with_its_prior_never_rises(beta, solver, weight):
    losses = anchored(weight, beta, solver=solver).losses
    assert np.diff(losses).max() <= 1e-12 * losses[0]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("sparsity", [0.1, 1])
@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_the_loss_with_prior_and_sparsity_never_rises(beta, sparsity):
    losses = anchored([0, 5, np.inf, 100], beta, sparsity=sparsity).losses
    assert np.diff(losses).max() <= 1e-12 * losses[0]


@pytest.mark.parametrize("beta", [0, 1, 2])
def test_the_loss_counts_the_prior(beta):
    X, W = data()
    weight = np.array([0, 2.0, np.inf, 7.0])
    fit = anchored(weight, beta, max_iter=5)
    measure, found = Beta(beta), fit.factors
    wanted = measure.value(X, found.reconstruct())
    for k in (1, 3):
        wanted += weight[k] * measure.value(W[None, :, k].copy(), found.W[None, :, k].copy())
    assert fit.losses[-1] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_no_weight_at_all_is_the_plain_fit(beta):
    X, W = data()
    plain = factorize(X, K, W=W, divergence=beta, solver="mue", max_iter=30, tol=0)
    free = anchored(0, beta, solver="mue", max_iter=30, execution=Execution(loss_every=10))
    ours, theirs = free.factors.normalize(), plain.factors
    np.testing.assert_allclose(ours.W, theirs.W, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ours.Z, theirs.Z, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("beta", BETAS)
def test_a_larger_weight_pulls_closer_up_to_being_held(beta):
    _, W = data()
    away = [np.abs(anchored(weight, beta).factors.W - W).max() for weight in (1, 30, 1e3, 1e7)]
    assert (np.diff(away) < 0).all()
    assert away[-1] < 1e-3
    assert away[0] > 0.05
    held, pulled = anchored(np.inf, beta).factors.Z, anchored(1e9, beta).factors.Z
    np.testing.assert_allclose(pulled, held, rtol=1e-4, atol=1e-5)


def test_the_pull_is_as_if_frames_of_the_template_itself_had_been_added():
    # of Kullback-Leibler, where the prior is that exactly: X with further frames c w_k, whose activations are c e_k
    X, W = data()
    counts = np.array([3.0, 10, 0.5, 40])
    Z = np.random.default_rng(1).random((K, FRAMES))
    more, activations = np.concatenate([X, W * counts], axis=1), np.concatenate([Z, np.diag(counts)], axis=1)
    wanted = factorize(more, K, W=W, Z=activations, fixed={"Z"}, solver="mu", max_iter=1, tol=0).factors.W
    pulled = Anchor(W.T.copy(), counts)
    found = factorize(X, K, W=W, Z=Z, fixed={"Z"}, anchor=pulled, solver="mu", max_iter=1, tol=0).factors.W
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("unit", [2.0**-12, 64.0])
def test_the_pull_does_not_depend_on_how_the_level_is_named(beta, unit):
    # weights are in the units of X: of divergence beta, unit**beta times the weight is the same pull
    X, W = data()
    fits = [
        factorize(X * u, K, W=W, divergence=beta, anchor=Anchor(W.T.copy(), np.full(K, 20.0 * u**beta)), max_iter=20)
        for u in (1.0, unit)
    ]
    np.testing.assert_allclose(fits[0].factors.W, fits[1].factors.W, rtol=1e-9)
    np.testing.assert_allclose(fits[0].factors.Z * unit, fits[1].factors.Z, rtol=1e-9)


def test_threads_and_tiles_change_no_bit():
    rng = np.random.default_rng(0)
    X, W = rng.random((200, 2000)).astype(np.float32), rng.random((200, K)).astype(np.float32)
    found = [
        factorize(X, K, W=W, anchor=Anchor(W.T.copy(), np.array([np.inf, 0, 5, 1])), max_iter=6, threads=n).factors.W
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(*found)


def test_anchored_templates_keep_their_scale():
    # a normalised column would no longer be the one that is held
    _, W = data()
    found = anchored([np.inf, 0, 0, 0]).factors.W
    np.testing.assert_array_equal(found[:, 0], W[:, 0])
    assert W[:, 0].sum() > 10


def test_what_is_given_is_only_read():
    X, W = data()
    templates, weight = W.T.copy(), np.array([0, 1, 2, np.inf])
    for array in (X, W, templates, weight):
        array.flags.writeable = False
    factorize(X, K, W=W, anchor=Anchor(templates, weight), max_iter=5)


def test_nothing_is_lost_of_a_problem_without_anchor():
    Wt, Zt = np.ones((2, 3)), np.ones((4, 2))
    held = Anchor(Wt, np.full(2, np.inf))
    assert penalties.loss(Wt * 7, Zt, Problem(anchor=held)) == 0
    assert np.isinf(held.weight).all()
    assert not held.pull.any()


@pytest.mark.parametrize(
    ("templates", "weight", "says"),
    [
        (np.ones((K, BINS)), np.ones(K - 1), "weight"),
        (np.ones((K, BINS)), -np.ones(K), "weight"),
        (np.ones((K, BINS)), np.full(K, np.nan), "weight"),
        (np.ones(BINS), np.ones(1), "templates"),
        (-np.ones((K, BINS)), np.ones(K), "templates"),
        (np.full((K, BINS), np.inf), np.ones(K), "templates"),
        (np.ones((K, BINS - 1)), np.ones(K), "anchor"),
        (np.ones((K + 1, BINS)), np.ones(K + 1), "anchor"),
        (np.ones((K, BINS)), np.ones((K, 1)), "weight"),
    ],
)
def test_an_anchor_that_does_not_fit_is_refused(templates, weight, says):
    X, W = data()
    with pytest.raises(UsageError, match=says):
        factorize(X, K, W=W, anchor=Anchor(templates, weight))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"smoothness": 1}, "no entry can be held"),
        ({"restarts": 2}, "held fixed"),
        ({"solver": "hals", "divergence": 2}, "knows no sparsity, smoothness, anchors"),
        ({"solver": "pinv", "divergence": 2}, "knows no sparsity, smoothness, anchors"),
    ],
)
def test_what_cannot_be_anchored_is_refused(options, says):
    X, W = data()
    with pytest.raises(UsageError, match=says):
        factorize(X, K, W=W, anchor=Anchor(W.T, np.ones(K)), **options)


def test_a_problem_and_its_transpose():
    problem = Problem(fixed=frozenset("W"), sparsity=1.0)
    assert problem.transpose().fixed == {"Z"}
    assert problem.transpose().transpose() == problem
    with pytest.raises(UsageError, match="only 'W' and 'Z'"):
        Problem(fixed=frozenset("H"))


def test_an_anchor_without_templates_to_start_from_is_refused():
    X, W = data()
    with pytest.raises(UsageError, match="W, which is not given"):
        factorize(X, K, anchor=Anchor(W.T, np.ones(K)))
