"""Onsets, energies and centroids of components that are known."""

import sys

import numpy as np
import pytest

from nmfsep.analysis.inspect import audition
from nmfsep.errors import UsageError
from nmfsep.separation.describe import describe, find_onsets, template_and_activation
from nmfsep.settings.fields import WINDOWS
from nmfsep.signal.audio import Audio
from nmfsep.signal.pitch import find_pitch, to_hertz
from nmfsep.signal.stft import STFT

RATE = 22050
stft = STFT(2048)
STEP = stft.hop_length / RATE


def struck(times, seconds=4.0, decay=8.0):
    """Return an activation that is struck at these times."""
    t = np.arange(round(seconds / STEP)) * STEP
    z = np.zeros(len(t))
    for time in times:
        z = np.maximum(z, np.where(t >= time, np.exp(-decay * (t - time)), 0))
    return z


@pytest.mark.parametrize("times", [[0.0], [0.5, 1.0, 3.0], [0.0, 0.25, 0.5, 0.75], [2.0, 3.9], []])
def test_onsets_are_found_where_they_are(times):
    onsets = find_onsets(7 * struck(times), STEP)
    assert len(onsets) == len(times)
    np.testing.assert_allclose(onsets, times, atol=STEP)


def test_what_is_held_sets_in_once():
    z = np.r_[np.zeros(40), np.ones(60), np.zeros(30)] + 0.02 * np.random.default_rng(0).random(130)
    np.testing.assert_allclose(find_onsets(z, STEP), [40 * STEP], atol=STEP)


def test_a_blip_of_another_attack_is_no_onset():
    z = struck([0.5, 2.0])
    z[[60, 61, 90]] += 0.3
    np.testing.assert_allclose(find_onsets(z, STEP), [0.5, 2.0], atol=STEP)


def test_silence_has_no_onsets():
    assert len(find_onsets(np.zeros(50), STEP)) == 0


def test_short_activations_are_described_too():
    assert find_onsets(np.ones(1), STEP).tolist() == [0.0]


def test_components_are_described():
    frequencies = stft.frequencies(RATE)
    W = np.zeros((stft.bins, 2))
    W[np.abs(frequencies[:, None] - [1000, 3000]).argmin(axis=0), 0] = 0.5
    Z = np.stack([struck([1.0]), np.zeros(len(struck([])))])
    one, two = describe(["a", "b"], W, Z, np.array([3.0, 0.0]), stft, RATE)
    assert (one.name, one.share, one.centroid) == ("a", 1.0, pytest.approx(2000, abs=11))
    np.testing.assert_allclose(one.onsets, [1.0], atol=STEP)
    assert (two.pitch, two.onsets, two.share, two.centroid) == (None, (), 0.0, 0.0)
    assert set(one.document()) == {"name", "pitch", "energy_share", "centroid", "onsets"}


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_alone_is_one_template_and_its_activation(channels):
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((channels, 150_000)).astype(np.float32)
    w, z = template_and_activation(samples, stft)
    X = np.abs(stft.forward(Audio(samples, RATE)).values).sum(axis=0)
    np.testing.assert_allclose(w, X.sum(axis=1) / X.sum(), rtol=1e-4)
    np.testing.assert_allclose(z, X.sum(axis=0), rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("midi", [40, 57, 69])
def test_an_audition_sounds_at_the_pitch_of_its_template(midi):
    t = np.arange(RATE) / RATE
    tone = sum(0.6**h * np.sin(2 * np.pi * (h + 1) * to_hertz(midi) * t) for h in range(8))
    template, _ = template_and_activation(Audio(tone, RATE).samples, stft)
    sound = audition(template, stft, RATE)
    assert (sound.channels, sound.sample_rate) == (1, RATE)
    assert np.abs(sound.samples).max() == pytest.approx(0.5)
    heard, envelope = template_and_activation(sound.samples, stft)
    assert find_pitch(heard, stft.frequencies(RATE)).note == midi
    assert np.corrcoef(heard, template)[0, 1] > 0.9
    assert envelope[-20:-5].max() < 0.1 * envelope.max()
    np.testing.assert_array_equal(audition(template, stft, RATE).samples, sound.samples)


def test_the_audition_of_silence_is_silent():
    assert not audition(np.zeros(stft.bins), stft, RATE).samples.any()


@pytest.mark.parametrize("window", WINDOWS)
def test_an_audition_has_the_spectrum_of_its_template(window):
    frames = STFT(1024, 256, window)
    bins = np.arange(frames.bins)
    template = sum(np.exp(-(((bins - peak) / 1.5) ** 2)) / h for h, peak in enumerate((40, 83, 121, 300), 1))
    found = np.abs(frames.forward(audition(template, frames, RATE)).values[0]).sum(axis=1)
    assert found @ template > 0.95 * np.linalg.norm(found) * np.linalg.norm(template)


def test_without_librosa_an_audition_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(UsageError, match="needs librosa; install it"):
        audition(np.ones(stft.bins), stft, RATE)
