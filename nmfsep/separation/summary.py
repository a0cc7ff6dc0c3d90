"""Descriptors of stems, read off their model: how each sounds, how much they bleed, and hints which are too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Matrix
from ..signal.stft import STFT
from .components import Components
from .describe import Component, describe
from .model import Model

STRUCK = 0.1  # seconds after an onset that count as its stroke
SOUNDING = 0.05  # of the largest activation, from which a stem counts as sounding
ALIKE = 0.95  # cosine of two stems' spectra from which they are taken for one
EMPTY = 1e-5  # share of the energy below which a stem holds next to nothing
BLEEDING = 0.35  # of a stem's energy where another is as loud
BLOCK = 4096  # frames multiplied at a time


@dataclass(frozen=True, slots=True)
class StemSummary:
    """Stems as templates and activations, one each.

    Attributes
    ----------
    W : ndarray, shape (bins, stems)
        The spectrum of all that a stem sounds, added up over channels, of unit sum.
    Z : ndarray, shape (stems, frames)
        Its level, frame by frame.
    products : ndarray, shape (stems, stems)
        Inner products of the stems' models, over all channels, bins and frames.
    sides : ndarray, shape (channels, stems)
        The sum of each stem's model in each channel.
    """

    W: NDArray[np.float64]
    Z: Matrix
    products: NDArray[np.float64]
    sides: NDArray[np.float64]

    @property
    def energies(self) -> NDArray[np.float64]:
        """Energy of each stem's model."""
        energies: NDArray[np.float64] = np.diag(self.products)
        return energies

    @property
    def likeness(self) -> NDArray[np.float64]:
        """Cosines of the stems' spectra, (stems, stems)."""
        unit = self.W / np.maximum(np.linalg.norm(self.W, axis=0), 1e-30)
        cosines: NDArray[np.float64] = unit.T @ unit
        return cosines

    @property
    def bleed(self) -> NDArray[np.float64]:
        """Row j: whose the model is where stem j sounds, as shares that sum to one; all zero for silence."""
        total = self.products.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = self.products / np.where(total > 0, total, 1)
        return shares


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a manifest says of stems beside their energies.

    Attributes
    ----------
    stems : list of dict
        Descriptors of each; none of a residual, which has no model.
    bleed : list of list of float
        As in StemSummary, without a residual.
    hints : list of str
        Empty where a dictionary, a preset or groups say what the stems are.
    """

    stems: list[dict[str, Any]]
    bleed: list[list[float]]
    hints: list[str]


def diagnose(model: Model, names: Sequence[str], sample_rate: int) -> Diagnosis:
    """Return the descriptors of the stems of these names; nothing where activations were not kept."""
    stems = model.stems
    if stems is None:
        return Diagnosis([{}] * len(names), [], [])
    summary = summarize(stems)
    rows = descriptors(summary, names[: len(summary.Z)], model.stft, sample_rate)
    rows += [{}] * (len(names) - len(rows))
    named = model.labels or model.settings.preset or model.settings.group
    lines = [] if named else hints(summary, names)
    return Diagnosis(rows, np.round(summary.bleed, 3).tolist(), lines)


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


def descriptors(summary: StemSummary, names: Sequence[str], stft: STFT, sample_rate: int) -> list[dict[str, Any]]:
    """Return what each stem sounds like, as plain values.

    That is pitch (None where it has none), centroid in hertz, centre (the frequency in hertz below which half of its
    energy lies; 0 in silence), percussiveness (the share of its level within STRUCK
    seconds of its onsets), activity (the share of the time in which it sounds), and pan (from -1, left, to 1, right;
    None where there are not two channels).
    """
    step = stft.hop_length / sample_rate
    frequencies = stft.frequencies(sample_rate)
    found = describe(list(names), summary.W, summary.Z, summary.energies, stft, sample_rate)
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
                "percussiveness": round(_struck(component, z, step), 3),
                "activity": round(float(np.mean(z > SOUNDING * z.max())) if z.any() else 0.0, 3),
                "pan": None if pan is None else round(float(pan), 3),
            }
        )
    return rows


def hints(summary: StemSummary, names: Sequence[str]) -> list[str]:
    """Return what the user should try, a line each: numbered stems that hold nothing, are alike, or bleed.

    `names` may have one more, of a residual.
    """
    energies, likeness, bleed = summary.energies, summary.likeness, summary.bleed
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


def _centre(spectrum: NDArray[np.float64], frequencies: NDArray[np.float64]) -> float:
    below = np.cumsum(np.square(spectrum))
    return float(frequencies[np.searchsorted(below, below[-1] / 2)]) if below[-1] > 0 else 0.0


def _struck(component: Component, z: Matrix, step: float) -> float:
    near = np.zeros(len(z), bool)
    for onset in component.onsets:
        start = round(onset / step)
        near[start : start + max(1, round(STRUCK / step))] = True
    total = float(z.sum(dtype=np.float64))
    return float(z[near].sum(dtype=np.float64)) / total if total > 0 else 0.0


def _gram(Z: Matrix) -> NDArray[np.float64]:
    gram = np.zeros((len(Z), len(Z)))
    for start in range(0, Z.shape[1], BLOCK):
        block = Z[:, start : start + BLOCK]
        gram += block @ block.T
    return gram
