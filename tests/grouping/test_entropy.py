"""The start by least mask entropy: what it measures, and that it finds the sources where losses do not tell."""

import numpy as np
import pytest

from nmfsep.grouping.entropy import FIRST, least_entropy, mask_entropy
from nmfsep.kernels.product import Factors


def two_sources(overlap):
    """Two spectra over 40 bins, one after the other in 60 frames, that share some of their bins."""
    W = np.zeros((40, 2), np.float32)
    W[: 20 + overlap, 0] = W[20 - overlap :, 1] = 1
    Z = np.zeros((2, 60), np.float32)
    Z[0, :30] = Z[1, 30:] = 1
    return Factors(W, Z)


def test_masks_that_decide_have_no_entropy_and_masks_that_share_have_that_of_a_coin():
    decided = two_sources(5)
    Xt = np.ascontiguousarray((decided.W @ decided.Z).T)
    assert mask_entropy(Xt, decided) == pytest.approx(0, abs=1e-5)
    shared = Factors(np.repeat(decided.W.sum(axis=1, keepdims=True), 2, axis=1), np.ones_like(decided.Z))
    assert mask_entropy(Xt, shared) == pytest.approx(np.log(2), abs=1e-4)


def test_only_where_there_is_energy_do_masks_count():
    both = Factors(np.array([[1, 0], [1, 1]], np.float32), np.ones((2, 3), np.float32))
    first, second = np.array([[2, 0]] * 3, np.float32), np.array([[0, 2]] * 3, np.float32)
    assert mask_entropy(first, both) == pytest.approx(0, abs=1e-5)
    assert mask_entropy(second, both) == pytest.approx(np.log(2), abs=1e-4)
    assert mask_entropy(first * 0, both) == 0


def test_the_masks_of_many_frames_are_those_of_their_blocks():
    rng = np.random.default_rng(0)
    factors = Factors(rng.random((9, 3), np.float32), rng.random((3, 700), np.float32))
    Xt = rng.random((700, 9), np.float32)
    V = factors.W[:, :, None] * factors.Z[None]
    masks = (V / V.sum(axis=1, keepdims=True)).astype(np.float64)
    p = np.square(Xt.T[:, None].astype(np.float64))
    expected = -np.sum(p * masks * np.log(masks)) / p.sum()
    assert mask_entropy(Xt, factors) == pytest.approx(expected, rel=1e-4)


def noise_between(seed=0):
    """Four sources of eight bins each, whose activations overlap."""
    rng = np.random.default_rng(seed)
    W = np.kron(np.eye(4), np.ones((8, 1))) * rng.random((32, 1)) + 0.02
    Z = rng.random((4, 200)) ** 6
    return np.ascontiguousarray((W @ Z).T + 0.01 * rng.random((200, 32))).astype(np.float32)


def test_of_the_fits_that_explain_the_sound_that_with_the_least_entropy_is_taken():
    Xt, told = noise_between(), []
    found = least_entropy(Xt, 4, 1, 6, 0, 1, {"max_iter": 60}, told.append)
    assert told == [1, 2, 3, 4, 5, 6]
    assert found.tried == 6
    assert found.name in (*FIRST, "random-1", "random-2", "random-3")
    assert found.entropy == pytest.approx(mask_entropy(Xt, found.fit.factors))
    for fewer in range(1, 6):  # more starts never choose masks that decide less
        one = least_entropy(Xt, 4, 1, fewer, 0, 1, {"max_iter": 60}, told.append)
        assert found.entropy <= one.entropy + 1e-6 or one.fit.losses[-1] > found.fit.losses[-1]


def test_the_seed_decides_and_a_start_does_not_depend_on_how_many_there_are():
    Xt = noise_between(1)
    first, again = (least_entropy(Xt, 4, 2, 5, 3, 1, {"max_iter": 9}, lambda done: None) for _ in range(2))
    np.testing.assert_array_equal(first.fit.factors.W, again.fit.factors.W)
    assert first.name == again.name
    assert not np.array_equal(
        least_entropy(Xt, 4, 2, 4, 4, 1, {"max_iter": 9}, lambda done: None).fit.factors.Z, first.fit.factors.Z
    ) or first.name in ("spa", "nndsvda")
