import sys

import numpy as np
import pytest

from nmfsep.errors import InputError
from nmfsep.signal.audio import Audio, at_rate, common_rate


@pytest.mark.parametrize(
    ("rates", "rate"), [([8000], 8000), ([8000, 44100, 8000], 8000), ([8000, 44100], 44100), ([3, 2, 1, 1], 1)]
)
def test_the_common_rate_is_the_most_frequent_or_the_highest(rates, rate):
    for order in (rates, rates[::-1]):
        assert common_rate(order) == rate


@pytest.mark.parametrize("rate", [8000, 6000])
def test_each_channel_is_converted_by_itself(rate):
    channels = np.random.default_rng(0).standard_normal((2, 800)).astype(np.float32)
    both = at_rate(Audio(channels, 8000), rate)
    for channel, converted in zip(channels, both, strict=True):
        np.testing.assert_array_equal(at_rate(Audio(channel, 8000), rate), [converted])


@pytest.mark.parametrize("rate", [4000, 11025, 44100])
def test_a_tone_keeps_its_frequency_and_its_level(rate):
    tone = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    (converted,) = at_rate(Audio(tone, 8000), rate)
    assert len(converted) == rate
    assert np.argmax(np.abs(np.fft.rfft(converted))) == 500
    assert np.sqrt(np.mean(converted**2)) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_what_would_vanish_is_refused():
    with pytest.raises(InputError, match="too short to be converted to 8 Hz"):
        at_rate(Audio(np.ones(3), 44100), 8)


def test_without_soxr_converting_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    sound = Audio(np.ones((1, 100), np.float32), 8000)
    assert at_rate(sound, 8000) is not None
    with pytest.raises(InputError, match=r"has 8000 Hz, and converting it to 16000 Hz needs soxr; install it"):
        at_rate(sound, 16000)


@pytest.mark.parametrize("rate", [1, 7, 1000])
def test_a_rate_of_a_damaged_header_is_not_converted(rate):
    with pytest.raises(InputError, match=f"has {rate} Hz, too few to be converted to 44100 Hz"):
        at_rate(Audio(np.zeros(1 << 20), rate), 44100)
