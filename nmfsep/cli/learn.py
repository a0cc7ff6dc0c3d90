"""``nmfsep learn``: isolated sounds into a dictionary."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, NmfsepError, UsageError
from ..settings.commands import LearnSettings
from . import console
from .inspect import KnownTemplates
from .options import GROUPS, Command, knobs, lists, named, one_thread_of_blas, reporting
from .params import Jobs
from .run import processes, scheduler

if TYPE_CHECKING:
    from ..guidance.dictionary import Dictionary
    from ..jobs.recordings import Recording

GROUPS |= {"out": "Output", "append": "Output", "force": "Output"}


@click.command("learn", cls=Command, epilog="Example: nmfsep learn kick=kick.wav snare=snares/ -o kit.npz")
@click.argument("arguments", nargs=-1, required=False, metavar="NAME=FILE...", type=click.Path())
@lists
@knobs(LearnSettings)
@click.option(
    "-j",
    "--jobs",
    "count",
    type=Jobs(0, 1024),
    default=1,
    show_default=True,
    envvar="NMFSEP_JOBS",
    help="Sounds at a time, each in a process of its own; auto or 0: as many as there are cores. Changes no bit.",
)
@scheduler
@click.option("-o", "--out", required=True, metavar="FILE", type=click.Path(), help="Dictionary to write (.npz).")
@click.option("--append", is_flag=True, help="Add the labels to the dictionary that is there.")
@click.option("-f", "--force", is_flag=True, envvar="NMFSEP_FORCE", help="Replace a file that is no dictionary.")
@click.option("-v", "--verbose", is_flag=True, envvar="NMFSEP_VERBOSE", help="Say what was learned.")
@click.option("--no-progress", is_flag=True, envvar="NMFSEP_NO_PROGRESS", help="No progress bar.")
@reporting
@click.pass_context
def command(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    files_from: str | None,
    null: bool,
    count: int,
    scheduler: str | None,
    out: str,
    append: bool,
    force: bool,
    verbose: bool,
    no_progress: bool,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **values: Any,
) -> int:
    """Learn templates of each NAME from isolated sounds, for split -m.

    FILE is an audio file, a folder of them, or a quoted pattern such as 'kicks/*.wav'; a FILE without NAME= belongs to
    the name before. Files of any rate and number of channels are converted; those that cannot be read are left out and
    named, and the exit code is 1. A dictionary that is there is replaced.
    """
    one_thread_of_blas()
    settings = LearnSettings(**values)
    if settings.exemplars:
        for name in ("sparsity", "max_iter", "tol"):
            if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"--exemplars fits nothing, so {option} means nothing", "leave out one")
    from ..guidance import dictionary
    from ..guidance import learn as learning
    from ..guidance.learn import Here
    from ..jobs.inputs import labelled
    from ..jobs.recordings import listen, look_at, provenance, sounds
    from ..kernels.select import slower
    from ..signal.audio import common_rate

    left_out: list[NmfsepError] = []
    notes: list[str] = []
    paths = labelled(named(ctx, arguments, files_from, null), left_out, notes)
    dictionary.check_labels(tuple(paths))
    target = Path(os.fsdecode(out))
    before = _existing(target, append, force, [path for group in paths.values() for path in group])
    lost = _lost(target, append, tuple(paths))
    if scheduler is not None:  # workers have working folders of their own
        paths = {label: [os.path.abspath(path) for path in group] for label, group in paths.items()}
    recordings = look_at(paths, left_out)
    everything = [recording for group in recordings.values() for recording in group]
    rate, stfts = settings.sample_rate or common_rate(recording.sample_rate for recording in everything), None
    if before is not None:
        settings = _as_before(before, settings, ctx)
        rate, stfts = before.sample_rate, [view.stft for view in before.views]
        _require_new(before, tuple(paths), target)
    stfts = stfts or learning.frames_for(rate, settings)
    pool, _ = processes(count, len(everything), settings.threads, scheduler, ["nmfsep.jobs.recordings"], quiet)
    with (
        pool or contextlib.nullcontext(),
        console.progress_bar("learn", len(paths) * len(stfts), not (quiet or no_progress)) as advance,
    ):
        executor = pool or Here()
        recordings = listen(recordings, rate, executor, left_out)
        if not quiet:
            for note in notes:
                console.say(console.plain(note))
            _tell([recording for group in recordings.values() for recording in group], rate)
        learned = learning.learn(
            {label: sounds(group, rate) for label, group in recordings.items()},
            rate,
            settings,
            stfts=stfts,
            provenance=[provenance(label, group) for label, group in recordings.items()],
            executor=executor,
            progress=None if advance is None else lambda done: advance(done, 0.0),
        )
    result = learned if before is None else before.append(learned)
    dictionary.write(result, target)
    for warning in slower():
        console.say(f"warning: {warning}")
    for error in left_out:
        console.say(f"{console.describe(error)}; left out")
    if lost and not quiet:
        gone = ", ".join(map(repr, lost[:10]))
        console.say(f"{console.quote(target)}: replaced a dictionary that had {gone}, too; --append adds to one")
    if verbose:
        for index, label in enumerate(learned.labels):
            counts = " and ".join(map(str, learned.components(index)))
            console.say(f"{console.quote(label)}: {counts} templates of {len(recordings[label])} files")
    if as_json:
        failed = [{"path": os.fsdecode(error.path or ""), "message": str(error)} for error in left_out]
        console.print_json(KnownTemplates(str(target), result).document() | ({"errors": failed} if failed else {}))
    else:
        console.print_paths([target])
    return InputError.exit_code if left_out else 0


def _tell(recordings: list[Recording], rate: int) -> None:
    """Say what is odd about the sounds that are learned from, and what is done to them."""
    from ..jobs.recordings import conversions

    for recording in recordings:
        for warning in recording.warnings:
            console.say(f"{console.quote(recording.path)}: warning: {warning}")
    if said := conversions(recordings, rate):
        console.say(said)


def _lost(target: Path, append: bool, labels: tuple[str, ...]) -> list[str]:
    """Return the labels of a dictionary in place that the new one lacks."""
    from ..guidance import dictionary

    if append or not target.is_file():
        return []
    try:
        return [label for label in dictionary.read(target).labels if label not in labels]
    except UsageError:  # is replaced by force
        return []


def _existing(target: Path, append: bool, force: bool, inputs: list[str]) -> Dictionary | None:
    """Check where the dictionary will be written; return the one that is there if it is to be added to."""
    from ..files.publish import folder_is_writable
    from ..guidance import dictionary

    if str(target) == "-":
        raise UsageError("a dictionary is not written to standard output", "name a file with -o")
    if not folder_is_writable(Path(os.path.abspath(target)).parent):
        raise UsageError("cannot be written to", "choose another folder with -o", target.parent)
    if append:
        return dictionary.read(target)
    if target.is_dir():
        raise UsageError("is a folder", "name the file with -o", target)
    if target.exists() and not target.is_file():
        raise UsageError("is no regular file", "name another with -o", target)
    for path in inputs:
        if target.exists() and os.path.exists(os.fsencode(path)) and os.path.samefile(target, os.fsencode(path)):
            raise UsageError("is an input and would be overwritten", "choose another name with -o", target)
    if os.path.lexists(target) and not force and not dictionary.is_dictionary(target):
        raise UsageError("exists and is no dictionary", "use --force to replace it, or another name with -o", target)
    return None


def _as_before(before: Dictionary, settings: LearnSettings, ctx: click.Context) -> LearnSettings:
    """Return the settings with what the dictionary already decides; refuse what contradicts it."""
    stft = before.views[0].stft
    decided = {
        "sample_rate": before.sample_rate,
        "divergence": before.divergence,
        "window": stft.window,
        "n_fft": stft.n_fft,
        "hop_length": stft.hop_length,
    }
    for name, value in decided.items():
        given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and getattr(settings, name) != value:
            option = "--" + name.replace("_", "-")
            message = f"the dictionary has {value}, not {option} {getattr(settings, name)}"
            raise UsageError(message, f"leave out {option}")
    frames = before.views[0].delays
    given = ctx.get_parameter_source("template_frames") is click.core.ParameterSource.COMMANDLINE
    if given and settings.template_frames != frames:
        message = f"the dictionary has templates of {frames} frames, not {settings.template_frames}"
        raise UsageError(message, "leave out --template-frames")
    settings = replace(settings, template_frames=frames)
    return replace(settings, divergence=before.divergence, window=stft.window)


def _require_new(before: Dictionary, labels: tuple[str, ...], target: Path) -> None:
    for label in labels:
        if label in before.labels:
            raise UsageError(f"has label {label!r} already", "use another name, or learn it without --append", target)
