"""Magnitudes as the matrix that is factorized."""

import numpy as np
import pytest

from nmfsep.separation import mixture as spectra
from nmfsep.separation.mixture import all_frames, views
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT


def samples(channels=2, length=5000):
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, length)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_channels_lie_one_above_the_other(channels):
    stft, sound = STFT(256), samples(channels)
    X, scale = (frames := all_frames(sound, stft)).Xt.T, frames.scale
    exact = np.abs(stft.forward(Audio(sound, 8000)).values)
    np.testing.assert_allclose(X * scale, exact.reshape(-1, exact.shape[-1]), rtol=1e-5)
    assert X.dtype == np.float32


@pytest.mark.parametrize("level", [1e-6, 1, 2.0**-60])
def test_the_scale_is_a_power_of_two_that_leaves_about_unit_mean(level):
    X, scale = (frames := all_frames(samples() * np.float32(level), STFT(256))).Xt.T, frames.scale
    assert 0.5 <= X.mean() < 1
    assert np.frexp(scale)[0] == 0.5


def test_silence_has_scale_one():
    X, scale = (frames := all_frames(np.zeros((1, 3000), np.float32), STFT(256))).Xt.T, frames.scale
    assert scale == 1
    assert not X.any()


def test_threads_and_blocks_change_no_bit(monkeypatch):
    X = all_frames(samples(), STFT(64), 1).Xt.T
    np.testing.assert_array_equal(all_frames(samples(), STFT(64), 2).Xt.T, X)
    monkeypatch.setattr(spectra, "BLOCK", 7)
    np.testing.assert_allclose(all_frames(samples(), STFT(64), 2).Xt.T, X, rtol=1e-5, atol=1e-7)


def test_views_are_all_channels_their_mean_or_each():
    sound = samples(3)
    assert [part.shape for part in views(sound, "joint")] == [(3, 5000)]
    (mid,) = views(sound, "mid")
    np.testing.assert_array_equal(mid, sound.mean(axis=0, keepdims=True))
    each = views(sound, "independent")
    np.testing.assert_array_equal(np.concatenate(each), sound)
    assert [part.shape for part in each] == [(1, 5000)] * 3
