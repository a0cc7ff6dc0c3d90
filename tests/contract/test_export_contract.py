"""What every export in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep.registry import EXPORTS
from nmfsep.separation import pipeline
from nmfsep.settings import OutputSettings, Settings
from nmfsep.signal.audio import Audio

exports = pytest.mark.parametrize("name", EXPORTS)
RATE = 8000


def model_of(channels="joint", level=0.3):
    t = np.arange(RATE) / RATE
    tones = np.sin(2 * np.pi * 440 * t) * (t < 0.5) + np.sin(2 * np.pi * 1760 * t) * (t > 0.5)
    samples = np.outer([1.0, 0.5], level * tones).astype(np.float32)
    chosen = Settings(components=2, n_fft=512, max_iter=20, threads=1, channels=channels, given=["max_iter"])
    return pipeline.separate(Audio(samples, RATE), chosen)[0]


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("mido")
    return model_of()


@exports
def test_its_file_has_a_suffix_of_its_own_and_split_an_option_for_it(name):
    suffixes = [EXPORTS.load(each).suffix for each in EXPORTS]
    assert EXPORTS.load(name).suffix.startswith(".")
    assert len(set(suffixes)) == len(suffixes)
    assert OutputSettings(**{f"export_{name}": True}).exports == (name,)
    assert OutputSettings(**{f"export_{name}": True}).keeps


@exports
def test_it_has_what_it_needs_or_says_what_is_missing(name):
    pytest.importorskip("mido")
    assert EXPORTS.load(name).require() is None


@exports
def test_the_same_model_gives_the_same_bytes_and_stays_as_it_is(name, model):
    before = [(f.W.tobytes(), f.Z.tobytes()) for each in model.resolutions for f in each.components.factors]
    first = EXPORTS.load(name).encode(model, RATE, 0.0)
    assert isinstance(first, bytes)
    assert first
    assert first == EXPORTS.load(name).encode(model, RATE, 0.0)
    assert before == [(f.W.tobytes(), f.Z.tobytes()) for each in model.resolutions for f in each.components.factors]


@exports
def test_times_count_from_the_begin_of_the_file_and_end_with_the_sound(name, model):
    export = EXPORTS.load(name)
    assert export.encode(model, RATE, 10.0) != export.encode(model, RATE, 0.0)
    assert len(export.encode(model, RATE, 0.0, seconds=0.0)) < len(export.encode(model, RATE, 0.0))


@exports
@pytest.mark.parametrize("channels", ["joint", "mid", "independent"])
def test_channels_may_share_a_model_or_have_their_own(name, channels):
    pytest.importorskip("mido")
    assert EXPORTS.load(name).encode(model_of(channels), RATE, 0.0)


@exports
def test_of_silence_there_is_next_to_nothing(name, model):
    silence = EXPORTS.load(name).encode(model_of(level=0.0), RATE, 0.0)
    assert len(silence) < len(EXPORTS.load(name).encode(model, RATE, 0.0))
