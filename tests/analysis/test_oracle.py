"""Ideal masks, block by block."""

from functools import partial

import numpy as np
import pytest

from nmfsep.analysis.oracle import FRAMES, ideal_stems, with_ideal_stems
from nmfsep.separation.masks import binary, ratio
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT, Spectrogram

MASK = partial(ratio, power=1)


def in_blocks(signals, size):
    return (signals[..., start : start + size] for start in range(0, signals.shape[-1], size))


def with_mixture(stems):
    return np.concatenate([stems, stems.sum(axis=0, keepdims=True)])


def whole(stems, stft, mask):
    """The same from one spectrogram of everything."""
    spectra = np.stack([stft.forward(Audio(sound.astype(np.float32), 1)).values for sound in with_mixture(stems)])
    shares = np.abs(spectra[:-1])
    mask(shares)
    return np.stack([stft.inverse(Spectrogram(share * spectra[-1], stems.shape[-1], 1)).samples for share in shares])


@pytest.mark.parametrize("mask", [MASK, partial(ratio, power=2), partial(binary, power=1)])
@pytest.mark.parametrize("stft", [STFT(256), STFT(128, 64), STFT(256, 50)], ids=str)
def test_blocks_give_what_the_whole_gives(stems, stft, mask):
    # some hundred frames, so several times FRAMES
    assert stft.n_frames(stems.shape[-1]) > 1.4 * FRAMES
    expected = whole(stems, stft, mask)
    found = np.concatenate(list(ideal_stems(in_blocks(with_mixture(stems), 1000), 6000, stft, mask)), axis=-1)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("length", [1, 100, 255, 1024])
def test_short_sounds_add_up_to_the_mixture(stems, length):
    cut = stems[..., :length]
    found = np.concatenate(list(ideal_stems([with_mixture(cut)], length, STFT(256), MASK)), axis=-1)
    np.testing.assert_allclose(found.sum(axis=0), cut.sum(axis=0), atol=1e-5)


def test_stems_that_do_not_overlap_come_apart_completely():
    tone = np.sin(2 * np.pi * np.arange(8192) / 16)
    stems = np.zeros((2, 1, 16384))
    stems[0, 0, :6000], stems[1, 0, 9000:15000] = tone[:6000], tone[:6000]
    found = np.concatenate(list(ideal_stems([with_mixture(stems)], 16384, STFT(512), MASK)), axis=-1)
    np.testing.assert_allclose(found, stems, atol=1e-4)


def test_the_truth_comes_beside_its_estimate(stems):
    mixed = with_mixture(stems)
    found = np.concatenate(list(with_ideal_stems(in_blocks(mixed, 700), 6000, STFT(256), MASK)), axis=-1)
    np.testing.assert_array_equal(found[:3], stems)
    alone = np.concatenate(list(ideal_stems([mixed], 6000, STFT(256), MASK)), axis=-1)
    np.testing.assert_allclose(found[3:], alone, atol=1e-6)
