"""Reporter: what is printed of files that are separated, one by one and at the end; and of a dry run.

Results, which are paths or JSON documents, go to standard output; all else goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError, NmfsepError
from . import console

if TYPE_CHECKING:
    from ..jobs.inputs import Input
    from ..jobs.plan import Forecast, Job
    from ..jobs.run_options import RunOptions
    from ..jobs.track import Outcome


BAR = 10_000  # steps of the bar


class Reporter:
    """Reports each file as it is done, and all at the end; moves a bar that counts those done, failed and left.

    Parameters
    ----------
    bar
        Of `console.bar`, with BAR steps.
    jobs : sequence of Job
    sizes : sequence of (int, int)
        Bytes that each takes, and its samples, as `Batch` has them.
    as_json, quiet, verbose : bool
        What the user wants to read.
    """

    def __init__(
        self, bar: Any, jobs: Sequence[Job], sizes: Sequence[tuple[int, int]],
        as_json: bool, quiet: bool, verbose: bool,
    ) -> None:  # fmt: skip
        self.jobs, self.as_json, self.quiet, self.verbose = jobs, as_json, quiet, verbose
        self.code, self._counts, self._left = 0, {"done": 0, "skipped": 0, "failed": 0}, len(jobs)
        self._bar, self._sizes = bar, [max(1, size) for _, size in sizes]
        self._total, self._ended = sum(self._sizes), 0

    def part(self, number: int, share: float) -> None:
        """Show how much of the file in work is done."""
        self._show(min(share, 1.0) * self._sizes[number])

    def add(self, number: int, outcome: Outcome) -> None:
        """Report one file."""
        job, manifest, error = self.jobs[number], outcome.manifest, outcome.error
        console.log(f"{console.name_of(job.path)}: {outcome.status}")
        if self._bar is not None:  # it is off the terminal while lines are written
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        if error is not None:
            self.code = max(self.code, error.exit_code)
            console.say(console.describe(error))
        elif manifest is not None and not outcome.skipped:
            report_track(job, manifest, self.quiet, self.verbose)
        elif self.verbose:
            console.say(f"{console.quote(job.path)}: was done before, skipped")
        if self.as_json:
            tracks = [] if manifest is None else [manifest]
            errors = [] if error is None else [console.error_entry(error, job.path)]
            console.print_document(job.path, {"tracks": tracks, "errors": errors}, outcome.status)
        elif error is None:
            console.print_paths(job.as_written(manifest).results)
        if self._bar is not None:
            self._bar.render_progress()
        self._counts[outcome.status] += 1
        self._left -= 1
        self._ended += self._sizes[number]
        self._show(0)

    def _show(self, begun: float) -> None:
        if self._bar is not None:
            counts = [f"{count} {status}" for status, count in self._counts.items() if count or status == "done"]
            place = round(BAR * (self._ended + begun) / self._total)
            text = ", ".join([*counts, f"{self._left} left"]) if len(self.jobs) > 1 else ""
            self._bar.update(max(0, place - self._bar.pos), text)

    def end(self, retried: int) -> None:
        """Report on all, where not all went as it should."""
        if retried and not self.quiet:
            console.say(f"{retried} inputs were begun again, since the process that worked on them had died")
        total, counts = len(self.jobs), self._counts
        parts = [f"{counts['done']} of {total} inputs done"]
        parts += [f"{counts['skipped']} skipped, done before"] if counts["skipped"] else []
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        parts += [f"{self._left} not begun"] if self._left else []
        if (counts["failed"] and total > 1) or (counts["skipped"] and not self.quiet):
            console.say(", ".join(parts))


def _repetitions(strokes: Sequence[Mapping[str, Any]]) -> str:
    """Return how often each stroke came that was learned from its repetitions."""
    times: dict[str, list[str]] = {}
    for stroke in strokes:
        times.setdefault(stroke["stem"], []).append(str(len(stroke["onsets"])))
    listed = "; ".join(f"{stem}: {' and '.join(counts)}" for stem, counts in times.items())
    written = sum("file" in stroke for stroke in strokes)
    shots = f"; {written} one-shot{'s' * (written > 1)} written" if written else ""
    return f"each stroke is the mean of its repetitions, {listed}{shots}"


def report_track(job: Job, manifest: dict[str, Any], quiet: bool, verbose: bool) -> None:
    """Report a track that is done: warnings, and with -v how the fit went."""
    name = console.name_of(job.path)
    if not quiet:
        console.warn(manifest["warnings"], name)
        counts = manifest.get("matched", {}).values()
        if matched := sum(count["matched"] for count in counts):
            console.say(f"{name}: {matched} of {sum(count['of'] for count in counts)} strokes matched")
        if strokes := manifest.get("repeated", {}).get("strokes"):
            console.say(f"{name}: {_repetitions(strokes)}")
        if share := manifest.get("order", {}).get("share"):
            console.say(
                f"{name}: masks were in doubt; how spectra follow each other decided in {share:.0%} of the time"
            )
        for hint in manifest["hints"]:
            console.say(f"{name}: hint: {hint}")
    if verbose:
        if choice := manifest["choice"]:
            grouped = f"{choice['atoms']} atoms a stem, grouped by {choice['grouping']}"
            why = "" if choice["r"] is None else f" (r {choice['r']:.2f})"
            if choice["rounds"]:
                grouped += f", learned again {choice['rounds']} x from pauses"
            again = f"{choice['atoms']} atoms a stem, learned again {choice['rounds']} x from start {choice['start']}"
            plain = again if choice["rounds"] else "one atom a stem"
            console.say(f"{name}: {grouped if choice['grouping'] else plain}{why}")
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
            console.warn(["cannot be looked into, and is left out"], console.quote(name))
        without = f", {' and '.join(left)} left out" if left else ""
        console.say(f"{console.quote(folder.path)}: {len(folder.inputs)} sound files{without}")
    return inputs


def nothing_left(jobs: Sequence[Job]) -> bool:
    """Whether all jobs are refused, so that the command makes no sense; reports why."""
    refusals = [(job, job.refused) for job in jobs if job.refused is not None]
    if len(refusals) < len(jobs):
        return False
    for job, refusal in refusals:
        _report_error(job, refusal)
    return True


def print_outputs_of(jobs: Sequence[Job]) -> int:
    """Print all files that would be written, but for inputs that are refused; return the exit code."""
    code = 0
    for job in jobs:
        if job.refused is None:
            console.print_paths(job.outputs)
        else:
            _report_error(job, job.refused)
            code = InputError.exit_code
    return code


def print_dry_run(jobs: Sequence[Job], options: RunOptions, as_json: bool) -> int:
    """Print what would be written; return the exit code."""
    from ..jobs.plan import forecast

    code = 0
    for job in jobs:
        try:
            found = forecast(job, options)
        except NmfsepError as error:
            if len(jobs) == 1:
                raise
            error = _report_error(job, error)
            code = max(code, error.exit_code)
            if as_json:
                entries = {"tracks": [], "errors": [console.error_entry(error, job.path)]}
                console.print_document(job.path, entries, "failed")
            continue
        name = console.quote(job.path)
        done = "was done before, would be skipped"
        console.say(f"{name}: {done if found.done_before else f'would write {_in_words(found)}'}")
        for note in found.notes:
            console.say(f"{name}: {note}")
        if as_json:
            status = "skipped" if found.done_before else "planned"
            console.print_document(job.path, {"tracks": [found.document()], "errors": []}, status)
        else:
            console.print_paths(found.results)
    return code


def _report_error(job: Job, error: NmfsepError) -> NmfsepError:
    """Report what is wrong with one input of many, and return it as such."""
    from ..batch.tracks import input_error

    error = input_error(job, error)
    console.say(console.describe(error))
    return error


def _in_words(found: Forecast) -> str:
    from ..memory import show_size

    job = found.job
    model = "".join(f" and {name}" for name in (*(["the model"] if job.model else []), *dict(job.exports)))
    text = f"{len(job.selected)} stems{model}, {found.subtype}, in about {show_size(found.budget.need)} of memory"
    if found.budget.streamed:
        text += ", read a part at a time"
        text += f", learned from {found.budget.frames} frames at the most" if found.budget.frames else ""
    return text
