"""Matching of waveforms: strokes found, their gains, and stems beyond what masks can do."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.guidance.dictionary import Dictionaries
from nmfsep.guidance.guide import Guide
from nmfsep.matching.equations import Column, solve
from nmfsep.matching.pursuit import find
from nmfsep.separation import beyond_masks
from nmfsep.separation.pipeline import separate

RATE = 16000


def drum(seconds, low, high, seed):
    """A burst of noise in a band, dying away."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum[(hertz < low) | (hertz > high)] *= 0.05
    burst = np.fft.irfft(spectrum, count) * np.exp(-6 * np.arange(count) / count)
    return (0.4 * burst / np.abs(burst).max()).astype(np.float32)


DRUMS = {"low": drum(0.25, 50, 2500, 1), "high": drum(0.2, 1500, 7000, 2)}
TIMES = {"low": [0.1, 0.52, 1.013, 1.5, 1.9], "high": [0.13, 0.4, 0.7, 1.02, 1.31, 1.6, 1.93]}


def loop(channels=1, seed=3):
    """The true stems (2, channels, samples) of a loop in which strokes return with other velocities."""
    rng = np.random.default_rng(seed)
    stems = np.zeros((2, channels, round(2.4 * RATE)), np.float32)
    for stem, (name, times) in zip(stems, TIMES.items(), strict=True):
        for time in times:
            start, shot = round(time * RATE), DRUMS[name]
            velocity, pan = rng.uniform(0.4, 1), np.array([1.0, 0.5])[:channels, None]
            stem[:, start : start + len(shot)] += (velocity * pan * shot).astype(np.float32)
    return stems


@pytest.fixture(scope="module")
def kit():
    quiet = np.zeros(RATE // 5, np.float32)
    sounds = {name: nmfsep.Audio(np.concatenate([quiet, shot, quiet]), RATE) for name, shot in DRUMS.items()}
    return nmfsep.learn(sounds, threads=1)


def sdr(true, found):
    return 10 * np.log10(np.square(true).sum() / np.square(true - found).sum())


def test_strokes_are_found_at_the_sample_they_begin_at():
    (stem, _), shot = loop(), DRUMS["low"]
    noise = 0.003 * np.random.default_rng(5).standard_normal(stem.shape[1])
    found = find((stem[0] + noise).astype(np.float32), [DRUMS["high"], shot], RATE)
    assert [(hit.stroke, hit.start) for hit in found] == [(1, round(time * RATE)) for time in TIMES["low"]]


def test_of_strokes_that_begin_alike_the_one_that_goes_on_alike_is_found():
    long, short = DRUMS["low"], DRUMS["low"].copy()
    short[len(short) // 2 :] = 0
    stem = np.concatenate([np.zeros(3000, np.float32), short, np.zeros(2000, np.float32), long])
    assert [hit.stroke for hit in find(stem, [long, short], RATE)] == [1, 0]


@pytest.mark.parametrize("stem", [np.zeros(9000), np.random.default_rng(0).standard_normal(9000), np.zeros(1)])
def test_in_silence_and_in_noise_there_are_none(stem):
    assert find(stem.astype(np.float32), list(DRUMS.values()), RATE) == []
    assert find(stem.astype(np.float32), [], RATE) == []


@pytest.mark.parametrize("count", [1, 3, 40])
def test_gains_solve_the_least_squares_of_all_columns(count):
    rng = np.random.default_rng(count)
    samples = rng.standard_normal((2, 60_000)).astype(np.float32)
    starts = rng.integers(-50, 59_000, count)
    columns = [Column(int(at), rng.standard_normal(4000).astype(np.float32), float(at % 3) * 100) for at in starts]
    dense = np.zeros((count, 60_000))
    for row, column in zip(dense, columns, strict=True):
        first, last = max(0, column.start), min(60_000, column.stop)
        row[first:last] = column.waveform[first - column.start : last - column.start]
    prices = np.diag([column.price for column in columns])
    assert_allclose(solve(samples, columns), np.linalg.solve(dense @ dense.T + prices, dense @ samples.T), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_repeats_is_parted_beyond_masks_and_adds_up(kit, channels):
    stems = loop(channels)
    mixture = nmfsep.Audio(stems.sum(axis=0), RATE)
    masks = nmfsep.separate(mixture, dictionary=kit, threads=1, match="off").samples
    found = nmfsep.separate(mixture, dictionary=kit, threads=1).samples
    assert min(sdr(true, own) for true, own in zip(stems, found, strict=True)) > 35
    assert sdr(stems, found) > sdr(stems, masks) + 12
    assert_allclose(found.sum(axis=0), mixture.samples, atol=1e-6)


def test_a_kit_of_another_rate_is_converted(kit):
    stems = loop()
    sounds = {n: nmfsep.Audio(np.repeat(np.pad(s, 800), 1), RATE) for n, s in DRUMS.items()}
    higher = nmfsep.learn(sounds, sample_rate=24000, threads=1)
    mixture = nmfsep.Audio(stems.sum(axis=0), RATE)
    found = nmfsep.separate(mixture, dictionary=higher, threads=1).samples
    assert sdr(stems, found) > sdr(stems, nmfsep.separate(mixture, dictionary=kit, threads=1, match="off").samples) + 5


def test_threads_and_levels_change_nothing(kit):
    mixture = loop().sum(axis=0)
    one = nmfsep.separate(nmfsep.Audio(mixture, RATE), dictionary=kit, threads=1).samples
    assert_array_equal(nmfsep.separate(nmfsep.Audio(mixture, RATE), dictionary=kit, threads=3).samples, one)
    quiet = nmfsep.separate(nmfsep.Audio(mixture / 1024, RATE), dictionary=kit, threads=1).samples
    assert_allclose(1024 * quiet, one, atol=1e-4)


def test_where_nothing_is_found_stems_are_those_of_masks(kit):
    noise = nmfsep.Audio(0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    found = nmfsep.separate(noise, dictionary=kit, threads=1).samples
    assert_array_equal(found, nmfsep.separate(noise, dictionary=kit, threads=1, match="off").samples)


def test_groups_are_sums_of_what_was_matched(kit):
    stems = loop()
    mixture = nmfsep.Audio(stems.sum(axis=0), RATE)
    found = nmfsep.separate(mixture, dictionary=kit, threads=1, two_stems="high")
    assert found.names == ("high", "no_high")
    assert sdr(stems[1], found.samples[0]) > 35


def model_of(kit, mixture, **given):
    guide = Guide((Dictionaries((kit,)),), given)
    return separate(mixture, guide.settings(), guide, match=given.pop("room", True))[0]


def test_a_model_says_what_was_matched(kit):
    model = model_of(kit, nmfsep.Audio(loop().sum(axis=0), RATE), threads=1)
    assert model.matched.document() == {"low": {"matched": 5, "of": 5}, "high": {"matched": 7, "of": 7}}


def test_a_stroke_that_no_waveform_explains_counts_as_heard(kit):
    stems = loop()
    stems[0, :, 33_000 : 33_000 + 4000] += drum(0.25, 50, 2500, 9)
    counts = model_of(kit, nmfsep.Audio(stems.sum(axis=0), RATE), threads=1).matched.document()["low"]
    assert counts["matched"] < counts["of"]


def test_without_room_or_waveforms_that_is_said(kit):
    mixture = nmfsep.Audio(loop().sum(axis=0), RATE)
    guide = Guide((Dictionaries((kit,)),))
    model, _ = separate(mixture, guide.settings(), guide, match=False)
    assert model.matched is None
    assert beyond_masks.NO_ROOM in model.warnings
    plain = nmfsep.learn({"low": nmfsep.Audio(DRUMS["low"], RATE), "high": nmfsep.Audio(DRUMS["high"], RATE)},
                         threads=1, no_waveforms=True)  # fmt: skip
    assert beyond_masks.NO_STROKES in model_of(plain, mixture, match="auto").warnings
    assert beyond_masks.NO_STROKES not in model_of(plain, mixture).warnings


def test_without_a_dictionary_matching_means_nothing():
    with pytest.raises(UsageError, match="dictionary only"):
        nmfsep.separate(nmfsep.Audio(loop().sum(axis=0), RATE), 2, match="auto")


def test_progress_goes_from_nothing_to_all(kit):
    steps = []
    mixture = nmfsep.Audio(loop().sum(axis=0), RATE)
    nmfsep.separate(mixture, dictionary=kit, threads=1, callback=lambda step, loss: steps.append(step))
    assert steps == sorted(steps)
    assert 30 < steps[-1] <= 40
