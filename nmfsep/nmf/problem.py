"""What a fit minimises and what it must leave alone."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from .divergences import Divergence
from .divergences.beta import kullback_leibler


@dataclass(frozen=True, slots=True)
class Problem:
    """A factorization problem over non-negative W and Z.

    Parameters
    ----------
    divergence : Divergence
        The loss D(X | W Z).
    fixed : frozenset of {"W", "Z"}
        Factors held as they are.
    """

    divergence: Divergence = kullback_leibler
    fixed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.fixed <= {"W", "Z"}:
            raise UsageError(f"only 'W' and 'Z' can be held fixed, not {sorted(self.fixed - {'W', 'Z'})}")
