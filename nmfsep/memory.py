"""How much memory there is, and sizes for people."""

from __future__ import annotations

import re
from fractions import Fraction

from .errors import UsageError
from .system import free_memory, memory_limits

SHARE = 0.75  # of what is free
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def require(what: str, need: int, limit: int | None, hint: str) -> None:
    """Raise UsageError, with a hint at what to try, unless `need` bytes may be taken.

    `what` says who needs them, with its verb, as "'song' needs"; `limit` are the bytes that may be taken, or None for
    SHARE of what is free.
    """
    most = allowance(limit)
    if most is not None and need > most:
        raise UsageError(f"{what} about {show_size(need)} of memory and may take {show_size(most)}", hint)


def allowance(limit: int | None) -> int | None:
    """Return the bytes that may be taken: the limit, else SHARE of what is free, None where nobody says."""
    free = available() if limit is None else None
    return limit if free is None else round(free * SHARE)


def available() -> int | None:
    """Return the bytes this process may still take, the least that the system says; None if it says nothing."""
    free, limits = free_memory(), memory_limits()
    return min(limits if free is None else [free, *limits], default=None)


def parse_size(text: str) -> int | None:
    """Return the bytes of a size such as 800M or 1.5G, None if it is none."""
    match = re.fullmatch(r"([0-9]+|[0-9]*\.[0-9]+)([KMGT]?)(i?B)?", text, re.IGNORECASE | re.ASCII)
    return None if match is None else int(Fraction(match[1]) * UNITS[match[2].upper()])


def show_size(count: float) -> str:
    """Return a size for people: "640 MB"."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{max(1, round(count / (1 << 20)))} MB"
