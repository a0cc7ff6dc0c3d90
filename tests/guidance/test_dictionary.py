"""Dictionaries: what they must be, and what of a file is believed."""

import dataclasses

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.files import npz as archive
from nmfsep.guidance import dictionary
from nmfsep.guidance.dictionary import VERSION, Dictionary, check_labels, is_dictionary, read
from nmfsep.guidance.templates import Templates, unit
from nmfsep.signal.stft import STFT

STFTS = (STFT(16), STFT(64, 20, "hamming"))


def view(stft=STFTS[0], owners=(0, 0, 1), seed=0):
    W = np.random.default_rng(seed).random((stft.bins, len(owners))).astype(np.float32)
    return Templates(stft, unit(W), np.array(owners, np.intp))


def about(label):
    return {"label": label, "files": 1, "seconds": 1.5, "first": [{"name": f"{label}.wav", "sha256": "0" * 64}]}


def kit(labels=("kick", "snare"), owners=(0, 0, 1), rate=8000, seed=0):
    views = tuple(view(stft, owners, seed) for stft in STFTS)
    return Dictionary(views, labels, rate, "kl", provenance=tuple(map(about, labels)))


def assert_same(first, second):
    for one, other in zip(first.views, second.views, strict=True):
        assert one.stft == other.stft
        np.testing.assert_array_equal(one.owners, other.owners)
        np.testing.assert_array_equal(one.W, other.W)
    names = [field.name for field in dataclasses.fields(Dictionary) if field.name != "views"]
    assert [getattr(first, name) for name in names] == [getattr(second, name) for name in names]


def test_what_is_written_is_read(tmp_path):
    dictionary.write(kit(), tmp_path / "kit.npz")
    assert_same(read(tmp_path / "kit.npz"), kit())
    assert is_dictionary(tmp_path / "kit.npz")


def test_reading_and_writing_again_leaves_the_bytes(tmp_path):
    # or the bytes of a dictionary would depend on how often labels were appended to it
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    dictionary.write(kit(), first)
    for _ in range(3):
        dictionary.write(read(first), second)
        assert second.read_bytes() == first.read_bytes()


def test_names_of_any_bytes_go_through(tmp_path):
    labels = ("a\udcff", "naïve\n\x1b", "{stem}")
    path = tmp_path / "b\udcfe.npz"
    dictionary.write(kit(labels, (0, 1, 2)), path)
    assert read(path).labels == labels


def test_templates_have_unit_norm_and_no_zeros():
    W = unit(np.float32([[0, 1e-30], [3, 0], [4, 2e-30]]))
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(W[1:, 0], [0.6, 0.8], rtol=1e-5)
    assert 0 < W[0, 0] < 1e-5
    assert (W > 0).all()


def test_a_view_tells_the_columns_of_a_label():
    assert view(owners=(1, 0, 1)).columns(1).tolist() == [0, 2]
    assert view().known_bins == STFTS[0].bins
    assert kit().components(0) == (2, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"views": ()}, "needs templates"),
        ({"views": (Templates(STFT(16), np.ones((8, 3), np.float32), np.array([0, 0, 1])),)}, "does not fit n_fft 16"),
        ({"views": (Templates(STFT(16), np.ones((9, 2), np.float32), np.array([0, 0, 1])),)}, "does not fit n_fft 16"),
        ({"views": (view(owners=(0, 0, 0)),)}, "not every label"),
        ({"views": (view(owners=(0, 1, 2)),)}, "not every label"),
        ({"views": (Templates(STFT(16), np.zeros((9, 2), np.float32), np.array([0, 1])),)}, "zero"),
        ({"labels": ("kick", "kick")}, "one file"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change, says):
    with pytest.raises(UsageError, match=says):
        dataclasses.replace(kit(), **change)


@pytest.mark.parametrize("label", ["", "a/b", "/", "a\0", ".", "..", "x" * 201])
def test_labels_that_cannot_name_a_stem_are_refused(label):
    with pytest.raises(UsageError, match="cannot be the name of a stem"):
        check_labels(["kick", label])


@pytest.mark.parametrize("label", ["...", ".kick", "-k", "x" * 200, "naïve", "鼓", "a b", "con", "a\\b", "\udcff", "*"])
def test_odd_labels_are_taken(label):
    check_labels(["kick", label])


@pytest.mark.parametrize("pair", [("Kick", "kick"), ("é", "e\u0301"), ("STRASSE", "straße"), ("a", "a")])
def test_labels_that_would_be_one_file_are_refused(pair):
    with pytest.raises(UsageError, match="would be one file on some systems"):
        check_labels(pair)


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_dictionary_has_some_labels_and_not_too_many(count):
    with pytest.raises(UsageError, match=f"1 to 10000 labels, not {count}"):
        check_labels([f"l{i}" for i in range(count)])


def test_appending_keeps_both():
    first, second = kit(), kit(("hat", "clap"), (1, 0, 0), seed=1)
    both = first.append(second)
    assert both.labels == ("kick", "snare", "hat", "clap")
    assert both.provenance == first.provenance + second.provenance
    for index, joined in enumerate(both.views):
        assert joined.owners.tolist() == [0, 0, 1, 3, 2, 2]
        parts = [first.views[index].W, second.views[index].W]
        np.testing.assert_array_equal(joined.W, np.concatenate(parts, axis=1))


def test_appending_a_label_that_is_there_is_refused():
    with pytest.raises(UsageError, match="label 'snare' is in both"):
        kit().append(kit(("hat", "snare")))


def test_appending_heeds_the_shorter_of_what_is_known():
    first = Dictionary((dataclasses.replace(view(owners=(0,)), known_bins=5),), ("a",), 8000)
    second = Dictionary((view(owners=(0,)),), ("b",), 8000)
    assert first.append(second).views[0].known_bins == second.append(first).views[0].known_bins == 5


# what of a file of our own is believed


def spoilt(path, change=None, arrays=None):
    """Write a dictionary of which `change` alters the description and `arrays` the arrays."""
    dictionary.write(kit(), path)
    with archive.Archive(path) as file:
        description = dict(file.about)
        members = {name: file._member(name) for name in ("W0", "owners0", "W1", "owners1")}
    description |= change or {}
    members |= arrays or {}
    version = description.pop("version")
    schema = description.pop("schema")
    kept = {name: value for name, value in description.items() if value is not ...}
    archive.write(path, schema, version, kept, {n: a for n, a in members.items() if a is not None})
    return path


def refusal(path):
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.path == str(path)
    assert not is_dictionary(path)
    return str(caught.value)


VIEW = {"n_fft": 16, "hop_length": 4, "window": "hann"}
OTHER = {"n_fft": 64, "hop_length": 20, "window": "hamming"}
DESCRIPTIONS = [
    ({"version": VERSION + 1}, "upgrade nmfsep"),
    ({"schema": "nmfsep.factorization"}, "holds 'nmfsep.factorization'"),
    *(({name: ...}, "lacks a part") for name in ("labels", "views", "sample_rate", "channels", "divergence")),
    ({"provenance": ...}, "lacks a part"),
    ({"labels": "ab"}, "makes no sense"),
    ({"labels": ["kick", 3]}, "makes no sense"),
    ({"labels": ["kick", "../snare"]}, "cannot be the name"),
    ({"labels": ["kick", "KICK"]}, "one file"),
    ({"labels": ["kick"]}, "not indices of labels"),
    ({"labels": ["kick", "snare", "hat"]}, "not every label"),
    ({"sample_rate": 0}, "makes no sense"),
    ({"sample_rate": -8000}, "makes no sense"),
    ({"sample_rate": 8000.5}, "makes no sense"),
    ({"sample_rate": True}, "makes no sense"),
    ({"sample_rate": 10**12}, "makes no sense"),
    ({"sample_rate": "8000"}, "makes no sense"),
    ({"sample_rate": None}, "makes no sense"),
    ({"channels": 2}, "makes no sense"),
    ({"divergence": "kul"}, "kul"),
    ({"divergence": float("nan")}, "no JSON"),
    ({"provenance": [about("kick") | {"seconds": float("inf")}]}, "no JSON"),
    ({"divergence": 99}, "99"),
    ({"divergence": ["kl"]}, "makes no sense"),
    ({"provenance": {}}, "makes no sense"),
    ({"provenance": [3]}, "makes no sense"),
    ({"provenance": [{"label": "kick"}]}, "lacks a part"),
    ({"provenance": [about("kick") | {"files": "many"}]}, "makes no sense"),
    ({"provenance": [about("kick") | {"seconds": None}]}, "makes no sense"),
    ({"provenance": [about("kick") | {"first": [{"name": 3}]}]}, "makes no sense"),
    ({"views": []}, "makes no sense"),
    ({"views": [VIEW] * 9}, "makes no sense"),
    ({"views": [3]}, "makes no sense"),
    ({"views": [VIEW, {}]}, "lacks a part"),
    ({"views": [VIEW | {"window": "gauss"}, OTHER]}, "makes no sense"),
    ({"views": [VIEW | {"window": []}, OTHER]}, "makes no sense"),
    ({"views": [VIEW | {"n_fft": 15}, OTHER]}, "15"),
    ({"views": [VIEW | {"n_fft": 2**21}, OTHER]}, "makes no sense"),
    ({"views": [VIEW | {"n_fft": 16.0}, OTHER]}, "makes no sense"),
    ({"views": [VIEW | {"hop_length": 9}, OTHER]}, "hop_length 9"),
    ({"views": [VIEW | {"hop_length": 0}, OTHER]}, "makes no sense"),
    ({"views": [VIEW | {"n_fft": 32}, OTHER]}, "W0 has 9 bins, n_fft 32 makes 17"),
    ({"views": [VIEW, OTHER, VIEW]}, "has no owners2"),
]


@pytest.mark.parametrize(("change", "says"), DESCRIPTIONS, ids=lambda value: str(value)[:60])
def test_a_description_that_makes_no_sense_is_refused(tmp_path, change, says):
    assert says in refusal(spoilt(tmp_path / "kit.npz", change))


W0 = kit().views[0].W
MEMBERS = [
    ({"W0": None}, "has no W0"),
    ({"W1": -np.ones((33, 3))}, "W1 holds negative"),
    ({"W0": np.full((9, 3), np.nan)}, "W0 holds NaN"),
    ({"W0": W0[:, :2]}, "has 2 templates, of which 3 have a label"),
    ({"W0": W0 * [1, 0, 1]}, "a template that is zero"),
    ({"W0": W0.astype(complex)}, "real numbers"),
    ({"owners0": None}, "has no owners0"),
    ({"owners0": np.int32([0, 0, 2])}, "not indices"),
    ({"owners0": np.int32([0, 0, -1])}, "negative"),
    ({"owners0": np.float32([0, 0.5, 1])}, "not indices"),
    ({"owners0": np.int32([0, 0, 0])}, "not every label"),
    ({"owners0": np.int32([[0, 0, 1]])}, "1 dimensions"),
]


@pytest.mark.parametrize(("arrays", "says"), MEMBERS, ids=lambda value: str(value)[:60])
def test_arrays_that_make_no_sense_are_refused(tmp_path, arrays, says):
    assert says in refusal(spoilt(tmp_path / "kit.npz", arrays=arrays))


def test_templates_of_another_norm_or_with_zeros_are_brought_into_order(tmp_path):
    found = read(spoilt(tmp_path / "kit.npz", arrays={"W0": 7 * W0 * (W0 > 0.1)})).views[0].W
    assert (found > 0).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1, rtol=1e-6)


def test_more_than_is_asked_for_does_no_harm(tmp_path):
    path = spoilt(tmp_path / "kit.npz", {"later": [1]}, {"extra": np.ones(3)})
    assert_same(read(path), kit())


@pytest.mark.parametrize("name", ["missing.npz", "folder"])
def test_what_is_no_file_is_no_dictionary(tmp_path, name):
    (tmp_path / "folder").mkdir()
    assert not is_dictionary(tmp_path / name)
