"""Sequences: shares by how spectra follow each other, block by block, where masks are in doubt, and only there."""

import numpy as np
import pytest

import nmfsep
from nmfsep.guidance.codebooks import band_levels, learn_books
from nmfsep.kernels.threads import Workers
from nmfsep.separation import sequences
from nmfsep.separation.sequences import Order

RATE = 16000


def warble(seconds, period, seed):
    """Notes of a few pitches in an order that repeats, each with harmonics."""
    random, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    pitch = random.permutation(np.linspace(120, 300, 8))[(time / period).astype(int) % 8]
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(np.sin(n * phase) / n for n in range(1, 12)).astype(np.float32) * 0.05


@pytest.fixture(scope="module")
def order():
    return Order(
        tuple(learn_books([band_levels(warble(15, *how), RATE)], 0)[:2] for how in ((0.25, 1), (0.17, 2))), RATE
    )


def stems_in_doubt(seconds):
    true = np.stack([warble(seconds, 0.25, 1), warble(seconds, 0.17, 2)])[:, None]
    mixture = true.sum(axis=0)
    return true, mixture, 0.5 * mixture + 0.1 * (true - 0.5 * mixture)


def shared(order, mixture, pieces, threads=1):
    with Workers(threads) as workers:
        return np.concatenate(list(order.shared(mixture, iter(pieces), workers)), axis=-1)


def test_masks_in_doubt_are_put_right_and_stems_still_add_up(order):
    true, mixture, doubtful = stems_in_doubt(6)
    found = shared(order, mixture, [doubtful])
    assert np.square(found - true).sum() < 0.7 * np.square(doubtful - true).sum()
    np.testing.assert_allclose(found.sum(axis=0), mixture, atol=1e-6)
    assert order.used
    assert order.document()["share"] == 1


def test_masks_that_are_sure_stay_as_they_are(order):
    _, mixture, _ = stems_in_doubt(3)
    silent = np.stack([mixture, 0 * mixture])
    np.testing.assert_allclose(shared(order, mixture, [silent]), silent, atol=1e-6)
    assert not order.used


def test_pieces_and_threads_change_nothing(order):
    _, mixture, doubtful = stems_in_doubt(3)
    whole = shared(order, mixture, [doubtful])
    pieces = np.array_split(doubtful, 7, axis=-1)
    np.testing.assert_array_equal(shared(order, mixture, pieces, threads=2), whole)


def test_blocks_change_little(order, monkeypatch):
    true, mixture, doubtful = stems_in_doubt(6)
    whole = shared(order, mixture, [doubtful])
    monkeypatch.setattr(sequences, "AT_ONCE", 128)
    again = shared(order, mixture, [doubtful])
    assert np.square(again - whole).sum() < 0.05 * np.square(whole - true).sum() + 0.01 * np.square(whole).sum()


def test_silence_stays_silent(order):
    silence = np.zeros((2, 1, RATE), np.float32)
    assert not shared(order, silence[0], [silence]).any()


def test_split_uses_the_order_of_two_labels_unless_told_otherwise():
    train = {"one": nmfsep.Audio(warble(15, 0.25, 1)[None], RATE), "two": nmfsep.Audio(warble(15, 0.17, 2)[None], RATE)}
    kit = nmfsep.learn(train, components="3", max_iter=5, no_waveforms=True)
    _, mixture, _ = stems_in_doubt(3)
    ways = [nmfsep.separate(nmfsep.Audio(mixture, RATE), dictionary=kit, max_iter=3, match=m) for m in ("auto", "off")]
    on, off = (np.asarray(each.samples) for each in ways)
    assert np.abs(on - off).max() > 1e-4
    np.testing.assert_allclose(on.sum(axis=0), mixture, atol=1e-6)
