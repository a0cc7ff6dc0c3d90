"""Factorization of a matrix from file to files: read, fit, measure, and write the factors with their manifest.

The work is planned as a `Task` first, so that whatever can be refused is refused before anything is read.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..analysis.plots.canvas import require_plots
from ..errors import UsageError
from ..files.naming import fit_name, manifest_name, track_name
from ..files.npz import npy_pieces
from ..files.publish import Output
from ..jobs.budget import matrix_estimate
from ..jobs.manifest import SCHEMA, Manifest, Origin, file_entry, publish_with_manifest, versions
from ..jobs.safety import require_free, require_readable, require_space
from ..kernels.select import LARGE, THIN, slower
from ..kernels.streamed import BLOCK, Rows
from ..models.by_name import AnyFit, defaults_of, fit_model, options_of, rehearse, require_options, require_parts
from ..models.convolutive import ConvolutiveFit
from ..models.deep import DeepFit
from ..nmf.factorize import APART
from ..registry import CLUSTERINGS, SIGNED_MODELS
from ..settings.commands import FactorizeSettings
from ..settings.separation import Settings
from ..system import is_folder
from .load import Found, list_images, read_images, read_labels, read_matrix, require_positive
from .pictures import pictures, relative_error, sparseness
from .text import lines_of

KIND = "factorization"  # of manifest
BLOCKS = 6  # of Rows that are held at a time, with what they are read as and what is made of them


@dataclass(frozen=True, slots=True)
class Task:
    """One matrix to factorize."""

    path: str  # the input; "-" is standard input
    name: str
    images: tuple[str, ...]  # the files of a folder of images, else none
    parts: int | tuple[int, ...]  # components, or those of each level
    options: Mapping[str, Any]  # what was asked of the model, by the names it has there
    targets: Mapping[str, Path]  # what is written, and where
    manifest: Path

    @property
    def finest(self) -> int:
        """Components of the finest level."""
        return self.parts[0] if isinstance(self.parts, tuple) else self.parts


def plan_factorization(path: str, settings: FactorizeSettings, options: Mapping[str, Any]) -> Task:
    """Return the task of a run; `options` are those of the model that were asked for.

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
    if settings.lda:
        require_readable(settings.lda)
    images: tuple[str, ...] = ()
    folder = path != "-" and is_folder(path)
    if folder and not settings.images:
        raise UsageError("is a folder", "use --images if it holds images", path)
    if folder:
        images = tuple(list_images(path))
    else:
        require_readable(path)
    name = track_name(os.path.abspath(path) if folder else path)
    below = Path(settings.out) / fit_name(name)
    targets = {what: below / file for what, file in _files(settings, parts).items()}
    task = Task(path, name, images, parts, dict(options), targets, below / manifest_name(name))
    _require_room(task, settings.force)
    return task


def require_disk(task: Task, settings: FactorizeSettings, X: Any) -> None:
    """Raise OutputError if the disk has no room for the factors of a matrix; pictures may take more."""
    levels = task.parts if isinstance(task.parts, tuple) else ()
    last = levels[-1] if levels else task.finest
    frames = settings.template_frames if "template_frames" in options_of(settings.model) else 1
    rows, columns = X.shape
    numbers = last * (rows * frames + columns) + sum(a * b for a, b in itertools.pairwise((rows, *levels)))
    size = 8 if X.dtype == np.float64 or settings.model == "deep-semi" else 4
    text = len("0.0,") if settings.csv else 0  # of a number at the least
    require_space(task.manifest.parent, numbers * (size + text))


def _files(settings: FactorizeSettings, parts: int | tuple[int, ...]) -> dict[str, str]:
    """Return what is written, and its file name."""
    levels = len(parts) if isinstance(parts, tuple) else 0
    factors = ["W", *(f"W-{level + 1}" for level in range(levels)), "Z"]
    files = {what: f"{what}.npy" for what in factors}
    if settings.csv:
        files |= {f"{what}.csv": f"{what}.csv" for what in [*factors, "loss"]}
    if settings.images:
        files |= {what: f"{what}.png" for what in ("parts", "reconstructions")}
        files |= {"tree": "tree.png"} if levels else {}
        files |= {"lda": "lda.png"} if settings.lda else {"pca": "pca.png"} if settings.pca else {}
    if settings.pictures:
        files["picture"] = "factors.png"
    return files


def _require_room(task: Task, force: bool, sha256: str | None = None) -> list[Path]:
    """Raise UsageError where a task would write over files that it must not touch.

    `sha256` is that of the input, if it has been read. Returns the files of an earlier run that the task does not
    write again.
    """
    origin = Origin(task.path, sha256, KIND)
    return require_free(list(task.targets.values()), task.manifest, task.images or [task.path], force, origin=origin)


def run_factorization(
    task: Task,
    settings: FactorizeSettings,
    *,
    limit: int | None = None,
    progress: Callable[[int, float], object] | None = None,
) -> Manifest:
    """Factorize a matrix and write what was found.

    Parameters
    ----------
    task : Task
    settings : FactorizeSettings
    limit : int, optional
        Bytes of memory that may be taken.
    progress : callable, optional
        Called as progress(iteration, loss).

    Returns
    -------
    dict
        The manifest, as written.

    Raises
    ------
    InputError
        The input cannot be read, or the model cannot take it.
    UsageError
        It has too few rows or columns for the components, or too many for the memory.
    OutputError
        A file cannot be written; none was then.
    """
    began = time.perf_counter()
    found = _read(task, settings, limit)
    if found.sha256 is not None:
        _require_room(task, settings.force, found.sha256)  # what comes through a pipe is known only now
    try:
        fit = fit_model(settings.model, found.X, task.parts, **task.options, callback=progress).ordered()
    except UsageError as error:
        error.path = error.path or task.path
        raise
    figures = {"error": relative_error(found.X, fit.factors), "sparseness": sparseness(fit.factors.W)}
    seconds = round(time.perf_counter() - began, 3)
    contents = _factors(fit, settings.csv) | pictures(found, fit, settings, figures)
    with contextlib.ExitStack() as stack:
        files = {what: stack.enter_context(Output(path)) for what, path in task.targets.items()}
        for what, file in files.items():
            for piece in contents[what]:
                file.write(piece)
        manifest = _manifest(task, settings, found, fit, figures, files) | {"seconds": seconds}
        publish_with_manifest(
            task.manifest, manifest, list(files.values()), lambda: _require_room(task, settings.force, found.sha256)
        )
    return manifest


def _read(task: Task, settings: FactorizeSettings, limit: int | None) -> Found:
    """Return the input, as the model takes it."""

    def allow(shape: tuple[int, ...], size: int, *, entries: int | None = None, on_disk: bool = False) -> bool:
        rows, columns = shape if len(shape) == 2 else (shape[1] * shape[2], shape[0])
        held, most = estimate(rows, columns, size, entries), memory.allowance(limit)
        whole = not on_disk or most is None or held <= most or not _can_stream(task, settings)
        need = held if whole else estimate(rows, columns, size, BLOCKS * BLOCK)
        memory.require(f"{task.name!r} needs", need, limit, "use a smaller matrix, or --max-memory")
        return whole

    estimate = partial(_estimate, task, settings)

    if task.images:
        found = read_images(list(task.images), allow)
    else:
        found = read_matrix(task.path, settings.array, settings.images, allow)
    if settings.lda:
        found = replace(found, labels=read_labels(settings.lda, found.X.shape[1]))
    if not isinstance(found.X, np.ndarray | Rows):
        for asked, what in ((settings.model != "nmf", f"--model {settings.model}"), (settings.pictures, "--pictures")):
            if asked:
                raise UsageError(f"is sparse, and {what} needs all entries", "save it with numpy.save", task.path)
    if settings.model not in SIGNED_MODELS:
        require_positive(found.X, task.path)
    if settings.transpose:
        found = replace(found, X=found.X.T)
    rows, columns = found.X.shape
    most, why = min(rows, columns), f"a matrix of {rows} x {columns} has rank {min(rows, columns)} at the most"
    if settings.model in CLUSTERINGS:
        most, why = columns, f"there are {columns} columns to cluster"
    elif settings.model in SIGNED_MODELS:
        most += 1  # one more than the rank can be of use
    if task.finest > most and not task.options.get("sparsity"):
        raise UsageError(f"{task.finest} components are too many: {why}", f"use {most} or fewer", task.path)
    require_disk(task, settings, found.X)
    return found


def _can_stream(task: Task, settings: FactorizeSettings) -> bool:
    """Return whether a matrix may stay on disk: not for other models, nor what looks at all entries at once."""
    held = settings.pictures or settings.start not in APART or settings.solver == "pinv"
    return settings.model == "nmf" and not held and not {"smoothness", "sparsity"} & task.options.keys()


def _estimate(
    task: Task, settings: FactorizeSettings, rows: int, columns: int, size: int, entries: int | None = None
) -> int:
    """Return about what factorizing a matrix takes, with entries of `size` bytes, of which some may be held."""
    known = options_of(settings.model)
    divergence = task.options.get("divergence", "kl" if "divergence" in known else "frobenius")
    compiled = rows * columns >= LARGE and task.finest < THIN and divergence in ("kl", "is", 1, 0)
    pictures = settings.images or settings.pictures
    k = task.finest * (settings.template_frames if "template_frames" in known else 1)
    return matrix_estimate(
        settings.model, rows, columns, size, k, compiled, pictures, bool(settings.pca or settings.lda), entries
    )


def _factors(fit: AnyFit, csv: bool) -> dict[str, Iterable[bytes]]:
    """Return the files of the factors and the loss; in CSV, the columns of a template stand side by side."""
    arrays: dict[str, NDArray[Any]] = {"W": fit.factors.W, "Z": fit.factors.Z}
    if isinstance(fit, ConvolutiveFit):
        arrays = {"W": fit.templates, "Z": fit.Z}
    elif isinstance(fit, DeepFit):
        arrays |= {f"W-{n + 1}": layer for n, layer in enumerate(fit.layers)}
    files: dict[str, Iterable[bytes]] = {what: npy_pieces(array) for what, array in arrays.items()}
    if csv:
        flat = {what: array.reshape(len(array), -1) for what, array in arrays.items()}
        files |= {f"{what}.csv": map(str.encode, lines_of(array)) for what, array in flat.items()}
        rows = [f"{step},{loss!r}\n" for step, loss in zip(fit.evaluated, fit.losses, strict=True)]
        files["loss.csv"] = [b"iteration,loss\n", *map(str.encode, rows)]
    return files


def _blocks(found: Found) -> tuple[str, ...]:
    """Return what the user should know where a matrix was not loaded."""
    if not isinstance(found.X, Rows):
        return ()
    size = memory.show_size(found.X.size * found.X.dtype.itemsize)
    return (f"read in blocks, at each iteration once: all of it, {size}, would take more memory than it may",)


def _manifest(
    task: Task,
    settings: FactorizeSettings,
    found: Found,
    fit: AnyFit,
    figures: dict[str, float],
    files: dict[str, Output],
) -> Manifest:
    folder = task.manifest.parent
    source: dict[str, Any] = Origin(task.path, found.sha256).entry(folder) | {"shape": list(found.X.shape)}
    if found.size is not None:
        source |= {"height": found.size[0], "width": found.size[1], "images": list(found.names)}
    # those that can be asked for, without threads, which change nothing
    askable = {field.name for field in (*fields(FactorizeSettings), *fields(Settings))} - {"threads"}
    options = {**defaults_of(settings.model), **task.options}
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "complete": True,
        "versions": versions(sound=False),
        "input": source,
        "settings": settings.values() | {name: options[name] for name in options if name in askable},
        "files": [{"name": what, **file_entry(file, folder)} for what, file in files.items()],
        "fit": {
            "solver": fit.solver,
            "n_iter": fit.n_iter,
            "converged": fit.converged,
            "losses": dict(zip(map(str, fit.evaluated), fit.losses, strict=True)),
        },
        **{name: round(value, 6) for name, value in figures.items()},
        "warnings": [*fit.warnings, *_blocks(found), *slower()],
    }
    if isinstance(fit, DeepFit):
        about["tree"] = [[parent + 1 for parent in parents] for parents in fit.tree]
    return about
