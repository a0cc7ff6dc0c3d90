"""The loop over many inputs, in this process or in several, and what is told of it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..jobs.cluster import Cluster
from ..jobs.pool import Lost, Pool, Processes
from ..system import cpu_count
from . import console
from . import console as progress
from .console import Files
from .options import GROUPS
from .params import Jobs
from .writing import failure, report

if TYPE_CHECKING:
    from ..jobs.plan import Job
    from ..jobs.track import Outcome


class Rules:
    """The dependencies of a run for make, if they are wanted.

    Parameters
    ----------
    name : str, optional
        The file to write.
    jobs : list of Job
        Of which those are refused whose names cannot be in a makefile.
    shared : sequence of str
        Files on which all outputs depend, such as dictionaries.

    Raises
    ------
    UsageError
        The file is an input or output of the run or cannot be written, or the name of the only input cannot be in a
        makefile.
    """

    def __init__(self, name: str | None, jobs: list[Job], shared: Sequence[str]) -> None:
        from ..files.naming import collision_key
        from ..files.publish import folder_is_writable
        from ..jobs.safety import identities, require_readable

        self._path = None if name is None else Path(os.fsdecode(name))
        self._jobs, self._shared = jobs, shared
        self._made: dict[int, Job] = {}
        if self._path is None:
            return
        if os.path.lexists(self._path):
            require_readable(str(self._path))
        taken = {collision_key(path) for job in jobs for path in job.outputs}
        sources = identities([*(job.path for job in jobs), *self._shared])
        if collision_key(self._path) in taken or identities([str(self._path)]) & sources:
            raise UsageError("is an input or output of this run", "choose another name for --depfile", self._path)
        if not folder_is_writable(self._path.absolute().parent):
            raise UsageError("cannot be written to", "choose another folder for --depfile", self._path.parent)
        for number, job in enumerate(jobs):
            try:
                self._rule(job)
            except UsageError as error:
                if len(jobs) == 1:
                    raise
                jobs[number] = replace(job, refused=error)

    def note(self, number: int, outcome: Outcome) -> None:
        """Take note of a job whose files are there."""
        if outcome.error is None:
            self._made[number] = self._jobs[number].as_written(outcome.manifest)

    def write(self) -> None:
        """Write the rules of all jobs whose files are there, in the order of inputs."""
        from ..jobs.depfile import write

        if self._path is not None:
            write(self._path, [self._rule(job) for _, job in sorted(self._made.items())])

    def _rule(self, job: Job) -> bytes:
        from ..jobs.depfile import rule

        return rule(job.outputs, (*([] if job.path == "-" else [job.path]), *self._shared))


if TYPE_CHECKING:
    from ..jobs.plan import Job
    from ..jobs.run_options import RunOptions
    from ..jobs.track import Outcome

F = TypeVar("F", bound=Callable[..., Any])
GROUPS |= {"recursive": "Input", "depfile": "Output"}


def scheduler(function: F) -> F:
    """Add --scheduler."""
    text = "Work at the workers of a Dask scheduler (extra 'cluster'), which see the same files under the same names."
    return click.option("--scheduler", metavar="ADDRESS", envvar="NMFSEP_SCHEDULER", help=text)(function)


def batch(function: F) -> F:
    """Add the options of a run over many files."""
    for option in (
        click.option(
            "-r", "--recursive", is_flag=True, envvar="NMFSEP_RECURSIVE",
            help="Take the sounds in and below an INPUT that is a folder; the folders below it are kept in the output.",
        ),
        click.option(
            "-j", "--jobs", "count", type=Jobs(0, 1024), default=1, show_default=True, envvar="NMFSEP_JOBS",
            help="Files at a time, each in a process of its own; auto or 0: as many as there are cores. The longest "
            "begin first, and paths are printed as files are done, in the order of inputs with 1 only. No result "
            "changes. What would not fit into --max-memory waits.",
        ),
        scheduler,
        click.option(
            "--skip-existing", is_flag=True, envvar="NMFSEP_SKIP_EXISTING",
            help="Leave out inputs whose stems are there, by their manifest: same input, options and version.",
        ),
        click.option(
            "--fail-fast", is_flag=True, envvar="NMFSEP_FAIL_FAST", help="Stop at the first input that fails."
        ),
        click.option(
            "--depfile", metavar="FILE", type=click.Path(), envvar="NMFSEP_DEPFILE",
            help="Write which outputs come from which inputs, for make.",
        ),
        click.option(
            "--print-outputs", is_flag=True,
            help="With --dry-run: print all files that would be written, one a line, without a look at the inputs.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def processes(
    count: int,
    inputs: int,
    threads: int | None,
    scheduler: str | None,
    modules: Sequence[str],
    quiet: bool,
) -> tuple[Pool | None, int | None]:
    """Return what works on several files at a time, None where one process does, and the threads of each.

    Raises
    ------
    UsageError
        Both processes and a scheduler are asked for.
    """
    if scheduler is not None:
        if count != 1:
            raise UsageError("-j is of this machine; a scheduler has its own workers", "leave out -j or --scheduler")
        return Cluster(scheduler, str if quiet else console.say), threads or 1
    cores = cpu_count()
    count = min(count or cores, inputs)
    if count < 2:
        return None, threads
    threads = threads or max(1, cores // count)
    return Processes(count, modules, threads), threads


def survey(jobs: list[Job], options: RunOptions) -> list[tuple[int, int]]:
    """Return for each file the bytes that it takes and its size in samples, 0 where that cannot be known.

    What can be known of every input is checked here, before the first is touched: a job that cannot be done is refused.
    A broken file fails when its turn comes.
    """
    from ..jobs.budget import length_of
    from ..jobs.plan import check_source
    from ..signal.read import Source

    found = []
    for number, job in enumerate(jobs):
        need = size = 0
        if is_regular(job) and job.refused is None:  # a pipe can be read only once
            try:
                with contextlib.suppress(InputError, OutputError), Source(job.path) as source:
                    _, way = check_source(job, source, options.with_components(job.components))
                    size = (length_of(source, options.output) or 0) * source.channels
                    need = way.need
            except UsageError as error:
                jobs[number] = replace(job, refused=error)
        found.append((need, size))
    return found


def nothing_left(jobs: Sequence[Job]) -> bool:
    """Whether all jobs are refused, so that the command makes no sense; says why."""
    if not all(job.refused for job in jobs):
        return False
    for job in jobs:
        if job.refused is not None:
            console.say(console.describe(failure(job, job.refused)))
    return True


def is_regular(job: Job) -> bool:
    """Whether an input is a file that any process can open."""
    return job.path != "-" and os.path.isfile(os.fsencode(job.path))


def outcomes(
    jobs: Sequence[Job],
    options: RunOptions,
    pool: Pool | None,
    sizes: Sequence[tuple[int, int]],
    files: Files,
    fail_fast: bool = False,
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each job with what has become of it, as it is done; with `fail_fast`, up to a failure."""
    for number, outcome in _outcomes(jobs, options, pool, sizes, files, fail_fast):
        if outcome.error is not None and len(jobs) > 1:
            outcome = replace(outcome, error=failure(jobs[number], outcome.error))
        yield number, outcome
        if fail_fast and outcome.error is not None:
            return


def _outcomes(
    jobs: Sequence[Job],
    options: RunOptions,
    pool: Pool | None,
    sizes: Sequence[tuple[int, int]],
    files: Files,
    refused_first: bool,
) -> Iterator[tuple[int, Outcome]]:
    from ..jobs.track import Outcome, separate_file
    from ..signal.read import is_url

    levels = options.settings.levels
    steps = max(1, options.settings.max_iter * (len(levels) + 1 if levels else 1))
    here = [
        number
        for number, job in enumerate(jobs)
        if pool is None or job.refused is not None or not (is_regular(job) or is_url(job.path))
    ]
    if refused_first:
        here.sort(key=lambda number: jobs[number].refused is None)

    def follow(number: int, step: float, loss: float) -> None:
        files.part(number, step / steps)

    for number in here:  # nobody else has our standard input
        yield number, separate_file(jobs[number], options, functools.partial(follow, number))
    if pool is None:
        return
    there = sorted(set(range(len(jobs))) - set(here), key=lambda number: (-sizes[number][1], number))
    function = functools.partial(separate_file, options=options)
    chosen, needs = [jobs[number] for number in there], [sizes[number][0] for number in there]
    for number, outcome in pool.run(function, chosen, needs, options.limit):
        if isinstance(outcome, Lost):
            outcome = Outcome(error=InputError(*lost(outcome), path=chosen[number].path))
        yield there[number], outcome


def lost(end: Lost) -> tuple[str, str]:
    """Say of a file that it took two processes with it, and what to try."""
    hint = "it may take more memory than there is"
    if end.code is None:
        return "several workers died while they worked on it", hint
    how = f"was killed by signal {-end.code}" if end.code < 0 else f"ended with exit code {end.code}"
    return f"the process that worked on it {how}, twice", hint


class Telling:
    """Tells of each file as it is done, and of all at the end.

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

    def __call__(self, number: int, job: Job, outcome: Outcome) -> None:
        """Tell of one file."""
        with self.files.aside():
            if outcome.error is not None:
                self.code = max(self.code, outcome.error.exit_code)
                console.say(console.describe(outcome.error))
            elif outcome.manifest is not None and not outcome.skipped:
                report(job, outcome.manifest, self.quiet, self.verbose)
            elif self.verbose:
                console.say(f"{console.quote(job.path)}: was done before, skipped")
            if self.as_json:
                self._note(document(job, outcome))
            elif outcome.error is None:
                console.print_paths(job.as_written(outcome.manifest).results)
        self.files.end(number, outcome.status)

    def _note(self, news: dict[str, Any]) -> None:
        if self.many:
            console.print_json_line(news)
        else:
            for name, entries in self._all.items():
                entries += news[name]

    def end(self, total: int, retried: int) -> None:
        """Tell of all, where not all went as it should."""
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


def files_bar(
    jobs: Sequence[Job], sizes: Sequence[tuple[int, int]], shown: bool
) -> contextlib.AbstractContextManager[Files]:
    """Return what counts the files, with a bar where one is to be seen; `sizes` as `survey` has them."""
    label = jobs[0].track if len(jobs) == 1 else f"{len(jobs)} files"
    return progress.files_bar(label, [max(1, size) for _, size in sizes], shown)


def document(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Return what is said of a file in JSON."""
    error = outcome.error
    errors = [] if error is None else [_failure(error, job)]
    tracks = [] if outcome.manifest is None else [outcome.manifest]
    return {"path": job.path, "status": outcome.status, "tracks": tracks, "errors": errors}


def _failure(error: NmfsepError, job: Job) -> dict[str, Any]:
    path = job.path if error.path is None else os.fsdecode(error.path)
    return {"path": path, "message": str(error), "exit": error.exit_code}
