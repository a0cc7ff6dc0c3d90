"""Groups of atoms as stems: atoms are found on bands, expanded to bins, and put in order, the loudest stem first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.divergence import as_divergence
from ..kernels.product import Factors, Matrix
from ..nmf.fit import Fit
from ..progress import Stages
from ..registry import GROUPINGS
from ..settings.separation import Settings
from ..signal.stft import STFT
from .choice import MOST, SHORTEST, Choice, atoms_options, choose, cost_of_choosing, may_group, one_component_option
from .scene import FOLLOWING, Atoms, Bands, Scene, bands_of

Covariances = Callable[[NDArray[np.intp], Callable[[Matrix], Matrix]], Matrix | None]

ATOMS = 12  # for each stem
RUNS, RUN = 8, 256  # excerpts of a long sound that are learned from, and the frames of each
JOINED = 4  # times that atoms are learned and joined, if --restarts does not say
BLOCK = 256  # frames merged into bands at a time
EXPANSION_ROUNDS = 3
CHOOSING, JOINING, EXPANDING = range(3)  # stages


@dataclass(frozen=True, slots=True)
class Grouped:
    """Atoms of all stems: factors for each channel, and the atoms of each stem, the loudest first.

    The losses of `fit` are the divergences from the sampled frames of one component and of all; `runs` is as in Atoms.
    """

    factors: list[Factors]
    groups: list[list[int]]
    fit: Fit
    runs: int = 1


def find(
    X: Matrix,
    stft: STFT,
    sample_rate: int,
    settings: Settings,
    callback: Callable[[Any, float], object] | None = None,
    covariances: Covariances | None = None,
    repeats: Callable[[], bool] | None = None,
) -> tuple[Choice, Grouped | None]:
    """Choose how to separate a mixture, and find the atoms where they are grouped.

    Parameters
    ----------
    X : ndarray, shape (channels * bins, frames)
        Magnitudes.
    stft : STFT
    sample_rate : int
        Hertz.
    settings : Settings
    callback : callable, optional
        Called as callback(step, loss) as the work goes on, steps being shares of settings.max_iter; what it returns
        does not matter.
    covariances : callable, optional
        Returns the covariances of two channels at some frames of X, as Scene has them; called with these and with what
        merges bins into bands.
    repeats : callable, optional
        As `choose` has it.
    """
    plain, stems, frames = Choice(1, None), settings.components, X.shape[1]
    explicit = settings.atoms is not None or settings.grouping != "auto"
    short = frames * stft.hop_length / sample_rate < SHORTEST or frames <= 4 * stems
    if not may_group(settings) or too_many(settings) or short:
        return plain, None
    scene = scene_of(X, stft, sample_rate, settings, covariances)
    if not scene.Y.any():
        return plain, None
    count = ATOMS if settings.atoms is None else settings.atoms
    stages = Stages(_costs(scene, X, stems, count), callback, settings.max_iter)
    if settings.grouping != "auto":
        choice = Choice(count, settings.grouping)
    else:
        choice = choose(scene, X, stems, count, None if explicit else repeats)
        stages.at(CHOOSING, 1.0)
        if explicit and choice.grouping is None:
            choice = Choice(count, "timbre", choice.simplicity)
    if choice.grouping is None:
        return choice, None
    scene = replace(scene, on_progress=lambda share: stages.at(JOINING, share))
    atoms = GROUPINGS.load(choice.grouping)(scene, stems, count)
    found = grouped(atoms, X, bands_of(stft.bins), scene.sample, stems)
    stages.at(EXPANDING, 1.0, found.fit.losses[-1])
    return choice, found


def most_atoms(settings: Settings) -> int:
    """Return how many templates there may be in all, where stems may be groups of them; else 0."""
    if settings.preset:
        return max(2 * ATOMS, settings.templates)
    if not may_group(settings) or too_many(settings):
        return 0
    return (settings.restarts or JOINED) * settings.components * (ATOMS if settings.atoms is None else settings.atoms)


def too_many(settings: Settings) -> bool:
    """Whether there are so many stems that atoms are grouped only where that is asked for."""
    return settings.components > MOST and settings.atoms is None and settings.grouping == "auto"


def method_note(settings: Settings) -> str | None:
    """Return which option has each stem be one component, and not a group of atoms; None where none has.

    --fast and --atoms 1 ask for just that, so that nothing need be said.
    """
    if settings.preset is not None or settings.atoms == 1 or settings.components == 1:
        return None
    if (option := one_component_option(settings)) is not None:
        return f"{option}: one component a stem, not groups of atoms"
    if too_many(settings):
        return f"-k {settings.components}: with more than {MOST} stems, one component a stem, not groups of atoms"
    return None


def _costs(scene: Scene, X: Matrix, stems: int, atoms: int) -> tuple[float, float, float]:
    """Return about what choosing, grouping and expanding take, in any unit: products of matrices of these sizes."""
    frames, bands = scene.Y.shape
    sample, joined, most = len(scene.sample), scene.runs * stems * atoms, scene.options["max_iter"]
    joining = joined * bands * (most * sample + min(most, FOLLOWING) * frames)
    return cost_of_choosing(scene, len(X), stems), joining, 6 * joined * len(X) * sample


def scene_of(
    X: Matrix, stft: STFT, sample_rate: int, settings: Settings, covariances: Covariances | None = None
) -> Scene:
    """Return a mixture as groupings see it; parameters are those of `find`."""
    bands, step = bands_of(stft.bins), stft.hop_length / sample_rate
    frequencies, sample = stft.frequencies(sample_rate), sampled(X.shape[1])
    return Scene(
        merged(X, bands), sample, frequencies, bands.merge, step, settings.seed, settings.threads,
        settings.restarts or JOINED, settings.restarts or 1, atoms_options(settings),
        covariances=None if covariances is None else lambda: covariances(sample, bands.merge),
    )  # fmt: skip


def merged(X: Matrix, bands: Bands) -> Matrix:
    """Return magnitudes (channels * bins, frames) as frames of bands, (frames, channels * bands)."""
    channels, frames = len(X) // bands.bins, X.shape[1]
    Y = np.empty((frames, channels, bands.count), np.float32)
    for start in range(0, frames, BLOCK):
        block = X[:, start : start + BLOCK].T
        Y[start : start + BLOCK] = bands.merge(block.reshape(len(block), channels, bands.bins))
    return Y.reshape(frames, -1)


def sampled(frames: int) -> NDArray[np.intp]:
    """Return the frames to learn from: all, or RUNS evenly spaced excerpts of RUN."""
    if frames <= RUNS * RUN:
        return np.arange(frames)
    starts = np.linspace(0, frames - RUN, RUNS).astype(np.intp)
    return np.unique((starts[:, None] + np.arange(RUN)).ravel())


def grouped(
    atoms: Atoms, X: Matrix, bands: Bands, sample: NDArray[np.intp], stems: int, ordered: bool = True
) -> Grouped:
    """Expand atoms to bins and gather those of each stem, the loudest stem first if they are to be ordered."""
    expanded = expand_to_bins(atoms.W, atoms.Z, X, bands, sample)
    stacked = np.concatenate(expanded)
    gram = (stacked.T @ stacked) * (atoms.Z @ atoms.Z.T)
    member = atoms.owners[:, None] == np.arange(stems)
    energies = np.einsum("aj,ab,bj->j", member, gram, member)
    order = np.argsort(-energies, kind="stable") if ordered else np.arange(stems)
    groups = [np.flatnonzero(member[:, stem]).tolist() for stem in order]
    losses = _losses(stacked, atoms.Z[:, sample], X[:, sample])
    fit = Fit(Factors(stacked, atoms.Z), losses, (0, atoms.n_iter), atoms.n_iter, atoms.converged, "mue")
    return Grouped([Factors(W, atoms.Z) for W in expanded], groups, fit, atoms.runs)


def expand_to_bins(W: Matrix, Z: Matrix, X: Matrix, bands: Bands, sample: NDArray[np.intp]) -> list[Matrix]:
    """Return the templates of each channel, (bins, atoms), at which W Z fits the sampled frames of X.

    Shapes are W (channels * bands, atoms), Z (atoms, frames) and X (channels * bins, frames). Each band of an atom
    starts with the shape of the channel's mean spectrum; EXPANSION_ROUNDS multiplicative updates of the templates, for
    the Kullback-Leibler divergence, then separate the atoms within it.
    """
    Zs = np.ascontiguousarray(Z[:, sample])
    total = np.maximum(Zs.sum(axis=1, keepdims=True), 1e-12)
    expanded = []
    for channel in range(len(X) // bands.bins):
        Xt = np.ascontiguousarray(X[channel * bands.bins : (channel + 1) * bands.bins, sample].T)
        spectrum = Xt.mean(axis=0, dtype=np.float64) + 1e-6
        own = W[channel * bands.count : (channel + 1) * bands.count]
        Wt = bands.spread(np.ascontiguousarray(own.T), spectrum)
        for _ in range(EXPANSION_ROUNDS):
            V = Zs.T @ Wt
            V += np.float32(1e-9)
            np.divide(Xt, V, out=V)
            Wt *= (Zs @ V) / total
        expanded.append(Wt.T)
    return expanded


def _losses(W: Matrix, Z: Matrix, X: Matrix) -> tuple[float, float]:
    """Return the divergences of X from its best approximation of rank one, and from W Z."""
    measure = as_divergence("kl")
    rows, total = X.mean(axis=1, dtype=np.float32), max(float(X.mean(dtype=np.float64)), 1e-30)
    first = last = 0.0
    for t in range(0, X.shape[1], BLOCK):
        x = np.ascontiguousarray(X[:, t : t + BLOCK].T)
        first += measure.value(x, np.outer(x.mean(axis=1) / np.float32(total), rows) + np.float32(1e-12))
        last += measure.value(x, Z[:, t : t + BLOCK].T @ W.T + np.float32(1e-12))
    return first, last
