"""Tables for people, aligned whatever the script of their names."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

from .console import plain


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Return rows as lines, the columns of these numbers to the left and the others to the right."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        gaps = [" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [cell + gap if n in left else gap + cell for n, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
        lines.append("  ".join(padded).rstrip() + "\n")
    return "".join(lines)


def _width(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
