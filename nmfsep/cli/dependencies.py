"""The option --depfile."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..job import Job
    from ..separation.saved import Known
    from ..tasks import Outcome


class Rules:
    """The dependencies of a run for make, if they are wanted.

    Parameters
    ----------
    name : str, optional
        The file to write.
    jobs : list of Job
        Of which those are refused whose names cannot be in a makefile.
    known : Guide, optional
        The dictionaries, on which all outputs depend.

    Raises
    ------
    UsageError
        The file is an input or output of the run or cannot be written, or the name of the only input cannot be in a
        makefile.
    """

    def __init__(self, name: str | None, jobs: list[Job], known: Known | None) -> None:
        from ..access import identities, require_readable
        from ..naming import collision_key
        from ..plan import files_of
        from ..signal.publish import folder_is_writable

        self._path = None if name is None else Path(os.fsdecode(name))
        self._jobs, self._shared = jobs, files_of(known)
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
        from ..depfile import write

        if self._path is not None:
            write(self._path, [self._rule(job) for _, job in sorted(self._made.items())])

    def _rule(self, job: Job) -> bytes:
        from ..depfile import rule

        return rule(job.outputs, (*([] if job.path == "-" else [job.path]), *self._shared))
