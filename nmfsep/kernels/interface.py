"""Kernels: the arithmetic of one iteration, which solvers are written in.

Kernels see the transposes, which lie in memory frame by frame: Xt (frames, bins), Wt (components, bins) and
Zt (frames, components), all C-contiguous. `Reference` is the definition; all other kernels must agree with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from .divergence import Divergence
from .factors import Matrix, sweep
from .threads import Workers

# How activations are updated: a number is the exponent of the multiplicative update, Z * (Wᵀ N / Wᵀ P)^exponent; a
# function replaces it, called as update(first frame, z in place, Wᵀ N, Wᵀ P) for each tile of frames.
Update = float | Callable[[int, Matrix, Matrix, Matrix], None]


class Kernels(ABC):
    """What a solver needs of X. N and P are the negative and the positive part of dD/dV, V = W Z.

    Every method takes entered `workers`; their number of threads changes no bit. X is only read.
    """

    @abstractmethod
    def divergence(self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        """Return D(X | W Z)."""

    @abstractmethod
    def mm_activations(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers
    ) -> None:
        """Update Zt in place."""

    @abstractmethod
    def mm_statistics(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers
    ) -> tuple[Matrix, Matrix]:
        """Return N Zᵀ and P Zᵀ, transposed: (components, bins). The second is (components, 1) where P is all ones."""

    def mm_pass(
        self, Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Matrix
    ) -> tuple[Matrix, Matrix]:
        """Do mm_activations with Wt, then mm_statistics with the templates `ahead`; a subclass may do both at once."""
        self.mm_activations(Xt, Wt, Zt, measure, update, workers)
        return self.mm_statistics(Xt, ahead, Zt, measure, workers)

    def sweep(self, P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
        """Lower ‖X - A H‖² in place by coordinate descent on the rows of H >= 0; P = Aᵀ X and G = Aᵀ A."""
        sweep(P, G, H, sweeps)

    @abstractmethod
    def hals_pass(
        self,
        Xt: Matrix,
        Wt: Matrix,
        Zt: Matrix,
        sweeps: int,
        workers: Workers,
        plain: Matrix | None = None,
        momentum: float = 0.0,
    ) -> tuple[Matrix, Matrix]:
        """Sweep Zt in place with W fixed, then return Z Xᵀ, (components, bins), and Z Zᵀ. With no sweeps Zt stays.

        If `plain` is given, Zt is moved ahead in between, to max(0, Z + momentum (Z - plain)), and `plain` gets the Z
        from before the move: the products are those of the Z ahead.
        """
