"""Strokes: where they are cut, how a dictionary keeps them, and what of a file with strokes is believed."""

import dataclasses

import numpy as np
import pytest

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.files import npz as archive
from nmfsep.guidance import dictionary, strokes
from nmfsep.guidance.dictionary import Dictionary, read
from nmfsep.guidance.templates import Templates, unit
from nmfsep.signal.stft import STFT

RATE = 8000
FIRST, SECOND = np.linspace(1, 0, 900, dtype=np.float32), np.linspace(-1, 0.5, 300, dtype=np.float32)


def decay(seconds, seed=0, rate=RATE):
    """A burst of noise that dies away within that time."""
    time = np.arange(round(seconds * rate)) / rate
    return (np.random.default_rng(seed).standard_normal(len(time)) * np.exp(-7 * time / seconds)).astype(np.float32)


def kit(own=((FIRST, SECOND), (SECOND,))):
    W = unit(np.random.default_rng(0).random((9, 2)).astype(np.float32))
    return Dictionary((Templates(STFT(16), W, np.array([0, 1])),), ("kick", "snare"), RATE, strokes=own)


def test_a_stroke_goes_from_its_onset_until_it_has_died_away():
    burst = decay(0.3)
    sound = np.concatenate([np.zeros(4000, np.float32), burst, np.zeros(4000, np.float32), 0.4 * burst])
    found = strokes.cut(np.stack([sound, sound]), RATE)
    assert len(found) == 2
    for stroke, level in zip(found, (1, 0.4), strict=True):
        lag = int(np.correlate(stroke, burst, "full").argmax()) - len(burst) + 1
        assert 0 <= lag <= 2 * int(strokes.HOP * RATE)
        np.testing.assert_allclose(stroke[lag : lag + 800], level * burst[:800], atol=1e-6)
        assert len(stroke) <= len(burst) + lag


def test_a_sound_that_swells_is_a_stroke_too():
    swell = np.sin(np.arange(RATE)) * np.sin(np.linspace(0, np.pi, RATE))
    assert len(strokes.cut(swell.astype(np.float32), RATE)) == 1


@pytest.mark.parametrize("sound", [np.zeros(8000), np.zeros(3), np.full(10, 0.5)])
def test_in_silence_and_in_a_few_samples_there_is_no_stroke(sound):
    assert strokes.cut(sound.astype(np.float32), RATE) == ()


def test_no_label_has_more_strokes_than_may_be():
    many = [(np.ones(10, np.float32),) * 100] * 3
    assert len(strokes.first(many, RATE)) == strokes.PER_LABEL
    assert len(strokes.first([(np.ones(30 * RATE, np.float32),) * 3], RATE)) == 1


def test_strokes_are_written_and_read(tmp_path):
    first, again = tmp_path / "first.npz", tmp_path / "again.npz"
    dictionary.write(kit(), first)
    found = read(first)
    assert [len(own) for own in found.strokes] == [2, 1]
    np.testing.assert_array_equal(found.strokes[0][1], SECOND)
    dictionary.write(found, again)
    assert again.read_bytes() == first.read_bytes()


def test_a_label_may_have_none_and_so_may_all(tmp_path):
    for own, version in ((((FIRST,), ()), 3), (((), ()), 1), ((), 1)):
        dictionary.write(kit(own), tmp_path / "kit.npz")
        with archive.Archive(tmp_path / "kit.npz") as file:
            assert file.about["version"] == version
        assert sum(len(each) for each in read(tmp_path / "kit.npz").strokes) == sum(map(len, own))


def test_dictionaries_with_and_without_strokes_are_joined():
    other = dataclasses.replace(kit(()), labels=("hat", "clap"))
    assert [len(own) for own in kit().append(other).strokes] == [2, 1, 0, 0]
    assert [len(own) for own in other.append(kit()).strokes] == [0, 0, 2, 1]


def test_learning_keeps_strokes_unless_told_otherwise():
    sound = nmfsep.Audio(np.concatenate([decay(0.3), decay(0.3, 1)]), RATE)
    assert [len(own) for own in nmfsep.learn({"kick": sound}, max_iter=1).strokes] == [2]
    assert nmfsep.learn({"kick": sound}, max_iter=1, no_waveforms=True).strokes == ()


LENGTHS, OWNERS = np.int32([900, 300, 300]), np.int32([0, 0, 1])
MEMBERS = [
    ({"strokes": None}, "has no strokes"),
    ({"stroke_lengths": None}, "has no stroke_lengths"),
    ({"stroke_owners": None}, "has no stroke_owners"),
    ({"strokes": np.ones((1500, 1))}, "1 dimensions"),
    ({"strokes": np.full(1500, np.nan)}, "NaN"),
    ({"strokes": np.full(1500, 1e300)}, "larger than single precision"),
    ({"strokes": np.ones(1500, complex)}, "real numbers"),
    ({"strokes": np.zeros(1500)}, "a stroke that is silence"),
    ({"strokes": np.ones(1499)}, "not lengths"),
    ({"stroke_lengths": LENGTHS[:2]}, "has 2 strokes, of which 3 have a label"),
    ({"stroke_lengths": np.int32([900, 600, 0])}, "not lengths"),
    ({"stroke_lengths": np.float32([900.5, 299.5, 300])}, "not lengths"),
    ({"stroke_lengths": np.int32([-900, 2100, 300])}, "negative"),
    ({"strokes": np.ones(90_000), "stroke_lengths": np.int32([89_000, 500, 500])}, "are the most that are read"),
    ({"stroke_owners": np.int32([0, 0, 2])}, "not indices"),
    ({"stroke_owners": np.int32([1, 0, 0])}, "not indices of labels in order"),
    ({"stroke_owners": np.float32([0, 0.5, 1])}, "not indices"),
    (
        {"strokes": np.ones(129), "stroke_lengths": np.ones(129, int), "stroke_owners": np.zeros(129, int)},
        "has a label of 129 strokes",
    ),
]


@pytest.mark.parametrize(("arrays", "says"), MEMBERS, ids=lambda value: str(value)[:60])
def test_strokes_that_make_no_sense_are_refused(tmp_path, arrays, says):
    path = tmp_path / "kit.npz"
    dictionary.write(kit(), path)
    with archive.Archive(path) as file:
        about = {name: value for name, value in file.about.items() if name not in ("schema", "version")}
        members = {name: file._member(name) for name in file._members if name != archive.META}
    kept = {name: array for name, array in (members | arrays).items() if array is not None}
    archive.write(path, dictionary.SCHEMA, 3, about, kept)
    with pytest.raises(UsageError, match=says):
        read(path)


def test_more_samples_than_are_read_are_not_written(monkeypatch):
    monkeypatch.setattr(dictionary, "MOST", 1000)
    with pytest.raises(UsageError, match="strokes of 1500 samples") as caught:
        kit()
    assert "--no-waveforms" in caught.value.hint


def test_channels_that_cancel_in_their_mean_still_have_strokes():
    burst = decay(0.3)
    (own,), (mono,) = strokes.cut(np.stack([burst, -burst]), RATE), strokes.cut(burst, RATE)
    np.testing.assert_array_equal(own, mono)
