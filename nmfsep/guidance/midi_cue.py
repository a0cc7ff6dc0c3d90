"""Score cue, --midi: what is played when.

After Ewert & Müller, "Using score-informed constraints for NMF-based source separation", ICASSP 2012: each pitch of a
stem has a template of harmonics, whose activations are 0 where the score has no such note, and one for what is not
harmonic when notes set in. A drum has a template of its spectrum when it sets in and one for how it dies away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..kernels.product import Matrix
from ..signal.pitch import to_hertz
from ..signal.stft import STFT
from ..system import exists
from .alignment import align
from .cue import Context, Cue, Proposed, evenly, sha256
from .dictionary import check_label
from .notes import Note, read_notes
from .templates import Templates, unit

EARLY, LATE = 0.1, 0.2  # seconds by which a note may begin sooner and end later than the score says
ATTACK = 0.1  # seconds after a note's begin in which what is not harmonic sounds
STRUCK = 1.0  # seconds that a drum rings at the most
MOBILITY = 1.0  # share of the way that templates may move
STROKES = 500  # frames of a drum that are looked at
DYING = 0.15  # seconds in which it dies away
HARMONICS = 20
WIDTH = 1.2  # bins, of a harmonic of a steady tone
DETUNED = 0.02  # semitones by which it may be off
FLOOR = 1e-6  # of the mean, between the harmonics
DECAY = 1.4  # power of the harmonic's number by which it is weaker
Voice = tuple[str, int, bool]  # stem and pitch of a pair of templates, and whether it is a drum


@dataclass(frozen=True, slots=True)
class Scores(Cue):
    """The notes of all stems, and the stems of each file."""

    kind: ClassVar[str] = "midi"
    moves: ClassVar[bool] = True
    matrices: ClassVar[int] = 3
    notes: tuple[Note, ...]
    paths: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    stems: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Scores:
        """Read MIDI files, each FILE or NAME=FILE."""
        by = given.get("midi_by", "track")
        notes: list[Note] = []
        paths, stems, owner = [], [], dict[str, str]()
        for text in texts:
            name, path = _name_and_path(text)
            if by == "pitch" and (name is not None or len(texts) > 1):
                raise UsageError("--midi-by pitch makes stems of the pitches of one file", "give one, without NAME=")
            found = read_notes(path, name, by)
            paths.append(path)
            stems.append(tuple(dict.fromkeys(note.stem for note in found)))
            for stem in stems[-1]:
                if stem in owner:
                    message = f"--midi: {path} and {owner[stem]} both have a stem {stem!r}"
                    raise UsageError(message, "give each a name: --midi NAME=FILE")
                owner[stem] = path
                check_label(stem)
            notes += found
        return cls(tuple(notes), tuple(paths), tuple(map(sha256, paths)), tuple(stems))

    @property
    def labels(self) -> tuple[str, ...]:
        """The stems, in the order of the files, then by pitch or as they set in."""
        return tuple(dict.fromkeys(note.stem for note in self.notes))

    def labels_of_files(self) -> Sequence[Sequence[str]]:
        """Return the stems of each file."""
        return self.stems

    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return two for each pitch of each stem."""
        return [2 * len(self._voices(labels))] * len(stfts)

    def propose(self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]) -> Proposed:
        """Return templates, and activations where the score, as it is played here, has notes."""
        played = self._played(context)
        if not played:
            raise InputError("--midi: nothing of the score is in the sound", "is it the right one?")
        return [self._templates(context, stft, labels, played) for stft in stfts], []

    def _voices(self, labels: Sequence[str]) -> list[Voice]:
        return sorted({(note.stem, note.pitch, note.drum) for note in self.notes if note.stem in labels})

    def _played(self, context: Context) -> list[Note]:
        """Return the notes that sound in a recording, in its seconds."""
        audio = context.audio
        at = align(self.notes, context.samples, audio.sample_rate)
        begins, ends = (at(np.array([getattr(note, end) for note in self.notes])) for end in ("begin", "end"))
        return [
            replace(note, begin=float(begin), end=float(end))
            for note, begin, end in zip(self.notes, begins, ends, strict=True)
            if end > 0 and begin < audio.length / audio.sample_rate
        ]

    def _templates(self, context: Context, stft: STFT, labels: Sequence[str], played: Sequence[Note]) -> Templates:
        """Return two templates for each voice: a comb and a broad spectrum, of a drum its own spectrum twice."""
        voices, frequencies = self._voices(labels), stft.frequencies(context.audio.sample_rate)
        Z = np.zeros((2 * len(voices), stft.n_frames(context.audio.length)), np.float32)
        rows = {voice: Z[2 * k : 2 * k + 2] for k, voice in enumerate(voices)}
        for note in played:
            if (voice := (note.stem, note.pitch, note.drum)) in rows:
                _sound(note, rows[voice], stft, context.audio.sample_rate)
        broad = unit((1 / (1 + frequencies / 2000))[:, None].astype(np.float32))
        W = np.repeat(broad, 2 * len(voices), axis=1)
        tonal = [k for k, (_, _, drum) in enumerate(voices) if not drum]
        if tonal:
            W[:, [2 * k for k in tonal]] = _combs([voices[k][1] for k in tonal], frequencies)
        for k in set(range(len(voices))) - set(tonal):
            spectrum = _struck(context, stft, np.flatnonzero(Z[2 * k]))
            if spectrum.any():
                W[:, 2 * k : 2 * k + 2] = unit(spectrum[:, None])
        owners = np.repeat([labels.index(stem) for stem, _, _ in voices], 2).astype(np.intp)
        return Templates(stft, W, owners, mobility=np.full(len(owners), MOBILITY), Z=Z)


def _sound(note: Note, Z: Matrix, stft: STFT, sample_rate: int) -> None:
    """Raise the two rows of activations of a note's voice where it sounds."""
    rate = sample_rate / stft.hop_length
    reach = stft.n_fft / 2 / sample_rate  # by which frames hear of what is before and after them
    loud = 0.3 + 0.7 * note.velocity / 127
    first = max(0, round((note.begin - EARLY - reach * 0.5) * rate))
    attack = max(first + 1, round((note.begin + ATTACK + reach * 0.5) * rate) + 1)
    lasting, setting_in = Z[::-1] if note.drum else Z
    np.maximum(setting_in[first:attack], loud, out=setting_in[first:attack])
    level: float | NDArray[np.float64] = loud
    if note.drum:
        last = max(first, min(Z.shape[1], round((note.begin + STRUCK) * rate) + 1))
        level = loud * np.exp(-np.maximum(np.arange(first, last) / rate - note.begin, 0) / DYING)
    else:
        last = max(attack, round((note.end + LATE + reach * 0.5) * rate) + 1)
    np.maximum(lasting[first:last], level, out=lasting[first:last])


def _combs(pitches: Sequence[int], frequencies: NDArray[np.float64]) -> Matrix:
    """Return a comb of harmonics for each pitch, (bins, pitches), of unit norm."""
    step = float(frequencies[1])
    fundamentals = to_hertz(np.asarray(pitches, np.float64))
    combs = np.zeros((len(frequencies), len(pitches)))
    for h in range(1, HARMONICS + 1):
        width = np.hypot(WIDTH * step, DETUNED * h * fundamentals * (2 ** (1 / 12) - 1))
        # where neighbours run into each other there is no comb any more
        width = np.minimum(width, 0.35 * np.maximum(fundamentals, 2 * step))
        combs += np.exp(-0.5 * ((frequencies[:, None] - h * fundamentals) / width) ** 2) / h**DECAY
    combs += FLOOR * np.maximum(combs.mean(axis=0), 1e-12)
    return unit(combs.astype(np.float32))


def _struck(context: Context, stft: STFT, indices: NDArray[np.intp]) -> Matrix:
    """Return what frames in which a drum is struck add to those two before, all together, (bins,)."""
    chosen = evenly(indices[indices >= 2], STROKES)
    both = np.union1d(chosen, chosen - 2)
    levels = context.frames(stft, both)
    after, before = (levels[np.searchsorted(both, frames)] for frames in (chosen, chosen - 2))
    return np.asarray(np.maximum(after - before, 0).sum(axis=0))


def _name_and_path(text: str) -> tuple[str | None, str]:
    """Return the name, if there is one, and the path of NAME=FILE; a file of that very name goes before."""
    name, equals, path = text.partition("=")
    if not equals or exists(text):
        return None, text
    if not path:
        raise UsageError(f"--midi {text[:80]!r} names no file", "give NAME=score.mid")
    check_label(name)
    return name, path
