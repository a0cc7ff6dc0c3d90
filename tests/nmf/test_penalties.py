import numpy as np
import pytest

from nmfsep import factorize
from nmfsep.errors import UsageError
from nmfsep.kernels.divergence import Beta
from nmfsep.nmf import problem as penalties
from nmfsep.nmf.fit import Execution
from nmfsep.nmf.problem import Problem

BETAS = [0, 0.5, 1, 1.5, 2, 3]


def matrix(bins=40, frames=120, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((bins, k)) @ rng.random((k, frames)) + 0.05 * rng.random((bins, frames))


def hoyer(Z):
    """Sparseness of rows: 0 for a constant one, 1 for a single entry (Hoyer 2004)."""
    root = np.sqrt(Z.shape[1])
    return float(np.mean((root - Z.sum(axis=1) / np.linalg.norm(Z, axis=1)) / (root - 1)))


def roughness(Z):
    return np.abs(np.diff(Z, axis=1)).sum() / Z.sum()


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("sparsity", [0.1, 1])
def test_the_loss_with_its_sparsity_never_rises(beta, sparsity, solver):
    fit = factorize(
        matrix(),
        4,
        divergence=beta,
        solver=solver,
        sparsity=sparsity,
        execution=Execution(loss_every=1),
        max_iter=80,
        tol=0,
    )
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("smoothness", [0.1, 3, 100])
def test_the_loss_with_its_smoothness_never_rises(smoothness, solver):
    fit = factorize(
        matrix(), 4, smoothness=smoothness, solver=solver, execution=Execution(loss_every=1), max_iter=80, tol=0
    )
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]


@pytest.mark.parametrize("beta", [1, 1.5, 2])
def test_more_sparsity_gives_sparser_activations(beta):
    fits = [factorize(matrix(), 4, divergence=beta, solver="mue", sparsity=s, max_iter=300) for s in (0, 3)]
    dense, sparse = (hoyer(fit.factors.Z) for fit in fits)
    assert sparse > dense + 0.02


def test_more_smoothness_gives_smoother_activations():
    rough = [roughness(factorize(matrix(), 4, smoothness=s, max_iter=200).factors.Z) for s in (0, 0.3, 10)]
    assert rough[0] > rough[1] > rough[2]
    assert rough[2] < rough[0] / 3


@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_the_sparsity_penalty_does_not_depend_on_how_the_scale_is_split(beta):
    rng = np.random.default_rng(0)
    Wt, Zt, D = rng.random((3, 10)), rng.random((20, 3)), np.array([0.1, 1, 50])
    problem = Problem(Beta(beta), sparsity=0.7)
    assert penalties.loss(Wt * D[:, None], Zt / D, problem) == pytest.approx(penalties.loss(Wt, Zt, problem))


def test_templates_that_are_held_get_smoother_activations_whatever_their_level():
    X, W = matrix(), 0.1 + np.random.default_rng(3).random((40, 4))
    options = {"fixed": {"W"}, "max_iter": 60, "tol": 0, "execution": Execution(loss_every=1)}
    rough, smooth = (factorize(X, 4, W=W, smoothness=s, **options) for s in (0, 10))
    np.testing.assert_array_equal(smooth.factors.W, W)
    assert (np.diff(smooth.losses) <= 1e-9 * smooth.losses[0]).all()
    assert roughness(smooth.factors.Z) < 0.5 * roughness(rough.factors.Z)
    Z, times = np.ones((4, 120)), np.array([1, 2, 3, 4])
    one = factorize(X, 4, W=W, Z=Z, smoothness=10, **options).factors
    other = factorize(X, 4, W=W * times, Z=Z / times[:, None], smoothness=10, **options).factors
    np.testing.assert_allclose(other.Z * times[:, None], one.Z, rtol=1e-6)


def test_smoothness_is_the_sum_of_squared_steps():
    Zt = np.array([[0.0, 1], [2, 1], [2, 4]])
    problem = Problem(smoothness=3.0, level=2.0)
    assert penalties.loss(np.ones((2, 5)) / 5, Zt, problem) == pytest.approx(0.5 * 3 / 2 * (4 + 9))


def test_tiles_do_not_change_a_smooth_update(monkeypatch):
    # neighbours of a frame may lie in another tile
    from nmfsep.kernels import blocked, select as choose

    monkeypatch.setattr(choose, "SMALL", 0)
    whole = factorize(matrix(), 4, smoothness=1, max_iter=20, tol=0).factors.Z
    monkeypatch.setattr(blocked, "TILE", 320)
    np.testing.assert_allclose(factorize(matrix(), 4, smoothness=1, max_iter=20, tol=0).factors.Z, whole, rtol=1e-9)


@pytest.mark.parametrize("unit", [2.0**-20, 1024.0])
@pytest.mark.parametrize("penalty", ["sparsity", "smoothness"])
def test_penalties_do_not_depend_on_the_level(penalty, unit):
    plain = factorize(matrix(), 4, **{penalty: 0.5}, max_iter=30).factors
    scaled = factorize(matrix() * unit, 4, **{penalty: 0.5}, max_iter=30).factors
    np.testing.assert_array_equal(plain.W, scaled.W)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"divergence": 2, "solver": "hals", "sparsity": 1}, "knows no sparsity, smoothness"),
        ({"divergence": 2, "smoothness": 1}, "kl only"),
        ({"sparsity": -1}, "negative"),
        ({"sparsity": 1, "smoothness": 1}, "together"),
        ({"smoothness": 1, "Z": np.ones((4, 120)), "fixed": {"Z"}}, "no entry can be held"),
        ({"restarts": 2, "W": np.ones((40, 4)), "fixed": {"W"}}, "held fixed"),
    ],
)
def test_what_cannot_be_penalised_is_refused(options, says):
    with pytest.raises(UsageError, match=says):
        factorize(matrix(), 4, **options)


def priced(which, shape):
    rng = np.random.default_rng(3)
    return {which: np.where(rng.random(shape) < 0.5, rng.random(shape) * 2, 0)}


@pytest.mark.parametrize("solver", ["mu", "mue"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("costs", [priced("Z", (4, 120)), priced("W", (40, 4))], ids=["Z", "W"])
def test_the_loss_with_its_costs_never_rises(beta, costs, solver):
    options = {"solver": solver, "execution": Execution(loss_every=1), "max_iter": 60, "tol": 0, "sparsity": 0.1}
    fit = factorize(matrix(), 4, divergence=beta, costs=costs, **options)
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]


def test_what_costs_is_less_used():
    costs = {"Z": np.zeros((4, 120)), "W": np.zeros((40, 4))}
    costs["Z"][0, :60] = costs["W"][:20, 1] = 5
    plain, dear = (factorize(matrix(), 4, max_iter=200, costs=c).factors for c in (None, costs))
    assert dear.Z[0, :60].sum() < 0.01 * dear.Z[0].sum()
    assert dear.W[:20, 1].sum() < 0.01
    assert plain.Z[0, :60].sum() > 0.1 * plain.Z[0].sum()


def test_a_cost_that_all_entries_share_is_sparsity():
    for beta in (0.5, 1, 2):
        options = {"divergence": beta, "solver": "mu", "max_iter": 30, "tol": 0}
        sparse = factorize(matrix(), 4, sparsity=0.7, **options)
        priced_alike = factorize(matrix(), 4, costs={"Z": np.full((4, 120), 0.7)}, **options)
        np.testing.assert_allclose(priced_alike.factors.Z, sparse.factors.Z, rtol=1e-6)
        np.testing.assert_allclose(priced_alike.losses, sparse.losses, rtol=1e-9)


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"V": np.ones((4, 120))}, "only 'W' and 'Z' can have costs"),
        ({"Z": np.ones((120, 4))}, r"must be real numbers of shape \(4, 120\)"),
        ({"W": np.full((40, 4), np.nan)}, "costs of W hold negative, NaN"),
        ({"Z": np.full((4, 120), -1.0)}, "costs of Z hold negative, NaN"),
    ],
)
def test_costs_that_cannot_be_are_refused(costs, words):
    with pytest.raises(UsageError, match=words):
        factorize(matrix(), 4, costs=costs)
    with pytest.raises(UsageError, match="cost anything"):
        factorize(matrix(), 4, smoothness=1.0, costs={"Z": np.ones((4, 120))})


NORMS = [
    {"l1": {"Z": 0.5}},
    {"l1": {"W": 0.3}, "l2": {"Z": 0.2}},
    {"l1": {"W": 0.2, "Z": 0.3}, "l2": {"W": 0.5, "Z": 0.1}},
]


@pytest.mark.parametrize("norms", NORMS, ids=str)
@pytest.mark.parametrize(("solver", "beta"), [("hals", 2), ("mu", 2), ("mu", 1), ("mue", 2), ("mue", 1), ("mue", 0)])
def test_the_loss_with_l1_and_l2_never_rises_and_is_what_it_says(solver, beta, norms):
    X = np.random.default_rng(0).random((20, 30)) + 0.1
    fit = factorize(
        X, 4, divergence=beta, solver=solver, max_iter=40, tol=0, execution=Execution(loss_every=1), **norms
    )
    assert np.diff(fit.losses).max() <= 1e-12 * fit.losses[0]
    W, Z = fit.factors.W, fit.factors.Z
    total = Beta(beta).value(X, W @ Z)
    for name, A in (("W", W), ("Z", Z)):
        total += norms.get("l1", {}).get(name, 0) * A.sum() + norms.get("l2", {}).get(name, 0) / 2 * (A**2).sum()
    assert fit.losses[-1] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_weights_of_l1_and_l2_are_in_the_units_of_x(beta):
    X = np.random.default_rng(0).random((20, 30)) + 0.1
    W, Z = np.random.default_rng(1).random((20, 3)), np.random.default_rng(2).random((3, 30))
    options = {"divergence": beta, "solver": "mu", "max_iter": 20, "tol": 0}
    plain = factorize(X, 3, W=W, Z=Z, l1={"W": 0.2, "Z": 0.3}, l2={"W": 0.4, "Z": 0.1}, **options)
    scale = 2.0**9  # X and Z in other units: D is scaled by scale^beta, and so must be what is added
    l1, l2 = (
        {"W": 0.2 * scale**beta, "Z": 0.3 * scale ** (beta - 1)},
        {"W": 0.4 * scale**beta, "Z": 0.1 * scale ** (beta - 2)},
    )
    other = factorize(X * scale, 3, W=W, Z=Z * scale, l1=l1, l2=l2, **options)
    np.testing.assert_allclose(other.factors.W, plain.factors.W, rtol=1e-9)
    np.testing.assert_allclose(other.losses, np.array(plain.losses) * scale**beta, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"l1": {"H": 1}}, "only 'W' and 'Z' can have l1"),
        ({"l2": {"W": -1}}, "finite and not negative"),
        ({"l1": {"W": np.nan}}, "finite and not negative"),
        ({"l1": {"W": 1}, "smoothness": 1}, "smoothness"),
        ({"l1": {"W": 1}, "solver": "pinv", "divergence": 2}, "knows no l1 and l2"),
    ],
)
def test_norms_that_make_no_sense_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        factorize(np.ones((4, 5)), 2, **options)
