"""Dependencies of a run, as rules for make: which files were made from which."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from ..files.naming import collision_key
from ..files.publish import Output, folder_is_writable, publish_one
from ..system import exists
from .plan import Job
from .safety import identities, require_readable
from .track import Outcome


class Dependencies:
    """The dependencies of a run for make, written to the file of a name if there is one.

    `shared` are files that are read besides the inputs, such as dictionaries, on which all outputs depend. Of `jobs`
    those are refused whose names cannot be in a makefile.

    Raises
    ------
    UsageError
        The file is an input or output of the run or cannot be written, or the name of the only input cannot be in a
        makefile.
    """

    def __init__(self, name: str | None, jobs: list[Job], shared: Sequence[str]) -> None:
        self._path = None if name is None else Path(os.fsdecode(name))
        self._jobs, self._shared = jobs, shared
        self._made: dict[int, Job] = {}
        if self._path is None:
            return
        if exists(self._path, follow=False):
            require_readable(str(self._path))
        taken = {collision_key(path) for job in jobs for path in job.outputs}
        sources = identities([*(job.path for job in jobs), *shared])
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

    def add(self, number: int, outcome: Outcome) -> None:
        """Take note of a job whose files are there."""
        if outcome.error is None:
            self._made[number] = self._jobs[number].as_written(outcome.manifest)

    def write(self) -> None:
        """Write the rules of all jobs whose files are there, in the order of inputs."""
        if self._path is not None:
            with Output(self._path) as file:
                file.write(b"".join(self._rule(job) for _, job in sorted(self._made.items())))
                publish_one(file)

    def _rule(self, job: Job) -> bytes:
        return rule(job.outputs, (*([] if job.path == "-" else [job.path]), *self._shared))


def rule(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> bytes:
    """Return the line of a makefile that says what outputs are made from; raise UsageError at a line break."""
    left = b" ".join(_escaped(name, rb" \t#:%") for name in outputs)
    right = b" ".join(_escaped(name, rb" \t#:") for name in inputs)
    return left + b": " + right + b"\n"


def _escaped(name: str | os.PathLike[str], special: bytes) -> bytes:
    raw = os.fsencode(name)
    if b"\n" in raw:
        raise UsageError("has a line break in its name, which no makefile can hold", "leave out --depfile", name)
    # make takes a backslash for itself unless one of these follows
    return re.sub(b"([%s])" % special, rb"\\\1", raw).replace(b"$", b"$$")
