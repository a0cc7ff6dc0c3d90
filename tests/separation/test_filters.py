"""What shares the mixture out among the stems, beyond one mask for each channel."""

import numpy as np
import pytest
import soundfile

from nmfsep import STFT, Audio, Factors, separate
from nmfsep.errors import UsageError
from nmfsep.kernels.threads import Workers
from nmfsep.separation import pipeline
from nmfsep.separation.components import Components
from nmfsep.separation.masks import mask_of
from nmfsep.separation.mwf import learn, masked_stems, solve
from nmfsep.separation.render import Masking, inverse
from nmfsep.settings.separation import Settings
from nmfsep.signal.read import Source
from nmfsep.signal.stream import Stream

SIGNAL = STFT(256)
MASK = mask_of("ratio", 1)


def rendered(samples, model, filter, threads=1):
    with Workers(threads) as workers:
        return np.concatenate(list(inverse(samples, SIGNAL, model, filter, workers)), axis=-1)


@pytest.fixture
def scene():
    """Two stems of noise that comes and goes, one left, one right, and what their levels say of them."""
    rng = np.random.default_rng(0)
    length = 6000
    level = np.repeat(rng.random((2, 1, length // 300)) ** 3, 300, axis=2)
    stems = rng.normal(0, 0.2, (2, 1, length)) * level * np.array([[[0.95], [0.3]], [[0.3], [0.95]]])
    stems = stems.astype(np.float32)
    X = [np.abs(SIGNAL.forward(Audio(stem, 8000)).values[0]) for stem in stems]
    W = np.stack([x.mean(axis=1) for x in X], axis=1).astype(np.float32)
    Z = np.stack([x.sum(axis=0) / x.mean(axis=1).sum() for x in X]).astype(np.float32)
    return stems.sum(axis=0), stems, Components([Factors(W, Z)], [[0], [1]])


def error(found, true):
    return float(np.square(found - true).sum() / np.square(true).sum())


def test_where_stems_are_tells_them_apart(scene):
    mixture, stems, model = scene
    with Workers(2) as workers:
        filter = learn(Audio(mixture, 8000), SIGNAL, model, workers)
        again = learn(Audio(mixture, 8000), SIGNAL, model, workers)
    plain, wiener = rendered(mixture, model, Masking(MASK)), rendered(mixture, model, filter)
    np.testing.assert_allclose(wiener.sum(axis=0), mixture, atol=1e-6)
    assert error(wiener, stems) < 0.7 * error(plain, stems)
    assert filter.covariance.tobytes() == again.covariance.tobytes()
    np.testing.assert_array_equal(wiener, rendered(mixture, model, filter, threads=2))


def test_level_changes_nothing_but_the_level(scene):
    mixture, _, model = scene
    soft = Components([Factors(each.W, each.Z / 1024) for each in model.factors], model.groups)
    with Workers(1) as workers:
        loud = rendered(mixture, model, learn(Audio(mixture, 8000), SIGNAL, model, workers))
        quiet = rendered(mixture / 1024, soft, learn(Audio(mixture / 1024, 8000), SIGNAL, soft, workers))
    np.testing.assert_allclose(quiet * 1024, loud, atol=1e-6)


def test_the_closed_inverse_is_that_of_any_number_of_channels():
    rng = np.random.default_rng(1)
    for channels in (2, 3):
        root = rng.normal(size=(channels, channels, 4, 5))
        A = np.einsum("abtf,cbtf->actf", root, root).astype(np.float32)
        b = (rng.normal(size=(channels, 4, 5)) + 1j * rng.normal(size=(channels, 4, 5))).astype(np.complex64)
        np.testing.assert_allclose(np.einsum("abtf,btf->atf", A, solve(A, b)), b, atol=2e-3)


def test_silence_stays_silence(scene):
    _, _, model = scene
    silent = np.zeros((2, 6000), np.float32)
    with Workers(1) as workers:
        assert not rendered(silent, model, learn(Audio(silent, 8000), SIGNAL, model, workers)).any()


def test_it_begins_with_the_ratio_mask(scene):
    mixture, _, model = scene
    plain = rendered(mixture, model, Masking(MASK))
    begun = rendered(mixture, model, lambda S, here: (iter(channel[1:]) for channel in masked_stems(S, here)))
    np.testing.assert_allclose(begun, plain, atol=1e-6)


def test_what_is_gone_or_has_no_second_channel_is_said():
    with pytest.raises(UsageError, match="gone; leave it out"):
        Settings(consistency=1)
    with pytest.raises(UsageError, match="has no power"):
        Settings(mask="mwf", mask_power=2.0)
    audio = Audio(np.random.default_rng(0).normal(0, 0.1, (1, 4000)).astype(np.float32), 8000)
    mono, plain = (separate(audio, 2, n_fft=256, mask=mask).samples for mask in ("mwf", "ratio"))
    np.testing.assert_array_equal(mono, plain)


def panned(pans):
    """Return two notes and a pulse of noise that come and go, each (left, right) as given."""
    rng, rate = np.random.default_rng(0), 8000
    t = np.arange(3 * rate) / rate
    levels = np.repeat(rng.random((3, 30)) ** 2, rate // 10, axis=1)
    sounds = levels * [np.sin(2 * np.pi * 330 * t), np.sin(2 * np.pi * 710 * t), 0.5 * rng.standard_normal(len(t))]
    return Audio(np.einsum("jc,jn->cn", pans, 0.2 * sounds).astype(np.float32), rate)


APART, MIDDLE = [(1, 0.2), (0.2, 1), (0.7, 0.7)], [(0.7, 0.7)] * 3


@pytest.mark.parametrize(
    ("pans", "given", "mask"),
    [
        (APART, {}, "mwf"),
        (MIDDLE, {}, "ratio"),  # where it would do nothing but sharpen
        (APART, {"mask": "ratio"}, "ratio"),
        (APART, {"mask_power": 2.0}, "ratio"),
        (APART, {"atoms": 1}, "ratio"),  # the plain factorization
        (APART, {"channels": "mid"}, "ratio"),
    ],
)
def test_stems_of_stereo_go_by_their_place_where_places_differ_and_nobody_asked_for_another_mask(pans, given, mask):
    mixture = panned(pans)
    settings = Settings(components=3, n_fft=512, given=[*given, "n_fft"], **given)
    model, stems = pipeline.separate(mixture, settings)
    assert model.settings.mask == mask
    np.testing.assert_allclose(np.concatenate(list(stems), axis=-1).sum(axis=0), mixture.samples, atol=1e-6)


def test_a_file_on_disk_goes_by_place_as_one_in_memory(tmp_path):
    mixture = panned(APART)
    soundfile.write(tmp_path / "m.wav", mixture.samples.T, 8000, "FLOAT")
    settings = Settings(components=3, n_fft=512, given=["n_fft"])
    with Source(tmp_path / "m.wav") as source:
        stream = Stream(source)
        assert len(list(stream.pieces()))  # finds its length
        model, stems = pipeline.separate(stream, settings)
        found = np.concatenate(list(stems), axis=-1)
    assert model.settings.mask == "mwf"
    np.testing.assert_allclose(found.sum(axis=0), mixture.samples, atol=1e-6)
