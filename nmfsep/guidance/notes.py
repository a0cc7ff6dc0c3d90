"""Notes of MIDI files, read with mido, as long as they sound; whatever is wrong with a file is said in a line.

A note sounds until its key goes up; under a pedal, until that goes up or the key is struck again. One that has no
length, as trackers and drum machines write them, or never ends, rings until its key is struck again, and no longer than
RINGING.
"""

from __future__ import annotations

import bisect
import contextlib
import io
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError, install_command
from ..signal.pitch import note_name
from .cue import read_bytes

LARGEST = 1 << 24  # bytes of a file
NOTES = 200_000  # of a file
LONGEST = 86_400.0  # seconds of a score
DRUMS = 9  # the channel of General MIDI drums, counted from 0
META, SYSEX = 0xFF, (0xF0, 0xF7)
NAME, END, TEMPO, OWN = 0x03, 0x2F, 0x51, 0x7F  # meta events that count, and the one that means anything
SHORTEST = 0.015  # seconds up to which a note has no length
RINGING = 2.0  # seconds that a note without a length, or without an end, rings at the most
SUSTAIN, SOSTENUTO, SOUND_OFF, RESET, NOTES_OFF = 64, 66, 120, 121, range(123, 128)  # controllers
DOWN = 64  # value from which on a pedal is down
INVALID = "give a standard MIDI file (.mid)"
Key = tuple[int, int]  # track and pitch


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a stem."""

    stem: str
    pitch: int  # MIDI number; of a drum, which one
    begin: float  # seconds of the score
    end: float
    velocity: int  # from 1 to 127
    drum: bool


def read_notes(path: str, name: str | None, by: str) -> list[Note]:
    """Return the notes of a MIDI file, in order of time.

    Parameters
    ----------
    path : str
    name : str or None
        The stem that they all are; else stems are as `by` says.
    by : {"track", "pitch"}
        In a file of one track, that of several channels are taken for tracks.

    Raises
    ------
    UsageError
        mido is not installed, the file is no MIDI file, is damaged or too large, or has no notes.
    """
    file = _open(path)
    messages = _messages(file, path)
    seconds, played = _clock(messages, file.ticks_per_beat), _play(messages)
    if not played:
        raise UsageError("has no notes", "give a MIDI file with notes", path)
    if len(played) > NOTES:
        raise UsageError(f"has more than {NOTES} notes", "cut it", path)
    names = _names(file, played) if name is None and by == "track" else {}
    notes = []
    for note, end in zip(played, _ends(played, seconds), strict=True):
        drum = note.channel == DRUMS
        if name is not None:
            stem = name
        elif by == "track":
            stem = names[note.track, note.channel if (note.track, note.channel) in names else None]
        else:
            stem = f"drum-{note.pitch}" if drum else note_name(note.pitch)
        notes.append(Note(stem, note.pitch, seconds(note.begin), end, note.velocity, drum))
    if max(note.end for note in notes) > LONGEST:
        raise UsageError("lasts more than a day", "cut it", path)
    return sorted(notes, key=lambda note: (note.begin, note.pitch, note.stem))


def _open(path: str) -> Any:
    """Return the file as mido reads it."""
    try:
        import mido
    except ImportError as error:
        raise UsageError(
            "reading MIDI needs mido", f"install it: {install_command('mido', extra='midi')}", path
        ) from error
    data = read_bytes(path, LARGEST, "score", "MIDI file")
    try:
        try:
            file = mido.MidiFile(file=io.BytesIO(data), clip=True)
            odd = any(message.type == "unknown_meta" for track in file.tracks for message in track)
        except Exception:
            odd = True
        if odd:
            file = mido.MidiFile(file=io.BytesIO(_plain(data)), clip=True)
    except MemoryError:
        raise
    except Exception as error:  # mido lets errors of any kind through
        damaged = ", or is damaged" if data.startswith(b"MThd") else ""
        raise UsageError(f"is not a MIDI file{damaged}", INVALID, path) from error
    if file.type == 2 or not 1 <= file.ticks_per_beat < 1 << 15:
        kind = "is a MIDI file of type 2" if file.type == 2 else "counts time in frames of film, not in beats"
        raise UsageError(f"{kind}, which is not known", "export it as type 1", path)
    return file


def _plain(data: bytes) -> bytes:
    """Return a file in which meta events that say nothing of notes are of a kind whose contents mean nothing.

    mido stops at some that make no sense, such as a key of eight sharps, and loses the time before those that it does
    not know.
    """
    plain, at = bytearray(data), 8 + int.from_bytes(data[4:8], "big")
    while at + 8 <= len(data):
        at, end, running = at + 8, at + 8 + int.from_bytes(data[at + 4 : at + 8], "big"), 0
        while at < end:
            _, at = _varying(data, at)
            status = data[at] if data[at] & 0x80 else running
            at += data[at] >> 7
            if status == META:
                if data[at] not in (NAME, END, TEMPO):
                    plain[at] = OWN
                at += 1
            if status == META or status in SYSEX:
                length, at = _varying(data, at)
            else:
                length, running = (1 if status >> 4 in (0xC, 0xD) else 2), status
            at += length
    return bytes(plain)


def _varying(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of as many bytes as it takes, and where the next begins."""
    number = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        number = number << 7 | data[at] & 0x7F
    return number, at + 1


def _messages(file: Any, path: str) -> list[tuple[int, int, Any]]:
    """Return tick, track and message, in order of time."""
    messages = []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            if message.time < 0:
                raise UsageError("is not a MIDI file, or is damaged", INVALID, path)
            tick += message.time
            messages.append((tick, number, message))
    return sorted(messages, key=lambda entry: entry[0])


def _clock(messages: Sequence[tuple[int, int, Any]], ticks_per_beat: int) -> Callable[[int], float]:
    """Return the function from ticks to seconds, by the changes of tempo in all tracks."""
    changes = {0: 500_000}
    changes |= {tick: max(1, message.tempo) for tick, _, message in messages if message.type == "set_tempo"}
    ticks = list(changes)
    rates = [tempo / 1e6 / ticks_per_beat for tempo in changes.values()]
    times = [0.0]
    for i in range(1, len(ticks)):
        times.append(times[-1] + (ticks[i] - ticks[i - 1]) * rates[i - 1])

    def seconds(tick: int) -> float:
        i = bisect.bisect_right(ticks, tick) - 1
        return float(times[i] + (tick - ticks[i]) * rates[i])

    return seconds


@dataclass(slots=True, eq=False)
class _Played:
    """A note in ticks; one that never ends has no end."""

    track: int
    channel: int
    pitch: int
    velocity: int
    begin: int
    end: int | None = None

    @property
    def key(self) -> Key:
        return self.track, self.pitch


@dataclass(slots=True)
class _Channel:
    """The keys that are pressed in a channel, those that a pedal lets ring, and the pedals."""

    pressed: dict[Key, deque[_Played]] = field(default_factory=lambda: defaultdict(deque))
    ringing: dict[Key, _Played] = field(default_factory=dict)
    sustain: bool = False
    sostenuto: int | None = None  # since when it is down; it holds what was there then

    def strike(self, note: _Played) -> None:
        """Begin a note; one of that key that rings ends."""
        self._end(note.key, note.begin)
        self.pressed[note.key].append(note)

    def release(self, key: Key, tick: int) -> None:
        """Let a key go, which may not be pressed at all."""
        if self.pressed[key]:
            self._end(key, tick)
            self.ringing[key] = self.pressed[key].popleft()
            self._damp(tick)

    def control(self, number: int, value: int, tick: int) -> None:
        """Move a pedal, or end all notes."""
        down = value >= DOWN and number != RESET
        if number in (SUSTAIN, RESET):
            self.sustain = down
        if number in (SOSTENUTO, RESET) and down != (self.sostenuto is not None):
            self.sostenuto = tick if down else None
        if number == SOUND_OFF or number in NOTES_OFF:
            for key in [key for key, notes in self.pressed.items() for _ in notes]:
                self.release(key, tick)
        self._damp(tick)
        if number == SOUND_OFF:
            for key in list(self.ringing):
                self._end(key, tick)

    def _damp(self, tick: int) -> None:
        """End what rings and no pedal holds."""
        if not self.sustain:
            for key, note in list(self.ringing.items()):
                if self.sostenuto is None or note.begin > self.sostenuto:
                    self._end(key, tick)

    def _end(self, key: Key, tick: int) -> None:
        if key in self.ringing:
            self.ringing.pop(key).end = tick


def _play(messages: Sequence[tuple[int, int, Any]]) -> list[_Played]:
    """Return the notes of all tracks, in order of time; a pedal in any track counts for all notes of its channel."""
    found: list[_Played] = []
    channels = [_Channel() for _ in range(16)]
    tick = 0
    for tick, track, message in messages:
        if message.type == "control_change":
            channels[message.channel].control(message.control, message.value, tick)
        elif message.type == "note_on" and message.velocity:
            found.append(_Played(track, message.channel, message.note, message.velocity, tick))
            channels[message.channel].strike(found[-1])
        elif message.type in ("note_on", "note_off"):
            channels[message.channel].release((track, message.note), tick)
    for channel in channels:  # a pedal that never goes up holds notes until the end
        for note in channel.ringing.values():
            note.end = tick
    return found


def _ends(notes: Sequence[_Played], seconds: Callable[[int], float]) -> Iterator[float]:
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


def _names(file: Any, played: Sequence[_Played]) -> dict[tuple[int, int | None], str]:
    """Return what the stems of tracks are called, or of channels where there is but one track with notes."""
    tracks = sorted({note.track for note in played})
    channels = sorted({note.channel for note in played})
    called: dict[tuple[int, int | None], str]
    if len(tracks) == 1 and len(channels) > 1:
        called = {(tracks[0], c): "drums" if c == DRUMS else f"channel-{c + 1}" for c in channels}
    else:
        called = {(track, None): _decoded(file.tracks[track].name) or f"track-{track + 1}" for track in tracks}
    taken: set[str] = set()
    for key, name in called.items():
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        called[key] = unique
    return called


def _decoded(name: str) -> str:
    """Return the name of a track, which is mostly UTF-8 where it is not ASCII, as one of a stem."""
    with contextlib.suppress(UnicodeError):
        name = name.encode("latin-1").decode("utf-8")
    kept = "".join("_" if c in "/\\" or not c.isprintable() else c for c in name).strip()[:100]
    return kept if kept.strip(". ") else ""
