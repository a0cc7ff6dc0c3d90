"""What the activations say, as MIDI and as labels."""

import numpy as np
import pytest

from nmfsep import learn
from nmfsep.analysis.exports import key_of, missing
from nmfsep.guidance.dictionary import Dictionaries
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.label_cue import parse
from nmfsep.guidance.notes import read_notes
from nmfsep.registry import EXPORTS
from nmfsep.separation import pipeline
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio

RATE = 8000
PLAYED = {60: [(0.2, 0.7), (1.5, 2.0)], 67: [(0.8, 1.4)]}


@pytest.fixture(scope="module")
def separation():
    t = np.arange(int(2.5 * RATE)) / RATE
    sound = np.zeros(len(t))
    for pitch, times in PLAYED.items():
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * h * hertz * t) / h for h in range(1, 6))
        for begin, end in times:
            sound += 0.2 * tone * np.clip((t - begin) / 0.01, 0, 1) * np.clip((end - t) / 0.1, 0, 1)
    audio = Audio(np.stack([sound, 0.5 * sound]).astype(np.float32), RATE)
    return pipeline.separate(audio, Settings(components=2, n_fft=1024))[0]


def test_notes_have_the_pitches_and_times_that_were_played(separation, tmp_path):
    pytest.importorskip("mido")
    path = tmp_path / "notes.mid"
    path.write_bytes(EXPORTS.load("midi").encode(separation, RATE, 3.0))
    notes = read_notes(str(path), None, "track")
    assert {note.stem for note in notes} == {"component-1", "component-2"}
    found = {pitch: [(n.begin, n.end) for n in notes if n.pitch == pitch] for pitch in PLAYED}
    assert len(notes) == 3
    for pitch, times in PLAYED.items():
        np.testing.assert_allclose(found[pitch], np.array(times) + 3, atol=0.12)


def test_labels_are_read_again_with_their_times_and_ranges(separation):
    regions = parse(EXPORTS.load("labels").encode(separation, RATE, 3.0), "labels")
    assert [region.name for region in regions].count("component-1") in (1, 2)
    spans = sorted((region.begin, region.end) for region in regions)
    np.testing.assert_allclose(spans, np.array([(0.2, 0.7), (0.8, 1.4), (1.5, 2.0)]) + 3, atol=0.12)
    assert all(150 < region.low < 500 and region.high < 4000 for region in regions)


@pytest.mark.parametrize("name", EXPORTS)
def test_the_same_separation_gives_the_same_bytes_and_silence_an_empty_file(separation, name):
    export = EXPORTS.load(name)
    assert export.encode(separation, RATE, 0.0) == export.encode(separation, RATE, 0.0)
    silence = pipeline.separate(Audio(np.zeros((1, 4000), np.float32), RATE), Settings(components=2))[0]
    assert len(export.encode(silence, RATE, 0.0)) < 100


def test_noise_has_no_pitch(tmp_path):
    pytest.importorskip("mido")
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE) / RATE
    hits = 0.3 * rng.standard_normal(len(t)) * np.exp(-30 * (t % 0.5))
    separation = pipeline.separate(Audio(hits[None].astype(np.float32), RATE), Settings(components=1, n_fft=512))[0]
    (tmp_path / "m.mid").write_bytes(EXPORTS.load("midi").encode(separation, RATE, 0.0))
    notes = read_notes(str(tmp_path / "m.mid"), None, "track")
    assert all(note.drum for note in notes)
    np.testing.assert_allclose([note.begin for note in notes], [0, 0.5, 1, 1.5], atol=0.06)


def played(separation, path, **options):
    pytest.importorskip("mido")
    path.write_bytes(EXPORTS.load("midi").encode(separation, RATE, 0.0, **options))
    return read_notes(str(path), None, "track")


def sine(hertz, level=0.2, seconds=2.5):
    t = np.arange(int(seconds * RATE)) / RATE
    return level * np.sin(2 * np.pi * hertz * t) * (t % 1 < 0.5)


@pytest.fixture(scope="module")
def calls():
    """A dictionary of two calls, one of which will not be there."""
    return learn({name: Audio(sine(hertz)[None].astype(np.float32), RATE) for name, hertz in (("a", 500), ("b", 2100))})


def guided(sound, dictionary, free=0):
    guide = Guide((Dictionaries((dictionary,)),), {"free": free} if free else {})
    return pipeline.separate(Audio(np.atleast_2d(sound).astype(np.float32), RATE), guide.settings(), guide)[0]


def test_a_sound_that_is_not_there_has_neither_labels_nor_notes_and_is_told(calls, tmp_path):
    rng = np.random.default_rng(0)
    sound = sine(500) + 1e-5 * rng.standard_normal(int(2.5 * RATE))
    separation = guided(sound, calls)
    regions = parse(EXPORTS.load("labels").encode(separation, RATE, 0.0), "labels")
    assert {region.name for region in regions} == {"a"}
    assert len(regions) == 3
    assert {note.stem for note in played(separation, tmp_path / "m.mid")} == {"a"}
    assert missing(separation, RATE) == ["b"]
    both = guided(sine(500) + 0.05 * sine(2100), calls)
    assert missing(both, RATE) == []


def test_what_lies_where_a_sound_would_be_is_not_that_sound(calls):
    noise = 0.1 * np.random.default_rng(1).standard_normal(int(2.5 * RATE))
    separation = guided(noise, calls, free=8)
    assert missing(separation, RATE) == ["a", "b"]
    regions = EXPORTS.load("labels").encode(separation, RATE, 0.0).decode()
    assert "residual" in regions
    assert "\ta\n" not in regions


@pytest.mark.parametrize(("bits", "there"), [(16, False), (24, True), (0, True)])
def test_the_noise_of_the_last_bit_is_no_event(calls, bits, there):
    faint = sine(500, 2.0**-17) + sine(2100, 2.0**-17)
    separation = guided(faint, calls)
    last_bit = 2.0 ** (1 - bits) if bits else 0.0
    assert bool(EXPORTS.load("labels").encode(separation, RATE, 0.0, last_bit=last_bit)) == there
    assert missing(separation, RATE, last_bit) == ([] if there else ["a", "b"])


def test_labels_and_notes_end_with_the_sound(tmp_path):
    seconds = 1.003
    sound = 0.2 * np.sin(np.arange(int(seconds * RATE)))
    separation = pipeline.separate(Audio(sound[None].astype(np.float32), RATE), Settings(components=1, n_fft=1024))[0]
    (region,) = parse(EXPORTS.load("labels").encode(separation, RATE, 2.0, seconds=seconds), "labels")
    assert region.end == pytest.approx(2 + seconds, abs=1e-6)
    assert max(note.end for note in played(separation, tmp_path / "m.mid", seconds=seconds)) <= seconds + 1e-3


def loop():
    """A kick and a snare that take turns, and a hat every eighth of a second: sources (3, samples)."""
    t, rng = np.arange(2 * RATE) / RATE, np.random.default_rng(0)
    kick = np.sin(2 * np.pi * 60 * (t % 0.5)) * np.exp(-15 * (t % 0.5))
    snare = rng.standard_normal(len(t)) * np.exp(-25 * ((t - 0.25) % 0.5)) * (t > 0.25)
    hat = np.diff(rng.standard_normal(len(t) + 2), 2) * np.exp(-60 * (t % 0.125)) * (0.3 + 0.7 * (t % 0.25 < 0.125))
    return np.stack([0.5 * kick, 0.1 * snare, 0.05 * hat])


@pytest.mark.parametrize(
    "names", [("Kick_in", "snare top", "hi-hat"), ("bass drum", "Clap", "HiHat 2"), ("tom", "ride", "Crash")]
)
def test_a_drum_is_a_note_of_its_key_for_each_stroke(names, tmp_path):
    keys = {"Kick_in": 36, "bass drum": 36, "tom": 45, "snare top": 38, "Clap": 39, "ride": 51}
    keys |= {"hi-hat": 42, "HiHat 2": 42, "Crash": 49}
    sources = loop()
    alone = {name: Audio(source[None].astype(np.float32), RATE) for name, source in zip(names, sources, strict=True)}
    notes = played(guided(sources.sum(axis=0), learn(alone)), tmp_path / "m.mid")
    assert all(note.drum for note in notes)
    begins = (np.arange(4) / 2, 0.25 + np.arange(4) / 2, np.arange(16) / 8)
    for name, true in zip(names, begins, strict=True):
        mine = [note for note in notes if note.stem == name]
        assert {note.pitch for note in mine} == {keys[name]}
        np.testing.assert_allclose([note.begin for note in mine], true, atol=0.04)
    loud = [note.velocity for note in notes if note.stem == names[2]]
    assert min(loud[::2]) > max(loud[1::2])  # every second stroke of the hat is weaker
    assert max(note.velocity for note in notes) == 127


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("kick", 36), ("Kick 2", 36), ("BD", 36), ("bass-drum", 36), ("snares", 38), ("rimshot", 37), ("claps", 39),
        ("hihat", 42), ("hi-hat", 42), ("Hi Hat", 42), ("closed_hihat", 42), ("hh", 42), ("open hi-hat", 46),
        ("OpenHat", 46), ("pedal hat", 44), ("tom", 45), ("toms", 45), ("low tom", 45), ("hi-tom", 50), ("mid tom", 47),
        ("floor tom", 41), ("crash cymbal", 49), ("ride", 51), ("ride bell", 53), ("cowbell", 56), ("tambourine", 54),
        ("drums", 0), ("Drum Kit", 0), ("bass", None), ("bride", None), ("atom", None), ("that", None),
        ("guitar", None), ("component-1", None), ("what", None), ("", None),
    ],
)  # fmt: skip
def test_names_of_drums(name, key):
    assert key_of(name) == key


def test_a_kit_has_the_keys_of_what_it_sounds_like(tmp_path):
    sources = loop()
    alone = {"drums": Audio(sources.sum(axis=0, keepdims=True).astype(np.float32), RATE)}
    separation = guided(sources.sum(axis=0), learn(alone), free=2)
    notes = [note for note in played(separation, tmp_path / "m.mid") if note.stem == "drums"]
    assert all(note.drum for note in notes)
    assert {36, 38, 42} & {note.pitch for note in notes}
