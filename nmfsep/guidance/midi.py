"""Notes of MIDI files, read with mido, as long as they sound; whatever is wrong with a file is said in a line."""

from __future__ import annotations

import bisect
import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..signal.pitch import note_name
from .pedals import Played, ends, played

LARGEST = 1 << 24  # bytes of a file
NOTES = 200_000  # of a file
LONGEST = 86_400.0  # seconds of a score
DRUMS = 9  # the channel of General MIDI drums, counted from 0
META, SYSEX = 0xFF, (0xF0, 0xF7)
NAME, END, TEMPO, OWN = 0x03, 0x2F, 0x51, 0x7F  # meta events that count, and the one that means anything


@dataclass(frozen=True, slots=True)
class Note:
    """A note of a score.

    Attributes
    ----------
    stem : str
        Whose it is.
    pitch : int
        MIDI number; of a drum, which one.
    begin, end : float
        Seconds of the score.
    velocity : int
        From 1 to 127.
    drum : bool
    """

    stem: str
    pitch: int
    begin: float
    end: float
    velocity: int
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
    clock = _Clock(file)
    raw = played(_messages(file, path))
    if not raw:
        raise UsageError("has no notes", "give a MIDI file with notes", path)
    if len(raw) > NOTES:
        raise UsageError(f"has more than {NOTES} notes", "cut it", path)
    names = _names(file, path, raw) if name is None and by == "track" else {}
    notes = []
    for note, last in zip(raw, ends(raw, clock.seconds), strict=True):
        drum = note.channel == DRUMS
        if name is not None:
            stem = name
        elif by == "track":
            stem = names[note.track, note.channel if (note.track, note.channel) in names else None]
        else:
            stem = f"drum-{note.pitch}" if drum else note_name(note.pitch)
        notes.append(Note(stem, note.pitch, clock.seconds(note.begin), last, note.velocity, drum))
    if max(note.end for note in notes) > LONGEST:
        raise UsageError("lasts more than a day", "cut it", path)
    return sorted(notes, key=lambda note: (note.begin, note.pitch, note.stem))


def _open(path: str) -> Any:
    try:
        import mido
    except ImportError as error:
        raise UsageError("reading MIDI needs mido", "install it with: pip install 'nmfsep[midi]'", path) from error
    try:
        with open(os.fsencode(path), "rb") as stream:
            if os.fstat(stream.fileno()).st_size > LARGEST:
                raise UsageError(f"is larger than {LARGEST >> 20} MB, which no score is", "give a MIDI file", path)
            data = stream.read()
    except OSError as error:
        hint = "check the name" if error.errno == 2 else None
        raise UsageError((error.strerror or str(error)).lower(), hint, path) from error

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
        raise UsageError(f"is not a MIDI file{damaged}", "give a standard MIDI file (.mid)", path) from error
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


class _Clock:
    """From ticks to seconds, by the changes of tempo in all tracks."""

    def __init__(self, file: Any) -> None:
        changes = {0: 500_000}
        for track in file.tracks:
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "set_tempo":
                    changes[tick] = max(1, message.tempo)
        self.ticks = sorted(changes)
        self.rates = [changes[tick] / 1e6 / file.ticks_per_beat for tick in self.ticks]
        self.times = [0.0]
        for i in range(1, len(self.ticks)):
            self.times.append(self.times[-1] + (self.ticks[i] - self.ticks[i - 1]) * self.rates[i - 1])

    def seconds(self, tick: int) -> float:
        i = bisect.bisect_right(self.ticks, tick) - 1
        return float(self.times[i] + (tick - self.ticks[i]) * self.rates[i])


def _messages(file: Any, path: str) -> Iterator[tuple[int, int, Any]]:
    """Yield tick, track and message, in order of time."""
    messages = []
    for number, track in enumerate(file.tracks):
        tick = 0
        for message in track:
            if message.time < 0:
                raise UsageError("is not a MIDI file, or is damaged", "give a standard MIDI file (.mid)", path)
            tick += message.time
            messages.append((tick, number, message))
    yield from sorted(messages, key=lambda entry: entry[0])


def _names(file: Any, path: str, raw: list[Played]) -> dict[tuple[int, int | None], str]:
    """Return what the stems of tracks are called, or of channels where there is but one track with notes."""
    tracks = sorted({note.track for note in raw})
    channels = sorted({note.channel for note in raw})
    if len(tracks) == 1 and len(channels) > 1:
        keys: list[tuple[int, int | None]] = [(tracks[0], channel) for channel in channels]
        called = ["drums" if channel == DRUMS else f"channel-{channel + 1}" for channel in channels]
    else:
        keys = [(track, None) for track in tracks]
        called = [_decoded(file.tracks[track].name) or f"track-{track + 1}" for track in tracks]
    names: dict[tuple[int, int | None], str] = {}
    taken: set[str] = set()
    for key, name in zip(keys, called, strict=True):
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        names[key] = unique
    return names


def _decoded(name: str) -> str:
    """Return the name of a track, which is mostly UTF-8 where it is not ASCII, as one of a stem."""
    with contextlib.suppress(UnicodeError):
        name = name.encode("latin-1").decode("utf-8")
    kept = "".join("_" if c in "/\\" or not c.isprintable() else c for c in name).strip()[:100]
    return kept if kept.strip(". ") else ""
