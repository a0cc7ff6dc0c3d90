"""What commands that write stems share: options, the dry run, and what is told of a track."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError, NmfsepError, UsageError
from ..settings.commands import OutputSettings
from . import console
from .options import GROUPS, Command

if TYPE_CHECKING:
    from ..jobs.plan import Job
    from ..jobs.run_options import RunOptions

GROUPS |= {"flac": "Output", "short": "Output"}
SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "float32": "FLOAT"}
F = TypeVar("F", bound=Callable[..., Any])


class Writing(Command):
    """A command whose --residual takes a value only after an equals sign, so that it cannot eat an input's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare --residual its default name."""
        end = args.index("--") if "--" in args else len(args)
        args[:end] = ["--residual=residual" if arg == "--residual" else arg for arg in args[:end]]
        short = list(dict.fromkeys(arg for arg in args[:end] if arg[2:] in SUBTYPES))
        if len(short) > 1:
            raise UsageError(f"{short[0]} and {short[1]} contradict each other", "leave out one")
        return super().parse_args(ctx, args)


def formats(function: F) -> F:
    """Add the short ways to name a format."""
    for option in (
        click.option("--float32", "short", flag_value="float32", help="Same as --subtype FLOAT."),
        click.option("--int24", "short", flag_value="int24", help="Same as --subtype PCM_24."),
        click.option("--int16", "short", flag_value="int16", help="Same as --subtype PCM_16."),
        click.option("--flac", is_flag=True, envvar="NMFSEP_FLAC", help="Same as --format flac."),
    ):
        function = option(function)
    return function


def dry(function: F) -> F:
    """Add --dry-run."""
    text = "Check everything, print what would be written, and stop."
    return click.option("-n", "--dry-run", "only_look", is_flag=True, envvar="NMFSEP_DRY_RUN", help=text)(function)


def output_settings(values: dict[str, Any], flac: bool, short: str | None) -> OutputSettings:
    """Return where and how to write, from the values of options and the short ways to name a format."""
    rest = {name: values[name] for name in OutputSettings.__dataclass_fields__ if name in values}
    if flac and rest["format"] not in (None, "flac"):
        raise UsageError(f"--flac and --format {rest['format']} contradict each other")
    if short and rest["subtype"]:
        raise UsageError(f"--{short} and --subtype contradict each other")
    rest["format"] = "flac" if flac else rest["format"] or "wav"
    rest["subtype"] = SUBTYPES[short] if short else rest["subtype"]
    return OutputSettings(**rest)


def dry_run(
    jobs: Sequence[Job],
    options: RunOptions,
    as_json: bool,
) -> int:
    """Tell what would be written."""
    from .. import memory
    from ..jobs.budget import stretch_of
    from ..jobs.plan import check_source
    from ..jobs.resume import same_input
    from ..signal.read import Source

    rows, errors = [], []
    for job in jobs:
        try:
            if job.refused is not None:
                raise job.refused
            with Source(job.path) as source:
                form, way = check_source(job, source, options.with_components(job.components))
                guide, stretch = options.guide, stretch_of(source, options.output)
                notes = guide.check(source.sample_rate, options.settings, *stretch) if guide else []
        except NmfsepError as error:
            if len(jobs) == 1:
                raise
            errors.append(failure(job, error))
            console.say(console.describe(errors[-1]))
            continue
        results = [path for path in job.results if not (job.names_pending and path in job.targets)]
        row = {"path": job.path, "outputs": [str(path) for path in results], "stems": list(job.names)}
        rows.append(row | {"memory": way.need, "streamed": way.streamed, "subtype": form.subtype})
        model = "".join(f" and {name}" for name in (*(["the model"] if job.model else []), *dict(job.exports)))
        what = f"{len(job.selected)} stems{model}, {form.subtype}, in about {memory.show_size(way.need)} of memory"
        if way.streamed:
            what += ", read a part at a time"
            what += f", learned from {way.frames} frames at the most" if way.frames else ""
        done = job.up_to_date and job.manifest is not None and same_input(job.path, job.manifest)
        console.say(
            f"{console.quote(job.path)}: {'was done before, would be skipped' if done else f'would write {what}'}"
        )
        if job.names_pending:
            notes = [*notes, "the names of the stems will be known when it is known how they sound"]
        for note in notes:
            console.say(f"{console.quote(job.path)}: {note}")
        if not as_json:
            console.print_paths(results)
    if as_json:
        failed = [{"path": os.fsdecode(error.path or ""), "message": str(error)} for error in errors]
        console.print_json({"tracks": rows, "errors": failed})
    return max((error.exit_code for error in errors), default=0)


def list_outputs(jobs: Sequence[Job]) -> int:
    """Print all files that would be written, but for inputs that are refused."""
    code = 0
    for job in jobs:
        if job.refused is None:
            console.print_paths(job.outputs)
        else:
            console.say(console.describe(failure(job, job.refused)))
            code = InputError.exit_code
    return code


def failure(job: Job, error: NmfsepError) -> NmfsepError:
    """Return an error of one input of many with its name; what is wrong with one is nothing wrong with the command."""
    path = job.path if error.path is None else error.path
    if isinstance(error, UsageError):
        return InputError(error.message, error.hint, path)
    error.path = path
    return error


def report(job: Job, manifest: dict[str, Any], quiet: bool, verbose: bool) -> None:
    """Tell of a track that is done: warnings, and with -v how the fit went."""
    name = "standard input" if job.path == "-" else console.quote(job.path)
    if not quiet:
        for warning in manifest["warnings"]:
            console.say(f"{name}: warning: {warning}")
        for hint in manifest["hints"]:
            console.say(f"{name}: hint: {hint}")
    if verbose:
        if choice := manifest["choice"]:
            how = (
                f"{choice['atoms']} atoms a stem, grouped by {choice['grouping']}"
                if choice["grouping"]
                else "one atom a stem"
            )
            why = "" if choice["r"] is None else f" (r {choice['r']:.2f})"
            console.say(f"{name}: {how}{why}")
        for fit in manifest["fit"]:
            how = "converged" if fit["converged"] else "stopped"
            loss = list(fit["losses"].values())
            console.say(
                f"{name}: {fit['solver']} {how} after {fit['n_iter']} iterations, loss {loss[0]:.5g} to {loss[-1]:.5g}"
            )
        if job.model:
            console.say(f"{name}: the model is {console.quote(job.model)}")
        seconds = ", ".join(f"{stage} {took:.2f}" for stage, took in manifest["seconds"].items())
        console.say(f"{name}: seconds: {seconds}")
        sys.stderr.flush()
