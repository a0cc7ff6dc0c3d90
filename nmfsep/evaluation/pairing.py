"""Which estimate is held against which true stem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UsageError
from .correlations import Real


def pair(
    references: Sequence[str], estimates: Sequence[str], sdr: Real, how: str = "auto"
) -> tuple[str, list[int | None]]:
    """Return what decided, "name" or "best", and for each true stem the index of its estimate, None if it has none.

    Parameters
    ----------
    references, estimates : sequence of str
        Names.
    sdr : ndarray, shape (references, estimates)
        In dB; NaN where it is undefined.
    how : {"auto", "name", "best"}
        By name, or the assignment with the largest sum of SDRs; auto is by name where every true stem has an estimate
        of its name.

    Raises
    ------
    UsageError
        By name, and there is no name in common.
    """
    where = {name: index for index, name in enumerate(estimates)}
    named = [where.get(name) for name in references]
    if how == "name" and all(index is None for index in named):
        raise UsageError("no estimate has the name of a true stem", "use --match best")
    if how == "name" or (how == "auto" and None not in named):
        return "name", named
    from scipy.optimize import linear_sum_assignment

    # what is silent is worse than anything that sounds, and one silence as bad as the next
    rows, columns = linear_sum_assignment(np.nan_to_num(sdr, nan=-1e3), maximize=True)
    assigned: list[int | None] = [None] * len(references)
    for row, column in zip(rows, columns, strict=True):
        assigned[row] = int(column)
    return "best", assigned
