"""An X on disk, read a block at a time: the fit of the array in memory."""

import numpy as np
import pytest

from nmfsep import NmfsepError, factorize, open_matrix
from nmfsep.kernels import streamed


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(streamed, "BLOCK", 1 << 11)


def noisy(dtype=np.float32):
    rng = np.random.default_rng(0)
    X = rng.gamma(0.3, 1, (120, 4)) @ rng.gamma(0.3, 1, (4, 150)) * (0.5 + rng.random((120, 150)))
    return (200 * X + 1).astype(dtype)


def saved(path, X):
    np.save(path, X)
    return open_matrix(path)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize(
    ("divergence", "options"),
    [("kl", {}), ("frobenius", {}), ("is", {}), (1.5, {"solver": "mu", "max_iter": 300})],
)
def test_the_loss_is_that_of_the_fit_in_memory(tmp_path, order, divergence, options):
    X = noisy()
    found, expected = (
        factorize(data, 4, divergence=divergence, **options) for data in (saved(tmp_path / "X.npy", order(X)), X)
    )
    assert found.losses[-1] == pytest.approx(expected.losses[-1], rel=5e-3)
    assert found.losses[0] == pytest.approx(expected.losses[0], rel=1e-3)  # the same start
    assert found.factors.W.shape == expected.factors.W.shape
    np.testing.assert_allclose(found.factors.W.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [np.float64, np.int16, ">f4"])
def test_columns_that_lie_together_give_the_same_fit(tmp_path, dtype):
    X = noisy().astype(dtype)
    X = np.asfortranarray(X)
    asked = {"divergence": "frobenius", "solver": "hals", "l1": 1e-4, "max_iter": 20, "tol": 0}
    found, expected = (factorize(data, 4, **asked) for data in (saved(tmp_path / "X.npy", X), X))
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-4)
    assert found.factors.W.dtype == expected.factors.W.dtype


@pytest.mark.usefixtures("small_blocks")
def test_threads_change_no_bit(tmp_path):
    X = saved(tmp_path / "X.npy", noisy())
    one, two = (factorize(X, 4, max_iter=10, threads=n).factors for n in (1, 2))
    np.testing.assert_array_equal(one.W, two.W)
    np.testing.assert_array_equal(one.Z, two.Z)


def test_penalties_of_rows_stay_with_the_rows(tmp_path):
    X = noisy()
    found, expected = (
        factorize(data, 3, solver="mu", l1={"Z": 50.0}, max_iter=400, tol=0)
        for data in (saved(tmp_path / "X.npy", X), X)
    )
    assert found.losses[-1] == pytest.approx(expected.losses[-1], rel=2e-2)


def test_what_needs_all_entries_is_refused(tmp_path):
    X = saved(tmp_path / "X.npy", noisy())
    with pytest.raises(NmfsepError, match="start 'spa' takes no X that is read in blocks"):
        factorize(X, 2, start="spa")
    with pytest.raises(NmfsepError, match="columns lie together"):
        factorize(X, 2, sparsity=0.1)
    with pytest.raises(NmfsepError, match="knows no smoothness"):
        factorize(X, 2, weights=np.ones(X.shape))


def test_a_file_that_has_shrunk_says_so(tmp_path):
    X = saved(tmp_path / "X.npy", noisy())
    with (tmp_path / "X.npy").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(NmfsepError, match="ends before its numbers do"):
        factorize(X, 2)
