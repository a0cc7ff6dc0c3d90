"""Separation of one file: from its job to stems, model, exports and manifest on disk.

`separate_file` reads the input, learns or loads its model, renders the stems block by block into files without names,
and gives all files their names at once. Whatever is wrong with the file comes back in its outcome.
"""

from __future__ import annotations

import contextlib
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
from ..errors import BugError, InputError, NmfsepError
from ..files.formats import SampleFormat
from ..files.publish import Output
from ..files.write import Integers, StemWriter, to_integers
from ..progress import OnProgress
from ..registry import EXPORTS
from ..separation import model_file
from ..separation.mixture import Mixture
from ..separation.model import Model
from ..separation.options import resolved
from ..separation.pipeline import render
from ..separation.pipeline import separate as separate_mixture
from ..separation.saved import describe_fit, identity_of
from ..separation.summary import diagnose
from ..signal.read import Source
from ..signal.stream import Stream
from ..system import relative
from .manifest import SCHEMA, Manifest, Origin, file_entry, load, publish_with_manifest, versions
from .plan import Job, check_source, rename_stems, require_room
from .resume import output_entry, same_input
from .run_options import RunOptions
from .safety import identities

CANCELLED = 0.03  # of the energy of the channels, below which little of it is in their mean
MASKS_ONLY = "strokes were matched; render makes the stems of the model by masks alone"
FLOAT_TOLERANCE = 1e-6  # of the peak, by which stems of floating point may miss the mixture


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a file.

    Attributes
    ----------
    manifest : dict or None
        Of its stems; None if it failed.
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
        """One of done, skipped and failed."""
        return "failed" if self.error else "skipped" if self.skipped else "done"

    def result(self) -> Manifest:
        """Return the manifest, or raise the error."""
        if self.error is not None:
            raise self.error
        assert self.manifest is not None
        return self.manifest


def separate_file(job: Job, options: RunOptions, progress: OnProgress | None = None) -> Outcome:
    """Separate a file and write its stems, unless those of an earlier run are up to date.

    Whatever is wrong with the file is in the outcome. Arguments and outcome can be pickled.

    Parameters
    ----------
    job : Job
    options : RunOptions
    progress : callable, optional
        Called as progress(iteration, loss).
    """
    if job.refused is not None:
        return Outcome(error=job.refused)
    options = options.with_components(job.components)
    try:
        if job.up_to_date and job.manifest is not None:
            if same_input(job.path, job.manifest):
                return Outcome(load(job.manifest), skipped=True)
            require_room(job, identities((job.path, *options.files_read)), options.output)
        return Outcome(_separate(job, options, progress))
    except MemoryError:
        hint = "group the components into fewer stems" if options.saved else "use --duration or fewer components"
        return Outcome(error=InputError("memory does not suffice", hint, job.path))
    except NmfsepError as error:
        error.path = job.path if error.path is None else error.path
        return Outcome(error=error)
    except OSError as error:
        if error.filename is None and job.manifest is None:  # what is wrong with standard output ends the run
            raise
        what = (error.strerror or str(error)).lower()
        return Outcome(error=InputError(what, path=job.path if error.filename is None else error.filename))
    except Exception as error:
        if options.debug or job.manifest is None:
            raise
        what = f"this is a bug: {type(error).__name__}: {str(error)[:200]}"
        return Outcome(error=BugError(what, "run again with --debug and report it", job.path))


def _separate(job: Job, options: RunOptions, progress: OnProgress | None) -> Manifest:
    clock, settings, output, saved = Clock(), options.settings_with_threads, options.output, options.saved
    with Source(job.path) as source:
        protected = identities((job.path, *options.files_read))
        if job.manifest is not None and Origin(job.path).is_pipe:  # it has no name that lasts, only bytes
            require_room(job, protected, output, source.sha256())
        form, way = check_source(job, source, options)
        if way.streamed:
            mixture: Mixture = Stream(source, output.offset, output.duration)
        else:
            mixture = source.read(output.offset, output.duration)
        clock.lap("read")
        begin = source.stretch(output.offset)[0] / source.sample_rate
        if saved is not None:
            model = saved.model(mixture, settings)
            clock.lap("match")
        else:
            model, _ = separate_mixture(
                mixture,
                settings,
                options.guide,
                begin=begin,
                frames=way.frames,
                keep=output.keeps,
                match=way.match,
                on_progress=progress,
            )
            clock.lap("factorize")
        gain = _gain(model, mixture, form) if output.clip_mode == "rescale" and form.bits else 1.0
        track = Track(job, options, source, form, mixture, model, gain)
        if job.manifest is None:
            track.to_stdout()
            return track.manifest([], [], clock)
        with contextlib.ExitStack() as stack:
            stems = [stack.enter_context(Output(path)) for path in job.targets]
            track.write(stems)
            clock.lap("render")
            if job.names_pending:
                track.name_stems(stems, protected)  # activations of long files are known only now
            files = [*stems]
            if job.model is not None:
                files.append(stack.enter_context(Output(job.model)))
                track.save(files[-1])
                clock.lap("save")
            exports = [stack.enter_context(Output(path)) for _, path in job.exports]
            for (name, _), file in zip(job.exports, exports, strict=True):
                file.write(track.export(name, begin))
            manifest = track.manifest(files, exports, clock)
            publish_with_manifest(
                job.manifest,
                manifest,
                [*files, *exports],
                lambda: require_room(track.job, protected, output, manifest["input"]["sha256"]),
            )
        return manifest


def _gain(model: Model, mixture: Mixture, form: SampleFormat) -> float:
    """Return the one factor that keeps every stem within the range."""
    peak = max((float(np.abs(stems).max(initial=0)) for stems in render(model, mixture)), default=0.0)
    peak *= 2.0**mixture.exponent
    full = 1 - 2.0 ** (1 - form.bits)
    return full / peak if peak > full else 1.0


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
    """One track while its stems are rendered and written: their energies, peaks, warnings, and its manifest."""

    def __init__(
        self,
        job: Job,
        options: RunOptions,
        source: Source,
        form: SampleFormat,
        mixture: Mixture,
        model: Model,
        gain: float,
    ) -> None:
        self.job, self.options, self.source, self.form = job, options, source, form
        self.mixture, self.model, self.gain = mixture, model, gain
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
        if self.options.output.clip_mode == "error":
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
            self.source.seek(self.source.stretch(self.options.output.offset)[0] + position)
            return self.source.integers(mixture.shape[1]).astype(np.int64)
        return to_integers(mixture, bits, self.gain * 2.0**self.mixture.exponent)

    def name_stems(self, files: Sequence[Output], protected: set[tuple[int, int]]) -> None:
        """Name the stems by how they sound, and their files, which have no names yet.

        Raises
        ------
        UsageError
            A file that must stay has such a name already.
        """
        names = self.model.grouping.names
        if not (self.model.labels or self.options.settings.preset):
            about = diagnose(self.model, names, self.mixture.sample_rate).stems
            stems = self.model.stems
            single = [len(group) == 1 for group in stems.groups] if stems else []
            names = titles(names, about, [*single, False][: len(names)])
        self.model = replace(self.model, stem_names=names)
        self.job = replace(rename_stems(self.job, names, self.options), names_pending=False)
        require_room(self.job, protected, self.options.output)
        for file, target in zip(files, self.job.targets, strict=True):
            file.rename(target)

    def to_stdout(self) -> None:
        """Write one WAV file, all channels of all selected stems side by side, to standard output."""
        with Output(Path(tempfile.gettempdir()) / "nmfsep-stdout.wav") as file:  # never gets that name
            self.write([file], merged=True)
            _pour(file.blocks(), sys.stdout.buffer)

    def save(self, file: Output) -> None:
        """Write the model into a file."""
        output, settings = self.options.output, replace(self.options.settings, group=self.model.settings.group)
        first, to_end = self.source.stretch(output.offset)[0], output.duration is None
        identity, model = identity_of(self.job.path, self.mixture, first, to_end), self.model
        if model.matched is not None and model.matched.found:
            self.warnings.append(MASKS_ONLY)
            model = model.noted(MASKS_ONLY)
        model_file.write(file, model, settings, identity, self._guidance(), versions())

    def export(self, name: str, begin: float) -> bytes:
        """Return the activations as a file of a kind, such as MIDI; warn of a sound that was sought and not found."""
        mixture, depths = self.mixture, [_bits(self.source.subtype), self.form.bits]
        last_bit = max((2.0 ** (1 - bits - mixture.exponent) for bits in depths if bits), default=0.0)
        for lost in missing(self.model, mixture.sample_rate, last_bit):
            self.warnings.append(f"{lost!r} was not found in the sound, so that no label or note says it is there")
        encode = EXPORTS.load(name).encode
        seconds = mixture.length / mixture.sample_rate
        return bytes(encode(self.model, mixture.sample_rate, begin, seconds=seconds, last_bit=last_bit))

    def _guidance(self) -> list[dict[str, Any]]:
        if self.options.saved is not None:
            return list(self.options.saved.guidance)
        frames = [each.stft.n_fft for each in self.model.resolutions]
        return self.options.guide.about(frames) if self.options.guide is not None else []

    def _model_entry(self, folder: Path, files: Sequence[Output]) -> dict[str, Any] | None:
        """Return the entry of the model that lies with the stems, if one does."""
        job, saved = self.job, self.options.saved
        if job.kept is not None and saved is not None:
            size = os.path.getsize(job.kept)
            return {"file": relative(job.kept, folder), "bytes": size, "sha256": saved.sha256}
        return file_entry(files[-1], folder) if job.model is not None else None

    def _learned_from(self) -> dict[str, int] | None:
        """Return how many of the frames the templates were learned from; None if from all."""
        found = self.model.learned_from
        return None if found is None else {"frames": found[0], "of": found[1]}

    def manifest(self, files: Sequence[Output], exports: Sequence[Output], clock: Clock) -> Manifest:
        """Return the manifest of the files: those of the stems, then that of the model if there is one, and exports."""
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
                stem |= file_entry(files[position], folder)
            stems.append(stem)
        complete = len(job.selected) == len(job.names) and self.form.file.lossless
        saved = self.options.saved
        clock.lap("hash")
        return {
            "schema": SCHEMA,
            "complete": True,
            "versions": versions(),
            "input": {
                **Origin(job.path, source.sha256()).entry(folder),
                "sample_rate": mixture.sample_rate,
                "channels": mixture.channels,
                "offset": source.stretch(self.options.output.offset)[0],
                "length": mixture.length,
                "subtype": source.subtype,
            },
            "settings": resolved(self.options.settings, self.options.is_guided),
            "frames": [
                {"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length} for each in self.model.resolutions
            ],
            "choice": self.model.choice and self.model.choice.document(),
            "output": output_entry(self.options.output),
            "guidance": self._guidance(),
            "format": {"container": self.form.name, "subtype": self.form.subtype},
            "stems": stems,
            "model": self._model_entry(folder, files),
            "exports": [
                {"kind": name, **file_entry(file, folder)} for (name, _), file in zip(job.exports, exports, strict=True)
            ],
            **({} if self.model.matched is None else {"matched": self.model.matched.document()}),
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
