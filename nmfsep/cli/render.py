"""``nmfsep render``: stems again, from a factorization that split kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from ..errors import UsageError
from ..settings import OutputSettings, Settings
from ..system import exists
from . import console, options
from .reporter import print_dry_run, report_track

CHANGES = ("group", "two_stems", "mask", "mask_power", "consistency", "residual", "threads")
OUTPUT = (
    "out", "filename", "label", "format", "subtype", "clip_mode", "only", "export_midi", "export_labels", "report",
    "force",
)  # fmt: skip
KEPT = {"default": None, "show_default": False}  # as the model has it, if it is not given


@click.command(
    "render",
    cls=options.StemCommand,
    common=("group", "two_stems", "mask", "only", "out", "flac", "only_look", "quiet"),
    example="nmfsep render song.nmf.npz song.wav --group voice=1,3 --group band=rest",
    page="render",
)
@click.argument("model", metavar="MODEL", type=click.Path())
@click.argument("mixture", metavar="[MIXTURE]", required=False, type=click.Path())
@options.from_settings(Settings, CHANGES, mask=KEPT, mask_power=KEPT, consistency=KEPT | {"hidden": True})
@options.flag("--no-group", section="Stem", variable=False, help="Each component is a stem, whatever was saved.")
@options.flag("--no-residual", section="Stem", variable=False, help="No residual, whatever was saved.")
@options.from_settings(OutputSettings, OUTPUT, format={"default": None, "show_default": "wav"})
@options.formats
@options.dry_run
@options.in_parts
@options.verbose
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, model: str, mixture: str | None, **values: Any) -> int:
    """Group, mask and write the stems of MIXTURE again, without factorizing it.

    MODEL is a file that split --save-model wrote. Without options the stems are those that split wrote, byte for byte,
    but for waveforms that were matched; options change what they say. MIXTURE is the sound that was split, which is
    found by itself where the model lies with its stems.
    """
    options.one_thread_of_blas()
    from ..jobs.manifest import mixture_of
    from ..jobs.plan import plan
    from ..jobs.run_options import RunOptions
    from ..jobs.track import separate_file
    from ..separation.saved import read

    output, as_json = options.output_settings(ctx), values["as_json"]
    saved = read(model)
    offset, duration = saved.mixture.stretch
    output = replace(output, offset=offset, duration=duration)
    settings = saved.settings_with(_changes(ctx))
    path = mixture_of(saved.path) if mixture is None else mixture
    if path is None or (mixture is None and not exists(path)):
        why = "does not lie with its stems, so its mixture is not known" if path is None else "its mixture has moved"
        raise UsageError(why, f"give the mixture: nmfsep render {console.quote(model)} MIXTURE", saved.path)
    run_options = RunOptions(settings, output, saved=saved, limit=values["limit"], debug=values["debug"])
    jobs = plan([path], run_options)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if values["only_look"]:
        return print_dry_run(jobs, run_options, as_json)
    outcome = separate_file(jobs[0], run_options)
    if output.report:
        from ..results.report import with_report

        outcome = with_report(jobs[0], outcome, run_options)
    manifest = outcome.result()
    report_track(jobs[0], manifest, values["quiet"], values["verbose"])
    if as_json:
        console.print_document(path, {"tracks": [manifest], "errors": []})
    else:
        console.print_paths(jobs[0].as_written(manifest).results)
    return 0


def _changes(ctx: click.Context) -> dict[str, Any]:
    """Return the settings that the user gave."""
    # `model`, which is a setting, too, is the file here
    changes = {name: value for name, value in options.given(ctx, Settings).items() if name in CHANGES}
    for name, without, nothing in (("group", "no_group", ()), ("residual", "no_residual", None)):
        if ctx.params[without]:
            if name in options.explicit(ctx):
                raise UsageError(f"--{name} and --no-{name} contradict each other")
            changes[name] = nothing
    return changes
