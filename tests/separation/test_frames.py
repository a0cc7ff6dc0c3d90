"""Frames last about as long at every sample rate, unless --n-fft says otherwise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from nmfsep import Audio, separate
from nmfsep.errors import UsageError
from nmfsep.settings.separation import LONG, SHORT, Settings, frame_length, nearest_size

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"
RATES = (8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
ULTRASOUND = (250_000, 256_000, 300_000, 384_000, 500_000)


@pytest.mark.parametrize(
    ("n_fft", "settings"),
    [
        ((768, 1536, 4096, 4096, 16384), {}),
        ((768, 1536, 2048, 2048, 8192), {"components": 3}),
        ((1024, 2048, 6144, 6144, 24576), {"preset": "noise"}),
        ((1024, 2048, 6144, 6144, 24576), {"preset": "voice"}),
        ((384, 768, 2048, 2048, 8192), {"preset": "drums"}),
        ((384, 768, 2048, 2048, 8192), {"model": "nmfd"}),
    ],
)
def test_frames_are_as_long_as_suits_what_is_looked_for(n_fft, settings):
    found = [Settings(**settings).frames(rate) for rate in (8000, 16000, 44100, 48000, 192000)]
    assert found == [(samples, samples // 4) for samples in n_fft]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("stems", [2, 3, 12])
def test_frames_last_as_long_at_every_rate(rate, stems):
    seconds = frame_length(rate, stems) / rate
    assert SHORT * 0.98 < seconds < LONG * 1.02
    for preset in ("noise", "voice"):
        assert frame_length(rate, 2, preset) / rate == pytest.approx(0.128, rel=0.1)
    assert frame_length(rate, 3, "drums", True) / rate == pytest.approx(0.048, rel=0.12)


@pytest.mark.parametrize("rate", ULTRASOUND)
def test_frames_of_ultrasound_follow_calls_of_a_few_milliseconds(rate):
    assert 0.005 < frame_length(rate, 3) / rate < 0.007
    assert frame_length(rate, 2) / rate < 0.013
    assert frame_length(rate, 2, "noise") / rate < 0.017


@pytest.mark.parametrize("rate", [1, 100, 1000, 4000, 4_000_000])
def test_no_rate_leaves_too_few_or_too_many_bins(rate):
    for settings in (Settings(), Settings(components=5), Settings(preset="noise"), Settings(preset="drums")):
        assert 256 <= settings.frames(rate)[0] <= 1 << 15


@pytest.mark.parametrize("samples", [256, 300, 777, 1486, 4101.3, 30000])
def test_sizes_are_fast_to_transform_and_near_what_is_wanted(samples):
    size = nearest_size(samples)
    assert size % 4 == 0
    assert size & (size - 1) == 0 or size // 3 & (size // 3 - 1) == 0
    assert 0.8 < size / samples < 1.25


@pytest.mark.parametrize("rate", [8000, 44100, 384_000])
def test_what_is_given_holds_at_every_rate(rate):
    assert Settings(n_fft=1000).frames(rate) == (1000, 250)
    assert Settings(preset="noise", n_fft=1000, hop_length=100).frames(rate) == (1000, 100)
    assert Settings(components=3, hop_length=128).frames(rate) == (frame_length(rate, 3), 128)


def test_a_step_too_long_for_the_frames_of_a_rate_says_what_to_give():
    settings = Settings(components=3, hop_length=1000)
    assert settings.frames(44100) == (2048, 1000)
    with pytest.raises(UsageError, match="more than half of n_fft 768") as error:
        settings.frames(8000)
    assert "--n-fft 2000" in str(error.value.hint)


def at(name, rate):
    """Return a sample at another rate, and its stems, (stems, 1, samples)."""
    sound, own = sf.read(SAMPLES / f"{name}.wav", always_2d=True)
    stems = [sf.read(file, always_2d=True)[0] for file in sorted((SAMPLES / "stems" / name).iterdir())]
    mixture, *true = (soxr.resample(samples, own, rate).T.astype(np.float32) for samples in (sound, *stems))
    return Audio(mixture, rate), np.stack(true)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_rate_costs_no_noise_reduction(gains, rate):
    audio, true = at("rain", rate)
    assert gains(audio.samples, true, separate(audio, preset="noise", threads=1).samples).mean() > 9.6


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_rate_changes_neither_the_method_nor_what_it_gains(gains, rate):
    audio, true = at("triad", rate)
    assert gains(audio.samples, true, separate(audio, 3, threads=1).samples).mean() > 15
