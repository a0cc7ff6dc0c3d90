"""A sparse X: the same fit as of the array, without the array."""

import numpy as np
import pytest
from scipy import sparse

from nmfsep import NmfsepError, factorize
from nmfsep.kernels import numba_loops  # noqa: F401 (loaded here, and not within the first test that needs it)
from nmfsep.kernels.divergence import frobenius, kullback_leibler
from nmfsep.kernels.reference import Kernels
from nmfsep.kernels.sparse import Sparse


def entries(dtype=np.float64, shape=(60, 90)):
    return sparse.random_array(shape, density=0.1, rng=np.random.default_rng(0), dtype=dtype, format="csr")


@pytest.fixture
def never_dense(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("made dense")

    for kind in (sparse.csr_array, sparse.csc_array):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(kind, name, refuse)


@pytest.mark.parametrize("form", ["csr", "csc"])
@pytest.mark.parametrize(
    ("divergence", "solver", "options"),
    [
        ("kl", "auto", {}),
        ("kl", "mu", {"l1": 1e-3, "l2": 1e-3}),
        ("kl", "mue", {"sparsity": 0.1}),
        ("frobenius", "auto", {}),
        ("frobenius", "hals", {"l1": 1e-3}),
        ("frobenius", "mu", {"start": "nndsvdar"}),
    ],
)
def test_the_fit_is_that_of_the_array(form, divergence, solver, options, request):
    X = entries()
    asked = {"divergence": divergence, "solver": solver, "max_iter": 30, "tol": 0, **options}
    expected = factorize(X.toarray(), 4, **asked)
    request.getfixturevalue("never_dense")
    found = factorize(X.asformat(form), 4, **asked)
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-8)
    np.testing.assert_allclose(found.factors.W, expected.factors.W, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("measure", [kullback_leibler, frobenius])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_are_those_of_the_array(measure, compiled, dtype, workers):
    X, rng = entries(dtype), np.random.default_rng(1)
    Wt, Zt = rng.random((5, 90)).astype(dtype), rng.random((60, 5)).astype(dtype)
    kernels, tight = Sparse(X, compiled), 1e-4 if dtype == np.float32 else 1e-9
    both = []
    for each, data in ((Kernels(), X.toarray()), (kernels, X)):
        Z, H = Zt.copy(), Zt.copy()
        sums = each.mm_pass(data, Wt, Z, measure, 1.0, workers, Wt)
        swept = each.hals_pass(data, Wt, H, 2, workers, (Zt.copy(), 0.3))
        both.append((Z, *sums, H, *swept, each.divergence(data, Wt, Zt, measure, workers), each.energy(data)))
    for found, expected in zip(both[1], both[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=tight, atol=tight)


def test_threads_change_no_bit():
    X = entries(np.float32, (900, 700))
    one, two = (factorize(X, 9, divergence="frobenius", max_iter=10, threads=n).factors for n in (1, 2))
    np.testing.assert_array_equal(one.W, two.W)
    np.testing.assert_array_equal(one.Z, two.Z)


def test_zeros_that_are_stored_and_entries_in_parts_count_as_what_they_are():
    parts = sparse.coo_array(([1.0, 2, 0, 4], ([0, 0, 1, 1], [0, 0, 1, 0])), shape=(2, 2))
    found, expected = (factorize(X, 1, max_iter=5) for X in (parts, [[3.0, 0], [4, 0]]))
    np.testing.assert_allclose(found.losses, expected.losses, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"divergence": "is"}, "kl and frobenius"),
        ({"start": "spa"}, "start 'spa' takes no X that is sparse"),
        ({"solver": "pinv", "divergence": "frobenius"}, "solver 'pinv' takes no X that is sparse"),
        ({"smoothness": 1.0}, "knows no smoothness"),
    ],
)
def test_what_needs_all_entries_is_refused(options, message):
    with pytest.raises(NmfsepError, match=message):
        factorize(entries(), 2, **options)


@pytest.mark.parametrize(("bad", "message"), [(-1.0, "negative"), (np.nan, "NaN")])
def test_bad_entries_are_refused(bad, message):
    X = entries()
    X.data[7] = bad
    with pytest.raises(NmfsepError, match=message):
        factorize(X, 2)
