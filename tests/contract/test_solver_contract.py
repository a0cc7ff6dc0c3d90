"""What every solver in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep import Factors, factorize
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.divergence import Beta
from nmfsep.nmf.fit import Stop, fit
from nmfsep.nmf.problem import Problem
from nmfsep.registry import SOLVERS

BETAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
# every solver with every beta it says it can minimise
PAIRS = [(name, beta) for name in SOLVERS for beta in sorted(SOLVERS.load(name).betas or BETAS)]
pairs = pytest.mark.parametrize(("name", "beta"), PAIRS)


def matrix(dtype=np.float64, bins=14, frames=21):
    rng = np.random.default_rng(8)
    return (0.05 + rng.gamma(0.7, 1, (bins, frames))).astype(dtype)


def start(dtype=np.float64, bins=14, frames=21, k=3):
    rng = np.random.default_rng(9)
    return Factors(rng.uniform(0.1, 1, (bins, k)).astype(dtype), rng.uniform(0.1, 1, (k, frames)).astype(dtype))


def run(name, beta, workers, X=None, factors=None, n=20, fixed=()):
    X = matrix() if X is None else X
    Xt = np.ascontiguousarray(X.T)
    Xt.flags.writeable = False
    factors = factors or start(X.dtype, *X.shape)
    factors.W.flags.writeable = factors.Z.flags.writeable = False
    problem = Problem(Beta(beta), frozenset(fixed))
    return fit(Xt, factors, problem, SOLVERS.load(name)(), Stop(n, 0, None, 1), workers)


@pytest.mark.parametrize("name", SOLVERS)
def test_declares_what_it_can_do(name):
    solver = SOLVERS.load(name)()
    assert solver.betas is None or all(isinstance(beta, float) for beta in solver.betas)
    assert isinstance(solver.monotone, bool)
    assert isinstance(solver.fills, bool)
    assert SOLVERS[name]


@pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_factors_stay_nonnegative_finite_and_of_their_type(name, beta, dtype, workers):
    factors = run(name, beta, workers, matrix(dtype)).factors
    for factor in (factors.W, factors.Z):
        assert factor.dtype == dtype
        assert np.isfinite(factor).all()
        assert factor.min() >= 0


@pairs
def test_lowers_the_loss(name, beta, workers):
    losses = run(name, beta, workers).losses
    assert losses[-1] < 0.7 * losses[0]


@pairs
@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("fixed", [(), ("W",), ("Z",)])
def test_loss_never_rises_unless_declared_a_heuristic(name, beta, dtype, slack, fixed, workers):
    if not SOLVERS.load(name).monotone:
        pytest.skip("declares itself a heuristic")
    losses = np.array(run(name, beta, workers, matrix(dtype), n=60, fixed=fixed).losses)
    assert np.diff(losses).max() <= slack * losses[0]


@pairs
@pytest.mark.parametrize("n", [1, 7, 60])
def test_the_last_loss_is_that_of_the_factors_returned_and_the_lowest(name, beta, n, workers):
    # a heuristic may rise on its way, but what it returns is the best it has seen
    result = run(name, beta, workers, n=n)
    V = result.factors.reconstruct()
    assert result.losses[-1] == pytest.approx(Beta(beta).value(matrix(), V.copy()), rel=1e-6)
    assert result.losses[-1] <= min(result.losses) * (1 + 1e-12)


@pairs
def test_inputs_are_untouched(name, beta, workers):
    X, factors = matrix(), start()
    copies = X.copy(), factors.W.copy(), factors.Z.copy()
    run(name, beta, workers, X, factors)
    for array, copy in zip((X, factors.W, factors.Z), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pairs
@pytest.mark.parametrize("fixed", [("W",), ("Z",), ("W", "Z")])
def test_what_is_fixed_stays_bit_for_bit(name, beta, fixed, workers):
    before, after = start(), run(name, beta, workers, fixed=fixed).factors
    for factor in ("W", "Z"):
        assert np.array_equal(getattr(before, factor), getattr(after, factor)) == (factor in fixed)


@pairs
def test_float32_is_close_to_float64(name, beta, workers):
    single = run(name, beta, workers, matrix(np.float32), start(np.float32), n=10)
    double = run(name, beta, workers, matrix(np.float32).astype(np.float64), start(np.float32), n=10)
    V = double.factors.reconstruct()
    np.testing.assert_allclose(single.factors.reconstruct(), V, atol=1e-3 * V.max())
    np.testing.assert_allclose(single.losses, double.losses, rtol=1e-3, atol=1e-5 * double.losses[0])


@pairs
def test_the_seed_decides_every_bit_and_threads_none(name, beta, monkeypatch):
    X = matrix(np.float32, 260, 400)  # large enough for the blocked kernels
    monkeypatch.setattr(blocked, "TILE", 1 << 12)  # and for several tiles in each span
    options = {"divergence": beta, "solver": name, "start": "random", "max_iter": 4, "seed": 3}
    first = factorize(X, 3, threads=1, **options).factors
    for threads in (1, 2):
        again = factorize(X, 3, threads=threads, **options).factors
        np.testing.assert_array_equal(first.W, again.W)
        np.testing.assert_array_equal(first.Z, again.Z)
    other = factorize(X, 3, **{**options, "seed": 4}).factors
    assert not np.array_equal(first.W, other.W)


@pairs
def test_a_level_of_a_power_of_two_changes_no_bit_but_the_scale(name, beta):
    X, options = matrix(np.float32), {"divergence": beta, "solver": name, "max_iter": 10}
    plain, loud = factorize(X, 3, **options).factors, factorize(X * np.float32(2**15), 3, **options).factors
    np.testing.assert_array_equal(loud.W, plain.W)
    np.testing.assert_array_equal(loud.Z, plain.Z * np.float32(2**15))


@pairs
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_degenerate_shapes_stay_finite(name, beta, shape):
    X = matrix()[: shape[0], : shape[1]]
    fit = factorize(X, 4, divergence=beta, solver=name, max_iter=20)
    assert np.isfinite(fit.factors.reconstruct()).all()
    assert np.isfinite(fit.losses).all()


@pairs
def test_silent_frames_and_bins_stay_finite_and_silent(name, beta):
    X = matrix()
    X[:3], X[:, 4:9] = 0, 0
    fit = factorize(X, 3, divergence=beta, solver=name, max_iter=50)
    V = fit.factors.reconstruct()
    assert np.isfinite(V).all()
    assert V[:3].max() < 1e-2 * V.max()
    assert V[:, 4:9].max() < 1e-2 * V.max()


@pytest.mark.parametrize(("name", "beta"), [pair for pair in PAIRS if SOLVERS.load(pair[0]).fills])
def test_a_solver_that_fills_leaves_zeros_of_the_start(name, beta, workers):
    factors = start()
    factors.Z[1] = 0
    after = run(name, beta, workers, factors=factors).factors
    assert (after.W[:, 1].max() * after.Z[1].max()) > 1e-3


@pytest.mark.parametrize(("name", "beta"), [(n, b) for n in SOLVERS for b in BETAS if (n, b) not in PAIRS])
def test_refuses_what_it_cannot_minimise_with_a_hint(name, beta):
    with pytest.raises(UsageError, match=f"'{name}' minimises beta .* not {beta:g}") as refusal:
        factorize(matrix(), 2, divergence=beta, solver=name)
    assert refusal.value.hint
