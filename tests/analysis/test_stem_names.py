import pytest

from nmfsep.analysis.stem_names import sounds_like, titles


def about(centre=440.0, midi=None, percussiveness=0.1):
    pitch = None if midi is None else {"midi": midi, "hertz": 440 * 2 ** ((midi - 69) / 12)}
    return {"centre": centre, "pitch": pitch, "percussiveness": percussiveness}


@pytest.mark.parametrize(
    ("stem", "single", "said"),
    [
        (about(midi=69), True, "A4"),
        (about(midi=70, percussiveness=0.8), True, "Bb4"),  # a plucked note
        (about(midi=21), True, "A0"),
        (about(97, midi=35, percussiveness=0.8), True, "low-drum-97Hz"),  # a kick drum has a pitch
        (about(midi=69), False, "mid-440Hz"),  # which plays other notes, too
        (about(194, percussiveness=0.6), True, "mid-drum-190Hz"),
        (about(8581.0, percussiveness=0.8), True, "high-drum-8600Hz"),
        (about(10049.0), False, "high-10000Hz"),
        (about(0.0), True, "silent"),
    ],
)
def test_a_stem_is_named_by_its_note_or_by_its_height(stem, single, said):
    assert sounds_like(stem, single) == said


def test_only_what_is_merely_numbered_gets_another_name():
    names = ("band", "component-2", "group-12", "component-4", "residual")
    found = titles(names, [about(midi=60)] * 4 + [{}], [True] * 5)
    assert found == ("band", "2-C4", "12-C4", "4-C4", "residual")


def test_no_two_stems_get_one_name():
    names = ("1-c4", "component-1", "group-2", "component-2")
    found = titles(names, [about(midi=60)] * 4, [True] * 4)
    assert found == ("1-c4", "component-1", "2-C4", "component-2")
