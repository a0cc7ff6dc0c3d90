"""Frames that come in blocks, since all are more than fit: their activations, their sums for W, a sample of them.

Activations of templates that are held are solved frame by frame, so that blocks of any size give the same. What an
update of W needs of X and Z adds up over frames, so that each block can be looked at on its own, in any order and on
any machine: `statistics` maps a block to sums of fixed size, `total` adds them up, and `update` does the step that all
frames together would. With exact activations this is majorisation-minimisation, and the loss over all blocks never
rises (Lefèvre, Bach & Févotte, "Online algorithms for nonnegative matrix factorization with the Itakura-Saito
divergence", WASPAA 2011, keep the same sums). Activations are solved anew in each pass, from a level start, so that
nothing has to be kept for them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import EPS, TINY, Matrix, sweep
from ..kernels.reference import Kernels
from ..kernels.select import choose_for
from ..kernels.threads import Workers
from . import problem as penalties
from .problem import Problem
from .solvers.mu import WARM, exponent, extrapolate, nesterov

LEAST, MOST = 12, 40  # updates, plus one for each component
Sums = NDArray[np.float64]


def steps_for(components: int) -> int:
    """Return the updates after which the loss is within a tenth of a percent of its least, for most sounds."""
    return min(MOST, LEAST + components)


def solve(Xt: Matrix, Wt: Matrix, problem: Problem, kernels: Kernels, workers: Workers) -> Matrix:
    """Return the activations of templates, (frames, components), from a level start by a fixed number of updates.

    X has about unit mean, the problem no smoothness, which couples frames. Since nothing is decided by the loss, blocks
    of any size give the same but for rounding. The updates are those of `mue`, which needs no guard where templates are
    held; beta 2 without penalties is solved by coordinate descent.
    """
    measure, steps = problem.divergence, steps_for(len(Wt))
    Zt = level_start(Xt, Wt)
    if measure.beta == 2 and not problem.sparsity:
        Z = np.ascontiguousarray(Zt.T)
        sweep(np.ascontiguousarray((Xt @ np.ascontiguousarray(Wt.T)).T), Wt @ Wt.T, Z, steps)
        return np.ascontiguousarray(Z.T)
    gamma = 1.0 if measure.beta < 1 else exponent(measure.beta)
    how = penalties.activation_update(Wt, Zt, problem, gamma)
    before, t = Zt.copy(), WARM
    for _ in range(steps):
        t, weight = nesterov(t)
        extrapolate(Zt, before, weight)
        kernels.mm_activations(Xt, Wt, Zt, measure, how, workers)
    return Zt


def solve_each(Xt: Matrix, W: NDArray[np.float32], steps: int = LEAST) -> NDArray[np.float32]:
    """Return the activations, (sets, frames, components), with which each of several sets of templates explains X.

    W is (sets, components, bins), the divergence that of Kullback and Leibler. All sets are updated together: few of
    them are more than the caches hold, and one call for all takes hardly longer than for one. Few steps are meant:
    masks made of several sets come out better the less each set is fitted to the frame.
    """
    sums = np.maximum(W.sum(axis=-1), EPS)[..., None]
    back = np.ascontiguousarray((W / sums).swapaxes(-1, -2))
    Z = np.stack([level_start(Xt, own) for own in W])
    V, ratio = np.empty((len(W), *Xt.shape), Xt.dtype), np.empty_like(Z)
    before, t = Z.copy(), WARM
    for _ in range(steps):
        t, weight = nesterov(t)
        extrapolate(Z, before, weight)
        np.matmul(Z, W, out=V)
        V += Xt.dtype.type(EPS)
        np.divide(Xt, V, out=V)
        Z *= np.matmul(V, back, out=ratio)
        np.maximum(Z, np.asarray(TINY, Z.dtype), out=Z)
    return Z


def level_start(Xt: Matrix, Wt: Matrix) -> Matrix:
    """Return activations, (frames, components), by which all templates explain equal shares of each frame's sum."""
    level = (Xt.sum(axis=1).reshape(-1, 1) / len(Wt) + EPS) / np.maximum(Wt.sum(axis=1), EPS)
    return np.ascontiguousarray(level, Xt.dtype)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the templates' update needs to know of some frames.

    Attributes
    ----------
    negative, positive : ndarray, shape (components, bins)
        N Zᵀ and P Zᵀ, N and P the parts of dD/dV; the second is (components, 1) for beta 1.
    mass : ndarray, shape (components,)
        Row sums of Z.
    loss : float
        Divergence and penalties at the activations; NaN where it was not asked for.
    frames : int
    """

    negative: Sums
    positive: Sums
    mass: Sums
    loss: float
    frames: int

    @classmethod
    def nothing(cls, Wt: Matrix, problem: Problem) -> Statistics:
        """Return the statistics of no frames."""
        columns = 1 if problem.divergence.beta == 1 else Wt.shape[1]
        return cls(np.zeros(Wt.shape), np.zeros((len(Wt), columns)), np.zeros(len(Wt)), 0.0, 0)

    def __add__(self, other: Statistics) -> Statistics:
        """Return the statistics of both."""
        return Statistics(
            self.negative + other.negative,
            self.positive + other.positive,
            self.mass + other.mass,
            self.loss + other.loss,
            self.frames + other.frames,
        )


def statistics(
    Xt: Matrix,
    Wt: Matrix,
    problem: Problem,
    steps: int,
    workers: Workers,
    with_loss: bool = True,
    Zt: Matrix | None = None,
) -> Statistics:
    """Return the statistics of some frames, (frames, bins) and of about unit mean, at their own activations.

    These take so many steps from a level start, or in place from those given. The loss takes as long as one to four of
    them and is not needed for the update.
    """
    measure, gamma = problem.divergence, exponent(problem.divergence.beta)
    kernels = choose_for(Xt, len(Wt), measure)
    Zt = level_start(Xt, Wt) if Zt is None else Zt
    for _ in range(steps):
        how = penalties.activation_update(Wt, Zt, problem, gamma)
        kernels.mm_activations(Xt, Wt, Zt, measure, how, workers)
    N, D = (sums.astype(np.float64) for sums in kernels.mm_statistics(Xt, Wt, Zt, measure, workers))
    loss = math.nan
    if with_loss:
        loss = float(kernels.divergence(Xt, Wt, Zt, measure, workers)) + penalties.loss(Wt, Zt, problem)
    return Statistics(N, D, Zt.sum(axis=0, dtype=np.float64), loss, len(Zt))


def total(parts: Iterable[Statistics]) -> Statistics:
    """Return the sum of at least one statistics, of which few are held at a time.

    A sum of floating-point numbers depends on the order they are added in, so there is only one: neighbours first, then
    the sums of neighbours, as in a tree. Whoever adds up any part of that tree gets the same bits.
    """
    sums: list[tuple[int, Statistics]] = []  # of 2**height parts each, the tallest first
    for part in parts:
        height = 0
        while sums and sums[-1][0] == height:
            part = sums.pop()[1] + part
            height += 1
        sums.append((height, part))
    if not sums:
        raise ValueError("there are no statistics to add up")
    result = sums.pop()[1]
    while sums:
        result = sums.pop()[1] + result
    return result


def update(Wt: Matrix, sums: Statistics, problem: Problem) -> Matrix:
    """Return the templates after one step."""
    out = np.empty_like(Wt)
    N, D = sums.negative.astype(Wt.dtype), sums.positive.astype(Wt.dtype)
    mass = sums.mass[None].astype(Wt.dtype)  # one frame of all the mass: the penalties need no more than that
    penalties.update_templates(Wt, N, D, mass, problem, exponent(problem.divergence.beta), out)
    return out


class Sample:
    """A random sample of frames: those with the lowest of numbers drawn for each, at most `size` of so many `bins`.

    The numbers depend on the frame's sound and place only, so that the same frames are drawn in whatever order they
    come (Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). `seen` frames have come.
    """

    def __init__(self, bins: int, size: int) -> None:
        self.size = size
        self.seen = 0
        self._numbers: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._frames: Matrix = np.empty((size, bins), np.float32)  # takes no memory before it is filled

    @property
    def left_out(self) -> int:
        """Frames that have come and were not kept."""
        return self.seen - len(self._numbers)

    def add(self, key: str, start: int, frames: Matrix) -> None:
        """Add frames of a sound, of which `key` and `start` tell them apart from all others."""
        self.choose(key, start, len(frames), lambda chosen: frames[chosen])

    def choose(self, key: str, start: int, count: int, frames: Callable[[NDArray[np.intp]], Matrix]) -> None:
        """Add so many frames as `add` does; `frames` is asked, by their indices, only for those that are kept."""
        seed = int.from_bytes(hashlib.sha256(f"{key}:{start}".encode()).digest()[:8], "big")
        numbers = np.random.Generator(np.random.PCG64(seed)).integers(0, 2**63, count, dtype=np.uint64)
        self._admit(numbers, frames)

    def merge(self, other: Sample) -> None:
        """Add the sample of other sounds."""
        self.seen += other.left_out
        self._admit(other._numbers, lambda chosen: other.rows()[chosen])

    def trim(self) -> None:
        """Give up the room for frames that have not come, and take no more."""
        self._frames, self.size = self.rows().copy(), len(self._numbers)

    def _admit(self, numbers: NDArray[np.uint64], frames: Callable[[NDArray[np.intp]], Matrix]) -> None:
        """Keep those of some frames that are among the lowest, and let others go for them."""
        count = len(numbers)
        self.seen += count
        held = len(self._numbers)
        everyone = np.concatenate([self._numbers, numbers])
        if len(everyone) <= self.size:
            new, places = np.arange(count), np.arange(held, held + count)
            self._numbers = everyone
        else:
            kept = np.argpartition(everyone, self.size - 1)[: self.size]
            new = np.sort(kept[kept >= held]) - held
            leaving = np.ones(held, bool)
            leaving[kept[kept < held]] = False
            places = np.concatenate([np.flatnonzero(leaving), np.arange(held, self.size)])
            self._numbers = np.concatenate([self._numbers, np.empty(self.size - held, np.uint64)])
            self._numbers[places] = numbers[new]
        if len(new):
            self._frames[places] = frames(new)

    def rows(self) -> Matrix:
        """Return the sample itself, (frames, bins), in no order that means anything."""
        return self._frames[: len(self._numbers)]

    def frames(self) -> Matrix:
        """Return the sample, (frames, bins), in the order of its numbers."""
        return self._frames[np.argsort(self._numbers, kind="stable")]

    def first(self, count: int) -> Matrix:
        """Return the sample of a smaller size."""
        return self.frames()[:count]
