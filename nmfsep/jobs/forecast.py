"""Forecast of a run: which files a job would write, in which format, and how much memory it would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..guidance.guide import Guide
from ..separation.saved import Known
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.read import Source
from .budget import budget, stretch_of
from .plan import Job, inspect, own
from .resume import same_input


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
        return [path for path in self.job.results if not (self.job.untitled and path in self.job.targets)]

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


def forecast(
    job: Job, settings: Settings, output: OutputSettings, known: Known | None = None, limit: int | None = None
) -> Forecast:
    """Check a job as far as can be without separating, and return what it would write.

    Raises
    ------
    NmfsepError
        The job cannot be done.
    """
    if job.refused is not None:
        raise job.refused
    with Source(job.path) as source:
        mine = own(job, settings)
        form = inspect(job, source, mine, output, limit, known)
        way = budget(source, mine, output, known, limit)
        guide, stretch = known if isinstance(known, Guide) else None, stretch_of(source, output)
        notes = guide.check(source.sample_rate, settings, *stretch) if guide else []
    if job.untitled:
        notes = [*notes, "the names of the stems will be known when it is known how they sound"]
    done = job.promised and job.manifest is not None and same_input(job.path, job.manifest)
    return Forecast(job, way.need, way.streamed, way.frames, form.subtype, tuple(notes), done)
