"""What every model in the registry must hold to; a new entry is tested by itself."""

import doctest
import inspect
from importlib import import_module

import numpy as np
import pytest

from nmfsep import fit_model
from nmfsep.errors import UsageError
from nmfsep.kernels import blocked
from nmfsep.kernels.divergence import frobenius, kullback_leibler
from nmfsep.models.by_name import has_levels, options_of
from nmfsep.registry import MODELS

models = pytest.mark.parametrize("name", MODELS)
SIGNED = {"semi", "deep-semi", "kmeans"}
DELAYS = {"nmfd": 8}  # columns of a component
COMMON = {"max_iter", "tol", "time_limit", "seed", "callback", "threads"}


def size(name, k=3):
    return (2 * k, k) if has_levels(name) else k


def matrix(bins=15, frames=24, dtype=np.float64):
    X = (0.05 + np.random.default_rng(3).gamma(0.7, 1, (bins, frames))).astype(dtype)
    X.flags.writeable = False
    return X


def loss_of(name, X, factors):
    measure = kullback_leibler if "divergence" in options_of(name) else frobenius
    return measure.value(X, factors.reconstruct())


def test_the_example_of_the_docstring_runs():
    result = doctest.testmod(import_module("nmfsep.models.by_name"))
    assert result.attempted > 0
    assert result.failed == 0


@models
def test_has_the_common_options_by_keyword(name):
    parameters = list(inspect.signature(MODELS.load(name)).parameters.values())
    assert [parameter.name for parameter in parameters[:2]][1] in ("k", "levels")
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[2:])
    assert set(options_of(name)) >= COMMON


@models
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_returns_factors_losses_and_how_it_went(name, dtype):
    X = matrix(dtype=dtype)
    result = fit_model(name, X, size(name), max_iter=25, tol=0, seed=1)
    columns = 3 * DELAYS.get(name, 1)
    assert result.factors.W.shape == (15, columns)
    assert result.factors.Z.shape == (columns, 24)
    assert np.diff(result.losses).max() <= (1e-12 if dtype == np.float64 else 2e-5) * result.losses[0]
    assert result.losses[-1] == pytest.approx(loss_of(name, X, result.factors), rel=1e-4)
    assert len(result.losses) == len(result.evaluated)
    assert result.evaluated[-1] == result.n_iter == 25
    assert not result.converged
    assert result.solver
    assert result.warnings == ()


@models
def test_stops_by_itself(name):
    result = fit_model(name, matrix(), size(name), max_iter=5000)
    assert result.converged
    assert result.n_iter < 5000


@models
def test_more_components_never_fit_worse(name):
    losses = [fit_model(name, matrix(), size(name, k), max_iter=300).losses[-1] for k in (1, 3, 8)]
    assert losses[0] > losses[1] > losses[2]


@models
def test_the_seed_decides_every_bit_and_threads_none(name, monkeypatch):
    X = matrix(260, 400, np.float32)
    monkeypatch.setattr(blocked, "TILE", 1 << 12)
    runs = [fit_model(name, X, size(name), max_iter=3, seed=5, threads=threads) for threads in (1, 1, 2)]
    for other in runs[1:]:
        np.testing.assert_array_equal(other.factors.W, runs[0].factors.W)
        np.testing.assert_array_equal(other.factors.Z, runs[0].factors.Z)
        assert other.losses == runs[0].losses


@models
@pytest.mark.parametrize("n", [-16, 16])
def test_a_level_of_a_power_of_two_changes_the_scale_alone(name, n):
    plain, scaled = (fit_model(name, matrix() * 2.0**m, size(name), max_iter=20) for m in (0, n))
    np.testing.assert_allclose(scaled.factors.reconstruct(), plain.factors.reconstruct() * 2.0**n, rtol=1e-9)
    assert scaled.n_iter == plain.n_iter


@models
def test_takes_lists_and_whole_numbers(name):
    X = np.round(matrix() * 5).astype(int)
    wanted = fit_model(name, X.astype(np.float32), size(name), max_iter=5).factors.reconstruct()
    got = fit_model(name, X.tolist(), size(name), max_iter=5).factors.reconstruct()
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)


@models
def test_tells_the_callback_and_heeds_its_wish_to_stop(name):
    told = []
    fit_model(name, matrix(), size(name), max_iter=40, tol=0, callback=lambda *call: told.append(call))
    assert [iteration for iteration, _ in told] == sorted({iteration for iteration, _ in told})
    assert all(np.isfinite(loss) for _, loss in told)
    stopped = fit_model(name, matrix(), size(name), max_iter=40, tol=0, callback=lambda *_: True)
    assert stopped.n_iter < 40
    assert not stopped.converged


@models
def test_heeds_the_time_limit(name):
    assert fit_model(name, matrix(), size(name), max_iter=10**6, tol=0, time_limit=0).n_iter == 1


@models
@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1, np.nan], [1, 1]], "NaN or infinite"),
        ([[1, np.inf], [1, 1]], "NaN or infinite"),
        ([[1, 2], [3]], "rows differ in length"),
        (np.ones(4), "matrix"),
        (np.ones((2, 2, 2)), "matrix"),
        (np.ones((0, 3)), "matrix"),
        ([["a"]], "real numbers"),
    ],
    ids=["nan", "inf", "ragged", "vector", "cube", "empty", "text"],
)
def test_what_is_no_finite_matrix_is_refused_in_one_line(name, X, words):
    with pytest.raises(UsageError, match=words) as refusal:
        fit_model(name, X, size(name, 1))
    assert "\n" not in str(refusal.value)


@models
def test_signed_matrices_are_factorized_or_refused_with_a_hint(name):
    X = matrix() - 1
    if name in SIGNED:
        result = fit_model(name, X, size(name))
        assert result.losses[-1] == pytest.approx(loss_of(name, X, result.factors), rel=1e-6)
        assert result.losses[-1] < 0.9 * frobenius.value(X, np.zeros_like(X))
        return
    with pytest.raises(UsageError, match="negative") as refusal:
        fit_model(name, X, size(name))
    assert refusal.value.hint


@models
@pytest.mark.parametrize("k", [0, -1, 2.5, "3", None])
def test_a_number_of_components_that_is_none_is_refused(name, k):
    with pytest.raises(UsageError):
        fit_model(name, matrix(), (k,) if has_levels(name) else k)


@models
def test_levels_and_numbers_are_told_apart(name):
    with pytest.raises(UsageError, match="levels must be a list" if has_levels(name) else "k must be a whole number"):
        fit_model(name, matrix(), 3 if has_levels(name) else (6, 3))


@models
def test_silence_is_warned_of_and_gives_silence(name):
    result = fit_model(name, np.zeros((5, 8)), size(name, 2))
    assert "zero" in result.warnings[0]
    np.testing.assert_allclose(result.factors.reconstruct(), 0, atol=1e-10)


@models
def test_more_components_than_can_differ_are_warned_of(name):
    k = (30, 26) if has_levels(name) else 26
    result = fit_model(name, matrix(), k, max_iter=5)
    assert "more than the" in result.warnings[0]
    assert np.isfinite(result.factors.reconstruct()).all()


def test_unknown_models_and_options_are_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"model 'kmean' is unknown; did you mean 'kmeans'\?"):
        fit_model("kmean", matrix(), 2)
    with pytest.raises(UsageError, match=r"model 'kmeans' has no option 'restart'; did you mean 'restarts'\?"):
        fit_model("kmeans", matrix(), 2, restart=3)
    with pytest.raises(UsageError, match="model 'kmeans' has no option 'divergence'"):
        fit_model("kmeans", matrix(), 2, divergence="kl")
