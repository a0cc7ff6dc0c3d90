"""The result of a deep factorization: levels of parts, and the tree they form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .factors import Factors, Matrix
from .fit import Fit


@dataclass(frozen=True, slots=True)
class DeepFit:
    """The result of a deep factorization. Levels count from 1, the finest, to L, the coarsest.

    Attributes
    ----------
    layers : tuple of ndarray
        W_1, shape (bins, levels[0]), W_2, shape (levels[0], levels[1]), and so on to W_L; the absolute entries of each
        column sum to 1.
    Z : ndarray, shape (levels[-1], frames)
        Activations of the coarsest parts, in the units of X.
    losses, evaluated, n_iter, converged, solver, warnings
        Of the joint refinement, as in `Fit`; the first loss is where the pretraining ends.
    pretraining : tuple of Fit
        The factorizations of one level each that it started from.
    """

    layers: tuple[Matrix, ...]
    Z: Matrix
    losses: tuple[float, ...]
    evaluated: tuple[int, ...]
    n_iter: int
    converged: bool
    solver: str
    warnings: tuple[str, ...]
    pretraining: tuple[Fit, ...]

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of parts at each level, the finest first."""
        return tuple(layer.shape[1] for layer in self.layers)

    @property
    def factors(self) -> Factors:
        """Factors of the coarsest level."""
        return self.level(len(self.layers))

    def level(self, level: int) -> Factors:
        """Return W = W_1 … W_l, (bins, levels[l - 1]), and Z = W_{l+1} … W_L Z; the product is the same at every level.

        Raises
        ------
        UsageError
            There is no such level.
        """
        self._check(level, len(self.layers))
        W, Z = self.layers[0], self.Z
        for layer in self.layers[1:level]:
            W = W @ layer
        for layer in reversed(self.layers[level:]):
            Z = layer @ Z
        return Factors(W, Z)

    def shares(self, level: int) -> Matrix:
        """Return how much each part of a level is used by each of the next, (levels[l - 1], levels[l]); rows sum to 1.

        The share of part i that goes to j is W_ij ‖z_j‖₁ / sum_j W_ij ‖z_j‖₁, of absolute entries: of all of the
        activation of i, that which is there on behalf of j. It does not depend on how W and Z are scaled. A part that
        is silent is shared evenly.
        """
        self._check(level, len(self.layers) - 1)
        use = np.abs(self.layers[level]) * np.abs(self.level(level + 1).Z).sum(axis=1)
        total = use.sum(axis=1, keepdims=True)
        shares: Matrix = np.where(total > 0, use / np.where(total > 0, total, 1), 1 / use.shape[1])
        return shares

    def parents(self, level: int) -> NDArray[np.intp]:
        """Return for each part of a level the part of the next that has most of it, (levels[l - 1],): the tree."""
        parents: NDArray[np.intp] = self.shares(level).argmax(axis=1)
        return parents

    @property
    def tree(self) -> list[list[int]]:
        """For each level but the last, `parents`."""
        return [self.parents(level).tolist() for level in range(1, len(self.layers))]

    def parts(self, level: int | None = None) -> tuple[Factors, list[list[int]]]:
        """Return the factors of the finest level, and which of its parts belong to each part of another by the tree.

        Unlike the components of `level`, parts of a coarse level are then sums of those of the finer ones. One that is
        nobody's parent has none. Where W_2 … W_L have negative entries parts cancel rather than add up: then these are
        the components of `level`.

        Parameters
        ----------
        level : int, optional
            The coarsest if not given.
        """
        level = len(self.layers) if level is None else level
        self._check(level, len(self.layers))
        if min((float(layer.min()) for layer in self.layers[1:]), default=0.0) < 0:
            return self.level(level), [[part] for part in range(self.levels[level - 1])]
        owners = np.arange(self.levels[0])
        for parents in self.tree[: level - 1]:
            owners = np.asarray(parents)[owners]
        return self.level(1), [np.flatnonzero(owners == part).tolist() for part in range(self.levels[level - 1])]

    def ordered(self) -> DeepFit:
        """Return the same fit with the parts of every level in order of energy, loudest first."""
        orders = [np.argsort(-self.level(n + 1).energies(), kind="stable") for n in range(len(self.layers))]
        layers = [layer[:, order] for layer, order in zip(self.layers, orders, strict=True)]
        below = [layer[order] for layer, order in zip(layers[1:], orders, strict=False)]
        return replace(self, layers=(layers[0], *below), Z=self.Z[orders[-1]])

    def _check(self, level: int, last: int) -> None:
        if not isinstance(level, (int, np.integer)) or not 1 <= level <= last:
            raise UsageError(f"there is no level {level!r} here", f"levels go from 1 to {last}" if last else None)
