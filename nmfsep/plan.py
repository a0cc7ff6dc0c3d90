"""What a run will do, checked as far as it can be before any work starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import memory
from .access import identities, require_free, require_readable, require_space
from .budget import budget, length_of, model_size, stretch_of
from .errors import UsageError
from .inputs import Input
from .manifest import vouched_model
from .naming import beside, check_template, collision_key, expand, manifest_name, model_name, parent_name, track_name
from .nmf.divergences import as_divergence
from .nmf.fit import choose_solver
from .registry import EXPORTS, suggestion
from .resume import promises
from .separation.grouping import arrange
from .separation.guide import Guide
from .separation.modelling import require_model
from .separation.saved import Known, Saved
from .settings import OutputSettings, Settings
from .signal.formats import FORMATS, SampleFormat, resolve
from .signal.read import Source
from .signal.stft import STFT


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
    components : int or None
        Found for this input, in place of those of the settings.
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


def plan(
    inputs: Sequence[str | Input],
    settings: Settings,
    output: OutputSettings,
    known: Known | None = None,
    resume: bool = False,
) -> list[Job]:
    """Return the jobs of a run; with `resume`, what is there from an earlier one is not looked at closely.

    Raises
    ------
    UsageError
        An input is missing, two outputs would have one name, an output would overwrite an input or a file of another
        program, or the output folder cannot be written to.
    """
    entries = [Input(entry) if isinstance(entry, str) else entry for entry in inputs]
    paths = [entry.path for entry in entries]
    try:
        os.getcwd()
    except OSError as error:
        if not all(os.path.isabs(path) for path in (*paths, output.out) if path != "-"):
            raise UsageError("the working folder no longer exists", "change to one that does") from error
    check_template(output.filename)
    check_model(settings, known)
    names = stem_names(settings, known)
    selected = _selected(names, output.only)
    if output.out == "-":
        if len(paths) != 1:
            raise UsageError("-o - takes one input", "name a folder with -o to separate several")
        if output.save_model:
            raise UsageError("--save-model needs a folder for the model", "name one with -o")
        if output.exports:
            raise UsageError(f"--export-{output.exports[0]} needs a folder for its file", "name one with -o")
        if FORMATS[output.format].container != "WAV":
            raise UsageError("-o - writes WAV only", "leave out --format")
    for name in output.exports:
        EXPORTS.load(name).require()
    if paths.count("-") > 1:
        raise UsageError("standard input can be read only once")
    for entry in entries:
        if not entry.found:
            require_readable(entry.path)
    jobs = [_job(entry, names, selected, settings, output, known) for entry in entries]
    _require_distinct(jobs)
    promise = promises(settings, output, known) if resume else None
    protected = identities((*paths, *files_of(known)))
    for number, job in enumerate(jobs):
        if promise is not None and job.manifest is not None and promise.kept(job.manifest, job.files):
            jobs[number] = replace(job, promised=True)
        else:
            require_room(job, protected, output)
    return jobs


def require_room(job: Job, protected: set[tuple[int, int]], output: OutputSettings) -> None:
    """Raise UsageError where a job would write over files that it must not touch; `protected` identifies more such."""
    if job.manifest is not None:
        require_free(job.files, job.manifest, protected, output.force, job.kept)


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
    if known is None and (settings.free or settings.adapt):
        raise UsageError(
            "--free and --adapt mean something with guidance only", "give a dictionary with -m, --learn or --midi"
        )
    if known is None and settings.midi_by != "track":
        raise UsageError("--midi-by means something with --midi only")
    STFT(settings.n_fft, settings.hop, settings.window)
    require_model(settings)
    if settings.free or settings.adapt or (known and known.moves(settings)):  # which need a solver that has penalties
        choose_solver(settings.solver, as_divergence(settings.divergence), settings.start, penalized=True)


def files_of(known: Known | None) -> tuple[str, ...]:
    """Return the files that were read before the inputs."""
    if known is None:
        return ()
    return known.names if isinstance(known, Guide) else (known.path,)


def _job(
    entry: Input,
    names: tuple[str, ...],
    selected: tuple[int, ...],
    settings: Settings,
    output: OutputSettings,
    known: Known | None,
) -> Job:
    path, track = entry.path, track_name(entry.path)
    if output.out == "-":
        return Job(path, track, names, selected, (), None)
    targets = []
    for index in selected:
        fields: Mapping[str, str] = {
            "track": track,
            "stem": names[index],
            "ext": FORMATS[output.format].extension,
            "index": str(index + 1),
            "parent": parent_name(path),
            "k": str(settings.components),
            "seed": str(settings.seed),
        }
        targets.append(Path(output.out) / entry.below / expand(output.filename, fields))
    folder = Path(os.path.commonpath([target.parent for target in targets]))
    manifest, kept = folder / manifest_name(track), None
    if isinstance(known, Saved):
        before = vouched_model(manifest)
        kept = before if before and before.is_file() and os.path.samefile(before, os.fsencode(known.path)) else None
    model = folder / model_name(track) if output.save_model else None
    exports = tuple((name, folder / beside(track, EXPORTS.load(name).suffix)) for name in output.exports)
    return Job(path, track, names, selected, tuple(targets), manifest, model, kept, exports)


def _selected(names: tuple[str, ...], only: Sequence[str]) -> tuple[int, ...]:
    for name in only:
        if name not in names:
            raise UsageError(f"--only {name!r} is no stem of this separation", suggestion(name, list(names)))
    return tuple(index for index, name in enumerate(names) if not only or name in only)


def _require_distinct(jobs: Sequence[Job]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        for target in filter(None, (*job.files, job.manifest)):
            key = collision_key(target)
            if key in seen:
                other = seen[key].path
                if seen[key] is not job and os.path.abspath(other) == os.path.abspath(job.path):
                    raise UsageError("is given twice", "give each input once", job.path)
                hint = "use --filename '{parent}/{track}/{stem}.{ext}', or other folders with -o"
                if seen[key] is job:
                    hint = "put {stem} or {index} into --filename"
                raise UsageError(f"{str(target)!r} would be written for {other!r} too", hint, job.path)
            seen[key] = job
