"""Sounds learned from where they are alone in the mixture."""

import numpy as np
import pytest

from nmfsep import separate
from nmfsep.errors import InputError, UsageError
from nmfsep.guidance.excerpt_cue import Excerpts
from nmfsep.guidance.guide import FREE, RESIDUAL, Guide
from nmfsep.separation import pipeline
from nmfsep.signal.audio import Audio

RATE = 8000


def sources():
    """Noise all along, over which a voice of harmonics sets in after a second."""
    rng = np.random.default_rng(0)
    t = np.arange(3 * RATE) / RATE
    noise = 0.05 * np.convolve(rng.standard_normal(len(t)), [1, 0.8, 0.5], "same")
    phase = 2 * np.pi * (180 * t + 4 * np.sin(2 * np.pi * 1.3 * t))
    voice = 0.15 * (t > 1) * sum(np.sin(h * phase) / h for h in range(1, 9))
    return np.stack([noise, voice]).astype(np.float32)


SOURCES = sources()
MIXTURE = Audio(SOURCES.sum(axis=0), RATE)


def sdr(reference, estimate):
    return float(10 * np.log10(np.sum(reference**2) / np.sum((estimate - reference) ** 2)))


def test_noise_is_taken_out_by_example():
    stems = separate(MIXTURE, learn={"noise": [(0, 1)]})
    assert stems.names == ("noise", RESIDUAL)
    gains = [sdr(s, e[0]) - sdr(s, MIXTURE.samples[0]) for s, e in zip(SOURCES, stems.samples, strict=True)]
    assert min(gains) > 3
    np.testing.assert_allclose(stems.samples.sum(axis=0), MIXTURE.samples, atol=1e-6)


def test_learned_from_the_wrong_stretch_it_is_not():
    stems = separate(MIXTURE, learn={"noise": [(1.2, 2.2)]})
    assert sdr(SOURCES[1], stems.samples[1, 0]) < sdr(SOURCES[1], MIXTURE.samples[0])


def test_times_count_from_the_beginning_of_the_file():
    guide = Guide((Excerpts({"noise": [(0.5, 1)]}),), {"max_iter": 10})
    cut = Audio(MIXTURE.samples[:, RATE // 2 :], RATE)
    late = pipeline.separate(cut, guide.settings(), guide, begin=0.5)[0]
    early = separate(cut, learn={"noise": [(0, 0.5)]}, max_iter=10)
    np.testing.assert_array_equal(np.concatenate(list(pipeline.render(late, cut)), axis=-1), early.samples)


def test_two_sounds_share_the_mixture_and_more_stretches_teach_more():
    stems = separate(MIXTURE, learn={"noise": [(0, 0.3), (0.5, 1)], "voice": [(1.1, 3)]}, max_iter=5)
    assert stems.names == ("noise", "voice")
    once = separate(MIXTURE, learn={"noise": [(0, 0.3)], "voice": [(1.1, 3)]}, max_iter=5)
    assert not np.array_equal(stems.samples, once.samples)


def test_the_rest_has_free_templates_unless_it_is_said_how_many():
    guide = Guide((Excerpts({"noise": [(0, 1)]}),))
    assert (guide.settings().free, guide.settings().residual) == (FREE, RESIDUAL)
    assert Guide(guide.cues, {"free": 3, "residual": "rest"}).settings().free == 3
    assert Guide(guide.cues, {"residual": "rest"}).settings().free == 0
    with pytest.raises(UsageError, match="'noise' alone"):
        Guide(guide.cues, {"free": 0}).settings()


def test_frames_that_are_asked_for_are_the_only_ones():
    for n_fft in (512, 2048):  # of which one is the default of the settings
        guide = Guide((Excerpts({"noise": [(0, 1)]}),), {"n_fft": n_fft, "max_iter": 1})
        layers = pipeline.separate(MIXTURE, guide.settings(), guide)[0].resolutions
        assert [layer.stft.n_fft for layer in layers] == [n_fft]


def test_silence_cannot_be_learned():
    samples = MIXTURE.samples.copy()
    samples[:, :RATE] = 0
    with pytest.raises(InputError, match="0 s to 1 s is silent"):
        separate(Audio(samples, RATE), learn={"noise": [(0, 1)]})


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("rain=0:00-0:01.5", {"rain": [(0, 1.5)]}),
        ("a=1-2,0:03-1:00:04", {"a": [(1, 2), (3, 3604)]}),
        ("x=y=.5-1.", {"x=y": [(0.5, 1)]}),
    ],
)
def test_texts_are_understood(text, spans):
    assert Excerpts.read([text], {}).spans == spans


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["rain"], "is not NAME=T1-T2; give such as noise=0:00-0:01.5"),
        (["=0-1"], "is not NAME=T1-T2"),
        (["rain="], "is not NAME=T1-T2"),
        (["rain=0"], "'0' is not two times with a hyphen between"),
        (["rain=nan-1"], "'nan-1' is not two times"),
        (["rain=0-inf"], "'0-inf' is not two times"),
        (["rain=-1-2"], "'-1-2' is not two times"),
        (["rain=0-1,"], "'' is not two times"),
        (["rain=0-1:75"], "'1:75' is not a time"),
        (["rain=2-1"], "2 s to 1 s is no stretch of time; give the earlier time first"),
        (["rain=1-1"], "1 s to 1 s is no stretch"),
        (["rain=0-1", "rain=2-3"], "names 'rain' twice; give all its stretches at once"),
        (["a/b=0-1"], "cannot be the name of a stem"),
        (["rain=0-1", "Rain=1-2"], "one file on some systems"),
    ],
)
def test_texts_that_cannot_be_are_refused_in_words(texts, words):
    with pytest.raises(UsageError, match=words):
        Guide((Excerpts.read(texts, {}),))


@pytest.mark.parametrize("span", [(2, 3.5), (3, 4)])
def test_stretches_outside_the_sound_are_refused(span):
    with pytest.raises(UsageError, match=f"there is no {span[0]} s to .*what is separated goes from 0 s to 3 s"):
        separate(MIXTURE, learn={"noise": [span]})
