"""Choice of kernels by the size of a problem; compiled ones are loaded only where they repay it."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .blocked import Blocked
from .divergence import Divergence
from .reference import Kernels
from .sparse import Sparse
from .streamed import BLOCK, Rows, Streamed

SMALL = 1 << 16  # entries of X below which tiles and threads cost more than they save
LARGE = 1 << 19  # entries of X from which compiled loops are worth loading in a process that fits more than once
ONCE = 1 << 23  # and in one that fits once: loading takes half a second
THIN = 48  # components from which BLAS is as fast as the compiled loops, where there are divisions


def choose(bins: int, frames: int, components: int, measure: Divergence, compiled_from: int = LARGE) -> Kernels:
    """Return the kernels for a problem of that size.

    Only it and `compiled_from`, entries of X, decide: other kernels round differently, but the same input must give the
    same bytes.
    """
    if bins * frames < SMALL:
        return Kernels()
    if compiled_from >= ONCE and measure.beta == 2:  # where an iteration is short and a fit takes few
        compiled_from *= 8
    suits = measure.beta == 2 or (measure.beta in (0, 1) and components < THIN)
    if bins * frames >= compiled_from and suits and not missing():
        from .compiled import Compiled

        return Compiled()
    return Blocked()


def choose_for(Xt: Any, components: int, measure: Divergence, compiled_from: int = LARGE) -> Kernels:
    """Return the kernels for a matrix (frames, bins), an array, a csr_array or Rows."""
    frames, bins = Xt.shape
    if isinstance(Xt, np.ndarray):
        return choose(bins, frames, components, measure, compiled_from)
    if isinstance(Xt, Rows):
        return Streamed(choose(bins, min(frames, max(1, BLOCK // bins)), components, measure, compiled_from))
    return Sparse(Xt, Xt.nnz * components >= compiled_from and not missing())


def slower() -> tuple[str, ...]:
    """Return what the user should know where compiled loops were wanted in this process and cannot be had."""
    reason = missing() if missing.cache_info().currsize else ""
    return (f"computed without numba, more slowly and rounded a little differently: {reason}",) if reason else ()


@functools.cache
def missing() -> str:
    """Return why compiled loops cannot be had, nothing if they can."""
    try:
        from . import numba_loops  # noqa: F401
    except Exception as error:  # numba and its compiler fail in many ways where they do not belong
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""
