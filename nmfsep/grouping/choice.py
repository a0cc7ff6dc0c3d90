"""Choice of the method: one atom a stem, or groups of atoms, and of which kind, by a few short fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..kernels.divergence import as_divergence
from ..kernels.product import Matrix
from ..settings.separation import GROUPED, Settings
from .scene import Scene

EXCERPT = 12.0  # seconds looked at, the loudest
SHORTEST = 2.0  # seconds, below which there is too little to judge by
MOST = 12  # stems; of so many, some are notes or strokes, for which one atom does
RICHER = 4  # atoms a stem with which a fit is compared
SIMPLE = 0.295  # r below which one atom a stem is enough: notes and drums lie below, music above
NEARLY = 0.34  # r below which one is enough, too, where strokes repeat exactly, so that their waveforms can be learned
RULER = 12  # templates for each stem that measure whether a sound repeats itself
FREE = 0.1  # share of the magnitudes that they leave from which it does not: music lies below, speech and noise above
ROUNDS = 60
STARTS = ("nndsvda", "random")  # the better counts
PLAIN = ("model", "levels", "template_frames", "solver", "start")  # of fits with one component a stem only
ATOMS = ("max_iter", "tol", "time_limit", "sparsity", "smoothness")  # of fits of atoms, too


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why.

    `atoms` is for each stem, and `grouping` a name in GROUPINGS, None where every stem is one atom. `simplicity` is
    from `simplicity_of`, and `novelty` the share of the magnitudes that RULER templates for each stem leave; None if
    that was not asked. `start` is that of one component a stem that `grouping.entropy` took, and `entropy` that of its
    masks; `rounds` says how often templates were learned again from the stems.
    """

    atoms: int
    grouping: str | None
    simplicity: float | None = None
    novelty: float | None = None
    start: str | None = None
    entropy: float | None = None
    rounds: int = 0

    @property
    def simple(self) -> bool:
        """Whether one component a stem was found to be enough."""
        return self.grouping is None and self.simplicity is not None

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        figures = {"r": self.simplicity, "novelty": self.novelty, "entropy": self.entropy}
        rounded = {name: None if value is None else round(value, 4) for name, value in figures.items()}
        return {
            "atoms": self.atoms, "grouping": self.grouping, **rounded, "start": self.start, "rounds": self.rounds,
        }  # fmt: skip


def choose(scene: Scene, X: Matrix, stems: int, atoms: int, repeats: Callable[[], bool] | None = None) -> Choice:
    """Return how to separate a mixture.

    Parameters
    ----------
    scene : Scene
    X : ndarray, shape (channels * bins, frames)
        The same mixture with all its bins.
    stems : int
    atoms : int
        For each stem, where they are grouped.
    repeats : callable, optional
        Says whether strokes repeat exactly; called where r alone does not decide.
    """
    excerpt = loudest(scene.Y, max(1, round(EXCERPT / scene.step)))
    simplicity = simplicity_of(scene, scene.Y[excerpt], stems)
    if simplicity < SIMPLE or (simplicity < NEARLY and repeats is not None and repeats()):
        return Choice(1, None, simplicity)
    first, *others = np.split(X, len(X) // len(scene.frequencies))
    mono = first[:, excerpt].copy()
    for channel in others:
        mono += channel[:, excerpt]
    left = scene.fit(mono.T, RULER * stems, max_iter=ROUNDS // 2).losses[-1]
    novelty = left / max(float(mono.sum(dtype=np.float64)), 1e-30)
    return Choice(atoms, "foreground" if novelty > FREE else "timbre", simplicity, novelty)


def cost_of_choosing(scene: Scene, rows: int, stems: int) -> float:
    """Return about how many multiplications `choose` takes for X of so many rows."""
    frames, bands = scene.Y.shape
    return float(min(frames, round(EXCERPT / scene.step)) * ROUNDS * stems * (6 * bands + RULER * rows / 2))


def simplicity_of(scene: Scene, Y: Matrix, stems: int) -> float:
    """Return how much of what templates can explain in frames (frames, bands) is left by one template a stem.

    That is r = (D_J - D_4J) / (D_1 - D_4J), with D_K the divergence of a fit of K components, J being the number of
    stems; 0 where more components explain no more.
    """
    one = scene.fit(Y, 1, max_iter=10).losses[-1]
    few = min(scene.fit(Y, stems, start, max_iter=ROUNDS).losses[-1] for start in STARTS)
    many = scene.fit(Y, RICHER * stems, max_iter=ROUNDS).losses[-1]
    return max(0.0, few - many) / (one - many) if one > many else 0.0


def loudest(Y: Matrix, frames: int) -> slice:
    """Return the run of so many frames, or of all, with the largest sum."""
    if len(Y) <= frames:
        return slice(0, len(Y))
    sums = np.concatenate([[0.0], np.cumsum(Y.sum(axis=1, dtype=np.float64))])
    start = int(np.argmax(sums[frames:] - sums[:-frames]))
    return slice(start, start + frames)


def one_component_option(settings: Settings) -> str | None:
    """Return the option that asks for what groups of atoms cannot do, as one types it; None if there is none."""
    for name, value in settings.asked(PLAIN).items():
        if not (name == "template_frames" and settings.preset and settings.convolutive):
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            return f"--{name.replace('_', '-')} {shown}"
    if as_divergence(settings.divergence).beta != 1:
        return f"--divergence {settings.divergence}"
    return "--channels independent" if settings.channels == "independent" else None


def may_group(settings: Settings) -> bool:
    """Whether stems may be groups of atoms: whatever can be asked of atoms, too, does not matter."""
    return settings.atoms != 1 and settings.components > 1 and one_component_option(settings) is None


def atoms_options(settings: Settings) -> dict[str, Any]:
    """Return what the fits of atoms are given: what was asked for, else as many iterations as suit them."""
    return {**GROUPED, **settings.asked(ATOMS)}
