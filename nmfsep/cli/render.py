"""``nmfsep render``: stems again, from a factorization that split kept."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import UsageError
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from . import console
from .options import GROUPS, in_parts, knobs, one_thread_of_blas, reporting
from .writing import Writing, dry, dry_run, formats, output_settings, report

CHANGES = ("group", "two_stems", "mask", "mask_power", "consistency", "residual", "threads")
OUTPUT = ("out", "filename", "label", "format", "subtype", "clip_mode", "only", "export_midi", "export_labels", "force")
GROUPS |= {"no_group": "Group", "no_residual": "Mask"}


@click.command(
    "render", cls=Writing, epilog="Example: nmfsep render song.nmf.npz song.wav --group voice=1,3 --group band=rest"
)
@click.argument("model", metavar="MODEL", type=click.Path())
@click.argument("mixture", metavar="[MIXTURE]", required=False, type=click.Path())
@knobs(
    Settings,
    CHANGES,
    mask={"default": None, "show_default": False},
    mask_power={"default": None, "show_default": False},
    consistency={"default": None, "hidden": True},
    residual={"metavar": "[=NAME]"},
    group={"metavar": "NAME=1,3-5|auto:N"},
)
@click.option("--no-group", is_flag=True, help="Each component is a stem, whatever groups the model was saved with.")
@click.option("--no-residual", is_flag=True, help="No residual, though the model was saved with one.")
@knobs(OutputSettings, OUTPUT, format={"default": None, "show_default": False}, subtype={"metavar": "SUBTYPE"})
@formats
@dry
@in_parts
@click.option("-v", "--verbose", is_flag=True, envvar="NMFSEP_VERBOSE", help="Say how the fit went.")
@reporting
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str,
    mixture: str | None,
    no_group: bool,
    no_residual: bool,
    flac: bool,
    short: str | None,
    only_look: bool,
    limit: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Group, mask and write the stems of MIXTURE again, without factorizing it.

    MODEL is a file that split --save-model wrote. Without options the stems are those that split wrote, byte for byte;
    options change what they say. MIXTURE is the sound that was split, which is found by itself where the model lies
    beside its stems.
    """
    one_thread_of_blas()
    from dataclasses import replace

    from ..jobs.plan import plan
    from ..jobs.run_options import RunOptions
    from ..jobs.track import separate_file
    from ..separation.model_file import read

    output = output_settings(values, flac, short)
    saved = read(os.fsdecode(model))
    offset, duration = saved.mixture.stretch
    output = replace(output, offset=offset, duration=duration)
    settings = saved.settings_with(_given(ctx, values, no_group, no_residual))
    path = _mixture(saved.path) if mixture is None else os.fsdecode(mixture)
    options = RunOptions(settings, output, saved=saved, limit=limit, debug=debug)
    jobs = plan([path], options)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if only_look:
        return dry_run(jobs, options, as_json)
    manifest = separate_file(jobs[0], options).result()
    report(jobs[0], manifest, quiet, verbose)
    if as_json:
        console.print_json({"tracks": [manifest], "errors": []})
    else:
        console.print_paths(jobs[0].as_written(manifest).results)
    return 0


def _given(ctx: click.Context, values: dict[str, Any], no_group: bool, no_residual: bool) -> dict[str, Any]:
    """Return the settings that the user gave."""
    default = click.core.ParameterSource.DEFAULT
    given = {name: values[name] for name in CHANGES if ctx.get_parameter_source(name) is not default}
    for name, without in (("group", no_group), ("residual", no_residual)):
        if without and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} and --no-{name} contradict each other")
    return given | ({"group": ()} if no_group else {}) | ({"residual": None} if no_residual else {})


def _mixture(model: str) -> str:
    """Return the sound that a model was learned from, by the manifest beside it."""
    from ..jobs.manifest import mixture_beside

    found = mixture_beside(model)
    if found is None:
        raise UsageError("does not lie beside its stems, so its mixture is not known", "name it after the model", model)
    return found
