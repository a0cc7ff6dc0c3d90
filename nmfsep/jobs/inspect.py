"""Inspection of sounds and of separations: components with their pitches, onsets and levels, as a report or a picture.

A sound is factorized as `split` does it; a separation is read from its manifest and stems. Each component can be
written as a sound of its own (an audition), and `rank_sound` collects the evidence for how many components there are.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..analysis.plots.sound import Sound, sound_picture
from ..analysis.resynthesis import audition
from ..errors import InputError, NmfsepError, UsageError
from ..files.naming import MANIFEST, fit_name, manifest_name, track_name
from ..files.publish import Output
from ..grouping.rank import BANDS, FRAMES, Evidence, rank, recommended
from ..grouping.timbre import mel_filters
from ..kernels.factors import Factors, Matrix
from ..memory import require
from ..progress import OnProgress
from ..separation.components import Components
from ..separation.describe import Component, describe, template_and_activation
from ..separation.mixture import all_frames
from ..separation.pipeline import separate
from ..settings.commands import OutputSettings
from ..settings.fields import WINDOWS
from ..settings.separation import Settings
from ..signal.audio import Samples
from ..signal.read import Source
from ..signal.stft import BLOCK, STFT
from .budget import BASE, memory_needed
from .manifest import SCHEMA, Origin, file_entry, find, load, publish_with_manifest, versions
from .plan import check_model
from .run_options import RunOptions
from .safety import require_free, require_readable

REPORT_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Inspection:
    """The components of one sound.

    Attributes
    ----------
    kind : str
        What was inspected.
    path : str
    track : str
    samples : ndarray, shape (channels, samples)
        The mixture.
    sample_rate : int
        Hertz.
    stft : STFT
        What W and Z are of.
    W : ndarray, shape (bins, components)
        Templates, added up over channels.
    Z : ndarray, shape (components, frames)
    components : tuple of Component
        Loudest first.
    warnings : tuple of str
    sha256 : str, optional
        Of the file, of a sound.
    """

    kind: str
    path: str
    track: str
    samples: Samples
    sample_rate: int
    stft: STFT
    W: NDArray[np.floating[Any]]
    Z: NDArray[np.floating[Any]]
    components: tuple[Component, ...]
    warnings: tuple[str, ...] = ()
    sha256: str | None = None

    def document(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "schema": REPORT_SCHEMA,
            "kind": self.kind,
            "path": self.path,
            "track": self.track,
            "sample_rate": self.sample_rate,
            "channels": self.samples.shape[0],
            "seconds": round(self.samples.shape[1] / self.sample_rate, 3),
            "n_fft": self.stft.n_fft,
            "hop_length": self.stft.hop_length,
            "components": [component.document() for component in self.components],
            "warnings": list(self.warnings),
        }


KIND = "audition"  # of manifest


def write_auditions(found: Inspection, folder: Path, force: bool) -> list[Path]:
    """Write the sound of each template to a WAV file, with a manifest that vouches for them.

    Parameters
    ----------
    found : Inspection
    folder : Path
        The files go to a folder of the track's name in it.
    force : bool
        Whether what another program wrote may be replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    UsageError
        A file of another program is in the way.
    OutputError
        A file cannot be written; none was then.
    """
    below = folder / fit_name(found.track)
    targets = [below / fit_name(f"{component.name}.wav") for component in found.components]
    manifest = below / manifest_name(found.track)
    origin = Origin(found.path, found.sha256, KIND)

    def require_room() -> list[Path]:
        return require_free(targets, manifest, [found.path], force, origin=origin)

    require_room()
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(Output(path)) for path in targets]
        for n, file in enumerate(files):
            file.write(_wav(found, n))
        document = {
            "schema": SCHEMA,
            "kind": KIND,
            "complete": True,
            "versions": versions(),
            "input": origin.entry(below),
            "files": [file_entry(file, below) for file in files],
        }
        publish_with_manifest(manifest, document, files, require_room)
    return targets


def _wav(found: Inspection, component: int) -> bytes:
    sound = audition(found.W[:, component], found.stft, found.sample_rate)
    buffer = io.BytesIO()
    whole = np.rint(sound.samples.T * 32767).astype(np.int16)
    sf.write(buffer, whole, found.sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


COLUMNS = 900  # of the picture at the most; more frames share one


def picture(found: Inspection) -> bytes:
    """Return a PNG file that shows what was found."""
    step = max(1, -(-found.Z.shape[1] // COLUMNS))
    hop = found.stft.hop_length / found.sample_rate
    names = [component.pitch.name if component.pitch else "" for component in found.components]
    title = f"{found.track}: {len(names)} component{'s' * (len(names) > 1)}"
    return sound_picture(
        Sound(
            spectrogram=pooled_spectrogram(found.samples, found.stft, step),
            W=np.asarray(found.W, np.float64),
            Z=_pooled(np.asarray(found.Z, np.float64), step),
            frequencies=found.stft.frequencies(found.sample_rate),
            seconds=found.Z.shape[1] * hop,
            names=[component.name for component in found.components],
            notes=names,
            pitches=[component.pitch.hertz if component.pitch else None for component in found.components],
            onsets=[component.onsets for component in found.components],
        ),
        title,
    )


def pooled_spectrogram(samples: Samples, stft: STFT, step: int) -> NDArray[np.float64]:
    """Return the largest magnitude of every `step` frames, the channels added up, (bins, columns)."""
    frames = stft.n_frames(samples.shape[1])
    out = np.zeros((stft.bins, -(-frames // step)))
    height = max(1, BLOCK // step) * step
    for start in range(0, frames, height):
        stop = min(frames, start + height)
        magnitudes = np.abs(stft.forward_block(samples, start, stop)).sum(axis=0).T
        block = _pooled(magnitudes.astype(np.float64), step)
        out[:, start // step : start // step + block.shape[1]] = block
    return out


def _pooled(rows: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return the largest of every `step` columns, the last perhaps of fewer."""
    pooled: NDArray[np.float64] = np.maximum.reduceat(rows, np.arange(0, rows.shape[1], step), axis=1)
    return pooled


LONGEST = 1 << 20  # samples of a frame; a manifest with more makes no sense


def inspect_separated(path: str, limit: int | None = None, failed: list[NmfsepError] | None = None) -> list[Inspection]:
    """Describe the stems of a separation, of each its magnitudes summed over time and over frequency.

    Parameters
    ----------
    path : str
        A manifest, or a folder that is searched for them with all below it.
    limit : int, optional
        Bytes of memory that may be taken.
    failed : list, optional
        Takes what is wrong with separations that cannot be described, where others can.

    Raises
    ------
    InputError
        A stem or manifest cannot be read, or stems are missing or differ from each other.
    UsageError
        There is no manifest of a separation, or memory would not suffice.
    """
    found: list[Inspection] = []
    faults: list[NmfsepError] = []
    for file in find(Path(path)):
        try:
            manifest = load(file)
            if "kind" not in manifest:
                found.append(_inspect(file, manifest, limit))
        except NmfsepError as error:
            error.path = str(file) if error.path is None else error.path
            faults.append(error)
    if faults and (failed is None or not found):
        raise faults[0]
    if not found:
        raise UsageError("holds no separation of nmfsep", "give an audio file, or the folder that split wrote to", path)
    if failed is not None:
        failed += faults
    return found


def _inspect(file: Path, manifest: dict[str, Any], limit: int | None) -> Inspection:
    try:
        settings = manifest["settings"]
        frames = manifest.get("frames", [settings])[0]  # where older manifests have them
        n_fft, window = frames["n_fft"], settings["window"]
        hop = frames["hop_length"] or n_fft // 4
        if type(n_fft) is not int or type(hop) is not int or n_fft > LONGEST or window not in WINDOWS:
            raise InputError("has frames that make no sense", path=file)
        stft = STFT(n_fft, hop, window)
        names = [stem["name"] for stem in manifest["stems"]]
    except (LookupError, TypeError, AttributeError, UsageError) as error:
        raise InputError("does not say how its stems were made", "separate again", file) from error
    if not names:
        raise InputError("lists no stems", path=file)
    templates, activations, energies = [], [], []
    mixture, rate = np.empty((0, 0), np.float32), 0
    for stem in manifest["stems"]:
        path = file.parent / stem["file"]
        if not os.path.isfile(path):
            raise InputError(f"stem {stem['file']!r} is missing", "separate again", file)
        with Source(path) as source:
            if source.frames is not None:
                need = BASE + 12 * source.channels * source.frames
                require(f"{names[0]!r} needs", need, limit, "use --max-memory")
            audio = source.read()
        if rate and (audio.samples.shape, audio.sample_rate) != (mixture.shape, rate):
            raise InputError("differs from the other stems in length, channels or sample rate", path=path)
        mixture, rate = (mixture + audio.samples if rate else audio.samples), audio.sample_rate
        template, activation = template_and_activation(audio.samples, stft)
        templates.append(template)
        activations.append(activation)
        energies.append(float(np.einsum("cn,cn->", audio.samples, audio.samples, dtype=np.float64)))
    order = np.argsort(-np.asarray(energies), kind="stable")
    W, Z = np.stack(templates, axis=1)[:, order], np.stack(activations)[order]
    names = [names[index] for index in order]
    components = tuple(describe(names, W, Z, np.asarray(energies)[order], stft, rate))
    track = file.name.removesuffix(MANIFEST)
    return Inspection("separation", str(file), track, mixture, rate, stft, W, Z, components)


def inspect_sound(
    path: str, settings: Settings, stretch: OutputSettings, limit: int | None = None, callback: OnProgress | None = None
) -> Inspection:
    """Factorize the magnitude spectrogram of a file, as `split` does, and describe its components.

    Parameters
    ----------
    path : str
        "-" is standard input.
    settings : Settings
        Of the factorization; its channels are joint.
    stretch : OutputSettings
        Its offset and duration count.
    limit : int, optional
        Bytes of memory that may be taken.
    callback : callable, optional
        Called as callback(iteration, loss).

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        It would take too much memory, or options contradict each other.
    """
    require_readable(path)
    check_model(RunOptions(settings))
    track = track_name(path)
    with Source(path) as source:
        need = memory_needed(source, RunOptions(settings, stretch))
        require(f"{track!r} needs", need, limit, "use --duration, a larger --hop-length, or --max-memory")
        audio = source.read(stretch.offset, stretch.duration)
        warnings, sha256 = source.warnings, source.sha256()
    model, _ = separate(audio, settings, on_progress=callback)
    W, Z, energies = _of_components(model.components)
    names = [f"component-{index + 1}" for index in range(settings.components)]
    components = describe(names, W, Z, energies, model.stft, audio.sample_rate)
    warnings = [*warnings, *model.warnings]
    return Inspection(
        "sound", path, track, audio.samples, audio.sample_rate, model.stft, W, Z, tuple(components), tuple(warnings),
        sha256,
    )  # fmt: skip


def _of_components(components: Components) -> tuple[Matrix, Matrix, NDArray[np.float64]]:
    """Return a template, an activation and the energy of each component, added up over channels and over its parts.

    Where a component has several parts, as in deep and convolutive models, its template is the spectrum of all that it
    sounds, and its activation the level, frame by frame.
    """
    Z, whole = components.factors[0].Z, sum(factors.W for factors in components.factors[1:]) + components.factors[0].W
    templates, activations, energies = [], [], []
    for group in map(list, components.groups):
        template = whole[:, group] @ Z[group].sum(axis=1)
        templates.append(template / max(float(template.sum()), 1e-30))
        activations.append(whole[:, group].sum(axis=0) @ Z[group])
        energies.append(sum(_energy(factors.select(group)) for factors in components.factors))
    return np.stack(templates, axis=1), np.stack(activations), np.array(energies)


def _energy(factors: Factors) -> float:
    """Return ‖W Z‖², from the products of W and of Z alone."""
    W, Z = factors.W.astype(np.float64), factors.Z.astype(np.float64)
    return float(np.vdot(W.T @ W, Z @ Z.T))


COUNTS = range(2, 11)  # numbers tried if nothing else is asked for


@dataclass(frozen=True, slots=True)
class Ranking:
    """Evidence for numbers of components.

    Attributes
    ----------
    track : str
    evidence : tuple of Evidence
    warnings : tuple of str
    """

    track: str
    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...] = ()

    @property
    def recommended(self) -> int:
        """The largest number whose components are stable; 1 if none is."""
        return recommended(self.evidence)


def rank_sound(
    path: str, settings: Settings, stretch: OutputSettings, counts: Sequence[int] = COUNTS, limit: int | None = None
) -> Ranking:
    """Return the evidence for numbers of components, found on a mel spectrogram, the mean of those of the channels.

    Parameters
    ----------
    path : str
        "-" is standard input.
    settings : Settings
        Its frames, seed and threads count.
    stretch : OutputSettings
        Its offset and duration count.
    counts : sequence of int
    limit : int, optional
        Bytes of memory that may be taken.

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        It would take too much memory, or is too short for so many components.
    """
    require_readable(path)
    track = track_name(path)
    with Source(path) as source:
        need = memory_needed(source, RunOptions(settings, stretch))
        require(f"{track!r} needs", need, limit, "use --duration, a larger --hop-length, or --max-memory")
        audio = source.read(stretch.offset, stretch.duration)
        warnings = source.warnings
    stft = STFT(*replace(settings, components=max(counts)).frames(audio.sample_rate), settings.window)
    frames = stft.n_frames(audio.length)
    if frames <= max(counts):
        message = f"has {frames} frames, too few to tell up to {max(counts)} components apart"
        raise UsageError(message, "use a shorter --n-fft", path)
    X = all_frames(audio.samples, stft, settings.threads).Xt.T.reshape(audio.channels, stft.bins, frames)
    seen = X.mean(axis=0)[:, np.linspace(0, frames - 1, min(frames, FRAMES)).astype(int)]
    mel = mel_filters(stft.frequencies(audio.sample_rate), BANDS, np.inf).astype(np.float32) @ seen
    if not mel.any():
        raise UsageError("is silent, so there is nothing to count", path=path)
    mel += np.float32(1e-6) * mel.mean()
    return Ranking(track, tuple(rank(mel, counts, settings.seed, settings.threads)), tuple(warnings))
