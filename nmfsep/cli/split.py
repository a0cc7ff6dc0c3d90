"""``nmfsep split``: files into stems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..settings import OutputSettings, Settings
from . import console
from .options import (
    StemCommand,
    batch,
    blind_settings,
    conditional_defaults,
    cue_texts,
    cues,
    dry_run,
    explicit,
    formats,
    given,
    in_parts,
    input_names,
    listed_names,
    one_thread_of_blas,
    option,
    options,
    output_settings,
    reporting,
    verbose,
    without_bar,
)
from .params import AUTO, Count
from .reporter import Reporter, collect_inputs, files_bar, nothing_left, print_dry_run, print_outputs_of

if TYPE_CHECKING:
    from ..guidance.guide import Guide

COMMON = (
    "components", "preset", "cue_dictionary", "cue_learn", "two_stems", "only", "out", "flac", "count", "only_look",
    "quiet",
)  # fmt: skip


@click.command(
    "split",
    cls=StemCommand,
    common=COMMON,
    epilog="Example: nmfsep split song.wav -k 4 -o stems\n\nMore on every option and value: nmfsep manual split",
)
@click.argument("inputs", nargs=-1, required=False, metavar="INPUT...", type=click.Path())
@listed_names
@batch
@options(
    Settings,
    components={"default": None, "show_default": False, "type": Count(1, 1_000_000)},
    consistency={"hidden": True},
    restarts={"show_default": "8; 12 with --best; 4 grouped; 1 with --fast; 10 for kmeans and orthogonal"},
    **conditional_defaults(Settings),
)
@cues
@options(OutputSettings, format={"default": None, "show_default": "wav"})
@formats
@option("--fast", section="Model", is_flag=True, help="One plain fit: --atoms 1.")
@dry_run
@in_parts
@without_bar
@verbose
@reporting
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **values: Any) -> int:
    """Separate each INPUT into stems that add up to it.

    INPUT is an audio file, - for standard input, or with -r a folder. Give -k, or what names the stems: --preset, a
    dictionary (-m), or other guidance. Paths of stems are printed, with --json a document; with -r, -j, --files-from
    or --skip-existing one in a line for each INPUT. Defaults stand in brackets.
    """
    one_thread_of_blas()
    auto_k = _settle_count(values)
    output = output_settings(ctx)
    _check_output(output, **values)
    names = input_names(ctx, inputs, values["files_from"], values["null"])
    guide, settings = _guide_and_settings(ctx, values)
    quiet, as_json = values["quiet"], values["as_json"]
    entries = collect_inputs(names, values["recursive"], quiet)
    from ..jobs.batch import Batch

    batch = Batch(
        entries,
        settings,
        output,
        guide,
        processes=values["count"],
        scheduler=values["scheduler"],
        limit=values["limit"],
        auto_k=auto_k,
        skip_existing=values["skip_existing"],
        only_look=values["only_look"],
        debug=values["debug"],
        report=console.ignore if quiet else console.report,
    )
    with batch:
        if nothing_left(batch.jobs):
            return UsageError.exit_code
        if values["print_outputs"]:
            return print_outputs_of(batch.jobs)
        if values["only_look"]:
            return print_dry_run(batch.jobs, batch.options, as_json)
        batch.prepare(values["depfile"])
        if nothing_left(batch.jobs):
            return UsageError.exit_code
        many = any(values[name] for name in ("recursive", "files_from", "skip_existing"))
        many = many or ctx.get_parameter_source("count") is not ParameterSource.DEFAULT
        with files_bar(batch.jobs, batch.sizes, not (quiet or values["no_progress"])) as bar:
            reporter = Reporter(bar, many, as_json, quiet, values["verbose"])
            for number, outcome in batch.run(bar.part, values["fail_fast"]):
                reporter.add(number, batch.jobs[number], outcome)
    reporter.end(len(batch.jobs), batch.restarted)
    batch.write_dependencies()
    return reporter.code


def _settle_count(values: dict[str, Any]) -> bool:
    """Return whether the number of stems is to be found, and put what the checks before that need in its place."""
    if values["fast"]:
        if values["atoms"] not in (None, 1):
            raise UsageError(f"--fast and --atoms {values['atoms']} contradict each other", "leave out one")
        values["atoms"] = 1
        if values["best"]:
            raise UsageError("--fast and --best contradict each other", "leave out one")
    if values["components"] != AUTO:
        return False
    if values["preset"] is not None or values["levels"] is not None or values["model"] != "nmf":
        raise UsageError("-k auto counts the components of model nmf", "leave out --preset, --levels and --model")
    values["components"] = 2
    if values["atoms"] is None and values["grouping"] == "auto":
        values["atoms"] = 1  # what is counted are components of one template
    return True


def _check_output(output: OutputSettings, **values: Any) -> None:
    """Refuse options about the output that contradict each other."""
    as_json, only_look, depfile = values["as_json"], values["only_look"], values["depfile"]
    if output.out == "-" and as_json:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    if output.out == "-" and (depfile or values["skip_existing"] or values["print_outputs"]):
        raise UsageError("-o - leaves no files for --depfile, --skip-existing or --print-outputs to speak of")
    if output.out == "-" and values["scheduler"]:
        raise UsageError("-o - writes to this machine, --scheduler has others work", "leave out one")
    if values["print_outputs"] and not only_look:
        raise UsageError("--print-outputs goes with --dry-run", "add -n")
    if values["print_outputs"] and output.label == "auto":
        raise UsageError("--print-outputs cannot know the names of --stem-names auto", "leave out one")
    if values["print_outputs"] and as_json:
        raise UsageError("--print-outputs and --json both say what standard output holds", "leave out one")
    if depfile and only_look:
        raise UsageError("--dry-run writes nothing, so --depfile means nothing", "leave out one")


def _guide_and_settings(ctx: click.Context, values: dict[str, Any]) -> tuple[Guide | None, Settings]:
    own = {name: values[name] for name in given(ctx, Settings)}
    texts = cue_texts(values)
    if not any(texts.values()):
        if values["atoms"] == 1:  # by --fast or -k auto
            own["atoms"] = 1
        return None, blind_settings(ctx, own, "give -k, --preset, or a dictionary with -m")
    from ..guidance.guide import Guide

    if ctx.get_parameter_source("components") is ParameterSource.ENVIRONMENT:
        del own["components"]  # meant for runs without guidance
    guide = Guide.read(texts, own)
    settings = guide.settings()
    if "fast" in explicit(ctx):
        raise UsageError("--fast is for stems that nothing is told of", "leave it out")
    return guide, settings
