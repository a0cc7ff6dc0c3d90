"""What the activations say, as MIDI and as labels."""

import numpy as np
import pytest

from nmfsep.registry import EXPORTS
from nmfsep.separation.cues.labels import parse
from nmfsep.separation.cues.midi import read_notes
from nmfsep.separation.pipeline import analyse
from nmfsep.settings import Settings
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
    return analyse(audio, Settings(components=2, n_fft=1024))


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
    silence = analyse(Audio(np.zeros((1, 4000), np.float32), RATE), Settings(components=2))
    assert len(export.encode(silence, RATE, 0.0)) < 100


def test_noise_has_no_pitch(tmp_path):
    pytest.importorskip("mido")
    rng = np.random.default_rng(0)
    t = np.arange(2 * RATE) / RATE
    hits = 0.3 * rng.standard_normal(len(t)) * np.exp(-30 * (t % 0.5))
    separation = analyse(Audio(hits[None].astype(np.float32), RATE), Settings(components=1, n_fft=512))
    (tmp_path / "m.mid").write_bytes(EXPORTS.load("midi").encode(separation, RATE, 0.0))
    notes = read_notes(str(tmp_path / "m.mid"), None, "track")
    assert all(note.drum for note in notes)
    np.testing.assert_allclose([note.begin for note in notes], [0, 0.5, 1, 1.5], atol=0.06)
