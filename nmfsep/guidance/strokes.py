"""Strokes: waveforms of the single sounds in a training sound, such as the hits on a drum, and how a file keeps them.

`cut` finds where sounds begin, by the level in short hops, and cuts there. `pack` and `unpack` lay the strokes of all
labels end to end in one array, as a dictionary file has them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files.npz import Archive
from ..signal.audio import Audio, Samples, at_rate

Strokes = tuple[Samples, ...]  # of one label, each (samples,)

HOP = 0.0029  # seconds in which levels are measured
LOUD, RISE = 0.03, 2.5  # of the maximum, and above the hops before, from which a stroke begins
BEFORE = 12  # hops that a rise is measured against
ISLAND, GAP = 0.01, 8  # of the maximum, and quiet hops, after which a sound that swells begins a stroke, too
APART = 17  # hops between strokes
QUIET = 1e-6  # share of a stroke's energy that its end may have and be cut off
CANCELLED = 0.1  # of the energy of the channels, below which their mean is not what is looked at
FADE, SHORTEST, LONGEST = 0.005, 0.02, 10.0  # seconds
FAINT = 1e-4  # of the largest square in a sound, up to which a stroke is not kept
PER_LABEL, SECONDS = 128, 40.0  # strokes of a label at the most, and how long all of them may be
MOST = 1 << 27  # samples of all strokes of a dictionary


def onsets(
    samples: Samples, sample_rate: int, loud: float | None = None, rise: float = RISE, swells: bool = True
) -> NDArray[np.intp]:
    """Return the samples at which strokes begin in a sound (samples,).

    They rise above `loud` if it is given, else above a share of the maximum; then what swells from quiet counts, too,
    unless that is not wanted.
    """
    hop = max(1, int(HOP * sample_rate))
    count = len(samples) // hop
    power = np.square(samples[: count * hop], dtype=np.float64).reshape(count, hop)
    level = np.sqrt(power.mean(axis=1))
    largest = level.max(initial=0)
    padded = np.concatenate([np.zeros(BEFORE), level])
    before = np.lib.stride_tricks.sliding_window_view(padded, BEFORE)[:count].max(axis=1)
    rises = (level > (LOUD * largest if loud is None else loud)) & (level > rise * before)
    if loud is not None or not swells:
        return _apart(rises, hop)
    live = level > ISLAND * largest
    heard = np.where(live, np.arange(count), -count - 1)
    last_heard = np.concatenate([[-count - 1], np.maximum.accumulate(heard)[:-1]]) if count else heard
    islands = live & (np.arange(count) - last_heard > GAP)
    return _apart(rises | islands, hop)


def _apart(begins: NDArray[np.bool_], hop: int) -> NDArray[np.intp]:
    """Return where strokes begin, a hop early, of hops in which some do."""
    found: list[int] = []
    for at in np.flatnonzero(begins).tolist():
        if not found or at - found[-1] > APART:
            found.append(at)
    return np.array([max(0, at - 1) * hop for at in found], np.intp)


def channel_weights(samples: Samples) -> Samples:
    """Return what makes one channel of channels (channels, samples): the mean, or the loudest where they cancel."""
    count = len(samples)
    energies = np.array([np.square(channel, dtype=np.float64).sum() for channel in samples])
    if count > 1 and np.square(samples.mean(axis=0), dtype=np.float64).sum() < CANCELLED * energies.mean():
        loudest: Samples = (np.arange(count) == energies.argmax()).astype(np.float32)
        return loudest
    return np.full(count, 1 / count, np.float32)


def cut(samples: Samples, sample_rate: int) -> Strokes:
    """Return the strokes in a sound (channels, samples): one channel made of all, from an onset to the next.

    What dies away below -60 dB of a stroke is cut off, and its end faded out.
    """
    sound = np.atleast_2d(samples)
    mono = channel_weights(sound) @ sound
    starts = onsets(mono, sample_rate)
    faintest = FAINT * float(np.square(mono).max(initial=0))
    strokes = []
    for start, stop in zip(starts, [*starts[1:], len(mono)], strict=False):  # none in silence
        part = mono[start : min(stop, start + int(LONGEST * sample_rate))]
        left = np.cumsum(np.square(part[::-1], dtype=np.float64))[::-1]
        part = part[: np.count_nonzero(left > QUIET * left[0])].astype(np.float32)
        if len(part) <= SHORTEST * sample_rate or float(np.square(part).max()) <= faintest:
            continue
        fade = min(len(part) // 4, int(FADE * sample_rate))
        if fade:
            part[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        strokes.append(part)
    return tuple(strokes)


def first(parts: Sequence[Strokes], sample_rate: int) -> Strokes:
    """Return the strokes of several sounds, as many as a label may have."""
    chosen: list[Samples] = []
    room = SECONDS * sample_rate
    for stroke in (stroke for part in parts for stroke in part):
        room -= len(stroke)
        if len(chosen) == PER_LABEL or room < 0:
            break
        chosen.append(stroke)
    return tuple(chosen)


def converted(strokes: Strokes, rate: int, sample_rate: int) -> Strokes:
    """Return strokes at another rate in hertz; raise InputError where nothing can convert them."""
    return tuple(at_rate(Audio(stroke, rate), sample_rate)[0] for stroke in strokes)


def pack(strokes: Sequence[Strokes]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a dictionary file that hold the strokes of each label; none if there are no strokes."""
    every = [stroke for own in strokes for stroke in own]
    if not every:
        return {}
    owners = [label for label, own in enumerate(strokes) for _ in own]
    return {
        "strokes": np.concatenate(every),
        "stroke_lengths": np.array([len(stroke) for stroke in every], np.int32),
        "stroke_owners": np.array(owners, np.int32),
    }


def unpack(file: Archive, labels: int, sample_rate: int) -> tuple[Strokes, ...]:
    """Return the strokes of each label in a dictionary file.

    Raises
    ------
    UsageError
        The arrays do not fit together, or hold more than any dictionary.
    """
    if not any(name in file for name in ("strokes", "stroke_lengths", "stroke_owners")):
        return ()
    samples = file.array("strokes", 1, signed=True)
    lengths, owners = file.array("stroke_lengths", 1), file.array("stroke_owners", 1)
    if len(samples) > MOST:
        raise UsageError(f"has strokes of {len(samples)} samples; {MOST} are the most that are read")
    if len(lengths) != len(owners):
        raise UsageError(f"has {len(lengths)} strokes, of which {len(owners)} have a label")
    if (lengths != np.floor(lengths)).any() or lengths.min() < 1 or lengths.sum(dtype=np.float64) != len(samples):
        raise UsageError("stroke_lengths are not lengths of its strokes")
    longest = max(2.0, LONGEST * sample_rate)
    if lengths.max() > longest:
        raise UsageError(f"has a stroke of {int(lengths.max())} samples; {int(longest)} are the most that are read")
    if (owners != np.floor(owners)).any() or owners.max() >= labels or (np.diff(owners) < 0).any():
        raise UsageError("stroke_owners are not indices of labels in order")
    counts = np.bincount(owners.astype(np.intp), minlength=labels)
    if counts.max() > PER_LABEL:
        raise UsageError(f"has a label of {int(counts.max())} strokes; {PER_LABEL} are the most that are read")
    ends = np.cumsum(lengths.astype(np.intp))
    parts = np.split(samples, ends[:-1])
    if not all(part.any() for part in parts):
        raise UsageError("has a stroke that is silence")
    places = np.concatenate([[0], np.cumsum(counts)])
    return tuple(tuple(parts[a:b]) for a, b in itertools.pairwise(places))
