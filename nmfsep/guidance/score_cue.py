"""Score cue: what is played when, by MIDI files.

After Ewert & Müller, "Using score-informed constraints for NMF-based source separation", ICASSP 2012: each pitch of a
stem has a template of harmonics, whose activations are 0 where the score has no such note, and one for what is not
harmonic when notes set in. A drum has a template of its spectrum when it sets in and one for how it dies away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..kernels.product import Matrix
from ..signal.stft import STFT
from . import harmonics
from .alignment import Alignment, align
from .cue import Context, Cue, some
from .dictionary import check_label, unit
from .midi import Note, read_notes
from .templates import Templates

EARLY, LATE = 0.1, 0.2  # seconds by which a note may begin sooner and end later than the score says
ATTACK = 0.1  # seconds after a note's begin in which what is not harmonic sounds
STRUCK = 1.0  # seconds that a drum rings at the most
MOBILITY = 1.0  # share of the way that templates may move
STROKES = 500  # frames of a drum that are looked at
DYING = 0.15  # seconds in which it dies away


@dataclass(frozen=True, slots=True)
class Scores(Cue):
    """The notes of all stems.

    Parameters
    ----------
    notes : tuple of Note
    paths : tuple of str
        The files they were read from.
    hashes : tuple of str
        SHA-256 of each.
    stems : tuple of tuple of str
        The stems of each.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"sparsity": 0.0}
    moves: ClassVar[bool] = True
    matrices: ClassVar[int] = 3
    notes: tuple[Note, ...]
    paths: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    stems: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Scores:
        """Read MIDI files, each FILE or NAME=FILE."""
        import hashlib

        by = given.get("midi_by", "track")
        notes: list[Note] = []
        paths, hashes, stems = [], [], []
        owner: dict[str, str] = {}
        for text in texts:
            name, path = _name_and_path(text)
            if by == "pitch" and (name is not None or len(texts) > 1):
                raise UsageError("--midi-by pitch makes stems of the pitches of one file", "give one, without NAME=")
            found = read_notes(path, name, by)
            for stem in dict.fromkeys(note.stem for note in found):
                if stem in owner:
                    message = f"--midi: {path} and {owner[stem]} both have a stem {stem!r}"
                    raise UsageError(message, "give each a name: --midi NAME=FILE")
                owner[stem] = path
                check_label(stem)
            notes += found
            stems.append(tuple(dict.fromkeys(note.stem for note in found)))
            paths.append(path)
            with open(os.fsencode(path), "rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        return cls(tuple(notes), tuple(paths), tuple(hashes), tuple(stems))

    @property
    def labels(self) -> tuple[str, ...]:
        """The stems, in the order of the files, then by pitch or as they set in."""
        return tuple(dict.fromkeys(note.stem for note in self.notes))

    @property
    def names(self) -> tuple[str, ...]:
        """The files."""
        return self.paths

    def origin(self, label: str) -> str:
        """Return the option."""
        return f"--midi {label}"

    def sizes(self, sample_rate: int, stfts: Sequence[STFT], labels: Sequence[str]) -> list[int]:
        """Return two for each pitch of each stem."""
        return [2 * len(_voices(self.notes, labels))] * len(stfts)

    def propose(
        self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]
    ) -> tuple[list[Templates], list[str]]:
        """Return templates, and activations where the score, as it is played here, has notes."""
        audio = context.audio
        at = align(self.notes, context.samples, audio.sample_rate)
        played = _played(self.notes, at, audio.length / audio.sample_rate)
        if not played:
            raise InputError("--midi: nothing of the score is in the sound", "is it the right one?")
        return [self._evidence(context, stft, labels, played) for stft in stfts], []

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return the path and hash of each file."""
        return [
            {"kind": "midi", "path": path, "sha256": digest, "labels": list(stems), "n_fft": list(frames)}
            for path, digest, stems in zip(self.paths, self.hashes, self.stems, strict=True)
        ]

    def _evidence(self, context: Context, stft: STFT, labels: Sequence[str], played: Sequence[Note]) -> Templates:
        audio = context.audio
        voices = _voices(self.notes, labels)
        frames, rate = stft.n_frames(audio.length), audio.sample_rate / stft.hop_length
        frequencies = stft.frequencies(audio.sample_rate)
        tonal = [pitch for _, pitch, drum in voices if not drum]
        combed = iter(harmonics.harmonic(tonal, frequencies).T if tonal else ())
        W = np.empty((stft.bins, 2 * len(voices)), np.float32)
        Z = np.zeros((2 * len(voices), frames), np.float32)
        owners = np.repeat([labels.index(stem) for stem, _, _ in voices], 2)
        reach = stft.n_fft / 2 / audio.sample_rate  # by which frames hear of what is before and after them
        struck = harmonics.broad(1, frequencies)[:, 0]
        places = {voice: k for k, voice in enumerate(voices)}
        for k, (_, _, drum) in enumerate(voices):
            W[:, 2 * k] = struck if drum else next(combed)
            W[:, 2 * k + 1] = struck
        for note in played:
            if (note.stem, note.pitch, note.drum) not in places:
                continue
            k = places[note.stem, note.pitch, note.drum]
            loud = 0.3 + 0.7 * note.velocity / 127
            first = max(0, round((note.begin - EARLY - reach * 0.5) * rate))
            attack = max(first + 1, round((note.begin + ATTACK + reach * 0.5) * rate) + 1)
            if note.drum:
                last = round((note.begin + STRUCK) * rate) + 1
                fall = np.exp(-np.maximum(np.arange(first, last) / rate - note.begin, 0) / DYING)
                stretch = Z[2 * k + 1, first:last]
                np.maximum(stretch, (loud * fall)[: len(stretch)], out=stretch)
            else:
                last = max(attack, round((note.end + LATE + reach * 0.5) * rate) + 1)
                stretch = Z[2 * k, first:last]
                np.maximum(stretch, loud, out=stretch)
            which = Z[2 * k if note.drum else 2 * k + 1, first:attack]
            np.maximum(which, loud, out=which)
        for k, (_, _, drum) in enumerate(voices):
            if drum:
                spectrum = _struck(context, stft, np.flatnonzero(Z[2 * k]))
                if spectrum.any():
                    W[:, 2 * k : 2 * k + 2] = unit(spectrum[:, None])
        return Templates(stft, W, owners.astype(np.intp), mobility=np.full(2 * len(voices), MOBILITY), Z=Z)


def _voices(notes: Sequence[Note], labels: Sequence[str]) -> list[tuple[str, int, bool]]:
    """Return the stem and pitch of each pair of templates, and whether it is a drum."""
    return sorted({(note.stem, note.pitch, note.drum) for note in notes if note.stem in labels})


def _played(notes: Sequence[Note], at: Alignment, seconds: float) -> list[Note]:
    """Return the notes that sound in a recording, in its seconds."""
    begins, ends = (at(np.array([getattr(note, end) for note in notes])) for end in ("begin", "end"))
    return [
        Note(note.stem, note.pitch, float(begin), float(end), note.velocity, note.drum)
        for note, begin, end in zip(notes, begins, ends, strict=True)
        if end > 0 and begin < seconds
    ]


def _struck(context: Context, stft: STFT, indices: NDArray[np.intp]) -> Matrix:
    """Return what frames in which a drum is struck add to those two before, all together, (bins,)."""
    chosen = some(indices[indices >= 2], STROKES)
    both = np.union1d(chosen, chosen - 2)
    levels = context.frames(stft, both)
    after, before = (levels[np.searchsorted(both, frames)] for frames in (chosen, chosen - 2))
    return np.asarray(np.maximum(after - before, 0).sum(axis=0))


def _name_and_path(text: str) -> tuple[str | None, str]:
    """Return the name, if there is one, and the path of NAME=FILE; a file of that very name goes before."""
    name, equals, path = text.partition("=")
    if not equals or os.path.exists(os.fsencode(text)):
        return None, text
    if not path:
        raise UsageError(f"--midi {text[:80]!r} names no file", "give NAME=score.mid")
    check_label(name)
    return name, path
