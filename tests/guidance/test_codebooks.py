"""Codebooks: what they say of a sound, how a dictionary keeps them, and what of a file with codebooks is believed."""

import dataclasses

import numpy as np
import pytest

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.files import npz as archive
from nmfsep.guidance import codebooks, dictionary
from nmfsep.guidance.codebooks import BANDS, Codebook
from nmfsep.guidance.dictionary import Dictionary, read
from nmfsep.guidance.templates import Templates, unit
from nmfsep.signal.stft import STFT

RATE = 8000


def book(words=3, seed=0):
    random = np.random.default_rng(seed)
    follows = random.random((words, words)) + 0.1
    parts = (
        random.standard_normal((words, BANDS)),
        random.random((words, BANDS)) + 0.5,
        follows / follows.sum(1)[:, None],
    )
    return Codebook(*(part.astype(np.float32) for part in parts))


OWN = ((book(), book(3, 1)), (book(3, 2), book(3, 3)))


def kit(own=OWN):
    W = unit(np.random.default_rng(0).random((9, 2)).astype(np.float32))
    return Dictionary((Templates(STFT(16), W, np.array([0, 1])),), ("she", "he"), RATE, books=own)


def test_every_band_of_a_rate_has_bins_and_those_above_it_none():
    for rate in (8000, 16000, 44100, 192_000):
        weights = codebooks.bands(codebooks.frames_at(rate), rate)
        assert weights.any(axis=1).sum() == (BANDS if rate > 16000 else np.count_nonzero(weights.any(axis=1)))
        assert weights.any(axis=1)[:30].all()
    assert not codebooks.bands(codebooks.frames_at(8000), 8000)[-5:].any()


def test_levels_are_relative_to_that_of_the_sound():
    sound = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    loud, quiet = (codebooks.band_levels(gain * sound, RATE) for gain in (1.0, 0.01))
    np.testing.assert_allclose(loud[:, :30], quiet[:, :30], atol=1e-3)
    assert len(codebooks.band_levels(np.zeros(RATE, np.float32), RATE)) == 0


def test_what_follows_what_is_learned():
    steady = np.zeros((2, BANDS), np.float32)
    steady[0, 0], steady[1, 1] = 3, 3
    Y = np.tile(steady, (500, 1)) + 0.01 * np.random.default_rng(0).standard_normal((1000, BANDS)).astype(np.float32)
    first, *_ = found = codebooks.learn_books([Y], 0)
    assert len(found) == codebooks.BOOKS
    odd = first.means[:, 0] > 1.5
    assert first.follows[odd][:, ~odd].sum() > 0.8 * odd.sum()
    np.testing.assert_allclose(first.follows.sum(axis=1), 1, atol=1e-5)
    assert codebooks.learn_books([Y[: codebooks.FEWEST - 1]], 0) == ()


def test_codebooks_are_written_and_read_again_as_the_same_bytes(tmp_path):
    first, again = tmp_path / "first.npz", tmp_path / "again.npz"
    dictionary.write(kit(), first)
    dictionary.write(read(first), again)
    assert first.read_bytes() == again.read_bytes()
    np.testing.assert_array_equal(read(first).books[1][0].follows, kit().books[1][0].follows)


def test_a_dictionary_without_codebooks_has_an_earlier_version(tmp_path):
    for own, version in ((kit().books, 4), (((), ()), 1), ((), 1)):
        dictionary.write(kit(own), tmp_path / "kit.npz")
        with archive.Archive(tmp_path / "kit.npz") as file:
            assert file.about["version"] == version


def test_dictionaries_with_and_without_codebooks_are_joined():
    other = dataclasses.replace(kit(()), labels=("it", "they"))
    assert [len(own) for own in kit().append(other).books] == [2, 2, 0, 0]
    assert [len(own) for own in other.append(kit()).books] == [0, 0, 2, 2]


def test_a_dictionary_of_many_labels_keeps_no_codebooks():
    many = [dataclasses.replace(kit(), labels=(f"{i}a", f"{i}b")) for i in range(codebooks.MOST_LABELS // 2 + 1)]
    whole = many[0]
    for other in many[1:]:
        whole = whole.append(other)
    assert whole.books == ()


def test_learning_keeps_codebooks_of_sounds_that_are_long_enough():
    sound = np.random.default_rng(0).standard_normal((1, 14 * RATE)).astype(np.float32)
    learn = {"max_iter": 1, "components": "2", "no_waveforms": True}
    found = nmfsep.learn({"long": nmfsep.Audio(sound, RATE), "short": nmfsep.Audio(sound[:, :RATE], RATE)}, **learn)
    assert [len(own) for own in found.books] == [codebooks.BOOKS, 0]


MEANS, VARIANCES = np.zeros((4, 3, BANDS), np.float32), np.ones((4, 3, BANDS), np.float32)
FOLLOWS = np.full((4, 3, 3), 1 / 3, np.float32)
WRONG = [
    ({"book_means": None}, "has no book_means"),
    ({"book_means": MEANS[0]}, "3 dimensions"),
    ({"book_means": np.full(MEANS.shape, np.nan)}, "NaN"),
    ({"book_means": MEANS + 1e6}, "levels that no sound has"),
    ({"book_means": MEANS[..., :40]}, "3 words of 40 bands"),
    ({"book_means": np.zeros((1, 300, BANDS))}, "300 words"),
    ({"book_variances": VARIANCES[:3]}, "do not fit together"),
    ({"book_variances": 0 * VARIANCES}, "levels that no sound has"),
    ({"book_follows": FOLLOWS[:, :2]}, "do not fit together"),
    ({"book_follows": 2 * FOLLOWS}, "not probabilities"),
    ({"book_follows": np.tile(np.eye(3), (4, 1, 1))}, "not probabilities"),
    ({"book_owners": np.int32([0, 0, 1])}, "do not fit together"),
    ({"book_owners": np.int32([0, 1, 0, 1])}, "not indices"),
    ({"book_owners": np.int32([0, 0, 1, 2])}, "not indices"),
    ({"book_owners": np.int32([0, 0, 0, 1])}, "not all of one number"),
]


@pytest.mark.parametrize(("arrays", "says"), WRONG, ids=range(len(WRONG)))
def test_codebooks_that_make_no_sense_are_refused(tmp_path, arrays, says):
    path = tmp_path / "kit.npz"
    dictionary.write(kit(), path)
    with archive.Archive(path) as file:
        about = {name: value for name, value in file.about.items() if name not in ("schema", "version")}
    with np.load(path) as whole:
        members = {name: whole[name] for name in whole.files if name != "meta"} | arrays
    archive.write(path, dictionary.SCHEMA, 4, about, {name: part for name, part in members.items() if part is not None})
    with pytest.raises(UsageError, match=says) as caught:
        read(path)
    assert "\n" not in caught.value.message
