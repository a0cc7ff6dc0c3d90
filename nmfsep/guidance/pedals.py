"""Durations of the notes of a score, with its pedals.

A note sounds until its key goes up; under a pedal, until that goes up or the key is struck again. One that has no
length, as trackers and drum machines write them, or never ends, rings until its key is struck again, and no longer than
RINGING.
"""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SHORTEST = 0.015  # seconds up to which a note has no length
RINGING = 2.0  # seconds that a note without a length, or without an end, rings at the most
SUSTAIN, SOSTENUTO, SOUND_OFF, RESET, NOTES_OFF = 64, 66, 120, 121, range(123, 128)  # controllers
DOWN = 64  # value from which on a pedal is down


Key = tuple[int, int]


@dataclass(slots=True, eq=False)
class Played:
    """A note in ticks; one that never ends has no end."""

    track: int
    channel: int
    pitch: int
    velocity: int
    begin: int
    end: int | None = None

    @property
    def key(self) -> Key:
        """Its track and pitch."""
        return self.track, self.pitch


@dataclass(slots=True)
class _Channel:
    """The keys that are pressed in a channel, those that a pedal lets ring, and the pedals."""

    pressed: dict[Key, deque[Played]] = field(default_factory=lambda: defaultdict(deque))
    ringing: dict[Key, Played] = field(default_factory=dict)
    sustain: bool = False
    sostenuto: int | None = None  # since when it is down; it holds what was there then

    def strike(self, note: Played) -> None:
        """Begin a note; one of that key that rings ends."""
        self._end(note.key, note.begin)
        self.pressed[note.key].append(note)

    def release(self, key: Key, tick: int) -> None:
        """Let a key go, which may not be pressed at all."""
        if self.pressed[key]:
            self._end(key, tick)
            self.ringing[key] = self.pressed[key].popleft()
            self.damp(tick)

    def damp(self, tick: int) -> None:
        """End what rings and no pedal holds."""
        if not self.sustain:
            for key, note in list(self.ringing.items()):
                if self.sostenuto is None or note.begin > self.sostenuto:
                    self._end(key, tick)

    def control(self, number: int, value: int, tick: int) -> None:
        """Take note of a controller."""
        down = value >= DOWN and number != RESET
        if number in (SUSTAIN, RESET):
            self.sustain = down
        if number in (SOSTENUTO, RESET) and down != (self.sostenuto is not None):
            self.sostenuto = tick if down else None
        if number == SOUND_OFF or number in NOTES_OFF:
            for key in [key for key, notes in self.pressed.items() for _ in notes]:
                self.release(key, tick)
        self.damp(tick)
        if number == SOUND_OFF:
            for key in list(self.ringing):
                self._end(key, tick)

    def _end(self, key: Key, tick: int) -> None:
        if key in self.ringing:
            self.ringing.pop(key).end = tick


def played(messages: Iterable[tuple[int, int, Any]]) -> list[Played]:
    """Return the notes of all tracks, in order of time; a pedal in any track counts for all notes of its channel.

    Parameters
    ----------
    messages : iterable of (int, int, mido.Message)
        Tick, track and message, in order of time.
    """
    found: list[Played] = []
    channels = [_Channel() for _ in range(16)]
    tick = 0
    for tick, track, message in messages:
        if message.type == "control_change":
            channels[message.channel].control(message.control, message.value, tick)
        elif message.type == "note_on" and message.velocity:
            found.append(Played(track, message.channel, message.note, message.velocity, tick))
            channels[message.channel].strike(found[-1])
        elif message.type in ("note_on", "note_off"):
            channels[message.channel].release((track, message.note), tick)
    for channel in channels:  # a pedal that never goes up holds notes until the end
        for note in channel.ringing.values():
            note.end = tick
    return found


def ends(notes: Sequence[Played], seconds: Callable[[int], float]) -> Iterator[float]:
    """Yield when each note ends, in seconds; notes are in order of time, `seconds` are those of a tick."""
    struck: dict[tuple[int, Key], list[int]] = defaultdict(list)
    for note in notes:
        struck[note.channel, note.key].append(note.begin)
    for note in notes:
        begin = seconds(note.begin)
        if note.end is None or seconds(note.end) - begin < SHORTEST:
            times = struck[note.channel, note.key]
            after = bisect.bisect_right(times, note.begin)
            yield min([begin + RINGING, *map(seconds, times[after : after + 1])])
        else:
            yield seconds(note.end)
