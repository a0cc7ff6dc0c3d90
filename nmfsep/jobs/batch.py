"""A batch: many files separated, in this process, in several, or at the workers of a cluster.

Jobs that `plan` made and the `RunOptions` of all go in; what has become of each file comes out as it is done. Files
are looked at before the first is touched, the longest begin first, and one that fails does not end the others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from .. import memory
from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..grouping.atoms import method_note
from ..guidance.guide import Guide
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.read import Source, is_url
from ..system import cpu_count
from .budget import length_of
from .cluster import Cluster
from .depfile import Dependencies
from .inputs import Input
from .plan import Job, check_source, plan
from .pool import Lost, Pool, Processes
from .run_options import RunOptions
from .track import Outcome, separate_file

MODULES = ("nmfsep.jobs.track",)  # what a process loads before its first file
Report = Callable[[str | None, str], object]


def no_report(path: str | None, text: str) -> None:
    """Keep what the user should know to oneself."""


class Batch:
    """Files to separate: planned on entry, checked by `prepare`, separated by `run`.

    Parameters
    ----------
    inputs : sequence of Input
    settings : Settings
    output : OutputSettings
    guide : Guide, optional
        What is known of the stems beforehand.
    processes : int, default 1
        Files at a time, each in a process of its own; 0 is one for each core.
    scheduler : str, optional
        Address of a Dask scheduler at whose workers files are separated, in place of processes.
    limit : int, optional
        Bytes of memory that may be taken.
    auto_k : bool, default False
        Whether each file has as many stems as `rank_sound` recommends.
    skip_existing : bool, default False
        Whether files are left out that such a run has done before.
    only_look : bool, default False
        Whether nothing will be separated, so that no process is started.
    debug : bool, default False
        Whether bugs end the run.
    report : callable, optional
        Called as report(path, text) with what the user should know; the path is None where it is about the whole run.

    Attributes
    ----------
    jobs : list of Job
        What will be done with each file; those that cannot be done are refused.
    sizes : list of (int, int)
        Bytes that each file takes, and its samples, once they are checked; 0 where that cannot be known.

    Examples
    --------
    >>> from nmfsep.jobs.inputs import Input
    >>> from nmfsep.settings import OutputSettings, Settings
    >>> with Batch([Input("song.wav")], Settings(components=4), OutputSettings()) as batch:  # doctest: +SKIP
    ...     batch.prepare()
    ...     outcomes = dict(batch.run())
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        settings: Settings,
        output: OutputSettings,
        guide: Guide | None = None,
        *,
        processes: int = 1,
        scheduler: str | None = None,
        limit: int | None = None,
        auto_k: bool = False,
        skip_existing: bool = False,
        only_look: bool = False,
        debug: bool = False,
        report: Report = no_report,
    ) -> None:
        pool, threads = workers(processes, len(inputs), settings.threads, scheduler, report=report)
        if scheduler is not None:  # workers have working folders of their own
            inputs, output = absolute(inputs), replace(output, out=os.path.abspath(output.out))
        self._pool = None if only_look else pool
        self._auto_k, self._skip_existing, self._report = auto_k, skip_existing, report
        self._dependencies: Dependencies | None = None
        self.inputs, self.jobs = inputs, list[Job]()
        self.sizes = [(0, 0)] * len(inputs)
        self.options = RunOptions(settings, output, guide, limit=limit, threads=threads, debug=debug)

    def __enter__(self) -> Batch:
        """Start the processes, and plan what will be done."""
        if self._pool is not None:
            self._pool.__enter__()
        try:
            self._plan()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.__exit__(kind, error, trace)

    def _plan(self) -> None:
        options = self.options
        self.jobs = plan(self.inputs, options, self._skip_existing)
        if options.guide is None and (note := method_note(options.settings)) is not None:
            self._report(None, note)
        if self._auto_k:
            self.jobs = with_auto_k(self.jobs, self.inputs, options, self._report)

    @property
    def restarted(self) -> int:
        """Files that were begun again since the process that worked on them had died."""
        return len(self._pool.retried) if self._pool is not None else 0

    def prepare(self, depfile: str | None = None) -> None:
        """Look at all files before the first is touched; `depfile` is where their dependencies go, for make."""
        self._dependencies = Dependencies(depfile, self.jobs, self.options.files_read)
        if isinstance(self._pool, Processes):  # each would take what is free for its own
            self.options = replace(self.options, limit=memory.allowance(self.options.limit))
        if len(self.jobs) > 1:
            self.sizes = survey(self.jobs, self.options)

    def run(
        self, on_progress: Callable[[int, float], object] | None = None, fail_fast: bool = False
    ) -> Iterator[tuple[int, Outcome]]:
        """Separate the files and yield the number of each with what has become of it, as it is done.

        Parameters
        ----------
        on_progress : callable, optional
            Called as on_progress(number, share) while a file is in work in this process.
        fail_fast : bool, default False
            Whether to end after the first failure.
        """
        for number, outcome in separate_files(self.jobs, self.options, self._pool, self.sizes, on_progress, fail_fast):
            if self._dependencies is not None:
                self._dependencies.add(number, outcome)
            yield number, outcome

    def write_dependencies(self) -> None:
        """Write which outputs were made from which inputs, if that is wanted."""
        if self._dependencies is not None:
            self._dependencies.write()


def workers(
    count: int,
    inputs: int,
    threads: int | None = None,
    scheduler: str | None = None,
    modules: Sequence[str] = MODULES,
    report: Report = no_report,
) -> tuple[Pool | None, int | None]:
    """Return what works on several files at a time, None where one process does, and the threads of each.

    Parameters
    ----------
    count : int
        Processes; 0 is one for each core.
    inputs : int
        Files: there are no more processes.
    threads : int, optional
        Those that the user asked for.
    scheduler : str, optional
        Address of a Dask scheduler, in place of processes.
    modules : sequence of str
        What each process loads.
    report : callable, optional
        Called as report(None, text) with what happens at a cluster.

    Raises
    ------
    UsageError
        Both processes and a scheduler are asked for.
    """
    if scheduler is not None:
        if count != 1:
            raise UsageError("-j is of this machine; a scheduler has its own workers", "leave out -j or --scheduler")
        return Cluster(scheduler, functools.partial(report, None)), threads or 1
    cores = cpu_count()
    count = min(count or cores, inputs)
    if count < 2:
        return None, threads
    threads = threads or max(1, cores // count)
    return Processes(count, modules, threads), threads


def with_auto_k(
    jobs: Sequence[Job],
    inputs: Sequence[Input],
    options: RunOptions,
    report: Report = no_report,
) -> list[Job]:
    """Return the jobs with as many stems as `rank_sound` recommends for each, at least two.

    An input whose components cannot be counted is refused, so that the others are done; `report` is called with the
    path and number of each.

    Raises
    ------
    NmfsepError
        The only input cannot be counted.
    """
    from .inspect import rank_sound

    found = []
    for job, entry in zip(jobs, inputs, strict=True):
        if job.path == "-":
            raise UsageError("-k auto reads its input twice, which standard input does not allow", "save it first")
        if job.refused is None:
            try:
                count = max(2, rank_sound(job.path, options.settings, options.output, limit=options.limit).recommended)
                report(job.path, f"{count} components")
                job = replace(plan([entry], options.with_components(count))[0], components=count)
            except NmfsepError as error:
                if len(jobs) == 1:
                    raise
                job = replace(job, refused=error)
        found.append(job)
    return found


def absolute(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs under names that do not depend on the working folder."""
    return [
        entry if entry.path == "-" or is_url(entry.path) else replace(entry, path=os.path.abspath(entry.path))
        for entry in inputs
    ]


def survey(jobs: list[Job], options: RunOptions) -> list[tuple[int, int]]:
    """Return for each file the bytes that it takes and its size in samples, 0 where that cannot be known.

    What can be known of every input is checked here, before the first is touched: a job that cannot be done is refused.
    A broken file fails when its turn comes.
    """
    found = []
    for number, job in enumerate(jobs):
        need = size = 0
        if _is_regular(job) and job.refused is None:  # a pipe can be read only once
            try:
                with contextlib.suppress(InputError, OutputError), Source(job.path) as source:
                    _, way = check_source(job, source, options.with_components(job.components))
                    size = (length_of(source, options.output) or 0) * source.channels
                    need = way.need
            except UsageError as error:
                jobs[number] = replace(job, refused=error)
        found.append((need, size))
    return found


def separate_files(
    jobs: Sequence[Job],
    options: RunOptions,
    pool: Pool | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    on_progress: Callable[[int, float], object] | None = None,
    fail_fast: bool = False,
) -> Iterator[tuple[int, Outcome]]:
    """Separate files and yield the number of each job with what has become of it, as it is done.

    Parameters
    ----------
    jobs : sequence of Job
    options : RunOptions
    pool : Pool, optional
        What works on several at a time; begun.
    sizes : sequence of (int, int), optional
        From `survey`; needed with a pool.
    on_progress : callable, optional
        Called as on_progress(number, share) while a file is in work in this process.
    fail_fast : bool, default False
        Whether to end after the first failure.
    """
    for number, outcome in _outcomes(jobs, options, pool, sizes or [], on_progress, fail_fast):
        if outcome.error is not None and len(jobs) > 1:
            outcome = replace(outcome, error=input_error(jobs[number], outcome.error))
        yield number, outcome
        if fail_fast and outcome.error is not None:
            return


def _outcomes(
    jobs: Sequence[Job],
    options: RunOptions,
    pool: Pool | None,
    sizes: Sequence[tuple[int, int]],
    on_progress: Callable[[int, float], object] | None,
    refused_first: bool,
) -> Iterator[tuple[int, Outcome]]:
    levels = options.settings.levels
    steps = max(1, options.settings.max_iter * (len(levels) + 1 if levels else 1))
    here = [
        number
        for number, job in enumerate(jobs)
        if pool is None or job.refused is not None or not (_is_regular(job) or is_url(job.path))
    ]
    if refused_first:
        here.sort(key=lambda number: jobs[number].refused is None)

    def follow(number: int, step: float, loss: float) -> None:
        if on_progress is not None:
            on_progress(number, step / steps)

    for number in here:  # nobody else has our standard input
        yield number, separate_file(jobs[number], options, functools.partial(follow, number))
    if pool is None:
        return
    there = sorted(set(range(len(jobs))) - set(here), key=lambda number: (-sizes[number][1], number))
    function = functools.partial(separate_file, options=options)
    chosen, needs = [jobs[number] for number in there], [sizes[number][0] for number in there]
    for number, outcome in pool.run(function, chosen, needs, options.limit):
        if isinstance(outcome, Lost):
            outcome = Outcome(error=_worker_died(outcome, chosen[number].path))
        yield there[number], outcome


def _is_regular(job: Job) -> bool:
    """Whether an input is a file that any process can open."""
    return job.path != "-" and os.path.isfile(os.fsencode(job.path))


def _worker_died(end: Lost, path: str) -> InputError:
    """Return the error of a file that took two processes with it."""
    what = "several workers died while they worked on it"
    if end.code is not None:
        how = f"was killed by signal {-end.code}" if end.code < 0 else f"ended with exit code {end.code}"
        what = f"the process that worked on it {how}, twice"
    return InputError(what, "it may take more memory than there is", path)


def input_error(job: Job, error: NmfsepError) -> NmfsepError:
    """Return an error of one input of many with its name; what is wrong with one is nothing wrong with the command."""
    path = job.path if error.path is None else error.path
    if isinstance(error, UsageError):
        return InputError(error.message, error.hint, path)
    error.path = path
    return error
