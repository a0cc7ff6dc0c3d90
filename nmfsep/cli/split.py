"""``nmfsep split``: files into stems."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .guidance import cue_texts, cues
from .options import knobs, max_memory, of_model, one_thread_of_blas, progressing, reporting
from .writing import Writing, dry, dry_run, formats, output_settings, report

if TYPE_CHECKING:
    from ..separation.guide import Guide


@click.command("split", cls=Writing, epilog="Example: nmfsep split song.wav -k 4 -o stems")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path())
@knobs(
    Settings,
    components={"default": None, "show_default": False, "help": "Stems wanted; needed where no guidance names them."},
    residual={"metavar": "[=NAME]"},
    group={"metavar": "NAME=1,3-5"},
)
@cues
@knobs(OutputSettings, format={"default": None, "show_default": False}, subtype={"metavar": "SUBTYPE"})
@formats
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
    flac: bool,
    short: str | None,
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
    the magnitude spectrogram, used as a mask on the mixture; component-1 is the loudest. With a dictionary or other
    guidance, W is known or begun, and the stems are what it names.
    """
    one_thread_of_blas()
    output = output_settings(values, flac, short)
    guide, settings = _model(ctx, values)
    from ..plan import plan

    jobs = plan([os.fsdecode(path) for path in inputs], settings, output, guide)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
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
                console.print_paths(job.results)
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


def _model(ctx: click.Context, values: dict[str, Any]) -> tuple[Guide | None, Settings]:
    own = {name: values[name] for name in Settings.__dataclass_fields__}
    texts = cue_texts(values)
    if not any(texts.values()):
        return None, Settings(**of_model(ctx, own, "give -k, or a dictionary with -m"))
    from ..separation.guide import Guide

    default = click.core.ParameterSource.DEFAULT
    given = {name: value for name, value in own.items() if ctx.get_parameter_source(name) is not default}
    if ctx.get_parameter_source("components") is click.core.ParameterSource.ENVIRONMENT:
        del given["components"]  # meant for runs without guidance
    guide = Guide.read(texts, given)
    return guide, guide.settings()


def _require_fit(
    jobs: list[Any], settings: Settings, output: OutputSettings, guide: Guide | None, limit: int | None
) -> None:
    """Check what can be known of every input before the first is touched; a broken one fails when its turn comes."""
    from ..plan import inspect
    from ..signal.read import Source

    for job in jobs:
        if os.path.isfile(os.fsencode(job.path)):  # a pipe can be read only once
            with contextlib.suppress(InputError, OutputError), Source(job.path) as source:
                inspect(job, source, settings, output, limit, guide)
