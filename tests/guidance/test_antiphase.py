"""Channels out of phase: a sound is learned from what each channel holds, though the mean of them is silence."""

import numpy as np
import pytest

from nmfsep import learn, separate
from nmfsep.guidance import learn as learning
from nmfsep.guidance.alignment import align
from nmfsep.guidance.learn import ActiveFrames, Sound
from nmfsep.guidance.notes import Note
from nmfsep.kernels.threads import Workers
from nmfsep.results.inspect import rank_sound
from nmfsep.settings.commands import LearnSettings, OutputSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

sf = pytest.importorskip("soundfile")

RATE = 8000
PITCHES = (60, 64, 67, 62)


def sources():
    """Notes half a second each over noise, which is alone in the first second."""
    t = np.arange(3 * RATE) / RATE
    notes = np.zeros(len(t))
    for i, pitch in enumerate(PITCHES):
        since, hertz = t - 1 - 0.5 * i, 440 * 2 ** ((pitch - 69) / 12)
        sounds = (since >= 0) & (since < 0.48)
        notes += 0.2 * sounds * sum(np.sin(2 * np.pi * h * hertz * since) / h for h in range(1, 6))
    return np.stack([0.03 * np.random.default_rng(0).standard_normal(len(t)), notes]).astype(np.float32)


SOURCES = sources()
MIXTURE = SOURCES.sum(axis=0)
GAINS = [1], [1, 1], [1, -1]


def sound(samples, gains):
    return Audio(np.outer(gains, samples).astype(np.float32), RATE)


ONE, SAME, OPPOSED = (sound(MIXTURE, gains) for gains in GAINS)


@pytest.fixture
def guided(tmp_path):
    """Separate by each kind of cue that learns from sound."""
    (tmp_path / "l.txt").write_text("0\t3\tnoise\n1\t3\tnotes\n")

    def separated(kind, gains):
        audio = sound(MIXTURE, gains)
        if kind == "labels":
            return separate(audio, labels=tmp_path / "l.txt")
        if kind == "learn":
            return separate(audio, learn={"noise": [(0, 1)]})
        alone = {name: sound(source, gains) for name, source in zip(("noise", "notes"), SOURCES, strict=True)}
        return separate(audio, dictionary=learn(alone))

    return separated


@pytest.mark.parametrize("kind", ["labels", "learn", "dictionary"])
def test_opposed_channels_come_apart_as_one_channel_does(guided, kind):
    found = [guided(kind, gains).samples for gains in GAINS]
    np.testing.assert_allclose(found[2][:, 0], -found[2][:, 1], atol=1e-6)
    alone, same, opposed = (np.sum((stems[:, 0] - SOURCES) ** 2) / np.sum(SOURCES**2) for stems in found)
    assert max(same, opposed) < 1.1 * alone < 0.1


def test_equal_channels_give_the_templates_of_one_bit_for_bit():
    one, same, opposed = (
        learning.learn({"x": [Sound("key", lambda audio=audio: audio.samples)]}, RATE, LearnSettings(components="5"))
        for audio in (ONE, SAME, OPPOSED)
    )
    for other in (same, opposed):
        for view, twin in zip(one.views, other.views, strict=True):
            np.testing.assert_array_equal(view.W, twin.W)


def test_two_channels_weigh_by_their_magnitudes():
    rng = np.random.default_rng(1)
    channels, stft = rng.standard_normal((2, 4000)).astype(np.float32), STFT(256)

    def heard(samples):
        with Workers(1) as workers:
            return np.concatenate([block for _, block in ActiveFrames(samples, stft, workers)])

    each = [np.abs(stft.forward_block(channel[None], 0, stft.n_frames(4000))[0]) for channel in channels]
    mean = np.mean(each, axis=0)
    np.testing.assert_allclose(heard(channels), mean / mean.mean(), rtol=1e-5)


def test_a_score_is_found_in_opposed_channels():
    notes = [Note("x", pitch, 0.5 * i, 0.5 * i + 0.48, 90, False) for i, pitch in enumerate(PITCHES)]
    begins = np.array([note.begin for note in notes])
    alone, same, opposed = (align(notes, audio.samples, RATE)(begins) for audio in (ONE, SAME, OPPOSED))
    np.testing.assert_allclose(alone, 1 + begins, atol=0.1)
    np.testing.assert_array_equal(same, alone)
    np.testing.assert_array_equal(opposed, alone)


def test_components_of_opposed_channels_are_counted(tmp_path):
    found = []
    for name, audio in (("one", ONE), ("same", SAME), ("opposed", OPPOSED)):
        path = tmp_path / f"{name}.wav"
        sf.write(path, audio.samples.T, RATE, "FLOAT")
        found.append(rank_sound(str(path), Settings(n_fft=512), OutputSettings(), range(2, 4)).evidence)
    assert found[0] == found[1] == found[2]
