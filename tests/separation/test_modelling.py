"""Any model of the registry can take a mixture apart."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep import Audio, separate
from nmfsep.errors import UsageError
from nmfsep.models.by_name import defaults_of, has_levels
from nmfsep.models.deep import DeepFit
from nmfsep.registry import MODELS
from nmfsep.separation import pipeline
from nmfsep.separation.fit import resolved
from nmfsep.settings.separation import Settings

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"
SHORT = {"n_fft": 512, "max_iter": 20}


def noise(channels=2, length=8000):
    rng = np.random.default_rng(1)
    envelope = np.repeat(rng.random((channels, length // 400)), 400, axis=1)
    return Audio((0.1 * envelope * rng.standard_normal((channels, length))).astype(np.float32), 8000)


def size(model, k=3):
    return {"levels": (2 * k, k)} if has_levels(model) else {"components": k}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mask", ["ratio", "wiener", "binary"])
def test_stems_of_every_model_add_up_to_the_mixture(model, mask):
    audio = noise()
    stems = separate(audio, model=model, **size(model), mask=mask, **SHORT)
    assert stems.samples.shape == (3, 2, 8000)
    assert stems.names == ("component-1", "component-2", "component-3")
    assert np.isfinite(stems.samples).all()
    np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)
    assert np.abs(stems.samples).max(axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_every_model_leaves_silence_silent(model):
    stems = separate(Audio(np.zeros((1, 8000), np.float32), 8000), model=model, **size(model), **SHORT)
    assert not stems.samples.any()


@pytest.mark.parametrize("model", MODELS)
def test_the_level_of_the_mixture_does_not_matter(model):
    audio = noise(1)
    one, other = (
        separate(Audio(audio.samples * np.float32(factor), 8000), model=model, **size(model), **SHORT).samples / factor
        for factor in (1, 2.0**-12)
    )
    np.testing.assert_array_equal(one, other)


def test_every_level_of_a_deep_model_adds_up_and_coarse_stems_are_sums_of_finer_ones():
    audio = noise()
    levels = (8, 5, 2)
    found = [separate(audio, model="deep", levels=levels, level=level, **SHORT) for level in (1, 2, 3)]
    assert [len(stems.samples) for stems in found] == [8, 5, 2]
    np.testing.assert_array_equal(
        separate(audio, model="deep", levels=levels, **SHORT).samples, found[2].samples
    )  # the coarsest, if nothing is said
    for stems in found:
        np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)
    tree = found[0].fits[0].tree
    assert [len(parents) for parents in tree] == [8, 5]
    for finer, coarser, parents in zip(found, found[1:], tree, strict=False):
        for part, stem in enumerate(coarser.samples):
            parts = finer.samples[[n for n, parent in enumerate(parents) if parent == part]]
            np.testing.assert_allclose(parts.sum(axis=0), stem, atol=1e-5)


def test_a_part_that_nothing_belongs_to_is_silent_and_told(monkeypatch):
    monkeypatch.setattr(DeepFit, "tree", property(lambda fit: [[0, 0, 2, 2]]))
    audio = noise()
    separation = pipeline.separate(audio, Settings(model="deep", levels=(4, 3), **SHORT))[0]
    assert separation.components.groups == [[0, 1], [], [2, 3]]
    assert separation.warnings == ("nothing of the finest level belongs most to component 2, which is silent",)
    stems = np.concatenate(list(pipeline.render(separation, audio)), axis=-1)
    assert not stems[1].any()
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)


def test_levels_whose_parts_cancel_are_taken_as_they_are():
    separation = pipeline.separate(noise(), Settings(model="deep-semi", levels=(6, 3), **SHORT))[0]
    (fit,) = separation.fits
    assert separation.components.groups == [[0], [1], [2]]
    W = np.concatenate([factors.W for factors in separation.components.factors])
    np.testing.assert_allclose(W, np.abs(fit.level(2).W), rtol=1e-6)


def test_clusters_give_every_frame_to_one_stem():
    separation = pipeline.separate(noise(), Settings(model="kmeans", components=3, **SHORT))[0]
    assert (np.count_nonzero(separation.components.factors[0].Z, axis=0) == 1).all()


def test_parts_that_can_be_negative_are_told_and_taken_by_their_size():
    separation = pipeline.separate(noise(), Settings(model="semi", components=3, **SHORT))[0]
    assert separation.fits[0].factors.W.min() < 0
    assert all(min(factors.W.min(), factors.Z.min()) >= 0 for factors in separation.components.factors)
    assert any("can be negative and cancel" in warning for warning in separation.warnings)
    assert not pipeline.separate(noise(), Settings(components=3, **SHORT))[0].warnings


def test_templates_of_several_frames_take_drums_apart_better(gains):
    mixture, rate = sf.read(SAMPLES / "drums.wav", dtype="float32", always_2d=True)
    references = np.stack([sf.read(path, always_2d=True)[0].T for path in sorted((SAMPLES / "stems/drums").iterdir())])
    audio = Audio(mixture.T.copy(), rate)
    plain, strokes = (
        gains(audio.samples, references, separate(audio, 3, model=model).samples).mean() for model in ("nmf", "nmfd")
    )
    assert strokes > plain + 3  # measured: 22.9 dB, 16.4 dB


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "kmeans", "sparsity": 0.5}, "model 'kmeans' has no option --sparsity"),
        ({"model": "nmf", "levels": (4, 2)}, "model 'nmf' has no levels"),
        ({"model": "deep"}, "model 'deep' needs --levels"),
        ({"model": "deep", "levels": (4, 4)}, "--levels 4,4 must have fewer parts"),
        ({"model": "deep", "levels": (4, 2), "level": 3}, "--levels 4,2 has no level 3; levels go from 1 to 2"),
        ({"model": "deep", "levels": (4, 2), "channels": "independent"}, "a tree of its own"),
        ({"model": "deep", "levels": (4, 2), "start": "semantic"}, "start 'semantic' is for model 'nmf'"),
        ({"model": "semi", "solver": "pinv"}, "pinv"),
        ({"model": "nmf", "start": "svd"}, "svd"),
        ({"model": "nmfd", "template_frames": 500, "n_fft": 512}, "templates of 500 frames are longer than the 63"),
        ({"level": 1}, "--level needs --levels"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_a_model_lacks_is_refused(settings, message):
    with pytest.raises(UsageError) as refused:
        separate(noise(), **settings)
    assert message in str(refused.value)


def test_the_defaults_of_nmf_are_those_of_its_own_function():
    names = set(defaults_of("nmf")) & set(Settings.__dataclass_fields__)
    assert Settings().asked(names) == {}
    names -= {"restarts"}  # not said, so that a grouping may have its own number of runs
    assert {name: getattr(Settings(), name) for name in names} == {name: defaults_of("nmf")[name] for name in names}


def test_settings_are_told_as_the_model_used_them():
    told = resolved(Settings(model="kmeans", max_iter=7))
    assert (told["max_iter"], told["restarts"], told["tol"]) == (7, 10, 1e-6)
    assert (told["divergence"], told["sparsity"], told["template_frames"]) == (None, None, None)
    assert resolved(Settings(model="nmfd"))["template_frames"] == 8
