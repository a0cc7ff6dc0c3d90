"""The work on one file of many: a function of it and of what all have in common, for any pool of processes."""

from __future__ import annotations

from dataclasses import dataclass

from .access import identities
from .batch import run
from .errors import BugError, InputError, NmfsepError
from .job import Job
from .manifest import Manifest, load
from .plan import files_of, require_room
from .resume import same_input
from .separation.saved import Known
from .separation.stages import Told
from .settings import OutputSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done with every file of a run.

    Attributes
    ----------
    settings : Settings
    output : OutputSettings
    known : Guide or Saved, optional
        The dictionaries to separate with.
    limit : int, optional
        Bytes of memory that a file may take.
    threads : int, optional
        Threads for a file where the settings do not say.
    debug : bool
        Let bugs pass.
    """

    settings: Settings
    output: OutputSettings
    known: Known | None = None
    limit: int | None = None
    threads: int | None = None
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a file.

    Attributes
    ----------
    manifest : dict or None
        Of its stems, None if it failed.
    error : NmfsepError or None
        Why it failed.
    skipped : bool
        Whether an earlier run had made the stems.
    """

    manifest: Manifest | None = None
    error: NmfsepError | None = None
    skipped: bool = False

    @property
    def status(self) -> str:
        """Which it is: done, skipped or failed."""
        return "failed" if self.error else "skipped" if self.skipped else "done"


def separate(job: Job, work: Work, progress: Told | None = None) -> Outcome:
    """Separate a file and write its stems, unless those of an earlier run are there and were promised.

    Whatever is wrong with the file is in the outcome. All that is given and returned can be pickled.

    Parameters
    ----------
    job : Job
    work : Work
    progress : callable, optional
        Called as progress(iteration, loss).
    """
    if job.refused is not None:
        return Outcome(error=job.refused)
    try:
        if job.promised and job.manifest is not None:
            if same_input(job.path, job.manifest):
                return Outcome(load(job.manifest), skipped=True)
            require_room(job, identities((job.path, *files_of(work.known))), work.output)
        return Outcome(
            run(job, work.settings, work.output, work.known, limit=work.limit, threads=work.threads, progress=progress)
        )
    except MemoryError:
        return Outcome(error=InputError("memory does not suffice", "use --duration or fewer components", job.path))
    except NmfsepError as error:
        error.path = job.path if error.path is None else error.path
        return Outcome(error=error)
    except OSError as error:
        if error.filename is None and job.manifest is None:  # what is wrong with standard output ends the run
            raise
        what = (error.strerror or str(error)).lower()
        return Outcome(error=InputError(what, path=job.path if error.filename is None else error.filename))
    except Exception as error:
        if work.debug or job.manifest is None:
            raise
        if isinstance(error, OSError):
            return Outcome(error=InputError((error.strerror or str(error)).lower(), path=error.filename or job.path))
        what = f"this is a bug: {type(error).__name__}: {str(error)[:200]}"
        return Outcome(error=BugError(what, "run again with --debug and report it", job.path))
