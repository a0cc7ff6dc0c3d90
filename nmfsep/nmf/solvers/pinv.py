"""The lecture's alternating heuristic: least squares by the pseudo-inverse, negative entries set to zero.

W <- (X Z⁺)₊, then Z <- (W⁺ X)₊: alternating least squares as in Berry, Browne, Langville, Pauca & Plemmons, "Algorithms
and applications for approximate nonnegative matrix factorization", Computational Statistics & Data Analysis 52(1),
2007, section 3.3. Setting to zero is not the projection in the metric of the problem, so the loss may rise and the
iterates may cycle.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...kernels.product import Matrix
from ...kernels.threads import spans, tiles
from ..problem import Problem
from . import Solver, State


def pseudo_inverse(G: Matrix) -> NDArray[np.float64]:
    """Return G⁺ of a Gram matrix G = B Bᵀ, with which G⁺ B = (B⁺)ᵀ, in double precision.

    Directions within the rounding of G are left out, judged with a diagonal made 1: scales of components are arbitrary.
    """
    gram = G.astype(np.float64)
    scale = np.sqrt(np.maximum(np.diag(gram), 0))
    scale[scale > 0] = 1 / scale[scale > 0]
    rounding = len(G) * float(np.finfo(G.dtype).eps)
    unit = np.linalg.pinv(scale[:, None] * gram * scale, rcond=rounding, hermitian=True)
    return np.asarray(scale[:, None] * unit * scale, np.float64)


def solve(P: Matrix, G: Matrix, A: Matrix) -> None:
    """Move A in place to the minimum of ‖X - Bᵀ A‖², P = B X and G = B Bᵀ.

    A <- A + G⁺ (P - G A): what G leaves open stays as it is, so that the loss cannot rise, whatever counts as rounding.
    """
    A += (pseudo_inverse(G) @ (P - G.astype(np.float64) @ A)).astype(A.dtype)


SANE = 20  # powers of two from unit scale
TILE = 256  # frames at a time, so that what a thread works on stays in cache


class Pinv(Solver):
    """W, then Z, each by unconstrained least squares and a cut at zero; the best pair seen is the result."""

    betas = frozenset({2.0})
    monotone = False
    fills = True

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin with no loss seen."""
        state.memory = math.inf

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Solve for W, then for Z, and cut each at zero."""
        if "W" not in problem.fixed:
            P, G = state.kernels.hals_pass(Xt, state.Wt, state.Zt, 0, state.workers)
            W = np.maximum(pseudo_inverse(G) @ P, 0)
            state.Wt[:] = W if problem.fixed else _of_sane_scale(W)
        if "Z" not in problem.fixed:
            A = np.ascontiguousarray((pseudo_inverse(state.Wt @ state.Wt.T) @ state.Wt).T.astype(Xt.dtype))

            def part(span: range) -> None:
                for frames in tiles(span):
                    np.matmul(Xt[frames], A, out=state.Zt[frames])
                    np.maximum(state.Zt[frames], 0, out=state.Zt[frames])

            state.workers.map(part, spans(len(Xt), TILE))
        if not problem.fixed:
            _reseed(Xt, state)

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Keep the factors if they are the best so far; return the loss of the best."""
        if loss < state.memory or state.best is None:
            state.memory, state.best = loss, (state.Wt.copy(), state.Zt.copy())
        return float(state.memory)


def _of_sane_scale(W: Matrix) -> Matrix:
    """Return W with templates far from unit scale brought back by powers of two, which Z then makes up for.

    A component that is nearly silent would otherwise grow from step to step until its square overflows.
    """
    powers = np.frexp(W.max(axis=1))[1]
    powers[np.abs(powers) <= SANE] = 0
    return np.ldexp(W, -powers[:, None])  # type: ignore[no-any-return]


def _reseed(Xt: Matrix, state: State) -> None:
    """Let each component that is zero take on a frame that the others explain worst, all but its negative part."""
    dead = np.flatnonzero(~(state.Wt.any(axis=1) & state.Zt.any(axis=0)))
    if not len(dead):
        return
    state.Wt[dead], state.Zt[:, dead] = 0, 0

    def part(span: range) -> list[NDArray[np.float64]]:
        rests = (Xt[frames] - state.Zt[frames] @ state.Wt for frames in tiles(span))
        return [np.einsum("tf,tf->t", rest, np.maximum(rest, 0), dtype=np.float64) for rest in rests]

    errors = np.concatenate([e for part in state.workers.map(part, spans(len(Xt), TILE)) for e in part])
    # what is left of an exact model is rounding, and no template
    floor = 1e-10 if Xt.dtype == np.float64 else 1e-5
    floor = floor**2 * float(np.einsum("tf,tf->t", Xt, Xt).max(initial=0))
    worst = np.argsort(-errors, kind="stable")[: len(dead)]
    for k, t in zip(dead, worst, strict=False):
        if errors[t] > floor:
            state.Wt[k] = np.maximum(Xt[t] - state.Zt[t] @ state.Wt, 0)
            state.Zt[t, k] = 1
