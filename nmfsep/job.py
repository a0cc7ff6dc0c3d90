"""One track to separate: its stems, their names, and where they go."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import NmfsepError
from .inputs import Input
from .manifest import Manifest, vouched_model
from .naming import beside, expand, manifest_name, model_name, parent_name, track_name
from .registry import EXPORTS
from .separation.saved import Known, Saved
from .settings import OutputSettings, Settings
from .signal.formats import FORMATS


@dataclass(frozen=True, slots=True)
class Job:
    """One track to separate.

    Attributes
    ----------
    path : str
        The input; "-" is standard input.
    track : str
    names : tuple of str
        All stems, loudest first.
    selected : tuple of int
        Indices of those to write.
    targets : tuple of Path
        Their files; empty when writing to standard output.
    manifest : Path or None
    model : Path or None
        Where the factorization is kept, if it is to be.
    kept : Path or None
        The model in place that is rendered from, which stays.
    exports : tuple of (str, Path)
        What else is written, by names of the registry, and where.
    promised : bool
        Whether the manifest in place promises these very stems of an input that has not been looked at yet.
    untitled : bool
        Whether stems get other names, and their files with them, once it is known how they sound.
    components : int or None
        Found for this input, in place of those of the settings.
    refused : NmfsepError or None
        Why nothing can be done with this input, if that is known before any work.
    """

    path: str
    track: str
    names: tuple[str, ...]
    selected: tuple[int, ...]
    targets: tuple[Path, ...]
    manifest: Path | None
    model: Path | None = None
    kept: Path | None = None
    exports: tuple[tuple[str, Path], ...] = ()
    components: int | None = None
    promised: bool = False
    untitled: bool = False
    refused: NmfsepError | None = None

    @property
    def results(self) -> tuple[Path, ...]:
        """What is told on standard output: stems and exports."""
        return (*self.targets, *(path for _, path in self.exports))

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is written but the manifest."""
        return (*self.results, *filter(None, (self.model,)))

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that is written."""
        return (*self.files, *filter(None, (self.manifest,)))

    def as_written(self, manifest: Manifest | None) -> Job:
        """Return the job with the names that its stems have in a manifest, where they were not known before."""
        if manifest is None or self.manifest is None or not self.untitled:
            return self
        folder, names = self.manifest.parent, list(self.names)
        for index, stem in zip(self.selected, manifest["stems"], strict=True):
            names[index] = stem["name"]
        return replace(self, names=tuple(names), targets=tuple(folder / stem["file"] for stem in manifest["stems"]))


def job_of(
    entry: Input,
    names: tuple[str, ...],
    selected: tuple[int, ...],
    settings: Settings,
    output: OutputSettings,
    known: Known | None,
) -> Job:
    """Return the job of one input; `selected` are the indices of the stems to write."""
    path, track = entry.path, track_name(entry.path)
    if output.out == "-":
        return Job(path, track, names, selected, (), None)
    targets = []
    for index in selected:
        fields = _fields(path, names[index], index, settings, output)
        targets.append(Path(output.out) / entry.below / expand(output.filename, fields))
    folder = Path(os.path.commonpath([target.parent for target in targets]))
    manifest, kept = folder / manifest_name(track), None
    if isinstance(known, Saved):
        before = vouched_model(manifest)
        kept = before if before and before.is_file() and os.path.samefile(before, os.fsencode(known.path)) else None
    model = folder / model_name(track) if output.save_model else None
    exports = tuple((name, folder / beside(track, EXPORTS.load(name).suffix)) for name in output.exports)
    untitled = output.label == "auto"
    return Job(path, track, names, selected, tuple(targets), manifest, model, kept, exports, untitled=untitled)


def titled(job: Job, names: Sequence[str], settings: Settings, output: OutputSettings) -> Job:
    """Return a job whose stems have other names, which stand in the last part of their files' names only."""
    last = output.filename.rpartition("/")[2]
    files = [expand(last, _fields(job.path, names[index], index, settings, output)).name for index in job.selected]
    targets = tuple(target.with_name(name) for target, name in zip(job.targets, files, strict=True))
    return replace(job, names=tuple(names), targets=targets)


def _fields(path: str, stem: str, index: int, settings: Settings, output: OutputSettings) -> Mapping[str, str]:
    return {
        "track": track_name(path),
        "stem": stem,
        "ext": FORMATS[output.format].extension,
        "index": str(index + 1),
        "parent": parent_name(path),
        "k": str(settings.components),
        "seed": str(settings.seed),
    }
