"""Separation by a score: stems are its tracks or pitches, wherever and however fast it is played."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

mido = pytest.importorskip("mido")

from nmfsep import separate  # noqa: E402
from nmfsep.errors import UsageError  # noqa: E402
from nmfsep.guidance.alignment import align  # noqa: E402
from nmfsep.guidance.guide import Guide  # noqa: E402
from nmfsep.guidance.midi_cue import Scores  # noqa: E402
from nmfsep.guidance.notes import Note, read_notes  # noqa: E402
from nmfsep.signal.audio import Audio  # noqa: E402

RATE = 8000
FLUTE, BASS = (72, 76, 74, 79, 77, 72, 71, 76), (48, 43, 45, 41, 50, 43, 47, 48)


def tune(offset=0.0, tempo=1.0, seconds=5.0):
    """A flute over a bass, the notes half a second each: sources (2, samples)."""
    t = np.arange(int(seconds * RATE)) / RATE
    sources = np.zeros((2, len(t)))
    for source, pitches, shift in ((0, FLUTE, 0.0), (1, BASS, 0.25)):
        for i, pitch in enumerate(pitches):
            begin = offset + tempo * (0.5 * i + shift)
            since = t - begin
            envelope = np.clip(since / 0.01, 0, 1) * np.clip((tempo * 0.48 - since) / 0.02, 0, 1)
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(np.sin(2 * np.pi * h * hertz * since) / h**2 for h in range(1, 8) if h * hertz < RATE / 2)
            sources[source] += (0.1 + 0.1 * source) * envelope * tone
    return sources.astype(np.float32)


def notes():
    return [
        Note(stem, pitch, 0.5 * i + shift, 0.5 * i + shift + 0.48, 90, False)
        for stem, pitches, shift in (("flute", FLUTE, 0.0), ("bass", BASS, 0.25))
        for i, pitch in enumerate(pitches)
    ]


def write(path, tracks, kind=1):
    """Write a MIDI file of tracks, each a name and (pitch, begin, end, channel), in beats of half a second."""
    file = mido.MidiFile(type=kind, ticks_per_beat=100)
    for name, played in tracks:
        track = file.add_track(name)
        events = [(begin, "note_on", pitch, channel) for pitch, begin, end, channel in played]
        events += [(end, "note_off", pitch, channel) for pitch, begin, end, channel in played]
        tick = 0
        for when, kind_of, pitch, channel in sorted(events):
            track.append(mido.Message(kind_of, note=pitch, channel=channel, time=round(when * 100) - tick))
            tick = round(when * 100)
    file.save(path)
    return str(path)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    tracks = [
        ("flute", [(pitch, i, i + 0.96, 0) for i, pitch in enumerate(FLUTE)]),
        ("bass", [(pitch, i + 0.5, i + 1.46, 1) for i, pitch in enumerate(BASS)]),
    ]
    return write(tmp_path_factory.mktemp("score") / "tune.mid", tracks)


def sdr(reference, estimate):
    return float(10 * np.log10(np.sum(reference**2) / np.sum((estimate - reference) ** 2)))


@pytest.mark.parametrize(("offset", "tempo"), [(0.0, 1.0), (0.7, 1.0), (0.3, 1.12)])
def test_tracks_come_apart_wherever_and_however_fast_they_are_played(score, offset, tempo):
    sources = tune(offset, tempo)
    mixture = Audio(sources.sum(axis=0), RATE)
    stems = separate(mixture, midi=score)
    assert stems.names == ("flute", "bass")
    gains = [sdr(s, e[0]) - sdr(s, mixture.samples[0]) for s, e in zip(sources, stems.samples, strict=True)]
    assert min(gains) > 10
    np.testing.assert_allclose(stems.samples.sum(axis=0), mixture.samples, atol=1e-6)


@pytest.mark.parametrize(("offset", "tempo"), [(0.0, 1.0), (1.3, 1.0), (-1.4, 1.0), (0.4, 0.9), (0.2, 1.15)])
def test_a_score_is_found_in_the_sound(offset, tempo):
    samples = tune(offset, tempo).sum(axis=0, keepdims=True)
    found = align(notes(), samples, RATE)
    begins = np.array([note.begin for note in notes()])
    true = offset + tempo * begins
    heard = (true > 0.2) & (true < 4.5)
    assert np.abs(found(begins) - true)[heard].max() < 0.06


def test_drift_is_followed():
    at = np.arange(16 * RATE) / RATE
    turns = [Note(n.stem, n.pitch, n.begin + 4 * i, n.end + 4 * i, 90, False) for i in range(4) for n in notes()]
    steady = sum(tune(offset=4.0 * i, seconds=16.0) for i in range(4)).sum(axis=0)
    warped = np.interp(at + 0.2 * np.sin(2 * np.pi * at / 16), at, steady)[None].astype(np.float32)
    begins = np.arange(0.5, 15.5, 0.5)
    heard = align(turns, warped, RATE)(begins)
    assert np.abs(heard + 0.2 * np.sin(2 * np.pi * heard / 16) - begins).max() < 0.15  # a straight line misses by 0.36


def test_pitches_are_stems(score):
    sources = tune()
    stems = separate(Audio(sources.sum(axis=0), RATE), midi=score, midi_by="pitch", max_iter=3)
    assert set(stems.names) == {"C5", "E5", "D5", "G5", "F5", "B4", "C3", "G2", "A2", "F2", "D3", "B2"}


def test_one_file_a_stem_and_one_stem_with_a_rest(score):
    mixture = Audio(tune().sum(axis=0), RATE)
    assert separate(mixture, midi={"all": score}, max_iter=2).names == ("all", "residual")
    with pytest.raises(UsageError, match="pitches of one file; give one, without NAME="):
        separate(mixture, midi={"all": score}, midi_by="pitch")


def test_drums_have_no_pitch(tmp_path):
    rng = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    clicks = 0.2 * rng.standard_normal(len(t)) * np.exp(-30 * (t % 0.5))
    tone = 0.1 * np.sin(2 * np.pi * 440 * t) * (t % 1 < 0.6)
    path = write(
        tmp_path / "beat.mid",
        [("beat", [(38, i, i + 0.1, 9) for i in range(8)]), ("tone", [(69, 2 * i, 2 * i + 1.2, 0) for i in range(4)])],
    )
    assert [note.drum for note in read_notes(path, None, "track")[:2]] == [True, False]
    sources = np.stack([clicks, tone]).astype(np.float32)
    stems = separate(Audio(sources.sum(axis=0), RATE), midi=path)
    assert min(sdr(s, e[0]) for s, e in zip(sources, stems.samples, strict=True)) > 6


def test_channels_of_one_track_are_stems_and_names_are_made_unique(tmp_path):
    one = write(tmp_path / "one.mid", [("", [(60, 0, 1, 0), (64, 1, 2, 3), (38, 2, 3, 9)])], kind=0)
    assert {note.stem for note in read_notes(one, None, "track")} == {"channel-1", "channel-4", "drums"}
    two = write(tmp_path / "two.mid", [("a/b", [(60, 0, 1, 0)]), ("A_B", [(64, 1, 2, 0)]), ("", [(65, 1, 2, 0)])])
    assert [note.stem for note in read_notes(two, None, "track")] == ["a_b", "A_B-2", "track-3"]


def test_silence_has_nothing_of_a_score(score):
    stems = separate(Audio(np.zeros((1, 4000), np.float32), RATE), midi=score, max_iter=2)
    assert not stems.samples.any()


def test_tempo_changes_in_any_track_count(tmp_path):
    file = mido.MidiFile(ticks_per_beat=100)
    first, second = file.add_track("tempo"), file.add_track("notes")
    first.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=100))
    second += [mido.Message("note_on", note=60, time=200), mido.Message("note_on", note=60, velocity=0, time=100)]
    second.append(mido.Message("note_on", note=62))
    file.save(tmp_path / "m.mid")
    found = read_notes(str(tmp_path / "m.mid"), None, "track")
    assert [(note.begin, note.end) for note in found] == [(1.5, 2.5), (2.5, 4.5)]


def played(tmp_path, *tracks, tempo=500_000):
    """Return pitch, begin and end of notes of tracks of (tick, kind, values), a tick being a hundredth of a beat."""
    file = mido.MidiFile(ticks_per_beat=100)
    for number, events in enumerate(tracks):
        track, tick = file.add_track(f"t{number}"), 0
        for when, kind, *values in events:
            channel = 1 if kind.endswith("'") else 0
            names = {
                "on": ("note_on", "note"),
                "off": ("note_off", "note"),
                "cc": ("control_change", "control", "value"),
                "tempo": ("set_tempo", "tempo"),
            }[kind.rstrip("'")]
            build = mido.MetaMessage if kind == "tempo" else mido.Message
            where = {} if kind == "tempo" else {"channel": channel}
            track.append(build(names[0], **dict(zip(names[1:], values, strict=True)), **where, time=when - tick))
            tick = when
    file.save(tmp_path / "m.mid")
    return [(n.pitch, n.begin, n.end) for n in read_notes(str(tmp_path / "m.mid"), None, "track")]


NOTE = [(0, "on", 60), (100, "off", 60)]  # half a second


@pytest.mark.parametrize(
    ("tracks", "end"),
    [
        ([NOTE], 0.5),
        ([[(0, "cc", 64, 127), *NOTE, (300, "cc", 64, 0)]], 1.5),
        ([[(0, "cc", 64, 64), *NOTE, (300, "cc", 64, 63)]], 1.5),  # half way
        ([[(0, "cc", 64, 63), *NOTE, (300, "cc", 64, 0)]], 0.5),
        ([[*NOTE, (101, "cc", 64, 127), (300, "cc", 64, 0)]], 0.5),  # too late
        ([[NOTE[0], (50, "cc", 64, 127), NOTE[1], (200, "cc", 64, 90), (300, "cc", 64, 0)]], 1.5),  # and down again
        ([[(0, "cc", 64, 127), NOTE[0], (50, "cc", 64, 0), NOTE[1]]], 0.5),  # the key holds it
        ([[(0, "cc", 64, 127), *NOTE, (200, "on", 60), (210, "off", 60), (400, "cc", 64, 0)]], 1.0),  # struck again
        ([[(0, "cc", 64, 127), *NOTE, (200, "on", 62), (210, "off", 62), (400, "cc", 64, 0)]], 2.0),  # another key is
        ([[(0, "cc", 64, 127), *NOTE, (500, "cc", 7, 100)]], 2.5),  # never up: to the end
        ([NOTE, [(0, "cc", 64, 127), (300, "cc", 64, 0)]], 1.5),  # of the channel, in another track
        ([NOTE, [(0, "cc'", 64, 127), (300, "cc'", 64, 0)]], 0.5),  # of another channel
        ([[(0, "cc", 64, 127), *NOTE, (300, "cc", 121, 0)]], 1.5),
        ([[(0, "cc", 64, 127), *NOTE, (300, "cc", 120, 0), (500, "cc", 64, 0)]], 1.5),
        ([[(0, "cc", 64, 127), *NOTE, (200, "cc", 123, 0), (300, "cc", 64, 0)]], 1.5),
        ([[NOTE[0], (60, "cc", 123, 0), NOTE[1]]], 0.3),
        ([[NOTE[0], (50, "cc", 66, 127), NOTE[1], (300, "cc", 66, 0)]], 1.5),
        ([[(0, "cc", 66, 127), (1, "on", 60), (101, "off", 60), (300, "cc", 66, 0)]], 0.505),  # began after it was down
        ([[(0, "cc", 64, 127), *NOTE, (200, "tempo", 1_000_000), (300, "cc", 64, 0)]], 2.0),
        ([[(0, "on", 60), (0, "off", 60)]], 2.0),
        ([[(0, "on", 60), (1, "off", 60)]], 2.0),
        ([[(0, "on", 60), (0, "off", 60), (100, "on", 62), (100, "off", 62), (300, "on", 60), (300, "off", 60)]], 1.5),
        ([[(0, "on", 60), (0, "off", 60), (0, "on", 60), (0, "off", 60)]], 2.0),
        ([[(0, "on", 60), (200, "on", 62)]], 2.0),
        ([[(0, "off", 60), (0, "on", 60)]], 2.0),
        ([[(0, "on", 60), (4, "off", 60)]], 0.02),
    ],
)
def test_notes_sound_as_long_as_pedals_and_strings_let_them(tmp_path, tracks, end):
    pitch, begin, found = played(tmp_path, *tracks)[0]
    assert (pitch, found) == (60, pytest.approx(end))
    assert begin in (0, 0.005)


@pytest.mark.parametrize("kind", ["pedal", "no length"])
def test_strings_that_ring_on_come_apart(tmp_path, kind):
    t = np.arange(6 * RATE) / RATE
    sources, tracks = np.zeros((2, len(t))), [[], []]
    for source, (pitches, step) in enumerate([((66, 70, 73, 78, 70, 66), 1.0), ((45, 40, 43), 2.0)]):
        for i, pitch in enumerate(pitches):
            since, hertz = t - i * step, 440 * 2 ** ((pitch - 69) / 12)
            tone = sum(np.sin(2 * np.pi * h * hertz * since) / h**2 for h in range(1, 6))
            sources[source] += 0.1 * (since >= 0) * (since < 2) * np.exp(-1.5 * np.maximum(since, 0)) * tone
            tick = round(200 * i * step)
            name = "'" * source
            tracks[source] += [(tick, "on" + name, pitch), (tick + 20 * (kind == "pedal"), "off" + name, pitch)]
        if kind == "pedal":
            at = range(0, 1200, round(200 * step))
            tracks[source] += [(tick + 10, "cc" + name, 64, 127) for tick in at]
            tracks[source] += [(tick + 400, "cc" + name, 64, 0) for tick in at[::2]]
            tracks[source].sort(key=lambda event: event[0])
    played(tmp_path, *tracks)
    mixture = Audio(sources.sum(axis=0, keepdims=True).astype(np.float32), RATE)
    stems = separate(mixture, midi=str(tmp_path / "m.mid"))
    found = [stems.samples[stems.names.index(f"t{number}")][0] for number in range(2)]
    gains = [sdr(s, e) - sdr(s, mixture.samples[0]) for s, e in zip(sources, found, strict=True)]
    assert min(gains) > 12


@pytest.mark.parametrize(
    "event",
    [
        b"\xff\x59\x02\x08\x00", b"\xff\x59\x02\x00\x07", b"\xff\x59\x00", b"\xff\x58\x01\x04",
        b"\xff\x58\x04\x04\xff\x18\x08", b"\xff\x54\x05\xff\xff\xff\xff\xff", b"\xff\x20\x00",
        b"\xff\x08\x02ab", b"\xff\x6a\x00",
    ],
)  # fmt: skip
def test_what_says_nothing_of_notes_may_make_no_sense(tmp_path, event):
    track = b"\x00\xff\x51\x03\x07\xa1\x20" + b"\x64" + event  # a beat, and something odd
    track += b"\x00\x90\x3c\x50\x64\x3c\x00\x00\xff\x2f\x00"  # and a note of a beat, in running status
    head = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x64MTrk" + len(track).to_bytes(4, "big")
    (tmp_path / "m.mid").write_bytes(head + track)
    (note,) = read_notes(str(tmp_path / "m.mid"), None, "track")
    assert (note.pitch, note.begin, note.end) == (60, 0.5, 1.0)


def test_a_tempo_without_a_value_is_refused(tmp_path):
    (tmp_path / "m.mid").write_bytes(
        b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x64MTrk\x00\x00\x00\x04\x00\xff\x51\x00"
    )
    with pytest.raises(UsageError, match="is not a MIDI file, or is damaged"):
        read_notes(str(tmp_path / "m.mid"), None, "track")


def test_bad_files_are_refused_in_words(tmp_path, score):
    whole = Path(score).read_bytes()
    cases = {
        "empty": (b"", "is not a MIDI file"),
        "text": (b"MThd but no", "is not a MIDI file"),
        "cut": (whole[:60], "is not a MIDI file"),
        "wave": (b"RIFF" + bytes(100), "is not a MIDI file"),
        "film": (whole[:12] + b"\xe7\x28" + whole[14:], "counts time in frames of film"),
        "none": (whole[:10] + b"\x00\x00" + whole[12:14], "has no notes"),
        "two": (whole[:8] + b"\x00\x02" + whole[10:], "type 2"),
        "large": (bytes((1 << 24) + 1), "is larger than 16 MB"),
    }
    for name, (data, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UsageError, match=words) as caught:
            read_notes(str(path), None, "track")
        assert caught.value.path == str(path)
    with pytest.raises(UsageError, match="no such file or directory; check the name"):
        read_notes(str(tmp_path / "missing"), None, "track")


def test_damaged_files_never_break_anything_else(tmp_path, score):
    whole = Path(score).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(damaged), 4):
            damaged[place] = rng.integers(256)
        (tmp_path / "m").write_bytes(damaged)
        with contextlib.suppress(UsageError):  # which is all that may come
            read_notes(str(tmp_path / "m"), None, "track")


def test_stems_of_two_files_must_differ(score):
    with pytest.raises(UsageError, match="both have a stem 'flute'; give each a name"):
        Guide((Scores.read([score, score], {}),))
