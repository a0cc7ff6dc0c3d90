"""Descriptors of a component, such as pitch and onsets, read off its template and its activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..signal.audio import Samples
from ..signal.pitch import Pitch, find_pitch
from ..signal.stft import BLOCK, STFT

STRIDE = 0.1  # seconds before and after an onset that are compared, and between two onsets at the least
RISE = 0.2  # of the largest activation, by which an onset must rise over what was before
GROWTH = 1.3  # as a factor


@dataclass(frozen=True, slots=True)
class Component:
    """A component described.

    Attributes
    ----------
    name : str
    pitch : Pitch or None
        None where it has none.
    onsets : tuple of float
        Seconds from the beginning.
    share : float
        Of the energy of all components taken one by one, from 0 to 1.
    centroid : float
        Mean frequency of its template in hertz; 0 if it is silent.
    """

    name: str
    pitch: Pitch | None
    onsets: tuple[float, ...]
    share: float
    centroid: float

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        pitch = self.pitch
        about = None
        if pitch is not None:
            about = {
                "name": pitch.name,
                "midi": pitch.note,
                "cents": pitch.cents,
                "hertz": round(pitch.hertz, 2),
                "strength": round(pitch.strength, 3),
            }
        return {
            "name": self.name,
            "pitch": about,
            "energy_share": round(self.share, 6),
            "centroid": round(self.centroid, 1),
            "onsets": [round(onset, 3) for onset in self.onsets],
        }


def describe(
    names: list[str],
    W: NDArray[np.floating],
    Z: NDArray[np.floating],
    energies: NDArray[np.float64],
    stft: STFT,
    sample_rate: int,
) -> list[Component]:
    """Describe components.

    Parameters
    ----------
    names : list of str
    W : ndarray, shape (bins, components)
        Templates of one channel, or added up over channels.
    Z : ndarray, shape (components, frames)
    energies : ndarray, shape (components,)
    stft : STFT
        What the frames and bins are.
    sample_rate : int
        Hertz.
    """
    frequencies = stft.frequencies(sample_rate)
    shares = energies / max(float(energies.sum()), 1e-300)
    return [
        Component(
            name,
            find_pitch(W[:, k], frequencies),
            tuple(find_onsets(Z[k], stft.hop_length / sample_rate).tolist()),
            float(shares[k]),
            float(frequencies @ W[:, k] / max(float(W[:, k].sum()), 1e-300)),
        )
        for k, name in enumerate(names)
    ]


def find_onsets(activation: NDArray[np.floating], step: float) -> NDArray[np.float64]:
    """Return the times in seconds at which an activation sets in.

    Those are the largest steps up within STRIDE: the mean of the STRIDE seconds from there on, less the mean of those
    before. What sounds only for a moment, as when it catches a bit of another note's attack, makes no large step.

    Parameters
    ----------
    activation : ndarray, shape (frames,)
    step : float
        Seconds between frames.
    """
    z = np.asarray(activation, np.float64)
    top = float(z.max(initial=0))
    if top <= 0:
        return np.empty(0)
    width = max(1, round(STRIDE / step))
    padded = np.pad(z / top, width)
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    frames = np.arange(len(z)) + width
    after, before = (sums[frames + width] - sums[frames]) / width, (sums[frames] - sums[frames - width]) / width
    rise = np.where(after > GROWTH * before, after - before, 0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(rise, width), 2 * width + 1).max(axis=1)
    return np.flatnonzero((rise >= RISE) & (rise == around)).astype(np.float64) * step


def template_and_activation(samples: Samples, stft: STFT) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums over time and over frequency of a sound's magnitudes: what W and Z have of it, were it alone.

    Parameters
    ----------
    samples : ndarray, shape (channels, samples)
    stft : STFT

    Returns
    -------
    template : ndarray, shape (bins,)
        Of unit sum, if the sound is not silent.
    activation : ndarray, shape (frames,)
    """
    frames = stft.n_frames(samples.shape[1])
    template, activation = np.zeros(stft.bins), np.zeros(frames)
    for start in range(0, frames, BLOCK):
        magnitudes = np.abs(stft.forward_block(samples, start, min(frames, start + BLOCK))).sum(axis=0)
        template += magnitudes.sum(axis=0)
        activation[start : start + BLOCK] = magnitudes.sum(axis=1)
    return template / max(float(template.sum()), 1e-300), activation
