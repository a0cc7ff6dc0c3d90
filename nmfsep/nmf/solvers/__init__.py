"""Solvers: one a file, each a start and a step that lower the loss; what all have in common. The loop is fit's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.product import Factors, Matrix
from ...kernels.reference import Kernels
from ...kernels.threads import Workers
from ..problem import Problem


@dataclass(slots=True)
class State:
    """The solver's own copies of the factors, as the kernels take them, and what it remembers between steps."""

    Wt: Matrix  # (components, bins)
    Zt: Matrix  # (frames, components)
    kernels: Kernels
    workers: Workers
    memory: Any = None
    best: tuple[Matrix, Matrix] | None = None  # what is to be returned, where a solver that may get worse keeps it

    @classmethod
    def of(cls, factors: Factors, kernels: Kernels, workers: Workers) -> State:
        """Copy the factors into the layout of the kernels."""
        Wt, Zt = (np.array(factor.T, order="C", copy=True) for factor in (factors.W, factors.Z))
        return cls(Wt, Zt, kernels, workers)

    @property
    def factors(self) -> Factors:
        """The factors that hold, as views: the best where they are kept, else the current ones."""
        Wt, Zt = self.best or (self.Wt, self.Zt)
        return Factors(Wt.T, Zt.T)


class Solver(ABC):
    """One way to lower the loss, and what it can do."""

    betas: frozenset[float] | None = None  # the divergences it can minimise; None for any
    monotone = True  # the loss never rises; a solver that cannot promise this declares itself a heuristic here
    fills = False  # it can leave exact zeros in the start, so that a start with zeros is no trap
    penalties = False  # it can minimise a loss with penalties, weights or held entries
    norms = False  # it can minimise a loss with l1 and l2

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:  # noqa: B027 (most have nothing to do)
        """Prepare the state; by default there is nothing to prepare."""

    @abstractmethod
    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration on the state, in place."""

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Take note of the loss where it is evaluated, perhaps go back; return the loss of `state.factors` then."""
        return loss
