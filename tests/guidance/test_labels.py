"""Separation by a label track: when sounds are heard, and between which frequencies."""

import math

import numpy as np
import pytest

from nmfsep import separate
from nmfsep.errors import UsageError
from nmfsep.guidance.excerpt_cue import Excerpts
from nmfsep.guidance.guide import FREE, Guide
from nmfsep.guidance.label_cue import Labels, Region, parse
from nmfsep.separation import pipeline
from nmfsep.signal.audio import Audio

RATE = 8000


def sources():
    """A low hum that stops after two seconds, over a rising tone that begins after one."""
    t = np.arange(3 * RATE) / RATE
    hum = 0.2 * (t < 2) * sum(np.sin(2 * np.pi * h * 110 * t) / h for h in range(1, 6))
    chirp = 0.2 * (t >= 1) * np.sin(2 * np.pi * (900 * t + 150 * t**2))
    return np.stack([hum, chirp]).astype(np.float32)


SOURCES = sources()
MIXTURE = Audio(SOURCES.sum(axis=0), RATE)
TRACK = "0\t2\thum\n1\t3\tchirp\n"


def sdr(reference, estimate):
    return float(10 * np.log10(np.sum(reference**2) / np.sum((estimate - reference) ** 2)))


@pytest.fixture
def track(tmp_path):
    path = tmp_path / "track.txt"
    path.write_text(TRACK)
    return path


def test_labelled_sounds_come_apart(track):
    stems = separate(MIXTURE, labels=track)
    assert stems.names == ("hum", "chirp")
    assert min(sdr(s, e[0]) for s, e in zip(SOURCES, stems.samples, strict=True)) > 4
    np.testing.assert_allclose(stems.samples.sum(axis=0), MIXTURE.samples, atol=1e-6)


def test_frequencies_tell_apart_what_is_always_heard_together(tmp_path):
    path = tmp_path / "bands.txt"
    path.write_text("0\t3\thum\n\\\t0\t700\n0\t3\tchirp\n\\\t800\t2500\n")
    stems = separate(MIXTURE, labels=path)
    assert min(sdr(s, e[0]) for s, e in zip(SOURCES, stems.samples, strict=True)) > 12


def test_outside_its_time_a_sound_is_hardly_heard_but_not_cut_off(track):
    stems = separate(MIXTURE, labels=track).samples[:, 0]
    outside = stems[0, int(2.3 * RATE) :]
    assert 0 < np.sum(outside**2) < 0.01 * np.sum(SOURCES[1, int(2.3 * RATE) :] ** 2)


def test_what_is_never_alone_is_learned_beside_what_is(tmp_path):
    t = np.arange(3 * RATE) / RATE
    hum = 0.2 * sum(np.sin(2 * np.pi * h * 110 * t) / h for h in range(1, 6))
    parts = np.stack([hum, 0.2 * (t >= 1) * np.sin(2 * np.pi * (900 * t + 150 * t**2))]).astype(np.float32)
    track = tmp_path / "track.txt"
    track.write_text("0\t3\thum\n1\t3\tchirp\n")
    stems = separate(Audio(parts.sum(axis=0), RATE), labels=track)
    assert min(sdr(s, e[0]) for s, e in zip(parts, stems.samples, strict=True)) > 9


def test_labels_that_are_always_heard_together_are_told():
    def notes(*regions):
        guide = Guide((Labels(regions),), {"max_iter": 2})
        return pipeline.separate(MIXTURE, guide.settings(), guide)[0].warnings

    together = "--labels: 'hum' and 'chirp' are never heard alone, so little tells them apart"
    assert notes(Region("hum", 0, 3), Region("chirp", 0, 3)) == (together,)
    assert notes(Region("hum", 0, 3, 0, 700), Region("chirp", 0, 3, 800, 2500)) == ()
    assert notes(Region("hum", 0, 3), Region("chirp", 1, 3)) == ()


def test_one_label_leaves_a_rest():
    guide = Guide((Labels((Region("hum", 0, 2),)),))
    assert (guide.settings().free, guide.settings().residual) == (FREE, "residual")


def test_a_name_of_another_cue_gets_its_times_from_the_labels():
    cues = (Excerpts({"hum": [(0, 1)], "chirp": [(2, 3)]}), Labels((Region("hum", 0, 2),)))
    guide, plain = Guide(cues, {"max_iter": 20}), Guide(cues[:1], {"max_iter": 20})
    assert guide.labels == ("hum", "chirp")
    energies = []
    for each in (guide, plain):
        separation = pipeline.separate(MIXTURE, each.settings(), each)[0]
        hum = np.concatenate(list(pipeline.render(separation, MIXTURE)), axis=-1)[0, 0, int(2.3 * RATE) :]
        energies.append(np.sum(hum**2))
    assert energies[0] < 0.5 * energies[1]


def test_times_count_from_the_beginning_of_the_file(track):
    guide = Guide((Labels.read([str(track)], {}),), {"max_iter": 10})
    cut = Audio(MIXTURE.samples[:, RATE // 2 :], RATE)
    late = pipeline.separate(cut, guide.settings(), guide, begin=0.5)[0]
    shifted = Guide((Labels((Region("hum", 0, 1.5), Region("chirp", 0.5, 2.5))),), {"max_iter": 10})
    early = pipeline.separate(cut, shifted.settings(), shifted)[0]
    for one, other in zip(pipeline.render(late, cut), pipeline.render(early, cut), strict=True):
        np.testing.assert_array_equal(one, other)


def test_label_tracks_are_understood():
    text = "0.5\t1.25\ta b\n\\\t100\t2000\n\n2\t2\tpoint\r\n\\\t50.5\t-1\n3\t4\tü\n"
    expected = [Region("a b", 0.5, 1.25, 100, 2000), Region("point", 2, 2, 50.5, math.inf), Region("ü", 3, 4)]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert parse(text.encode(encoding), "t") == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no labels; export them from Audacity"),
        (b"0\t1\ta\nhello\n", "line 2: 'hello' is no label; each line is begin, end and name"),
        (b"0 1 a\n", "line 1: .*with tabs between"),
        (b"x\t1\ta\n", "line 1: 'x' to '1' is no time"),
        (b"nan\t1\ta\n", "line 1: 'nan' to '1' is no time"),
        (b"0\tinf\ta\n", "is no time"),
        (b"-1\t1\ta\n", "is no time"),
        (b"2\t1\ta\n", "line 1: ends at 1 s, before it begins at 2 s"),
        (b"0\t1\t \n", "line 1: the label has no name; name it"),
        (b"0\t1\ta/b\n", "line 1: 'a/b' cannot be the name of a stem"),
        (b"\\\t1\t2\n", "line 1: is not the two frequencies of a label"),
        (b"0\t1\ta\n\\\t5\n", "line 2: is not the two frequencies"),
        (b"0\t1\ta\n\\\t500\t100\n", "line 2: the range goes from 500 Hz down to 100 Hz"),
        (b"0\t1\t\xff\n", "line 1: is not UTF-8; save the file as UTF-8"),
        (b"\x00\x01\x02", "is not text"),
        (bytes(range(128, 256)), "is not UTF-8"),
    ],
)
def test_what_is_no_label_track_is_refused_with_its_line(data, words):
    with pytest.raises(UsageError, match=words) as caught:
        parse(data, "track.txt")
    assert caught.value.path == "track.txt"


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Region("a", 5, 6), "'a' is heard from 5 s to 6 s only; what is separated goes from 0 s to 3 s"),
        (Region("a", 0, 1, 5000, 6000), "'a' is above 4000 Hz, where a sound of 8000 Hz ends"),
    ],
)
def test_labels_that_cannot_be_of_the_sound_are_refused(region, words):
    guide = Guide((Labels((region,)),))
    with pytest.raises(UsageError, match=words):
        guide.check(RATE, guide.settings(), 0.0, 3.0)
