"""``nmfsep factorize``: any matrix, or images, by any model."""

from __future__ import annotations

from typing import Any

import click

from ..registry import MODELS
from ..settings import FactorizeSettings, Settings
from . import console, options

FIT = ("divergence", "restarts", "max_iter", "tol", "time_limit", "sparsity", "smoothness", "seed", "threads")


@click.command(
    "factorize",
    cls=options.Command,
    common=("components", "model", "images", "out", "quiet"),
    example="nmfsep factorize table.csv -k 3 -o factors",
    page="matrices",
)
@click.argument("path", metavar="INPUT", type=click.Path())
@options.from_settings(FactorizeSettings)
@options.from_settings(Settings, FIT, **options.OF_MODELS)
@options.max_memory
@options.without_bar
@options.verbose
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, path: str, **values: Any) -> int:
    """Factorize a matrix, X ≈ W Z, or images into parts, and print the paths of what was written.

    INPUT is an .npy or .npz file, a table of numbers with or without a line of names (CSV, TSV, or columns of text), or
    with --images a folder of PNG, JPEG, PGM or BMP images of one size. - is standard input. W and Z are written as .npy
    files to a folder below the output folder that is called as INPUT is; components are in order of energy, columns of
    W sum to one. With --images parts, a sheet of them, and what some images are made of are drawn as well.

    An option that a model does not have is refused.
    """
    options.one_thread_of_blas()
    settings = options.settings_of(ctx, FactorizeSettings)
    from ..matrices.run import plan_factorization, run_factorization

    task = plan_factorization(path, settings, _model_options(ctx, settings.model))
    steps = values["max_iter"] * (len(settings.levels) + 1 if settings.levels else values["restarts"] or 1)
    shown = not (values["quiet"] or values["no_progress"])
    with (
        options.memory_hint("use a smaller matrix", task.path),
        console.progress_bar(task.name, steps, shown) as progress,
    ):
        manifest = run_factorization(task, settings, limit=values["limit"], progress=progress)
    name = console.name_of(task.path)
    if not values["quiet"]:
        console.warn(manifest["warnings"], name)
    if values["verbose"]:
        rows, columns = manifest["input"]["shape"]
        figures = f"relative error {manifest['error']:.4f}, {manifest['seconds']:.2f} s"
        console.say(f"{name}: {rows} x {columns}, {console.fit_line(manifest['fit'])}, {figures}")
    if values["as_json"]:
        console.print_document(path, manifest)
    else:
        console.print_paths(task.targets.values())
    return 0


def _model_options(ctx: click.Context, model: str) -> dict[str, Any]:
    """Return the options of the model that were given; one of a variable counts only where the model has it."""
    from ..models.by_name import options_of

    own, known = options.given(ctx, FactorizeSettings) | options.given(ctx, Settings), options_of(model)
    others = {name for other in MODELS for name in options_of(other)} if own.keys() - set(known) else set()
    wanted = {*known, *(others & options.explicit(ctx))}
    return {name: own[name] for name in own if name in wanted and own[name] != "auto"}  # what a model does by itself
