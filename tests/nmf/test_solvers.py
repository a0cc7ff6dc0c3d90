import numpy as np
import pytest
from scipy.optimize import nnls

from nmfsep import Factors, factorize
from nmfsep.errors import UsageError
from nmfsep.kernels.divergence import Beta
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.nmf.solvers.hals import HALS, W_SWEEPS, Z_SWEEPS
from nmfsep.nmf.solvers.mu import MU

# Févotte & Idier 2011, table 2
EXPONENTS = {-1: 1 / 3, 0: 1 / 2, 0.5: 2 / 3, 1: 1, 1.2: 1, 1.5: 1, 2: 1, 3: 1 / 2}


def problem(bins=12, frames=15, k=3, zeros=False, dtype=np.float64):
    rng = np.random.default_rng(4)
    X = rng.gamma(2, 0.5, (bins, frames))
    if zeros:
        X *= rng.random(X.shape) < 0.6
    W, Z = rng.uniform(0.1, 1, (bins, k)), rng.uniform(0.1, 1, (k, frames))
    return X.astype(dtype), W.astype(dtype), Z.astype(dtype)


def iterate(solver, X, W, Z, beta, workers, n, fixed=(), every=10):
    Xt = np.ascontiguousarray(X.T)
    Xt.flags.writeable = False
    return fit(Xt, Factors(W, Z), Problem(Beta(beta), frozenset(fixed)), solver, Stop(n, 0, None, every), workers)


@pytest.mark.parametrize(("beta", "gamma"), EXPONENTS.items())
def test_mu_step_is_the_formula_with_its_exponent(beta, gamma, workers):
    X, W, Z = problem()
    got = iterate(MU(), X, W, Z, beta, workers, 1).factors
    V = W @ Z
    Z = Z * ((W.T @ (X * V ** (beta - 2))) / (W.T @ V ** (beta - 1))) ** gamma
    V = W @ Z
    W = W * (((X * V ** (beta - 2)) @ Z.T) / (V ** (beta - 1) @ Z.T)) ** gamma
    np.testing.assert_allclose(got.Z, Z, rtol=1e-9)
    np.testing.assert_allclose(got.W, W, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 10, 60])
@pytest.mark.parametrize("beta", [0, 1, 2])
def test_mu_equals_scikit_learn_iteration_for_iteration(beta, n, workers):
    decomposition = pytest.importorskip("sklearn.decomposition")
    X, W, Z = problem()
    got = iterate(MU(), X, W, Z, beta, workers, n).factors
    # frames are its samples; it updates its W, our Z, first, as we do
    W_sk, H_sk, _ = decomposition.non_negative_factorization(
        X.T, W=Z.T.copy(), H=W.T.copy(), n_components=3, init="custom", solver="mu", beta_loss=beta, max_iter=n, tol=0
    )
    np.testing.assert_allclose(got.Z, W_sk.T, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(got.W, H_sk.T, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("beta", EXPONENTS)
def test_mu_loss_never_rises(beta, zeros, dtype, slack, workers):
    X, W, Z = problem(zeros=zeros, dtype=dtype)
    if beta <= 0:
        X = np.maximum(X, dtype(1e-5))
    losses = np.array(iterate(MU(), X, W, Z, beta, workers, 80, every=1).losses)
    assert np.diff(losses).max() <= slack * losses[0]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("zeros", [False, True])
def test_hals_loss_never_rises(zeros, dtype, slack, workers):
    X, W, Z = problem(zeros=zeros, dtype=dtype)
    losses = np.array(iterate(HALS(), X, W, Z, 2, workers, 80, every=1).losses)
    assert np.diff(losses).max() <= slack * losses[0]


def descend(X, A, H, sweeps):
    """Minimise ||X - A H||² over one entry of H >= 0 at a time, in the order that a book writes it."""
    H = H.copy()
    for _ in range(sweeps):
        for k in range(H.shape[0]):
            for t in range(H.shape[1]):
                rest = X[:, t] - A @ H[:, t] + A[:, k] * H[k, t]
                H[k, t] = max(0.0, A[:, k] @ rest / (A[:, k] @ A[:, k]))
    return H


def test_hals_equals_a_plain_loop_of_coordinate_descent(workers):
    X, W, Z = problem(6, 7, 3, zeros=True)
    got = iterate(HALS(), X, W, Z, 2, workers, 3).factors
    for _ in range(3):
        Z = descend(X, W, Z, Z_SWEEPS)
        W = descend(X.T, Z.T, W.T, W_SWEEPS).T
    np.testing.assert_allclose(got.Z, Z, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.W, W, rtol=1e-9, atol=1e-12)


def test_hals_converges_to_a_point_that_satisfies_the_kkt_conditions(workers):
    X, W, Z = problem(zeros=True)
    factors = iterate(HALS(), X, W, Z, 2, workers, 3000, every=3000).factors.normalize()
    W, Z = factors.W, factors.Z
    for factor, gradient in ((W, (W @ Z - X) @ Z.T), (Z, W.T @ (W @ Z - X))):
        assert factor.min() >= 0
        assert gradient.min() >= -1e-7
        assert np.abs(factor * gradient).max() <= 1e-7
    assert (Z == 0).any()  # otherwise complementarity says nothing about the bound


@pytest.mark.parametrize(("solver", "n", "tolerance"), [(HALS(), 400, 1e-8), (MU(), 5000, 2e-4)])
def test_activations_of_fixed_templates_are_those_of_nnls(solver, n, tolerance, workers):
    X, W, Z = problem(zeros=True)
    got = iterate(solver, X, W, Z, 2, workers, n, fixed={"W"}, every=n).factors.Z
    wanted = np.stack([nnls(W, x)[0] for x in X.T], axis=1)
    np.testing.assert_allclose(got, wanted, atol=tolerance)


@pytest.mark.parametrize("solver", [HALS(), MU()])
def test_templates_of_fixed_activations_are_those_of_nnls(solver, workers):
    X, W, Z = problem(zeros=True)
    got = iterate(solver, X, W, Z, 2, workers, 5000, fixed={"Z"}, every=5000).factors.W
    wanted = np.stack([nnls(Z.T, x)[0] for x in X], axis=0)
    np.testing.assert_allclose(got, wanted, atol=2e-4)


@pytest.mark.parametrize("beta", [0, 1, 1.5, 2])
def test_mu_with_fixed_templates_reaches_the_minimum_of_a_convex_problem(beta, workers):
    # from two starts the same activations: with W fixed and 1 <= beta <= 2 the problem is convex; for 0, exact data
    X, W, Z = problem()
    if beta == 0:
        X = W @ problem(k=3)[2][:, ::-1]
    first = iterate(MU(), X, W, Z, beta, workers, 4000, fixed={"W"}, every=4000).factors.Z
    second = iterate(MU(), X, W, Z[:, ::-1] * 5, beta, workers, 4000, fixed={"W"}, every=4000).factors.Z
    np.testing.assert_allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("held", [("W",), ("Z",), ("W", "Z")])
@pytest.mark.parametrize(("solver", "beta"), [(MU(), 0), (MU(), 1), (MU(), 2), (HALS(), 2)])
def test_a_fixed_factor_stays_bit_for_bit(solver, beta, held, workers):
    X, W, Z = problem()
    factors = iterate(solver, X, W, Z, beta, workers, 5, fixed=held).factors
    for name, before, after in (("W", W, factors.W), ("Z", Z, factors.Z)):
        assert np.array_equal(before, after) == (name in held)


def test_hals_revives_a_component_whose_activations_start_at_zero(workers):
    X, W, Z = problem()
    Z[1] = 0
    assert iterate(HALS(), X, W, Z, 2, workers, 1).factors.Z[1].any()


def test_hals_leaves_a_component_that_is_all_zero_without_a_warning(workers):
    X, W, Z = problem()
    W[:, 1], Z[1] = 0, 0
    factors = iterate(HALS(), X, W, Z, 2, workers, 5).factors
    assert not factors.W[:, 1].any()
    assert not factors.Z[1].any()
    assert np.isfinite(factors.reconstruct()).all()


@pytest.mark.parametrize("divergence", ["kl", "is", 1.5])
def test_hals_refuses_another_divergence_in_a_sentence_with_a_hint(divergence):
    with pytest.raises(UsageError, match="'hals' minimises beta 2, not") as refusal:
        factorize(np.ones((3, 4)), 2, divergence=divergence, solver="hals")
    assert "mu" in refusal.value.hint


def test_auto_is_the_extrapolated_solver_of_the_divergence():
    X = problem()[0]
    assert factorize(X, 2, divergence=2, max_iter=1).solver == "ehals"
    assert factorize(X, 2, divergence=1.99, max_iter=1).solver == "mue"
