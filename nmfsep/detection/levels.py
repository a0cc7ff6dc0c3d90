"""Levels: how much of each frame of a recording belongs to each label, by the templates of a dictionary.

Magnitudes are explained by all templates at once, and each label's part is its share of the energy, as a mask with
power 2 would cut it out. What no label knows, free templates take, learned from frames of the recording itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..guidance.dictionary import Dictionary, convert, suitable
from ..guidance.templates import Templates, unit
from ..kernels.divergence import kullback_leibler
from ..kernels.product import EPS, Matrix
from ..kernels.select import choose
from ..kernels.threads import Workers
from ..nmf.blockwise import solve
from ..nmf.factorize import factorize
from ..nmf.problem import Problem
from ..signal.stft import STFT, window_samples

SECONDS = 0.046  # of a frame: of 0.046, 0.093 and 0.2 s, those find events best in drums, notes and speech
SPARSITY, FREE_ITERATIONS = 1.0, 30
PROBLEM = Problem(kullback_leibler, sparsity=SPARSITY)


def frames_for(dictionaries: Sequence[Dictionary], sample_rate: int) -> Templates:
    """Return the templates of all labels, in their order, at the frames that a recording of that rate is looked at in.

    Templates of several frames count frame by frame.

    Raises
    ------
    UsageError
        The templates cannot be converted to the sample rate in hertz.
    """
    n_fft = int(np.clip(2 ** round(np.log2(SECONDS * sample_rate)), 64, 2**20))
    views: list[Templates] = []
    for dictionary in dictionaries:
        single = replace(dictionary, views=tuple(replace(view, delays=1) for view in dictionary.views), strokes=())
        try:
            views += convert(single, sample_rate, [STFT(n_fft)]).views
        except UsageError:  # frames of another length, which the user wanted
            if len(dictionaries) > 1:
                raise
            views += convert(single, sample_rate, suitable(single, sample_rate)[:1]).views
    first, places = views[0], 0
    for dictionary, view in zip(dictionaries, views, strict=True):
        count = len(dictionary.labels)
        joined = view.renumbered(range(places, places + count))
        first, places = joined if places == 0 else first.joined(joined), places + count
    return first


def with_free(templates: Templates, X: Matrix, count: int, seed: int = 0) -> Templates:
    """Return templates and `count` more, learned from frames (frames, bins) in which the others are held."""
    labels = int(templates.owners.max()) + 1
    rng = np.random.default_rng(seed)
    new = unit(rng.uniform(0.1, 1.1, (templates.stft.bins, count)).astype(np.float32))
    W = np.concatenate([templates.W, new], axis=1)
    held = np.zeros(W.shape, bool)
    held[:, :-count] = True
    X = _level(X)[0]
    level = X.sum(axis=1) / max(float(W.sum(dtype=np.float64)), 1e-12)
    options: dict[str, Any] = {"seed": seed, "max_iter": FREE_ITERATIONS, "tol": 0.0, "sparsity": SPARSITY}
    Z = np.repeat(level[None].astype(np.float32), W.shape[1], axis=0)
    found = factorize(np.ascontiguousarray(X.T), W.shape[1], W=W, Z=Z, fixed={"W": held}, **options).factors.W
    owners = np.concatenate([templates.owners, np.full(count, labels)])
    known = templates.known_bins
    return Templates(templates.stft, np.concatenate([templates.W, unit(found[:, -count:])], axis=1), owners, known)


def _level(X: Matrix) -> tuple[Matrix, Matrix]:
    """Return frames brought to unit mean each, and their means before, (frames, 1)."""
    means = X.mean(axis=1, keepdims=True) + np.float32(EPS)
    return np.ascontiguousarray(X / means), means


@dataclass(frozen=True, slots=True)
class Shares:
    """How some frames divide among labels.

    Attributes
    ----------
    power : ndarray, shape (labels, frames, bins), float32
        The energy of each label.
    energies : ndarray, shape (labels, frames)
        Its sum over bins, as mean square of samples.
    mixture : ndarray, shape (frames,)
        The same of all that is heard.
    """

    power: NDArray[np.float32]
    energies: NDArray[np.float64]
    mixture: NDArray[np.float64]


def shares(X: Matrix, templates: Templates, labels: int, workers: Workers) -> Shares:
    """Return how frames (frames, bins) divide among the first labels; the others are free templates."""
    Wt = np.ascontiguousarray(templates.W.T)
    Xt, _ = _level(X)
    Z = solve(Xt, Wt, PROBLEM, choose(Xt.shape[1], len(Xt), len(Wt), PROBLEM.divergence), workers)
    owners = range(int(templates.owners.max()) + 1)
    parts = [np.square(Z[:, own] @ Wt[own]) for own in map(templates.columns, owners)]
    whole = reduce(np.add, parts) + np.float32(EPS)
    # of samples under a taper; twice, for the other half of the spectrum
    taper = window_samples(templates.stft.window, templates.stft.n_fft)
    unit_energy = 2 / (float(np.square(taper).mean()) * len(taper) ** 2)
    energy = np.square(X) * np.float32(unit_energy)
    power: NDArray[np.float32] = np.stack([energy * (part / whole) for part in parts[:labels]]).astype(np.float32)
    return Shares(power, power.sum(axis=2, dtype=np.float64), energy.sum(axis=1, dtype=np.float64))
