"""The notes of each stem as a MIDI file of one track a stem."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import ClassVar

from ...errors import UsageError
from ..result import Separation
from .activity import Stem, Voice, notes, stems, strokes, together
from .percussion import key_of

TICKS = 1000  # a beat, of half a second
RATE = 2 * TICKS  # ticks a second
DRUMS = 9
STRUCK = ((150, 36), (2500, 38))  # centroids in hertz up to which a drum is a kick and a snare
HAT = 42  # and beyond


class Midi:
    """Notes: pitches of templates, where their activations set in and end; of drums, strokes.

    Of a stem that has the name of a drum each stroke is a note of its key in General MIDI; what has no pitch goes to
    the drums, too, by where its spectrum lies.
    """

    suffix: ClassVar[str] = ".mid"

    @staticmethod
    def require() -> None:
        """Raise UsageError without mido."""
        try:
            import mido  # noqa: F401
        except ImportError as error:
            raise UsageError("--export-midi needs mido", "install it with: pip install 'nmfsep[midi]'") from error

    @staticmethod
    def encode(
        separation: Separation, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file."""
        import mido

        file = mido.MidiFile(ticks_per_beat=TICKS, charset="utf-8")
        melodic = [channel for channel in range(16) if channel != DRUMS]
        long, short = (stems(separation, sample_rate, last_bit, layer) for layer in (-1, 0))
        for number, (stem, brief) in enumerate(zip(long, short, strict=True)):
            track = file.add_track(stem.name.encode("utf-8", "replace").decode())
            drum = key_of(stem.name)
            events = []
            for pitch, key, first, last, level in _tones(stem) if drum is None else _strokes(brief, drum):
                if first >= seconds:
                    continue
                channel, velocity = melodic[number % len(melodic)] if pitch else DRUMS, _velocity(level)
                on, off = (round((begin + second) * RATE) for second in (first, min(last, seconds)))
                events += [(on, 1, key, channel, velocity), (max(off, on + 1), 0, key, channel, 0)]
            tick = 0
            for when, is_on, key, channel, velocity in sorted(events):
                kind = "note_on" if is_on else "note_off"
                track.append(mido.Message(kind, note=key, channel=channel, velocity=velocity, time=when - tick))
                tick = when
        out = io.BytesIO()
        file.save(file=out)
        return out.getvalue()


def _tones(stem: Stem) -> Iterator[tuple[bool, int, float, float, float]]:
    """Yield whether a note has a pitch, its key, begin, end, and level."""
    parts = stem.voices()
    loudest = max((float(voice.level.max(initial=0)) for voice in parts), default=0.0)
    for voice in parts:
        share = float(voice.level.max(initial=0)) / loudest
        for first, last, peak in notes(voice.level, stem.step):
            if stem.there((first, last)):
                key = _struck(stem, voice) if voice.pitch is None else voice.pitch
                yield voice.pitch is not None, key, first, last, share * peak


def _strokes(stem: Stem, key: int) -> Iterator[tuple[bool, int, float, float, float]]:
    """Yield the same of a drum, or of each drum of a kit, which has the key 0."""
    parts: dict[int, list[Voice]] = {}
    for voice in stem.voices():
        parts.setdefault(key or _struck(stem, voice), []).append(voice)
    for drum, same in parts.items():
        for first, last, peak in strokes(together(same).level, stem.step):
            if stem.there((first, last)):
                yield False, drum, first, last, peak


def _struck(stem: Stem, voice: Voice) -> int:
    """Return the key of the drum that a voice without a pitch is most like."""
    centroid = float(stem.frequencies @ voice.spectrum / voice.spectrum.sum())
    keys = [key for limit, key in STRUCK if centroid <= limit]
    return keys[0] if keys else HAT


def _velocity(level: float) -> int:
    return int(max(1, min(127, round(127 * math.sqrt(level)))))
