"""Checks of a matrix, and the shape that the kernels work on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..kernels.product import EPS
from ..kernels.streamed import Rows
from ..kernels.threads import Workers

FLOOR = 1e-5  # of the largest entry
BLOCK = 1 << 18  # entries looked at or copied at a time
MANY = 1 << 22  # entries below which one thread has looked before another has started
SANE = 2.0**20  # levels within this factor of 1 are far from the ends of single precision


def as_given(X: Any) -> Any:
    """Return X as it is if it is sparse or Rows, else as `as_matrix` does."""
    if isinstance(X, Rows):
        return X
    if not hasattr(X, "tocsr"):
        return as_matrix(X)
    if X.ndim != 2 or 0 in X.shape or X.dtype.kind not in "fiub":
        raise UsageError(f"X must be a matrix of real numbers, not {X.dtype} of shape {X.shape}")
    return X


def as_matrix(X: ArrayLike) -> NDArray[Any]:
    """Return X as an array, or raise UsageError if it is no matrix of real numbers."""
    try:
        given = np.asarray(X)
    except ValueError as error:
        raise UsageError("X is not a matrix: its rows differ in length") from error
    if given.ndim != 2 or 0 in given.shape or given.dtype.kind not in "fiub":
        raise UsageError(f"X must be a matrix of real numbers, not {given.dtype} of shape {given.shape}")
    return np.require(given, requirements=["A"])  # at an odd address other loops would round it differently


def check_count(what: str, count: Any) -> None:
    """Raise UsageError unless a number of things is a whole number of at least 1."""
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise UsageError(f"{what} must be a whole number of at least 1, not {count!r}")


def check_entries(what: str, given: ArrayLike, shape: tuple[int, ...], mask: bool = False) -> NDArray[Any]:
    """Return an array of that shape, finite and non-negative, or a mask; raise UsageError if it is no such thing."""
    array = np.asarray(given)
    if array.shape != shape or array.dtype.kind not in ("b" if mask else "fiub"):
        wanted = "a mask of bool" if mask else "real numbers"
        raise UsageError(f"{what} must be {wanted} of shape {shape}, not {array.dtype} of shape {array.shape}")
    if not np.isfinite(array).all() or array.min() < 0:
        raise UsageError(f"{what} hold negative, NaN or infinite entries")
    return array


def prepare(rows: Any, workers: Workers, keep_level: bool = False, signed: bool = False) -> tuple[Any, Any, bool]:
    """Check a matrix; return it C-contiguous, of one real type and about unit mean.

    Parameters
    ----------
    rows : ndarray, sparse array or Rows, shape (frames, bins)
        Any real type; only read. float64 stays so, all else becomes float32. What is sparse becomes a csr_array; of
        Rows, which are read once here, their scale is noted.
    workers : Workers
        An entered context.
    keep_level : bool, default False
        Leave a level alone that does no harm, which can save a copy.
    signed : bool, default False
        Admit negative entries; then it is the mean of |X| that is about 1.

    Returns
    -------
    Xt, unit, silent : ndarray, shape (frames, bins), float, bool
        `rows` itself where nothing had to change; the power of two that was divided out, so that scaling is exact; and
        whether all is zero.

    Raises
    ------
    UsageError
        An entry is NaN or infinite, or negative where X may not be signed.
    """
    if isinstance(rows, Rows):
        return _prepare_blocks(rows, keep_level)
    dtype: Any = np.float64 if rows.dtype == np.float64 else np.float32
    if not isinstance(rows, np.ndarray):
        return _prepare_sparse(rows, dtype, keep_level)
    # along memory, whichever way it runs
    lines = rows if rows.flags.c_contiguous or not rows.flags.f_contiguous else rows.T
    step = max(1, BLOCK // lines.shape[1])
    starts = range(0, len(lines), step)

    def look(start: int) -> tuple[float, float]:
        block = lines[start : start + step]
        with np.errstate(over="ignore", invalid="ignore"):
            exact = dtype == np.float64 or block.dtype.kind != "f"
            least = float(block.min())
            if signed and least < 0:
                block = np.abs(block, dtype=dtype)
            if exact:
                return float(block.sum(dtype=np.float64)), least
            return float(np.einsum("ij->", block, dtype=np.float32, casting="unsafe")), least

    seen = workers.map(look, starts) if rows.size >= MANY else [look(start) for start in starts]
    mean = sum(total for total, _ in seen) / rows.size
    if not np.isfinite(mean):
        if not np.isfinite(rows).all():
            raise UsageError("X holds NaN or infinite entries")
        mean = float((np.abs(rows) if signed else rows).mean(dtype=np.float64))  # only the sum was beyond float32
    _require_sound(mean, 0 if signed else min(least for _, least in seen))
    unit = dtype(_unit(mean, keep_level, dtype))
    if unit == 1 and rows.dtype == dtype and rows.flags.c_contiguous:
        return rows, unit, mean == 0
    Xt = np.empty(rows.shape, dtype)
    factor = dtype(1) / unit
    height = max(1, min(64, BLOCK // rows.shape[1]))

    def copy(start: int) -> None:
        np.multiply(rows[start : start + height], factor, out=Xt[start : start + height], casting="unsafe")

    workers.map(copy, range(0, len(rows), height))
    return Xt, unit, mean == 0


def _unit(mean: float, keep_level: bool, dtype: Any) -> float:
    """Return the power of two to divide by, with which the mean comes to lie in [0.5, 1), or as near as it can."""
    if mean <= 0 or (keep_level and 1 / SANE < mean < SANE):
        return 1.0
    limits = np.finfo(dtype)  # beyond which the unit or its inverse would be infinite
    return float(2.0 ** np.clip(np.frexp(mean)[1], limits.minexp, limits.maxexp - 2))


def _prepare_sparse(rows: Any, dtype: Any, keep_level: bool) -> tuple[Any, Any, bool]:
    from scipy.sparse import csr_array

    Xt = csr_array(rows, dtype=dtype)
    if not Xt.has_canonical_format or (Xt.data == 0).any():
        Xt = Xt.copy()
        Xt.sum_duplicates()
        Xt.eliminate_zeros()
    mean, least = float(Xt.data.sum(dtype=np.float64)) / (Xt.shape[0] * Xt.shape[1]), Xt.data.min(initial=0)
    _require_sound(mean, least)
    unit = dtype(_unit(mean, keep_level, dtype))
    return csr_array((Xt.data / unit, Xt.indices, Xt.indptr), shape=Xt.shape), unit, mean == 0


def _prepare_blocks(rows: Rows, keep_level: bool) -> tuple[Rows, Any, bool]:
    total, least = 0.0, 0.0
    for _, block in rows.blocks():
        total, least = total + float(block.sum(dtype=np.float64)), min(least, float(block.min()))
    mean = total / rows.size
    _require_sound(mean, least)
    unit = rows.dtype.type(_unit(mean, keep_level, rows.dtype))
    return replace(rows, factor=1 / float(unit), mean_entry=mean / float(unit)), unit, mean == 0


def _require_sound(mean: float, least: float) -> None:
    if not np.isfinite(mean):
        raise UsageError("X holds NaN or infinite entries")
    if least < 0:
        raise UsageError("X holds negative entries", "nonnegative factorization needs X >= 0; semi_nmf takes any sign")


def raise_floor(Xt: Any, beta: float) -> Any:
    """Return X with its least entries raised to -100 dB of its largest where beta <= 0, else as it is.

    There a zero in X would make the loss infinite.
    """
    if beta > 0:
        return Xt
    if isinstance(Xt, Rows):
        most = max(float(block.max()) for _, block in Xt.blocks())
        return replace(Xt, least=max(most * FLOOR, EPS))
    # EPS where all is zero: then the loss is zero too
    least = max(Xt.max() * Xt.dtype.type(FLOOR), Xt.dtype.type(EPS))
    return Xt if Xt.min() >= least else np.maximum(Xt, least)  # a look is cheaper than a copy
