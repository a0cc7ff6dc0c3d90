"""A batch: many files separated, in this process, in several, or at the workers of a cluster.

Inputs and options go in; what has become of each file comes out as it is done. Files are looked at before the first is
touched, the longest begin first, and one that fails does not end the others.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from .. import memory
from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..grouping.atoms import method_note
from ..jobs.budget import length_of
from ..jobs.depfile import Dependencies
from ..jobs.inputs import Input
from ..jobs.plan import Job, check_source, plan
from ..jobs.run_options import RunOptions
from ..jobs.track import Outcome, separate_file
from ..signal.read import Source, is_url
from ..system import cpu_count, is_file
from .cluster import Cluster
from .pool import Lost, Pool, Processes

MODULES = ("nmfsep.jobs.track",)  # what a process loads before its first file
Report = Callable[[str | None, str], object]  # path, None where it is about the whole run, and text
OnShare = Callable[[int, float], object]  # number of a file, and the share of it that is done


def no_report(path: str | None, text: str) -> None:
    """Keep what the user should know to oneself."""


class Batch:
    """Files to separate: planned on entry, checked by `prepare`, separated by `run`.

    Parameters
    ----------
    inputs : sequence of Input
    options : RunOptions
        What is done with every file; the threads of each are decided here.
    processes : int, default 1
        Files at a time, each in a process of its own; 0 is one for each core.
    scheduler : str, optional
        Address of a Dask scheduler at whose workers files are separated, instead of processes.
    auto_k : bool, default False
        Whether each file has as many stems as `rank_sound` recommends.
    skip_existing : bool, default False
        Whether files are left out that such a run has done before.
    only_look : bool, default False
        Whether nothing will be separated, so that no process is started.
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
    >>> from nmfsep.settings import Settings
    >>> with Batch([Input("song.wav")], RunOptions(Settings(components=4))) as batch:  # doctest: +SKIP
    ...     batch.prepare()
    ...     outcomes = dict(batch.run())
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        options: RunOptions,
        *,
        processes: int = 1,
        scheduler: str | None = None,
        auto_k: bool = False,
        skip_existing: bool = False,
        only_look: bool = False,
        report: Report = no_report,
    ) -> None:
        pool, threads = workers(processes, len(inputs), options.settings.threads, scheduler, report=report)
        if scheduler is not None:  # workers have working folders of their own
            inputs = [_absolute(entry) for entry in inputs]
            options = replace(options, output=replace(options.output, out=os.path.abspath(options.output.out)))
        self._pool = None if only_look else pool
        self._auto_k, self._skip_existing, self._report = auto_k, skip_existing, report
        self.inputs, self.jobs, self.sizes = inputs, list[Job](), [(0, 0)] * len(inputs)
        self.options = replace(options, threads=threads)

    def __enter__(self) -> Batch:
        """Start the processes, and plan what will be done."""
        with contextlib.ExitStack() as stack:
            if self._pool is not None:
                stack.enter_context(self._pool)
            self.jobs = plan(self.inputs, self.options, self._skip_existing)
            self._dependencies = Dependencies(None, self.jobs, ())
            if self.options.guide is None and (note := method_note(self.options.settings)) is not None:
                self._report(None, note)
            if self._auto_k:
                self.jobs = [self._with_auto_k(*both) for both in zip(self.jobs, self.inputs, strict=True)]
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self._open.__exit__(kind, error, trace)

    def _with_auto_k(self, job: Job, entry: Input) -> Job:
        """Return a job with as many stems as `rank_sound` recommends, at least two.

        A job whose stems cannot be counted is refused; the only one raises its error.
        """
        from ..results.inspect import rank_sound

        options = self.options
        if job.path == "-":
            raise UsageError("-k auto reads its input twice, which standard input does not allow", "save it first")
        if job.refused is not None:
            return job
        try:
            count = max(2, rank_sound(job.path, options.settings, options.output, limit=options.limit).recommended)
            self._report(job.path, f"{count} components")
            return replace(plan([entry], options.with_components(count))[0], components=count)
        except NmfsepError as error:
            if len(self.inputs) == 1:
                raise
            return replace(job, refused=error)

    @property
    def restarted(self) -> int:
        """Files that were begun again since the process that worked on them had died."""
        return len(self._pool.retried) if self._pool is not None else 0

    def prepare(self, depfile: str | None = None) -> None:
        """Look at all files before the first is touched, and refuse those that cannot be done.

        A broken file fails when its turn comes. `depfile` is where the dependencies of the outputs go, for make.
        """
        own = [self.options.for_input(job.path) for job in self.jobs if job.refused is None]
        read = dict.fromkeys(name for each in own for name in each.files_read)
        self._dependencies = Dependencies(depfile, self.jobs, tuple(read))
        if isinstance(self._pool, Processes):  # each would take what is free for its own
            self.options = replace(self.options, limit=memory.allowance(self.options.limit))
        for number, job in enumerate(self.jobs if len(self.jobs) > 1 else ()):
            if not _is_regular(job) or job.refused is not None:  # a pipe can be read only once
                continue
            try:
                with contextlib.suppress(InputError, OutputError), Source(job.path) as source:
                    _, way = check_source(job, source, self.options.for_input(job.path, job.components))
                    length = length_of(source, self.options.output) or 0
                    self.sizes[number] = way.need, length * source.channels
            except UsageError as error:
                self.jobs[number] = replace(job, refused=error)

    def run(self, on_progress: OnShare | None = None, fail_fast: bool = False) -> Iterator[tuple[int, Outcome]]:
        """Separate the files and yield the number of each with what has become of it, as it is done.

        Parameters
        ----------
        on_progress : callable, optional
            Called as on_progress(number, share) while a file is in work in this process.
        fail_fast : bool, default False
            Whether to end after the first failure.
        """
        for number, outcome in self._outcomes(on_progress, fail_fast):
            if self.options.output.report:
                from ..results.report import with_report  # which loads what few runs need

                outcome = with_report(self.jobs[number], outcome, self.options)
            if outcome.error is not None and len(self.jobs) > 1:
                outcome = replace(outcome, error=input_error(self.jobs[number], outcome.error))
            self._dependencies.add(number, outcome)
            yield number, outcome
            if fail_fast and outcome.error is not None:
                return

    def _outcomes(self, on_progress: OnShare | None, refused_first: bool) -> Iterator[tuple[int, Outcome]]:
        """Separate what no other process may, as it has our standard input, then all else where it is to be done."""
        jobs, options, pool = self.jobs, self.options, self._pool
        levels = options.settings.levels
        steps = max(1, options.settings.max_iter * (len(levels) + 1 if levels else 1))

        def follow(number: int, step: float, loss: float) -> None:
            if on_progress is not None:
                on_progress(number, step / steps)

        def is_here(job: Job) -> bool:
            return pool is None or job.refused is not None or not (_is_regular(job) or is_url(job.path))

        here = [number for number, job in enumerate(jobs) if is_here(job)]
        if refused_first:
            here.sort(key=lambda number: jobs[number].refused is None)
        for number in here:
            yield number, separate_file(jobs[number], options, functools.partial(follow, number))
        if pool is None:
            return
        there = sorted(set(range(len(jobs))) - set(here), key=lambda number: (-self.sizes[number][1], number))
        function = functools.partial(separate_file, options=options)
        chosen, needs = [jobs[number] for number in there], [self.sizes[number][0] for number in there]
        for index, outcome in pool.run(function, chosen, needs, options.limit):
            if isinstance(outcome, Lost):
                outcome = Outcome(error=_worker_died(outcome, chosen[index].path))
            yield there[index], outcome

    def write_dependencies(self) -> None:
        """Write which outputs were made from which inputs, if that is wanted."""
        self._dependencies.write()


def workers(
    count: int,
    inputs: int,
    threads: int | None = None,
    scheduler: str | None = None,
    modules: Sequence[str] = MODULES,
    report: Report = no_report,
) -> tuple[Pool | None, int | None]:
    """Return what works on several files at a time, None where this process does, and the threads of each.

    There are as many processes as files at the most; a count of 0 is one for each core. Each loads the modules, and
    has the threads that the user asked for, else its share of the cores. With the address of a Dask scheduler there is
    no process here; `report` then takes what happens there.

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


def input_error(job: Job, error: NmfsepError) -> NmfsepError:
    """Return an error of one input of many with its name; what is wrong with one is nothing wrong with the command."""
    path = job.path if error.path is None else error.path
    if isinstance(error, UsageError):
        return InputError(error.message, error.hint, path)
    error.path = path
    return error


def _worker_died(end: Lost, path: str) -> InputError:
    """Return the error of a file that took two processes with it."""
    what = "several workers died while they worked on it"
    if end.code is not None:
        how = f"was killed by signal {-end.code}" if end.code < 0 else f"ended with exit code {end.code}"
        what = f"the process that worked on it {how}, twice"
    return InputError(what, "it may take more memory than there is", path)


def _absolute(entry: Input) -> Input:
    """Return an input under a name that does not depend on the working folder."""
    named = entry.path == "-" or is_url(entry.path)
    return entry if named else replace(entry, path=os.path.abspath(entry.path))


def _is_regular(job: Job) -> bool:
    """Whether an input is a file that any process can open."""
    return job.path != "-" and is_file(job.path)
