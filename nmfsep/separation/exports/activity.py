"""When stems sound, and at which pitches, by their templates and activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..describe import find_onsets
from ..pitch import find_pitch
from ..result import Layer, Separation

HEARD = 0.1  # of the largest activation, from which on something sounds
QUIETEST = 0.03  # of a stem's energy that a pitch must have
SHORTEST = 0.05  # seconds of what sounds, and of a gap in it
APART = 0.12  # seconds between two onsets of a pitch
Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Voice:
    """What of a stem has one pitch, or none.

    Attributes
    ----------
    pitch : int or None
        MIDI note.
    level : ndarray, shape (frames,)
        Magnitude in each frame.
    spectrum : ndarray, shape (bins,)
        Magnitude at each bin.
    """

    pitch: int | None
    level: Curve
    spectrum: Curve


def voices(separation: Separation, sample_rate: int) -> Iterator[tuple[str, Layer, list[Voice]]]:
    """Yield each stem that has components with the layer of the longest frames and its voices, the loudest first."""
    layer, grouping = separation.layers[-1], separation.grouping
    frequencies = layer.stft.frequencies(sample_rate)
    for name, members in zip(separation.names, grouping.members, strict=False):
        parts: dict[int | None, list[Voice]] = {}
        for column in (column for member in members for column in layer.model.groups[member]):
            # of all channels, which have templates of their own, or activations
            W = np.asarray(sum(factors.W[:, column].astype(np.float64) for factors in layer.model.factors))
            Z = np.asarray(sum(factors.Z[column].astype(np.float64) for factors in layer.model.factors))
            found = find_pitch(W, frequencies) if W.any() and Z.any() else None
            pitch = None if found is None else found.note
            parts.setdefault(pitch, []).append(Voice(pitch, Z * W.sum(), W * Z.sum()))
        whole = [
            Voice(pitch, np.sum([v.level for v in same], axis=0), np.sum([v.spectrum for v in same], axis=0))
            for pitch, same in parts.items()
        ]
        energies = [float(voice.level @ voice.level) for voice in whole]
        order = np.argsort(energies, kind="stable")[::-1]
        loud = [whole[k] for k in order if energies[k] > QUIETEST * sum(energies)]
        yield name, layer, loud


def sounding(level: Curve, step: float) -> list[tuple[float, float]]:
    """Return when something sounds, begin and end in seconds, for frames so many seconds apart."""
    top = float(level.max(initial=0))
    if top <= 0:
        return []
    edges = np.diff(np.concatenate([[0], level > HEARD * top, [0]]).astype(int))
    spans: list[tuple[float, float]] = []
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
