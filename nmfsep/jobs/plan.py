"""Plan of a run: which files each input becomes, checked as far as possible before any work starts.

Inputs and options go in; jobs come out, one an input, each with the names of its stems and the paths of all its files.
A job that cannot be done is refused with its reason, so that the others go on. `forecast` looks into one input further.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import memory
from ..errors import NmfsepError, UsageError
from ..files.formats import FORMATS, SampleFormat, resolve
from ..files.naming import (
    MODEL,
    PAGE,
    check_template,
    collision_key,
    expand,
    manifest_name,
    parent_name,
    sidecar_name,
    track_name,
)
from ..kernels.divergence import as_divergence
from ..nmf.fit import choose_solver
from ..registry import EXPORTS, choose
from ..separation.beyond_masks import NO_ROOM
from ..separation.obstacles import require_model
from ..settings.commands import OutputSettings
from ..signal.read import Source
from ..signal.stft import STFT
from ..system import is_file
from .budget import Budget, budget, length_of, model_size, stretch_of
from .inputs import Input
from .manifest import Manifest, Origin, listed_model
from .run_options import RunOptions, expected_entries, is_up_to_date, same_input, stem_names_in
from .safety import identities, require_free, require_readable, require_replaceable, require_space

APART = "{parent}/{track}/{stem}.{ext}"  # the template that keeps tracks of one name apart


@dataclass(frozen=True, slots=True)
class Job:
    """One track to separate: its names, its files, and whether there is anything to do."""

    path: str  # the input; "-" is standard input
    track: str
    names: tuple[str, ...]  # of all stems, loudest first
    selected: tuple[int, ...]  # indices of the stems to write
    targets: tuple[Path, ...]  # their files; none when writing to standard output
    manifest: Path | None
    model: Path | None = None  # the file for the factorization, if it is to be saved
    kept: Path | None = None  # the saved model that is rendered from and lies among the outputs; it stays
    exports: tuple[tuple[str, Path], ...] = ()  # other files to write, by their names in the registry
    components: int | None = None  # the number found for this input; None takes that of the settings
    up_to_date: bool = False  # the manifest in place lists these very stems; the input has not been compared yet
    names_pending: bool = False  # stems and files are named after the fit, by how they sound
    page: Path | None = None  # the report, if one is wanted; made from the other files
    refused: NmfsepError | None = None  # why this input cannot be separated, if that is known before any work

    @property
    def results(self) -> tuple[Path, ...]:
        """The files whose paths are printed: stems, exports and the report."""
        return (*self.targets, *(path for _, path in self.exports), *filter(None, (self.page,)))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the manifest lists."""
        return (*self.targets, *(path for _, path in self.exports), *filter(None, (self.model,)))

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files."""
        return (*self.files, *filter(None, (self.manifest, self.page)))

    def as_written(self, manifest: Manifest | None) -> Job:
        """Return the job with the names that its stems have in a manifest, where they were not known before."""
        if manifest is None or self.manifest is None or not self.names_pending:
            return self
        folder, names = self.manifest.parent, list(self.names)
        for index, stem in zip(self.selected, manifest["stems"], strict=True):
            names[index] = stem["name"]
        return replace(self, names=tuple(names), targets=tuple(folder / stem["file"] for stem in manifest["stems"]))

    def renamed(self, names: Sequence[str], options: RunOptions) -> Job:
        """Return the job with other names of stems; of their paths, only the last part changes."""
        last = options.output.filename.rpartition("/")[2]
        files = [expand(last, _fields(self.path, names[index], index, options)).name for index in self.selected]
        targets = tuple(target.with_name(name) for target, name in zip(self.targets, files, strict=True))
        return replace(self, names=tuple(names), targets=targets)

    def require_room(
        self, protected: set[tuple[int, int]], output: OutputSettings, sha256: str | None = None
    ) -> list[Path]:
        """Return the files of an earlier run that this one does not write again.

        `protected` identifies the files that are read, and `sha256` is that of the input, if it has been read.

        Raises
        ------
        UsageError
            The job would write over files that it must not touch.
        """
        if self.manifest is None:
            return []
        if self.page is not None:
            require_replaceable(self.page, protected, output.force)
        known = [path for path in self.files if path not in self.targets] if self.names_pending else self.files
        origin = Origin(self.path, sha256)
        remedy = "" if origin.is_pipe or "{parent}" in output.filename else f"--filename {APART!r}, "
        return require_free(known, self.manifest, protected, output.force, self.kept, origin, remedy)


def plan(inputs: Sequence[str | Input], options: RunOptions, resume: bool = False) -> list[Job]:
    """Return the jobs of a run, one an input; with `resume`, those that an earlier run has done are marked.

    A job is refused if its input is missing, if its outputs would replace an input, a file of another program or the
    stems of another input, or if its folder cannot be written to.

    Raises
    ------
    UsageError
        The options contradict each other, two outputs would have one name, or the only job is refused.
    """
    entries = [Input(entry) if isinstance(entry, str) else entry for entry in inputs]
    paths, output = [entry.path for entry in entries], options.output
    try:
        os.getcwd()
    except OSError as error:
        if not all(os.path.isabs(path) for path in (*paths, output.out) if path != "-"):
            raise UsageError("the working folder no longer exists", "change to one that does") from error
    pending = output.label == "auto"
    check_template(output.filename, pending)
    check_model(options)
    if output.out == "-":
        _require_one_stream(paths, output)
    if output.export_strokes is not None:
        _require_strokes(options)
    for name in output.exports:
        EXPORTS.load(name).require()
    if output.report and output.out == "-":
        raise UsageError("-o - leaves no stems for --report to show", "leave out one")
    if paths.count("-") > 1:
        raise UsageError("standard input can be read only once")
    differs = options.guide is not None and options.guide.differs
    jobs, own = list[Job](), list[RunOptions]()
    for entry in entries:
        try:
            own.append(options.for_input(entry.path))
            jobs.append(replace(_job_of(entry, own[-1]), refused=_refusal(entry)))
        except UsageError as error:
            if not differs:  # what is wrong is so for all
                raise
            own[len(jobs) :] = [options]
            jobs.append(Job(entry.path, track_name(entry.path), (), (), (), None, refused=_refusal(entry) or error))
    _require_distinct([(entry, job) for entry, job in zip(entries, jobs, strict=True) if job.refused is None])
    expected = expected_entries(options) if resume and not differs else None
    protected = identities((*paths, *dict.fromkeys(name for each in own for name in each.files_read)))
    if pending and output.force:
        _require_apart(jobs)
    for number, job in enumerate(jobs):
        if job.refused is not None:
            continue
        before = job
        if resume and differs:
            expected = expected_entries(own[number])
        if pending:
            before = job.renamed(stem_names_in(job.manifest, job.names, job.selected), own[number])
        if expected is not None and job.manifest is not None and is_up_to_date(job.manifest, before.files, expected):
            jobs[number] = replace(before, up_to_date=True)
        else:
            try:
                job.require_room(protected, output)
            except UsageError as error:
                jobs[number] = replace(job, refused=error)
    if len(jobs) == 1 and jobs[0].refused is not None:
        raise jobs[0].refused
    return jobs


def _job_of(entry: Input, options: RunOptions) -> Job:
    """Return the job of one input."""
    names = options.stem_names
    selected = _selected(names, options.output.only)
    path, track, output = entry.path, track_name(entry.path), options.output
    if output.out == "-":
        return Job(path, track, names, selected, (), None)
    targets = []
    for index in selected:
        fields = _fields(path, names[index], index, options)
        targets.append(Path(output.out) / entry.below / expand(output.filename, fields))
    folder = Path(os.path.commonpath([target.parent for target in targets]))
    manifest, kept = folder / manifest_name(track), None
    if options.saved is not None:
        before = listed_model(manifest)
        is_it = before and is_file(before) and os.path.samefile(before, os.fsencode(options.saved.path))
        kept = before if is_it else None
    model = folder / sidecar_name(track, MODEL) if output.save_model else None
    exports = tuple((name, folder / sidecar_name(track, EXPORTS.load(name).suffix)) for name in output.exports)
    page = folder / sidecar_name(track, PAGE) if output.report else None
    pending = output.label == "auto"
    return Job(
        path, track, names, selected, tuple(targets), manifest, model, kept, exports, names_pending=pending, page=page
    )


def _fields(path: str, stem: str, index: int, options: RunOptions) -> Mapping[str, str]:
    return {
        "track": track_name(path),
        "stem": stem,
        "ext": FORMATS[options.output.format].extension,
        "index": str(index + 1),
        "parent": parent_name(path),
        "k": str(options.settings.components),
        "seed": str(options.settings.seed),
    }


def _selected(names: tuple[str, ...], only: Sequence[str]) -> tuple[int, ...]:
    chosen = {choose(name, names, "--only") for name in only}
    return tuple(index for index, name in enumerate(names) if not only or name in chosen)


def _refusal(entry: Input) -> UsageError | None:
    """Return why there is nothing that could be read."""
    if entry.found or entry.refused is not None:
        return entry.refused
    try:
        require_readable(entry.path)
    except UsageError as error:
        return error
    return None


def check_model(options: RunOptions) -> None:
    """Refuse settings that no input could make possible."""
    settings, guide = options.settings, options.guide
    if options.saved is not None:
        return  # it was made
    if guide is None and settings.asked(("free", "adapt")):
        raise UsageError(
            "--background and --adapt mean something with guidance only", "give a dictionary with -m, --learn or --midi"
        )
    if guide is None and settings.asked(("midi_by",)):
        raise UsageError("--midi-by means something with --midi only")
    if settings.n_fft is not None:
        STFT(*settings.frames(0), settings.window)
    require_model(settings)
    if settings.free or settings.adapt or (guide and guide.moves(settings)):  # which need a solver that has penalties
        choose_solver(settings.solver, as_divergence(settings.divergence), settings.start, penalized=True)


def _require_one_stream(paths: Sequence[str], output: OutputSettings) -> None:
    """Refuse what standard output cannot take."""
    if len(paths) != 1:
        raise UsageError("-o - takes one input", "name a folder with -o to separate several")
    if output.save_model:
        raise UsageError("--save-model needs a folder for the model", "name one with -o")
    if output.label == "auto":
        raise UsageError("-o - writes no names, so --stem-names auto means nothing", "leave out one")
    if output.exports:
        raise UsageError(f"--export-{output.exports[0]} needs a folder for its file", "name one with -o")
    if FORMATS[output.format].container != "WAV":
        raise UsageError("-o - writes WAV only", "leave out --format")


def _require_strokes(options: RunOptions) -> None:
    """Refuse --export-strokes where none are looked for."""
    if options.is_guided:
        raise UsageError("--export-strokes means something without guidance only", "leave it out")
    if options.settings.match == "off":
        raise UsageError("--match off looks for no strokes, so --export-strokes means nothing", "leave out one")
    if options.output.out == "-":
        raise UsageError("-o - writes stems only, so --export-strokes means nothing", "name a folder with -o")


def _require_apart(jobs: Sequence[Job]) -> None:
    """Refuse inputs in folders for stems whose names are not known yet: a stem might replace them."""
    folders = {os.path.realpath(target.parent) for job in jobs for target in job.targets}
    for job in jobs:
        if job.path != "-" and os.path.dirname(os.path.realpath(job.path)) in folders:
            hint = "leave out --force or --stem-names auto, or choose another folder with -o"
            raise UsageError("lies where stems go whose names are not known yet", hint, job.path)


def _require_distinct(work: Sequence[tuple[Input, Job]]) -> None:
    """Refuse two outputs of one name, and say what keeps them apart."""
    seen: dict[str, Job] = {}
    for _, job in work:
        for target in job.outputs:
            key = collision_key(target)
            if key in seen:
                other = seen[key].path
                if seen[key] is not job and os.path.abspath(other) == os.path.abspath(job.path):
                    raise UsageError("is given twice", "give each input once", job.path)
                places = {collision_key(Path(entry.below, parent_name(its.path), its.track)) for entry, its in work}
                hint = f"use --filename {APART!r}, or other folders with -o"
                if len(places) < len(work):
                    hint = "{parent} would not tell them apart: separate one by one, each with another -o"
                if seen[key] is job:
                    hint = "put {stem} or {index} into --filename"
                raise UsageError(f"{str(target)!r} would be written for {other!r} too", hint, job.path)
            seen[key] = job


def check_source(job: Job, source: Source, options: RunOptions) -> tuple[SampleFormat, Budget]:
    """Check one open input against the options; return the format of its stems, and how memory suffices.

    Raises
    ------
    UsageError
        The container cannot hold the stems, memory would not suffice, or a cue does not fit.
    InputError
        The stretch asked for begins after the end.
    OutputError
        The disk has no room for the stems.
    """
    output, length = options.output, length_of(source, options.output)
    if options.guide is not None:
        options.guide.check(source.sample_rate, options.settings, *stretch_of(source, output))
    if options.saved is not None:
        options.saved.require(source.sample_rate, source.channels, length)
    form = resolve(output.format, output.subtype, source.subtype, source.channels, source.sample_rate)
    way = budget(source, options)
    if length is not None:
        hint = "use fewer components or --threads, a larger --hop-length, --duration, or --max-memory"
        what = f"{job.track!r} needs"
        if way.obstacle:
            what = f"{way.obstacle}, so that {job.track!r} cannot stay on disk and needs"
            hint = "use --duration, or a larger --max-memory"
        memory.require(what, way.need, options.limit, hint)
        if job.targets:
            room = length * source.channels * form.bytes * len(job.targets)
            if job.model:
                room += model_size(source, options)
            require_space(job.targets[0].parent, room)
    return form, way


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would be written for a job, and how it would be done."""

    job: Job
    budget: Budget
    subtype: str
    notes: tuple[str, ...]
    done_before: bool  # the stems are there already, and would be skipped

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
            "memory": self.budget.need,
            "streamed": self.budget.streamed,
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
    options = options.for_input(job.path, job.components)
    with Source(job.path) as source:
        form, way = check_source(job, source, options)
        guide, stretch = options.guide, stretch_of(source, options.output)
        notes = guide.check(source.sample_rate, options.settings, *stretch) if guide else []
    if guide is not None and guide.matches(options.settings) and not way.match:
        notes = [*notes, NO_ROOM]
    if job.names_pending:
        notes = [*notes, "the names of the stems will be known when it is known how they sound"]
    done = job.up_to_date and job.manifest is not None and same_input(job.path, job.manifest)
    return Forecast(job, way, form.subtype, tuple(notes), done)
