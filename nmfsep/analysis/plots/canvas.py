"""Canvas of all pictures: matplotlib without its global state, and the bytes of a PNG file."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import UsageError, install_command
from ...files.publish import Output, folder_is_writable, publish_one
from ...system import exists, is_folder

OURS = "nmfsep"
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
    "text.parse_math": False,  # a dollar sign in a name is one
}


def require_plots() -> None:
    """Raise UsageError unless pictures can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "pictures need matplotlib, which is not installed",
            f"install it: {install_command('matplotlib', 'pillow', extra='plot')}",
        )


def require_drawable(target: Path, source: str, force: bool = False) -> None:
    """Raise UsageError unless a picture can be drawn and written to a PNG file.

    What is in its place must be a picture of nmfsep or be replaced by `force`; the source is never replaced.
    """
    require_plots()
    if is_folder(target):
        raise UsageError("is a folder where a picture should go", "name a PNG file", target)
    if source != "-" and exists(target) and exists(source) and os.path.samefile(target, source):
        raise UsageError("is the input and would be overwritten", "choose another name", target)
    if exists(target, follow=False) and not force and not is_ours(target):
        raise UsageError("exists and was not drawn by nmfsep", "use --force to replace it", target)
    if not folder_is_writable(target.parent):
        raise UsageError("cannot be written to", "choose another folder", target.parent)


def is_ours(path: Path) -> bool:
    """Whether a file is a picture that nmfsep drew, which a later one may replace."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        head = file.read(4096)
        return head.startswith(b"\x89PNG") and f"Software\0{OURS}".encode() in head
    return False


def write_picture(png: bytes, target: Path) -> None:
    """Write a picture, whole or not at all."""
    with Output(target) as output:
        output.write(png)
        publish_one(output)


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in one style, whatever the user's own configuration of matplotlib says, and leave that as it was."""
    require_plots()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports fonts and caches, which concern nobody here
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the font lacks
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
    canvas.print_png(buffer, metadata={"Software": OURS}, pil_kwargs={"optimize": True})
    return buffer.getvalue()


def legible(name: str) -> str:
    """Return a name with what cannot be drawn replaced."""
    return "".join(char if char.isprintable() else "?" for char in name)


def bare(axes: Any) -> None:
    """Take away ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
