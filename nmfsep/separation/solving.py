"""A model of which only the templates are held: its activations are solved a block of frames at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from ..grouping.bands import Bands
from ..kernels.factors import Factors, Matrix
from ..kernels.threads import Workers
from ..nmf.activations import solve, solve_each
from ..nmf.problem import Problem
from ..signal.stft import Bins
from .mixture import views
from .stems import Model


@dataclass(frozen=True, slots=True)
class Templates:
    """What one part of the channels is solved with.

    Attributes
    ----------
    Wt : ndarray, shape (templates, rows)
        Rows are the bins of all channels of the part, one above the other, or, where channels have activations of their
        own, those of one.
    scale : float32
        What X is divided by, a power of two.
    floor : float32
        The least entry of X / scale.
    known : int
        Rows of X that count, the others being unknown to the templates.
    bands : Bands, optional
        Of atoms: what the activations are solved on, X and the templates merged.
    runs : int, default 1
        Of atoms: in how many equal parts each explains all of X, the model being their mean.
    """

    Wt: Matrix
    scale: np.float32
    floor: np.float32
    known: int
    bands: Bands | None = None
    runs: int = 1

    def solve(self, rows: Matrix, problem: Problem, kernels: ModuleType) -> Matrix:
        """Return the activations of rows of X, (any, templates)."""
        Xt, Wt = self.seen(rows) / self.scale, self.seen(self.Wt)
        np.maximum(Xt, self.floor, out=Xt)
        if self.bands is None:
            alone = Workers(1)  # blocks run side by side already
            return solve(Xt, Wt, problem, kernels, alone) * self.scale
        sets = Wt.reshape(self.runs, -1, Wt.shape[1])
        if problem.sparsity:
            Z = np.stack([solve(Xt, own, problem, kernels, Workers(1)) for own in sets])
        else:
            Z = solve_each(Xt, sets)
        return Z.swapaxes(0, 1).reshape(len(Xt), -1) * (self.scale / np.float32(self.runs))

    def seen(self, rows: Matrix) -> Matrix:
        """Return what is solved of rows of X or of Wt, (any, rows), contiguous."""
        if self.bands is None:
            return np.ascontiguousarray(rows[:, : self.known])
        return self.bands.merge(rows.reshape(len(rows), -1, self.bands.bins)).reshape(len(rows), -1)


@dataclass(frozen=True, slots=True)
class Solving:
    """A model of stems, as `Model` is, that is one only where it is asked for.

    Parameters
    ----------
    templates : sequence of Templates
        One for all channels, or one for each.
    groups : sequence of sequence of int
        The templates of each stem.
    channels : int
        Of the mixture.
    mode : str
        How they are taken together, as `views` has it.
    apart : bool
        Whether channels have activations of their own though they share templates.
    problem : Problem
    kernels : module
        The same for all blocks, from `choose`.
    residual : bool, default False
        Whether a last stem takes what the model leaves of the magnitude.
    kept : sequence of ndarray, optional
        For each of `templates` where to keep the activations, (frames, channels apart or 1, templates).
    """

    templates: Sequence[Templates]
    groups: Sequence[Sequence[int]]
    channels: int
    mode: str
    apart: bool
    problem: Problem
    kernels: ModuleType
    residual: bool = False
    kept: Sequence[Matrix] = ()

    @property
    def stems(self) -> int:
        """Number of stems."""
        return len(self.groups) + self.residual

    @property
    def factors(self) -> list[Factors]:
        """The factors of each channel, once all frames were solved and kept."""
        whole = (self._factors(own.Wt, kept) for own, kept in zip(self.templates, self.kept, strict=True))
        return [factors for part in whole for factors in part]

    def merged(self, members: Sequence[Sequence[int]], residual: bool) -> Solving:
        """Return the model of stems that are each made of several of these."""
        groups = [[component for stem in stems for component in self.groups[stem]] for stems in members]
        return replace(self, groups=groups, residual=residual)

    def at(self, start: int, stop: int, mixture: Bins) -> Model:
        """Return the model of frames start to stop; `mixture` is the mixture there, (channels, frames, bins)."""
        factors: list[Factors] = []
        for index, (own, part) in enumerate(zip(self.templates, views(mixture, self.mode), strict=True)):
            X = np.abs(part).swapaxes(0, 1)
            rows = X.reshape(-1, X.shape[-1]) if self.apart else X.reshape(len(X), -1)
            Zt = own.solve(rows, self.problem, self.kernels).reshape(len(X), -1, len(own.Wt))
            if self.kept:
                self.kept[index][start:stop] = Zt
            factors += self._factors(own.Wt, Zt)
        return Model(factors, self.groups, self.residual)

    def _factors(self, Wt: Matrix, Zt: Matrix) -> list[Factors]:
        """Return the factors of each channel of a part, from activations (frames, channels apart or 1, templates)."""
        if self.apart:
            return [Factors(Wt.T, Zt[:, channel].T) for channel in range(Zt.shape[1])]
        Z = Zt[:, 0].T
        return [Factors(W, Z) for W in np.split(Wt.T, self.channels if self.mode == "joint" else 1)]
