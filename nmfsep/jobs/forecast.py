"""Forecast of a run: which files a job would write, in which format, and how much memory it would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..separation.beyond_masks import NO_ROOM
from ..signal.read import Source
from .budget import stretch_of
from .plan import Job, check_source
from .resume import same_input
from .run_options import RunOptions


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would be written for a job.

    Attributes
    ----------
    job : Job
    memory : int
        Bytes.
    streamed : bool
        Whether the file would be read a part at a time.
    frames : int
        Learned from at the most, where it would be; else 0.
    subtype : str
    notes : tuple of str
    done_before : bool
        Whether the stems are there already, and would be skipped.
    """

    job: Job
    memory: int
    streamed: bool
    frames: int
    subtype: str
    notes: tuple[str, ...]
    done_before: bool

    @property
    def results(self) -> list[Path]:
        """Files that would be written and whose names are certain."""
        return [path for path in self.job.results if not (self.job.names_pending and path in self.job.targets)]

    def document(self) -> dict[str, object]:
        """Return it as JSON."""
        return {
            "path": self.job.path,
            "outputs": [str(path) for path in self.results],
            "stems": list(self.job.names),
            "memory": self.memory,
            "streamed": self.streamed,
            "subtype": self.subtype,
        }


def forecast(job: Job, options: RunOptions) -> Forecast:
    """Check a job as far as can be without separating, and return what it would write.

    Raises
    ------
    NmfsepError
        The job cannot be done.
    """
    if job.refused is not None:
        raise job.refused
    with Source(job.path) as source:
        form, way = check_source(job, source, options.with_components(job.components))
        guide, stretch = options.guide, stretch_of(source, options.output)
        notes = guide.check(source.sample_rate, options.settings, *stretch) if guide else []
    if guide is not None and guide.matches(options.settings) and not way.match:
        notes = [*notes, NO_ROOM]
    if job.names_pending:
        notes = [*notes, "the names of the stems will be known when it is known how they sound"]
    done = job.up_to_date and job.manifest is not None and same_input(job.path, job.manifest)
    return Forecast(job, way.need, way.streamed, way.frames, form.subtype, tuple(notes), done)
