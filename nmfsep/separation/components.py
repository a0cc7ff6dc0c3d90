"""Components at one length of frames: their templates, their activations, and how those are solved where not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..grouping.scene import Bands
from ..kernels.product import Factors, Matrix
from ..kernels.reference import Kernels
from ..kernels.threads import Workers
from ..nmf.blockwise import solve, solve_each
from ..nmf.problem import Problem
from ..signal.stft import Bins
from .masks import Parts
from .mixture import views


@dataclass(frozen=True, slots=True)
class Components:
    """What each component, or each stem, is made of.

    Parameters
    ----------
    factors : sequence of Factors
        W (bins, k) and Z (k, frames): one for all channels, or one for each. None where Z is solved block by block.
    groups : sequence of sequence of int
        The columns of each component.
    residual : bool, default False
        Whether a last stem takes what the model leaves of the magnitude.
    solver : BlockSolver, optional
        Finds the factors of a block of frames.
    """

    factors: Sequence[Factors]
    groups: Sequence[Sequence[int]]
    residual: bool = False
    solver: BlockSolver | None = None

    @property
    def count(self) -> int:
        """Number of stems."""
        return len(self.groups) + self.residual

    @property
    def kept(self) -> Components | None:
        """The components with the factors of all frames, once all are solved; None where they were not kept."""
        if self.solver is None:
            return self
        factors = self.solver.kept_factors()
        return replace(self, factors=factors, solver=None) if factors else None

    def merged(self, members: Sequence[Sequence[int]], residual: bool) -> Components:
        """Return stems that are each made of several of these."""
        groups = [[column for component in stem for column in self.groups[component]] for stem in members]
        return replace(self, groups=groups, residual=residual)

    def at(self, start: int, stop: int, mixture: Bins) -> Components:
        """Return the same for frames start to stop; `mixture` is the mixture there, (channels, frames, bins)."""
        if self.solver is None:
            factors = [Factors(whole.W, whole.Z[:, start:stop]) for whole in self.factors]
        else:
            factors = self.solver.factors(start, stop, mixture)
        return Components(factors, self.groups, self.residual)

    def parts(self, channel: int, mixture: Bins) -> Parts:
        """Return each stem's model, (stems, frames, bins); from the mixture, (frames, bins), the residual is taken."""
        factors = self.factors[channel if len(self.factors) > 1 else 0]
        parts = np.empty((self.count, *mixture.shape), np.float32)
        for part, group in zip(parts, self.groups, strict=False):
            indices = list(group)
            if len(indices) == 1:
                np.multiply(factors.Z[indices[0], :, None], factors.W[:, indices[0]], out=part, casting="same_kind")
            else:
                # laid out in one way, whichever way the factors are: the bits of a product depend on it
                z, w = np.ascontiguousarray(factors.Z[indices]), np.ascontiguousarray(factors.W.T[indices])
                np.matmul(z.T, w, out=part)
        if self.residual:
            np.maximum(np.abs(mixture) - parts[:-1].sum(axis=0), 0, out=parts[-1])
        return parts


@dataclass(frozen=True, slots=True)
class HeldTemplates:
    """Templates of the channels that share activations, and how those are found in a frame.

    Wt is (k, rows), its rows being the bins of these channels, one above the other. Atoms are solved on bands.
    """

    Wt: Matrix
    scale: np.float32  # what X is divided by, a power of two
    floor: np.float32  # the least entry of X / scale
    known_rows: int  # rows of X that count; the templates are a guess above these
    bands: Bands | None = None
    runs: int = 1  # equal parts of atoms, each of which explains all of X; the model is their mean

    def solve(self, rows: Matrix, problem: Problem, kernels: Kernels) -> Matrix:
        """Return the activations of rows of X, (any, k)."""
        Xt, Wt = self._compared(rows) / self.scale, self._compared(self.Wt)
        np.maximum(Xt, self.floor, out=Xt)
        alone = Workers(1)  # blocks run side by side already
        if self.bands is None:
            return solve(Xt, Wt, problem, kernels, alone) * self.scale
        sets = Wt.reshape(self.runs, -1, Wt.shape[1])
        if problem.sparsity:
            Z = np.stack([solve(Xt, own, problem, kernels, alone) for own in sets])
        else:
            Z = solve_each(Xt, sets)
        return Z.swapaxes(0, 1).reshape(len(Xt), -1) * (self.scale / np.float32(self.runs))

    def _compared(self, rows: Matrix) -> Matrix:
        """Return what counts of rows of X or of Wt, (any, rows), contiguous."""
        if self.bands is None:
            return np.ascontiguousarray(rows[:, : self.known_rows])
        return self.bands.merge(rows.reshape(len(rows), -1, self.bands.bins)).reshape(len(rows), -1)


@dataclass(frozen=True, slots=True)
class BlockSolver:
    """Finds activations a block of frames at a time: those of a frame depend on that frame alone."""

    templates: Sequence[HeldTemplates]  # one for all channels, or one for each
    channels: int  # of the mixture
    mode: str  # how they are taken together, as in `views`
    apart: bool  # whether channels have activations of their own though they share templates
    problem: Problem
    kernels: Kernels  # the same for all blocks
    kept: Sequence[Matrix] = ()  # where to keep activations, (frames, channels apart or 1, k), for each of `templates`

    def factors(self, start: int, stop: int, mixture: Bins) -> list[Factors]:
        """Return the factors of each channel for frames start to stop of the mixture, (channels, frames, bins)."""
        found: list[Factors] = []
        for index, (own, part) in enumerate(zip(self.templates, views(mixture, self.mode), strict=True)):
            X = np.abs(part).swapaxes(0, 1)
            rows = X.reshape(-1, X.shape[-1]) if self.apart else X.reshape(len(X), -1)
            Zt = own.solve(rows, self.problem, self.kernels).reshape(len(X), -1, len(own.Wt))
            if self.kept:
                self.kept[index][start:stop] = Zt
            found += self._of_channels(own.Wt, Zt)
        return found

    def kept_factors(self) -> list[Factors]:
        """Return the factors of each channel for all frames, once all were solved; none where they were not kept."""
        parts = zip(self.templates, self.kept, strict=True) if self.kept else ()
        return [factors for own, kept in parts for factors in self._of_channels(own.Wt, kept)]

    def _of_channels(self, Wt: Matrix, Zt: Matrix) -> list[Factors]:
        """Return the factors of each channel of a part, from activations (frames, channels apart or 1, k)."""
        if self.apart:
            return [Factors(Wt.T, Zt[:, channel].T) for channel in range(Zt.shape[1])]
        Z = Zt[:, 0].T
        return [Factors(W, Z) for W in np.split(Wt.T, self.channels if self.mode == "joint" else 1)]
