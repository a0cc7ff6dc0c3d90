"""Which kernels suit a size."""

from __future__ import annotations

from types import ModuleType

from ..divergences import Divergence
from . import blocked, reference

SMALL = 1 << 16  # entries of X below which tiles and threads cost more than they save
LARGE = 1 << 19  # entries of X from which compiled loops are worth loading in a process that fits more than once
ONCE = 1 << 23  # and in one that fits once: loading takes half a second
THIN = 48  # components from which BLAS is as fast as the compiled loops, where there are divisions


def choose(bins: int, frames: int, components: int, measure: Divergence, compiled_from: int = LARGE) -> ModuleType:
    """Return the kernels for a problem of that size: a module with the names of `reference`.

    Only the problem and `compiled_from`, entries of X, decide, since other kernels round differently and the same input
    must give the same bytes.
    """
    if bins * frames < SMALL:
        return reference
    if compiled_from >= ONCE and measure.beta == 2:  # where an iteration is short and a fit takes few
        compiled_from *= 8
    suits = measure.beta == 2 or (measure.beta in (0, 1) and components < THIN)
    if bins * frames >= compiled_from and suits and _numba():
        from . import compiled

        return compiled
    return blocked


def _numba() -> bool:
    """Whether compiled loops can be had at all."""
    try:
        from . import lanes  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # numba raises RuntimeError where it finds no place for its cache
        return False
    return True
