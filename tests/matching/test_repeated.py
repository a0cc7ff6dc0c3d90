"""Strokes learned from their repetitions: what repeats is parted beyond masks, what is only alike stays as it was."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nmfsep
from nmfsep.grouping import choice
from nmfsep.kernels.threads import Workers
from nmfsep.matching.clusters import alike, begins
from nmfsep.matching.repeated import REPEATING, separate_again
from nmfsep.separation import beyond_masks
from nmfsep.separation.pipeline import separate
from nmfsep.settings.separation import Settings

RATE, SECONDS = 16000, 4.0
BANDS = {"kick": (40, 300, 0.3, 0.5), "snare": (200, 4000, 0.25, 0.75), "hat": (4000, 7900, 0.12, 0.25)}


def burst(name, seed):
    """A burst of noise in a band, dying away."""
    low, high, seconds, _ = BANDS[name]
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng([seed, round(low)]).standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum[(hertz < low) | (hertz > high)] *= 0.02
    shot = np.fft.irfft(spectrum, count) * np.exp(-6 * np.arange(count) / count)
    return (0.3 * shot / np.abs(shot).max()).astype(np.float32)


def loop(live=False, channels=1):
    """The true stems of a loop whose strokes are the same each time or, played live, never."""
    rng = np.random.default_rng(1)
    stems = np.zeros((3, channels, round(SECONDS * RATE)), np.float32)
    for stem, name in zip(stems, BANDS, strict=True):
        for number, time in enumerate(np.arange(0.05, SECONDS - 0.5, BANDS[name][3])):
            start, shot = round((time + rng.uniform(0, 0.02)) * RATE), burst(name, number if live else 0)
            pan = np.array([1.0, 0.6])[:channels, None]
            stem[:, start : start + len(shot)] += np.float32(rng.uniform(0.4, 1)) * (pan * shot).astype(np.float32)
    return stems


def blurred(stems, share=0.15):
    """Stems as masks might give them: each has a share of the others, and they add up."""
    return ((1 - share * len(stems)) * stems + share * stems.sum(axis=0)).astype(np.float32)


def sdr(true, found):
    return 10 * np.log10(np.square(true).sum() / np.square(true - found).sum())


def again(stems, threads=1):
    masked = blurred(stems)
    with Workers(threads) as workers:
        return masked, *separate_again(stems.sum(axis=0), masked, RATE, 2, workers)


def test_strokes_that_are_alike_are_one_cluster():
    stem = loop()[0]
    (cluster,) = alike(stem, begins(stem, RATE), RATE)
    assert len(cluster.starts) == 7
    assert_allclose(cluster.gains.mean(), 1)


def test_of_two_strokes_in_turn_each_is_a_cluster_of_its_own():
    stem = np.zeros((1, 8000 * 6), np.float32)
    for place, seed in enumerate([1, 2, 2, 1, 2, 1]):
        shot = burst("snare", seed)
        stem[0, 8000 * place + 500 :][: len(shot)] += shot
    clusters = alike(stem, begins(stem, RATE), RATE)
    assert sorted((cluster.starts // 8000).tolist() for cluster in clusters) == [[0, 3, 5], [1, 2, 4]]


@pytest.mark.parametrize("channels", [1, 2])
def test_what_repeats_is_parted_and_adds_up(channels):
    stems = loop(channels=channels)
    masked, found, better = again(stems)
    assert sorted({stroke.stem for stroke in found.strokes}) == [0, 1, 2]
    assert found.fit >= REPEATING
    assert min(sdr(true, own) for true, own in zip(stems, better, strict=True)) > 25
    assert sdr(stems, better) > sdr(stems, masked) + 15
    assert_allclose(better.sum(axis=0), stems.sum(axis=0), atol=1e-6)


def test_strokes_that_are_never_the_same_stay_as_they_are():
    masked, found, same = again(loop(live=True))
    assert not found.strokes
    assert_array_equal(same, masked)


@pytest.mark.parametrize("stems", [np.zeros((2, 1, 9000)), np.ones((1, 1, 1)), np.zeros((2, 2, 40))], ids=str)
def test_in_silence_and_in_next_to_nothing_nothing_repeats(stems):
    with Workers(1) as workers:
        found, same = separate_again(stems.sum(axis=0).astype(np.float32), stems.astype(np.float32), RATE, 2, workers)
    assert not found.strokes
    assert_array_equal(same, stems)


def test_threads_change_nothing():
    stems = loop(channels=2)
    assert_array_equal(again(stems, 3)[2], again(stems)[2])


def test_a_blind_separation_learns_what_repeats():
    stems = loop()
    mixture = nmfsep.Audio(stems.sum(axis=0), RATE)
    masks = nmfsep.separate(mixture, 3, threads=1, match="off")
    found = nmfsep.separate(mixture, 3, threads=1)

    def best(estimates):
        return sum(max(sdr(true, own) for own in estimates) for true in stems)

    assert best(found.samples) > best(masks.samples) + 10
    assert_allclose(found.samples.sum(axis=0), mixture.samples, atol=1e-6)
    model, _ = separate(mixture, Settings(components=3, threads=1))
    about = model.matched.document(model.names, RATE)["repeated"]
    assert {stroke["stem"] for stroke in about["strokes"]} == set(model.names)
    grouped = nmfsep.separate(mixture, 3, threads=1, two_stems="component-1")
    assert_allclose(grouped.samples[0], found.samples[0], atol=1e-6)


def test_where_strokes_repeat_nearly_simple_is_simple_enough(monkeypatch):
    monkeypatch.setattr(choice, "SIMPLE", 0.0)
    monkeypatch.setattr(choice, "NEARLY", 1.0)

    def chosen(stems, **options):
        settings = Settings(components=3, threads=1, **options)
        return separate(nmfsep.Audio(stems.sum(axis=0), RATE), settings)[0]

    model = chosen(loop())
    assert model.choice.simple
    assert model.matched.document(model.names, RATE)["repeated"]["strokes"]
    assert chosen(loop(live=True)).choice.grouping is not None
    assert chosen(loop(), match="off").choice.grouping is not None
    assert chosen(loop(), time_limit=60.0).choice.grouping is not None


def test_where_there_is_no_room_or_nothing_to_look_for_that_is_said():
    mixture = nmfsep.Audio(loop().sum(axis=0), RATE)
    settings = Settings(components=3, threads=1)
    model, _ = separate(mixture, settings, match=False)
    assert beyond_masks.NO_ROOM in model.warnings
    noise = nmfsep.Audio(0.1 * np.random.default_rng(0).standard_normal((1, 2 * RATE)).astype(np.float32), RATE)
    asked = Settings(components=2, atoms=4, match="auto", threads=1, given=("match", "atoms"))
    assert beyond_masks.NOT_SIMPLE in separate(noise, asked)[0].warnings
