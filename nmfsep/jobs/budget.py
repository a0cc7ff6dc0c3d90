"""What a separation takes: memory, and room on the disk, by the header of its input; and whether all at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .. import memory
from ..grouping.atoms import most_atoms
from ..kernels.select import ONCE, THIN
from ..separation.long_fit import FEWEST, frames_drawn, obstacle, rendering_obstacle
from ..separation.saved import Known, Saved
from ..separation.stem_groups import arrange
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.read import Source
from ..system import cpu_count

IN_MEMORY = 1 << 30  # bytes beyond which a mixture stays on disk though there may be more memory


@dataclass(frozen=True, slots=True)
class Budget:
    """How a separation is done within the memory that it may take.

    Attributes
    ----------
    need : int
        About how many bytes it takes.
    streamed : bool
        Whether the mixture stays on disk, so that no length takes more.
    frames : int
        Frames that templates are learned from, where it does.
    obstacle : str or None
        Why it cannot stay there, in words.
    """

    need: int
    streamed: bool = False
    frames: int = 0
    obstacle: str | None = None


def budget(
    source: Source, settings: Settings, output: OutputSettings, known: Known | None = None, limit: int | None = None
) -> Budget:
    """Return how to separate an input: in memory where that suffices, else a part at a time.

    What needs more than IN_MEMORY is done a part at a time though there may be more, so that the result does not depend
    on how much there is, as long as that suffices. Frames to learn from are halved until they fit. What one thread
    takes decides, so that the number of threads never changes the result.
    """
    need, alone = memory_needed(source, settings, output, known), replace(settings, threads=1)
    least, most = memory_needed(source, alone, output, known), memory.allowance(limit)
    if least <= min(IN_MEMORY, least if most is None else most):
        return Budget(need)
    saved = isinstance(known, Saved)
    reason = rendering_obstacle(settings) if isinstance(known, Saved) else obstacle(settings, known)
    if reason is not None:
        return Budget(need, obstacle=reason)
    frames = 0 if saved else _frames(source, settings, output, known)
    while True:
        if most is None or frames <= FEWEST or _streamed(source, alone, output, known, frames) <= most:
            return Budget(_streamed(source, settings, output, known, frames), True, frames)
        frames = max(FEWEST, frames // 2)


def _frames(source: Source, settings: Settings, output: OutputSettings, known: Known | None) -> int:
    """Return how many frames templates are learned from at the most."""
    length = length_of(source, output) or 0
    sizes = [(n_fft, length // hop + 2) for n_fft, hop, _ in _stfts(source, settings, known)]
    return max(min(there, frames_drawn(settings, source.channels, n_fft)) for n_fft, there in sizes)


def _streamed(source: Source, settings: Settings, output: OutputSettings, known: Known | None, frames: int) -> int:
    threads = settings.threads or cpu_count()
    stems = len(arrange(settings, known.labels if known else ()).names)
    n_fft, hop = settings.frames(source.sample_rate)
    entries = (length_of(source, output) or 0) // hop * source.channels * (n_fft // 2 + 1)
    thin = settings.templates < THIN and settings.divergence in ("kl", "is", 1, 0) and known is None
    compiled = thin and entries >= ONCE
    need = memory.estimate_streamed(
        settings, source.channels, threads, _stfts(source, settings, known), stems, frames, compiled
    )
    if known is None and (atoms := most_atoms(settings)):
        grouped = [(n_fft, hop, atoms)]
        drawn = min(frames, memory.SAMPLED)
        need = max(need, memory.estimate_streamed(settings, source.channels, threads, grouped, stems, drawn, compiled))
    if isinstance(known, Saved):
        return need + known.size
    return need + (model_size(source, settings, output, known) if output.keeps else 0)


def _stfts(source: Source, settings: Settings, known: Known | None) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates of each length of frames."""
    return _views(source, settings, known) or [(*settings.frames(source.sample_rate), settings.templates)]


def memory_needed(source: Source, settings: Settings, output: OutputSettings, known: Known | None = None) -> int:
    """Return about how many bytes separating an input will take; for one of unknown length, what it takes at least."""
    threads = settings.threads or cpu_count()
    length, stems = length_of(source, output) or 0, len(arrange(settings, known.labels if known else ()).names)
    views, beyond = _views(source, settings, known), memory.filtering(settings, threads)
    if isinstance(known, Saved):
        return beyond + memory.estimate_rendering(source.channels, length, threads, views, stems, known.size)
    if known is not None:
        moved, extra = known.moves(settings), sum(cue.matrices for cue in known.cues)
        return beyond + memory.estimate_guided(settings, source.channels, length, threads, views, stems, moved, extra)
    finest = settings.levels[0] if settings.levels else settings.components
    thin = finest < THIN and settings.divergence in ("kl", "is", 1, 0)
    return beyond + memory.estimate(
        settings, source.channels, length, threads, ONCE if thin else None, stems, most_atoms(settings),
        source.sample_rate,
    )  # fmt: skip


def model_size(source: Source, settings: Settings, output: OutputSettings, known: Known | None = None) -> int:
    """Return about how many bytes the file of the model of an input takes."""
    length = length_of(source, output) or 0
    atoms, views = 0 if known else most_atoms(settings), _views(source, settings, known)
    return memory.model_size(settings, source.channels, length, views, atoms, source.sample_rate)


def length_of(source: Source, output: OutputSettings) -> int | None:
    """Return the samples of the stretch asked for, None if the header does not say how long the file is."""
    first, count = source.stretch(output.offset, output.duration)
    if source.frames is None:
        return None
    rest = max(0, source.frames - first)
    return rest if count is None else min(rest, count)


def stretch_of(source: Source, output: OutputSettings) -> tuple[float, float | None]:
    """Return where the stretch asked for begins and ends, in seconds; None if the header does not say the end."""
    first, length = source.stretch(output.offset)[0], length_of(source, output)
    return first / source.sample_rate, None if length is None else (first + length) / source.sample_rate


def _views(source: Source, settings: Settings, known: Known | None) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates of each length of frames that is known before the fit."""
    if isinstance(known, Saved):
        sizes = [(layer.stft, layer.model.factors[0].components) for layer in known.layers]
    else:
        return known.sizes(source.sample_rate, settings) if known else []
    return [(stft.n_fft, stft.hop_length, templates) for stft, templates in sizes]
