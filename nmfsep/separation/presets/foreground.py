"""A voice before its accompaniment, and a signal before noise: what moves fast before what stays."""

from __future__ import annotations

from dataclasses import replace

from ...nmf.factors import Matrix
from ...settings import Settings
from ...signal.stft import STFT
from ..atoms import ATOMS, Grouped, grouped, scene_of
from ..bands import bands_of
from ..groupings.foreground import SPAN, foreground

LONG, STILL = 4.0, 4  # seconds for which a noise stays, and its atoms


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
