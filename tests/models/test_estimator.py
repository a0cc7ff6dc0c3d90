"""nmfsep.NMF: the conventions of scikit-learn, its numbers, and what is better here."""

import inspect
import pickle
from pathlib import Path

import librosa
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import decomposition
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import nmfsep
from nmfsep import NMF
from nmfsep.kernels.divergence import as_divergence

pytestmark = [pytest.mark.estimator, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


def matrix(samples=30, features=20, seed=0, rank=4):
    rng = np.random.default_rng(seed)
    return rng.random((samples, rank)) @ rng.random((rank, features)) + 0.1 * rng.random((samples, features))


def custom(X, k=4, seed=1):
    rng = np.random.default_rng(seed)
    return {"W": 0.1 + rng.random((len(X), k)), "H": 0.1 + rng.random((k, X.shape[1]))}


def spectrogram(seconds=1.0):
    """A low tone, then a high one, then both: bins by frames."""
    t = np.arange(int(22050 * seconds)) / 22050
    low, high = np.sin(2 * np.pi * 220 * t), np.sin(2 * np.pi * 1760 * t)
    y = np.concatenate([high, low, low + high]).astype(np.float32)
    return np.abs(librosa.stft(y, n_fft=512))


# What scikit-learn asks of an estimator


@parametrize_with_checks([NMF(), NMF(1, beta_loss="kullback-leibler")])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def failures(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    return {result["check_name"] for result in results if result["status"] == "failed"}


# With as many components as features and few iterations "mu" is not at the optimum, so W of the fit is not yet
# that which transform finds; the check wants them within 0.01.
NOT_CONVERGED = {"check_transformer_general", "check_transformer_data_not_an_array"}


@pytest.mark.parametrize("beta", ["frobenius", "kullback-leibler"])
def test_checks_that_mu_fails_fail_for_scikit_learn_too(beta):
    for cls in (NMF, decomposition.NMF):
        assert failures(cls(solver="mu", beta_loss=beta, max_iter=50)) == NOT_CONVERGED


def test_itakura_saito_fails_one_check_and_scikit_learn_thirty():
    # The data of the checks hold zeros. They are raised to -100 dB of the largest entry of the X at hand, which is
    # another for one sample alone; scikit-learn refuses them.
    parameters = {"n_components": 1, "solver": "mu", "beta_loss": "itakura-saito"}
    only = {"check_methods_subset_invariance"}
    assert failures(NMF(**parameters)) == only
    assert failures(decomposition.NMF(**parameters)) > only


@pytest.mark.smoke
def test_parameters_are_those_of_scikit_learn_with_the_same_defaults():
    ours, theirs = (dict(inspect.signature(cls).parameters) for cls in (NMF, decomposition.NMF))
    assert set(ours) == set(theirs)
    differing = {name for name in ours if ours[name].default != theirs[name].default}
    assert differing == {"solver"}


# The same numbers


@pytest.mark.smoke
@pytest.mark.parametrize("beta", [2, 1, 0, 0.5, 1.5, 3])
@pytest.mark.parametrize("max_iter", [1, 30])
@pytest.mark.parametrize("size", [(30, 20), (280, 240)], ids=["plain kernels", "blocked kernels"])
def test_mu_does_the_iterations_of_scikit_learn(beta, max_iter, size):
    X = matrix(*size)
    options = {"init": "custom", "solver": "mu", "beta_loss": beta, "tol": 0, "max_iter": max_iter}
    ours, theirs = NMF(4, **options), decomposition.NMF(4, **options)
    W = ours.fit_transform(X, **custom(X))
    reference = theirs.fit_transform(X, **custom(X))
    assert ours.n_iter_ == theirs.n_iter_ == max_iter
    np.testing.assert_allclose(W @ ours.components_, reference @ theirs.components_, rtol=1e-8)
    scale = theirs.components_.sum(axis=1)
    np.testing.assert_allclose(ours.components_, theirs.components_ / scale[:, None], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(W, reference * scale, rtol=1e-8, atol=1e-10 * W.max())
    np.testing.assert_allclose(ours.reconstruction_err_, theirs.reconstruction_err_, rtol=1e-8)


PENALTIES = [{"alpha_W": 0.02}, {"alpha_W": 0.01, "alpha_H": 0.03, "l1_ratio": 1}, {"alpha_H": 0.02, "l1_ratio": 0.4}]


@pytest.mark.parametrize("beta", [2, 1, 0, 0.5, 3])
@pytest.mark.parametrize("penalty", PENALTIES, ids=str)
@pytest.mark.parametrize("level", [1, 1000])
def test_mu_does_the_iterations_of_scikit_learn_with_penalties(beta, penalty, level):
    X = matrix() * level
    options = {"init": "custom", "solver": "mu", "beta_loss": beta, "tol": 0, "max_iter": 20, **penalty}
    ours, theirs = NMF(4, **options), decomposition.NMF(4, **options)
    W, reference = ours.fit_transform(X, **custom(X)), theirs.fit_transform(X, **custom(X))
    np.testing.assert_allclose(W, reference, rtol=1e-7, atol=1e-9 * reference.max())
    np.testing.assert_allclose(ours.components_, theirs.components_, rtol=1e-7, atol=1e-9 * theirs.components_.max())
    np.testing.assert_allclose(ours.reconstruction_err_, theirs.reconstruction_err_, rtol=1e-7)
    if beta != 1 or "l1_ratio" not in penalty:  # there scikit-learn's transform adds l1 again in each iteration
        theirs.components_ = ours.components_
        found, wanted = (model.set_params(max_iter=3000).transform(X) for model in (ours, theirs))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * W.max())


@pytest.mark.parametrize(
    ("penalty", "bound"),
    [({"alpha_W": 0.02}, 1.0001), ({"alpha_W": 0.01, "alpha_H": 0.03, "l1_ratio": 1}, 1.03)],  # zeros make other minima
    ids=str,
)
def test_cd_ends_at_no_higher_an_objective_than_scikit_learns(penalty, bound):
    X = matrix()
    options = {"init": "custom", "solver": "cd", "tol": 0, "max_iter": 500, **penalty}

    def objective(cls):
        model = cls(4, **options)
        W = model.fit_transform(X, **custom(X))
        total = model.reconstruction_err_**2 / 2
        alphas = {"alpha_W": 0.0, "alpha_H": penalty.get("alpha_W", 0.0), "l1_ratio": 0.0, **penalty}
        for A, weight in ((W, X.shape[1] * alphas["alpha_W"]), (model.components_, X.shape[0] * alphas["alpha_H"])):
            total += weight * (alphas["l1_ratio"] * A.sum() + (1 - alphas["l1_ratio"]) / 2 * (A**2).sum())
        return total

    assert objective(NMF) <= objective(decomposition.NMF) * bound


def test_shuffled_coordinates_are_seeded_and_end_as_low():
    X = matrix()
    plain, one, other = (
        NMF(4, solver="cd", shuffle=s, random_state=0, tol=1e-8, max_iter=2000) for s in (False, True, True)
    )
    np.testing.assert_array_equal(one.fit(X).components_, other.fit(X).components_)
    assert not np.array_equal(plain.fit(X).components_, one.components_)
    assert one.reconstruction_err_ < 1.02 * plain.reconstruction_err_


def test_verbose_writes_the_loss(capsys):
    NMF(2, solver="mu", tol=0, max_iter=20, verbose=1).fit(matrix())
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["iteration 10", "iteration 20"]


@pytest.mark.parametrize("beta", ["frobenius", "kl"])
def test_mu_warns_of_a_start_whose_zeros_it_keeps(beta):
    model = NMF(4, solver="mu", init="nndsvd", beta_loss=beta)
    with pytest.warns(UserWarning, match="cannot update zeros present in the initialization") as caught:
        model.fit_transform(matrix())
    assert Path(caught[0].filename) == Path(__file__)
    assert (model.components_ == 0).any()


@pytest.mark.parametrize("beta", ["frobenius", "kullback-leibler", "itakura-saito"])
@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("level", [1, 1000])
def test_tol_means_what_it_means_in_scikit_learn(beta, tol, level):
    X = matrix() * level
    options = {"init": "custom", "solver": "mu", "beta_loss": beta, "tol": tol, "max_iter": 500}
    ours, theirs = (cls(4, **options).fit(X, **custom(X)) for cls in (NMF, decomposition.NMF))
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("solver", ["mu", "cd"])
def test_transform_finds_what_scikit_learn_finds_for_the_same_components(solver):
    X = matrix()
    options = {"n_components": 4, "solver": solver, "tol": 0, "max_iter": 500}
    ours = NMF(**options, random_state=0).fit(X)
    theirs = decomposition.NMF(**options, random_state=0).fit(X)
    theirs.components_ = ours.components_.copy()
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-6)


def test_hals_reaches_an_error_no_worse_than_coordinate_descent():
    X = matrix(60, 40)
    ours, theirs = (cls(6, solver="cd", random_state=0).fit(X) for cls in (NMF, decomposition.NMF))
    assert ours.reconstruction_err_ < 1.01 * theirs.reconstruction_err_


@pytest.mark.parametrize("beta", ["frobenius", "kl", "is", 0.5])
def test_reconstruction_err_is_the_root_of_twice_the_divergence(beta):
    X = matrix()
    model = NMF(4, beta_loss=beta, random_state=0)
    V = model.inverse_transform(model.fit_transform(X))
    np.testing.assert_allclose(model.reconstruction_err_, np.sqrt(2 * as_divergence(beta).value(X, V)), rtol=1e-6)


# Names and parameters


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"solver": "cd"}, {"solver": "hals"}),
        ({"init": None}, {"init": "auto"}),
        ({"init": None}, {"init": "nndsvda"}),
        ({"beta_loss": "kullback-leibler"}, {"beta_loss": 1}),
        ({"beta_loss": "kl"}, {"beta_loss": np.float32(1)}),
        ({"beta_loss": "itakura-saito"}, {"beta_loss": 0}),
        ({"beta_loss": "frobenius"}, {"beta_loss": 2.0}),
        ({"n_components": None}, {"n_components": 5}),
        ({"n_components": "auto"}, {"n_components": 5}),
    ],
    ids=str,
)
def test_two_names_for_one_thing(one, other):
    X = matrix(12, 5)
    a, b = (NMF(**{"n_components": 3, "random_state": 0, "max_iter": 20, **options}).fit(X) for options in (one, other))
    np.testing.assert_array_equal(a.components_, b.components_)


@pytest.mark.parametrize(
    ("parameters", "kind", "says"),
    [
        ({"n_components": 0}, ValueError, "n_components == 0"),
        ({"n_components": 2.5}, TypeError, "n_components must be"),
        ({"n_components": "many"}, TypeError, "n_components must be"),
        ({"init": "nndsdv"}, ValueError, "did you mean 'nndsvd"),
        ({"init": "costum"}, ValueError, "did you mean 'custom'"),
        ({"init": "custom"}, ValueError, "needs W or H"),
        ({"solver": "hasl"}, ValueError, "did you mean 'hals'"),
        ({"solver": "cd", "beta_loss": "kullback-leibler"}, ValueError, "minimises beta 2, not 1"),
        ({"n_components": 6, "init": "nndsvd"}, ValueError, "can only be used when n_components <="),
        ({"alpha_W": -1}, ValueError, "alpha_W == -1"),
        ({"alpha_H": "other"}, TypeError, "alpha_H must be"),
        ({"l1_ratio": 1.5}, ValueError, "l1_ratio == 1.5"),
        ({"solver": "ehals", "alpha_W": 1.0}, ValueError, "knows no l1 and l2"),
        ({"beta_loss": "kulback-leibler"}, ValueError, "did you mean 'kullback-leibler'"),
        ({"beta_loss": 99}, ValueError, "99.* is not between"),
        ({"beta_loss": None}, TypeError, "a name or a number"),
        ({"tol": -1e-4}, ValueError, "tol == -0.0001"),
        ({"tol": "small"}, TypeError, "tol must be"),
        ({"max_iter": 0}, ValueError, "max_iter == 0"),
        ({"max_iter": 10.0}, TypeError, "max_iter must be"),
        ({"random_state": "seed"}, ValueError, "cannot be used to seed"),
        ({"random_state": -1}, ValueError, "non-negative"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_at_the_fit_in_the_words_of_python(parameters, kind, says):
    model = NMF(**parameters)
    with pytest.raises(kind, match=says):
        model.fit(matrix(6, 5))


@pytest.mark.parametrize("use", [lambda m: m.transform(matrix()), lambda m: m.inverse_transform(np.ones((2, 3)))])
def test_an_unfitted_model_says_so(use):
    with pytest.raises(NotFittedError):
        use(NMF(3))


def test_inverse_transform_refuses_a_wrong_number_of_columns():
    with pytest.raises(ValueError, match="X has 3 columns, but there are 4 components"):
        NMF(4).fit(matrix()).inverse_transform(np.ones((2, 3)))


# Randomness


def test_an_int_is_the_seed_of_factorize():
    X = matrix()
    model = NMF(4, init="random", solver="mu", tol=0, max_iter=30, random_state=7)
    W = model.fit_transform(X)
    fit = nmfsep.factorize(X.T, 4, start="random", solver="mu", divergence="frobenius", tol=0, max_iter=30, seed=7)
    np.testing.assert_allclose(model.components_, fit.factors.W.T, rtol=1e-9)
    np.testing.assert_allclose(W, fit.factors.Z.T, rtol=1e-9)


@pytest.mark.parametrize("state", [lambda: 3, lambda: np.int64(3), lambda: np.random.RandomState(3)])
def test_the_same_random_state_gives_the_same_bits(state):
    a, b = (NMF(4, init="random", random_state=state(), max_iter=20).fit(matrix()) for _ in range(2))
    np.testing.assert_array_equal(a.components_, b.components_)


def test_without_a_random_state_fits_differ():
    a, b = (NMF(4, init="random", max_iter=1).fit(matrix()) for _ in range(2))
    assert not np.allclose(a.components_, b.components_)


# Scale


@pytest.mark.parametrize("options", [{}, {"beta_loss": "kl"}, {"beta_loss": "is"}], ids=str)
def test_components_sum_to_one_and_do_not_depend_on_the_level(options):
    X = matrix()
    quiet, loud = (NMF(4, random_state=0, **options) for _ in range(2))
    W = quiet.fit_transform(X)
    np.testing.assert_allclose(loud.fit_transform(X * 2.0**20), W * 2.0**20, rtol=1e-6)
    np.testing.assert_allclose(loud.components_, quiet.components_, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(quiet.components_.sum(axis=1), 1)
    assert loud.n_iter_ == quiet.n_iter_


def test_amounts_are_in_the_units_of_x():
    # by the optimality of W under Kullback-Leibler, the model has the mass of every sample
    X = matrix()
    model = NMF(4, beta_loss="kl", random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X).sum(axis=1), X.sum(axis=1), rtol=1e-9)


# Transform


@pytest.mark.parametrize(
    ("options", "close"),
    [
        ({}, {"rtol": 1e-3, "atol": 1e-6}),  # extrapolation may restart at other iterations
        ({"solver": "mu"}, {"rtol": 1e-7}),
        ({"solver": "mu", "beta_loss": "kl"}, {"rtol": 1e-7}),
        ({"solver": "mu", "beta_loss": "is"}, {"rtol": 1e-7}),
    ],
    ids=str,
)
def test_with_tol_zero_a_sample_gives_the_same_in_any_company(options, close):
    X = matrix()
    X[3] *= 10
    X[5] /= 10
    model = NMF(4, tol=0, max_iter=80, random_state=0, **options).fit(matrix())
    W = model.transform(X)
    alone = np.concatenate([model.transform(row[None]) for row in X])
    np.testing.assert_allclose(alone, W, **close)
    np.testing.assert_allclose(model.transform(X[::-1]), W[::-1], **close)


@pytest.mark.parametrize("options", [{}, {"beta_loss": "kl"}], ids=str)
def test_transform_is_deterministic_and_keeps_the_components(options):
    model = NMF(4, init="random", **options).fit(matrix())
    before = model.components_.copy()
    np.testing.assert_array_equal(model.transform(matrix(seed=5)), model.transform(matrix(seed=5)))
    np.testing.assert_array_equal(model.components_, before)


@pytest.mark.parametrize("solver", ["hals", "mu"])
def test_silent_samples_hold_nothing(solver):
    X = matrix()
    X[4] = 0
    W = NMF(4, solver=solver, random_state=0).fit(matrix()).transform(X)
    assert (W[4] == 0).all()
    assert (W[3] > 0).any()


@pytest.mark.parametrize("solver", ["hals", "mu"])
def test_everything_silent(solver):
    model = NMF(2, solver=solver).fit(np.zeros((5, 4)))
    assert not model.transform(np.zeros((3, 4))).any()
    assert not model.transform(np.ones((3, 4))).any()  # components without mass hold nothing
    assert model.reconstruction_err_ < 1e-9


def test_itakura_saito_hears_silence_at_minus_100_db():
    X = np.ones((3, 4))
    X[2] = 0
    model = NMF(2, beta_loss="is", max_iter=1000, random_state=0).fit(matrix(10, 4))
    V = model.inverse_transform(model.transform(X))
    np.testing.assert_allclose(V[2], V[0] * 1e-5, rtol=1e-2)


def test_a_convergence_warning_names_the_caller():
    for use in (
        NMF(3, max_iter=1).fit_transform,
        NMF(3, tol=0).fit(matrix()).set_params(tol=1e-9, max_iter=1).transform,
    ):
        with pytest.warns(ConvergenceWarning, match="Maximum number of iterations 1 reached") as caught:
            use(matrix())
        assert Path(caught[0].filename) == Path(__file__)


@pytest.mark.filterwarnings("error")
def test_no_convergence_warning_without_a_tolerance_or_when_it_is_met():
    NMF(2, tol=0, max_iter=3).fit(matrix())
    model = NMF(1, max_iter=10, random_state=0).fit(matrix(rank=1))
    assert model.n_iter_ == 10


# In company


def decompositions():
    S = spectrogram()
    model = NMF(2, beta_loss="kl", random_state=0)
    return S, model


def test_librosa_decomposes_with_it():
    S, model = decompositions()
    components, activations = librosa.decompose.decompose(S, transformer=model)
    assert components.shape == (len(S), 2)
    assert activations.shape == (2, S.shape[1])
    assert components.dtype == activations.dtype == np.float32
    assert np.linalg.norm(S - components @ activations) < 0.2 * np.linalg.norm(S)


def test_librosa_sorts_them_by_frequency():
    S, model = decompositions()
    components, activations = librosa.decompose.decompose(S, transformer=model, sort=True)
    peaks = components.argmax(axis=0) * 22050 / 512
    np.testing.assert_allclose(peaks, [220, 1760], atol=22050 / 512)
    third = S.shape[1] // 3
    low, high = activations
    assert low[: third - 4].mean() < 0.05 * high[: third - 4].mean()
    assert high[third + 4 : 2 * third - 4].mean() < 0.05 * low[third + 4 : 2 * third - 4].mean()


def test_librosa_uses_fitted_components_as_they_are():
    S, model = decompositions()
    components, activations = librosa.decompose.decompose(S, transformer=model)
    again, others = librosa.decompose.decompose(S[:, ::-1], transformer=model, fit=False)
    np.testing.assert_array_equal(again, components)
    np.testing.assert_allclose(others[:, ::-1], activations, atol=0.02 * activations.max())


def test_librosa_decomposes_channels_jointly():
    S, model = decompositions()
    components, _ = librosa.decompose.decompose(np.stack([S, S / 2]), transformer=model)
    assert components.shape == (2, len(S), 2)
    np.testing.assert_allclose(components[0], 2 * components[1], rtol=1e-3, atol=1e-6)


def labelled(samples=60):
    """Two classes of samples, each a mixture of its own two parts."""
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 2
    amounts = rng.random((samples, 4)) * np.where(y[:, None], [1, 1, 0.1, 0.1], [0.1, 0.1, 1, 1])
    return amounts @ rng.random((4, 12)), y


def test_in_a_pipeline_and_a_grid_search():
    X, y = labelled()
    steps = make_pipeline(NMF(random_state=0), LogisticRegression(C=10))
    search = GridSearchCV(steps, {"nmf__n_components": [1, 4], "nmf__beta_loss": ["frobenius", "kl"]}, cv=3)
    search.fit(X, y)
    assert search.best_params_["nmf__n_components"] == 4
    assert search.best_score_ > 0.9
    assert search.score(X, y) > 0.9


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_grid_search_scores_impossible_pairs_as_failed_and_goes_on():
    X, y = labelled()
    steps = make_pipeline(NMF(4, beta_loss="kl", random_state=0), LogisticRegression())
    search = GridSearchCV(steps, {"nmf__solver": ["cd", "mu"]}, cv=2)
    with pytest.warns(match="minimises beta 2, not 1"):
        search.fit(X, y)
    assert search.best_params_ == {"nmf__solver": "mu"}


def test_clone_has_the_parameters_and_not_the_fit():
    model = NMF(3, init="random", solver="mu", beta_loss=0.5, tol=1e-3, max_iter=50, random_state=1).fit(matrix())
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "components_")
    assert isinstance(copy, BaseEstimator)
    np.testing.assert_array_equal(copy.fit(matrix()).components_, model.components_)


def test_a_pickle_transforms_the_same():
    model = NMF(3, random_state=0).fit(matrix())
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(matrix()), model.transform(matrix()))


def test_data_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(matrix(8, 4), columns=list("abcd"), index=list("stuvwxyz"))
    model = NMF(2, random_state=0).set_output(transform="pandas")
    W = model.fit_transform(X)
    assert list(W.columns) == ["nmf0", "nmf1"]
    assert list(W.index) == list(X.index)
    assert list(model.feature_names_in_) == list("abcd")
    assert model.inverse_transform(W).shape == (8, 4)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(X[list("dcba")])


# Custom starts


@pytest.mark.parametrize("solver", ["hals", "mu"])
@pytest.mark.parametrize("which", ["W", "H"])
def test_one_factor_is_start_enough(solver, which):
    X = matrix()
    full = NMF(4, init="custom", solver=solver, max_iter=500, random_state=0)
    model = clone(full).fit(X, **{which: custom(X)[which]})
    assert model.reconstruction_err_ < 1.2 * full.fit(X, **custom(X)).reconstruction_err_


def test_lists_will_do():
    model = NMF(init="custom", max_iter=5)
    W = model.fit_transform([[1, 2], [3, 4], [5, 6]], W=[[1], [1], [1]], H=[[1, 2]])
    assert W.shape == (3, 1)
    assert model.n_components_ == 1


def test_inputs_are_only_read():
    X = matrix()
    start = custom(X)
    for A in (X, *start.values()):
        A.setflags(write=False)
    NMF(4, init="custom", max_iter=3).fit(X, **start).transform(X)


def test_a_fit_can_go_on_from_another():
    X = matrix()
    whole = NMF(4, init="custom", solver="mu", beta_loss="kl", tol=0, max_iter=20)
    half = clone(whole).set_params(max_iter=10)
    W = half.fit_transform(X, **custom(X))
    rest = clone(half).fit(X, W=W, H=half.components_)
    np.testing.assert_allclose(rest.components_, whole.fit(X, **custom(X)).components_, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 6),
    st.sampled_from(["frobenius", "kl", 0.5, 1.5]),
    st.sampled_from([np.float32, np.float64]),
    st.floats(-30, 30),
    st.integers(0, 2**32 - 1),
)
def test_any_matrix_gives_finite_factors_of_its_shape(samples, features, k, beta, dtype, level, seed):
    rng = np.random.default_rng(seed)
    X = (rng.random((samples, features)) * (rng.random((samples, features)) < 0.7) * 10**level).astype(dtype)
    model = NMF(k, beta_loss=beta, max_iter=10, random_state=0)
    for W in (model.fit_transform(X), model.transform(X)):
        assert W.shape == (samples, k)
        assert W.dtype == dtype
        assert np.isfinite(W).all()
        assert (W >= 0).all()
    assert model.components_.shape == (k, features)
    assert np.isfinite(model.components_).all()
    assert (model.components_ >= 0).all()
    assert np.isfinite(model.reconstruction_err_)
