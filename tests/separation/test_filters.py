"""What shares the mixture out among the stems, beyond one mask for each channel."""

import numpy as np
import pytest

from nmfsep import STFT, Audio, Factors, separate
from nmfsep.errors import UsageError
from nmfsep.kernels.threads import Workers
from nmfsep.separation.components import Components
from nmfsep.separation.masks import mask_of
from nmfsep.separation.mwf import learn, masked_stems, solve
from nmfsep.separation.render import Masking, inverse
from nmfsep.settings.separation import Settings

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
        filter = learn(mixture, SIGNAL, model, workers)
        again = learn(mixture, SIGNAL, model, workers)
    plain, wiener = rendered(mixture, model, Masking(MASK)), rendered(mixture, model, filter)
    np.testing.assert_allclose(wiener.sum(axis=0), mixture, atol=1e-6)
    assert error(wiener, stems) < 0.7 * error(plain, stems)
    assert filter.covariance.tobytes() == again.covariance.tobytes()
    np.testing.assert_array_equal(wiener, rendered(mixture, model, filter, threads=2))


def test_level_changes_nothing_but_the_level(scene):
    mixture, _, model = scene
    soft = Components([Factors(each.W, each.Z / 1024) for each in model.factors], model.groups)
    with Workers(1) as workers:
        loud = rendered(mixture, model, learn(mixture, SIGNAL, model, workers))
        quiet = rendered(mixture / 1024, soft, learn(mixture / 1024, SIGNAL, soft, workers))
    np.testing.assert_allclose(quiet * 1024, loud, atol=1e-6)


def test_the_closed_inverse_is_that_of_any_number_of_channels():
    rng = np.random.default_rng(1)
    for channels in (2, 3):
        root = rng.normal(size=(channels, channels, 4, 5)) + 1j * rng.normal(size=(channels, channels, 4, 5))
        A = np.einsum("abtf,cbtf->actf", root, root.conj()).astype(np.complex64)
        b = rng.normal(size=(channels, 4, 5)).astype(np.complex64)
        np.testing.assert_allclose(np.einsum("abtf,btf->atf", A, solve(A, b)), b, atol=2e-3)


def test_silence_stays_silence(scene):
    _, _, model = scene
    silent = np.zeros((2, 6000), np.float32)
    with Workers(1) as workers:
        assert not rendered(silent, model, learn(silent, SIGNAL, model, workers)).any()


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
