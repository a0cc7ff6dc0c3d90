"""Separating files: read, learn, render, write, vouch."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from .access import identities
from .budget import budget
from .errors import InputError, UsageError
from .job import Job
from .manifest import Manifest, Origin, encode, vouched_files
from .plan import files_of, inspect, own, require_room
from .separation.choose import mixture, separation_of
from .separation.result import Separation
from .separation.saved import Known, Saved
from .separation.stages import Told
from .settings import OutputSettings, Settings
from .signal.audio import Audio
from .signal.disk import Stream
from .signal.formats import SampleFormat
from .signal.publish import Output, publish
from .signal.read import Source
from .track import Clock, Track


def run(
    job: Job,
    settings: Settings,
    output: OutputSettings,
    known: Known | None = None,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: Told | None = None,
) -> Manifest:
    """Separate one track and write its stems.

    Parameters
    ----------
    job : Job
    settings : Settings
    output : OutputSettings
    known : Guide or Saved, optional
        What the separation is told beforehand, or the factorization to render.
    limit : int, optional
        Bytes of memory that may be taken.
    threads : int, optional
        Threads to take where the settings do not say; all cores if not given.
    progress : callable, optional
        Called as progress(iteration, loss).

    Returns
    -------
    dict
        The manifest, as written.

    Raises
    ------
    InputError
        The input cannot be separated.
    OutputError
        A stem cannot be written; none was then.
    """
    clock, settings = Clock(), own(job, settings)
    here = settings if settings.threads else replace(settings, threads=threads)
    with Source(job.path) as source:
        protected = identities((job.path, *files_of(known)))
        if job.manifest is not None and Origin(job.path).is_pipe:  # only its bytes tell what it is
            require_room(job, protected, output, source.sha256())
        form = inspect(job, source, here, output, limit, known)
        way = budget(source, here, output, known, limit)
        audio = mixture(source, output, way.streamed)
        clock.lap("read")
        begin = source.stretch(output.offset)[0] / source.sample_rate
        separation = separation_of(audio, here, known, way.frames, output.keeps, progress, begin)
        clock.lap("match" if isinstance(known, Saved) else "factorize")
        gain = _gain(separation, audio, form) if output.clip_mode == "rescale" and form.bits else 1.0
        track = Track(job, source, form, audio, separation, output, gain, known)
        if job.manifest is None:
            track.to_stdout()
            return track.manifest(settings, [], clock)
        vouching = job.manifest
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(Output(path)) for path in job.targets]
            track.write(files)
            clock.lap("render")
            if job.untitled:
                job = track.title(files, settings)  # of which activations of long files are known only now
            if job.model is not None:
                model = stack.enter_context(Output(job.model))
                track.save(model, replace(settings, group=separation.settings.group))
                files.append(model)
                clock.lap("save")
            exports = [stack.enter_context(Output(path)) for _, path in job.exports]
            for (name, _), file in zip(job.exports, exports, strict=True):
                file.write(track.export(name, begin))
            manifest = track.manifest(settings, files, clock, exports)
            note, vouch = (stack.enter_context(Output(vouching, role)) for role in ("note", "file"))
            note.write(encode(manifest | {"complete": False, "former": vouched_files(vouching)}))
            vouch.write(encode(manifest))
            digest = manifest["input"]["sha256"]
            publish([*files, *exports], note, vouch, functools.partial(_stale, job, protected, output, digest))
        return manifest


def _stale(job: Job, protected: set[tuple[int, int]], output: OutputSettings, sha256: str) -> list[Path]:
    """Return what an earlier run left; refuse to replace what another run, of another input, has written meanwhile."""
    try:
        return require_room(replace(job, untitled=False), protected, output, sha256)
    except UsageError as error:
        raise InputError(error.message, error.hint, error.path) from error


def _gain(separation: Separation, audio: Audio | Stream, form: SampleFormat) -> float:
    """Return the one factor that keeps every stem within the range."""
    peak = max((float(np.abs(stems).max(initial=0)) for stems in separation.render(audio)), default=0.0)
    peak *= 2.0**audio.exponent
    full = 1 - 2.0 ** (1 - form.bits)
    return full / peak if peak > full else 1.0
