"""Exports of when stems sound, and at which pitches: MIDI files and label tracks, by templates and activations.

An activation has a largest value even where its sound is not there at all. So what counts as sounding is judged against
the mixture, too: it must be heard against the loudest frame, be more than the noise of the last bit, and be a fair part
of what the mixture has where its own spectrum lies.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError, install_command
from ..separation.components import Components
from ..separation.describe import find_onsets
from ..separation.model import Model
from ..signal.pitch import find_pitch
from ..signal.stft import STFT, window_samples

HEARD = 0.1  # of the largest activation, from which on something sounds
QUIETEST = 0.03  # of a stem's energy that a pitch must have
SHORTEST = 0.05  # seconds of what sounds, and of a gap in it
APART = 0.12  # seconds between two onsets of a pitch
FAINTEST = 1e-6  # of the energy of the mixture's loudest frame, up to which nothing is there
OWN = 0.25  # of what the mixture has where a stem's spectrum lies, from which on it is there
RISE, STRIDE = 0.15, 0.05  # of the largest rise that a stroke must have, and the seconds in which it rises
Curve = NDArray[np.float64]
Span = tuple[float, float]


class Export(Protocol):
    """One kind of file about a separation."""

    suffix: ClassVar[str]  # what its name ends with

    @staticmethod
    def require() -> None:
        """Raise UsageError where something that it needs is not installed."""

    @staticmethod
    def encode(
        model: Model, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file.

        Parameters
        ----------
        model : Model
        sample_rate : int
            Hertz.
        begin : float
            Seconds of the sound's file before what was separated, from which times count.
        seconds : float, optional
            Of what was separated, beyond which nothing sounds.
        last_bit : float, default 0
            The step of the mixture's samples; what is no more than its noise is not there. 0 where they have none.
        """


@dataclass(frozen=True, slots=True)
class Voice:
    """What of a stem has one pitch, a MIDI note, or none: its magnitude in each frame, and at each bin."""

    pitch: int | None
    level: Curve
    spectrum: Curve


@dataclass(frozen=True, slots=True)
class Stem:
    """The activity of a stem at one length of frames."""

    name: str
    components: Components
    columns: list[int]  # its templates
    step: float  # seconds from frame to frame
    frequencies: Curve  # hertz of the bins
    energy: Curve  # of its model in each frame
    place: Curve  # the product of its model and that of the whole mixture, in each frame
    floor: float  # energy of a frame in which nothing is there

    def voices(self) -> list[Voice]:
        """Return what has a pitch of its own, the loudest first."""
        parts: dict[int | None, list[Voice]] = {}
        channels = self.components.factors  # which have templates of their own, or activations
        for column in self.columns:
            W = np.asarray(sum(factors.W[:, column].astype(np.float64) for factors in channels))
            Z = np.asarray(sum(factors.Z[column].astype(np.float64) for factors in channels))
            found = find_pitch(W, self.frequencies) if W.any() and Z.any() else None
            pitch = None if found is None else found.note
            parts.setdefault(pitch, []).append(Voice(pitch, Z * W.sum(), W * Z.sum()))
        whole = [together(same) for same in parts.values()]
        energies = [float(voice.level @ voice.level) for voice in whole]
        order = np.argsort(energies, kind="stable")[::-1]
        return [whole[k] for k in order if energies[k] > QUIETEST * sum(energies)]

    def is_there(self, span: Span) -> bool:
        """Return whether what sounds from one second to another is there in the mixture."""
        first = round(span[0] / self.step)
        frames = slice(first, max(first + 1, round(span[1] / self.step)))
        energy = self.energy[frames]
        return bool(energy.max(initial=0) > self.floor and energy.sum() >= OWN * self.place[frames].sum())

    def spans(self, voices: Sequence[Voice]) -> list[Span]:
        """Return when voices sound together, begin and end in seconds, where they are there."""
        level = together(voices).level if voices else np.zeros(1)
        return [span for span in sounding(level, self.step) if self.is_there(span)]


def stems(model: Model, sample_rate: int, last_bit: float = 0.0, resolution: int = -1) -> Iterator[Stem]:
    """Yield each stem that has components, at the longest frames if no other are asked for."""
    chosen, members = model.resolutions[resolution], model.grouping.members
    stft, components = chosen.stft, chosen.components.kept
    assert components is not None, "exports need activations"
    step, frequencies = stft.hop_length / sample_rate, stft.frequencies(sample_rate)
    factors = [(part.W.T @ part.W, part.Z) for part in components.factors]
    loudest = sum(np.einsum("kt,kt->t", Z, gram @ Z) for gram, Z in factors)
    floor = max(FAINTEST * float(np.max(loudest, initial=0)), 2 * _noise(stft, last_bit) * len(factors))
    for name, group in zip(model.names, members, strict=False):
        columns = [column for member in group for column in components.groups[member]]
        own = [(gram[columns], Z[columns], Z) for gram, Z in factors]
        energy = np.asarray(sum(np.einsum("kt,kt->t", mine, gram[:, columns] @ mine) for gram, mine, _ in own))
        place = np.asarray(sum(np.einsum("kt,kt->t", mine, gram @ Z) for gram, mine, Z in own))
        energy, place = energy.astype(np.float64), place.astype(np.float64)
        yield Stem(name, components, columns, step, frequencies, energy, place, floor)


def _noise(stft: STFT, last_bit: float) -> float:
    """Return the energy of a frame of a channel of which nothing but rounding is there."""
    window = window_samples(stft.window, stft.n_fft)
    return last_bit**2 / 12 * float(np.sum(np.square(window, dtype=np.float64))) * stft.bins


def missing(model: Model, sample_rate: int, last_bit: float = 0.0) -> list[str]:
    """Return the stems that are called after a sound which is nowhere in the mixture."""
    called = model.names if model.settings.preset else model.labels
    found = [stem for stem in stems(model, sample_rate, last_bit) if stem.name in called]
    return [stem.name for stem in found if not stem.spans(stem.voices())]


def together(voices: Sequence[Voice]) -> Voice:
    """Return voices as one, of the pitch of the first."""
    level, spectrum = (np.sum([getattr(voice, of) for voice in voices], axis=0) for of in ("level", "spectrum"))
    return Voice(voices[0].pitch, level, spectrum)


def sounding(level: Curve, step: float) -> list[Span]:
    """Return when something sounds, begin and end in seconds, for frames so many seconds apart."""
    top = float(level.max(initial=0))
    if top <= 0:
        return []
    edges = np.diff(np.concatenate([[0], level > HEARD * top, [0]]).astype(int))
    spans: list[Span] = []
    for begin, end in zip(np.flatnonzero(edges > 0) * step, np.flatnonzero(edges < 0) * step, strict=True):
        if spans and begin - spans[-1][1] < SHORTEST:
            spans[-1] = (spans[-1][0], float(end))
        else:
            spans.append((float(begin), float(end)))
    return [span for span in spans if span[1] - span[0] >= min(SHORTEST, step)]


def notes(level: Curve, step: float) -> list[tuple[float, float, float]]:
    """Return begin and end in seconds of each note, and its largest level as a share of that of all."""
    top = max(float(level.max(initial=0)), 1e-300)
    onsets = find_onsets(level, step)
    found = []
    for begin, end in sounding(level, step):
        inside = [float(onset) for onset in onsets if begin + APART < onset < end - SHORTEST]
        for first, last in zip([begin, *inside], [*inside, end], strict=True):
            peak = float(level[round(first / step) : max(round(first / step) + 1, round(last / step))].max())
            found.append((first, last, peak / top))
    return found


def strokes(level: Curve, step: float) -> list[tuple[float, float, float]]:
    """Return the same of what is struck: one each, however soon the next follows, as long as its rise."""
    width = max(1, round(STRIDE / step))
    rise = np.maximum(level - np.pad(level, (width, 0))[:-width], 0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(rise, width), 2 * width + 1).max(axis=1)
    struck = np.flatnonzero((rise == around) & (rise > 0) & (rise >= RISE * rise.max(initial=0)))
    top = max(float(level.max(initial=0)), 1e-300)
    return [(frame * step, (frame + width) * step, float(level[frame : frame + width].max()) / top) for frame in struck]


# the first that is found in a name counts; words are divided by a space, and a plural ends in s
KEYS = (
    (r"open ?(hi ?)?hats?|ohh?", 46),
    (r"(pedal|foot) ?(hi ?)?hats?|phh", 44),
    (r"(closed? ?)?(hi ?)?hats?|c?hh|hats?closed", 42),
    (r"side ?sticks?|rim ?(shots?|clicks?)?|rims|cross ?sticks?", 37),
    (r"(hand ?)?clap(s|ping)?", 39),
    (r"snares?( ?drums?)?|sd|snr", 38),
    (r"(bass|kick) ?drums?|kicks?|bd|kik", 36),
    (r"floor ?toms?|low ?floor ?toms?", 41),
    (r"(high|hi) ?toms?", 50),
    (r"(mid|middle|medium) ?toms?", 47),
    (r"(low ?)?(tom ?)?toms?", 45),
    (r"splash(es)?", 55),
    (r"(china|chinese)( ?cymbals?)?", 52),
    (r"(ride ?)?bells?", 53),
    (r"rides?( ?cymbals?)?", 51),
    (r"crash(es)?( ?cymbals?)?|cymbals?", 49),
    (r"tambourines?", 54),
    (r"cow ?bells?", 56),
    (r"vibra ?slaps?", 58),
    (r"bongos?", 60),
    (r"congas?", 63),
    (r"timbales?", 65),
    (r"agogos?", 67),
    (r"cabasas?", 69),
    (r"maracas?|shakers?", 70),
    (r"guiros?", 74),
    (r"claves?", 75),
    (r"wood ?blocks?", 76),
    (r"triangles?", 81),
)
KIT = r"drums?|percussion|perc|(drum ?)?kits?|beats?"


def key_of(name: str) -> int | None:
    """Return the key of a drum of that name, 0 for a kit of several, None where a name says nothing of drums.

    Examples
    --------
    >>> key_of("Kick_in"), key_of("hi-hat 2"), key_of("drums"), key_of("atom")
    (36, 42, 0, None)
    """
    words = " ".join(re.findall("[a-z]+", name.casefold()))
    for pattern, key in (*KEYS, (KIT, 0)):
        if re.search(rf"\b(?:{pattern})\b", words):
            return key
    return None


WITHIN = (0.01, 0.99)  # shares of a stem's energy below its lower and its upper bound


class Labels(Export):
    """Labels: where a stem's activations are above a tenth of their largest, and it is there at all."""

    suffix = ".labels.txt"

    @staticmethod
    def encode(
        model: Model, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file."""
        lines = []
        for stem in stems(model, sample_rate, last_bit):
            parts = stem.voices()
            if not parts:
                continue
            spectrum = together(parts).spectrum
            shares = np.cumsum(spectrum**2) / max(float(spectrum @ spectrum), 1e-300)
            low, high = (stem.frequencies[min(int(np.searchsorted(shares, s)), len(shares) - 1)] for s in WITHIN)
            shown = "".join(" " if character in "\t\r\n" else character for character in stem.name)
            for first, last in stem.spans(parts):
                if first < seconds:
                    times = f"{begin + first:.6f}\t{begin + min(last, seconds):.6f}"
                    lines.append((begin + first, f"{times}\t{shown}\n\\\t{low:.1f}\t{high:.1f}\n"))
        return "".join(text for _, text in sorted(lines)).encode("utf-8", "surrogateescape")


TICKS = 1000  # a beat, of half a second
RATE = 2 * TICKS  # ticks a second
DRUMS = 9
STRUCK = ((150, 36), (2500, 38))  # centroids in hertz up to which a drum is a kick and a snare
HAT = 42  # and beyond


class Midi(Export):
    """Notes: pitches of templates, where their activations set in and end; of drums, strokes.

    Of a stem that has the name of a drum each stroke is a note of its key in General MIDI; what has no pitch goes to
    the drums, too, by where its spectrum lies.
    """

    suffix = ".mid"

    @staticmethod
    def require() -> None:
        """Raise UsageError without mido."""
        try:
            import mido  # noqa: F401
        except ImportError as error:
            raise UsageError(
                "--export-midi needs mido", f"install it: {install_command('mido', extra='midi')}"
            ) from error

    @staticmethod
    def encode(
        model: Model, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file."""
        import mido

        file = mido.MidiFile(ticks_per_beat=TICKS, charset="utf-8")
        melodic = [channel for channel in range(16) if channel != DRUMS]
        long, short = (stems(model, sample_rate, last_bit, index) for index in (-1, 0))
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
            if stem.is_there((first, last)):
                key = _struck(stem, voice) if voice.pitch is None else voice.pitch
                yield voice.pitch is not None, key, first, last, share * peak


def _strokes(stem: Stem, key: int) -> Iterator[tuple[bool, int, float, float, float]]:
    """Yield the same of a drum, or of each drum of a kit, which has the key 0."""
    parts: dict[int, list[Voice]] = {}
    for voice in stem.voices():
        parts.setdefault(key or _struck(stem, voice), []).append(voice)
    for drum, same in parts.items():
        for first, last, peak in strokes(together(same).level, stem.step):
            if stem.is_there((first, last)):
                yield False, drum, first, last, peak


def _struck(stem: Stem, voice: Voice) -> int:
    """Return the key of the drum that a voice without a pitch is most like."""
    centroid = float(stem.frequencies @ voice.spectrum / voice.spectrum.sum())
    keys = [key for limit, key in STRUCK if centroid <= limit]
    return keys[0] if keys else HAT


def _velocity(level: float) -> int:
    return int(max(1, min(127, round(127 * math.sqrt(level)))))
