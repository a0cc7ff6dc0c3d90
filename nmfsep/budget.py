"""What a separation takes: memory, and room on the disk, by the header of its input."""

from __future__ import annotations

import os

from . import memory
from .nmf.kernels.choose import ONCE, THIN
from .separation.atoms import most_atoms
from .separation.grouping import arrange
from .separation.saved import Known, Saved
from .settings import OutputSettings, Settings
from .signal.read import Source


def memory_needed(source: Source, settings: Settings, output: OutputSettings, known: Known | None = None) -> int:
    """Return about how many bytes separating an input will take; for one of unknown length, what it takes at least."""
    threads = settings.threads or os.cpu_count() or 1
    length, stems = length_of(source, output) or 0, len(arrange(settings, known.labels if known else ()).names)
    views = _views(source, settings, known)
    if isinstance(known, Saved):
        return memory.estimate_rendering(source.channels, length, threads, views, stems, known.size)
    if known is not None:
        return memory.estimate_guided(settings, source.channels, length, threads, views, stems)
    finest = settings.levels[0] if settings.levels else settings.components
    thin = finest < THIN and settings.divergence in ("kl", "is", 1, 0)
    return memory.estimate(
        settings, source.channels, length, threads, ONCE if thin else None, stems, most_atoms(settings)
    )


def model_size(source: Source, settings: Settings, output: OutputSettings, known: Known | None = None) -> int:
    """Return about how many bytes the file of the model of an input takes."""
    length = length_of(source, output) or 0
    return memory.model_size(
        settings, source.channels, length, _views(source, settings, known), 0 if known else most_atoms(settings)
    )


def length_of(source: Source, output: OutputSettings) -> int | None:
    """Return the samples of the stretch asked for, None if the header does not say how long the file is."""
    first, count = source.stretch(output.offset, output.duration)
    if source.frames is None:
        return None
    rest = max(0, source.frames - first)
    return rest if count is None else min(rest, count)


def _views(source: Source, settings: Settings, known: Known | None) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates of each length of frames that is known before the fit."""
    if isinstance(known, Saved):
        sizes = [(layer.stft, layer.model.factors[0].components) for layer in known.layers]
    else:
        views = known.fitted(source.sample_rate, settings)[0].views if known else ()
        sizes = [(view.stft, view.W.shape[1]) for view in views]
    return [(stft.n_fft, stft.hop_length, templates) for stft, templates in sizes]
