"""Pictures of sounds and rankings as PNG files, which replace nothing but what nmfsep drew itself."""

from __future__ import annotations

import os
from pathlib import Path

from ..analysis.plots.canvas import is_ours, require_plots
from ..analysis.plots.matrix import stability_picture
from ..errors import UsageError
from ..files.publish import Output, folder_is_writable, publish_one
from ..grouping.rank import STABLE
from .inspect import Inspection, Ranking, picture


def require_drawable(target: Path, source: str, force: bool = False) -> None:
    """Check that a picture can be drawn.

    Parameters
    ----------
    target : Path
        The PNG file.
    source : str
        The input, which is never replaced; "-" is standard input.
    force : bool, default False
        Whether what another program wrote may be replaced.

    Raises
    ------
    UsageError
        matplotlib is not installed, or the target is a folder, the input, not a picture of nmfsep, or not writable.
    """
    require_plots()
    if os.path.isdir(target):
        raise UsageError("is a folder where a picture should go", "name a PNG file", target)
    if source != "-" and os.path.exists(target) and os.path.exists(source) and os.path.samefile(target, source):
        raise UsageError("is the input and would be overwritten", "choose another name", target)
    if os.path.lexists(target) and not force and not is_ours(target):
        raise UsageError("exists and was not drawn by nmfsep", "use --force to replace it", target)
    if not folder_is_writable(target.parent):
        raise UsageError("cannot be written to", "choose another folder", target.parent)


def draw_inspection(found: Inspection, target: Path) -> None:
    """Draw the spectrogram, W, Z and masks of a sound."""
    _write(picture(found), target)


def draw_ranking(found: Ranking, target: Path) -> None:
    """Draw the evidence for numbers of components."""
    rows = found.evidence
    png = stability_picture(
        f"{found.track}: how stable its components are",
        [row.components for row in rows],
        [row.loosest for row in rows],
        [row.mean for row in rows],
        [row.unexplained for row in rows],
        STABLE,
        found.recommended,
    )
    _write(png, target)


def _write(png: bytes, target: Path) -> None:
    with Output(target) as output:
        output.write(png)
        publish_one(output)
