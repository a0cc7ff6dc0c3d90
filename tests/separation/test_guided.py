"""Separation with dictionaries: labels become stems, and known sounds come apart."""

import dataclasses
import hashlib

import numpy as np
import pytest

from nmfsep import separate
from nmfsep.errors import UsageError
from nmfsep.guidance import dictionary
from nmfsep.guidance.dictionary import Dictionaries, Dictionary
from nmfsep.guidance.guide import ITERATIONS, MASK_POWER, RESIDUAL, SPARSITY, Guide
from nmfsep.guidance.learn import Sound, learn
from nmfsep.guidance.templates import Templates
from nmfsep.separation import fit as guided, pipeline
from nmfsep.settings.commands import LearnSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

RATE = 8000
STFTS = (STFT(256), STFT(1024))


def buzz(hertz, seconds=1.5, rate=RATE, seed=0):
    """A harmonic sound that comes and goes, and whose pitch wavers."""
    t = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    envelope = np.interp(t, np.linspace(0, seconds, 9), rng.random(9) > 0.4)
    phase = 2 * np.pi * (hertz * t + 3 * np.sin(2 * np.pi * 2 * t + seed) / (2 * np.pi * 2))
    return (0.1 * envelope * sum(np.sin(h * phase) / h for h in range(1, 6))).astype(np.float32)


def hiss(seconds=1.5, rate=RATE, seed=1):
    """Noise in bursts, over all frequencies."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    return (0.12 * rng.standard_normal(len(t)) * np.exp(-8 * (t % 0.37))).astype(np.float32)


def teach(labels, stfts=STFTS, **settings):
    named = {label: [Sound(label, lambda s=samples: s)] for label, samples in labels.items()}
    return learn(named, RATE, LearnSettings(**({"threads": 1, "components": "12"} | settings)), stfts=stfts)


@pytest.fixture(scope="module")
def kit():
    """Learned from other takes of the sounds than those in the mixtures."""
    return teach({"buzz": buzz(200, seed=5), "hiss": hiss(seed=6)})


@pytest.fixture(scope="module")
def one():
    """The same with one length of frames, for what needs no more."""
    return teach({"buzz": buzz(200, seed=5), "hiss": hiss(seed=6)}, STFTS[:1], components="6")


SOURCES = np.stack([buzz(200), hiss()])
MIXTURE = Audio(SOURCES.sum(axis=0), RATE)
STEREO = Audio(np.stack([SOURCES[0] + 0.3 * SOURCES[1], 0.2 * SOURCES[0] + SOURCES[1]]), RATE)


def guide_of(*dictionaries, paths=(), given=None):
    return Guide((Dictionaries(dictionaries, paths),), given or {})


def analysed(audio, guide, given, callback=None):
    guide = dataclasses.replace(guide, given=given)
    return pipeline.separate(audio, guide.settings(), guide, on_progress=callback)[0]


def sdr(reference, estimate):
    return float(10 * np.log10(np.sum(reference**2) / (np.sum((estimate - reference) ** 2) + 1e-30)))


def sdrs(stems):
    return [sdr(reference, stem) for reference, stem in zip(SOURCES, stems.samples[:, 0], strict=False)]


def test_stems_are_called_by_their_labels_in_the_dictionarys_order(kit):
    stems = separate(MIXTURE, dictionary=kit)
    assert stems.names == ("buzz", "hiss")
    assert stems.samples.shape == (2, 1, MIXTURE.length)


def test_known_sounds_come_apart(kit):
    found = sdrs(separate(MIXTURE, dictionary=kit))
    mixture = [sdr(source, MIXTURE.samples[0]) for source in SOURCES]
    assert min(np.subtract(found, mixture)) > 8
    assert min(found) > 8


def test_with_the_templates_of_the_other_they_do_not(kit):
    swapped = dataclasses.replace(
        kit, views=tuple(dataclasses.replace(view, owners=1 - view.owners) for view in kit.views)
    )
    assert max(sdrs(separate(MIXTURE, dictionary=swapped))) < 0


@pytest.mark.parametrize("channels", ["joint", "mid", "independent"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"residual": "rest"},
        {"free": 3},
        {"adapt": 0.5},
        {"free": 2, "adapt": 0.3, "residual": "rest"},
        {"mask": "wiener"},
        {"mask": "binary"},
        {"n_fft": 512, "hop_length": 100},
        {"divergence": "is"},
        {"divergence": 2},
    ],
    ids=str,
)
def test_stems_add_up_to_the_mixture(kit, channels, settings):
    stems = separate(STEREO, dictionary=kit, channels=channels, max_iter=4, **settings)
    np.testing.assert_allclose(stems.samples.sum(axis=0), STEREO.samples, atol=1e-6)
    assert stems.samples.dtype == np.float32
    rest = settings.get("residual", RESIDUAL)
    assert stems.names == (("buzz", "hiss", rest) if settings.keys() & {"free", "residual"} else ("buzz", "hiss"))


@pytest.mark.parametrize("channels", ["joint", "mid", "independent"])
def test_each_channel_has_its_own_share(one, channels):
    stems = separate(STEREO, dictionary=one, channels=channels).samples
    left_first = np.sum(stems[..., 0, :] ** 2, axis=-1) > np.sum(stems[..., 1, :] ** 2, axis=-1)
    assert left_first.tolist() == [True, False]


@pytest.mark.parametrize("length", [1, 2, 100, 255])
def test_mixtures_shorter_than_a_frame_add_up(kit, length):
    audio = Audio(MIXTURE.samples[:, 3000 : 3000 + length], RATE)
    stems = separate(audio, dictionary=kit, free=2)
    np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)


def test_silence_gives_silent_stems_and_a_warning(one):
    audio = Audio(np.zeros((1, 4000), np.float32), RATE)
    guide = guide_of(one)
    for settings in ({}, {"free": 2}, {"adapt": 0.5}):
        separation = analysed(audio, guide, settings)
        assert any("zero" in warning for warning in separation.warnings)
        assert not np.concatenate(list(pipeline.render(separation, audio)), axis=-1).any()


def test_more_templates_than_frames_are_no_reason_to_warn(one):
    guide = guide_of(one)
    audio = Audio(MIXTURE.samples[:, :600], RATE)
    for settings in ({}, {"free": 2}):
        assert analysed(audio, guide, settings).warnings == ()


@pytest.mark.parametrize("settings", [{}, {"free": 3, "adapt": 0.3}], ids=str)
def test_threads_change_no_bit(kit, settings):
    first, second = (separate(STEREO, dictionary=kit, threads=n, **settings).samples for n in (1, 2))
    np.testing.assert_array_equal(first, second)


def test_a_level_of_a_power_of_two_goes_through(one):
    loud = separate(MIXTURE, dictionary=one).samples
    soft = separate(Audio(MIXTURE.samples * np.float32(2.0**-16), RATE), dictionary=one).samples
    np.testing.assert_array_equal(soft, loud * np.float32(2.0**-16))


# the rest


def test_free_templates_take_what_the_dictionary_does_not_know():
    lone = teach({"buzz": buzz(200, seed=5)}, STFTS)
    stems = separate(MIXTURE, dictionary=lone, free=3)
    assert stems.names == ("buzz", "residual")
    gains = np.subtract(sdrs(stems), [sdr(source, MIXTURE.samples[0]) for source in SOURCES])
    assert gains.min() > 3


def test_a_residual_without_free_templates_is_what_the_model_leaves():
    lone = teach({"buzz": buzz(200, seed=5)}, STFTS)
    stems = separate(MIXTURE, dictionary=lone, residual="rest")
    assert stems.names == ("buzz", "rest")
    assert np.sum(stems.samples[1] ** 2) > 0.1 * np.sum(SOURCES[1] ** 2)


@pytest.mark.parametrize("free", [1, 5])
def test_free_templates_leave_the_dictionarys_alone(one, free):
    guide = guide_of(one)
    separation = analysed(MIXTURE, guide, {"free": free, "adapt": 0.0})
    (factors,) = separation.components.factors
    assert factors.W.shape[1] == one.views[0].W.shape[1] + free
    np.testing.assert_array_equal(factors.W[:, :-free], one.views[0].W)
    assert separation.components.groups[-1] == list(range(factors.W.shape[1] - free, factors.W.shape[1]))


@pytest.mark.parametrize("adapt", [0.01, 0.3, 0.9])
def test_templates_move_as_far_as_their_leash(one, adapt):
    def moved(adapt):
        guide = guide_of(one)
        W = analysed(MIXTURE, guide, {"adapt": adapt}).components.factors[0].W
        return np.linalg.norm(W / np.linalg.norm(W, axis=0) - one.views[0].W)

    assert 0 < moved(adapt / 2) < moved(adapt)


def test_without_a_leash_templates_stay(one):
    guide = guide_of(one)
    W = analysed(MIXTURE, guide, {"adapt": 0.0}).components.factors[0].W
    np.testing.assert_array_equal(W, one.views[0].W)


def test_adapting_brings_the_model_nearer_to_the_mixture(one):
    guide = guide_of(one)
    losses = [analysed(MIXTURE, guide, {"adapt": adapt, "sparsity": 0.0}).fits[0].losses[-1] for adapt in (0, 0.5)]
    assert losses[1] < 0.97 * losses[0]  # which counts the leash, too


# other dictionaries


def test_layers_of_all_lengths_of_frames_are_used(kit):
    guide = guide_of(kit)
    separation = analysed(MIXTURE, guide, {"match": "off"})
    assert [layer.stft.n_fft for layer in separation.resolutions] == [256, 1024]
    alone = []
    for view in kit.views:
        single = dataclasses.replace(kit, views=(view,))
        alone.append(separate(MIXTURE, dictionary=single, match="off").samples)
    both = np.concatenate(list(pipeline.render(separation, MIXTURE)), axis=-1)
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-6)


def test_frames_that_are_asked_for_are_the_only_ones(kit):
    guide = guide_of(kit)
    separation = analysed(MIXTURE, guide, {"n_fft": 512})
    assert separation.settings.frames(MIXTURE.sample_rate) == (512, 128)
    assert [layer.stft for layer in separation.resolutions] == [STFT(512, 128)]
    assert separation.notes == ("templates of 'dictionary 1' converted to n_fft 512",)


def test_several_dictionaries_add_up():
    first, second = (teach({name: samples}) for name, samples in
                     (("buzz", buzz(200, seed=5)), ("hiss", hiss(seed=6))))  # fmt: skip
    both = teach({"buzz": buzz(200, seed=5), "hiss": hiss(seed=6)})
    stems = separate(MIXTURE, dictionary=[first, second])
    assert stems.names == ("buzz", "hiss")
    np.testing.assert_array_equal(stems.samples, separate(MIXTURE, dictionary=both).samples)


def test_dictionaries_of_different_frames_are_converted_to_the_first():
    first = teach({"buzz": buzz(200, seed=5)}, [STFT(256)])
    second = teach({"hiss": hiss(seed=6)}, [STFT(512)])
    guide = guide_of(first, second, paths=("a.npz", "b.npz"))
    separation = analysed(MIXTURE, guide, {})
    assert [layer.stft.n_fft for layer in separation.resolutions] == [256]
    assert separation.notes == ("templates of 'b.npz' converted to n_fft 256",)
    stems = np.concatenate(list(pipeline.render(separation, MIXTURE)), axis=-1)
    assert min(sdr(s, e) for s, e in zip(SOURCES, stems[:, 0], strict=True)) > 5


@pytest.mark.parametrize("rate", [6000, 16000])
def test_mixtures_of_other_rates_separate_with_a_note(kit, rate):
    sources = np.stack([buzz(200, rate=rate), hiss(rate=rate)])
    audio = Audio(sources.sum(axis=0), rate)
    guide = guide_of(kit, paths=("kit.npz",))
    separation = analysed(audio, guide, {})
    (note,) = separation.notes
    assert note.startswith(f"templates of 'kit.npz' converted from 8000 to {rate} Hz")
    assert ("above 4000 Hz" in note) == (rate > RATE)
    stems = np.concatenate(list(pipeline.render(separation, audio)), axis=-1)
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)
    gains = [sdr(s, e) - sdr(s, audio.samples[0]) for s, e in zip(sources, stems[:, 0], strict=True)]
    assert min(gains) > (5 if rate < RATE else 2)


@pytest.mark.parametrize("settings", [{"free": 4}, {"adapt": 0.5}, {"free": 2, "adapt": 0.2}], ids=str)
def test_moved_templates_of_a_converted_dictionary_add_up(kit, settings):
    audio = Audio(np.stack([buzz(200, rate=16000), hiss(rate=16000)]).sum(axis=0), 16000)
    stems = separate(audio, dictionary=kit, max_iter=5, **settings)
    np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)


def test_a_dictionary_that_cannot_be_converted_is_refused_by_name(one):
    guide = guide_of(one, paths=("kit.npz",))
    guide = dataclasses.replace(guide, given={"n_fft": 4096})
    with pytest.raises(UsageError, match="too different to convert") as caught:
        guide.check(RATE, guide.settings())
    assert caught.value.path == "kit.npz"


def test_a_label_in_two_dictionaries_is_refused_and_both_named(one):
    other = teach({"hiss": hiss()}, STFTS[:1])
    with pytest.raises(UsageError, match=r"has label 'hiss', as a\.npz has") as caught:
        guide_of(one, other, paths=("a.npz", "b.npz"))
    assert caught.value.path == "b.npz"


@pytest.mark.parametrize("labels", [("Buzz", "fizz"), ("BUZZ", "x")])
def test_labels_of_two_dictionaries_that_would_be_one_file_are_refused(one, labels):
    with pytest.raises(UsageError, match="one file on some systems"):
        guide_of(one, dataclasses.replace(one, labels=labels))


def test_reading_dictionaries_takes_their_hashes(one, tmp_path):
    path = tmp_path / "kit.npz"
    dictionary.write(one, path)
    guide = Guide.read({"dictionary": [str(path)]}, {})
    (cue,) = guide.cues
    assert guide.labels == cue.labels == one.labels
    assert guide.names == (str(path),)
    assert cue.hashes == (hashlib.sha256(path.read_bytes()).hexdigest(),)
    np.testing.assert_array_equal(
        separate(MIXTURE, dictionary=cue.dictionaries).samples, separate(MIXTURE, dictionary=one).samples
    )


# settings


def test_other_defaults_hold_with_a_dictionary(one):
    settings = guide_of(one, given={}).settings()
    assert (settings.components, settings.divergence, settings.n_fft, settings.hop_length) == (2, "kl", 256, 64)
    assert (settings.max_iter, settings.sparsity, settings.mask_power) == (ITERATIONS, SPARSITY, MASK_POWER)
    assert settings.residual is None
    assert guide_of(one, given={"free": 3}).settings().residual == RESIDUAL


def test_what_the_user_gives_goes_before(one):
    given = {"max_iter": 7, "sparsity": 0.25, "mask_power": 1.5, "residual": "rest", "free": 2, "divergence": "is"}
    settings = guide_of(one, given=given).settings()
    assert {name: getattr(settings, name) for name in given} == given


def test_defaults_heed_divergence_and_mask(one):
    assert guide_of(one, given={"divergence": 2}).settings().sparsity == 0
    assert guide_of(one, given={"mask": "wiener"}).settings().mask_power == 1
    assert guide_of(dataclasses.replace(one, divergence="is")).settings().divergence == "is"


REFUSED = [
    ({"preset": "drums"}, "the stems are named"),
    ({"atoms": 3}, "the stems are named"),
    ({"grouping": "timbre"}, "the stems are named"),
    ({"best": True}, "--best means nothing"),
    ({"components": 3}, "so -k is not needed; leave out -k"),
    ({"model": "nmfd"}, "the model is nmf; leave out --model"),
    ({"levels": (4, 2)}, "the model is nmf; leave out --model, --levels"),
    ({"level": 1}, "the model is nmf"),
    ({"template_frames": 4}, "the model is nmf"),
    ({"start": "random"}, "--start and --restarts mean nothing"),
    ({"restarts": 3}, "--start and --restarts mean nothing"),
    ({"smoothness": 1.0}, "smoothness means nothing with a dictionary"),
    ({"window": "hamming"}, "measured with window 'hann'"),
    ({"hop_length": 64}, "needs --n-fft"),
    ({"free": 10_001}, "free must be at least 0"),
    ({"midi_by": "pitch"}, "--midi-by means something with --midi only"),
    ({"adapt": 1.5}, "adapt must be at least 0"),
    ({"adapt": float("nan")}, "adapt must be a finite number"),
]


@pytest.mark.parametrize(("given", "says"), REFUSED, ids=str)
def test_settings_that_make_no_sense_with_a_dictionary_are_refused(one, given, says):
    with pytest.raises(UsageError, match=says):
        guide_of(one, given=given).settings()


def test_one_label_alone_is_refused_with_what_to_do():
    W = np.ones((STFTS[0].bins, 1), np.float32)
    guide = guide_of(Dictionary((Templates(STFTS[0], W, np.zeros(1, np.intp)),), ("buzz",), RATE))
    with pytest.raises(UsageError, match=r"'buzz' alone.*the whole mixture; use --background 20.*or --residual"):
        guide.settings()
    for given, residual in (({"residual": "rest"}, "rest"), ({"free": 2}, RESIDUAL)):
        assert dataclasses.replace(guide, given=given).settings().residual == residual


def test_every_field_of_the_settings_is_used_or_refused(one):
    # no option may be taken and ignored
    plain = separate(MIXTURE, dictionary=one, max_iter=30, tol=0.0).samples
    other = {
        "divergence": 2, "solver": "mu", "max_iter": 9, "tol": 1.0, "time_limit": 0.0, "sparsity": 5.0, "n_fft": 512,
        "mask": "binary", "mask_power": 1.0, "residual": "rest", "free": 2, "adapt": 0.5,
        "group": ("all=rest",),
    }  # fmt: skip
    refused = ({name for given, _ in REFUSED for name in given} | {"consistency"}) - set(other)
    assert {field.name for field in dataclasses.fields(Settings)} - set(other) - refused == {
        "seed", "channels", "threads", "two_stems", "match", "given",
    }  # fmt: skip
    for name, value in other.items():
        found = separate(MIXTURE, dictionary=one, **({"max_iter": 30, "tol": 0.0} | {name: value})).samples
        assert found.shape != plain.shape or not np.array_equal(found, plain), name


def test_the_seed_decides_where_free_templates_start(one):
    first, second = (separate(MIXTURE, dictionary=one, free=3, seed=seed).samples for seed in (0, 0))
    np.testing.assert_array_equal(first, second)


# how it runs


@pytest.mark.parametrize("extra", [{}, {"free": 2}, {"adapt": 0.5}], ids=str)
def test_progress_counts_all_runs_as_one(kit, extra):
    told = []
    guide = guide_of(kit)
    given = {"channels": "independent", "tol": 0.0, "max_iter": 20} | extra
    analysed(STEREO, guide, given, lambda step, loss: told.append(step))
    assert told == sorted(told)
    assert told[-1] == 20


@pytest.mark.parametrize("channels", ["joint", "independent"])
@pytest.mark.parametrize("extra", [{}, {"free": 2}], ids=str)
def test_a_time_limit_is_shared_by_all_runs(kit, channels, extra, monkeypatch):
    limits = []
    real = guided.factorize
    monkeypatch.setattr(guided, "factorize", lambda *a, **o: limits.append(o["time_limit"]) or real(*a, **o))
    guide = guide_of(kit)
    analysed(STEREO, guide, {"max_iter": 2, "time_limit": 8.0, "channels": channels, "match": "off"} | extra)
    assert sum(limits) == 8


@pytest.mark.parametrize("given", [{}, {"free": 2}, {"channels": "mid"}])
def test_templates_moved_on_a_part_of_the_frames_do_as_well(kit, given, monkeypatch):
    """Long sounds have more frames than templates need; all frames get their own activations all the same."""
    guide = guide_of(kit)
    whole = analysed(STEREO, guide, given)
    sizes, real = [], guided.factorize
    monkeypatch.setattr(guided, "PART", 1 << 14)
    monkeypatch.setattr(guided, "factorize", lambda X, *a, **o: sizes.append(X.shape[1]) or real(X, *a, **o))
    part = analysed(STEREO, guide, given)
    assert sizes[0] == sizes[1] < sizes[2]
    for one, other in zip(whole.resolutions, part.resolutions, strict=True):
        for a, b in zip(one.components.factors, other.components.factors, strict=True):
            assert a.Z.shape == b.Z.shape
    for one, other in zip(whole.fits, part.fits, strict=True):
        assert other.losses[-1] < 1.1 * one.losses[-1]


def test_activations_between_chosen_frames_lie_between_theirs():
    Z = np.array([[[1.0], [3.0]], [[0.0], [0.0]]])
    between = guided._between(Z, np.array([0, 4]), 5)
    np.testing.assert_allclose(between[0], np.array([1, 1.5, 2, 2.5, 3]) + 0.05 * 2)
    np.testing.assert_array_equal(between[1], 0)


def test_the_callback_can_stop_the_fit(one):
    guide = guide_of(one)
    stopped = analysed(MIXTURE, guide, {"tol": 0.0}, lambda step, loss: True)
    assert stopped.fits[0].n_iter == 10


def test_the_mixture_and_the_dictionary_are_only_read(one):
    audio = Audio(MIXTURE.samples.copy(), RATE)
    audio.samples.flags.writeable = False
    W = one.views[0].W.copy()
    W.flags.writeable = False
    held = dataclasses.replace(one, views=(dataclasses.replace(one.views[0], W=W),))
    separate(audio, dictionary=held, free=2, adapt=0.5, max_iter=3)
