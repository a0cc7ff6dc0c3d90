"""What the tests of scikit-learn's own NMF ask of it, asked of ours; where we answer differently, the test says how.

Not asked: penalties (alpha_W, alpha_H, l1_ratio), which are not offered, and MiniBatchNMF.
"""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import nmfsep
from nmfsep import NMF
from nmfsep.nmf.starts import nndsvd, nndsvda, nndsvdar

pytestmark = pytest.mark.estimator

SOLVERS = ["cd", "mu"]
INITS = [None, "random", "nndsvd", "nndsvda", "nndsvdar"]
BETAS = [-0.5, 0, 0.5, 1, 1.5, 2, 2.5]
SPARSE = [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array]

settled = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def noise(*shape, seed=0):
    return np.abs(np.random.default_rng(seed).standard_normal(shape))


def pairs():
    """Every init with every solver that takes it."""
    return [(init, solver) for init in INITS for solver in SOLVERS if (init, solver) != ("nndsvd", "mu")]


# Starts


@pytest.mark.parametrize("init", ["random", "nndsvd", "nndsvda", "nndsvdar"])
def test_starts_are_non_negative_and_of_the_asked_shape(init):
    fit = nmfsep.factorize(noise(10, 10), 10, start=init, solver="hals", divergence="frobenius", max_iter=0)
    assert fit.factors.W.shape == fit.factors.Z.shape == (10, 10)
    assert (fit.factors.W >= 0).all()
    assert (fit.factors.Z >= 0).all()


def test_nndsvd_starts_closer_than_the_mean():
    X = noise(10, 10)
    start = nndsvd(X.T.copy(), 10, np.random.default_rng(0))
    assert np.linalg.norm(start.reconstruct() - X) <= np.linalg.norm(X - X.mean())


@pytest.mark.parametrize("variant", [nndsvda, nndsvdar])
def test_variants_of_nndsvd_fill_its_zeros_and_leave_the_rest(variant):
    Xt = noise(10, 10)
    plain, filled = (start(Xt, 10, np.random.default_rng(0)) for start in (nndsvd, variant))
    for a, b in ((plain.W, filled.W), (plain.Z, filled.Z)):
        np.testing.assert_array_equal(a[a != 0], b[a != 0])
        assert (a == 0).any()
        assert (b > 0).all()


@pytest.mark.parametrize("init", ["nndsvd", "nndsvda", "nndsvdar"])
def test_nndsvd_cannot_start_more_components_than_the_smaller_side(init):
    with pytest.raises(ValueError, match=r"here 2, not 3; use init='random'"):
        NMF(3, init=init).fit(np.ones((4, 2)))


@settled
@pytest.mark.parametrize(("init", "solver"), pairs())
@pytest.mark.parametrize("shape", [(30, 10), (10, 30)], ids=["tall", "wide"])
def test_every_init_with_every_solver(init, solver, shape):
    model = NMF(5, init=init, solver=solver, random_state=0)
    W = model.fit_transform(noise(*shape))
    assert W.shape == (shape[0], 5)
    assert model.components_.shape == (5, shape[1])
    assert model.n_components_ == 5


@settled
@pytest.mark.parametrize(("init", "solver"), pairs())
def test_factors_are_non_negative(init, solver):
    rise = np.arange(5.0)
    X = np.column_stack([4 - rise, 6 + rise])  # with a zero
    model = NMF(2, init=init, solver=solver, random_state=0)
    assert (model.fit_transform(X) >= 0).all()
    assert (model.components_ >= 0).all()
    assert (model.transform(X) >= 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_cut_short_warns(solver):
    with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 1 reached"):
        NMF(solver=solver, max_iter=1).fit(np.ones((2, 2)))


# Parameters and data


def test_a_loss_that_the_solver_cannot_minimise():
    with pytest.raises(ValueError, match="it minimises beta 2, not 1; use solver='mu'"):
        NMF(solver="cd", beta_loss=1.0).fit(np.ones((2, 2)))


def test_negative_data_is_refused_by_fit_and_transform():
    X = np.ones((2, 2))
    model = NMF(2, tol=0.1).fit(X)
    for use in (NMF().fit, model.transform):
        with pytest.raises(ValueError, match="Negative values in data"):
            use(-X)


@settled
@pytest.mark.parametrize("beta", [-0.6, 0])
def test_zeros_where_beta_is_not_positive(beta):
    # refused by scikit-learn; here raised to -100 dB of the largest entry
    X = noise(6, 5)
    X[X < 0.5] = 0
    model = NMF(3, init="random", solver="mu", beta_loss=beta, random_state=0, max_iter=1000)
    W = model.fit_transform(X)
    raised = model.fit_transform(np.maximum(X, 1e-5 * X.max()))
    np.testing.assert_allclose(W, raised, rtol=1e-6)
    assert np.isfinite(model.transform(X)).all()


@settled
@pytest.mark.parametrize("beta", [0.2, 1, 1.2, 2, 2.5])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_zeros_where_beta_is_positive(beta, container):
    X = np.maximum(np.random.default_rng(42).standard_normal((6, 5)), 0)
    model = NMF(3, init="random", solver="mu", beta_loss=beta, random_state=0, max_iter=1000)
    W = model.fit_transform(container(X))
    assert np.isfinite(W).all()
    assert np.isfinite(model.components_).all()


def test_more_components_than_features():
    model = NMF(15, random_state=0, tol=1e-2)
    W = model.fit_transform(noise(30, 10))
    assert W.shape == (30, 15)
    assert (W > 0).any(axis=0).all()


# How good


@settled
@pytest.mark.parametrize("solver", SOLVERS)
def test_as_many_components_as_features_fit_closely(solver):
    model = NMF(5, init="nndsvdar", solver=solver, random_state=0, max_iter=600)
    assert model.fit(noise(6, 5, seed=42)).reconstruction_err_ < 0.1


@pytest.mark.smoke
@settled
def test_a_product_of_disjoint_parts_is_found():
    rng = np.random.default_rng(42)
    W, H = np.zeros((15, 5)), np.zeros((5, 10))
    W[np.arange(5), np.arange(5)] = 0.5 + rng.random(5)
    H[np.arange(10) % 5, np.arange(10)] = 0.5 + rng.random(10)
    X = W @ H
    model = NMF(5, solver="mu", beta_loss=1, max_iter=1000, random_state=0)
    V = model.inverse_transform(model.fit_transform(X))
    assert model.reconstruction_err_ < 0.1
    np.testing.assert_allclose(V, X, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("beta", [-1.2, 0, 0.2, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_iteration_lowers_the_loss(solver, beta):
    if solver == "cd" and beta != 2:
        return
    X = noise(20, 15)
    W, H = noise(20, 10, seed=1), noise(10, 15, seed=2)
    errors = []
    for _ in range(30):
        model = NMF(10, init="custom", solver=solver, beta_loss=beta, max_iter=1, tol=0)
        W = model.fit_transform(X, W=W, H=H)
        H = model.components_
        errors.append(model.reconstruction_err_)
    assert (np.diff(errors) < 0).all()


@pytest.mark.parametrize("beta", [-1.2, 0, 0.2, 1.0, 2.0, 2.5])
def test_factors_change_continuously_with_beta(beta):
    # some betas have code of their own
    X, start = noise(20, 10), {"W": noise(20, 5, seed=1), "H": noise(5, 10, seed=2)}
    fits = [
        NMF(5, init="custom", solver="mu", beta_loss=b, max_iter=20, tol=0).fit(X, **start) for b in (beta, beta - 1e-5)
    ]
    np.testing.assert_allclose(fits[0].components_, fits[1].components_, atol=1e-4)


def loss(X, V, beta):
    """The beta-divergence by its definition, entry by entry."""
    total = 0.0
    for x, v in zip(X.ravel(), V.ravel(), strict=True):
        if beta == 1:
            total += (x * np.log(x / v) if x else 0) - x + v
        elif beta == 0:
            total += x / v - np.log(x / v) - 1
        else:
            total += (x**beta + (beta - 1) * v**beta - beta * x * v ** (beta - 1)) / (beta * (beta - 1))
    return total


@pytest.mark.parametrize("beta", [0, 0.5, 1, 1.5, 2, 3])
def test_the_error_is_that_of_the_definition(beta):
    X = np.maximum(np.random.default_rng(42).standard_normal((20, 10)), 0 if beta > 0 else 1e-3)
    model = NMF(5, init="random", solver="mu", beta_loss=beta, max_iter=3, tol=0, random_state=0)
    V = model.inverse_transform(model.fit_transform(X))
    np.testing.assert_allclose(model.reconstruction_err_, np.sqrt(2 * loss(X, V, beta)), rtol=1e-7)


def test_an_entry_that_is_hardly_a_number_counts_as_zero():
    start = {"W": 10 * noise(10, 2, seed=1), "H": noise(2, 2, seed=2)}
    errors = []
    for tiny in (0, 1e-323):
        X = 10 * noise(10, 2)
        X[0, 0] = tiny
        model = NMF(2, init="custom", solver="mu", beta_loss=1, max_iter=5, tol=0)
        errors.append(model.fit(X, **start).reconstruction_err_)
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-9)


# Transform


@settled
@pytest.mark.parametrize("solver", SOLVERS)
def test_transform_returns_nearly_what_the_fit_did(solver):
    X = noise(6, 5)
    model = NMF(3, init="random", solver=solver, random_state=0, tol=1e-6, max_iter=500)
    W = model.fit_transform(X)
    np.testing.assert_allclose(model.transform(X), W, atol=0.02 * W.max())


@settled
@pytest.mark.parametrize("solver", SOLVERS)
def test_transform_after_a_custom_start(solver):
    X = noise(6, 5)
    model = NMF(4, init="custom", solver=solver, tol=1e-3, random_state=0)
    W = model.fit_transform(X, W=noise(6, 4, seed=1), H=noise(4, 5, seed=2))
    assert model.transform(X).shape == W.shape


@settled
@pytest.mark.parametrize("solver", SOLVERS)
def test_inverse_transform_comes_back_to_the_data(solver):
    X = noise(6, 4)
    model = NMF(4, init="random", solver=solver, random_state=0, max_iter=1000, tol=1e-6)
    W = model.fit_transform(X)
    np.testing.assert_allclose(model.inverse_transform(W), X, atol=0.02)
    for container in SPARSE:
        np.testing.assert_allclose(model.inverse_transform(container(W)), W @ model.components_, rtol=1e-12)


@settled
@pytest.mark.parametrize("container", SPARSE)
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_matrices_give_what_dense_ones_give(container, solver):
    X = noise(10, 10)
    X[:, ::2] = 0
    dense, other = (NMF(5, init="random", solver=solver, random_state=0, tol=0, max_iter=100) for _ in range(2))
    np.testing.assert_allclose(other.fit_transform(container(X)), dense.fit_transform(X), rtol=1e-9)
    np.testing.assert_allclose(other.components_, dense.components_, rtol=1e-9)
    np.testing.assert_allclose(other.transform(container(X)), dense.transform(X), rtol=1e-9)


@settled
@pytest.mark.parametrize(("init", "solver"), [("random", "cd"), ("nndsvd", "cd"), ("random", "mu")])
def test_the_class_gives_what_the_function_gives(init, solver):
    X = noise(10, 10)
    X[:, ::2] = 0
    model = NMF(5, init=init, solver=solver, random_state=1, tol=0, max_iter=100)
    W = model.fit_transform(X)
    options = {"divergence": "frobenius", "solver": solver.replace("cd", "hals"), "tol": 0, "max_iter": 100}
    fit = nmfsep.factorize(X.T, 5, start=init, seed=1, **options)
    np.testing.assert_allclose(W @ model.components_, fit.factors.reconstruct().T, atol=1e-6)
    held = nmfsep.factorize(X.T, 5, W=model.components_.T, fixed={"W"}, **{**options, "max_iter": 500})
    model.set_params(max_iter=500)
    np.testing.assert_allclose(model.transform(X), held.factors.Z.T, atol=1e-6)


def test_names_of_what_comes_out():
    model = NMF(3, tol=0, max_iter=2).fit(noise(10, 4))
    assert list(model.get_feature_names_out()) == ["nmf0", "nmf1", "nmf2"]


# Precision


@settled
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("float32", "float32"),
        ("float64", "float64"),
        ("int32", "float64"),
        ("int64", "float64"),
        ("float16", "float64"),
    ],
)
def test_precision_is_kept(solver, given, kept):
    X = (5 * noise(20, 15)).astype(given)
    model = NMF(6, solver=solver, random_state=0, tol=1e-2)
    assert model.fit_transform(X).dtype == kept
    assert model.components_.dtype == kept
    assert model.transform(X).dtype == kept
    assert model.inverse_transform(model.transform(X)).dtype == kept


@settled
@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision_is_close_to_double(solver):
    X = noise(50, 7)
    W, single = (NMF(3, solver=solver, random_state=0, tol=1e-3).fit_transform(X.astype(d)) for d in ("f8", "f4"))
    np.testing.assert_allclose(single, W, atol=1e-3 * W.max())


# Custom starts


def test_a_custom_start_has_the_precision_of_the_matrix_and_a_fit_may_meet_another():
    X, W, H = noise(20, 15), noise(20, 4, seed=1), noise(4, 15, seed=2)
    with pytest.raises(TypeError, match="H has float32"):
        NMF(init="custom", tol=0, max_iter=5).fit_transform(X, W=W, H=H.astype(np.float32))
    held = NMF(4, tol=0, max_iter=5).fit(X.astype(np.float32))
    assert held.transform(X).dtype == np.float64


@settled
@pytest.mark.parametrize("which", ["W", "H"])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda A: -A, "Negative values"),
        (lambda A: 0 * A, "is zero, which no solver can leave"),
        (lambda A: A * np.nan, "contains NaN"),
        (lambda A: A[0], "Expected 2D array"),
        (lambda A: A[:-1], None),
        (lambda A: A[:, :-1], None),
    ],
    ids=["negative", "zero", "nan", "a row", "a row less", "a column less"],
)
def test_a_wrong_custom_start_is_refused(which, spoil, says):
    start = {"W": noise(6, 2), "H": noise(2, 5)}
    start[which] = spoil(start[which])
    with pytest.raises(ValueError, match=says or r"of [WH] does not fit \(6, 5\) of X|W and H need 2 components"):
        NMF(2, init="custom").fit(noise(6, 5), **start)


@pytest.mark.parametrize("n_components", ["auto", 2])
def test_components_are_counted_on_the_custom_start(n_components):
    model = NMF(n_components, init="custom", tol=0, max_iter=3)
    model.fit(noise(6, 5), W=noise(6, 2), H=noise(2, 5))
    assert model.n_components_ == 2
    assert model.components_.shape == (2, 5)


def test_none_asks_for_as_many_components_as_features_whatever_the_start():
    with pytest.raises(ValueError, match=r"W and H need 5 components, not \[2, 2\]"):
        NMF(None, init="custom").fit(noise(6, 5), W=noise(6, 2), H=noise(2, 5))


@pytest.mark.parametrize("given", [("H",), ("W", "H")], ids=str)
def test_a_custom_start_that_is_not_used_is_told(given):
    start = {"W": noise(6, 2), "H": noise(2, 5)}
    with pytest.warns(RuntimeWarning, match="W and H are not used with init=None"):
        model = NMF(3, tol=0, max_iter=2).fit(noise(6, 5), **{name: start[name] for name in given})
    assert model.n_components_ == 3
