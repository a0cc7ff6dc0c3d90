"""Errors, sparseness and principal components, held against their definitions."""

import numpy as np
import pytest
from scipy.sparse import csc_array
from sklearn.decomposition import PCA

from nmfsep import open_matrix
from nmfsep.kernels.product import Factors
from nmfsep.matrices.pictures import discriminants, principal_components, relative_error, sparseness

rng = np.random.default_rng(0)
X = rng.random((700, 900))  # of more than one block


def test_the_error_is_the_norm_of_what_is_left():
    W, Z = rng.random((700, 3)), rng.random((3, 900))
    expected = np.linalg.norm(X - W @ Z) / np.linalg.norm(X)
    assert relative_error(X, Factors(W, Z)) == pytest.approx(expected, rel=1e-12)
    mean = rng.random(700)
    expected = np.linalg.norm(X - W @ Z - mean[:, None]) / np.linalg.norm(X)
    assert relative_error(X, Factors(W, Z), mean) == pytest.approx(expected, rel=1e-12)
    assert relative_error(0 * X, Factors(0 * W, Z)) == 0


def test_the_error_of_sparse_matrices_and_of_those_on_disk_is_the_same(tmp_path):
    Y, factors = np.where(X > 0.8, X, 0), Factors(rng.random((700, 3)), rng.random((3, 900)))
    expected = relative_error(Y, factors)
    assert relative_error(csc_array(Y), factors) == pytest.approx(expected, rel=1e-9)
    for ordered in (Y, np.asfortranarray(Y)):
        np.save(tmp_path / "Y.npy", ordered)
        assert relative_error(open_matrix(tmp_path / "Y.npy"), factors) == pytest.approx(expected, rel=1e-9)


def test_discriminants_tell_labels_apart_that_the_mean_does_not():
    labels = np.arange(60) % 3
    Y = 5 * rng.random((40, 1)) * rng.random(60) + 0.01 * rng.random((40, 60))
    Y[7] += 0.2 * (labels == 1)
    W = discriminants(Y, [str(label) for label in labels], 10)
    assert W.shape == (40, 2)
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1)
    score = W[:, 0] @ Y
    assert abs(score[labels == 1].mean() - score[labels != 1].mean()) > 5 * score[labels == 0].std()


def test_sparseness_goes_from_0_to_1():
    assert sparseness(np.ones((9, 2))) == pytest.approx(0)
    assert sparseness(np.eye(9)) == pytest.approx(1)
    assert sparseness(-np.eye(9)) == pytest.approx(1)
    half = np.repeat([[1.0], [0.0]], 8, axis=0)  # of 16 entries: (4 - √8) / 3
    assert sparseness(half) == pytest.approx((4 - np.sqrt(8)) / 3)
    assert sparseness(np.c_[half, 0 * half]) == sparseness(half)
    assert sparseness(np.ones((1, 1))) == 0


def test_principal_components_are_those_of_scikit_learn():
    Y = X[:40, :60]
    ours, theirs = principal_components(Y, 5), PCA(5, svd_solver="full").fit(Y.T)
    np.testing.assert_allclose(ours.mean, theirs.mean_)
    np.testing.assert_allclose(np.abs(ours.factors.W.T), np.abs(theirs.components_), atol=1e-8)
    back = ours.mean[:, None] + ours.factors.reconstruct()
    np.testing.assert_allclose(back.T, theirs.inverse_transform(theirs.transform(Y.T)), atol=1e-8)


def test_clipping_leaves_no_negative_entry_and_keeps_the_better_sign():
    pca = principal_components(X[:30, :40] - 0.2, 4)
    mean, clipped = pca.clipped()
    assert min(mean.min(), clipped.W.min(), clipped.Z.min()) >= 0
    for k in range(4):
        w, z = pca.factors.W[:, k], pca.factors.Z[k]
        kept = np.linalg.norm(np.outer(clipped.W[:, k], clipped.Z[k]))
        other = np.linalg.norm(np.outer(np.maximum(-w, 0), np.maximum(-z, 0)))
        one = np.linalg.norm(np.outer(np.maximum(w, 0), np.maximum(z, 0)))
        assert kept == pytest.approx(max(one, other))


@pytest.mark.parametrize("level", [1e-310, 1e300])
def test_the_error_does_not_depend_on_the_level(level):
    X = np.arange(1.0, 13).reshape(3, 4)
    W, Z = X[:, :1], np.ones((1, 4))
    assert relative_error(X * level, Factors(W, Z * level)) == pytest.approx(relative_error(X, Factors(W, Z)))
