"""The picture of the evidence for numbers of components."""

from __future__ import annotations

from collections.abc import Sequence

from .canvas import FAINT, INK, blank, drawing, legible, to_png


def stability_picture(
    title: str,
    counts: Sequence[int],
    loosest: Sequence[float],
    mean: Sequence[float],
    unexplained: Sequence[float],
    threshold: float,
    chosen: int,
) -> bytes:
    """Return a PNG file of silhouettes, and of what is left unexplained, against the number of components."""
    with drawing():
        figure = blank(6.4, 3.6, layout="constrained")
        axes = figure.subplots()
        axes.plot(counts, loosest, "o-", color=INK, label="silhouette of the loosest component")
        axes.plot(counts, mean, "o--", color=FAINT, label="mean silhouette")
        axes.plot(counts, unexplained, "s:", color="#b0413e", label="unexplained share")
        axes.axhline(threshold, color=FAINT, linewidth=0.8)
        if chosen in counts:
            axes.axvline(chosen, color="#2a6f97", linewidth=1.2, label=f"recommended: {chosen}")
        axes.set_xticks(list(counts))
        axes.set_ylim(-1.05, 1.05)
        axes.set_xlabel("components")
        axes.set_title(legible(title))
        axes.legend(fontsize=7.5, frameon=False, loc="lower left")
        return to_png(figure)
