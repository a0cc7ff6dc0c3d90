import numpy as np
import pytest

from nmfsep.grouping.agglomerative import group, loss, merged, pitch, place, struck, together
from nmfsep.grouping.scene import Scene
from nmfsep.kernels.factors import Factors

RATE, BINS = 22050, 513
FREQUENCIES = np.arange(BINS) * RATE / (2 * (BINS - 1))


def scene(channels=1):
    return Scene(np.zeros((10, channels * BINS)), np.arange(10), FREQUENCIES, lambda spectra: spectra, 0.02)


def harmonic(hertz, decay=0.6):
    harmonics = hertz * np.arange(1, 12)
    lines = np.exp(-0.5 * ((FREQUENCIES[:, None] - harmonics) / 25) ** 2)
    return lines @ decay ** np.arange(11)


def test_what_is_near_is_merged_and_what_is_heavy_is_not_torn_apart_for_what_is_light():
    points = np.array([0.0, 0.3, 5.0, 5.2, 30.0])
    costs = np.square(points[:, None] - points)
    assert merged(costs, np.ones(5), 3).tolist() == [0, 0, 1, 1, 2]
    assert merged(costs, np.array([1.0, 1, 1, 1, 1e-9]), 2).tolist() == [0, 0, 1, 1, 1]
    assert merged(costs, np.ones(5), 1).tolist() == [0] * 5
    assert merged(costs, np.ones(5), 5).tolist() == [0, 1, 2, 3, 4]


def test_ward_is_that_of_scipy():
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    points = np.random.default_rng(0).normal(size=(40, 3))
    costs = np.square(points[:, None] - points).sum(axis=2)
    wanted = hierarchy.fcluster(hierarchy.linkage(points, "ward"), 6, "maxclust")
    found = merged(costs, np.ones(40), 6)
    assert len(set(zip(found.tolist(), wanted.tolist(), strict=True))) == 6


def test_what_a_merge_loses_is_the_second_singular_value():
    rng = np.random.default_rng(0)
    factors = Factors(rng.random((30, 4)), rng.random((4, 20)))
    found = loss(factors, scene())
    for i, j in ((0, 1), (1, 3)):
        both = factors.W[:, [i, j]] @ factors.Z[[i, j]]
        least = min(np.square(np.outer(factors.W[:, k], factors.Z[k])).sum() for k in (i, j))
        assert found[i, j] == pytest.approx(np.linalg.svd(both, compute_uv=False)[1] ** 2 / least, rel=1e-6)
    same = Factors(np.tile(factors.W[:, :1], 2), factors.Z[:2])
    assert loss(same, scene())[0, 1] == pytest.approx(0, abs=1e-9)


def test_parts_of_one_note_rise_together():
    z = np.random.default_rng(1).random(50)
    costs = together(Factors(np.ones((5, 3)), np.stack([z, 3 * z, z[::-1]])), scene())
    assert costs[0, 1] == pytest.approx(0, abs=1e-6)
    assert costs[0, 2] > 0.5


def test_what_begins_together_is_near_though_it_ends_apart():
    Z = np.zeros((3, 60))
    Z[0, 10:20] = Z[0, 40:45] = Z[1, 10:35] = Z[1, 41:50] = Z[2, 20:40] = 1
    costs = struck(Factors(np.ones((5, 3)), Z), scene())
    assert costs[0, 1] < 0.3
    assert costs[0, 2] > 0.9


def test_pitches_are_near_within_an_instrument_and_noise_is_near_noise():
    rng = np.random.default_rng(2)
    W = np.stack([harmonic(262), harmonic(294), harmonic(1047), *rng.gamma(3, 1, (2, BINS))], axis=1)
    costs = pitch(Factors(W, np.ones((5, 4))), scene())
    assert costs[0, 1] < 0.2 < 0.9 < costs[0, 2]
    assert (costs[3, 4], costs[0, 3]) == (0, 1)


def test_places_count_where_there_are_several():
    left, right = np.ones(BINS), np.full(BINS, 0.1)
    W = np.stack([np.r_[left, right], np.r_[left, right], np.r_[right, left]], axis=1)
    costs = place(Factors(W, np.ones((3, 4))), scene(2))
    assert costs[0, 1] == 0
    assert costs[0, 2] > 0.9
    assert not place(Factors(W[:, :2], np.ones((2, 4))), scene(2)).any()
    assert not place(Factors(W[:BINS], np.ones((3, 4))), scene()).any()


def test_instruments_come_together_whatever_they_play():
    W = [harmonic(hertz, 0.3) for hertz in (220, 247, 262, 294)] + [harmonic(hertz, 0.95) for hertz in (233, 277, 311)]
    Z = np.random.default_rng(0).gamma(0.5, 1, (7, 200))
    found = group(Factors(np.stack(W, axis=1) + 1e-4, Z), scene(), 2)
    assert found.tolist() in ([0] * 4 + [1] * 3, [1] * 4 + [0] * 3)
