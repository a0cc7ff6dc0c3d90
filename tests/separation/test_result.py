"""Separations of several layers: their stems are the means, and add up like all others."""

import itertools

import numpy as np
import pytest

from nmfsep.kernels.product import Factors
from nmfsep.nmf.fit import Fit
from nmfsep.separation import pipeline
from nmfsep.separation.components import Components
from nmfsep.separation.model import Model, Resolution
from nmfsep.separation.render import mean
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

AUDIO = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 7000)).astype(np.float32), 8000)


def layer(n_fft, seed, stems=3):
    stft, rng = STFT(n_fft), np.random.default_rng(seed)
    factors = Factors(rng.random((stft.bins, stems)), rng.random((stems, stft.n_frames(AUDIO.length))))
    return Resolution(stft, Components([factors], [[k] for k in range(stems)]))


def separation(*layers, labels=(), notes=(), fits=(), **settings):
    return Model(Settings(components=3, **settings), layers, fits, labels, notes)


def rendered(found):
    return np.concatenate(list(pipeline.render(found, AUDIO)), axis=-1)


@pytest.mark.parametrize("lengths", [(64, 512), (512, 64), (64, 256, 1024)])
@pytest.mark.parametrize("mask", ["ratio", "wiener", "binary"])
def test_the_stems_are_the_means_over_the_layers(lengths, mask):
    layers = [layer(n_fft, seed) for seed, n_fft in enumerate(lengths)]
    alone = [rendered(separation(one, mask=mask)) for one in layers]
    stems = rendered(separation(*layers, mask=mask))
    np.testing.assert_allclose(stems, np.mean(alone, axis=0), atol=2e-7)
    assert max(np.abs(stems - one).max() for one in alone) > 0.01
    np.testing.assert_allclose(stems.sum(axis=0), AUDIO.samples, atol=1e-6)
    assert (stems.dtype, stems.shape) == (np.float32, (3, 2, 7000))


def test_one_layer_twice_is_that_layer():
    one = layer(256, 0)
    np.testing.assert_allclose(rendered(separation(one, one)), rendered(separation(one)), atol=2e-7)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit_of_the_mean(threads):
    layers = layer(64, 0), layer(512, 1)
    np.testing.assert_array_equal(
        rendered(separation(*layers, threads=threads)), rendered(separation(*layers, threads=3))
    )


def pieces(stems, sizes):
    """Cut stems into pieces of these sizes in turn."""
    position, sizes = 0, itertools.cycle(sizes)
    while position < stems.shape[-1]:
        size = next(sizes)
        yield stems[..., position : position + size]
        position += size


@pytest.mark.parametrize("sizes", [[(5,), (7,)], [(1,), (100,)], [(3, 4), (3, 4)], [(2, 9), (8,), (31,)]])
def test_streams_may_be_cut_differently(sizes):
    rng = np.random.default_rng(0)
    samples = rng.random((2, 50)).astype(np.float32)
    streams = [rng.random((3, 2, 50)).astype(np.float32) for _ in sizes]
    before = [stream.copy() for stream in streams]
    found = list(mean(samples, [pieces(stream, cut) for stream, cut in zip(streams, sizes, strict=True)]))
    stems = np.concatenate(found, axis=-1)
    wanted = np.mean(streams, axis=0)
    np.testing.assert_allclose(stems[1:], wanted[1:], rtol=1e-6)
    np.testing.assert_array_equal(stems[0], samples - stems[1:].sum(axis=0))
    for stream, kept in zip(streams, before, strict=True):
        np.testing.assert_array_equal(stream, kept)


def test_names_are_labels_or_numbers_and_the_residual():
    one = layer(64, 0)
    assert separation(one).names == ("component-1", "component-2", "component-3")
    assert separation(one, labels=("a", "b"), residual="rest").names == ("a", "b", "rest")


def test_warnings_of_fits_and_notes_are_given_once():
    factors = Factors(np.ones((3, 1)), np.ones((1, 2)))
    fits = tuple(Fit(factors, (1.0,), (0,), 1, True, warnings=("w",)) for _ in range(2))
    assert separation(layer(64, 0), fits=fits, notes=("n", "w")).warnings == ("n", "w")
