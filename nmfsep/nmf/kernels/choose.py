"""Which kernels suit a size."""

from __future__ import annotations

from types import ModuleType

from . import blocked, reference

SMALL = 1 << 16  # entries of X below which tiles and threads cost more than they save


def choose(bins: int, frames: int) -> ModuleType:
    """Return the kernels for a matrix of that size: a module with the names of `reference`."""
    return reference if bins * frames < SMALL else blocked
