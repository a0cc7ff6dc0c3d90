"""Factorizing a matrix: read, fit, measure, write, vouch."""

from __future__ import annotations

import contextlib
import functools
import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from ..manifest import SCHEMA, Manifest, Origin, encode, versions, vouched_files
from ..nmf.convolutive import ConvolutiveFit
from ..nmf.deep_fit import DeepFit
from ..nmf.kernels.choose import slower
from ..nmf.models import AnyFit, defaults_of, fit_model
from ..registry import SIGNED_MODELS
from ..settings import FactorizeSettings, Settings
from ..signal.publish import Output, publish
from ..system import relative
from .images import read_images
from .measures import relative_error, sparseness
from .pictures import pictures
from .read import Found, read_matrix, require_positive
from .task import KIND, Task, require_memory, require_rank, require_room
from .text import lines_of

ROWS = 4096  # of an array, written at a time


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
        require_room(task, settings.force, found.sha256)  # what comes through a pipe is known only now
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
        note, vouch = (stack.enter_context(Output(task.manifest, role)) for role in ("note", "file"))
        note.write(encode(manifest | {"complete": False, "former": vouched_files(task.manifest)}))
        vouch.write(encode(manifest))
        publish(list(files.values()), note, vouch, functools.partial(_stale, task, settings.force, found.sha256))
    return manifest


def _stale(task: Task, force: bool, sha256: str | None) -> list[Path]:
    """Return what an earlier run left; refuse to replace what another run, of another input, has written meanwhile."""
    try:
        return require_room(task, force, sha256)
    except UsageError as error:
        raise InputError(error.message, error.hint, error.path) from error


def _read(task: Task, settings: FactorizeSettings, limit: int | None) -> Found:
    def allow(shape: tuple[int, ...], size: int) -> None:
        rows, columns = shape if len(shape) == 2 else (shape[1] * shape[2], shape[0])
        require_memory(task, settings, rows, columns, size, limit)

    if task.images:
        found = read_images(list(task.images), allow)
    else:
        found = read_matrix(task.path, settings.array, settings.images, allow)
    if settings.model not in SIGNED_MODELS:
        try:
            require_positive(found.X, "use --model semi or deep-semi, which take any sign")
        except InputError as error:
            error.path = task.path
            raise
    if settings.transpose:
        found = replace(found, X=found.X.T)
    require_rank(task, settings, *found.X.shape)
    return found


def _arrays(fit: AnyFit) -> dict[str, NDArray[Any]]:
    """Return the arrays that are written of a fit, by name."""
    if isinstance(fit, ConvolutiveFit):
        return {"W": fit.templates, "Z": fit.Z}
    layers = fit.layers if isinstance(fit, DeepFit) else ()
    return {"W": fit.factors.W, "Z": fit.factors.Z} | {f"W-{n + 1}": layer for n, layer in enumerate(layers)}


def _factors(fit: AnyFit, csv: bool) -> dict[str, Iterable[bytes]]:
    """Return the files of the factors and the loss; in CSV, the columns of a template stand side by side."""
    arrays = _arrays(fit)
    files: dict[str, Iterable[bytes]] = {what: _npy(array) for what, array in arrays.items()}
    if csv:
        flat = {what: array.reshape(len(array), -1) for what, array in arrays.items()}
        files |= {f"{what}.csv": map(str.encode, lines_of(array)) for what, array in flat.items()}
        rows = [f"{step},{loss!r}\n" for step, loss in zip(fit.evaluated, fit.losses, strict=True)]
        files["loss.csv"] = [b"iteration,loss\n", *map(str.encode, rows)]
    return files


def _npy(array: NDArray[Any]) -> Iterator[bytes]:
    head = io.BytesIO()
    array = np.ascontiguousarray(array)
    npy.write_array_header_1_0(head, npy.header_data_from_array_1_0(array))
    yield head.getvalue()
    for start in range(0, len(array), ROWS):
        yield array[start : start + ROWS].tobytes()


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
    options = {**defaults_of(settings.model), **task.options}
    # those that can be asked for, without threads, which change nothing
    askable = {field.name for field in (*fields(FactorizeSettings), *fields(Settings))} - {"threads"}
    used = {name: value for name, value in options.items() if name in askable}
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": KIND,
        "complete": True,
        "versions": versions(sound=False),
        "input": source,
        "settings": asdict(settings) | used,
        "files": [
            {
                "name": what,
                "file": relative(file.path, folder),
                "bytes": file.size(),
                "sha256": file.sha256(),
            }
            for what, file in files.items()
        ],
        "fit": {
            "solver": fit.solver,
            "n_iter": fit.n_iter,
            "converged": fit.converged,
            "losses": dict(zip(map(str, fit.evaluated), fit.losses, strict=True)),
        },
        **{name: round(value, 6) for name, value in figures.items()},
        "warnings": [*fit.warnings, *slower()],
    }
    if isinstance(fit, DeepFit):
        about["tree"] = [[parent + 1 for parent in parents] for parents in fit.tree]
    return about
