import doctest
from importlib import import_module

import numpy as np
import pytest

from nmfsep import convolutive_nmf, factorize
from nmfsep.errors import UsageError
from nmfsep.models.convolutive import gather, unroll


def strokes(k=2, delays=5, bins=30, frames=120, seed=1):
    """Return sparse hits of strokes that change while they fade, and what they add up to."""
    rng = np.random.default_rng(seed)
    templates = rng.gamma(0.4, 1, (bins, k, delays)) * np.linspace(1, 0.2, delays)
    Z = (rng.random((k, frames)) < 0.08) * rng.uniform(0.5, 2, (k, frames))
    X = sum(
        np.outer(templates[:, j, d], np.r_[np.zeros(d), Z[j, : frames - d]]) for j in range(k) for d in range(delays)
    )
    return templates, Z, X


def test_the_example_of_the_docstring_runs():
    result = doctest.testmod(import_module("nmfsep.models.convolutive"))
    assert result.attempted > 0
    assert result.failed == 0


def test_unrolled_activations_are_the_delayed_ones():
    Zt = np.array([[1.0, 10], [2, 20], [3, 30]])
    np.testing.assert_array_equal(unroll(Zt, 2), [[1, 0, 10, 0], [2, 1, 20, 10], [3, 2, 30, 20]])


@pytest.mark.parametrize("delays", [1, 3, 12])
def test_gathering_is_the_transpose_of_unrolling(delays):
    rng = np.random.default_rng(1)
    Zt, A = rng.random((9, 2)), rng.random((9, 2 * delays))
    assert (unroll(Zt, delays) * A).sum() == pytest.approx((Zt * gather(A, delays)).sum())


@pytest.mark.parametrize("divergence", ["kl", "is", "frobenius", 0.5, 1.5, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_never_rises(divergence, dtype):
    X = (strokes()[2] + 0.01).astype(dtype)
    result = convolutive_nmf(X, 3, template_frames=4, divergence=divergence, max_iter=80, tol=0)
    assert np.diff(result.losses).max() <= (1e-12 if dtype == np.float64 else 2e-5) * result.losses[0]
    assert result.losses[-1] < 0.9 * result.losses[0]


def test_one_frame_is_plain_multiplicative_updates():
    X = np.asfortranarray(strokes()[2] + 0.01)  # in C order factorize would begin with W
    rng = np.random.default_rng(2)
    W, Z = rng.random((30, 2)), rng.random((2, 120))
    ours = convolutive_nmf(X, 2, W=W[:, :, None], Z=Z, max_iter=7, tol=0)
    plain = factorize(X, 2, W=W, Z=Z, solver="mu", max_iter=7, tol=0)
    np.testing.assert_allclose(ours.templates[:, :, 0], plain.factors.W, rtol=1e-9)
    np.testing.assert_allclose(ours.Z, plain.factors.Z, rtol=1e-9)


def test_strokes_and_hits_are_recovered():
    templates, Z, X = strokes()
    result = convolutive_nmf(X, 2, template_frames=5, max_iter=1500, tol=0)
    assert np.abs(X - result.factors.reconstruct()).max() < 0.02 * X.max()
    wanted = Z * templates.sum(axis=(0, 2))[:, None]
    near = np.corrcoef(np.r_[wanted, result.Z])[:2, 2:]
    assert max(min(near[0, 0], near[1, 1]), min(near[0, 1], near[1, 0])) > 0.99


def test_held_templates_stay_and_find_their_hits():
    templates, Z, X = strokes()
    result = convolutive_nmf(X, 2, W=templates, fixed=["W"], max_iter=600, tol=0)
    np.testing.assert_allclose(result.templates, templates, rtol=1e-12)
    np.testing.assert_allclose(result.Z, Z, atol=0.02 * Z.max())


def test_it_fits_strokes_that_change_better_than_plain_nmf():
    X = strokes()[2]
    plain = factorize(X, 2, solver="mu", max_iter=300, tol=0).losses[-1]
    assert convolutive_nmf(X, 2, template_frames=5, max_iter=300, tol=0).losses[-1] < 0.1 * plain


def test_groups_are_the_columns_of_a_component():
    result = convolutive_nmf(strokes()[2], 2, template_frames=3, max_iter=2)
    parts = [result.factors.select(list(group)).reconstruct() for group in result.groups]
    np.testing.assert_allclose(sum(parts), result.factors.reconstruct())
    np.testing.assert_allclose(result.templates.sum(axis=(0, 2)), 1, rtol=1e-6)


def test_ordered_puts_the_loudest_first():
    result = convolutive_nmf(strokes(3)[2], 3, template_frames=3, max_iter=5).ordered()
    energies = [(result.factors.select(list(group)).reconstruct() ** 2).sum() for group in result.groups]
    assert energies == sorted(energies, reverse=True)
    assert energies[0] > 1.1 * energies[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"template_frames": 0}, "at least 1"),
        ({"template_frames": 121}, "longer than the 120"),
        ({"W": np.ones((30, 3, 2))}, "W has shape"),
        ({"W": np.ones((30, 2))}, "W has shape"),
        ({"Z": np.ones((2, 7))}, "Z has shape"),
        ({"Z": -np.ones((2, 120))}, "negative"),
        ({"fixed": ["W"]}, "W is to be held fixed but is not given"),
        ({"fixed": ["V"]}, "only 'W' and 'Z'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_in_a_sentence(options, words):
    with pytest.raises(UsageError, match=words):
        convolutive_nmf(strokes()[2], 2, **options)
