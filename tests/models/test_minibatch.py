"""MiniBatchNMF: one pass is one step where one batch is everything, batches are learned from in turn."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils.estimator_checks import parametrize_with_checks

from nmfsep import NMF, MiniBatchNMF

pytestmark = pytest.mark.estimator

settled = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(samples=400):
    rng = np.random.default_rng(0)
    return rng.gamma(0.3, 1, (samples, 4)) @ rng.gamma(0.3, 1, (4, 30)) + 0.01


def start(X, k=4):
    rng = np.random.default_rng(1)
    return 1 + rng.random((len(X), k)), 1 + rng.random((k, X.shape[1]))


@settled
@pytest.mark.parametrize("beta", [0, 1, 2])
@pytest.mark.parametrize("alpha", [0, 0.01])
def test_one_batch_of_everything_is_nmf(beta, alpha):
    X, shared = data(), {"beta_loss": beta, "init": "custom", "tol": 0, "max_iter": 20, "alpha_W": alpha}
    W, H = start(X)
    whole = NMF(4, solver="mu", l1_ratio=0.5, **shared).fit(X, W=W, H=H)
    batch = MiniBatchNMF(4, batch_size=len(X), forget_factor=0, max_no_improvement=None, l1_ratio=0.5, **shared).fit(
        X, W=W, H=H
    )
    np.testing.assert_allclose(batch.components_, whole.components_, rtol=1e-6, atol=1e-9)
    assert batch.reconstruction_err_ == pytest.approx(whole.reconstruction_err_, rel=1e-4)


def test_partial_fits_of_the_batches_are_the_first_pass():
    X = data()
    W, H = start(X)
    kept = H.copy()
    whole = MiniBatchNMF(4, init="custom", batch_size=400, fresh_restarts=True, max_iter=1, tol=0).fit(X, W=W, H=H)
    parts = MiniBatchNMF(4, init="custom", batch_size=400).partial_fit(X, W=W, H=H)
    np.testing.assert_allclose(parts.components_, whole.components_)
    np.testing.assert_array_equal(H, kept)
    first = parts.components_
    assert parts.partial_fit(X).n_steps_ == 2
    assert (parts.components_ != first).any()


@pytest.mark.parametrize("beta", [1, 2])
def test_many_small_batches_come_close_to_nmf(beta):
    X = data(2000)
    whole = NMF(4, beta_loss=beta, random_state=0).fit(X)
    model = MiniBatchNMF(4, beta_loss=beta, random_state=0, batch_size=100)
    for _ in range(8):
        for batch in np.split(X, 20):
            model.partial_fit(batch)
    rest, least = (np.linalg.norm(X - each.inverse_transform(each.transform(X))) for each in (model, whole))
    assert rest < 1.3 * least + 0.02 * np.linalg.norm(X)


def test_a_component_that_the_first_batch_lacks_is_found_in_the_second():
    rows = np.zeros((40, 6))
    rows[:20, :3], rows[20:, 3:] = [1, 2, 3], [3, 2, 1]
    model = MiniBatchNMF(2, init="custom", beta_loss="kl")
    H = np.array([[1.0, 2, 3, 1, 1, 1], [1, 1, 1, 3, 2, 1]])
    for _ in range(60):
        model.partial_fit(rows[:20], W=np.ones((20, 2)), H=H)
        model.partial_fit(rows[20:])
    np.testing.assert_allclose(model.inverse_transform(model.transform(rows)), rows, atol=0.1)


@settled
def test_sparse_batches_are_those_of_the_array():
    X = sparse.random_array((300, 40), density=0.1, rng=np.random.default_rng(0), format="csr")
    both = [
        MiniBatchNMF(3, batch_size=50, beta_loss=1, random_state=0, max_iter=3, tol=0).fit(x) for x in (X, X.toarray())
    ]
    np.testing.assert_allclose(both[0].components_, both[1].components_, rtol=1e-6, atol=1e-9)


@parametrize_with_checks([MiniBatchNMF(random_state=0, batch_size=20, fresh_restarts=True)])
@settled
def test_scikit_learns_checks_of_estimators(estimator, check):
    check(estimator)
