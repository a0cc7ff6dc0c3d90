"""Notes of MIDI files, read with mido; whatever is wrong with a file is told in a line."""

from __future__ import annotations

import bisect
import contextlib
import io
import os
from dataclasses import dataclass
from typing import Any

from ...errors import UsageError
from ..pitch import note_name

LARGEST = 1 << 24  # bytes of a file
NOTES = 200_000  # of a file
LONGEST = 86_400.0  # seconds of a score
DRUMS = 9  # the channel of General MIDI drums, counted from 0
LAST = 0.5  # seconds that a note lasts that never ends


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
    raw = [note for track in enumerate(file.tracks) for note in _notes(*track, path)]
    if not raw:
        raise UsageError("has no notes", "give a MIDI file with notes", path)
    if len(raw) > NOTES:
        raise UsageError(f"has more than {NOTES} notes", "cut it", path)
    names = _names(file, path, raw) if name is None and by == "track" else {}
    notes = []
    for track, channel, pitch, velocity, begin, end in raw:
        drum = channel == DRUMS
        if name is not None:
            stem = name
        elif by == "track":
            stem = names[track, channel] if (track, channel) in names else names[track, None]
        else:
            stem = f"drum-{pitch}" if drum else note_name(pitch)
        first = clock.seconds(begin)
        last = first + LAST if end is None else clock.seconds(end)
        notes.append(Note(stem, pitch, first, last, velocity, drum))
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
            file = mido.MidiFile(file=io.BytesIO(stream.read()), clip=True)
    except OSError as error:  # mido raises one without a number, too
        if error.errno:
            hint = "check the name" if error.errno == 2 else None
            raise UsageError((error.strerror or str(error)).lower(), hint, path) from error
        raise UsageError("is not a MIDI file", "give a standard MIDI file (.mid)", path) from error
    except (EOFError, ValueError, KeyError, IndexError, TypeError, ArithmeticError, LookupError) as error:
        raise UsageError("is not a MIDI file, or is damaged", "give a standard MIDI file (.mid)", path) from error
    if file.type == 2 or not 1 <= file.ticks_per_beat < 1 << 15:
        kind = "is a MIDI file of type 2" if file.type == 2 else "counts time in frames of film, not in beats"
        raise UsageError(f"{kind}, which is not known", "export it as type 1", path)
    return file


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


_Raw = tuple[int, int, int, int, int, int | None]


def _notes(number: int, track: Any, path: str) -> list[_Raw]:
    """Return track, channel, pitch, velocity, first and last tick of each note; None for one that never ends."""
    found: list[_Raw] = []
    sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
    tick = 0
    for message in track:
        if message.time < 0:
            raise UsageError("is not a MIDI file, or is damaged", "give a standard MIDI file (.mid)", path)
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if message.type == "note_on" and message.velocity:
            sounding.setdefault(key, []).append((tick, message.velocity))
        elif sounding.get(key):
            begin, velocity = sounding[key].pop(0)
            found.append((number, *key, velocity, begin, tick))
    for key, open_notes in sounding.items():
        found += [(number, *key, velocity, begin, None) for begin, velocity in open_notes]
    return found


def _names(file: Any, path: str, raw: list[_Raw]) -> dict[tuple[int, int | None], str]:
    """Return what the stems of tracks are called, or of channels where there is but one track with notes."""
    tracks = sorted({note[0] for note in raw})
    channels = sorted({note[1] for note in raw})
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
