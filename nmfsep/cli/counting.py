"""``-k auto``: as many stems as each input has stable components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..errors import NmfsepError, UsageError
from ..settings import OutputSettings, Settings
from . import console
from .params import Whole

if TYPE_CHECKING:
    from ..inputs import Input
    from ..job import Job

AUTO = "auto"


class Count(Whole):
    """A whole number, or auto."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or AUTO."""
        return AUTO if value == AUTO else super().convert(value, param, ctx)


def begin(values: dict[str, Any]) -> bool:
    """Return whether the number of stems is to be found, and put what the checks before that need in its place."""
    if values["components"] != AUTO:
        return False
    if values["preset"] is not None or values["levels"] is not None or values["model"] != "nmf":
        raise UsageError("-k auto counts the components of model nmf", "leave out --preset, --levels and --model")
    values["components"] = 2
    if values["atoms"] is None and values["grouping"] == AUTO:
        values["atoms"] = 1  # what is counted are components of one template
    return True


def counted(
    jobs: list[Job],
    inputs: Sequence[Input],
    settings: Settings,
    output: OutputSettings,
    limit: int | None,
    quiet: bool,
) -> list[Job]:
    """Return the jobs with as many stems as `rank` recommends for each, at least two; refused where it cannot tell."""
    from ..inspection.rank import rank_sound
    from ..plan import plan

    found = []
    for job, entry in zip(jobs, inputs, strict=True):
        if job.path == "-":
            raise UsageError("-k auto reads its input twice, which standard input does not allow", "save it first")
        if job.refused is None:
            try:
                count = max(2, rank_sound(job.path, settings, output, limit=limit).recommended)
                if not quiet:
                    console.say(f"{console.quote(job.path)}: {count} components")
                job = replace(plan([entry], replace(settings, components=count), output)[0], components=count)
            except NmfsepError as error:  # told when its turn comes, so that the others are done
                if len(jobs) == 1:
                    raise
                job = replace(job, refused=error)
        found.append(job)
    return found
