"""The frames of a sound that sound, at one level."""

import numpy as np
import pytest

from nmfsep.guidance import learn as sounding
from nmfsep.guidance.learn import QUIET, ActiveFrames
from nmfsep.kernels.threads import Workers
from nmfsep.signal.stft import STFT

FRAMES = STFT(64)


@pytest.fixture
def hiss():
    """Noise with silence in the middle and a whisper at the end."""
    samples = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    samples[2000:4000] = 0
    samples[6000:] *= np.float32(1e-5)
    return samples


def blocks(samples, threads=1, loudness=None):
    with Workers(threads) as workers:
        heard = ActiveFrames(samples, FRAMES, workers, loudness)
        return list(heard), heard.loudness


def test_what_is_silent_is_left_out_and_the_rest_has_unit_mean(hiss):
    found, loudness = blocks(hiss)
    X = np.concatenate([block for _, block in found])
    assert X.mean() == pytest.approx(1, rel=1e-4)
    assert X.mean(axis=1).min() > QUIET * X.mean(axis=1).max()
    assert 4000 / FRAMES.hop_length < len(X) < 4300 / FRAMES.hop_length
    assert loudness.scale > 0


@pytest.mark.parametrize("size", [8, 64, 256])
def test_neither_blocks_nor_threads_nor_knowing_the_level_change_a_bit(hiss, size, monkeypatch):
    whole, loudness = blocks(hiss)
    monkeypatch.setattr(sounding, "BLOCK", size)
    for threads, known in ((1, None), (2, None), (2, loudness)):
        found, measured = blocks(hiss, threads, known)
        assert measured.quiet == loudness.quiet
        assert measured.scale == loudness.scale
        assert [start for start, _ in found] == sorted(start for start, _ in found)
        np.testing.assert_array_equal(
            np.concatenate([block for _, block in found]), np.concatenate([block for _, block in whole])
        )


@pytest.mark.parametrize("length", [0, 1, 20, 5000])
def test_silence_has_no_frames(length):
    found, loudness = blocks(np.zeros(length, np.float32))
    assert found == []
    assert loudness.scale == 0


def test_a_sound_is_only_read(hiss):
    hiss.flags.writeable = False
    first, _ = blocks(hiss[:100])
    again, _ = blocks(hiss[:100])
    np.testing.assert_array_equal(first[0][1], again[0][1])
