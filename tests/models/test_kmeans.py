import doctest
from importlib import import_module

import numpy as np
import pytest
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.datasets import load_digits

from nmfsep import Factors, k_means, orthogonal_nmf
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.divergence import frobenius
from nmfsep.models.kmeans import KMeans, Orthogonal
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem

models = pytest.mark.parametrize("model", [k_means, orthogonal_nmf])


def blobs(k=4, bins=5, each=30, spread=0.3, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    centres = 4 * rng.standard_normal((bins, k))
    X = np.repeat(centres, each, axis=1) + spread * rng.standard_normal((bins, k * each))
    X = X[:, rng.permutation(k * each)].astype(dtype)
    X.flags.writeable = False
    return X


def matrix(bins=12, frames=40, dtype=np.float64):
    X = np.random.default_rng(1).gamma(0.5, 1, (bins, frames)).astype(dtype)
    X.flags.writeable = False
    return X


def squared_error(X, factors):
    return np.linalg.norm(X - factors.reconstruct()) ** 2


def same_clusters(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


def test_the_examples_of_the_docstrings_run():
    result = doctest.testmod(import_module("nmfsep.models.kmeans"))
    assert result.attempted >= 5
    assert result.failed == 0


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_the_sum_of_distances_and_the_forms_as_matrices_are_equal(k, offset):
    X = blobs(spread=3) + offset
    fit = k_means(X, k)
    C, B = fit.factors.W, fit.factors.Z.T
    assert set(np.unique(B)) <= {0.0, 1.0}
    np.testing.assert_array_equal(B.sum(axis=1), 1)
    inertia = sum(min(np.sum((x - c) ** 2) for c in C.T) for x in X.T)
    assert squared_error(X, fit.factors) == pytest.approx(inertia, rel=1e-10)
    assert 2 * fit.losses[-1] == pytest.approx(inertia, rel=1e-10)
    # C is X B (BᵀB)⁻¹, and with E = B (BᵀB)^(-1/2) the loss is tr XᵀX - tr EᵀXᵀXE
    np.testing.assert_allclose(C, X @ B / B.sum(axis=0), rtol=1e-10, atol=1e-10)
    E = B / np.sqrt(B.sum(axis=0))
    Y = X - offset  # so that the difference of the traces keeps its digits
    assert np.trace(Y.T @ Y) - np.trace(E.T @ Y.T @ Y @ E) == pytest.approx(inertia, rel=1e-10)


def test_inertia_and_clusters_are_those_of_scikit_learn_where_clusters_are_clear():
    X = blobs(6)
    ours, theirs = k_means(X, 6), ScikitKMeans(6, n_init=10, random_state=0).fit(X.T)
    assert 2 * ours.losses[-1] == pytest.approx(theirs.inertia_, rel=1e-9)
    assert same_clusters(ours.factors.Z.argmax(axis=0), theirs.labels_)


def test_from_the_same_centres_it_goes_where_scikit_learn_goes(workers):
    X = blobs(spread=3)
    W = X[:, :4].copy()
    theirs = ScikitKMeans(4, init=W.T, n_init=1, max_iter=100, tol=0).fit(X.T)
    begin = Factors(W, np.zeros((4, X.shape[1])))
    ours = fit(np.ascontiguousarray(X.T), begin, Problem(frobenius), KMeans(), Stop(100, 0, None, 1), workers)
    assert 2 * ours.losses[-1] == pytest.approx(theirs.inertia_, rel=1e-10)
    np.testing.assert_allclose(ours.factors.W.T, theirs.cluster_centers_, rtol=1e-9)


def test_over_restarts_it_finds_on_digits_what_scikit_learn_finds():
    X = load_digits().data[:600].T
    ours, theirs = k_means(X, 10, seed=1), ScikitKMeans(10, n_init=10, random_state=1).fit(X.T)
    assert 2 * ours.losses[-1] == pytest.approx(theirs.inertia_, rel=5e-3)


@models
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_never_rises(model, dtype):
    losses, starts = [], []

    def hear(iteration, loss):
        starts.append(iteration)
        losses.append(loss)

    fit = model(matrix(dtype=dtype), 6, restarts=1, max_iter=30, tol=0, callback=hear)
    assert np.diff(fit.losses).max() <= (1e-12 if dtype == np.float64 else 1e-5) * fit.losses[0]
    assert fit.losses[-1] < 0.95 * fit.losses[0]
    assert fit.factors.W.dtype == fit.factors.Z.dtype == dtype
    assert starts == list(range(1, 31))
    np.testing.assert_allclose(losses, fit.losses[1:])


@models
def test_more_restarts_are_never_worse_and_the_best_is_returned(model):
    X = matrix(frames=80)
    losses = [model(X, 8, restarts=restarts).losses[-1] for restarts in (1, 5, 20)]
    assert losses[0] >= losses[1] >= losses[2]
    assert losses[2] < losses[0]


def test_activations_of_orthogonal_nmf_are_nonnegative_and_orthogonal():
    fit = orthogonal_nmf(matrix(), 5)
    W, Z = fit.factors.W, fit.factors.Z
    assert Z.min() >= 0
    assert W.min() >= 0
    gram = Z @ Z.T
    np.testing.assert_array_equal(gram - np.diag(np.diag(gram)), 0)
    np.testing.assert_allclose(W.sum(axis=0), 1)
    assert squared_error(matrix(), fit.factors) == pytest.approx(2 * fit.losses[-1])


def test_orthogonal_nmf_relaxes_k_means():
    X = matrix(frames=80)
    # by its own search, and from where k-means ends
    assert orthogonal_nmf(X, 5).losses[-1] < k_means(X, 5).losses[-1]


@pytest.mark.parametrize("seed", range(3))
def test_from_the_clusters_of_k_means_orthogonal_nmf_only_gets_better(seed, workers):
    X = matrix(frames=80)
    clusters = k_means(X, 5, seed=seed, restarts=1)
    begin = Factors(clusters.factors.W, np.zeros((5, 80)))
    stop = Stop(20, 0, None, 1)
    fit_ = fit(np.ascontiguousarray(X.T), begin, Problem(frobenius), Orthogonal(), stop, workers)
    assert fit_.losses[0] <= clusters.losses[-1]
    assert fit_.losses[-1] < fit_.losses[0]


def test_orthogonal_nmf_of_data_made_so_is_exact():
    rng = np.random.default_rng(3)
    W, labels = rng.random((8, 3)), rng.integers(0, 3, 50)
    X = W[:, labels] * rng.gamma(1, 1, 50)
    fit = orthogonal_nmf(X, 3)
    assert same_clusters(fit.factors.Z.argmax(axis=0), labels)
    np.testing.assert_allclose(fit.factors.reconstruct(), X, atol=1e-8)


def test_a_template_of_orthogonal_nmf_converges_to_the_leading_singular_vector():
    X = matrix()
    fit = orthogonal_nmf(X, 1, max_iter=200, tol=0)
    assert 2 * fit.losses[-1] == pytest.approx((np.linalg.svd(X, compute_uv=False)[1:] ** 2).sum(), rel=1e-10)


def test_an_empty_cluster_takes_the_column_explained_worst(workers):
    X = blobs()
    W = np.stack([X[:, 0], np.full(5, 1e3)], axis=1)  # the second is near nothing
    begin, problem, stop = Factors(W, np.zeros((2, X.shape[1]))), Problem(frobenius), Stop(1, 0, None, 1)
    result = fit(np.ascontiguousarray(X.T), begin, problem, KMeans(), stop, workers)
    far = np.argmax(np.linalg.norm(X - X[:, :1], axis=0))
    np.testing.assert_array_equal(np.flatnonzero(result.factors.Z[1]), [far])
    np.testing.assert_allclose(result.factors.W[:, 1], X[:, far])


def test_moving_the_origin_moves_the_centres_and_nothing_else():
    X = np.round(blobs(spread=3) * 64) / 64
    plain, moved = k_means(X, 4), k_means(X - 512, 4)
    np.testing.assert_array_equal(plain.factors.Z, moved.factors.Z)
    np.testing.assert_allclose(moved.factors.W, plain.factors.W - 512, rtol=1e-9)


@models
@pytest.mark.parametrize("n", [-20, 20])
def test_a_level_of_a_power_of_two_changes_the_scale_alone(model, n):
    plain, scaled = model(matrix(), 4), model(matrix() * 2.0**n, 4)
    np.testing.assert_allclose(scaled.factors.reconstruct(), plain.factors.reconstruct() * 2.0**n, rtol=1e-12)
    np.testing.assert_allclose(scaled.losses, np.array(plain.losses) * 4.0**n, rtol=1e-12)


@models
def test_the_seed_decides_every_bit_and_threads_none(model, monkeypatch):
    monkeypatch.setattr(blocked, "TILE", 1 << 12)
    X = matrix(260, 400, np.float32)
    runs = [model(X, 4, restarts=2, seed=3, max_iter=5, threads=threads).factors for threads in (1, 1, 2)]
    for other in runs[1:]:
        np.testing.assert_array_equal(runs[0].W, other.W)
        np.testing.assert_array_equal(runs[0].Z, other.Z)
    assert not np.array_equal(runs[0].W, model(X, 4, restarts=2, seed=4, max_iter=5).factors.W)


@models
def test_degenerate_matrices_stay_finite_and_are_warned_of(model):
    for X in (np.zeros((5, 7)), np.ones((5, 7)), np.ones((1, 1)), matrix()[:, :1], matrix()[:1]):
        fit = model(X, 3, max_iter=10)
        assert np.isfinite(fit.losses).all()
        assert np.isfinite(fit.factors.W).all()
    assert "zero" in model(np.zeros((5, 7)), 3).warnings[0]
    assert "8 clusters are more than the 7 columns" in model(matrix()[:, :7], 8).warnings[0]
    np.testing.assert_allclose(model(matrix()[:, :7], 8).losses[-1], 0, atol=1e-20)


@models
def test_no_time_ends_the_search_after_one_start(model):
    iterations = []
    model(matrix(), 3, time_limit=0, callback=lambda i, _: iterations.append(i))
    assert iterations == [1]


@models
def test_a_callback_that_returns_true_ends_the_search(model):
    iterations = []

    def hear(iteration, loss):
        iterations.append(iteration)
        return iteration == 7

    model(matrix(frames=80), 8, max_iter=5, tol=0, callback=hear)
    assert iterations == [1, 2, 3, 4, 5, 6, 7]


@models
@pytest.mark.parametrize(
    ("X", "options", "words"),
    [
        ([[1, np.nan]], {}, "NaN"),
        (np.ones(3), {}, "matrix"),
        (np.ones((2, 2)), {"k": 0}, "k must be a whole number of at least 1"),
        (np.ones((2, 2)), {"restarts": 0}, "restarts must be"),
    ],
    ids=["nan", "vector", "k", "restarts"],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(model, X, options, words):
    with pytest.raises(UsageError, match=words):
        model(X, **{"k": 2, **options})


def test_orthogonal_nmf_refuses_negative_entries():
    with pytest.raises(UsageError, match="negative"):
        orthogonal_nmf(blobs(), 2)
