"""Sounds of a dictionary are found where they are, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nmfsep
from nmfsep.guidance.dictionary import Dictionary
from nmfsep.settings import DetectSettings

RATE = 8000
TIMES = (0.5, 1.6, 3.1)


def tone(frequency: float, seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return np.asarray(np.sin(2 * np.pi * frequency * t) + 0.4 * np.sin(4 * np.pi * frequency * t), np.float32)


def placed(frequency: float, seconds: float = 0.3, level: float = 0.1, length: float = 4.0) -> np.ndarray:
    sound = np.zeros(int(length * RATE), np.float32)
    for time in TIMES:
        part = tone(frequency, seconds)
        sound[int(time * RATE) : int(time * RATE) + len(part)] += level * part
    return sound


def noise(seconds: float, level: float = 0.02) -> np.ndarray:
    return level * np.random.default_rng(3).standard_normal(int(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def kit() -> Dictionary:
    sounds = {"low": tone(300, 1), "high": tone(1100, 1), "background": noise(3)}
    return nmfsep.learn({name: nmfsep.Audio(sound, RATE) for name, sound in sounds.items()}, components="4")


def test_each_sound_is_found_where_it_is_with_its_frequencies(kit: Dictionary) -> None:
    events = nmfsep.detect(nmfsep.Audio(placed(1100) + noise(4), RATE), kit)
    assert [event.label for event in events] == ["high"] * 3
    assert [event.begin for event in events] == pytest.approx(TIMES, abs=0.04)
    assert [event.end for event in events] == pytest.approx([time + 0.3 for time in TIMES], abs=0.04)
    for event in events:
        assert 1000 < event.low < 1200
        assert 1000 < event.high < 2300
        assert 0.5 <= event.score <= 1
        assert event.level == pytest.approx(10 * np.log10(0.1**2 * 1.16 / 2), abs=1.5)


@pytest.mark.parametrize("sound", [noise(3), np.zeros(3 * RATE, np.float32)], ids=["noise", "silence"])
def test_without_the_sounds_nothing_is_found(kit: Dictionary, sound: np.ndarray) -> None:
    assert nmfsep.detect(nmfsep.Audio(sound, RATE), kit) == []


def test_merge_duration_and_threshold_decide_what_an_event_is(kit: Dictionary) -> None:
    sound = nmfsep.Audio(placed(1100) + noise(4), RATE)
    assert len(nmfsep.detect(sound, kit, DetectSettings(merge=2))) == 1
    assert nmfsep.detect(sound, kit, DetectSettings(min_duration=0.5)) == []
    assert nmfsep.detect(sound, kit, DetectSettings(threshold=0.999)) == []


def test_an_event_across_the_blocks_of_a_long_recording_is_one(kit: Dictionary) -> None:
    sound = noise(20)
    sound[5 * RATE : 15 * RATE] += 0.1 * tone(300, 10)  # longer than a block
    (event,) = nmfsep.detect(nmfsep.Audio(sound, RATE), kit)
    assert (event.label, event.begin, event.end) == ("low", pytest.approx(5, abs=0.04), pytest.approx(15, abs=0.04))


def test_strokes_that_touch_are_events_of_their_own() -> None:
    rng = np.random.default_rng(0)
    stroke = rng.standard_normal(RATE // 4).astype(np.float32) * np.exp(-np.arange(RATE // 4) / (0.04 * RATE))
    hum = tone(200, 1)
    kit = nmfsep.learn({"snare": nmfsep.Audio(np.tile(stroke, 4), RATE), "hum": nmfsep.Audio(hum, RATE)})
    assert [about["struck"] for about in kit.traits] == [True, False]
    events = nmfsep.detect(nmfsep.Audio(np.tile(0.3 * stroke, 6), RATE), kit)
    begins = [event.begin for event in events if event.label == "snare"]
    assert begins == pytest.approx(np.arange(6) / 4, abs=0.05)


def test_a_sound_alone_is_found_in_what_is_not_known(kit: Dictionary) -> None:
    alone = nmfsep.learn({"high": nmfsep.Audio(tone(1100, 1), RATE)}, components="4")
    events = nmfsep.detect(nmfsep.Audio(placed(1100, length=12) + noise(12), RATE), alone)
    assert [event.begin for event in events] == pytest.approx(TIMES, abs=0.05)


def test_a_dictionary_without_thresholds_works(kit: Dictionary) -> None:
    events = nmfsep.detect(nmfsep.Audio(placed(1100) + noise(4), RATE), replace(kit, traits=()))
    assert {"high"} <= {event.label for event in events}
