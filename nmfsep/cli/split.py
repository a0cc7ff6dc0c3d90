"""``nmfsep split``: files into stems."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .options import GROUPS, Command, knobs, max_memory, of_model, one_thread_of_blas, progressing, reporting

if TYPE_CHECKING:
    from ..separation.guided import Guide

GROUPS |= {"flac": "Output", "short": "Output", "dictionaries": "Guidance"}
SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "float32": "FLOAT"}


class Split(Command):
    """A command whose --residual takes a value only after an equals sign, so that it cannot eat an input's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare --residual its default name."""
        end = args.index("--") if "--" in args else len(args)
        args[:end] = ["--residual=residual" if arg == "--residual" else arg for arg in args[:end]]
        return super().parse_args(ctx, args)


@click.command("split", cls=Split, epilog="Example: nmfsep split song.wav -k 4 -o stems")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path())
@knobs(
    Settings,
    components={"default": None, "show_default": False, "help": "Stems wanted; needed where no -m names them."},
    residual={"metavar": "[=NAME]"},
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
@click.option("--flac", is_flag=True, envvar="NMFSEP_FLAC", help="Same as --format flac.")
@click.option("--int16", "short", flag_value="int16", help="Same as --subtype PCM_16.")
@click.option("--int24", "short", flag_value="int24", help="Same as --subtype PCM_24.")
@click.option("--float32", "short", flag_value="float32", help="Same as --subtype FLOAT.")
@click.option("--fail-fast", is_flag=True, envvar="NMFSEP_FAIL_FAST", help="Stop at the first input that fails.")
@click.option(
    "-n",
    "--dry-run",
    is_flag=True,
    envvar="NMFSEP_DRY_RUN",
    help="Check everything, print what would be written, and stop.",
)
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
    fail_fast: bool,
    dry_run: bool,
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
    the magnitude spectrogram, used as a mask on the mixture; component-1 is the loudest. With a dictionary, W is known
    and the stems are its labels.
    """
    one_thread_of_blas()
    output = _output(values, flac, short)
    guide, settings = _model(ctx, values, [os.fsdecode(path) for path in dictionaries])
    from ..plan import plan

    jobs = plan([os.fsdecode(path) for path in inputs], settings, output, guide)
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if dry_run:
        return _dry_run(jobs, settings, output, guide, limit, as_json)
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
            _report(job.path, manifest, quiet, verbose)
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
        return None, Settings(**of_model(ctx, own, "give -k, or a dictionary with -m"))
    from ..separation.guided import Guide

    guide, default = Guide.read(paths), click.core.ParameterSource.DEFAULT
    given = {name: value for name, value in own.items() if ctx.get_parameter_source(name) is not default}
    if ctx.get_parameter_source("components") is click.core.ParameterSource.ENVIRONMENT:
        del given["components"]  # meant for runs without a dictionary
    return guide, guide.settings(given)


def _output(values: dict[str, Any], flac: bool, short: str | None) -> OutputSettings:
    rest = {name: values[name] for name in OutputSettings.__dataclass_fields__}
    if flac and rest["format"] not in (None, "flac"):
        raise UsageError(f"--flac and --format {rest['format']} contradict each other")
    if short and rest["subtype"]:
        raise UsageError(f"--{short} and --subtype contradict each other")
    rest["format"] = "flac" if flac else rest["format"] or "wav"
    rest["subtype"] = SUBTYPES[short] if short else rest["subtype"]
    return OutputSettings(**rest)


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


def _dry_run(
    jobs: list[Any],
    settings: Settings,
    output: OutputSettings,
    guide: Guide | None,
    limit: int | None,
    as_json: bool,
) -> int:
    from .. import memory
    from ..plan import inspect, memory_needed
    from ..signal.read import Source

    rows = []
    for job in jobs:
        with Source(job.path) as source:
            form = inspect(job, source, settings, output, limit, guide)
            need = memory_needed(source, settings, output, guide)
            notes = guide.fitted(source.sample_rate, settings)[1] if guide else ()
        row = {"path": job.path, "outputs": [str(path) for path in job.targets], "stems": list(job.names)}
        rows.append(row | {"memory": need, "subtype": form.subtype})
        what = f"{len(job.selected)} stems, {form.subtype}, in about {memory.show_size(need)} of memory"
        console.say(f"{console.quote(job.path)}: would write {what}")
        for note in notes:
            console.say(f"{console.quote(job.path)}: {note}")
        if not as_json:
            console.print_paths(job.targets)
    if as_json:
        console.print_json({"tracks": rows, "errors": []})
    return 0


def _report(path: str, manifest: dict[str, Any], quiet: bool, verbose: bool) -> None:
    name = "standard input" if path == "-" else console.quote(path)
    if not quiet:
        for warning in manifest["warnings"]:
            console.say(f"{name}: warning: {warning}")
    if verbose:
        for fit in manifest["fit"]:
            how = "converged" if fit["converged"] else "stopped"
            loss = list(fit["losses"].values())
            console.say(
                f"{name}: {fit['solver']} {how} after {fit['n_iter']} iterations, loss {loss[0]:.5g} to {loss[-1]:.5g}"
            )
        seconds = ", ".join(f"{stage} {took:.2f}" for stage, took in manifest["seconds"].items())
        console.say(f"{name}: seconds: {seconds}")
        sys.stderr.flush()
