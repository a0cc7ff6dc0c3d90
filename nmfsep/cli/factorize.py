"""``nmfsep factorize``: any matrix, by any model of the lecture."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource

from ..errors import InputError
from ..settings.commands import FactorizeSettings
from ..settings.separation import Settings
from . import console
from .options import CLUSTERED, RACES, Command, given, knobs, max_memory, one_thread_of_blas, progressing, reporting

SHARED = ("divergence", "restarts", "max_iter", "tol", "time_limit", "sparsity", "smoothness", "seed", "threads")
OWN = ("solver", "start", "free", "template_frames")  # of the model, too, though their choices are wider here


@click.command("factorize", cls=Command, epilog="Example: nmfsep factorize table.csv -k 3 -o factors")
@click.argument("path", metavar="INPUT", type=click.Path())
@knobs(FactorizeSettings)
@knobs(Settings, SHARED, restarts=RACES, tol=CLUSTERED)
@max_memory
@progressing
@reporting
def command(
    path: str,
    limit: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    no_progress: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Factorize a matrix, X ≈ W Z, or images into parts, and print the paths of what was written.

    INPUT is an .npy or .npz file, a table of numbers with or without a line of names (CSV, TSV, or columns of text), or
    with --images a folder of PNG, JPEG, PGM or BMP images of one size. - is standard input. W and Z are written as .npy
    files to a folder below the output folder that is called as INPUT is; components are in order of energy, columns of
    W sum to one. With --images parts, a sheet of them, and what some images are made of are drawn as well.

    An option that a model does not have is refused.
    """
    one_thread_of_blas()
    settings = FactorizeSettings(**{name: values[name] for name in FactorizeSettings.__dataclass_fields__})
    options = _options(settings.model)
    from ..matrices.run import plan_factorization, run_factorization

    task = plan_factorization(os.fsdecode(path), settings, options)
    try:
        steps = values["max_iter"] * (len(settings.levels) + 1 if settings.levels else values["restarts"] or 1)
        with console.progress_bar(task.name, steps, not (quiet or no_progress)) as progress:
            manifest = run_factorization(task, settings, limit=limit, progress=progress)
    except MemoryError as error:
        raise InputError("memory does not suffice", "use a smaller matrix", task.path) from error
    _report(task.path, manifest, quiet, verbose)
    if as_json:
        console.print_json(manifest)
    else:
        console.print_paths(task.targets.values())
    return 0


def _options(model: str) -> dict[str, Any]:
    """Return what was asked of the model; what a variable says counts only where the model has it."""
    from ..models.by_name import options_of

    context = click.get_current_context()
    own, known = given(context, FactorizeSettings) | given(context, Settings), options_of(model)
    return {
        name: value
        for name, value in own.items()
        if name in (*OWN, *SHARED)
        and value != "auto"  # which is what a model does by itself
        and (name in known or context.get_parameter_source(name) is ParameterSource.COMMANDLINE)
    }


def _report(path: str, manifest: dict[str, Any], quiet: bool, verbose: bool) -> None:
    name = "standard input" if path == "-" else console.quote(path)
    if not quiet:
        for warning in manifest["warnings"]:
            console.say(f"{name}: warning: {warning}")
    if verbose:
        fit = manifest["fit"]
        how, loss = "converged" if fit["converged"] else "stopped", list(fit["losses"].values())
        rows, columns = manifest["input"]["shape"]
        console.say(
            f"{name}: {rows} x {columns}, {fit['solver']} {how} after {fit['n_iter']} iterations, loss {loss[0]:.5g} "
            f"to {loss[-1]:.5g}, relative error {manifest['error']:.4f}, {manifest['seconds']:.2f} s"
        )
