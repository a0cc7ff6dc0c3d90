"""One track on its way to disk: its stems written, its model kept, its manifest drawn up."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..analysis.exports import missing
from ..analysis.stem_names import titles
from ..errors import BugError, InputError, NmfsepError, UsageError
from ..progress import OnProgress
from ..registry import EXPORTS
from ..separation import model_file as saved_file
from ..separation.mixture import Mixture
from ..separation.model import Model
from ..separation.options import resolved
from ..separation.pipeline import render
from ..separation.pipeline import separate as separate_mixture
from ..separation.saved import Known, Saved, describe_fit, identity_of
from ..separation.summary import diagnose
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.formats import SampleFormat
from ..signal.publish import Output, publish
from ..signal.read import Source
from ..signal.stream import Stream
from ..signal.write import Integers, StemWriter, to_integers
from ..system import relative
from .budget import budget
from .manifest import SCHEMA, Manifest, Origin, encode, load, versions, vouched_files
from .plan import Job, files_of, inspect, own, require_room, titled
from .resume import promised, same_input
from .safety import identities

CANCELLED = 0.03  # of the energy of the channels, below which little of it is in their mean
FLOAT_TOLERANCE = 1e-6  # of the peak, by which stems of floating point may miss the mixture


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap under a name."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now


class Track:
    """One track on its way to disk."""

    def __init__(
        self,
        job: Job,
        source: Source,
        form: SampleFormat,
        mixture: Mixture,
        model: Model,
        output: OutputSettings,
        gain: float,
        known: Known | None,
    ) -> None:
        self.job, self.source, self.form, self.mixture = job, source, form, mixture
        self.model, self.output, self.gain, self.known = model, output, gain, known
        self.warnings = [*source.warnings, *model.warnings]
        if mixture.length < model.stft.n_fft:
            self.warnings.append(f"{mixture.length} samples are less than one frame of {model.stft.n_fft}")
        self.energy: NDArray[np.float64] = np.zeros(len(job.names))
        self.peak: NDArray[np.float64] = np.zeros(len(job.names))
        self.sum_error = 0.0

    def write(self, files: list[Output], merged: bool = False) -> None:
        """Render all stems and write the selected ones."""
        job, whole = self.job, self.mixture
        writer = StemWriter(
            files, self.form, whole.sample_rate, whole.channels, whole.length, self.gain, whole.exponent,
            selected=job.selected, merged=merged,
        )  # fmt: skip
        with writer:
            position, energies = 0, np.zeros(2)
            for stems in render(self.model, whole):
                mixture = whole.samples[:, position : position + stems.shape[-1]]
                writer.write(stems, mixture, self._integers(mixture, position))
                position += stems.shape[-1]
                energies += [np.vdot(mixture, mixture) / len(mixture), np.sum(mixture.mean(axis=0) ** 2)]
                self.energy += np.einsum("jcn,jcn->j", stems, stems)
                self.peak = np.maximum(self.peak, np.abs(stems).max(axis=(1, 2), initial=0))
        self.sum_error = writer.sum_error
        if self.model.settings.channels == "mid" and energies[1] < CANCELLED * energies[0]:
            left = f"holds {energies[1] / energies[0]:.1%} of their energy" if energies[1] else "is silence"
            self.warnings.append(f"the channels cancel out: their mean {left}; use --channels joint or independent")
        if writer.moved:
            self._overshoot(writer.moved)
        if writer.clipped:
            self.warnings.append(f"{writer.clipped} samples of the stems are beyond full scale and were clipped")

    def _overshoot(self, moved: int) -> None:
        if self.output.clip_mode == "error":
            message = f"{moved} samples of the stems would leave the range of {self.form.subtype}"
            raise InputError(message, "use --float32, or --clip-mode clamp or rescale", self.job.path)
        self.warnings.append(
            f"{moved} samples of a stem would have left the range of {self.form.subtype}; the excess went to the "
            "other stems (--float32 or --clip-mode rescale avoids it)"
        )

    def _integers(self, mixture: NDArray[np.float32], position: int) -> Integers | None:
        """Return the mixture as integers of the output's width, read again where single precision cannot hold them."""
        bits = self.form.bits
        if not bits:
            return None
        if bits == 32 and self.source.subtype == "PCM_32" and self.gain == 1:
            self.source.seek(self.source.stretch(self.output.offset)[0] + position)
            return self.source.integers(mixture.shape[1]).astype(np.int64)
        return to_integers(mixture, bits, self.gain * 2.0**self.mixture.exponent)

    def title(self, files: Sequence[Output], settings: Settings) -> Job:
        """Name the stems, and their files that have no names yet, by how they sound; return the job with these names.

        Raises
        ------
        UsageError
            A file has a name already that is not to be written over.
        """
        names = self.model.grouping.names
        if not (self.model.labels or settings.preset):
            about = diagnose(self.model, names, self.mixture.sample_rate).stems
            stems = self.model.stems
            single = [len(group) == 1 for group in stems.groups] if stems else []
            names = titles(names, about, [*single, False][: len(names)])
        self.model = replace(self.model, stem_names=names)
        self.job = titled(self.job, names, settings, self.output)
        protected = identities((self.job.path, *files_of(self.known)))
        require_room(replace(self.job, untitled=False), protected, self.output)
        for file, target in zip(files, self.job.targets, strict=True):
            file.rename(target)
        return self.job

    def to_stdout(self) -> None:
        """Write one WAV file, all channels of all selected stems side by side, to standard output."""
        with Output(Path(tempfile.gettempdir()) / "nmfsep-stdout.wav") as file:  # never gets that name
            self.write([file], merged=True)
            _pour(file.blocks(), sys.stdout.buffer)

    def save(self, file: Output, settings: Settings) -> None:
        """Write the factorization."""
        first, to_end = self.source.stretch(self.output.offset)[0], self.output.duration is None
        identity = identity_of(self.job.path, self.mixture, first, to_end)
        saved_file.write(file, self.model, settings, identity, self._guidance(), versions())

    def export(self, name: str, begin: float) -> bytes:
        """Return what the activations say as a file of a kind; a sound that is sought and not there is told."""
        mixture, depths = self.mixture, [_bits(self.source.subtype), self.form.bits]
        last_bit = max((2.0 ** (1 - bits - mixture.exponent) for bits in depths if bits), default=0.0)
        for lost in missing(self.model, mixture.sample_rate, last_bit):
            self.warnings.append(f"{lost!r} was not found in the sound, so that no label or note says it is there")
        encode = EXPORTS.load(name).encode
        seconds = mixture.length / mixture.sample_rate
        return bytes(encode(self.model, mixture.sample_rate, begin, seconds=seconds, last_bit=last_bit))

    def _guidance(self) -> list[dict[str, Any]]:
        frames = [each.stft.n_fft for each in self.model.resolutions]
        return self.known.about(frames) if self.known else []

    def _model(self, folder: Path, files: list[Output]) -> dict[str, Any] | None:
        """Return the entry of the model that lies with the stems, if one does."""
        job = self.job
        if job.kept is not None and isinstance(self.known, Saved):
            size = os.path.getsize(job.kept)
            return {"file": relative(job.kept, folder), "bytes": size, "sha256": self.known.sha256}
        return _entry(files[-1], folder) if job.model is not None else None

    def _learned_from(self) -> dict[str, int] | None:
        """Return what part of the frames templates were learned from, if not from all."""
        found = self.model.learned_from
        return None if found is None else {"frames": found[0], "of": found[1]}

    def manifest(
        self, settings: Settings, files: list[Output], clock: Clock, exports: Sequence[Output] = ()
    ) -> Manifest:
        """Return the manifest of what was written."""
        job, mixture, source = self.job, self.mixture, self.source
        folder = job.manifest.parent if job.manifest else Path()
        share = self.energy / max(self.energy.sum(), 1e-300)
        found = diagnose(self.model, job.names, mixture.sample_rate)
        members = self.model.grouping.members
        stems = []
        for position, index in enumerate(job.selected):
            stem: dict[str, Any] = {
                "name": job.names[index],
                "energy_share": round(float(share[index]), 6),
                "peak": float(self.peak[index]),
                "level": _decibels(self.energy[index] / max(1, mixture.channels * mixture.length)),
                "components": [member + 1 for member in members[index]] if index < len(members) else [],
                **found.stems[index],
            }
            if files:
                stem |= _entry(files[position], folder)
            stems.append(stem)
        complete = len(job.selected) == len(job.names) and self.form.file.lossless
        saved = self.known if isinstance(self.known, Saved) else None
        clock.lap("hash")
        return {
            "schema": SCHEMA,
            "complete": True,
            "versions": versions(),
            "input": {
                **Origin(job.path, source.sha256()).entry(folder),
                "sample_rate": mixture.sample_rate,
                "channels": mixture.channels,
                "offset": source.stretch(self.output.offset)[0],
                "length": mixture.length,
                "subtype": source.subtype,
            },
            "settings": resolved(settings, self.known is not None),
            "frames": [
                {"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length} for each in self.model.resolutions
            ],
            "choice": self.model.choice and self.model.choice.document(),
            "output": promised(self.output),
            "guidance": self._guidance(),
            "format": {"container": self.form.name, "subtype": self.form.subtype},
            "stems": stems,
            "model": self._model(folder, files),
            "exports": [
                {"kind": name, **_entry(file, folder)} for (name, _), file in zip(job.exports, exports, strict=True)
            ],
            "rendered_from": saved and {"path": saved.path, "sha256": saved.sha256},
            "fit": list(saved.fits if saved else map(describe_fit, self.model.fits)),
            "learned_from": self._learned_from(),
            "gain": self.gain,
            "sum_error": self.sum_error,
            "sum_tolerance": (0.0 if self.form.bits else FLOAT_TOLERANCE) if complete else None,
            "warnings": list(dict.fromkeys(self.warnings)),
            "bleed": found.bleed,
            "hints": found.hints,
            "seconds": clock.laps,
        }


def _entry(file: Output, folder: Path) -> dict[str, Any]:
    """Return what a manifest in a folder says of a file."""
    return {"file": relative(file.path, folder), "bytes": file.size(), "sha256": file.sha256()}


def _bits(subtype: str) -> int:
    """Return the bits of a sample of a subtype of integers, else 0."""
    return int(subtype.lstrip("PCM_SU")) if subtype.startswith("PCM_") else 0


def _decibels(power: float) -> float | None:
    """Return a mean square as decibels of full scale, None for silence."""
    return round(10 * float(np.log10(power)), 2) if power > 0 else None


def _pour(blocks: Iterable[bytes], sink: BinaryIO) -> None:
    """Write to a pipe or file, and see to it that what is in a file is on the disk."""
    for block in blocks:
        view = memoryview(block)
        while view:  # an unbuffered stream may take fewer bytes at a time
            view = view[sink.write(view) :]
    sink.flush()
    if stat.S_ISREG(os.fstat(sink.fileno()).st_mode):
        os.fsync(sink.fileno())


def run(
    job: Job,
    settings: Settings,
    output: OutputSettings,
    known: Known | None = None,
    *,
    limit: int | None = None,
    threads: int | None = None,
    progress: OnProgress | None = None,
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
        if way.streamed:
            mixture: Mixture = Stream(source, output.offset, output.duration)
        else:
            mixture = source.read(output.offset, output.duration)
        clock.lap("read")
        begin = source.stretch(output.offset)[0] / source.sample_rate
        if isinstance(known, Saved):
            model = known.model(mixture, here)
        else:
            model, _ = separate_mixture(
                mixture, here, known, begin=begin, frames=way.frames, keep=output.keeps, on_progress=progress
            )
        clock.lap("match" if isinstance(known, Saved) else "factorize")
        gain = _gain(model, mixture, form) if output.clip_mode == "rescale" and form.bits else 1.0
        track = Track(job, source, form, mixture, model, output, gain, known)
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
                kept = stack.enter_context(Output(job.model))
                track.save(kept, replace(settings, group=model.settings.group))
                files.append(kept)
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


def _gain(model: Model, mixture: Mixture, form: SampleFormat) -> float:
    """Return the one factor that keeps every stem within the range."""
    peak = max((float(np.abs(stems).max(initial=0)) for stems in render(model, mixture)), default=0.0)
    peak *= 2.0**mixture.exponent
    full = 1 - 2.0 ** (1 - form.bits)
    return full / peak if peak > full else 1.0


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


def separate(job: Job, work: Work, progress: OnProgress | None = None) -> Outcome:
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
