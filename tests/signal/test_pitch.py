"""Pitches of spectra that are known."""

import numpy as np
import pytest

from nmfsep.signal.audio import Audio
from nmfsep.signal.pitch import find_pitch, note_name, to_hertz
from nmfsep.signal.stft import STFT

RATE = 44100
stft = STFT(2048)
FREQUENCIES = stft.frequencies(RATE)


def spectrum(midi, amplitudes, seconds=0.5, noise=0.0):
    """Return the mean magnitudes of a tone with these harmonics."""
    t = np.arange(round(seconds * RATE)) / RATE
    f = to_hertz(midi)
    x = sum(a * np.sin(2 * np.pi * h * f * t + h) for h, a in enumerate(amplitudes, 1) if h * f < RATE / 2)
    x = x + noise * np.random.default_rng(0).standard_normal(len(t))
    return np.abs(stft.forward(Audio(x, RATE)).values[0]).mean(axis=1)


@pytest.mark.parametrize(
    ("midi", "name"), [(60, "C4"), (69, "A4"), (21, "A0"), (108, "C8"), (61, "C#4"), (70, "A#4"), (0, "C-1")]
)
def test_notes_have_their_names(midi, name):
    assert note_name(midi) == name


def test_a4_is_440_hertz_and_an_octave_doubles():
    np.testing.assert_allclose(to_hertz(np.array([69.0, 81.0, 57.0])), [440, 880, 220])


@pytest.mark.parametrize("midi", range(33, 109))
def test_every_note_of_a_piano_above_a1_is_found(midi):
    pitch = find_pitch(spectrum(midi, 0.7 ** np.arange(12)), FREQUENCIES)
    assert (pitch.note, pitch.name) == (midi, note_name(midi))
    assert abs(pitch.cents) <= 12
    assert pitch.hertz == pytest.approx(to_hertz(midi), rel=0.007)


@pytest.mark.parametrize(
    "amplitudes",
    [
        [1],  # a sine
        [0, 1, 0.8, 0.6, 0.5, 0.4, 0.3],  # no fundamental
        [0.05, 0.3, 1, 0.8, 1, 0.3, 0.2],  # a weak one, as of a bassoon
        [1, 0, 0.4, 0, 0.2, 0, 0.1],  # odd ones, as of a clarinet
        [1] * 15,
        [0.3, 1, 0.3, 0.6, 0.2, 0.4],  # a strong octave, as of an organ
    ],
)
@pytest.mark.parametrize("midi", [45, 52, 60, 67, 76])
def test_harmonics_may_be_of_any_strength(amplitudes, midi):
    assert find_pitch(spectrum(midi, amplitudes, noise=0.01), FREQUENCIES).note == midi


def test_a_pitch_between_notes_is_told_in_cents():
    pitch = find_pitch(spectrum(60.3, 0.7 ** np.arange(10)), FREQUENCIES)
    assert (pitch.note, pitch.cents) == (60, pytest.approx(30, abs=5))


@pytest.mark.parametrize("level", [1e-30, 1e-6, 1e30])
def test_the_level_does_not_matter(level):
    tone = spectrum(60, 0.7 ** np.arange(10))
    assert find_pitch(level * tone, FREQUENCIES).midi == pytest.approx(find_pitch(tone, FREQUENCIES).midi, abs=1e-6)


def test_noise_and_silence_have_none():
    rng = np.random.default_rng(0)
    assert find_pitch(spectrum(60, [], noise=1.0), FREQUENCIES) is None
    assert find_pitch(np.abs(rng.standard_normal(stft.bins)), FREQUENCIES) is None
    assert find_pitch(np.zeros(stft.bins), FREQUENCIES) is None
    assert find_pitch(np.ones(stft.bins), FREQUENCIES) is None


def test_the_spectrum_is_not_written_to():
    tone = spectrum(60, [1.0, 0.5])
    tone.flags.writeable = False
    find_pitch(tone, FREQUENCIES)
