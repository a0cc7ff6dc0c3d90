"""The kernels for an X that does not fit into memory: its rows come a block at a time, and W and Z are kept.

What a pass needs of X adds up over frames, so that a pass over blocks is the pass over all of X: nothing is
approximated, and the fit is that in memory but for rounding. Each pass reads all of X once.
"""
# ruff: noqa: D102 (methods are documented in Kernels)

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .divergence import Divergence
from .product import Matrix
from .reference import Ahead, Kernels, Momentum, Update
from .threads import Workers

BLOCK = 1 << 20  # entries of a block: 4 MB of float32, which a disk reads at nearly its full speed


@dataclass(frozen=True, slots=True)
class Rows:
    """A matrix of which a span of rows is read when it is needed.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
        float32 or float64, in which it is computed.
    read : callable
        Called as read(start, stop); returns these rows, of any real type, as an array of its own.
    turned : bool
        Whether rows are the rows of the matrix that is factorized, rather than its columns.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    read: Callable[[int, int], NDArray[Any]]
    turned: bool = True
    factor: float = 1.0  # by which entries are multiplied
    least: float = 0.0  # to which they are raised then
    mean_entry: float = field(default=0.0)  # after all this
    flipped: bool = False  # whether rows are to be taken for columns

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def T(self) -> Rows:  # noqa: N802 (as arrays have it)
        """The transpose, of which a block is some columns."""
        return replace(self, shape=self.shape[::-1], flipped=not self.flipped)

    def blocks(self, workers: Workers | None = None) -> Iterator[tuple[slice, Matrix]]:
        """Yield spans of the rows with what they hold; with workers, the next is read while one is worked on."""
        rows, columns = self.shape[::-1] if self.flipped else self.shape
        step = max(1, BLOCK // columns)
        spans = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
        if workers is None:
            yield from ((span, self._load(span)) for span in spans)
            return
        waiting = workers.submit(self._load, spans[0])
        for span, following in zip(spans, [*spans[1:], None], strict=True):
            block = waiting()
            if following is not None:
                waiting = workers.submit(self._load, following)
            yield span, block

    def _load(self, span: slice) -> Matrix:
        block = np.ascontiguousarray(self.read(span.start, span.stop), self.dtype)
        if self.factor != 1:
            block *= self.dtype.type(self.factor)
        if self.least > 0:
            np.maximum(block, self.dtype.type(self.least), out=block)
        return block

    def __matmul__(self, other: Matrix) -> Matrix:
        out = np.zeros((self.shape[0], other.shape[1]), self.dtype)
        for span, block in self.blocks():
            if self.flipped:
                out += block.T @ other[span]
            else:
                out[span] = block @ other
        return out

    def mean(self, axis: int | None = None, dtype: Any = np.float64) -> Any:
        """Return the mean of all entries, or of each column."""
        if axis is None:
            return self.mean_entry
        if self.flipped:
            return np.concatenate([block.mean(axis=1, dtype=dtype) for _, block in self.blocks()])
        return sum(block.sum(axis=0, dtype=dtype) for _, block in self.blocks()) / len(self)


class Streamed(Kernels):
    """The kernels that suit a block, over all blocks, in order."""

    def __init__(self, inner: Kernels) -> None:
        self._inner = inner
        self._energy: float | None = None

    def energy(self, Xt: Any) -> float:
        if self._energy is None:
            self._energy = sum(self._inner.energy(block) for _, block in Xt.blocks())
        return self._energy

    def divergence(self, Xt: Any, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
        return sum(self._inner.divergence(block, Wt, Zt[span], measure, workers) for span, block in Xt.blocks(workers))

    def mm_pass(
        self, Xt: Any, Wt: Matrix, Zt: Matrix, measure: Divergence, update: Update, workers: Workers, ahead: Ahead
    ) -> tuple[Matrix, Matrix]:
        def part(span: slice, block: Matrix) -> tuple[Matrix, Matrix]:
            how = update
            if callable(update):  # which counts frames from the first of all

                def how(first: int, z: Matrix, numerator: Matrix, denominator: Matrix) -> None:
                    update(span.start + first, z, numerator, denominator)

            return self._inner.mm_pass(block, Wt, Zt[span], measure, how, workers, ahead)

        return self._total(Xt, part, workers)

    def hals_pass(
        self, Xt: Any, Wt: Matrix, Zt: Matrix, sweeps: int, workers: Workers, momentum: Momentum | None = None
    ) -> tuple[Matrix, Matrix]:
        def part(span: slice, block: Matrix) -> tuple[Matrix, Matrix]:
            moved = None if momentum is None else (momentum[0][span], momentum[1])
            return self._inner.hals_pass(block, Wt, Zt[span], sweeps, workers, moved)

        return self._total(Xt, part, workers)

    def sweep(self, P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
        self._inner.sweep(P, G, H, sweeps)

    def _total(
        self, Xt: Any, part: Callable[[slice, Matrix], tuple[Matrix, Matrix]], workers: Workers
    ) -> tuple[Matrix, Matrix]:
        total: tuple[Matrix, Matrix] | None = None
        for span, block in Xt.blocks(workers):
            sums = part(span, block)
            total = sums if total is None else (total[0] + sums[0], total[1] + sums[1])
        assert total is not None
        return total
