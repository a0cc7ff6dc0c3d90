"""What a run will do, checked as far as it can be before any work starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import memory
from ..errors import NmfsepError, UsageError
from ..guidance.guide import Guide
from ..kernels.divergence import as_divergence
from ..nmf.fit import choose_solver
from ..registry import EXPORTS, suggestion
from ..separation.options import require_model
from ..separation.saved import Known, Saved
from ..separation.stem_groups import arrange
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.formats import FORMATS, SampleFormat, resolve
from ..signal.naming import (
    beside,
    check_template,
    collision_key,
    expand,
    manifest_name,
    model_name,
    parent_name,
    track_name,
)
from ..signal.read import Source
from ..signal.stft import STFT
from .budget import budget, length_of, model_size, stretch_of
from .inputs import Input
from .manifest import Manifest, Origin, vouched_model
from .resume import promises, titles_in
from .safety import identities, require_free, require_readable, require_space


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


APART = "{parent}/{track}/{stem}.{ext}"  # the template that tells tracks of one name apart


def plan(
    inputs: Sequence[str | Input],
    settings: Settings,
    output: OutputSettings,
    known: Known | None = None,
    resume: bool = False,
) -> list[Job]:
    """Return the jobs of a run; with `resume`, what is there from an earlier one is not looked at closely.

    A job is refused if its input is missing, its output would overwrite an input, a file of another program or what was
    made from another input, or its folder cannot be written to.

    Raises
    ------
    UsageError
        The options make no sense, two outputs would have one name, or the only job is refused.
    """
    entries = [Input(entry) if isinstance(entry, str) else entry for entry in inputs]
    paths = [entry.path for entry in entries]
    try:
        os.getcwd()
    except OSError as error:
        if not all(os.path.isabs(path) for path in (*paths, output.out) if path != "-"):
            raise UsageError("the working folder no longer exists", "change to one that does") from error
    untitled = output.label == "auto"
    check_template(output.filename, untitled)
    check_model(settings, known)
    names = stem_names(settings, known)
    selected = _selected(names, output.only)
    if output.out == "-":
        if len(paths) != 1:
            raise UsageError("-o - takes one input", "name a folder with -o to separate several")
        if output.save_model:
            raise UsageError("--save-model needs a folder for the model", "name one with -o")
        if untitled:
            raise UsageError("-o - writes no names, so --stem-names auto means nothing", "leave out one")
        if output.exports:
            raise UsageError(f"--export-{output.exports[0]} needs a folder for its file", "name one with -o")
        if FORMATS[output.format].container != "WAV":
            raise UsageError("-o - writes WAV only", "leave out --format")
    for name in output.exports:
        EXPORTS.load(name).require()
    if paths.count("-") > 1:
        raise UsageError("standard input can be read only once")
    jobs = [
        replace(job_of(entry, names, selected, settings, output, known), refused=_refusal(entry)) for entry in entries
    ]
    _require_distinct([(entry, job) for entry, job in zip(entries, jobs, strict=True) if job.refused is None])
    promise = promises(settings, output, known) if resume else None
    protected = identities((*paths, *files_of(known)))
    if untitled and output.force:
        _require_apart(jobs)
    for number, job in enumerate(jobs):
        if job.refused is not None:
            continue
        before = titled(job, titles_in(job.manifest, job.names, job.selected), settings, output) if untitled else job
        if promise is not None and job.manifest is not None and promise.kept(job.manifest, before.files):
            jobs[number] = replace(before, promised=True)
        else:
            try:
                require_room(job, protected, output)
            except UsageError as error:
                jobs[number] = replace(job, refused=error)
    if len(jobs) == 1 and jobs[0].refused is not None:
        raise jobs[0].refused
    return jobs


def _refusal(entry: Input) -> UsageError | None:
    """Return why there is nothing that could be read."""
    if entry.found or entry.refused is not None:
        return entry.refused
    try:
        require_readable(entry.path)
    except UsageError as error:
        return error
    return None


def require_room(
    job: Job, protected: set[tuple[int, int]], output: OutputSettings, sha256: str | None = None
) -> list[Path]:
    """Raise UsageError where a job would write over files that it must not touch.

    Parameters
    ----------
    job : Job
    protected : set
        Identities of files that are read.
    output : OutputSettings
    sha256 : str, optional
        Of the input, if it has been read.

    Returns
    -------
    list of Path
        Files of an earlier run that the job does not write again.
    """
    if job.manifest is None:
        return []
    known = [path for path in job.files if path not in job.targets] if job.untitled else job.files
    origin = Origin(job.path, sha256)
    remedy = "" if origin.is_pipe or "{parent}" in output.filename else f"--filename {APART!r}, "
    return require_free(known, job.manifest, protected, output.force, job.kept, origin, remedy)


def own(job: Job, settings: Settings) -> Settings:
    """Return the settings of one job."""
    return settings if job.components is None else replace(settings, components=job.components)


def stem_names(settings: Settings, known: Known | None = None) -> tuple[str, ...]:
    """Return the names of all stems."""
    return arrange(settings, known.labels if known else ()).names


def inspect(
    job: Job,
    source: Source,
    settings: Settings,
    output: OutputSettings,
    limit: int | None,
    known: Known | None = None,
) -> SampleFormat:
    """Check one open input against the options; return the format of its stems.

    Raises
    ------
    UsageError
        The container cannot hold the stems, memory would not suffice, or a cue does not fit.
    InputError
        The stretch asked for begins after the end.
    """
    if isinstance(known, Guide):
        known.check(source.sample_rate, settings, *stretch_of(source, output))
    elif known is not None:
        known.require(source.sample_rate, source.channels, length_of(source, output))
    form = resolve(output.format, output.subtype, source.subtype, source.channels, source.sample_rate)
    length, way = length_of(source, output), budget(source, settings, output, known, limit)
    if length is not None:
        hint = "use fewer components or --threads, a larger --hop-length, --duration, or --max-memory"
        what = f"{job.track!r} needs"
        if way.obstacle:
            what = f"{way.obstacle}, so that {job.track!r} cannot stay on disk and needs"
            hint = "use --duration, or a larger --max-memory"
        memory.require(what, way.need, limit, hint)
        if job.targets:
            room = length * source.channels * form.bytes * len(job.targets)
            if job.model:
                room += model_size(source, settings, output, known)
            require_space(job.targets[0].parent, room)
    return form


def check_model(settings: Settings, known: Known | None = None) -> None:
    """Refuse what no input could make possible."""
    if isinstance(known, Saved):
        return  # it was made
    if known is None and settings.asked(("free", "adapt")):
        raise UsageError(
            "--background and --adapt mean something with guidance only", "give a dictionary with -m, --learn or --midi"
        )
    if known is None and settings.asked(("midi_by",)):
        raise UsageError("--midi-by means something with --midi only")
    if settings.n_fft is not None:
        STFT(*settings.frames(0), settings.window)
    require_model(settings)
    if settings.free or settings.adapt or (known and known.moves(settings)):  # which need a solver that has penalties
        choose_solver(settings.solver, as_divergence(settings.divergence), settings.start, penalized=True)


def files_of(known: Known | None) -> tuple[str, ...]:
    """Return the files that were read before the inputs."""
    if known is None:
        return ()
    return known.names if isinstance(known, Guide) else (known.path,)


def _selected(names: tuple[str, ...], only: Sequence[str]) -> tuple[int, ...]:
    for name in only:
        if name not in names:
            raise UsageError(f"--only {name!r} is no stem of this separation", suggestion(name, list(names)))
    return tuple(index for index, name in enumerate(names) if not only or name in only)


def _require_apart(jobs: Sequence[Job]) -> None:
    """Refuse inputs that lie where files of names that are not known yet may replace others."""
    folders = {os.path.realpath(target.parent) for job in jobs for target in job.targets}
    for job in jobs:
        if job.path != "-" and os.path.dirname(os.path.realpath(job.path)) in folders:
            hint = "leave out --force or --stem-names auto, or choose another folder with -o"
            raise UsageError("lies where stems go whose names are not known yet", hint, job.path)


def _require_distinct(work: Sequence[tuple[Input, Job]]) -> None:
    seen: dict[str, Job] = {}
    for _, job in work:
        for target in filter(None, (*job.files, job.manifest)):
            key = collision_key(target)
            if key in seen:
                other = seen[key].path
                if seen[key] is not job and os.path.abspath(other) == os.path.abspath(job.path):
                    raise UsageError("is given twice", "give each input once", job.path)
                hint = f"use --filename {APART!r}, or other folders with -o"
                if not _stand_apart(work):
                    hint = "{parent} would not tell them apart: separate one by one, each with another -o"
                if seen[key] is job:
                    hint = "put {stem} or {index} into --filename"
                raise UsageError(f"{str(target)!r} would be written for {other!r} too", hint, job.path)
            seen[key] = job


def _stand_apart(work: Sequence[tuple[Input, Job]]) -> bool:
    """Whether the folders that inputs lie in tell their outputs apart."""
    keys = {collision_key(Path(entry.below, parent_name(job.path), job.track)) for entry, job in work}
    return len(keys) == len(work)
