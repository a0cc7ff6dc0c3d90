"""What all pictures share: matplotlib without its global state, and the bytes of a PNG file."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections.abc import Iterator
from typing import Any

from ..errors import UsageError

INK, FAINT = "#222222", "#888888"
LIGHT, SIGNED = "magma", "RdBu_r"  # colours of what is non-negative, and of what may be negative
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "figure.dpi": 110,
    "savefig.dpi": "figure",
}


def require_plots() -> None:
    """Raise UsageError unless pictures can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib, which is not installed", "pip install 'nmfsep[plot]'")


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in one style, whatever the user's own configuration of matplotlib says, and leave that as it was."""
    require_plots()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of fonts and caches, which concern nobody here
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def blank(width: float, height: float, **options: Any) -> Any:
    """Return a figure of that size in inches; no window, no global list of figures knows it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", **options)


def to_png(figure: Any) -> bytes:
    """Return a figure as a PNG file, the same bytes for the same figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return buffer.getvalue()


def bare(axes: Any) -> None:
    """Take away ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
