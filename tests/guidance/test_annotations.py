"""Label tracks and tables of other programs say the same."""

from __future__ import annotations

import pytest

from nmfsep.detection.find import Event
from nmfsep.detection.tables import TABLES
from nmfsep.errors import UsageError
from nmfsep.guidance.annotations import Region, parse

WANTED = [Region("wren", 1.5, 2.25, 2000, 8000), Region("owl", 3, 4, 300, 900)]
RAVEN = (
    "Selection\tView\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\n"
    "1\tWaveform 1\t1.5\t2.25\t2000\t8000\twren\n"
    "1\tSpectrogram 1\t1.5\t2.25\t2000\t8000\twren\n"
    "2\tSpectrogram 1\t3\t4\t300\t900\towl\n"
)
AUDACITY = "1,5\t2,25\twren\n\\\t2000,0\t8000,0\n3\t4\towl\n\\\t300\t900\n"


@pytest.mark.parametrize(
    "text", [RAVEN, "\ufeff" + RAVEN, RAVEN.replace("\n", "\r\n"), AUDACITY], ids=["raven", "mark", "windows", "comma"]
)
def test_all_programs_are_understood(text: str) -> None:
    assert parse(text.encode(), "track") == WANTED


def test_birdnet_says_no_frequencies() -> None:
    text = "Start (s),End (s),Scientific name,Common name,Confidence\n0.0,3.0,Troglodytes troglodytes,wren,0.91\n"
    assert parse(text.encode(), "found.csv") == [Region("wren", 0, 3)]


def test_a_bad_line_of_a_table_is_named() -> None:
    with pytest.raises(UsageError, match=r"line 3: 'x' to '2\.25' is no time"):
        parse(RAVEN.replace("1.5", "x", 2).replace("x", "1.5", 1).encode(), "track")


@pytest.mark.parametrize("name", TABLES)
def test_what_is_written_can_be_read(name: str) -> None:
    events = [Event(each.name, each.begin, each.end, each.low, each.high, 0.9, -20.0) for each in WANTED]
    assert parse(TABLES[name]("a,b\t.wav", events).encode(), "track") == WANTED


def test_a_table_of_raven_without_names_is_told_apart_from_a_label_track() -> None:
    text = "\n".join(line.rpartition("\t")[0] for line in RAVEN.splitlines())
    with pytest.raises(UsageError, match="has no column that names what is heard"):
        parse(text.encode(), "track")


def test_a_frequency_of_a_table_that_is_no_number_is_named() -> None:
    with pytest.raises(UsageError, match="line 2: 'low' is no frequency"):
        parse(RAVEN.replace("2000", "low").encode(), "track")
