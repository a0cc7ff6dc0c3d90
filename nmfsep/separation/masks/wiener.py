"""The Wiener mask: shares of energy."""

from __future__ import annotations

from . import Parts
from .ratio import ratio


def wiener(parts: Parts, power: float) -> None:
    """Share by V_j² / sum_i V_i², whatever the power."""
    ratio(parts, 2)
