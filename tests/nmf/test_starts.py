import numpy as np
import pytest

from nmfsep.nmf.starts import FILL, leading_triplets, nndsvd, nndsvda, nndsvdar, random


def smooth(frames=30, bins=14, seed=0):
    """A matrix whose spectrum falls off, C-contiguous (frames, bins)."""
    rng = np.random.default_rng(seed)
    weights = 2.0 ** -np.arange(min(frames, bins))
    return (rng.random((frames, len(weights))) * weights) @ rng.random((len(weights), bins))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_random_has_about_the_mean_of_x():
    Xt = smooth()
    for k in (1, 4, 9):
        mean = np.mean([random(Xt, k, rng(seed)).reconstruct().mean() for seed in range(20)])
        # E|N(0,1)|² = 2/pi
        assert mean == pytest.approx(2 / np.pi * Xt.mean(), rel=0.15)


def test_random_depends_on_the_seed():
    assert not np.array_equal(random(smooth(), 3, rng(0)).W, random(smooth(), 3, rng(1)).W)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_nndsvd_equals_scikit_learn(k):
    nmf = pytest.importorskip("sklearn.decomposition._nmf")
    Xt = smooth()
    H, W = nmf._initialize_nmf(Xt, k, init="nndsvd", random_state=0)
    got = nndsvd(Xt, k, rng())
    # 14 bins are no more than k + oversampling when k is 4, and the fall-off serves the others
    np.testing.assert_allclose(got.reconstruct(), (H @ W).T, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(got.W > 1e-5, (W > 1e-5).T)


def test_nndsvd_equals_the_exact_decomposition():
    Xt = smooth()
    U, s, V = np.linalg.svd(Xt.T, full_matrices=False)
    wanted = np.zeros((14, 30))
    for k in range(4):
        pairs = [(np.maximum(sign * U[:, k], 0), np.maximum(sign * V[k], 0)) for sign in (1, -1)]
        a, b = max(pairs, key=lambda pair: np.linalg.norm(pair[0]) * np.linalg.norm(pair[1]))
        wanted += s[k] * np.outer(a, b)  # sqrt(s m)² (a / |a|) (b / |b|), m = |a| |b|
    np.testing.assert_allclose(nndsvd(Xt, 4, rng()).reconstruct(), wanted, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(("frames", "bins"), [(150, 100), (40, 160)])
def test_leading_triplets_are_those_of_the_exact_decomposition(frames, bins, workers):
    Xt = smooth(frames, bins)
    U, s, V = leading_triplets(Xt, 5, rng())
    exact = np.linalg.svd(Xt.T, full_matrices=False)
    np.testing.assert_allclose(s, exact[1][:5], rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(U * exact[0][:, :5], axis=0)), 1, atol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(V * exact[2][:5], axis=1)), 1, atol=1e-6)


def test_nndsvd_hardly_depends_on_the_seed_of_its_sketch(workers):
    Xt = smooth(150, 100)
    np.testing.assert_allclose(
        nndsvd(Xt, 5, rng(0)).reconstruct(), nndsvd(Xt, 5, rng(1)).reconstruct(), rtol=1e-5, atol=1e-6
    )


def test_nndsvd_of_a_rank_one_matrix_is_that_matrix():
    Xt = np.outer(np.arange(1, 8.0), np.arange(1, 6.0))
    np.testing.assert_allclose(nndsvd(Xt, 1, rng()).reconstruct(), Xt.T, rtol=1e-12)


def test_nndsvd_has_exact_zeros_and_the_others_do_not():
    Xt = smooth()
    assert (nndsvd(Xt, 4, rng()).W == 0).any()
    for filled in (nndsvda(Xt, 4, rng()), nndsvdar(Xt, 4, rng())):
        assert filled.W.min() > 0
        assert filled.Z.min() > 0


@pytest.mark.parametrize("start", [nndsvda, nndsvdar])
def test_filling_changes_only_the_zeros(start):
    Xt = smooth()
    plain, filled = nndsvd(Xt, 4, rng()), start(Xt, 4, rng())
    for before, after in ((plain.W, filled.W), (plain.Z, filled.Z)):
        np.testing.assert_array_equal(after[before > 0], before[before > 0])


def test_fills_lie_at_the_levels_promised():
    Xt = smooth()
    level = np.sqrt(Xt.mean() / 4)
    zero = nndsvd(Xt, 4, rng()).W == 0
    np.testing.assert_allclose(nndsvda(Xt, 4, rng()).W[zero], FILL * level, rtol=1e-12)
    noise = nndsvdar(Xt, 4, rng()).W[zero]
    assert noise.max() <= level / 100
    assert len(np.unique(noise)) == noise.size  # noise, not a constant


def test_bins_that_hold_nothing_change_nothing_for_the_others():
    Xt = smooth()
    beyond = np.full((len(Xt), 3 * Xt.shape[1]), 1e-6)  # as above the band of a sound that was recorded at a lower rate
    alone, among = nndsvda(Xt, 4, rng()), nndsvda(np.concatenate([Xt, beyond], axis=1), 4, rng())
    np.testing.assert_allclose(among.W[: Xt.shape[1]], alone.W, rtol=1e-3)
    np.testing.assert_allclose(among.Z, alone.Z, rtol=1e-3)


@pytest.mark.parametrize("start", [nndsvd, nndsvda, nndsvdar])
@pytest.mark.parametrize(("frames", "bins"), [(3, 20), (20, 3), (1, 5), (1, 1)])
def test_components_beyond_the_smaller_side_start_silent(start, frames, bins):
    Xt = smooth(frames, bins) if min(frames, bins) > 1 else np.ones((frames, bins))
    factors, rank = start(Xt, 6, rng()), min(frames, bins)
    assert not factors.Z[rank:].any()
    assert factors.Z[0].any()
