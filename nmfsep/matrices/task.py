"""What a factorization will do, checked as far as it can be before anything is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import memory
from ..access import require_free, require_readable
from ..errors import UsageError
from ..manifest import Origin
from ..naming import fit_name, manifest_name, track_name
from ..nmf.kernels.choose import LARGE, THIN
from ..nmf.models import options_of, rehearse, require_options, require_parts
from ..plots.canvas import require_plots
from ..registry import CLUSTERINGS, SIGNED_MODELS
from ..settings import FactorizeSettings
from .images import list_images

KIND = "factorization"  # of manifest


@dataclass(frozen=True, slots=True)
class Task:
    """One matrix to factorize.

    Attributes
    ----------
    path : str
        The input; "-" is standard input.
    name : str
    images : tuple of str
        The files of a folder of images, else none.
    parts : int or tuple of int
        Components, or those of each level.
    options : mapping
        What was asked of the model, by the names it has there.
    targets : mapping of str to Path
        What is written, and where.
    manifest : Path
    """

    path: str
    name: str
    images: tuple[str, ...]
    parts: int | tuple[int, ...]
    options: Mapping[str, Any]
    targets: Mapping[str, Path]
    manifest: Path

    @property
    def finest(self) -> int:
        """Components of the finest level."""
        return self.parts[0] if isinstance(self.parts, tuple) else self.parts


def plan_factorization(path: str, settings: FactorizeSettings, options: Mapping[str, Any]) -> Task:
    """Return the task of a run.

    Parameters
    ----------
    path : str
    settings : FactorizeSettings
    options : mapping
        Options of the model that were asked for.

    Raises
    ------
    UsageError
        The input is missing, the model lacks an option, its components do not fit it, pictures cannot be drawn, or an
        output cannot be written.
    """
    require_options(settings.model, options)
    parts = require_parts(settings.model, settings.components, settings.levels)
    rehearse(settings.model, options)
    if settings.images or settings.pictures:
        require_plots()
    images: tuple[str, ...] = ()
    folder = path != "-" and os.path.isdir(os.fsencode(path))
    if folder and not settings.images:
        raise UsageError("is a folder", "use --images if it holds images", path)
    if folder:
        images = tuple(list_images(path))
    else:
        require_readable(path)
    name = track_name(os.path.abspath(path) if folder else path)
    below = Path(settings.out) / fit_name(name)
    targets = {what: below / file for what, file in _files(settings, parts).items()}
    manifest = below / manifest_name(name)
    task = Task(path, name, images, parts, dict(options), targets, manifest)
    require_room(task, settings.force)
    return task


def require_room(task: Task, force: bool, sha256: str | None = None) -> list[Path]:
    """Raise UsageError where a task would write over files that it must not touch.

    Parameters
    ----------
    task : Task
    force : bool
    sha256 : str, optional
        Of the input, if it has been read.

    Returns
    -------
    list of Path
        Files of an earlier run that the task does not write again.
    """
    origin = Origin(task.path, sha256, KIND)
    return require_free(list(task.targets.values()), task.manifest, task.images or [task.path], force, origin=origin)


def require_rank(task: Task, settings: FactorizeSettings, rows: int, columns: int) -> None:
    """Raise UsageError if a matrix has too few rows or columns for the components asked for."""
    most, why = min(rows, columns), f"a matrix of {rows} x {columns} has rank {min(rows, columns)} at the most"
    if settings.model in CLUSTERINGS:
        most, why = columns, f"there are {columns} columns to cluster"
    elif settings.model in SIGNED_MODELS:
        most += 1  # one more than the rank can be of use
    if task.finest > most and not task.options.get("sparsity"):
        raise UsageError(f"{task.finest} components are too many: {why}", f"use {most} or fewer", task.path)


def require_memory(
    task: Task, settings: FactorizeSettings, rows: int, columns: int, size: int, limit: int | None
) -> None:
    """Raise UsageError if factorizing a matrix with entries of `size` bytes would take too much memory."""
    divergence = task.options.get("divergence", "kl" if "divergence" in options_of(settings.model) else "frobenius")
    compiled = rows * columns >= LARGE and task.finest < THIN and divergence in ("kl", "is", 1, 0)
    pictures = settings.images or settings.pictures
    k = task.finest * (settings.template_frames if "template_frames" in options_of(settings.model) else 1)
    need = memory.matrix_estimate(settings.model, rows, columns, size, k, compiled, pictures, settings.pca)
    memory.require(f"{task.name!r} needs", need, limit, "use a smaller matrix, or --max-memory")


def _files(settings: FactorizeSettings, parts: int | tuple[int, ...]) -> dict[str, str]:
    """Return what is written, and its file name."""
    factors = ["W", "Z"]
    if isinstance(parts, tuple):
        factors = ["W", *(f"W-{level + 1}" for level in range(len(parts))), "Z"]
    files = {what: f"{what}.npy" for what in factors}
    if settings.csv:
        files |= {f"{what}.csv": f"{what}.csv" for what in [*factors, "loss"]}
    if settings.images:
        files |= {"parts": "parts.png", "reconstructions": "reconstructions.png"}
        if isinstance(parts, tuple):
            files["tree"] = "tree.png"
        if settings.pca:
            files["pca"] = "pca.png"
    if settings.pictures:
        files["picture"] = "factors.png"
    return files
