"""Pictures of factorizations: a matrix and its factors, sheets and trees of parts, and how stable components are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...grouping.rank import Evidence
from .canvas import FAINT, INK, LIGHT, SIGNED, bare, blank, drawing, legible, to_png

Array = NDArray[np.floating[Any]]
MOST = 1000  # rows or columns drawn; of more, evenly spaced ones


def factors_picture(
    X: Array, W: Array, Z: Array, evaluated: Sequence[int], losses: Sequence[float], title: str
) -> bytes:
    """Return a PNG file of a matrix (rows, columns), its factors, and the losses after the iterations evaluated."""
    rows = np.unique(np.linspace(0, X.shape[0] - 1, min(MOST, X.shape[0])).astype(int))
    columns = np.unique(np.linspace(0, X.shape[1] - 1, min(MOST, X.shape[1])).astype(int))
    X, W, Z = X[np.ix_(rows, columns)], W[rows], Z[:, columns]
    V = W @ Z
    k = W.shape[1]
    wide = float(np.clip(2.6 * (X.shape[1] / X.shape[0]) ** 0.5, 1.6, 4.2))
    tall = float(np.clip(2.6 * (X.shape[0] / X.shape[1]) ** 0.5, 1.6, 4.2))
    edge = float(np.clip(0.16 * k, 0.5, 1.5))
    most = float(max(np.abs(X).max(), np.abs(V).max())) or 1.0
    with drawing():
        figure = blank(edge + 2 * wide + 1.6, edge + tall + 1.35, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
        grid = figure.add_gridspec(2, 3, width_ratios=(edge, wide, wide), height_ratios=(max(edge, 0.9), tall))
        top, left, middle, right, curve = (
            figure.add_subplot(grid[place]) for place in ((0, 1), (1, 0), (1, 1), (1, 2), (0, 2))
        )
        _heat(left, W / (np.abs(W).max(axis=0) + 1e-300), "W", f"k = {k}", "rows")
        _heat(top, Z / (np.abs(Z).max(axis=1, keepdims=True) + 1e-300), "Z", "", "")
        _heat(middle, V, "W Z", "columns", "", most)
        _heat(right, X, "X", "columns", "", most)
        draw_losses(curve, evaluated, losses)
        return to_png(figure)


def _heat(axes: Any, matrix: Array, title: str, below: str, left: str, most: float = 1.0) -> None:
    signed = bool(matrix.min() < 0)
    colours = SIGNED if signed else LIGHT
    axes.imshow(matrix, cmap=colours, vmin=-most if signed else 0, vmax=most, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontweight="bold")
    bare(axes)
    axes.set_xlabel(below, color=FAINT)
    axes.set_ylabel(left, color=FAINT)


def draw_losses(axes: Any, evaluated: Sequence[int], losses: Sequence[float]) -> None:
    """Draw the losses after the iterations evaluated."""
    axes.plot(evaluated, losses, color="#2b5f8a", linewidth=1.4)
    if min(losses) > 0 and max(losses) > 30 * min(losses):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # the usual one writes powers as formulas
        axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_title("loss")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("iterations", color=FAINT)


Images = NDArray[np.floating[Any]]  # (images, height, width)
GREY = "gray"  # black is 0, as in the images themselves
TILE = 0.72  # inches, the longer side of an image
GAP = 0.12  # of a tile, between tiles
SHOWN, TERMS = 7, 6  # images that are taken apart on a sheet, and the parts of each
SLIGHT = 0.01  # of an image, below which a part is not shown


@dataclass(frozen=True, slots=True)
class Panel:
    """Images under a title, each with a label if there are any.

    Each is shown at its own brightness; where one has negative entries, all are shown in colours, white being 0.
    """

    title: str
    images: Images
    labels: Sequence[str] = ()


def sheet(panels: Sequence[Panel]) -> bytes:
    """Return a PNG file of panels side by side, each with about as many lines of images as columns."""
    height, width = panels[0].images.shape[1:]
    across = TILE * width / max(height, width) * (1 + GAP)
    down = TILE * height / max(height, width) * (1 + GAP)
    down += 0.15 if any(panel.labels for panel in panels) else 0
    most = max(len(panel.images) for panel in panels)
    columns = min(12, max(3, round(np.sqrt(most * 1.5 * down / across))))
    lines = -(-most // columns)
    wide = max(columns * across, 2.2)
    apart, head = 0.35, 0.12 + 0.16 * max(panel.title.count("\n") + 1 for panel in panels) + 0.12
    total = len(panels) * wide + apart * (len(panels) + 1)
    tall = lines * down + head + 0.2
    with drawing():
        figure = blank(total, tall)
        left = apart
        for panel in panels:
            axes = figure.add_axes((left / total, 0.1 / tall, wide / total, lines * down / tall))
            axes.set_xlim(0, wide)
            axes.set_ylim(lines * down, 0)
            bare(axes)
            figure.text(left / total, 1 - 0.12 / tall, panel.title, va="top", linespacing=1.35)
            for n, image in enumerate(panel.images):
                x, y = n % columns * across, n // columns * down
                label = panel.labels[n] if panel.labels else ""
                tile(axes, image, x, y, across / (1 + GAP), label, panel.images.min() < 0)
            left += wide + apart
        return to_png(figure)


def breakdown(images: Images, W: Images, Z: NDArray[Any], title: str) -> bytes:
    """Return a PNG file of some images, what the model makes of them, and the parts which that is the sum of.

    Parameters
    ----------
    images : ndarray, shape (images, height, width)
    W : ndarray, shape (parts, height, width)
    Z : ndarray, shape (parts, images)
        How much of each part is in each image.
    title : str
    """
    count, height, width = images.shape
    chosen = np.unique(np.linspace(0, count - 1, min(SHOWN, count)).round().astype(int))
    masses = np.abs(W).sum(axis=(1, 2))
    parts = [_largest(np.abs(Z[:, n]) * masses) for n in chosen]
    terms = min(TERMS, max(map(len, parts)))
    long = max(height, width)
    across, down = TILE * width / long, TILE * height / long + 0.12
    step = across + 0.24
    total, tall = max(0.3 + (2 + terms) * step + 0.5, 5.0), len(chosen) * down + 0.75
    signed = bool(W.min() < 0 or Z.min() < 0)
    with drawing():
        figure, axes = _page(total, tall)
        axes.text(0.15, 0.12, title, va="top")
        for column, head in enumerate(("image", "model", "its largest parts, brightened")):
            axes.text(0.3 + column * step, 0.5, head, color=FAINT, fontsize=8, va="bottom")
        for line, (n, order) in enumerate(zip(chosen, parts, strict=True)):
            y = 0.55 + line * down
            whole = np.tensordot(Z[:, n], W, 1)
            more, order = len(order) > terms, order[:terms]
            top = float(max(images[n].max(), whole.max(), 1e-12))
            pictures = [images[n], whole, *(W[k] * Z[k, n] for k in order)]
            brightest = float(max(_brightest(picture) for picture in pictures[2:]))
            for column, picture in enumerate(pictures):
                x = 0.3 + column * step
                tile(axes, picture, x, y, across, "", signed and column > 1, top if column < 2 else brightest)
                last = column == len(pictures) - 1
                mark = ("≈", "=", *"+" * terms)[column] if not last else "+ …" if more else ""
                middle = y + TILE * height / long / 2
                axes.text(x + across + (0.2 if last else 0.12), middle, mark, ha="center", va="center", fontsize=10)
        return to_png(figure)


def _page(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and axes all over it, in inches from its upper left corner."""
    figure = blank(width, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    bare(axes)
    return figure, axes


def _largest(sizes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the indices of the parts that are more than slight, largest first; one at the least."""
    order: NDArray[np.intp] = np.argsort(-sizes, kind="stable")[: max(1, int(np.sum(sizes > SLIGHT * sizes.sum())))]
    return order


def tile(
    axes: Any, image: Any, x: float, y: float, width: float, label: str = "", signed: bool = False, top: float = 0
) -> None:
    """Draw one image with its upper left corner at (x, y), its label below; `top` is the brightest, its own if 0."""
    height = width * image.shape[0] / image.shape[1]
    most = top or _brightest(image) or 1.0
    axes.imshow(
        image,
        cmap=SIGNED if signed else GREY,
        vmin=-most if signed else 0,
        vmax=most,
        extent=(x, x + width, y + height, y),
        interpolation="nearest",
        aspect="auto",
    )
    axes.plot([x, x + width, x + width, x, x], [y, y, y + height, y + height, y], color=FAINT, linewidth=0.4)
    if label:
        axes.text(x + width / 2, y + height + 0.02, legible(label), ha="center", va="top", fontsize=7)


def _brightest(image: Any) -> float:
    """Return what is shown as white: a few pixels that outshine all others may be whiter."""
    size = np.abs(image)
    return float(np.quantile(size, 0.99)) or float(size.max())


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
        figure, axes = _page(total, tall)
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

    Parts of one parent stand together below it, and none overlaps another. `counts` are the parts of each level, the
    finest first, and `widths` that of a part.
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


def draw_stability(axes: Any, evidence: Sequence[Evidence], threshold: float, chosen: int) -> None:
    """Draw silhouettes, and what is left unexplained, against the number of components."""
    counts = [row.components for row in evidence]
    loosest, mean = [row.loosest for row in evidence], [row.mean for row in evidence]
    axes.plot(counts, loosest, "o-", color=INK, label="silhouette of the loosest component")
    axes.plot(counts, mean, "o--", color=FAINT, label="mean silhouette")
    axes.plot(counts, [row.unexplained for row in evidence], "s:", color="#b0413e", label="unexplained share")
    axes.axhline(threshold, color=FAINT, linewidth=0.8)
    if chosen in counts:
        axes.axvline(chosen, color="#2a6f97", linewidth=1.2, label=f"recommended: {chosen}")
    axes.set_xticks(counts)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xlabel("components")
    axes.legend(fontsize=7.5, frameon=False, loc="lower left")


def stability_picture(title: str, evidence: Sequence[Evidence], threshold: float, chosen: int) -> bytes:
    """Return a PNG file of silhouettes, and of what is left unexplained, against the number of components."""
    with drawing():
        figure = blank(6.4, 3.6, layout="constrained")
        axes = figure.subplots()
        draw_stability(axes, evidence, threshold, chosen)
        axes.set_title(legible(title))
        return to_png(figure)
