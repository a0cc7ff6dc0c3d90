"""Warnings of files that hold less sound, or more, than their header promises."""

from __future__ import annotations

USED = "what is there is used"  # how a warning of a cut file ends
CUT_FRAME = f"ends within a frame; it was cut, and {USED}"


def length_warning(promised: float, there: float, promise: str = "its header promises") -> str:
    """Return the warning of a sound with other seconds than were promised."""
    if promised < there:
        return f"{promise} {promised:.3f} s, {there:.3f} s follow; all of them are used"
    return f"ends after {there:.3f} s where {promise} {promised:.3f} s; {USED}"
