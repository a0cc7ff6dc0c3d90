"""The notes of each stem as a MIDI file of one track a stem."""

from __future__ import annotations

import io
from typing import ClassVar

from ...errors import UsageError
from ..result import Separation
from .activity import notes, voices

TICKS = 1000  # a beat, of half a second
RATE = 2 * TICKS  # ticks a second
DRUMS = 9
STRUCK = ((150, 36), (2500, 38), (float("inf"), 42))  # centroids in hertz up to which a drum is a kick, a snare, a hat


class Midi:
    """Notes: pitches of templates, where their activations set in and end; what has no pitch goes to the drums."""

    suffix: ClassVar[str] = ".mid"

    @staticmethod
    def require() -> None:
        """Raise UsageError without mido."""
        try:
            import mido  # noqa: F401
        except ImportError as error:
            raise UsageError("--export-midi needs mido", "install it with: pip install 'nmfsep[midi]'") from error

    @staticmethod
    def encode(separation: Separation, sample_rate: int, begin: float) -> bytes:
        """Return the file."""
        import mido

        file = mido.MidiFile(ticks_per_beat=TICKS, charset="utf-8")
        melodic = [channel for channel in range(16) if channel != DRUMS]
        for number, (name, layer, parts) in enumerate(voices(separation, sample_rate)):
            track = file.add_track(name.encode("utf-8", "replace").decode())
            step = layer.stft.hop_length / sample_rate
            frequencies = layer.stft.frequencies(sample_rate)
            loudest = max((float(voice.level.max(initial=0)) for voice in parts), default=0.0)
            events = []
            for voice in parts:
                key, channel = voice.pitch, melodic[number % len(melodic)]
                if key is None:
                    centroid = float(frequencies @ voice.spectrum / voice.spectrum.sum())
                    key, channel = next(key for limit, key in STRUCK if centroid <= limit), DRUMS
                share = float(voice.level.max(initial=0)) / loudest
                for first, last, peak in notes(voice.level, step):
                    velocity = max(1, min(127, round(127 * (share * peak) ** 0.5)))
                    on, off = (round((begin + second) * RATE) for second in (first, last))
                    events += [(on, 1, key, channel, velocity), (max(off, on + 1), 0, key, channel, 0)]
            tick = 0
            for when, is_on, key, channel, velocity in sorted(events):
                kind = "note_on" if is_on else "note_off"
                track.append(mido.Message(kind, note=key, channel=channel, velocity=velocity, time=when - tick))
                tick = when
        out = io.BytesIO()
        file.save(file=out)
        return out.getvalue()
