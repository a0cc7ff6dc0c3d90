"""The tree of a deep model: coarse parts above the finer ones that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canvas import FAINT, bare, blank, drawing, to_png
from .tiles import Images, tile

FINEST, GROWTH = 0.6, 1.35  # inches, of an image of the finest level, and how much wider those of the next are
APART, BETWEEN = 0.09, 0.45  # inches between images of a level, and between levels


def tree(levels: Sequence[Images], parents: Sequence[NDArray[np.intp]], title: str) -> bytes:
    """Return a PNG file of the parts of every level, the coarsest on top, joined to what they belong to.

    Parameters
    ----------
    levels : sequence of ndarray, shape (parts, height, width)
        The finest first.
    parents : sequence of ndarray, shape (parts,)
        For each level but the last, the part of the next that each belongs to.
    title : str
    """
    height, width = levels[0].shape[1:]
    widths = [FINEST * min(GROWTH**n, 2.5) for n in range(len(levels))]
    heights = [wide * height / width for wide in widths]
    places, total = place([len(level) for level in levels], parents, widths)
    total = max(total + 0.4, 4.0)
    tall = sum(heights) + BETWEEN * (len(levels) - 1) + 0.7
    with drawing():
        figure = blank(total, tall)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, total)
        axes.set_ylim(tall, 0)
        bare(axes)
        axes.text(0.2, 0.12, title, va="top")
        y = 0.5
        for n in reversed(range(len(levels))):
            for part, image in enumerate(levels[n]):
                x = places[n][part] + 0.2
                tile(axes, image, x - widths[n] / 2, y, widths[n], "", bool(levels[n].min() < 0))
                if n + 1 < len(levels):
                    _join(axes, places[n + 1][parents[n][part]] + 0.2, y - BETWEEN, x, y)
            y += heights[n] + BETWEEN
        return to_png(figure)


def place(
    counts: Sequence[int], parents: Sequence[NDArray[np.intp]], widths: Sequence[float]
) -> tuple[list[NDArray[np.float64]], float]:
    """Return where the middle of each part of each level stands, and the width of all.

    Parts of one parent stand together below it, and none overlaps another.

    Parameters
    ----------
    counts : sequence of int
        Parts of each level, the finest first.
    parents : sequence of ndarray, shape (parts,)
    widths : sequence of float
        Of a part of each level.
    """
    room = [np.full(counts[0], widths[0] + APART)]  # what a part takes with all below it
    for mothers, count, width in zip(parents, counts[1:], widths[1:], strict=True):
        room.append(np.maximum(np.bincount(mothers, room[-1], count), width + APART))
    places: list[NDArray[np.float64]] = [np.cumsum(room[-1]) - room[-1] / 2]
    for n in reversed(range(len(parents))):
        children = np.empty(counts[n])
        for mother, middle in enumerate(places[0]):
            mine = np.flatnonzero(parents[n] == mother)
            left = middle - room[n][mine].sum() / 2
            children[mine] = left + np.cumsum(room[n][mine]) - room[n][mine] / 2
        places.insert(0, children)
    return places, float(room[-1].sum())


def _join(axes: Any, x0: float, y0: float, x1: float, y1: float) -> None:
    middle = (y0 + y1) / 2
    axes.plot([x0, x0, x1, x1], [y0 + 0.03, middle, middle, y1 - 0.03], color=FAINT, linewidth=0.8)
