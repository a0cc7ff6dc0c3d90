"""Sheets of images: parts, what images are made of, and parts beside principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canvas import FAINT, SIGNED, bare, blank, drawing, legible, to_png

Images = NDArray[np.floating[Any]]  # (images, height, width)
GREY = "gray"  # black is 0, as in the images themselves
TILE = 0.72  # inches, the longer side of an image
GAP = 0.12  # of a tile, between tiles
SHOWN, TERMS = 7, 6  # images that are taken apart on a sheet, and the parts of each
SLIGHT = 0.01  # of an image, below which a part is not shown


@dataclass(frozen=True, slots=True)
class Panel:
    """Images under a title.

    Parameters
    ----------
    title : str
    images : ndarray, shape (images, height, width)
        Each is shown at its own brightness; where one has negative entries, all are shown in colours, white being 0.
    labels : sequence of str, default ()
        One for each image, or none.
    """

    title: str
    images: Images
    labels: Sequence[str] = ()


def sheet(panels: Sequence[Panel], columns: int | None = None) -> bytes:
    """Return a PNG file of panels side by side.

    Parameters
    ----------
    panels : sequence of Panel
    columns : int, optional
        Images in a line of a panel; about as many as there are lines if not given.
    """
    height, width = panels[0].images.shape[1:]
    across = TILE * width / max(height, width) * (1 + GAP)
    down = TILE * height / max(height, width) * (1 + GAP)
    down += 0.15 if any(panel.labels for panel in panels) else 0
    most = max(len(panel.images) for panel in panels)
    columns = columns or min(12, max(3, round(np.sqrt(most * 1.5 * down / across))))
    lines = -(-most // columns)
    widths = [max(columns * across, 2.2)] * len(panels)
    apart, head = 0.35, 0.12 + 0.16 * max(panel.title.count("\n") + 1 for panel in panels) + 0.12
    total = sum(widths) + apart * (len(panels) + 1)
    tall = lines * down + head + 0.2
    with drawing():
        figure = blank(total, tall)
        left = apart
        for panel, wide in zip(panels, widths, strict=True):
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


def breakdown(images: Images, W: Images, Z: NDArray[Any], names: Sequence[str], title: str) -> bytes:
    """Return a PNG file of some images, what the model makes of them, and the parts which that is the sum of.

    Parameters
    ----------
    images : ndarray, shape (images, height, width)
    W : ndarray, shape (parts, height, width)
    Z : ndarray, shape (parts, images)
        How much of each part is in each image.
    names : sequence of str
        Of the images, or none.
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
        figure = blank(total, tall)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, total)
        axes.set_ylim(tall, 0)
        bare(axes)
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
