"""What a run will do, checked as far as it can be before any work starts."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import memory
from .errors import InputError, OutputError, UsageError
from .manifest import is_manifest, written_by_us
from .naming import check_template, collision_key, expand, manifest_name, parent_name, track_name
from .nmf.divergences import as_divergence
from .nmf.fit import choose_solver
from .nmf.kernels.choose import ONCE, THIN
from .registry import suggestion
from .separation.guided import Guide
from .separation.modelling import require_model
from .settings import OutputSettings, Settings
from .signal.formats import FORMATS, SampleFormat, resolve
from .signal.publish import folder_is_writable
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
    """

    path: str
    track: str
    names: tuple[str, ...]
    selected: tuple[int, ...]
    targets: tuple[Path, ...]
    manifest: Path | None


def plan(inputs: Sequence[str], settings: Settings, output: OutputSettings, guide: Guide | None = None) -> list[Job]:
    """Return the jobs of a run.

    Raises
    ------
    UsageError
        An input is missing, two outputs would have one name, an output would overwrite an input or a file of another
        program, or the output folder cannot be written to.
    """
    try:
        os.getcwd()
    except OSError as error:
        if not all(os.path.isabs(path) for path in (*inputs, output.out) if path != "-"):
            raise UsageError("the working folder no longer exists", "change to one that does") from error
    check_template(output.filename)
    check_model(settings, guide)
    names = stem_names(settings, guide)
    selected = _selected(names, output.only)
    if output.out == "-":
        if len(inputs) != 1:
            raise UsageError("-o - takes one input", "name a folder with -o to separate several")
        if FORMATS[output.format].container != "WAV":
            raise UsageError("-o - writes WAV only", "leave out --format")
    if list(inputs).count("-") > 1:
        raise UsageError("standard input can be read only once")
    for path in inputs:
        require_readable(path)
    jobs = [_job(path, names, selected, settings, output) for path in inputs]
    _require_distinct(jobs)
    for job in jobs:
        if job.manifest is not None:
            require_free(job.targets, job.manifest, (*inputs, *(guide.names if guide else ())), output.force)
    return jobs


def stem_names(settings: Settings, guide: Guide | None = None) -> tuple[str, ...]:
    """Return the names of all stems."""
    if guide is not None:
        names = guide.labels
    else:
        names = tuple(f"component-{index + 1}" for index in range(settings.components))
    if settings.residual is None:
        return names
    if settings.residual in names:
        raise UsageError(f"--residual {settings.residual} is the name of another stem", "give --residual=NAME")
    return (*names, settings.residual)


def inspect(
    job: Job,
    source: Source,
    settings: Settings,
    output: OutputSettings,
    limit: int | None,
    guide: Guide | None = None,
) -> SampleFormat:
    """Check one open input against the options; return the format of its stems.

    Raises
    ------
    UsageError
        The container cannot hold the stems, memory would not suffice, or a dictionary cannot be converted.
    InputError
        The stretch asked for begins after the end.
    """
    if guide is not None:
        guide.fitted(source.sample_rate, settings)
    form = resolve(output.format, output.subtype, source.subtype, source.channels, source.sample_rate)
    length = _length(source, output)
    if length is not None:
        need = memory_needed(source, settings, output, guide)
        hint = "use fewer components, a larger --hop-length, --duration, or --max-memory"
        memory.require(f"{job.track!r} needs", need, limit, hint)
        if job.targets:
            require_space(job.targets[0].parent, length * source.channels * form.bytes * len(job.targets))
    return form


def check_model(settings: Settings, guide: Guide | None = None) -> None:
    """Refuse what no input could make possible."""
    if guide is None and (settings.free or settings.adapt):
        raise UsageError("--free and --adapt mean something with a dictionary only", "give one with -m")
    STFT(settings.n_fft, settings.hop, settings.window)
    require_model(settings)
    if settings.free or settings.adapt:  # which need a solver that has penalties
        choose_solver(settings.solver, as_divergence(settings.divergence), settings.start, penalized=True)


def memory_needed(source: Source, settings: Settings, output: OutputSettings, guide: Guide | None = None) -> int:
    """Return about how many bytes separating an input will take; for one of unknown length, what it takes at least."""
    threads = settings.threads or os.cpu_count() or 1
    length = _length(source, output) or 0
    if guide is not None:
        views = guide.fitted(source.sample_rate, settings)[0].views
        sizes = [(view.stft.n_fft, view.stft.hop_length, view.W.shape[1]) for view in views]
        return memory.estimate_guided(settings, source.channels, length, threads, sizes)
    finest = settings.levels[0] if settings.levels else settings.components
    thin = finest < THIN and settings.divergence in ("kl", "is", 1, 0)
    return memory.estimate(settings, source.channels, length, threads, ONCE if thin else None)


def _length(source: Source, output: OutputSettings) -> int | None:
    """Return the samples of the stretch asked for, None if the header does not say how long the file is."""
    first, count = source.stretch(output.offset, output.duration)
    if source.frames is None:
        return None
    rest = max(0, source.frames - first)
    return rest if count is None else min(rest, count)


def _job(
    path: str, names: tuple[str, ...], selected: tuple[int, ...], settings: Settings, output: OutputSettings
) -> Job:
    track = track_name(path)
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
        targets.append(Path(output.out) / expand(output.filename, fields))
    folder = Path(os.path.commonpath([target.parent for target in targets]))
    return Job(path, track, names, selected, tuple(targets), folder / manifest_name(track))


def _selected(names: tuple[str, ...], only: Sequence[str]) -> tuple[int, ...]:
    for name in only:
        if name not in names:
            raise UsageError(f"--only {name!r} is no stem of this separation", suggestion(name, list(names)))
    return tuple(index for index, name in enumerate(names) if not only or name in only)


def require_readable(path: str) -> None:
    """Raise UsageError unless a path names a file or pipe that can be opened, or is "-" for standard input."""
    if path == "-":
        return
    try:
        mode = os.stat(os.fsencode(path)).st_mode
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(reason, "check the name" if error.errno == 2 else None, path) from error
    if stat.S_ISDIR(mode):
        raise UsageError("is a folder", path=path)
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise UsageError("is a device, not a file", path=path)
    if not os.access(os.fsencode(path), os.R_OK):
        raise UsageError("permission denied", path=path)


def _require_distinct(jobs: Sequence[Job]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        for target in (*job.targets, *([job.manifest] if job.manifest else [])):
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


def require_free(targets: Sequence[Path], manifest: Path, inputs: Sequence[str], force: bool) -> None:
    """Refuse to write over an input, or over what nmfsep did not write, or where nothing can be written.

    Parameters
    ----------
    targets : sequence of Path
        The files to be written.
    manifest : Path
        What will vouch for them.
    inputs : sequence of str
        Files that must not be touched.
    force : bool
        Whether what another program wrote may be replaced.

    Raises
    ------
    UsageError
    """
    mine = written_by_us(manifest)
    existing = [path for path in (*targets, manifest) if os.path.lexists(path)]
    for path in dict.fromkeys((*existing, *sorted(mine))):  # what a rerun does not write again it removes
        for source in inputs:
            if source != "-" and os.path.exists(path) and os.path.samefile(path, os.fsencode(source)):
                raise UsageError("is an input and would be overwritten", "choose another folder with -o", path)
        if os.path.isdir(path):
            raise UsageError("is a folder where a file should go", "choose another folder with -o", path)
    if existing and not force:
        for path in existing:
            if path not in mine and not (path == manifest and is_manifest(path)):
                hint = "use --force to replace it, or another folder with -o"
                raise UsageError("exists and was not written by nmfsep, or was changed since", hint, path)
    for folder in dict.fromkeys(path.parent for path in (*targets, manifest)):
        if not folder_is_writable(folder):
            raise UsageError("cannot be written to", "choose another folder with -o", folder)


def require_space(folder: Path, need: int) -> None:
    """Raise OutputError unless the disk of a folder, which need not exist yet, has that many bytes free."""
    path = folder
    while not folder.exists():
        folder = folder.parent
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise InputError(str(error)) from error
    free = disk.f_bavail * disk.f_frsize
    if need > free:
        message = f"no space left on device: {memory.show_size(need)} are needed, {memory.show_size(free)} are free"
        raise OutputError(message, path=path)
