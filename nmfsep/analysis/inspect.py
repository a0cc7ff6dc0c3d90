"""Inspection of sounds and of stems: components with their pitches, onsets and levels, as a report or a picture.

A sound is factorized as `split` does it, stems are taken as they are. `audition` makes a sound of each template, and
`rank_components` collects the evidence for how many components there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError, install_command
from ..files.naming import track_name
from ..grouping.rank import BANDS, FRAMES, STABLE, Evidence, rank, recommended
from ..grouping.timbre import mel_filters
from ..kernels.product import Factors, Matrix
from ..progress import OnProgress
from ..separation.components import Components
from ..separation.describe import Component, describe, template_and_activation
from ..separation.mixture import all_frames
from ..separation.pipeline import separate
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, window_samples
from .plots.canvas import write_picture
from .plots.matrix import stability_picture
from .plots.sound import Sound, sound_picture

SCHEMA = 1
COLUMNS = 900  # of the picture at the most; more frames share one
SECONDS = 1.5  # of an audition
DECAY = 40.0  # decibels by which it has died away at its end
ROUNDS = 60  # of finding its phases
PEAK = 0.5  # of full scale


@dataclass(frozen=True, slots=True)
class Inspection:
    """The components of one sound."""

    kind: str  # of what was inspected: "sound" or "separation"
    path: str
    track: str
    samples: Samples  # of the mixture, (channels, samples)
    sample_rate: int  # hertz
    stft: STFT  # what W and Z are of
    W: NDArray[np.floating[Any]]  # templates, added up over channels, (bins, components)
    Z: NDArray[np.floating[Any]]  # activations, (components, frames)
    components: tuple[Component, ...]  # in the order of W and Z
    warnings: tuple[str, ...] = ()
    sha256: str | None = None  # of the file of a sound

    def __repr__(self) -> str:
        """Return it in a line: what was found, and how long it is."""
        found = ", ".join(f"{each.name} {each.pitch.name}" if each.pitch else each.name for each in self.components)
        seconds = self.samples.shape[1] / self.sample_rate
        return f"Inspection({self.track!r}, {seconds:.2f} s: {found})"

    def document(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "schema": SCHEMA,
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


def describe_sound(
    path: str,
    audio: Audio,
    settings: Settings,
    warnings: Sequence[str] = (),
    sha256: str | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """Factorize the magnitude spectrogram of a sound, as `split` does, and describe its components.

    Path, warnings and hash are those of its file; the progress is called as on_progress(iteration, loss).
    """
    model, _ = separate(audio, settings, on_progress=on_progress)
    W, Z, energies = _of_components(model.components)
    names = [f"component-{index + 1}" for index in range(settings.components)]
    components = tuple(describe(names, W, Z, energies, model.stft, audio.sample_rate))
    track, warnings = track_name(path), (*warnings, *model.warnings)
    return Inspection(
        "sound", path, track, audio.samples, audio.sample_rate, model.stft, W, Z, components, warnings, sha256
    )


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


def describe_stems(path: str, track: str, names: Sequence[str], stems: Iterable[Audio], stft: STFT) -> Inspection:
    """Describe stems of one length and rate, of each its magnitudes summed over time and over frequency.

    The path is that of their manifest. Stems are looked at one by one, so that an iterator needs no memory for all.
    """
    templates, activations, energies = [], [], []
    mixture: Samples | float = 0.0
    for audio in stems:
        mixture, rate = mixture + audio.samples, audio.sample_rate
        template, activation = template_and_activation(audio.samples, stft)
        templates.append(template)
        activations.append(activation)
        energies.append(float(np.einsum("cn,cn->", audio.samples, audio.samples, dtype=np.float64)))
    order = np.argsort(-np.asarray(energies), kind="stable")
    W, Z = np.stack(templates, axis=1)[:, order], np.stack(activations)[order]
    names = [names[index] for index in order]
    components = tuple(describe(names, W, Z, np.asarray(energies)[order], stft, rate))
    return Inspection("separation", path, track, np.asarray(mixture), rate, stft, W, Z, components)


def draw_inspection(found: Inspection, target: Path) -> None:
    """Draw the spectrogram, W, Z and masks of a sound, as a PNG file."""
    count = len(found.components)
    write_picture(sound_picture(drawn(found), f"{found.track}: {count} component{'s' * (count > 1)}"), target)


def drawn(found: Inspection) -> Sound:
    """Return what pictures show of a sound."""
    step = max(1, -(-found.Z.shape[1] // COLUMNS))
    return Sound(
        spectrogram=pooled_spectrogram(found.samples, found.stft, step),
        W=np.asarray(found.W, np.float64),
        Z=_pooled(np.asarray(found.Z, np.float64), step),
        frequencies=found.stft.frequencies(found.sample_rate),
        seconds=found.Z.shape[1] * found.stft.hop_length / found.sample_rate,
        names=[component.name for component in found.components],
        notes=[component.pitch.name if component.pitch else "" for component in found.components],
        pitches=[component.pitch.hertz if component.pitch else None for component in found.components],
        onsets=[component.onsets for component in found.components],
    )


def pooled_spectrogram(samples: Samples, stft: STFT, step: int) -> NDArray[np.float64]:
    """Return the largest magnitude of every `step` frames, the channels added up, (bins, columns)."""
    frames = stft.n_frames(samples.shape[1])
    height = max(1, BLOCK // step) * step
    columns = []
    for start in range(0, frames, height):
        magnitudes = np.abs(stft.forward_block(samples, start, min(frames, start + height))).sum(axis=0).T
        columns.append(_pooled(magnitudes.astype(np.float64), step))
    return np.concatenate(columns, axis=1)


def _pooled(rows: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return the largest of every `step` columns, the last perhaps of fewer."""
    pooled: NDArray[np.float64] = np.maximum.reduceat(rows, np.arange(0, rows.shape[1], step), axis=1)
    return pooled


def audition(template: NDArray[np.floating[Any]], stft: STFT, sample_rate: int) -> Audio:
    """Return the sound of a template (bins,), struck once and left to die away, mono; silence if it is silent.

    A magnitude spectrogram has no phases; librosa finds some that fit it, by Griffin & Lim, "Signal estimation from
    modified short-time Fourier transform", IEEE TASSP 32(2), 1984, with momentum.

    Raises
    ------
    UsageError
        librosa is not installed.
    """
    length = round(SECONDS * sample_rate)
    if not np.any(template):
        return Audio(np.zeros((1, length), np.float32), sample_rate)
    try:
        import librosa
    except ImportError as error:
        raise UsageError(
            "the sound of a template needs librosa", f"install it: {install_command('librosa')}"
        ) from error
    times = np.arange(1 + length // stft.hop_length) * stft.hop_length / sample_rate
    magnitudes = np.outer(template / np.max(template), 10 ** (-DECAY / 20 * times / SECONDS)).astype(np.float32)
    sound = librosa.griffinlim(
        magnitudes, n_iter=ROUNDS, hop_length=stft.hop_length, n_fft=stft.n_fft,
        window=window_samples(stft.window, stft.n_fft), length=length, init=None,
    )  # fmt: skip
    peak = float(np.abs(sound).max())
    return Audio((sound * (PEAK / peak if peak > 0 else 0.0)).astype(np.float32)[None], sample_rate)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Evidence for numbers of components of a track."""

    track: str
    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return it in a line: the number, and between which it was chosen."""
        counts = [row.components for row in self.evidence]
        return f"Ranking({self.track!r}: {self.recommended} components, of {min(counts)} to {max(counts)})"

    @property
    def recommended(self) -> int:
        """The largest number whose components are stable; 1 if none is."""
        return recommended(self.evidence)


def rank_components(
    path: str, audio: Audio, settings: Settings, counts: Sequence[int], warnings: Sequence[str] = ()
) -> Ranking:
    """Return the evidence for numbers of components, found on a mel spectrogram, the mean of those of the channels.

    Of the settings frames, seed and threads count; path and warnings are those of the sound's file.

    Raises
    ------
    UsageError
        The sound is silent, or too short for so many components.
    """
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
    return Ranking(track_name(path), tuple(rank(mel, counts, settings.seed, settings.threads)), tuple(warnings))


def draw_ranking(found: Ranking, target: Path) -> None:
    """Draw the evidence for numbers of components, as a PNG file."""
    title = f"{found.track}: how stable its components are"
    write_picture(stability_picture(title, found.evidence, STABLE, found.recommended), target)
