"""Start by least mask entropy: of several fits with one component a stem, the one whose masks leave least open.

Starts of a factorization end in different minima, and their losses hardly tell them apart: one that splits a drum and
joins two others may explain the sound as well as one that does not. Where each component is a source, nearly every bin
belongs to one of them, so that masks are near 0 or 1. Let M_j = V_j / Σ_i V_i be the masks, V_j = w_j z_j, and p the
share of the energy that lies in a bin. Among the fits whose loss is within SLACK of the least, the one with the least
entropy H = −Σ p Σ_j M_j log M_j is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels.product import Factors, Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution, Fit
from ..nmf.starts import from_templates, spherical_kmeans
from .semantic import onset_spectra

FIRST = ("nndsvda", "spa", "onsets")  # all others are random
SLACK = 1.1  # of the least loss, up to which a fit is believed
BLOCK = 64  # frames whose masks are looked at together


@dataclass(frozen=True, slots=True)
class Start:
    """The fit that was taken.

    Attributes
    ----------
    fit : Fit
    name : str
        What it started from: one of FIRST, or random-N.
    entropy : float
        H, in nats.
    tried : int
        Fits that were compared.
    """

    fit: Fit
    name: str
    entropy: float
    tried: int


def least_entropy(
    Xt: Matrix,
    components: int,
    channels: int,
    starts: int,
    seed: int,
    threads: int | None,
    options: Mapping[str, Any],
    on_start: Callable[[int], object],
) -> Start:
    """Return the fit with the least mask entropy among those that explain the sound about equally well.

    Parameters
    ----------
    Xt : ndarray, shape (frames, channels * bins)
        Magnitudes.
    components : int
    channels : int
    starts : int
        Fits to compare.
    seed : int
    threads : int or None
    options : mapping
        Of `factorize`, for each fit.
    on_start : callable
        Called with the number of fits that are done.
    """
    fits: list[Fit] = []
    execution = Execution(threads, ONCE)
    for number in range(starts):
        begin = _begin(Xt, components, channels, number, seed)
        fits.append(factorize(Xt.T, components, execution=execution, **options, **begin))
        on_start(number + 1)
    enough = SLACK * min(fit.losses[-1] for fit in fits)
    entropies = [mask_entropy(Xt, fit.factors) if fit.losses[-1] <= enough else np.inf for fit in fits]
    best = int(np.argmin(entropies))
    return Start(fits[best], name_of(best), float(entropies[best]), starts)


def name_of(number: int) -> str:
    """Return what start number so many is called."""
    return FIRST[number] if number < len(FIRST) else f"random-{number - len(FIRST) + 1}"


def mask_entropy(Xt: Matrix, factors: Factors) -> float:
    """Return −Σ p Σ_j M_j log M_j of the ratio masks of components, in nats, p being the shares of the energy of X."""
    W, total, found = np.ascontiguousarray(factors.W.T), 0.0, 0.0
    for first in range(0, len(Xt), BLOCK):
        energy = np.square(Xt[first : first + BLOCK])
        masks = factors.Z[:, first : first + BLOCK, None] * W[:, None]
        masks /= masks.sum(axis=0) + np.float32(1e-20)
        masks *= np.log(masks + np.float32(1e-9))
        found -= float(np.vdot(energy, masks.sum(axis=0)))
        total += float(energy.sum(dtype=np.float64))
    return found / total if total > 0 else 0.0


def _begin(Xt: Matrix, components: int, channels: int, number: int, seed: int) -> dict[str, Any]:
    """Return the options of `factorize` with which a start begins."""
    name = name_of(number)
    if name != "onsets":
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        return {"start": name if number < len(FIRST) else "random", "seed": own}
    mono = np.ascontiguousarray(Xt.reshape(len(Xt), channels, -1).mean(axis=1))
    struck = onset_spectra(mono)
    rng = np.random.default_rng([seed, number])
    centres = spherical_kmeans(struck if len(struck) >= components else mono, components, rng).W
    begin = from_templates(Xt, np.tile(centres, (channels, 1)))
    return {"W": begin.W, "Z": begin.Z}
