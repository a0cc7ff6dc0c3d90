import numpy as np
import pytest

from nmfsep import Factors, ReLUNetwork, semi_nmf, whiten
from nmfsep.errors import UsageError
from nmfsep.kernels.divergence import frobenius
from nmfsep.kernels.reference import Kernels
from nmfsep.models.relu import Network
from nmfsep.models.semi import SemiHALS
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers import State

DECAYS = pytest.mark.parametrize("decay", [0.0, 0.1, 3.0])
SHAPES = pytest.mark.parametrize(("n", "d"), [(12, 20), (15, 15), (1, 4), (40, 300)])


def samples(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)) * np.arange(1, d + 1)


def factors(n, m=4, p=6, seed=1):
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n, m))
    return Factors(np.maximum(H, 0) + np.eye(n, m), rng.standard_normal((m, p)))  # with many exact zeros


def semi_loss(H, W2, Y, decay=0.0):
    return 0.5 * np.sum((H @ W2 - Y) ** 2) + 0.5 * decay * (np.sum(H**2) + np.sum(W2**2))


@SHAPES
def test_whitened_samples_are_orthonormal_and_nearest(n, d):
    X = samples(n, d)
    white = whiten(X)
    np.testing.assert_allclose(white @ white.T, np.eye(n), atol=1e-12)
    # (X Xᵀ)^(-1/2) X
    values, vectors = np.linalg.eigh(X @ X.T)
    np.testing.assert_allclose(white, vectors @ np.diag(values**-0.5) @ vectors.T @ X, atol=1e-8)
    other = np.linalg.qr(np.random.default_rng(2).standard_normal((d, n)))[0].T
    assert np.linalg.norm(X - white) < np.linalg.norm(X - other)


def test_more_samples_than_features_have_orthonormal_features_instead():
    white = whiten(samples(20, 12))
    np.testing.assert_allclose(white.T @ white, np.eye(12), atol=1e-12)
    assert np.abs(white @ white.T - np.eye(20)).max() > 0.1


@SHAPES
def test_any_nonnegative_hidden_layer_is_reached_on_whitened_samples(n, d):
    X, given = whiten(samples(n, d)), factors(n)
    H = given.W
    assert np.abs(np.maximum(X @ (X.T @ H), 0) - H).max() < 1e-12
    network = ReLUNetwork.of_factors(given, X)
    np.testing.assert_array_equal(network.W1, X.T @ H)
    assert np.abs(network.hidden(X) - H).max() < 1e-12
    back = network.factors(X)
    np.testing.assert_allclose(back.W, H, atol=1e-12)
    np.testing.assert_array_equal(back.Z, given.Z)


@SHAPES
@DECAYS
def test_objectives_are_equal_with_and_without_weight_decay(n, d, decay):
    X, given = whiten(samples(n, d)), factors(n)
    Y = np.random.default_rng(3).standard_normal((n, 6))
    network = ReLUNetwork.of_factors(given, X)
    assert network.loss(X, Y, decay) == pytest.approx(semi_loss(given.W, given.Z, Y, decay), rel=1e-12)


@DECAYS
def test_any_network_is_a_semi_nmf_that_costs_no_more(decay):
    X = whiten(samples(12, 20))
    rng = np.random.default_rng(4)
    Y = rng.standard_normal((12, 6))
    for _ in range(20):
        network = ReLUNetwork(rng.standard_normal((20, 4)), rng.standard_normal((4, 6)))
        found = network.factors(X)
        assert found.W.min() >= 0
        cost = semi_loss(found.W, found.Z, Y, decay)
        # ‖W_1‖ >= ‖X W_1‖ >= ‖H‖
        assert cost <= network.loss(X, Y, decay) + 1e-12
        if decay == 0:
            assert cost == pytest.approx(network.loss(X, Y), rel=1e-12)


def test_of_all_weights_with_that_hidden_layer_it_has_the_smallest():
    X, given = whiten(samples(12, 20)), factors(12)
    network = ReLUNetwork.of_factors(given, X)
    assert np.linalg.norm(network.W1) == pytest.approx(np.linalg.norm(given.W), rel=1e-12)
    rng = np.random.default_rng(5)
    for _ in range(20):
        # anything in the null space of X, and anything that is negative where the layer is silent
        silent = X.T @ (-rng.random(given.W.shape) * (given.W == 0))
        other = network.W1 + (np.eye(20) - X.T @ X) @ rng.standard_normal((20, 4)) + silent
        np.testing.assert_allclose(np.maximum(X @ other, 0), given.W, atol=1e-12)
        assert np.linalg.norm(other) > np.linalg.norm(network.W1)


def test_without_whitening_the_hidden_layer_is_reached_but_norms_differ():
    X, given = samples(12, 20), factors(12)
    network = ReLUNetwork.of_factors(given, X)
    np.testing.assert_allclose(network.hidden(X), given.W, atol=1e-10)
    assert abs(np.linalg.norm(network.W1) / np.linalg.norm(given.W) - 1) > 0.1


def test_with_more_samples_than_features_a_network_falls_short_of_semi_nmf():
    rng = np.random.default_rng(6)
    X, Y = whiten(samples(30, 4)), rng.standard_normal((30, 6))
    semi = semi_nmf(Y, 3, free="Z", max_iter=1000, tol=0)
    with pytest.raises(UsageError, match="dependent"):
        ReLUNetwork.of_factors(semi.factors, X)
    # outputs of a network on 4 features lie in a much smaller set: no training gets near
    for seed in range(3):
        _, trained = ReLUNetwork.train(X, Y, 3, seed=seed, max_iter=1000)
        assert trained.losses[-1] > 1.2 * semi.losses[-1]
    # still, what network there is, is a semi-NMF
    network, trained = ReLUNetwork.train(X, Y, 3, max_iter=200)
    found = network.factors(X)
    assert semi_loss(found.W, found.Z, Y) == pytest.approx(trained.losses[-1], rel=1e-12)


@pytest.fixture(scope="module")
def teacher():
    rng = np.random.default_rng(7)
    X = whiten(rng.standard_normal((20, 30)))
    Y = np.maximum(rng.standard_normal((20, 3)), 0) @ rng.standard_normal((3, 12)) + 0.3 * rng.standard_normal((20, 12))
    fits = [semi_nmf(Y, 3, free="Z", max_iter=500, tol=0)]
    fits += [semi_nmf(Y, 3, free="Z", start="random", seed=seed, max_iter=500, tol=0) for seed in range(6)]
    return X, Y, min(fits, key=lambda found: found.losses[-1])


@pytest.fixture(scope="module")
def trained(teacher):
    X, Y, _ = teacher
    return [
        {
            alive: ReLUNetwork.train(X, Y, 3, alive=alive, seed=seed, max_iter=3000 if alive else 1000)
            for alive in (True, False)
        }
        for seed in range(5)
    ]


def test_a_network_trained_from_scratch_never_beats_semi_nmf_and_approaches_it(teacher, trained):
    X, Y, semi = teacher
    proven = 0.5 * (np.linalg.svd(Y, compute_uv=False)[3:] ** 2).sum()  # no matrix of rank 3 is nearer
    for start in trained:
        for network, found in start.values():
            assert found.losses[-1] >= proven
            assert found.losses[-1] >= semi.losses[-1]
            assert network.loss(X, Y) == pytest.approx(found.losses[-1], rel=1e-9)
    assert min(start[True][1].losses[-1] for start in trained) < 1.05 * semi.losses[-1]
    # the network that semi-NMF is does at once what training did not
    assert ReLUNetwork.of_factors(semi.factors, X).loss(X, Y) == pytest.approx(semi.losses[-1], rel=1e-9)


def test_a_trained_network_is_a_start_from_which_semi_nmf_gets_better(teacher, trained, workers):
    X, Y, _ = teacher
    problem = Problem(frobenius, free=frozenset({"Z"}))
    for start in trained:
        network, before = start[True]
        after = fit(np.ascontiguousarray(Y.T), network.factors(X), problem, SemiHALS(), Stop(100, 0), workers)
        assert after.losses[0] == pytest.approx(before.losses[-1], rel=1e-9)
        assert after.losses[-1] < before.losses[-1]


def test_units_that_start_silent_cost_more_than_training_repairs(trained):
    best = {alive: min(start[alive][1].losses[-1] for start in trained) for alive in (True, False)}
    assert best[True] < 0.5 * best[False]


@pytest.mark.parametrize("alive", [True, False])
def test_all_units_are_at_work_at_the_start_if_asked_for(teacher, alive):
    X, Y, _ = teacher
    network, _ = ReLUNetwork.train(X, Y, 3, alive=alive, max_iter=0)
    assert (network.hidden(X) > 0).all() == alive


def test_weight_decay_is_part_of_the_loss_and_shrinks_the_weights(teacher):
    X, Y, _ = teacher
    norms = []
    for decay in (0.0, 1.0):
        network, trained = ReLUNetwork.train(X, Y, 3, decay=decay, max_iter=1000)
        assert trained.losses[-1] == pytest.approx(network.loss(X, Y, decay), rel=1e-9)
        norms.append(np.sum(network.W1**2) + np.sum(network.W2**2))
    assert norms[1] < 0.7 * norms[0]


def test_gradients_are_those_of_the_loss(workers):
    rng = np.random.default_rng(8)
    X, Y = rng.standard_normal((9, 5)), rng.standard_normal((9, 4))
    W1, W2 = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    decay, tiny = 0.7, 1e-9
    solver = Network(X, W1, decay, (tiny, tiny), 10**9)
    state = State.of(Factors(np.maximum(X @ W1, 0), W2), Kernels(), workers)
    solver.start(Y.T, state, Problem())
    solver.step(Y.T, state, Problem())
    means = [memory[0] / 0.1 for memory in state.memory]
    for which, mean in (("W1", means[0]), ("W2", means[1].T)):
        weights = {"W1": W1, "W2": W2}
        numeric = np.empty_like(weights[which])
        for index in np.ndindex(numeric.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = {name: value.copy() for name, value in weights.items()}
                moved[which][index] += step
                sides.append(ReLUNetwork(**moved).loss(X, Y, decay))
            numeric[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(mean, numeric, rtol=1e-5, atol=1e-6)


def test_training_is_decided_by_its_seed_and_can_be_followed(teacher):
    X, Y, _ = teacher
    told = []
    runs = [ReLUNetwork.train(X, Y, 3, seed=2, max_iter=50, threads=threads)[0] for threads in (1, 2)]
    np.testing.assert_array_equal(runs[0].W1, runs[1].W1)
    assert not np.array_equal(runs[0].W1, ReLUNetwork.train(X, Y, 3, seed=3, max_iter=50)[0].W1)
    ReLUNetwork.train(X, Y, 3, max_iter=500, callback=lambda iteration, loss: told.append(iteration) or iteration == 30)
    assert told == [10, 20, 30]


def test_silent_targets_are_learned_without_a_warning():
    X = whiten(samples(5, 8))
    network, result = ReLUNetwork.train(X, np.zeros((5, 2)), 2, max_iter=50)
    assert np.isfinite(result.losses).all()
    assert np.isfinite(network.W1).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: whiten(np.ones((3, 5))), "samples are linearly dependent"),
        (lambda: whiten(np.ones((5, 3))), "features are linearly dependent"),
        (lambda: whiten([[np.nan, 1]]), "NaN"),
        (lambda: whiten(np.zeros((2, 3))), "dependent"),
        (lambda: ReLUNetwork(np.ones((2, 3)), np.ones((2, 3))), "W1"),
        (lambda: ReLUNetwork.of_factors(Factors(-np.ones((3, 2)), np.ones((2, 2))), np.eye(3)), "negative"),
        (lambda: ReLUNetwork.of_factors(Factors(np.ones((4, 2)), np.ones((2, 2))), np.eye(3)), "4 rows"),
        (lambda: ReLUNetwork.train(np.eye(3), np.ones((4, 2)), 2), "3 samples and Y 4"),
        (lambda: ReLUNetwork.train(np.eye(3), np.ones((3, 2)), 0), "hidden must be"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(call, words):
    with pytest.raises(UsageError, match=words):
        call()
