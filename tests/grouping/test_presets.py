"""Presets find what they are called after."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import nmfsep
from nmfsep import Audio, separate
from nmfsep.errors import UsageError
from nmfsep.grouping.presets import strokes
from nmfsep.registry import PRESETS
from nmfsep.separation.obstacles import require_model
from nmfsep.settings.fields import PRESET_STEMS as STEMS
from nmfsep.settings.separation import Settings, with_preset_defaults
from nmfsep.signal.stft import STFT

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"


def references(name):
    files = sorted((SAMPLES / "stems" / name).iterdir())
    return {file.stem: sf.read(file, always_2d=True)[0].T for file in files}


def test_every_preset_has_its_stems():
    assert list(PRESETS) == list(STEMS)
    for name, stems in STEMS.items():
        assert Settings(preset=name).components == len(stems)
        assert all(stem in PRESETS[name] for stem in stems)


def test_the_drums_of_the_loop_have_their_names():
    stems = separate(nmfsep.read(SAMPLES / "drums.wav"), preset="drums", threads=1)
    assert stems.names == ("kick", "snare", "hihat")
    true = references("drums")
    for name, samples in zip(stems.names, stems.samples, strict=True):
        alike = {other: abs(np.vdot(samples, sound)) / np.linalg.norm(sound) for other, sound in true.items()}
        assert max(alike, key=alike.__getitem__) == name
        assert alike[name] / np.linalg.norm(samples) > 0.9


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("delays", [1, 8])
def test_a_stroke_of_each_drum_is_where_one_expects_it(rate, delays):
    stft = STFT(2048)
    found = strokes(stft.frequencies(rate), stft.hop_length / rate, delays)
    assert found.shape == (stft.bins, 3, delays)
    assert found.min() > 0
    np.testing.assert_allclose(found.sum(axis=(0, 2)), 1)
    assert (np.diff(found.sum(axis=0), axis=1) < 0).all()  # they fade
    middle = stft.frequencies(rate) @ found.sum(axis=2)
    assert (np.diff(middle) > 0).all()


def test_strokes_that_change_while_they_fade_are_told_apart_by_templates_of_several_frames(gains):
    audio, true = nmfsep.read(SAMPLES / "drums.wav"), references("drums")
    parts = np.stack([true[name] for name in STEMS["drums"]])
    several, single = (
        gains(audio.samples, parts, separate(audio, preset="drums", threads=1, **options).samples).mean()
        for options in ({}, {"template_frames": 1})
    )
    assert several > single + 2
    assert several > 20


def test_only_drums_are_strokes():
    assert Settings(preset="drums").convolutive
    assert not Settings(preset="noise").convolutive
    require_model(Settings(preset="drums", template_frames=12))
    with pytest.raises(UsageError, match="template-frames"):
        require_model(Settings(preset="noise", template_frames=12))
    with pytest.raises(UsageError, match="--preset drums decides about --divergence"):
        require_model(Settings(preset="drums", divergence="is"))


def test_what_suits_a_preset_gives_way_to_what_is_given():
    assert with_preset_defaults({"preset": "drums"}) == {"preset": "drums", "mask_power": 2.0, "template_frames": 12}
    assert with_preset_defaults({"preset": "drums", "mask_power": 1.0})["mask_power"] == 1.0
    assert "mask_power" not in with_preset_defaults({"preset": "drums", "mask": "wiener"})
    for given in ({}, {"preset": None}, {"preset": "noise", "mask_power": 3.0}):
        assert with_preset_defaults(given) == given
    for name in STEMS:
        assert Settings(**with_preset_defaults({"preset": name})).preset == name


def test_noise_is_told_from_what_it_covers(gains):
    audio = nmfsep.read(SAMPLES / "rain.wav")
    stems = separate(audio, preset="noise", threads=1)
    assert stems.names == ("signal", "noise")
    true = references("rain")
    np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)
    signal = np.vdot(stems.samples[0], true["voice"]) / np.linalg.norm(stems.samples[0]) / np.linalg.norm(true["voice"])
    assert signal > 0.95
    assert gains(audio.samples, np.stack([true["voice"], true["rain"]]), stems.samples).mean() > 8  # measured: 12.5 dB


def test_a_voice_that_glides_is_told_from_chords_that_stay(gains):
    rate = 16000
    t = np.arange(6 * rate) / rate
    phase = 2 * np.pi * np.cumsum(300 + 120 * np.sin(2 * np.pi * 0.7 * t)) / rate
    voice = sum(np.sin(h * phase) / h for h in range(1, 9)) * (np.sin(2 * np.pi * 0.35 * t) > -0.5)
    chords = sum(np.sin(2 * np.pi * f * h * t) / h for f in (131, 165, 196, 262) for h in range(1, 6))
    parts = np.stack([voice / voice.std(), chords / chords.std()])[:, None].astype(np.float32) * 0.1
    audio = Audio(parts.sum(axis=0), rate)
    stems = separate(audio, preset="voice", threads=1)
    assert stems.names == ("voice", "accompaniment")
    assert gains(audio.samples, parts, stems.samples).mean() > 5
    assert abs(np.vdot(stems.samples[0], parts[0])) > abs(np.vdot(stems.samples[0], parts[1]))


@pytest.mark.parametrize("preset", STEMS)
def test_silence_and_a_moment_of_sound_are_no_error(preset):
    for samples in (np.zeros((1, 20000), np.float32), np.full((2, 30), 0.1, np.float32)):
        stems = separate(Audio(samples, 8000), preset=preset)
        np.testing.assert_allclose(stems.samples.sum(axis=0), samples, atol=1e-6)
