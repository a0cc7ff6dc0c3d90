"""Separation of one file: from its job to stems, model, exports and manifest on disk.

`separate_file` reads the input, learns or loads its model, renders the stems block by block into files without names,
and gives all files their names at once. Whatever is wrong with the file comes back in its outcome.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.exports import missing
from ..analysis.stem_names import titles
from ..errors import BugError, InputError, NmfsepError
from ..files.formats import LOSSLESS, SampleFormat, is_lossy
from ..files.publish import Output, pour
from ..files.tags import Tags, write as write_tags
from ..files.write import Integers, StemWriter, to_integers
from ..progress import OnProgress
from ..registry import EXPORTS
from ..separation import saved as saved_file
from ..separation.bootstrap import TEMPLATES
from ..separation.fit import resolved
from ..separation.mixture import Mixture, identity_of
from ..separation.model import Model
from ..separation.pipeline import render, separate as separate_mixture
from ..separation.saved import describe_fit
from ..signal.audio import Audio
from ..signal.read import Source
from ..signal.stream import Stream
from ..system import relative
from .manifest import SCHEMA, Manifest, Origin, file_entry, load, publish_with_manifest, versions
from .plan import Job, check_source
from .run_options import RunOptions, asked_entry, output_entry, same_input
from .safety import identities
from .sounds import require_place, write_sounds

CANCELLED = 0.03  # of the energy of the channels, below which little of it is in their mean
MASKS_ONLY = "{}; render makes the stems of the model by masks alone"
NAMES = {"MPEG_LAYER_III": "MP3", "VORBIS": "Vorbis", "OPUS": "Opus"}  # of codecs, as people write them
ONE_SHOT_BITS = 24
FLOAT_TOLERANCE = 1e-6  # of the peak, by which stems of floating point may miss the mixture


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a file."""

    manifest: Manifest | None = None  # of its stems; None if it failed
    error: NmfsepError | None = None  # why it failed
    skipped: bool = False  # an earlier run had made the stems

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

    `progress` is called as progress(iteration, loss); a true result stops the fit.
    """
    if job.refused is not None:
        return Outcome(error=job.refused)
    try:
        options = options.for_input(job.path, job.components)
        if job.up_to_date and job.manifest is not None:
            if same_input(job.path, job.manifest):
                return Outcome(load(job.manifest), skipped=True)
            job.require_room(identities((job.path, *options.files_read)), options.output)
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
    """Separate a file that is there and write its stems; return the manifest."""
    clock, settings, output, saved = Clock(), options.settings, options.output, options.saved
    if not settings.threads:
        settings = replace(settings, threads=options.threads)
    with Source(job.path) as source:
        protected = identities((job.path, *options.files_read))
        if job.manifest is not None and Origin(job.path).is_pipe:  # it has no name that lasts, only bytes
            job.require_room(protected, output, source.sha256())
        form, way = check_source(job, source, options)
        origin = Origin(job.path, source.sha256(), "strokes") if output.export_strokes is not None else None
        if origin is not None:
            require_place(job.track, Path(output.export_strokes or ""), origin, output.force)
        if way.streamed:
            mixture: Mixture = Stream(source, output.offset, output.duration)
        else:
            mixture = source.read(output.offset, output.duration)
        clock.lap("read")
        first = source.stretch(output.offset)[0]
        if saved is not None:
            model = saved.model(mixture, settings)
            clock.lap("match")
        else:
            model, _ = separate_mixture(
                mixture, settings, options.guide,
                begin=first / source.sample_rate, frames=way.frames, keep=output.keeps, match=way.match,
                on_progress=progress,
            )  # fmt: skip
            clock.lap("factorize")
        gain = _gain(model, mixture, form) if output.clip_mode == "rescale" and form.bits else 1.0
        track = Track(job, options, source, form, first, mixture, model, gain)
        if job.manifest is None:
            with Output(Path(tempfile.gettempdir()) / "nmfsep-stdout.wav") as file:  # never gets that name
                track.write([file], merged=True)  # all channels of all stems side by side
                pour(file.blocks(), sys.stdout.buffer)
            return track.manifest([], [], clock)
        with contextlib.ExitStack() as stack:
            stems = [stack.enter_context(Output(path)) for path in job.targets]
            track.write(stems)
            clock.lap("render")
            if job.names_pending:
                track.name_stems(stems, protected)  # activations of long files are known only now
            track.tag(stems)
            files = [*stems]
            if job.model is not None:
                files.append(stack.enter_context(Output(job.model)))
                track.save(files[-1])
                clock.lap("save")
            exports = [stack.enter_context(Output(path)) for _, path in job.exports]
            for (name, _), file in zip(job.exports, exports, strict=True):
                file.write(track.export(name))
            if origin is not None and (shots := track.one_shots()):
                written = write_sounds(
                    shots, job.track, Path(output.export_strokes or ""), origin, output.force, ONE_SHOT_BITS
                )
                track.one_shot_files = [relative(path, job.manifest.parent) for path in written]
            manifest = track.manifest(files, exports, clock)
            publish_with_manifest(
                job.manifest,
                manifest,
                [*files, *exports],
                lambda: track.job.require_room(protected, output, manifest["input"]["sha256"]),
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


@dataclass(slots=True)
class Track:
    """One track while its stems are rendered and written: their energies, peaks, warnings, and its manifest."""

    job: Job
    options: RunOptions
    source: Source
    form: SampleFormat
    first: int  # samples of the file before the mixture
    mixture: Mixture
    model: Model
    gain: float
    warnings: list[str] = field(init=False)
    one_shot_files: list[str] = field(default_factory=list)  # of the strokes that repeat, where they were written
    energy: NDArray[np.float64] = field(init=False)  # of each stem: the sum of its squares
    peak: NDArray[np.float64] = field(init=False)  # of each stem
    beyond: int = 0  # samples of the mixture that its integers cannot hold
    tags: Tags = field(init=False)  # of the input, as far as the stems can keep them
    sum_error: float = 0.0  # of the stems, of the mixture's peak

    def __post_init__(self) -> None:
        self.energy, self.peak = np.zeros(len(self.job.names)), np.zeros(len(self.job.names))
        self.warnings = [*self.source.warnings, *self.model.warnings]
        if self.mixture.length < self.model.stft.n_fft:
            self.warnings.append(f"{self.mixture.length} samples are less than one frame of {self.model.stft.n_fft}")

        self.tags, lost = self.source.tags().within("-" if self.job.manifest is None else self.form.name)
        if lost:
            where = "standard output" if self.job.manifest is None else self.form.name
            self.warnings.append(f"{where} cannot keep {', '.join(lost)} of the input")

    @property
    def room(self) -> int:
        """Bytes kept free in each stem for its tags."""
        names = max(map(len, self.job.names), default=0) + len(self.job.track)
        return self.tags.room + 4 * names if self.tags else 0  # a letter has up to four bytes

    def tag(self, files: Sequence[Output]) -> None:
        """Put what the input says of its sound into the stems."""
        if not self.tags:
            return
        whole = self.first == 0 and self.options.output.duration is None
        for index, file in zip(self.job.selected, files, strict=True):
            name = self.job.names[index]
            tags = self.tags.of_stem(name, self.job.track, self.first, self.mixture.length, whole)
            write_tags(file, tags, self.form.name, self.room)

    def write(self, files: list[Output], merged: bool = False) -> None:
        """Render all stems and write the selected ones."""
        job, whole = self.job, self.mixture
        writer = StemWriter(
            files, self.form, whole.sample_rate, whole.channels, whole.length, self.gain, whole.exponent,
            selected=job.selected, merged=merged, room=self.room, placed=bool(self.tags.layout),
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
        if writer.moved and self.options.output.clip_mode == "error":
            message = f"{writer.moved} samples of the stems would leave the range of {self.form.subtype}"
            raise InputError(message, "use --float32, or --clip-mode clamp or rescale", job.path)
        if writer.moved:
            self.warnings.append(
                f"{writer.moved} samples of a stem would have left the range of {self.form.subtype}; the excess went "
                "to the other stems (--float32 or --clip-mode rescale avoids it)"
            )
        if writer.rate != whole.sample_rate:
            self.warnings.append(f"Opus has no {whole.sample_rate} Hz; the stems were converted to {writer.rate} Hz")
        if self.beyond:
            self.warnings.append(
                f"{self.beyond} samples of the input are beyond full scale and were clipped; --float32 keeps them"
            )
        if writer.clipped:
            self.warnings.append(f"{writer.clipped} samples of the stems are beyond full scale and were clipped")

    def _integers(self, mixture: NDArray[np.float32], position: int) -> Integers | None:
        """Return the mixture as integers of the output's width, read again where single precision cannot hold them."""
        bits = self.form.bits
        if not bits:
            return None
        if bits == 32 and self.source.subtype == "PCM_32" and self.gain == 1:
            self.source.seek(self.first + position)
            return self.source.integers(mixture.shape[1]).astype(np.int64)
        gain = self.gain * 2.0**self.mixture.exponent
        self.beyond += int(np.count_nonzero(np.abs(mixture) > 1 / gain))
        return to_integers(mixture, bits, gain)

    def name_stems(self, files: Sequence[Output], protected: set[tuple[int, int]]) -> None:
        """Name the stems by how they sound, and their files; raise UsageError where a file of that name must stay."""
        names = self.model.grouping.names
        if not (self.model.labels or self.options.settings.preset):
            about = self.model.diagnose(names, self.mixture.sample_rate).stems
            stems = self.model.stems
            single = [len(group) <= TEMPLATES for group in stems.groups] if stems else []
            names = titles(names, about, [*single, False][: len(names)])
        self.model = replace(self.model, stem_names=names)
        self.job = replace(self.job.renamed(names, self.options), names_pending=False)
        self.job.require_room(protected, self.options.output)
        for file, target in zip(files, self.job.targets, strict=True):
            file.path = target

    def save(self, file: Output) -> None:
        """Write the model into a file."""
        identity = identity_of(self.job.path, self.mixture, self.first, self.options.output.duration is None)
        model = self.model
        matched = model.matched is not None and model.matched.found
        if matched or (model.order is not None and model.order.used):
            note = MASKS_ONLY.format("strokes were matched" if matched else "the order of spectra was used")
            self.warnings.append(note)
            model = replace(model, notes=(*model.notes, note))
        saved_file.write(file, model, self.options.settings, identity, self._guidance(), versions())

    def export(self, name: str) -> bytes:
        """Return the activations as a file of a kind, such as MIDI; warn of a sound that was sought and not found."""
        mixture, depths = self.mixture, [LOSSLESS.get(self.source.subtype, 0), self.form.bits]
        last_bit = max((2.0 ** (1 - bits - mixture.exponent) for bits in depths if bits), default=0.0)
        for lost in missing(self.model, mixture.sample_rate, last_bit):
            self.warnings.append(f"{lost!r} was not found in the sound, so that no label or note says it is there")
        begin, seconds = self.first / mixture.sample_rate, mixture.length / mixture.sample_rate
        encode = EXPORTS.load(name).encode
        return bytes(encode(self.model, mixture.sample_rate, begin, seconds=seconds, last_bit=last_bit))

    def one_shots(self) -> dict[str, Audio]:
        """Return the strokes that repeat, as loud as they are on average, by stem and number; warn of none."""
        repeated = self.model.matched.repeated if self.model.matched is not None else None
        shots: dict[str, Audio] = {}
        for stroke in repeated.strokes if repeated is not None else ():
            stem = self.job.names[stroke.stem]
            number = 1 + sum(name.rpartition("-")[0] == stem for name in shots)
            shots[f"{stem}-{number}"] = Audio(stroke.waveform, self.mixture.sample_rate, self.mixture.exponent)
        if not shots:
            self.warnings.append("no strokes were found to repeat, so that there are none to write")
        return shots

    def _guidance(self) -> list[dict[str, Any]]:
        if self.options.saved is not None:
            return list(self.options.saved.guidance)
        frames = [each.stft.n_fft for each in self.model.resolutions]
        return self.options.guide.about(frames) if self.options.guide is not None else []

    def manifest(self, files: Sequence[Output], exports: Sequence[Output], clock: Clock) -> Manifest:
        """Return the manifest of the files: those of the stems, then that of the model if there is one, and exports."""
        job, mixture, source, saved, model = self.job, self.mixture, self.source, self.options.saved, self.model
        folder = job.manifest.parent if job.manifest else Path()
        found = model.diagnose(job.names, mixture.sample_rate)
        stems = [self._stem_entry(index, found.stems[index]) for index in job.selected]
        if files:
            stems = [stem | file_entry(file, folder) for stem, file in zip(stems, files, strict=False)]
        kept = None
        if job.kept is not None and saved is not None:
            size = os.path.getsize(job.kept)
            kept = {"file": relative(job.kept, folder), "bytes": size, "sha256": saved.sha256}
        elif job.model is not None:
            kept = file_entry(files[-1], folder)
        complete = len(job.selected) == len(job.names) and self.form.file.lossless
        exact = 0.0 if self.form.bits else FLOAT_TOLERANCE
        learned_from = model.learned_from and dict(zip(("frames", "of"), model.learned_from, strict=True))
        clock.lap("hash")
        return {
            "schema": SCHEMA,
            "complete": True,
            "versions": versions(),
            "input": {
                **Origin(job.path, source.sha256()).entry(folder),
                "sample_rate": mixture.sample_rate,
                "channels": mixture.channels,
                "offset": self.first,
                "length": mixture.length,
                "subtype": source.subtype,
            },
            "settings": resolved(self.options.settings, self.options.is_guided),
            "asked": asked_entry(self.options),
            "frames": [{"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length} for each in model.resolutions],
            "choice": model.choice and model.choice.document(),
            "mask": model.settings.mask,
            "output": output_entry(self.options.output),
            "guidance": self._guidance(),
            "format": {"container": self.form.name, "subtype": self.form.subtype},
            "stems": stems,
            "model": kept,
            "exports": [
                {"kind": name, **file_entry(file, folder)} for (name, _), file in zip(job.exports, exports, strict=True)
            ],
            **self._matched(),
            **({} if model.order is None else {"order": model.order.document()}),
            "rendered_from": saved and {"path": saved.path, "sha256": saved.sha256},
            "fit": list(saved.fits if saved else map(describe_fit, model.fits)),
            "learned_from": learned_from,
            "gain": self.gain,
            "sum_error": self.sum_error,
            "sum_tolerance": exact if complete else None,
            "warnings": list(dict.fromkeys(self.warnings)),
            "bleed": found.bleed,
            "hints": [*found.hints, *self._lossy()],
            "seconds": clock.laps,
        }

    def _lossy(self) -> list[str]:
        """Return what is said of the sample format where a lossy input has none of its own."""
        if not is_lossy(self.source.subtype) or self.options.output.subtype or not self.form.bits:
            return []
        name, smaller = (
            NAMES.get(self.source.subtype, self.source.subtype),
            "" if self.form.name == "flac" else ", --flac halves the files",
        )
        return [f"the input is lossy ({name}), so its stems get {self.form.bits} bits: --float32 keeps all{smaller}"]

    def _matched(self) -> dict[str, Any]:
        """Return what a manifest says of strokes."""
        if self.model.matched is None:
            return {}
        about = self.model.matched.document(self.job.names, self.mixture.sample_rate)
        for stroke, file in zip(about.get("repeated", {}).get("strokes", []), self.one_shot_files, strict=False):
            stroke["file"] = file
        return about

    def _stem_entry(self, index: int, about: dict[str, Any]) -> dict[str, Any]:
        """Return what a manifest says of a stem without its file; `about` is how it sounds."""
        members = self.model.grouping.members
        power = self.energy[index] / max(1, self.mixture.channels * self.mixture.length)
        return {
            "name": self.job.names[index],
            "energy_share": round(float(self.energy[index] / max(self.energy.sum(), 1e-300)), 6),
            "peak": float(self.peak[index]),
            "level": round(10 * float(np.log10(power)), 2) if power > 0 else None,  # dB of full scale
            "components": [member + 1 for member in members[index]] if index < len(members) else [],
            **about,
        }
