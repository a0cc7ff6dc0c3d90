"""``nmfsep split``: files into stems."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .counting import Count, begin, counted
from .options import GROUPS, knobs, max_memory, of_model, one_thread_of_blas, progressing, reporting
from .writing import Writing, dry, dry_run, formats, output_settings, report

if TYPE_CHECKING:
    from ..separation.guided import Guide

GROUPS |= {"dictionaries": "Guidance"}


@click.command("split", cls=Writing, epilog="Example: nmfsep split song.wav -k 4 -o stems")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path())
@knobs(
    Settings,
    components={
        "default": None,
        "show_default": False,
        "type": Count(1, 1_000_000),
        "help": "Stems wanted, or auto: as many as rank recommends. Needed where no -m or --preset names them.",
    },
    residual={"metavar": "[=NAME]"},
    group={"metavar": "NAME=1,3-5"},
)
@click.option(
    "-m",
    "--dictionary",
    "dictionaries",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    envvar="NMFSEP_DICTIONARY",
    help="Separate into the labels of a dictionary that learn wrote, in place of -k. Several add up.",
)
@knobs(OutputSettings, format={"default": None, "show_default": False}, subtype={"metavar": "SUBTYPE"})
@formats
@click.option("--fast", is_flag=True, envvar="NMFSEP_FAST", help="One template for each stem: --atoms 1.")
@click.option("--fail-fast", is_flag=True, envvar="NMFSEP_FAIL_FAST", help="Stop at the first input that fails.")
@dry
@max_memory
@progressing
@reporting
@click.pass_context
def command(
    ctx: click.Context,
    /,
    inputs: tuple[str, ...],
    dictionaries: tuple[str, ...],
    flac: bool,
    short: str | None,
    fast: bool,
    fail_fast: bool,
    only_look: bool,
    limit: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    no_progress: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Separate each INPUT into stems that add up to it.

    INPUT is an audio file, or - for standard input. The stems are written below the output folder, with the input's
    rate, channels and sample format, and their paths printed. Each is one component of X ≈ W Z, the factorization of
    the magnitude spectrogram, used as a mask on the mixture; component-1 is the loudest. Where one template a stem does
    not do, as with instruments that play several notes, each has several, grouped by how they sound (with --fast
    never). With a dictionary, W is known and the stems are its labels.
    """
    one_thread_of_blas()
    if fast:
        if values["atoms"] not in (None, 1):
            raise UsageError(f"--fast and --atoms {values['atoms']} contradict each other", "leave out one")
        values["atoms"] = 1
    counting = begin(values)
    output = output_settings(values, flac, short)
    guide, settings = _model(ctx, values, [os.fsdecode(path) for path in dictionaries])
    from ..plan import plan

    jobs = plan([os.fsdecode(path) for path in inputs], settings, output, guide)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if counting:
        jobs = counted(jobs, settings, output, limit, quiet)
    if only_look:
        return dry_run(jobs, settings, output, guide, limit, as_json)
    from ..batch import run

    if len(jobs) > 1:
        _require_fit(jobs, settings, output, guide, limit)
    steps = settings.max_iter * (len(settings.levels) + 1 if settings.levels else 1)
    done: list[dict[str, Any]] = []
    failed: list[NmfsepError] = []
    for job in jobs:
        try:
            with console.progress_bar(job.track, steps, not (quiet or no_progress)) as progress:
                manifest = run(job, settings, output, guide, limit=limit, progress=progress)
        except MemoryError:
            failed.append(InputError("memory does not suffice", "use --duration or fewer components", job.path))
        except NmfsepError as error:
            if error.path is None:
                error.path = job.path
            failed.append(error)
        else:
            done.append(manifest)
            report(job, manifest, quiet, verbose)
            if not as_json:
                console.print_paths(job.targets)
            continue
        console.say(console.describe(failed[-1]))
        if fail_fast:
            break
    if as_json:
        errors = [{"path": str(e.path), "message": str(e), "exit": e.exit_code} for e in failed]
        console.print_json({"tracks": done, "errors": errors})
    if len(jobs) > 1 and failed:
        console.say(f"{len(done)} of {len(jobs)} inputs done, {len(failed)} failed")
    return max((error.exit_code for error in failed), default=0)


def _model(ctx: click.Context, values: dict[str, Any], paths: list[str]) -> tuple[Guide | None, Settings]:
    own = {name: values[name] for name in Settings.__dataclass_fields__}
    if not paths:
        return None, Settings(**of_model(ctx, own, "give -k, --preset, or a dictionary with -m"))
    from ..separation.guided import Guide

    guide, default = Guide.read(paths), click.core.ParameterSource.DEFAULT
    given = {name: value for name, value in own.items() if ctx.get_parameter_source(name) is not default}
    if ctx.get_parameter_source("components") is click.core.ParameterSource.ENVIRONMENT:
        del given["components"]  # meant for runs without a dictionary
    return guide, guide.settings(given)


def _require_fit(
    jobs: list[Any], settings: Settings, output: OutputSettings, guide: Guide | None, limit: int | None
) -> None:
    """Check what can be known of every input before the first is touched; a broken one fails when its turn comes."""
    from ..plan import inspect, own
    from ..signal.read import Source

    for job in jobs:
        if os.path.isfile(os.fsencode(job.path)):  # a pipe can be read only once
            with contextlib.suppress(InputError, OutputError), Source(job.path) as source:
                inspect(job, source, own(job, settings), output, limit, guide)
