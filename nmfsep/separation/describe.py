"""Descriptors of components and stems, read off their templates and activations: pitch, onsets, bleed, hints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..signal.audio import Samples
from ..signal.pitch import Pitch, find_pitch
from ..signal.stft import BLOCK, STFT
from .components import Components

STRIDE = 0.1  # seconds before and after an onset that are compared, and between two onsets at the least
RISE = 0.2  # of the largest activation, by which an onset must rise over what was before
GROWTH = 1.3  # as a factor
STRUCK = 0.1  # seconds after an onset that count as its stroke
SOUNDING = 0.05  # of the largest activation, from which a stem counts as sounding
ALIKE = 0.95  # cosine of two stems' spectra from which they are taken for one
EMPTY = 1e-5  # share of the energy below which a stem holds next to nothing
BLEEDING = 0.35  # of a stem's energy where another is as loud
MULTIPLIED = 4096  # frames at a time

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Component:
    """A component described."""

    name: str
    pitch: Pitch | None  # None where it has none
    onsets: tuple[float, ...]  # seconds from the beginning
    share: float  # of the energy of all components taken one by one, from 0 to 1
    centroid: float  # mean frequency of its template in hertz; 0 if it is silent

    def document(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        pitch = self.pitch
        about = (
            None
            if pitch is None
            else {
                "name": pitch.name,
                "midi": pitch.note,
                "cents": pitch.cents,
                "hertz": round(pitch.hertz, 2),
                "strength": round(pitch.strength, 3),
            }
        )
        return {
            "name": self.name,
            "pitch": about,
            "energy_share": round(self.share, 6),
            "centroid": round(self.centroid, 1),
            "onsets": [round(onset, 3) for onset in self.onsets],
        }


def describe(
    names: Sequence[str], W: Floats, Z: Floats, energies: NDArray[np.float64], stft: STFT, sample_rate: int
) -> list[Component]:
    """Describe components.

    Parameters
    ----------
    names : sequence of str
    W : ndarray, shape (bins, components)
        Templates of one channel, or added up over channels.
    Z : ndarray, shape (components, frames)
    energies : ndarray, shape (components,)
    stft : STFT
        What the frames and bins are.
    sample_rate : int
        Hertz.
    """
    frequencies, step = stft.frequencies(sample_rate), stft.hop_length / sample_rate
    shares = energies / max(float(energies.sum()), 1e-300)
    return [
        Component(
            name,
            find_pitch(W[:, k], frequencies),
            tuple(find_onsets(Z[k], step).tolist()),
            float(shares[k]),
            float(frequencies @ W[:, k] / max(float(W[:, k].sum()), 1e-300)),
        )
        for k, name in enumerate(names)
    ]


def find_onsets(activation: Floats, step: float) -> NDArray[np.float64]:
    """Return the times in seconds at which an activation (frames,) sets in; `step` is seconds between frames.

    Those are the largest steps up within STRIDE: the mean of the STRIDE seconds from there on, less the mean of those
    before. What sounds only for a moment, as when it catches a bit of another note's attack, makes no large step.
    """
    z = np.asarray(activation, np.float64)
    top = float(z.max(initial=0))
    if top <= 0:
        return np.empty(0)
    width = max(1, round(STRIDE / step))
    sums = np.concatenate([[0.0], np.cumsum(np.pad(z / top, width))])
    frames = np.arange(len(z)) + width
    after, before = (sums[frames + width] - sums[frames]) / width, (sums[frames] - sums[frames - width]) / width
    rise = np.where(after > GROWTH * before, after - before, 0)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(rise, width), 2 * width + 1).max(axis=1)
    return np.flatnonzero((rise >= RISE) & (rise == around)).astype(np.float64) * step


def template_and_activation(samples: Samples, stft: STFT) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums over time and over frequency of a sound's magnitudes: what W and Z have of it, were it alone.

    Samples are (channels, samples), the template (bins,) has unit sum if the sound is not silent, and the activation
    is (frames,).
    """
    frames = stft.n_frames(samples.shape[1])
    template, activation = np.zeros(stft.bins), np.zeros(frames)
    for start in range(0, frames, BLOCK):
        magnitudes = np.abs(stft.forward_block(samples, start, min(frames, start + BLOCK))).sum(axis=0)
        template += magnitudes.sum(axis=0)
        activation[start : start + BLOCK] = magnitudes.sum(axis=1)
    return template / max(float(template.sum()), 1e-300), activation


@dataclass(frozen=True, slots=True)
class StemSummary:
    """Stems as templates and activations, one each."""

    W: NDArray[np.float64]  # (bins, stems): the spectrum of all that a stem sounds, of all channels, of unit sum
    Z: Matrix  # (stems, frames): its level
    products: NDArray[np.float64]  # (stems, stems): inner products of the models, over all channels, bins and frames
    sides: NDArray[np.float64]  # (channels, stems): the sum of each stem's model in each channel

    @property
    def energies(self) -> NDArray[np.float64]:
        """Energy of each stem's model."""
        return np.asarray(np.diag(self.products))

    @property
    def bleed(self) -> NDArray[np.float64]:
        """Row j: whose the model is where stem j sounds, as shares that sum to one; all zero for silence."""
        total = self.products.sum(axis=1, keepdims=True)
        return np.asarray(self.products / np.where(total > 0, total, 1))


def summarize(components: Components) -> StemSummary:
    """Return components or stems as one template and one activation each."""
    groups = [list(group) for group in components.groups]
    stems, first = len(groups), components.factors[0]
    member = np.zeros((first.components, stems))
    for stem, group in enumerate(groups):
        member[group, stem] = 1
    products, spectra, sides = np.zeros((stems, stems)), np.zeros((len(first.W), stems)), []
    grams: dict[int, NDArray[np.float64]] = {}
    activations = np.zeros((stems, first.Z.shape[1]), np.float32)
    for factors in components.factors:
        if id(factors.Z) not in grams:  # which channels may share
            grams[id(factors.Z)] = _gram(factors.Z)
        levels = factors.Z.sum(axis=1, dtype=np.float64)
        W = factors.W.astype(np.float64)
        products += member.T @ ((W.T @ W) * grams[id(factors.Z)]) @ member
        spectra += (W * levels) @ member
        sums = W.sum(axis=0)
        sides.append((sums * levels) @ member)
        for stem, group in enumerate(groups):
            activations[stem] += sums[group].astype(np.float32) @ factors.Z[group]
    return StemSummary(spectra / np.maximum(spectra.sum(axis=0), 1e-30), activations, products, np.array(sides))


def _gram(Z: Matrix) -> NDArray[np.float64]:
    gram = np.zeros((len(Z), len(Z)))
    for start in range(0, Z.shape[1], MULTIPLIED):
        block = Z[:, start : start + MULTIPLIED]
        gram += block @ block.T
    return gram


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Descriptors of stems for a manifest."""

    stems: list[dict[str, Any]]  # none of a residual, which has no model
    bleed: list[list[float]]  # as in StemSummary, without a residual
    hints: list[str]  # none where a dictionary, a preset or groups say what the stems are


def descriptors(summary: StemSummary, names: Sequence[str], stft: STFT, sample_rate: int) -> list[dict[str, Any]]:
    """Return what each stem sounds like, as plain values.

    That is pitch (None where it has none), centroid in hertz, centre (the frequency in hertz below which half of its
    energy lies; 0 in silence), percussiveness (the share of its level within STRUCK seconds of its onsets), activity
    (the share of the time in which it sounds), and pan (from -1, left, to 1, right; None where there are not two
    channels).
    """
    step = stft.hop_length / sample_rate
    frequencies = stft.frequencies(sample_rate)
    found = describe(names, summary.W, summary.Z, summary.energies, stft, sample_rate)
    rows = []
    for stem, component in enumerate(found):
        z = summary.Z[stem]
        left, right = summary.sides[0, stem], summary.sides[-1, stem]
        pan = (right - left) / (left + right) if len(summary.sides) == 2 and left + right > 0 else None
        about = component.document()
        rows.append(
            {
                "pitch": about["pitch"],
                "centroid": about["centroid"],
                "centre": round(_centre(summary.W[:, stem], frequencies), 1),
                "percussiveness": round(_percussiveness(component, z, step), 3),
                "activity": round(float(np.mean(z > SOUNDING * z.max())) if z.any() else 0.0, 3),
                "pan": None if pan is None else round(float(pan), 3),
            }
        )
    return rows


def _centre(spectrum: NDArray[np.float64], frequencies: NDArray[np.float64]) -> float:
    below = np.cumsum(np.square(spectrum))
    return float(frequencies[np.searchsorted(below, below[-1] / 2)]) if below[-1] > 0 else 0.0


def _percussiveness(component: Component, z: Matrix, step: float) -> float:
    near = np.zeros(len(z), bool)
    for onset in component.onsets:
        start = round(onset / step)
        near[start : start + max(1, round(STRUCK / step))] = True
    total = float(z.sum(dtype=np.float64))
    return float(z[near].sum(dtype=np.float64)) / total if total > 0 else 0.0


def hints(summary: StemSummary, names: Sequence[str]) -> list[str]:
    """Return what the user should try, a line each: numbered stems that hold nothing, are alike, or bleed.

    `names` may have one more, of a residual.
    """
    energies, bleed = summary.energies, summary.bleed
    spectra = summary.W / np.maximum(np.linalg.norm(summary.W, axis=0), 1e-30)
    likeness = spectra.T @ spectra
    count, lines = len(energies), []
    if count < 2 or not energies.sum() > 0:
        return []
    empty = [stem for stem in range(count) if energies[stem] < EMPTY * energies.sum()]
    if empty:
        listed = " and ".join(names[stem] for stem in empty[:3]) + (" and others" if len(empty) > 3 else "")
        lines.append(f"{listed} hold{'s' * (len(empty) == 1)} next to nothing: try -k {max(1, count - len(empty))}")
    pairs = [(likeness[i, j], i, j) for i in range(count) for j in range(i + 1, count) if not {i, j} & set(empty)]
    twins = sorted((pair for pair in pairs if pair[0] >= ALIKE), reverse=True)
    if twins:
        merged = {j for _, _, j in twins}
        value, i, j = twins[0]
        more = f", {len(twins) - 1} other pairs nearly so" if len(twins) > 2 else ""
        lines.append(f"{names[i]} and {names[j]} are {value:.2f} alike{more}: try -k {max(1, count - len(merged))}")
    shared = sorted(((min(bleed[i, j], bleed[j, i]), i, j) for _, i, j in pairs), reverse=True)
    if shared and shared[0][0] > BLEEDING:
        value, i, j = shared[0]
        lines.append(f"{names[i]} and {names[j]} lie over each other ({value:.0%} is the other's): expect bleed")
    return lines
