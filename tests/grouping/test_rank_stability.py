"""The number of components that come out again."""

import numpy as np
import pytest

from nmfsep.grouping.rank import Evidence, rank, recommended, silhouettes


def made(count, seed=0):
    """Return a matrix of so many components, sparse in both factors, with noise of counts."""
    rng = np.random.default_rng(seed)
    W, Z = rng.gamma(0.3, 1, (60, count)), rng.gamma(0.3, 1, (count, 200))
    X = W @ Z
    return rng.poisson(X * 200 / X.mean()).astype(np.float32)


@pytest.mark.parametrize("count", [3, 5])
def test_the_known_number_is_found(count):
    found = rank(made(count), range(2, 8), threads=1)
    assert [row.components for row in found] == [2, 3, 4, 5, 6, 7]
    assert recommended(found) == count
    assert found[count - 2].loosest > 0.9
    assert not found[count - 1].stable
    unexplained = [row.unexplained for row in found]
    assert (np.diff(unexplained) < 0.01).all()
    assert unexplained[count - 2] < 0.1


def test_the_same_seed_gives_the_same_evidence():
    X = made(3)
    X.flags.writeable = False
    assert (
        rank(X, [3, 4], seed=1, threads=1) == rank(X, [3, 4], seed=1, threads=1) != rank(X, [3, 4], seed=2, threads=1)
    )


def test_a_sure_number_goes_before_a_larger_that_is_not():
    rows = [Evidence(2, 1.0, 1, 0.5), Evidence(3, 0.95, 1, 0.2), Evidence(4, 0.6, 0.9, 0.1), Evidence(5, 0.1, 0.5, 0.1)]
    assert recommended(rows) == 3
    assert recommended(rows[2:]) == 4
    assert recommended(rows[3:]) == 1
    assert [row.stable for row in rows] == [True, True, True, False]


def test_runs_that_agree_have_silhouettes_of_one_in_whatever_order():
    W = np.eye(6)[:, :4]
    np.testing.assert_allclose(silhouettes([W, W[:, [2, 0, 3, 1]], W[:, ::-1]]), 1)


def test_runs_that_disagree_about_one_template_have_one_loose_cluster():
    runs = [np.eye(8)[:, [0, 1, 2 + run]] for run in range(4)]
    widths = np.sort(silhouettes(runs))
    np.testing.assert_allclose(widths[1:], 1)
    assert widths[0] < 0.1
