"""Finding the sounds to learn from."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep.batch.corpus import Recording, conversions, provenance
from nmfsep.errors import InputError, UsageError
from nmfsep.jobs.inputs import labelled

RATE = 8000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tone(hertz=440, seconds=0.25, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def make(*names, samples=None, rate=RATE):
    for name in names:
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        with open(os.fsencode(name), "wb") as file:
            sf.write(file, tone(rate=rate) if samples is None else samples, rate, "PCM_16", format="WAV")
    return names[0]


def test_names_and_files():
    make("a.wav", "b.wav", "c.wav")
    assert labelled(["kick=a.wav", "snare=b.wav", "c.wav"]) == {"kick": ["a.wav"], "snare": ["b.wav", "c.wav"]}


def test_a_label_may_come_again():
    assert labelled(["kick=a.wav", "snare=b.wav", "kick=c.wav"]) == {"kick": ["a.wav", "c.wav"], "snare": ["b.wav"]}


def test_a_label_may_stand_before_what_the_shells_pattern_gives():
    assert labelled(["kick=", "a.wav", "b.wav", "snare=", "c.wav"]) == {"kick": ["a.wav", "b.wav"], "snare": ["c.wav"]}


def test_only_the_first_equals_sign_ends_the_label():
    assert labelled(["kick=a=b.wav"]) == {"kick": ["a=b.wav"]}
    assert labelled(["kick=./x=1/a.wav"]) == {"kick": ["./x=1/a.wav"]}


def test_an_equals_sign_in_a_files_name_makes_no_label():
    make("a=b.wav")
    assert labelled(["kick=c.wav", "a=b.wav", "x/y=z.wav"]) == {"kick": ["c.wav", "a=b.wav", "x/y=z.wav"]}


def test_names_of_any_bytes_are_taken():
    name = os.fsdecode(b"\xff\n.wav")
    make(name)
    label = os.fsdecode(b"l\xfe\n")
    assert labelled([f"{label}={name}"]) == {label: [name]}
    assert Recording.of(name).sample_rate == RATE


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.wav"], "'a.wav' has no label; write NAME=a.wav"),
        (["=a.wav"], "has no label"),
        (["x/y=a.wav"], "'x/y' cannot be a label; use letters and digits, such as NAME=a.wav"),
        (["kick="], "'kick' is given no file; write kick=FILE"),
        (["kick=", "snare=a.wav"], "'kick' is given no file"),
        (["kick=a.wav", "a.wav"], "is given twice for 'kick'"),
        (["kick=a.wav", "./a.wav"], "is given twice"),
        (["kick=a.wav", "link.wav"], "is given twice"),
        (["kick=sub", "sub/a.wav"], "is given twice"),
        (["kick=none*.wav"], "matches no file"),
        (["kick=empty"], "holds no audio files"),
        (["kick=empty/*"], "matches no file"),
    ],
)
def test_what_names_no_sound_is_refused(arguments, says):
    make("a.wav", "sub/a.wav")
    os.symlink("a.wav", "link.wav")
    os.mkdir("empty")
    with pytest.raises(UsageError) as caught:
        labelled(arguments)
    text = str(caught.value) if caught.value.path is None else f"{caught.value.path}: {caught.value}"
    assert says in text


def test_one_file_may_serve_two_labels():
    make("a.wav")
    assert labelled(["kick=a.wav", "snare=a.wav"]) == {"kick": ["a.wav"], "snare": ["a.wav"]}


def test_a_folder_stands_for_the_audio_in_and_below_it_in_order():
    make("kit/b.wav", "kit/a.WAV", "kit/deep/er/c.flac", "kit/.hidden.wav", "kit/notes.txt", "kit/d.wav.bak")
    assert labelled(["kit=kit"]) == {"kit": ["kit/a.WAV", "kit/b.wav", "kit/deep/er/c.flac"]}
    assert labelled(["kit=kit/"])["kit"][0] == "kit/a.WAV"


def test_a_recording_of_a_tiny_rate_is_not_read_in_tiny_pieces():
    sf.write("slow.wav", np.zeros(3 << 20), 1, "PCM_U8")
    assert len(list(Recording.of("slow.wav").sounds(1))) == 3


def test_a_pattern_stands_for_what_it_matches():
    make("k1.wav", "k2.wav", "s1.wav", "deep/er/k3.wav")
    os.mkdir("k3.wav")
    assert labelled(["k=k*.wav"]) == {"k": ["k1.wav", "k2.wav"]}
    assert labelled(["k=k[2-9].wav"]) == {"k": ["k2.wav"]}
    assert labelled(["k=?1.wav"]) == {"k": ["k1.wav", "s1.wav"]}
    assert labelled(["k=**/k3.wav"])["k"] == ["deep/er/k3.wav"]


def test_a_file_called_like_a_pattern_is_that_file():
    make("k[1].wav", "k1.wav")
    assert labelled(["k=k[1].wav"]) == {"k": ["k[1].wav"]}


def test_a_recording_is_what_the_header_says():
    make("a.wav", samples=np.c_[tone(), tone()], rate=16000)
    found = Recording.of("a.wav")
    assert (found.sample_rate, found.channels, found.seconds) == (16000, 2, 2000 / 16000)
    assert len(found.sha256) == 64
    assert found.warnings == ()


def test_what_is_odd_about_a_recording_is_known():
    make("a.wav")
    with open("a.wav", "r+b") as file:
        file.truncate(2000)
    (warning,) = Recording.of("a.wav").warnings
    assert "it was cut, and what is there is used" in warning


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("missing.wav", UsageError, "no such file"),
        ("sub", UsageError, "is not a file"),
        ("pipe", UsageError, "is not a file"),
        ("dangling.wav", UsageError, "is not a file"),
        ("text.wav", InputError, "can be read"),
        ("empty.wav", InputError, "empty"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_by_name(name, error, says):
    os.mkdir("sub")
    os.mkfifo("pipe")
    os.symlink("nowhere", "dangling.wav")
    for file, content in (("text.wav", b"This is no audio"), ("empty.wav", b"")):
        with open(file, "wb") as handle:
            handle.write(content)
    with pytest.raises(error, match=says) as caught:
        Recording.of(name)
    assert caught.value.path == name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_refused():
    os.chmod(make("a.wav"), 0)
    with pytest.raises(UsageError, match="permission denied"):
        Recording.of("a.wav")


@pytest.mark.parametrize(("rate", "other"), [(8000, 16000), (16000, 8000), (8000, 11025), (44100, 8000)])
def test_a_sound_is_converted_to_another_rate(rate, other):
    make("a.wav", samples=tone(440, 0.5, rate), rate=rate)
    samples = Recording.of("a.wav").load(other)
    assert samples.dtype == np.float32
    assert samples.shape == (1, pytest.approx(other / 2, abs=2))
    middle = slice(other // 8, other * 3 // 8)
    np.testing.assert_allclose(samples[0, middle], tone(440, 0.5, other)[middle], atol=2e-3)


def test_a_sound_of_that_rate_is_left_as_it_is():
    make("a.wav")
    np.testing.assert_array_equal(Recording.of("a.wav").load(RATE), [sf.read("a.wav", dtype="float32")[0]])


def test_channels_are_kept_apart():
    channels = np.c_[tone(), np.zeros(2000), -tone()]
    make("a.wav", samples=channels)
    np.testing.assert_allclose(Recording.of("a.wav").load(RATE), channels.T, atol=1e-4)


def test_a_sound_too_short_for_another_rate_is_refused():
    make("a.wav", samples=np.ones(1), rate=48000)
    with pytest.raises(InputError, match="too short to be converted to 8 Hz") as caught:
        Recording.of("a.wav").load(8)
    assert caught.value.path == "a.wav"


def recordings(*forms):
    return [Recording(f"{i}.wav", rate, channels, 1.0, str(i)) for i, (rate, channels) in enumerate(forms)]


@pytest.mark.parametrize(
    ("forms", "said"),
    [
        ([(8000, 1), (8000, 1)], None),
        ([(8000, 1), (44100, 1)], "1 of 2 files converted to 8000 Hz"),
        ([(8000, 2), (8000, 6)], "2 of 2 files averaged over their channels"),
        (
            [(44100, 2), (8000, 1)],
            "1 of 2 files converted to 8000 Hz, 1 of 2 files averaged over their channels",
        ),
    ],
)
def test_what_is_done_to_the_files_is_said(forms, said):
    assert conversions(recordings(*forms), 8000) == said


def test_sounds_are_known_by_their_contents_and_read_when_needed():
    make("a.wav", "b.wav")
    make("c.wav", samples=tone(880))
    first, second, third = (next(Recording.of(name).sounds(RATE)) for name in ("a.wav", "b.wav", "c.wav"))
    assert first.key == second.key != third.key
    os.remove("a.wav")
    np.testing.assert_array_equal(third.load(), Recording.of("c.wav").load(RATE))
    with pytest.raises(InputError) as caught:
        first.load()
    assert caught.value.path == "a.wav"


def test_long_sounds_are_read_in_pieces_that_make_up_the_whole(monkeypatch):
    monkeypatch.setattr("nmfsep.batch.corpus.PIECE", 0.1)
    monkeypatch.setattr("nmfsep.batch.corpus.FEWEST", 1)
    recording = Recording.of(make("a.wav"))
    pieces = list(recording.sounds(RATE))
    assert len(pieces) == len({piece.key for piece in pieces}) == 2
    np.testing.assert_array_equal(np.concatenate([piece.load() for piece in pieces], axis=1), recording.load(RATE))
    cut = Path("a.wav").read_bytes()[:-2000]
    Path("a.wav").write_bytes(cut)
    (piece,) = Recording.of("a.wav").sounds(RATE)
    assert piece.load().shape == recording.load(RATE).shape == (1, 1000)


def test_where_templates_came_from_does_not_depend_on_the_order_or_the_folder():
    make("x/a.wav", "y/b.wav")
    make("x/c.wav", samples=np.c_[tone(), tone()], rate=16000)
    found = [Recording.of(name) for name in ("x/a.wav", "y/b.wav", "x/c.wav")]
    about = provenance("kick", found)
    assert provenance("kick", found[::-1]) == about
    assert (about["label"], about["files"], about["seconds"]) == ("kick", 3, 0.625)
    assert (about["sample_rates"], about["channels"]) == ([8000, 16000], [1, 2])
    assert sorted(entry["name"] for entry in about["first"]) == ["a.wav", "b.wav", "c.wav"]
    assert {entry["sha256"] for entry in about["first"]} == {recording.sha256 for recording in found}


def test_of_many_files_some_are_named():
    about = provenance("kick", recordings(*[(8000, 1)] * 50))
    assert (about["files"], len(about["first"])) == (50, 20)
