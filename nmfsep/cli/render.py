"""``nmfsep render``: stems again, from a factorization that split kept."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..settings import OutputSettings, Settings
from . import console
from .options import (
    StemCommand,
    dry_run,
    explicit,
    formats,
    in_parts,
    one_thread_of_blas,
    option,
    options,
    output_settings,
    reporting,
    verbose,
)
from .reporter import print_dry_run, report_track

CHANGES = ("group", "two_stems", "mask", "mask_power", "consistency", "residual", "threads")
OUTPUT = ("out", "filename", "label", "format", "subtype", "clip_mode", "only", "export_midi", "export_labels", "force")
KEPT = {"default": None, "show_default": False}  # as the model has it, if it is not given


@click.command(
    "render",
    cls=StemCommand,
    common=("group", "two_stems", "mask", "only", "out", "flac", "only_look", "quiet"),
    epilog="Example: nmfsep render song.nmf.npz song.wav --group voice=1,3 --group band=rest\n\n"
    "More on every option and value: nmfsep manual render",
)
@click.argument("model", metavar="MODEL", type=click.Path())
@click.argument("mixture", metavar="[MIXTURE]", required=False, type=click.Path())
@options(Settings, CHANGES, mask=KEPT, mask_power=KEPT, consistency=KEPT | {"hidden": True})
@option(
    "--no-group", section="Stem", is_flag=True, variable=False, help="Each component is a stem, whatever was saved."
)
@option("--no-residual", section="Stem", is_flag=True, variable=False, help="No residual, whatever was saved.")
@options(OutputSettings, OUTPUT, format={"default": None, "show_default": "wav"})
@formats
@dry_run
@in_parts
@verbose
@reporting
@click.pass_context
def command(ctx: click.Context, /, model: str, mixture: str | None, **values: Any) -> int:
    """Group, mask and write the stems of MIXTURE again, without factorizing it.

    MODEL is a file that split --save-model wrote. Without options the stems are those that split wrote, byte for byte;
    options change what they say. MIXTURE is the sound that was split, which is found by itself where the model lies
    beside its stems.
    """
    one_thread_of_blas()
    from ..jobs.plan import plan
    from ..jobs.run_options import RunOptions
    from ..jobs.track import separate_file
    from ..separation.model_file import read

    output, as_json, limit = output_settings(ctx), values["as_json"], values["limit"]
    saved = read(os.fsdecode(model))
    offset, duration = saved.mixture.stretch
    output = replace(output, offset=offset, duration=duration)
    settings = saved.settings_with(_changes(ctx, values))
    path = _mixture(saved.path) if mixture is None else os.fsdecode(mixture)
    run_options = RunOptions(settings, output, saved=saved, limit=limit, debug=values["debug"])
    jobs = plan([path], run_options)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if values["only_look"]:
        return print_dry_run(jobs, run_options, as_json)
    manifest = separate_file(jobs[0], run_options).result()
    report_track(jobs[0], manifest, values["quiet"], values["verbose"])
    if as_json:
        console.print_json({"tracks": [manifest], "errors": []})
    else:
        console.print_paths(jobs[0].as_written(manifest).results)
    return 0


def _changes(ctx: click.Context, values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the user gave."""
    changes = {name: values[name] for name in CHANGES if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    for name, without, nothing in (("group", values["no_group"], ()), ("residual", values["no_residual"], None)):
        if without:
            if name in explicit(ctx):
                raise UsageError(f"--{name} and --no-{name} contradict each other")
            changes[name] = nothing
    return changes


def _mixture(model: str) -> str:
    """Return the sound that a model was learned from, by the manifest beside it."""
    from ..jobs.manifest import mixture_of

    found = mixture_of(model)
    if found is None:
        raise UsageError("does not lie beside its stems, so its mixture is not known", "name it after the model", model)
    return found
