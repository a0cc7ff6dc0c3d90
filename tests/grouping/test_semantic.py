import numpy as np
import pytest

import nmfsep
from nmfsep.grouping.semantic import HIGHEST, LOWEST, harmonic_combs
from nmfsep.registry import SOUND_STARTS
from nmfsep.signal.audio import Audio

RATE = 22050
FREQUENCIES = np.fft.rfftfreq(2048, 1 / RATE)


def note(pitch, seconds=0.5):
    t = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    return sum(np.sin(2 * np.pi * h * hertz * t) / h for h in range(1, 8)) * np.exp(-3 * t)


def spectrogram(samples, channels=1):
    audio = Audio(np.tile(samples, (channels, 1)).astype(np.float32), RATE)
    values = nmfsep.STFT().forward(audio).values
    return np.abs(values).reshape(-1, values.shape[-1]).T.astype(np.float32)


def test_a_comb_peaks_at_the_harmonics_of_its_note():
    combs = harmonic_combs(FREQUENCIES)
    assert combs.shape == (1025, HIGHEST - LOWEST + 1)
    np.testing.assert_allclose(combs.sum(axis=0), 1)
    assert abs(FREQUENCIES[np.argmax(combs[:, 69 - LOWEST])] - 440) < FREQUENCIES[1]


@pytest.mark.parametrize("channels", [1, 2])
def test_the_notes_that_sound_are_chosen(channels):
    pitches = [57, 64, 72]
    Xt = spectrogram(np.concatenate([note(p) for p in pitches * 3]), channels)
    start = SOUND_STARTS.load("semantic")(Xt, 4, np.random.default_rng(0), FREQUENCIES)
    assert start.W.shape == (channels * 1025, 4)
    peaks = FREQUENCIES[np.argmax(start.W[:1025, :3], axis=0)]
    np.testing.assert_allclose(peaks, [440 * 2 ** ((p - 69) / 12) for p in pitches], atol=2 * FREQUENCIES[1])


@pytest.mark.parametrize("components", [1, 2, 7, 90])
def test_any_number_of_components_starts_positive_and_at_the_level_of_x(components):
    Xt = spectrogram(np.concatenate([note(p) for p in (50, 60, 70)]))
    start = SOUND_STARTS.load("semantic")(Xt, components, np.random.default_rng(0), FREQUENCIES)
    assert start.W.shape[1] == start.Z.shape[0] == components
    assert start.W.min() > 0
    assert start.Z.min() > 0
    assert 0.1 < start.reconstruct().mean() / Xt.mean() < 10


@pytest.mark.parametrize("samples", [np.zeros(3000), np.r_[1.0, np.zeros(50)]], ids=["silence", "a click"])
def test_odd_sounds_separate_from_this_start_too(samples):
    stems = nmfsep.separate(Audio(samples.astype(np.float32), RATE), 3, start="semantic")
    np.testing.assert_allclose(stems.samples.sum(axis=0)[0], samples, atol=1e-6)
