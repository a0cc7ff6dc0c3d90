"""What every preset in the registry must hold to; a new entry is tested by itself."""

import numpy as np
import pytest

from nmfsep.registry import PRESETS
from nmfsep.separation import pipeline
from nmfsep.separation.obstacles import require_model
from nmfsep.settings.fields import PRESET_STEMS
from nmfsep.settings.separation import Settings, with_preset_defaults
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

presets = pytest.mark.parametrize("name", PRESETS)
RATE = 8000
FEW = {"max_iter": 10, "threads": 1}


def settings_of(name, **more):
    return Settings(**with_preset_defaults({"preset": name, **FEW, **more}), given={"preset", *FEW, *more})


def sound(channels=1):
    """A tone that stays, and hits of noise."""
    t = np.arange(2 * RATE) / RATE
    hits = np.random.default_rng(0).standard_normal(len(t)) * np.exp(-20 * (t % 0.5))
    whole = 0.1 * np.sin(2 * np.pi * 330 * t) + 0.2 * hits
    return np.outer([1.0, 0.5][:channels], whole).astype(np.float32)


@presets
def test_it_names_its_stems_and_its_settings_agree(name):
    assert len(set(PRESET_STEMS[name])) == len(PRESET_STEMS[name]) > 1
    assert settings_of(name).named == PRESET_STEMS[name]
    assert settings_of(name).components == len(PRESET_STEMS[name])
    require_model(settings_of(name))


@presets
@pytest.mark.parametrize("channels", [1, 2])
def test_every_stem_owns_templates_of_each_channel(name, channels):
    stft, settings = STFT(512), settings_of(name)
    frames = stft.n_frames(2 * RATE)
    X = np.abs(stft.forward_block(sound(channels), 0, frames)).transpose(0, 2, 1).reshape(-1, frames)
    X.flags.writeable = False
    found = PRESETS.load(name)(X, stft, RATE, settings)
    assert len(found.groups) == len(PRESET_STEMS[name])
    columns = sorted(column for group in found.groups for column in group)
    assert all(found.groups)
    for factors in found.factors:
        assert columns == list(range(factors.W.shape[1]))
        assert min(factors.W.min(), factors.Z.min()) >= 0
        assert np.isfinite(factors.W @ factors.Z).all()
        assert factors.Z.shape[1] == frames


@presets
def test_its_stems_add_up_to_the_mixture_and_come_out_the_same_again(name):
    audio = Audio(sound(2), RATE)

    def stems():
        model, pieces = pipeline.separate(audio, settings_of(name))
        return model.names, np.concatenate(list(pieces), axis=-1)

    names, samples = stems()
    assert names == PRESET_STEMS[name]
    np.testing.assert_allclose(samples.sum(axis=0), audio.samples, atol=1e-5)
    assert samples.tobytes() == stems()[1].tobytes()


@presets
def test_silence_is_no_error(name):
    audio = Audio(np.zeros((1, RATE), np.float32), RATE)
    pieces = pipeline.separate(audio, settings_of(name))[1]
    assert not np.concatenate(list(pieces), axis=-1).any()
