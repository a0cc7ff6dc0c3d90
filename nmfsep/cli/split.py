"""``nmfsep split``: files into stems."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import NmfsepError, UsageError
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from . import console
from .options import (
    GROUPS,
    absolute,
    conditional_defaults,
    cue_texts,
    cues,
    gathered,
    given,
    in_parts,
    knobs,
    lists,
    named,
    of_model,
    one_thread_of_blas,
    progressing,
    reporting,
)
from .params import Whole
from .run import Rules, Telling, batch, files_bar, nothing_left, outcomes, processes, survey
from .writing import Writing, dry, dry_run, formats, list_outputs, output_settings

if TYPE_CHECKING:
    from ..jobs.inputs import Input
    from ..jobs.plan import Job
    from ..jobs.run_options import RunOptions

AUTO = "auto"


class Count(Whole):
    """A whole number, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or AUTO."""
        return AUTO if value == AUTO else super().convert(value, param, ctx)


def begin(values: dict[str, Any]) -> bool:
    """Return whether the number of stems is to be found, and put what the checks before that need in its place."""
    if values["components"] != AUTO:
        return False
    if values["preset"] is not None or values["levels"] is not None or values["model"] != "nmf":
        raise UsageError("-k auto counts the components of model nmf", "leave out --preset, --levels and --model")
    values["components"] = 2
    if values["atoms"] is None and values["grouping"] == AUTO:
        values["atoms"] = 1  # what is counted are components of one template
    return True


def counted(
    jobs: list[Job],
    inputs: Sequence[Input],
    options: RunOptions,
    quiet: bool,
) -> list[Job]:
    """Return the jobs with as many stems as `rank` recommends for each, at least two; refused where it cannot tell."""
    from ..jobs.inspect import rank_sound
    from ..jobs.plan import plan

    found = []
    for job, entry in zip(jobs, inputs, strict=True):
        if job.path == "-":
            raise UsageError("-k auto reads its input twice, which standard input does not allow", "save it first")
        if job.refused is None:
            try:
                count = max(2, rank_sound(job.path, options.settings, options.output, limit=options.limit).recommended)
                if not quiet:
                    console.say(f"{console.quote(job.path)}: {count} components")
                job = replace(plan([entry], options.with_components(count))[0], components=count)
            except NmfsepError as error:  # told when its turn comes, so that the others are done
                if len(jobs) == 1:
                    raise
                job = replace(job, refused=error)
        found.append(job)
    return found


if TYPE_CHECKING:
    from ..guidance.guide import Guide


GROUPS |= {"fast": "Model"}
LIMIT = "Stop iterating after this long, in seconds, not counting the look at which method suits."


@click.command("split", cls=Writing, epilog="Example: nmfsep split song.wav -k 4 -o stems")
@click.argument("inputs", nargs=-1, required=False, metavar="INPUT...", type=click.Path())
@lists
@batch
@knobs(
    Settings,
    components={
        "default": None,
        "show_default": False,
        "type": Count(1, 1_000_000),
        "help": "Stems wanted, or auto: as many as rank recommends, of one template each. Needed where no guidance or "
        "--preset names them.",
    },
    consistency={"hidden": True},
    residual={"metavar": "[=NAME]"},
    group={"metavar": "NAME=1,3-5|auto:N"},
    time_limit={"help": LIMIT},
    **conditional_defaults(Settings),
)
@cues
@knobs(OutputSettings, format={"default": None, "show_default": False}, subtype={"metavar": "SUBTYPE"})
@formats
@click.option("--fast", is_flag=True, envvar="NMFSEP_FAST", help="One template for each stem: --atoms 1.")
@dry
@in_parts
@progressing
@reporting
@click.pass_context
def command(
    ctx: click.Context,
    /,
    inputs: tuple[str, ...],
    flac: bool,
    short: str | None,
    fast: bool,
    recursive: bool,
    count: int,
    scheduler: str | None,
    files_from: str | None,
    null: bool,
    skip_existing: bool,
    fail_fast: bool,
    depfile: str | None,
    print_outputs: bool,
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

    INPUT is an audio file, - for standard input, or with -r a folder. The stems are written below the output
    folder, with the input's rate, channels and sample format, and their paths printed. Each is one component of X ≈
    W Z, the factorization of the magnitude spectrogram, used as a mask on the mixture; component-1 is the loudest.
    Where one template a stem does not do, as with instruments that play several notes, each has several, grouped by
    how they sound (with --fast never). With a dictionary or other guidance, W is known or begun, and the stems are
    what it names. With -r, -j, --files-from or --skip-existing, --json prints a document in a line for each INPUT, as
    it is done.

    --max-iter, --tol, --time-limit, --sparsity, --smoothness, --seed and --restarts apply to whichever method is
    chosen and never choose another. --model, --solver, --start, a --divergence other than kl, --channels independent
    and more than 12 stems have one template a stem, as --fast does, and a line on stderr says so.
    """
    one_thread_of_blas()
    if fast:
        if values["atoms"] not in (None, 1):
            raise UsageError(f"--fast and --atoms {values['atoms']} contradict each other", "leave out one")
        values["atoms"] = 1
    counting = begin(values)
    output = output_settings(values, flac, short)
    _require_sense(output, only_look, as_json, print_outputs, depfile, skip_existing, scheduler)
    names = named(ctx, inputs, files_from, null)
    guide, settings = _model(ctx, values)
    if guide is not None and ctx.get_parameter_source("fast") is click.core.ParameterSource.COMMANDLINE:
        raise UsageError("--fast is for stems that nothing is told of", "leave it out")
    entries = gathered(names, recursive, quiet)
    pool, threads = processes(count, len(entries), settings.threads, scheduler, ["nmfsep.jobs.track"], quiet)
    if only_look:
        pool = None
    if scheduler is not None:  # workers have working folders of their own
        entries, output = absolute(entries), replace(output, out=os.path.abspath(output.out))
    with contextlib.ExitStack() as stack:
        if pool is not None:
            stack.enter_context(pool)
        from ..jobs.plan import plan
        from ..jobs.run_options import RunOptions

        options = RunOptions(settings, output, guide, limit=limit, threads=threads, debug=debug)
        jobs = plan(entries, options, skip_existing)
        if guide is None and not quiet:
            from ..grouping.atoms import method_note

            if (note := method_note(settings)) is not None:
                console.say(note)
        if counting:
            jobs = counted(jobs, entries, options, quiet)
        if nothing_left(jobs):
            return UsageError.exit_code
        if print_outputs:
            return list_outputs(jobs)
        if only_look:
            return dry_run(jobs, options, as_json)
        rules = Rules(depfile, jobs, options.files_read)
        from .. import memory

        if pool is not None and scheduler is None:  # each would take what is free for its own
            options = replace(options, limit=memory.allowance(limit))
        sizes = survey(jobs, options) if len(jobs) > 1 else [(0, 0)]
        if nothing_left(jobs):
            return UsageError.exit_code
        bar = stack.enter_context(files_bar(jobs, sizes, not (quiet or no_progress)))
        told = ctx.get_parameter_source("count") is not click.core.ParameterSource.DEFAULT
        many = told or recursive or files_from is not None or skip_existing
        tell = Telling(bar, many, as_json, quiet, verbose)
        for number, outcome in outcomes(jobs, options, pool, sizes, bar, fail_fast):
            tell(number, jobs[number], outcome)
            rules.note(number, outcome)
    tell.end(len(jobs), len(pool.retried) if pool is not None else 0)
    rules.write()
    return tell.code


def _require_sense(
    output: OutputSettings,
    only_look: bool,
    as_json: bool,
    print_outputs: bool,
    depfile: str | None,
    resume: bool,
    scheduler: str | None,
) -> None:
    """Refuse options that contradict each other."""
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if output.out == "-" and (depfile or resume or print_outputs):
        raise UsageError("-o - leaves no files for --depfile, --skip-existing or --print-outputs to speak of")
    if output.out == "-" and scheduler:
        raise UsageError("-o - writes to this machine, --scheduler has others work", "leave out one")
    if print_outputs and not only_look:
        raise UsageError("--print-outputs goes with --dry-run", "add -n")
    if print_outputs and output.label == "auto":
        raise UsageError("--print-outputs cannot know what --label auto will hear", "leave out one")
    if print_outputs and as_json:
        raise UsageError("--print-outputs and --json both say what standard output holds", "leave out one")
    if depfile and only_look:
        raise UsageError("--dry-run writes nothing, so --depfile means nothing", "leave out one")


def _model(ctx: click.Context, values: dict[str, Any]) -> tuple[Guide | None, Settings]:
    own = {name: values[name] for name in given(ctx, Settings)}
    texts = cue_texts(values)
    if not any(texts.values()):
        if values["atoms"] == 1:  # by --fast or -k auto
            own["atoms"] = 1
        return None, of_model(ctx, own, "give -k, --preset, or a dictionary with -m")
    from ..guidance.guide import Guide

    if ctx.get_parameter_source("components") is click.core.ParameterSource.ENVIRONMENT:
        del own["components"]  # meant for runs without guidance
    guide = Guide.read(texts, own)
    return guide, guide.settings()
