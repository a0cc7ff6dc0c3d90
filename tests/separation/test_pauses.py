"""A foreground and a background learned from pauses and loud frames of a first separation."""

import numpy as np
import pytest

from nmfsep import Audio, separate
from nmfsep.separation import excerpt, pauses, pipeline
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

RATE = 8000


def scene(seconds=8, seed=0):
    """A voice of gliding harmonics with pauses, the first stem, and a hum with hiss, the second: (2, 1, samples)."""
    rng = np.random.default_rng(seed)
    t = np.arange(seconds * RATE) / RATE
    voice = np.zeros(len(t))
    for start in np.arange(0.5, seconds - 1, 1.5):
        here = (t >= start) & (t < start + 0.8)
        pitch = rng.uniform(150, 300) * 2 ** (rng.uniform(-0.5, 0.5) * (t[here] - start))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        voice[here] = sum(np.sin(h * phase) / h for h in range(1, 8)) * np.hanning(here.sum())
    hum = np.sin(2 * np.pi * 100 * t) + 0.5 * np.sin(2 * np.pi * 1200 * t) + 0.3 * rng.standard_normal(len(t))
    return np.array([0.2 * voice, 0.1 * hum], np.float32)[:, None]


@pytest.fixture(scope="module")
def truth():
    return scene()


@pytest.fixture(scope="module")
def mixture(truth):
    return Audio(truth.sum(axis=0), RATE)


def test_the_background_is_learned_where_the_foreground_pauses(truth, mixture):
    stft = STFT(512)
    found = pauses.learned(mixture, truth, 0, stft, Settings())
    assert np.bincount(found.owners).tolist() == [pauses.IN_FRONT, pauses.BEHIND]
    frequencies = stft.frequencies(RATE)
    steady = np.argmin(np.abs(frequencies - 1200))
    share = (found.W[steady - 1 : steady + 2] ** 2).sum(axis=0)
    assert share[found.owners == 1].mean() > 5 * share[found.owners == 0].mean()
    turned = pauses.learned(mixture, truth[::-1], 1, stft, Settings())
    assert turned.owners.tolist() == (1 - found.owners).tolist()
    np.testing.assert_array_equal(turned.W, found.W)


def test_silence_has_templates_all_the_same():
    silence = np.zeros((2, 1, RATE), np.float32)
    found = pauses.learned(Audio(silence[0], RATE), silence, 0, STFT(256), Settings())
    assert np.isfinite(found.W).all()


@pytest.mark.parametrize(
    ("given", "follows"),
    [
        ({}, True),
        ({"grouping": "foreground", "atoms": 6}, True),
        ({"grouping": "timbre"}, False),
        ({"components": 3}, False),
        ({"smoothness": 1.0}, False),
        ({"preset": "voice"}, False),
    ],
    ids=str,
)
def test_it_follows_a_foreground_of_two_stems(given, follows):
    settings = Settings(**({"components": 2} | given))
    assert pauses.may_follow(settings) is follows
    assert bool(pauses.templates_learned(settings, 44100)) is follows


def test_stems_are_better_than_those_of_atoms_alone(truth, mixture, gains, monkeypatch):
    settings = Settings(components=2, grouping="foreground", atoms=12)
    told = []
    model, pieces = pipeline.separate(mixture, settings, on_progress=lambda step, loss: told.append(step))
    stems = np.concatenate(list(pieces), axis=-1)
    np.testing.assert_allclose(stems.sum(axis=0), mixture.samples, atol=1e-6)
    assert len(model.resolutions) == 3
    assert model.choice.document()["rounds"] == 1
    assert told == sorted(told)
    assert told[-1] == pytest.approx(200, rel=0.05)
    monkeypatch.setattr(pauses, "may_follow", lambda settings: False)
    first, pieces = pipeline.separate(mixture, settings)
    assert len(first.resolutions) == 1
    before = gains(mixture.samples, truth, np.concatenate(list(pieces), axis=-1))
    assert gains(mixture.samples, truth, stems).mean() > before.mean()


def test_a_long_sound_is_looked_at_again_in_an_excerpt(mixture, truth, gains, monkeypatch):
    whole = separate(mixture, 2, grouping="foreground").samples
    monkeypatch.setattr(excerpt, "WHOLE", 4.0)
    monkeypatch.setattr(excerpt, "SECONDS", 0.5)
    part = separate(mixture, 2, grouping="foreground").samples
    assert not np.array_equal(whole, part)
    assert gains(mixture.samples, truth, part).mean() > gains(mixture.samples, truth, whole).mean() - 3
