"""``nmfsep split``: files into stems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import UsageError
from ..registry import CUES
from ..settings import OutputSettings, Settings
from . import console, options
from .params import AUTO, Whole
from .reporter import BAR, Reporter, collect_inputs, nothing_left, print_dry_run, print_outputs_of

if TYPE_CHECKING:
    from ..guidance.guide import Guide

COMMON = (
    "components", "preset", "cue_dictionary", "cue_learn", "two_stems", "only", "out", "flac", "count", "only_look",
    "quiet",
)  # fmt: skip


@click.command(
    "split", cls=options.StemCommand, common=COMMON, example="nmfsep split song.wav -k 4 -o stems", page="split"
)
@click.argument("inputs", nargs=-1, required=False, metavar="INPUT...", type=click.Path())
@options.listed_names
@options.batch
@options.from_settings(
    Settings,
    components={"default": None, "show_default": False, "type": Whole(1, 1_000_000, {AUTO: AUTO})},
    consistency={"hidden": True},
    restarts={"show_default": "8; 12 with --best; 4 grouped; 1 with --fast; 10 for kmeans and orthogonal"},
    **options.conditional_defaults(Settings),
)
@options.cues
@options.from_settings(OutputSettings, format={"default": None, "show_default": "wav"})
@options.formats
@options.flag("--fast", section="Model", help="One plain fit: --atoms 1.")
@options.dry_run
@options.in_parts
@options.without_bar
@options.verbose
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, inputs: tuple[str, ...], **values: Any) -> int:
    """Separate each INPUT into stems that add up to it.

    INPUT is an audio file, - for standard input, or with -r a folder. Give -k, or what names the stems: --preset, a
    dictionary (-m), or other guidance. Paths of stems are printed, with --json a document in one line for each INPUT.
    Defaults stand in brackets.
    """
    options.one_thread_of_blas()
    auto_k = _counts_components(values)
    output = options.output_settings(ctx)
    _check_output(output, **values)
    names = options.input_names(ctx, inputs, values["files_from"], values["null"])
    guide, settings = _guide_and_settings(ctx, values)
    quiet, as_json = values["quiet"], values["as_json"]
    entries = collect_inputs(names, values["recursive"], quiet)
    from ..batch.tracks import Batch, no_report
    from ..jobs.run_options import RunOptions

    report = no_report if quiet else console.report
    batch = Batch(
        entries,
        RunOptions(settings, output, guide, limit=values["limit"], debug=values["debug"]),
        processes=values["count"],
        scheduler=values["scheduler"],
        auto_k=auto_k,
        skip_existing=values["skip_existing"],
        only_look=values["only_look"],
        report=report,
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
        label = batch.jobs[0].track if len(batch.jobs) == 1 else f"{len(batch.jobs)} files"
        with console.bar(label, BAR, not (quiet or values["no_progress"]), lambda counts: counts or "") as bar:
            reporter = Reporter(bar, batch.jobs, batch.sizes, as_json, quiet, values["verbose"])
            for number, outcome in batch.run(reporter.part, values["fail_fast"]):
                reporter.add(number, outcome)
    reporter.end(batch.restarted)
    batch.write_dependencies()
    return reporter.code


def _counts_components(values: dict[str, Any]) -> bool:
    """Return whether the number of stems is to be found, and set what --fast and -k auto stand for."""
    if values["fast"]:
        if values["atoms"] not in (None, 1):
            raise UsageError(f"--fast and --atoms {values['atoms']} contradict each other", "leave out one")
        if values["best"]:
            raise UsageError("--fast and --best contradict each other", "leave out one")
        values["atoms"] = 1
    if values["components"] != AUTO:
        return False
    if values["preset"] is not None or values["levels"] is not None or values["model"] != "nmf":
        raise UsageError("-k auto counts the components of model nmf", "leave out --preset, --levels and --model")
    values["components"] = 2  # for the checks before it is known
    if values["atoms"] is None and values["grouping"] == "auto":
        values["atoms"] = 1  # what is counted are components of one template
    return True


def _check_output(output: OutputSettings, **values: Any) -> None:
    """Refuse options about the output that contradict each other."""
    as_json, depfile, print_outputs = values["as_json"], values["depfile"], values["print_outputs"]
    both, piped = "leave out one", output.out == "-"
    for contradicts, message, hint in (
        (piped and as_json, "-o - and --json both want standard output", both),
        (
            piped and (depfile or values["skip_existing"] or print_outputs),
            "-o - leaves no files for --depfile, --skip-existing or --print-outputs to speak of", None,
        ),
        (piped and values["scheduler"], "-o - writes to this machine, --scheduler has others work", both),
        (print_outputs and not values["only_look"], "--print-outputs goes with --dry-run", "add -n"),
        (
            print_outputs and output.label == "auto",
            "--print-outputs cannot know the names of --stem-names auto", both,
        ),
        (print_outputs and as_json, "--print-outputs and --json both say what standard output holds", both),
        (depfile and values["only_look"], "--dry-run writes nothing, so --depfile means nothing", both),
    ):  # fmt: skip
        if contradicts:
            raise UsageError(message, hint)


def _guide_and_settings(ctx: click.Context, values: dict[str, Any]) -> tuple[Guide | None, Settings]:
    own = {name: values[name] for name in options.given(ctx, Settings)}
    cues = {name: list(values[f"cue_{name}"]) for name in CUES}
    if not any(cues.values()):
        if values["atoms"] == 1:  # by --fast or -k auto
            own["atoms"] = 1
        return None, options.blind_settings(ctx, own, "give -k 4, -k auto, --preset, or a dictionary with -m")
    from ..guidance.guide import Guide

    if ctx.get_parameter_source("components") is ParameterSource.ENVIRONMENT:
        del own["components"]  # meant for runs without guidance
    guide = Guide.read(cues, own)
    settings = guide.settings()
    if "fast" in options.explicit(ctx):
        raise UsageError("--fast is for separation without cues", "leave it out")
    return guide, settings
