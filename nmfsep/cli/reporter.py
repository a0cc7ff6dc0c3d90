"""Reporter: what is printed of files that are separated, one by one and at the end; and of a dry run.

Results, which are paths or JSON documents, go to standard output; all else goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ..errors import InputError, NmfsepError
from . import console
from .console import Files

if TYPE_CHECKING:
    from ..jobs.forecast import Forecast
    from ..jobs.inputs import Input
    from ..jobs.plan import Job
    from ..jobs.run_options import RunOptions
    from ..jobs.track import Outcome


class Reporter:
    """Reports each file as it is done, and all at the end.

    Parameters
    ----------
    files : Files
        The count of files.
    many : bool
        Whether JSON is a line for each file as it is done, or one document for the few that were named.
    as_json, quiet, verbose : bool
        What the user wants to read.
    """

    def __init__(self, files: Files, many: bool, as_json: bool, quiet: bool, verbose: bool) -> None:
        self.files, self.many, self.as_json, self.quiet, self.verbose = files, many, as_json, quiet, verbose
        self.code = 0
        self._all: dict[str, list[Any]] = {"tracks": [], "errors": []}

    def add(self, number: int, job: Job, outcome: Outcome) -> None:
        """Report one file."""
        with self.files.aside():
            if outcome.error is not None:
                self.code = max(self.code, outcome.error.exit_code)
                console.say(console.describe(outcome.error))
            elif outcome.manifest is not None and not outcome.skipped:
                report_track(job, outcome.manifest, self.quiet, self.verbose)
            elif self.verbose:
                console.say(f"{console.quote(job.path)}: was done before, skipped")
            if self.as_json:
                self._add_document(job, outcome)
            elif outcome.error is None:
                console.print_paths(job.as_written(outcome.manifest).results)
        self.files.end(number, outcome.status)

    def _add_document(self, job: Job, outcome: Outcome) -> None:
        tracks = [] if outcome.manifest is None else [outcome.manifest]
        errors = [] if outcome.error is None else [_failure(outcome.error, job.path)]
        if self.many:
            console.print_json_line({"path": job.path, "status": outcome.status, "tracks": tracks, "errors": errors})
        else:
            self._all["tracks"] += tracks
            self._all["errors"] += errors

    def end(self, total: int, retried: int) -> None:
        """Report on all, where not all went as it should."""
        if self.as_json and not self.many:
            console.print_json(self._all)
        counts = self.files.counts
        if retried and not self.quiet:
            console.say(f"{retried} inputs were begun again, since the process that worked on them had died")
        parts = [f"{counts['done']} of {total} inputs done"]
        parts += [f"{counts['skipped']} skipped, done before"] if counts["skipped"] else []
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        parts += [f"{self.files.left} not begun"] if self.files.left else []
        if (counts["failed"] and total > 1) or (counts["skipped"] and not self.quiet):
            console.say(", ".join(parts))


def _failure(error: NmfsepError, path: str) -> dict[str, Any]:
    path = path if error.path is None else os.fsdecode(error.path)
    return {"path": path, "message": str(error), "exit": error.exit_code}


def files_bar(jobs: Sequence[Job], sizes: Sequence[tuple[int, int]], shown: bool) -> AbstractContextManager[Files]:
    """Return the count of files, with a bar where one is to be seen; `sizes` are those of `survey`."""
    label = jobs[0].track if len(jobs) == 1 else f"{len(jobs)} files"
    return console.files_bar(label, [max(1, size) for _, size in sizes], shown)


def report_track(job: Job, manifest: dict[str, Any], quiet: bool, verbose: bool) -> None:
    """Report a track that is done: warnings, and with -v how the fit went."""
    name = console.name_of(job.path)
    if not quiet:
        for warning in manifest["warnings"]:
            console.say(f"{name}: warning: {warning}")
        counts = manifest.get("matched", {}).values()
        if matched := sum(count["matched"] for count in counts):
            console.say(f"{name}: {matched} of {sum(count['of'] for count in counts)} strokes matched")
        for hint in manifest["hints"]:
            console.say(f"{name}: hint: {hint}")
    if verbose:
        if choice := manifest["choice"]:
            grouped = f"{choice['atoms']} atoms a stem, grouped by {choice['grouping']}"
            why = "" if choice["r"] is None else f" (r {choice['r']:.2f})"
            console.say(f"{name}: {grouped if choice['grouping'] else 'one atom a stem'}{why}")
        for fit in manifest["fit"]:
            console.say(f"{name}: {console.fit_line(fit)}")
        if job.model:
            console.say(f"{name}: the model is {console.quote(job.model)}")
        seconds = ", ".join(f"{stage} {took:.2f}" for stage, took in manifest["seconds"].items())
        console.say(f"{name}: seconds: {seconds}")
        sys.stderr.flush()


def collect_inputs(names: Sequence[str], recursive: bool, quiet: bool) -> list[Input]:
    """Return the inputs, and report how many sounds are in folders."""
    from ..jobs.inputs import gather

    inputs, folders = gather(names, recursive)
    for folder in [] if quiet else folders:
        left = [f"{folder.others} other files"] * bool(folder.others)
        left += [f"{folder.products} that nmfsep wrote"] * bool(folder.products)
        for name in folder.unread:
            console.say(f"{console.quote(name)}: warning: cannot be looked into, and is left out")
        without = f", {' and '.join(left)} left out" if left else ""
        console.say(f"{console.quote(folder.path)}: {len(folder.inputs)} sound files{without}")
    return inputs


def nothing_left(jobs: Sequence[Job]) -> bool:
    """Whether all jobs are refused, so that the command makes no sense; reports why."""
    from ..jobs.batch import input_error

    if not all(job.refused for job in jobs):
        return False
    for job in jobs:
        if job.refused is not None:
            console.say(console.describe(input_error(job, job.refused)))
    return True


def print_outputs_of(jobs: Sequence[Job]) -> int:
    """Print all files that would be written, but for inputs that are refused; return the exit code."""
    from ..jobs.batch import input_error

    code = 0
    for job in jobs:
        if job.refused is None:
            console.print_paths(job.outputs)
        else:
            console.say(console.describe(input_error(job, job.refused)))
            code = InputError.exit_code
    return code


def print_dry_run(
    jobs: Sequence[Job],
    options: RunOptions,
    as_json: bool,
) -> int:
    """Print what would be written; return the exit code."""
    from ..jobs.batch import input_error
    from ..jobs.forecast import forecast

    rows, errors = [], []
    for job in jobs:
        try:
            found = forecast(job, options)
        except NmfsepError as error:
            if len(jobs) == 1:
                raise
            errors.append(input_error(job, error))
            console.say(console.describe(errors[-1]))
            continue
        rows.append(found.document())
        name = console.quote(job.path)
        done = "was done before, would be skipped"
        console.say(f"{name}: {done if found.done_before else f'would write {_in_words(found)}'}")
        for note in found.notes:
            console.say(f"{name}: {note}")
        if not as_json:
            console.print_paths(found.results)
    if as_json:
        failed = [{"path": os.fsdecode(error.path or ""), "message": str(error)} for error in errors]
        console.print_json({"tracks": rows, "errors": failed})
    return max((error.exit_code for error in errors), default=0)


def _in_words(found: Forecast) -> str:
    from ..memory import show_size

    job = found.job
    model = "".join(f" and {name}" for name in (*(["the model"] if job.model else []), *dict(job.exports)))
    text = f"{len(job.selected)} stems{model}, {found.subtype}, in about {show_size(found.memory)} of memory"
    if found.streamed:
        text += ", read a part at a time"
        text += f", learned from {found.frames} frames at the most" if found.frames else ""
    return text
