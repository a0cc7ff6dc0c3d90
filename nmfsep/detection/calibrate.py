"""Calibration: what a dictionary must know of each label so that `detect` tells it from the others.

Frames of every label are explained by all templates. A label's share of frames in which it is not heard is what it
seems to have there; its threshold is above nearly all of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..guidance.annotations import Region
from ..guidance.dictionary import Dictionary
from ..guidance.learn import ActiveFrames, Sound
from ..guidance.strokes import Strokes
from ..kernels.product import Matrix
from ..kernels.threads import Workers
from ..nmf.blockwise import Sample
from ..settings.commands import DetectSettings
from ..signal.audio import Audio
from .find import detect
from .levels import frames_for, shares

FRAMES, SOUNDS = 400, 8  # frames of a label that are looked at, from so many of its sounds
LEAST, MOST, ABSENT = -15.0, -12.0, 95  # dB between which a threshold is, and the percentile that it is above
WIDEST = 0.3  # seconds of a margin
STRUCK, SHARE = 0.1, 0.7  # seconds of a stroke in which it has most of its energy, and how much


def calibrated(dictionary: Dictionary, sounds: Mapping[str, Sequence[Sound]], threads: int | None = None) -> Dictionary:
    """Return a dictionary that knows the thresholds of its labels; those it knows already stay as they are.

    Parameters
    ----------
    dictionary : Dictionary
    sounds : mapping of str to sequence of Sound
        What labels were learned from. Templates take the place of sounds that are not there any more.
    threads : int, optional
        Never changes the result.

    Returns
    -------
    Dictionary
    """
    labels, rate = dictionary.labels, dictionary.sample_rate
    templates = frames_for([dictionary], rate)
    known = dictionary.traits or ({},) * len(labels)
    strokes = dictionary.strokes or ((),) * len(labels)
    with Workers(threads) as workers:
        seeming = np.zeros((len(labels), len(labels)))  # share of each label in frames of another, in dB
        for index, label in enumerate(labels):
            if label in sounds:
                X = _frames(sounds[label], templates.stft, workers)
            else:
                X = np.ascontiguousarray(templates.W[:, templates.columns(index)].T)
            found = shares(X, templates, len(labels), workers)
            share = 10 * np.log10(np.maximum(found.energies / np.maximum(found.mixture, 1e-30), 1e-10))
            seeming[:, index] = np.percentile(share, ABSENT, axis=1)
    np.fill_diagonal(seeming, -np.inf)
    least = np.clip(seeming.max(axis=1), LEAST, MOST)
    traits = [
        dict(about) or {"threshold": round(float(least[index]), 2), "struck": _is_struck(strokes[index], rate)}
        for index, about in enumerate(known)
    ]
    return replace(dictionary, traits=tuple(traits))


def with_margins(
    dictionary: Dictionary, recordings: Iterable[tuple[Audio, Sequence[Region]]], threads: int | None = None
) -> Dictionary:
    """Return a dictionary that finds events as they were marked: whole, and with the margins that people leave.

    Parameters
    ----------
    dictionary : Dictionary
        Calibrated.
    recordings : iterable of (Audio, sequence of Region)
        Recordings in which all of its sounds are marked.
    threads : int, optional
        Never changes the result.
    """
    whole = replace(dictionary, traits=tuple(dict(about) | {"struck": False} for about in dictionary.traits))
    margins: dict[str, list[tuple[float, float]]] = {}
    for sound, regions in recordings:
        events = detect(sound, whole, DetectSettings(threads=threads))
        for region in regions:
            own = [e for e in events if e.label == region.name and e.begin < region.end and e.end > region.begin]
            if own:
                before, after = own[0].begin - region.begin, region.end - max(event.end for event in own)
                margins.setdefault(region.name, []).append((before, after))
    traits = []
    for label, about in zip(whole.labels, whole.traits, strict=True):
        found = np.median(margins.get(label, [(0.0, 0.0)]), axis=0)
        before, after = (round(float(np.clip(each, 0, WIDEST)), 4) for each in found)
        traits.append(about | {"before": before, "after": after})
    return replace(whole, traits=tuple(traits))


def _frames(sounds: Sequence[Sound], stft: Any, workers: Workers) -> Matrix:
    """Return frames of some sounds that sound, drawn by what is in them."""
    sample = Sample(stft.bins, FRAMES)
    for sound in sorted(sounds, key=lambda sound: sound.key)[:SOUNDS]:
        for start, block in ActiveFrames(sound.load(), stft, workers):
            sample.add(sound.key, start, block)
    return sample.frames()


def _is_struck(strokes: Strokes, sample_rate: int) -> bool:
    """Whether sounds die away so fast that each stroke is an event."""
    first = int(STRUCK * sample_rate)
    shares = [np.square(each[:first]).sum() / max(np.square(each).sum(), 1e-20) for each in strokes]
    return len(shares) > 0 and float(np.median(shares)) > SHARE
