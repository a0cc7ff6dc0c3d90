"""The only iteration loop: stopping, the history of the loss, the callback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import UsageError
from ..kernels.blocked import Weighted
from ..kernels.divergence import Divergence
from ..kernels.product import Factors, Matrix
from ..kernels.reference import Kernels
from ..kernels.select import LARGE, choose_for
from ..kernels.threads import Workers
from ..registry import SOLVERS
from ..settings.fields import MAX_ITER, TOL
from . import problem as penalties
from .prepare import check_count
from .problem import Problem
from .solvers import Solver, State

Callback = Callable[[int, float], object]
SILENT = "everything is zero, so there is nothing to tell apart"  # a warning


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop."""

    max_iter: int = MAX_ITER
    tol: float = TOL  # share of the first loss by which ten iterations must lower it; 0 never stops early
    time_limit: float | None = None  # [s]
    every: int = 10  # iterations between evaluations of the loss, each of which costs about as much as one or two


@dataclass(frozen=True, slots=True)
class Execution:
    """How the machine runs a fit, as far as that is not for the mathematics to say.

    Parameters
    ----------
    threads : int, optional
        All cores if not given; never changes the result.
    compiled_from : int, default 524288
        Entries of X from which compiled kernels are used, which round differently. Loading them takes half a second
        once a process, and some seconds once an installation.
    loss_every : int, optional
        Iterations between evaluations of the loss. By default 10, or, where neither `tol` nor a callback needs the
        loss, only the first and the last are done.

    Raises
    ------
    UsageError
        `loss_every` is not a whole number of at least 1.
    """

    threads: int | None = None
    compiled_from: int = LARGE
    loss_every: int | None = None

    def __post_init__(self) -> None:
        if self.loss_every is not None:
            check_count("loss_every", self.loss_every)


def brief(fit: Any) -> str:
    """Return a fit in a line: its factors, and how it went."""
    how = "converged" if fit.converged else "stopped"
    losses = f"loss {fit.losses[0]:.5g} to {fit.losses[-1]:.5g}" if fit.losses else "no loss"
    return f"{type(fit).__name__}({fit.factors!r}, {fit.solver} {how} after {fit.n_iter} iterations, {losses})"


@dataclass(frozen=True, slots=True)
class Fit:
    """The result of a fit.

    Attributes
    ----------
    factors : Factors
        W and Z in the units of X, columns of W summing to 1.
    losses, evaluated : tuple of float, tuple of int
        The loss, and the iterations after which it was taken, 0 first.
    n_iter : int
        Iterations done.
    converged : bool
        Whether `tol` was met; False after max_iter, the time limit, or a callback that asked to stop.
    solver, warnings : str, tuple of str
        The solver that ran, and what the user should know about the result.
    """

    factors: Factors
    losses: tuple[float, ...]
    evaluated: tuple[int, ...]
    n_iter: int
    converged: bool
    solver: str = ""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return it in a line."""
        return brief(self)

    def ordered(self) -> Fit:
        """Return the same fit with its components in order of energy, loudest first."""
        return replace(self, factors=self.factors.select(np.argsort(-self.factors.energies(), kind="stable")))

    def parts(self, level: int | None = None) -> tuple[Factors, list[list[int]]]:
        """Return factors, and which of their columns belong to each component: here, one. There are no levels."""
        return self.factors, [[k] for k in range(self.factors.components)]

    def in_units(self, unit: float, beta: float) -> Fit:
        """Return the same fit with the unit that X was divided by put back into Z and the losses."""
        losses = tuple(loss * float(unit) ** beta for loss in self.losses)
        return replace(self, factors=Factors(self.factors.W, self.factors.Z * unit), losses=losses)


def callback_in_units(callback: Callback | None, unit: float, beta: float) -> Callback | None:
    """Return a callback that gets the losses with the unit that X was divided by put back."""
    scale = float(unit) ** beta
    return None if callback is None else lambda iteration, loss: callback(iteration, loss * scale)


def choose_solver(
    name: str, divergence: Divergence, start: str = "auto", penalized: bool = False, norms: bool = False
) -> tuple[str, Solver]:
    """Return the solver of that name, or the one that "auto" stands for, and its name; raise UsageError if it cannot.

    It must minimise the divergence, leave the zeros of the start, and know penalties, l1 and l2 where there are any.
    """
    beta = divergence.beta
    if name == "auto":
        name = "mue" if beta != 2 or penalized else "hals" if norms else "ehals"
    name = SOLVERS.resolve(name)
    solver: Solver = SOLVERS.load(name)()
    if solver.betas is not None and beta not in solver.betas:
        able = ", ".join(f"{b:g}" for b in sorted(solver.betas))
        hint = "use --divergence frobenius with it, or solver mu" if able == "2" else "use solver mu"
        raise UsageError(f"solver {name!r} minimises beta {able}, not {beta:g}", hint)
    if start == "nndsvd" and not solver.fills:
        message = f"start {start!r} has exact zeros, which solver {name!r} can never leave"
        raise UsageError(message, "use start nndsvda, or solver hals")
    if penalized and not solver.penalties:
        message = f"solver {name!r} knows no sparsity, smoothness, anchors, weights or held entries"
        raise UsageError(message, "use solver mue")
    if norms and not solver.norms:
        raise UsageError(f"solver {name!r} knows no l1 and l2", "use solver mue, or hals for beta 2")
    return name, solver


def fit(
    Xt: Matrix,
    start: Factors,
    problem: Problem,
    solver: Solver,
    stop: Stop,
    workers: Workers,
    callback: Callback | None = None,
    compiled_from: int = LARGE,
) -> Fit:
    """Iterate a solver from a start, and return the factors as it left them, not normalised.

    Parameters
    ----------
    Xt : ndarray, csr_array or Rows, shape (frames, bins)
        The transposed matrix, C-contiguous, of unit scale; only read.
    start : Factors
        Copied, not changed.
    problem, solver, stop
        What to minimise, how, and for how long.
    workers : Workers
        An entered context.
    callback : callable, optional
        Called as callback(iteration, loss) after each evaluation of the loss; a true result stops the fit.
    compiled_from : int
        Entries of X from which compiled kernels are used.
    """
    began = time.monotonic()
    kernels: Kernels
    if problem.weights is not None:
        kernels = Weighted(problem.weights)
    else:
        kernels = choose_for(Xt, start.components, problem.divergence, compiled_from)
    state = State.of(start, kernels, workers)
    solver.start(Xt, state, problem)

    def loss() -> float:
        divergence = kernels.divergence(Xt, state.Wt, state.Zt, problem.divergence, workers)
        return float(divergence) + penalties.loss(state.Wt, state.Zt, problem)

    losses = [solver.observe(state, problem, loss())]
    evaluated, converged, iteration = [0], False, 0
    while iteration < stop.max_iter:
        solver.step(Xt, state, problem)
        iteration += 1
        out_of_time = stop.time_limit is not None and time.monotonic() - began >= stop.time_limit
        if iteration % stop.every and iteration < stop.max_iter and not out_of_time:
            continue
        losses.append(solver.observe(state, problem, loss()))
        steps = iteration - evaluated[-1]
        evaluated.append(iteration)
        wants_stop = callback is not None and bool(callback(iteration, losses[-1]))
        gain = (losses[-2] - losses[-1]) * 10 / steps
        converged = stop.tol > 0 and gain <= stop.tol * losses[0]
        if converged or wants_stop or out_of_time:
            break
    return Fit(state.factors, tuple(losses), tuple(evaluated), iteration, converged)
