"""Presets that look for sounds by name, such as the kick, snare and hi-hat of a drum loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors, Matrix
from ..models.convolutive import convolutive_nmf
from ..settings.separation import Settings
from ..signal.stft import STFT
from .atoms import ATOMS, Grouped, grouped, scene_of
from .foreground import SPAN, foreground
from .scene import bands_of

# what a stroke of each is made of: from and to hertz, level, and seconds in which it fades to 1/e
KICK = ((30.0, 110.0, 1.0, 0.12), (110.0, 3000.0, 0.02, 0.12), (110.0, 4000.0, 0.03, 0.01))
SNARE = ((150.0, 260.0, 1.0, 0.1), (500.0, 7000.0, 0.25, 0.1))
HIHAT = ((6500.0, 16000.0, 1.0, 0.06),)
SLOPE = 4  # power of frequency with which a band falls off at its ends
FLOOR = 1e-4  # of the level, everywhere
HELD = 20  # iterations in which these are held, to find when they are struck
LONG, STILL = 4.0, 4  # seconds for which a noise stays, and its atoms


def drums(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return the strokes of three drums (NMFD), in the order of the names of the preset.

    After Dittmar & Müller, "Reverse engineering the Amen break" (IEEE/ACM TASLP 24(9), 2016): templates start from
    those of a class of drums, by which each has its name; here these are made of fading bands, not of recordings.
    """
    channels, frames = len(X) // stft.bins, X.shape[1]
    delays = min(settings.template_frames, frames)
    own = strokes(stft.frequencies(sample_rate), stft.hop_length / sample_rate, delays)
    W = np.tile(own, (channels, 1, 1))
    level = np.full((W.shape[1], frames), X.mean(dtype=np.float64))
    asked = settings.asked(("max_iter", "tol", "time_limit")) | {"threads": settings.threads}
    if settings.time_limit is not None:
        asked["time_limit"] = settings.time_limit / 2  # of two fits
    first = {**asked, "max_iter": min(HELD, settings.max_iter), "tol": 0.0}
    struck = convolutive_nmf(X, W.shape[1], W=W, Z=level, fixed={"W"}, **first)
    found = convolutive_nmf(X, W.shape[1], W=W, Z=struck.Z, **asked)
    fit = found.unrolled()
    parts = np.split(fit.factors.W, channels)
    return Grouped([Factors(part, fit.factors.Z) for part in parts], [list(group) for group in found.groups], fit)


def strokes(frequencies: NDArray[np.float64], step: float, delays: int) -> NDArray[np.float64]:
    """Return a stroke of a kick, a snare and a hi-hat as one would expect it, (bins, 3, delays), each of unit sum.

    `frequencies` (bins,) are in hertz, from 0; `step` is seconds from frame to frame, and `delays` frames.
    """
    f = np.maximum(frequencies, frequencies[1] / 2)[:, None]
    seconds = np.arange(delays) * step
    found = np.full((len(frequencies), 3, delays), FLOOR)
    for drum, bands in enumerate((KICK, SNARE, HIHAT)):
        for low, high, level, fading in bands:
            shape = 1 / ((1 + (low / f) ** SLOPE) * (1 + (f / high) ** SLOPE))
            found[:, drum] += level * shape * np.exp(-seconds / fading)
    return np.asarray(found / found.sum(axis=(0, 2), keepdims=True))


def voice(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return what moves fast, as a voice does, and what stays for seconds or comes back."""
    return _split(X, stft, sample_rate, settings, SPAN, ATOMS)


def noise(X: Matrix, stft: STFT, sample_rate: int, settings: Settings) -> Grouped:
    """Return what moves, and what stays as it is for several seconds, a noise."""
    return _split(X, stft, sample_rate, settings, LONG, STILL)


def _split(X: Matrix, stft: STFT, sample_rate: int, settings: Settings, span: float, still: int) -> Grouped:
    scene = scene_of(X, stft, sample_rate, settings)
    found = foreground(scene, 2, ATOMS, span, still)
    atoms = replace(found, owners=1 - found.owners)  # the foreground first
    return grouped(atoms, X, bands_of(stft.bins), scene.sample, 2, ordered=False)
