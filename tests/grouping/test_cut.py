"""The cut of all runs' atoms into stems: timbre, duration, place, and one numbering for all runs."""

from dataclasses import replace

import numpy as np
import pytest

from nmfsep.grouping.cut import cut, lasting, places, self_tuned, squared_distances, together
from nmfsep.grouping.scene import Scene
from nmfsep.kernels.product import Factors

BINS, FRAMES, STEP = 513, 300, 0.01
FREQUENCIES = np.arange(BINS) * 22050 / 1024


def scene(covariances=None):
    sample = np.arange(FRAMES)
    found = Scene(np.zeros((FRAMES, BINS), np.float32), sample, FREQUENCIES, lambda spectra: spectra, STEP)
    return replace(found, covariances=covariances)


def run(seed, formants=(500, 3000), notes=8):
    """Harmonic atoms of two timbres in a random order, and the timbre of each."""
    rng = np.random.default_rng(seed)
    W, true = [], []
    for owner, formant in enumerate(formants):
        for pitch in rng.uniform(100, 400, notes):
            harmonics = np.arange(1, 40) * pitch
            lines = np.exp(-0.5 * ((FREQUENCIES[:, None] - harmonics) / 20) ** 2)
            W.append(lines @ np.exp(-(np.log2(harmonics / formant) ** 2)))
            true.append(owner)
    order = rng.permutation(len(W))
    Z = rng.gamma(0.5, 1, (len(W), FRAMES))
    return Factors(np.array(W)[order].T.astype(np.float32), Z.astype(np.float32)), np.array(true)[order]


def test_atoms_of_all_runs_are_numbered_alike_by_how_they_sound():
    runs = [run(seed) for seed in range(3)]
    owners = cut([factors for factors, _ in runs], scene(), 2)
    found, true = np.concatenate(owners), np.concatenate([each for _, each in runs])
    assert [len(each) for each in owners] == [16] * 3
    agreement = np.mean(found == true)
    assert max(agreement, 1 - agreement) == 1


def test_place_tells_apart_what_sounds_alike():
    rng = np.random.default_rng(0)
    one, _ = run(0, formants=(900, 900))
    left = np.arange(16) % 2 == 0
    W = np.concatenate([one.W * np.where(left, 1, 0.1), one.W * np.where(left, 0.1, 1)]).astype(np.float32)
    stereo = Factors(W, one.Z)
    V = np.stack([W[:BINS] @ one.Z, W[BINS:] @ one.Z]).swapaxes(1, 2)
    covariances = np.stack([V[0] ** 2, V[1] ** 2, V[0] * V[1], 0 * V[0]]).astype(np.float32)
    where = places(stereo, covariances)
    assert where.shape == (16, 3)
    assert where[left, 0].min() > 0.3 > -0.3 > where[~left, 0].max()
    assert np.linalg.norm(where, axis=1).max() <= 1 + 1e-4
    found = cut([stereo], scene(lambda: covariances), 2)[0]
    agreement = np.mean(found == left)
    assert max(agreement, 1 - agreement) == 1
    assert np.isfinite(places(Factors(0 * W, rng.random((16, FRAMES), np.float32)), covariances)).all()


def test_what_lasts_is_told_from_what_is_struck():
    rng = np.random.default_rng(1)
    struck = (rng.random((3, FRAMES)) < 0.05).astype(np.float32)
    lasts = np.repeat(rng.random((3, FRAMES // 30)), 30, axis=1).astype(np.float32)
    found = lasting(np.concatenate([struck, lasts]), STEP)
    assert found[:3, 0].max() < found[3:, 0].min()
    assert np.isfinite(lasting(np.zeros((2, 5), np.float32), STEP)).all()


def test_scales_are_each_atoms_own():
    points = np.array([[0.0], [0.01], [0.02], [0.03], [10], [20], [30], [40]])
    affinity = self_tuned(squared_distances(points))
    np.testing.assert_allclose(affinity, affinity.T)
    assert affinity[0, 1] > 0.5
    assert affinity[4, 5] > 0.5
    assert affinity[3, 4] < 1e-3


def test_activations_that_rise_together_correlate():
    rng = np.random.default_rng(2)
    z = rng.random(FRAMES)
    correlations = together([np.stack([z, 3 * z]), np.stack([1 - z, np.zeros(FRAMES)])])
    assert correlations[0, 1] == pytest.approx(1)
    assert correlations[0, 2] < -0.9
    assert not correlations[3].any()
