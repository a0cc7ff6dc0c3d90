"""Budget of memory: what a separation takes at its peak, by the header of its input, and how it fits into a limit.

An estimate lists the arrays of each stage in bytes, by their shapes; the peak is the largest stage. `budget` decides
from it whether the mixture is separated in memory or stays on disk, and how many frames its templates are learned from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..grouping.atoms import most_atoms
from ..kernels.select import ONCE, THIN
from ..memory import allowance
from ..registry import SPATIAL_MASKS
from ..separation.pipeline import obstacle, rendering_obstacle
from ..separation.render import BLOCK, block_frames
from ..separation.sample import FEWEST, frames_drawn
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from ..signal.read import Source
from ..system import cpu_count
from .run_options import RunOptions

BASE = 45 << 20  # the interpreter with its libraries
LOOPS = 110 << 20  # compiled loops with their compiler
PICTURES = 45 << 20  # matplotlib
COPIES = {"kmeans": 2, "deep-semi": 3}  # of a matrix that a model makes, where it is not one
DECOMPOSED = ("semi", "deep-semi")  # models that start from a singular value decomposition
SAMPLED = 2048  # frames that atoms are learned from
TILES = 8 << 20  # of each thread: what it works in, and what its allocator keeps
PIECE = 1 << 16  # samples read from a file at a time
SEARCH = 64 << 20  # correlations of a label's strokes with a stretch of sound
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
        Frames that templates are learned from, if it stays there.
    obstacle : str or None
        Why it cannot stay there, in words.
    match : bool
        Whether there is room for matching waveforms, where that is to be done.
    """

    need: int
    streamed: bool = False
    frames: int = 0
    obstacle: str | None = None
    match: bool = False


def budget(source: Source, options: RunOptions) -> Budget:
    """Return how to separate an input: in memory where that suffices, else a part at a time.

    What needs more than IN_MEMORY is done a part at a time though there may be more, so that the result does not depend
    on how much there is, as long as that suffices. Frames to learn from are halved until they fit. What one thread
    takes decides, so that the number of threads never changes the result.
    """
    one_thread = replace(options, settings=replace(options.settings, threads=1))
    need, least, most = memory_needed(source, options), memory_needed(source, one_thread), allowance(options.limit)
    room = min(IN_MEMORY, IN_MEMORY if most is None else most)
    matching = matching_needed(source, options)
    if matching and least + matching <= room:
        return Budget(need + matching, match=True)
    if least <= room:
        return Budget(need)
    settings, saved = options.settings, options.saved is not None
    reason = rendering_obstacle(settings) if saved else obstacle(settings, options.guide)
    if reason is not None:
        return Budget(need, obstacle=reason)
    frames = 0 if saved else _frames(source, options)
    while most is not None and frames > FEWEST and _streamed(source, one_thread, frames) > most:
        frames = max(FEWEST, frames // 2)
    return Budget(_streamed(source, options, frames), True, frames)


def _frames(source: Source, options: RunOptions) -> int:
    """Return how many frames templates are learned from at the most."""
    length = length_of(source, options.output) or 0
    sizes = [(n_fft, length // hop + 2) for n_fft, hop, _ in _stfts(source, options)]
    return max(min(there, frames_drawn(options.settings, source.channels, n_fft)) for n_fft, there in sizes)


def _threads(options: RunOptions) -> int:
    return options.settings.threads or options.threads or cpu_count()


def _streamed(source: Source, options: RunOptions, frames: int) -> int:
    """Return about how many bytes separating a mixture on disk takes, its templates learned from so many frames."""
    settings, threads, stems = options.settings, _threads(options), len(options.stem_names)
    n_fft, hop = settings.frames(source.sample_rate)
    entries = (length_of(source, options.output) or 0) // hop * source.channels * (n_fft // 2 + 1)
    thin = settings.templates < THIN and settings.divergence in ("kl", "is", 1, 0) and not options.is_guided
    compiled = thin and entries >= ONCE
    sizes = _stfts(source, options)
    need = estimate_streamed(settings, source.channels, threads, sizes, stems, frames, compiled)
    if not options.is_guided and (atoms := most_atoms(settings)):
        grouped = [(n_fft, hop, atoms)]
        drawn = min(frames, SAMPLED)
        need = max(need, estimate_streamed(settings, source.channels, threads, grouped, stems, drawn, compiled))
    if options.saved is not None:
        return need + options.saved.size
    return need + (model_size(source, options) if options.output.keeps else 0)


def _stfts(source: Source, options: RunOptions) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates of each length of frames."""
    settings = options.settings
    return _views(source, options) or [(*settings.frames(source.sample_rate), settings.templates)]


def memory_needed(source: Source, options: RunOptions) -> int:
    """Return about how many bytes separating an input will take; for one of unknown length, what it takes at least."""
    settings, guide, threads = options.settings, options.guide, _threads(options)
    length, stems = length_of(source, options.output) or 0, len(options.stem_names)
    views, beyond = _views(source, options), filtering(settings, threads)
    if options.saved is not None:
        return beyond + estimate_rendering(source.channels, length, threads, views, stems, options.saved.size)
    if guide is not None:
        moved, extra = guide.moves(settings), sum(cue.matrices for cue in guide.cues)
        return beyond + estimate_guided(settings, source.channels, length, threads, views, stems, moved, extra)
    finest = settings.levels[0] if settings.levels else settings.components
    thin = finest < THIN and settings.divergence in ("kl", "is", 1, 0)
    return beyond + estimate(
        settings, source.channels, length, threads, ONCE if thin else None, stems, most_atoms(settings),
        source.sample_rate,
    )  # fmt: skip


def matching_needed(source: Source, options: RunOptions) -> int:
    """Return about how many bytes matching waveforms takes beside the separation; 0 if none are to be matched."""
    guide = options.guide
    if guide is None or not guide.matches(options.settings):
        return 0
    length = length_of(source, options.output) or 0
    return SEARCH + _floats(5, len(guide.labels) + 1, source.channels, length)


def model_size(source: Source, options: RunOptions) -> int:
    """Return about how many bytes the file of the model of an input takes."""
    settings, length = options.settings, length_of(source, options.output) or 0
    atoms, views = 0 if options.is_guided else most_atoms(settings), _views(source, options)
    return saved_size(settings, source.channels, length, views, atoms, source.sample_rate)


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


def _views(source: Source, options: RunOptions) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates of each length of frames that a guide or a saved model fixes."""
    if options.saved is not None:
        return [
            (each.stft.n_fft, each.stft.hop_length, each.components.factors[0].components)
            for each in options.saved.resolutions
        ]
    return options.guide.sizes(source.sample_rate, options.settings) if options.guide is not None else []


Arrays = dict[str, int]  # bytes, by what they hold


def _floats(*shape: int) -> int:
    return 4 * math.prod(shape)


def _peak(held: Arrays, *stages: Arrays) -> int:
    """Return the bytes at the peak: the interpreter, what is held all along, and the largest of the stages."""
    return BASE + sum(held.values()) + max(sum(stage.values()) for stage in stages)


def _with_floored_copy(settings: Settings) -> int:
    """Return how many spectrograms there are: two where the divergence needs one without zeros."""
    divergence = settings.divergence
    return 2 if divergence == "is" or (isinstance(divergence, (int, float)) and divergence <= 0) else 1


def estimate(
    settings: Settings,
    channels: int,
    length: int,
    threads: int,
    compiled_from: int | None = None,
    stems: int | None = None,
    atoms: int = 0,
    sample_rate: int = 44100,
) -> int:
    """Return about how many bytes separating a mixture in memory takes at its peak.

    Parameters
    ----------
    settings : Settings
    channels, length : int
        Of the mixture, in samples.
    threads : int
    compiled_from : int, optional
        Entries of the spectrogram from which compiled loops are loaded; never if not given.
    stems : int, optional
        Where components are grouped; one a component if not given.
    atoms : int, default 0
        Templates in all, where stems are groups of them.
    sample_rate : int, default 44100
        Hertz.
    """
    n_fft, hop = settings.frames(sample_rate)
    frames, bins = length // hop + 2, n_fft // 2 + 1
    rows, k = bins * (channels if settings.channels == "joint" else 1), settings.templates
    held = {
        "samples": _floats(channels, length),
        "X": _with_floored_copy(settings) * _floats(frames, rows),
    }
    factors = {
        "W, Z and their sums": _floats(3, k, frames + rows) + _floats(9, k, rows),
        "loops": LOOPS if compiled_from is not None and frames * rows >= compiled_from else 0,
    }
    start = {"start": _floats(4, k + 10, frames + rows)}
    if settings.model != "nmf" or settings.convolutive:
        start = {"model": matrix_estimate(settings.model, rows, frames, 4, k) - BASE}
    stems = settings.components if stems is None else stems
    render = {"masks and stems": _rendering(stems, channels, frames, n_fft, hop, threads)}
    grouped = _grouping(atoms, frames, bins, rows // bins) | render if atoms else {}
    return _peak(held, factors | start, factors | render, grouped)


def _grouping(atoms: int, frames: int, bins: int, stacked: int) -> Arrays:
    """Return what finding and grouping atoms takes besides the spectrogram: see `grouping.atoms`."""
    bands = min(bins, 50 + round(50 * math.log(max(1, bins / 50))))  # of grouping.bands
    sample = min(frames, SAMPLED)
    return {
        "X in bands": _floats(bands * stacked, frames),
        "Z of all runs, and joined": _floats(2, atoms, frames),
        "sample": _floats(sample, 3 * bins + 2 * bands * stacked + 3 * atoms),
        "W of the sample": _floats(4, atoms, bins * stacked),
    }


def estimate_guided(
    settings: Settings,
    channels: int,
    length: int,
    threads: int,
    views: Sequence[tuple[int, int, int]],
    stems: int | None = None,
    moved: bool | None = None,
    extra: int = 0,
) -> int:
    """Return about how many bytes separating a mixture in memory with a guide takes at its peak.

    Parameters
    ----------
    settings : Settings
    channels, length : int
        Of the mixture, in samples.
    threads : int
    views : sequence of tuple of int
        n_fft, hop_length and templates of each resolution, which are fitted one after the other.
    stems : int, optional
    moved : bool, optional
        Whether templates move; as the settings have it if not given.
    extra : int, default 0
        Matrices as large as the activations that cues hold.
    """
    stacked = channels if settings.channels == "joint" else 1
    moved = bool(settings.free or settings.adapt) if moved is None else moved
    stems = settings.components + (settings.residual is not None) if stems is None else stems
    kept, render, stages = Arrays(), Arrays(), []
    for index, (n_fft, hop, templates) in enumerate(views):
        frames, bins, k = length // hop + 2, n_fft // 2 + 1, templates + settings.free
        X = _floats(frames, bins * stacked)
        fit = {
            "Z and what cues say of it": _floats(6 + extra, k, frames * stacked),
            "W": _floats(16 if moved else 8, k, bins),
            "tiles": threads * min(TILES, X),
        }
        if settings.free:
            fit["X without the dictionary"] = X
            fit["start of the free templates"] = _floats(8, settings.free + 10, frames * stacked + bins)
        transform = {"frames and their transforms": _floats(threads, stacked, min(256, frames), n_fft + 2 * bins)}
        stages += [{**kept, "X": X, **transform}, {**kept, "X": X, **fit}]
        kept[f"Z {index}"], kept[f"W {index}"] = _floats(k, frames, channels), _floats(2, k, bins)
        render[f"masks and stems {index}"] = _rendering(stems, channels, frames, n_fft, hop, threads)
    return _peak({"samples": _floats(channels, length)}, *stages, kept | render)


def estimate_rendering(
    channels: int, length: int, threads: int, views: Sequence[tuple[int, int, int]], stems: int, model: int
) -> int:
    """Return about how many bytes rendering from a saved model of so many bytes takes at its peak.

    `views` is as for `estimate_guided`.
    """
    render = sum(_rendering(stems, channels, length // hop + 2, n_fft, hop, threads) for n_fft, hop, _ in views)
    return _peak({"samples": _floats(channels, length), "model": model}, {"masks and stems": render})


def estimate_streamed(
    settings: Settings,
    channels: int,
    threads: int,
    views: Sequence[tuple[int, int, int]],
    stems: int,
    frames: int,
    compiled: bool,
) -> int:
    """Return about how many bytes separating a mixture on disk takes at its peak, however long it is.

    `views` is as for `estimate_guided`, `frames` the number that templates are learned from; `compiled` says that
    compiled loops are loaded.
    """
    stacked, render, stages = 1 if settings.channels == "mid" else channels, Arrays(), []
    for index, (n_fft, hop, templates) in enumerate(views):
        bins, k = n_fft // 2 + 1, templates + settings.free
        rows, X = bins * stacked, _floats(frames, bins * stacked)
        fit = {
            "X of the sample": _with_floored_copy(settings) * X,
            "W and Z": _floats(7 * k + 40, frames * stacked + rows) + _floats(9, k, rows),
            "X without the dictionary": X if settings.free else 0,
        }
        size = block_frames(stems, channels, bins)
        render |= {
            f"masks and stems {index}": _rendering(stems, channels, 256, n_fft, hop, threads),
            f"activations of the blocks {index}": _floats(6, threads + 1, size, rows),
            f"samples of the blocks {index}": _floats(3, channels, (threads + 3) * size * hop + 2 * n_fft + PIECE),
        }
        stages.append(fit)
    return _peak({"loops": LOOPS if compiled else 0}, *stages, render)


def saved_size(
    settings: Settings,
    channels: int,
    length: int,
    views: Sequence[tuple[int, int, int]] = (),
    atoms: int = 0,
    sample_rate: int = 44100,
) -> int:
    """Return about how many bytes the file of a model takes; `views` and `atoms` as for the estimates, none without."""
    size, layers = 0, views or [(*settings.frames(sample_rate), max(atoms, settings.templates))]
    apart = {"mid": 1, "independent": channels}.get(settings.channels, channels if views else 1)  # activations
    for n_fft, hop, templates in layers:
        k, frames, bins = templates + (settings.free if views else 0), length // hop + 2, n_fft // 2 + 1
        size += 4 * k * (frames * apart + bins * channels)
    return size


def filtering(settings: Settings, threads: int) -> int:
    """Return what sharing the mixture out takes beyond one mask for each stem."""
    several = settings.mask in SPATIAL_MASKS
    return 4 * 8 * (threads + 1) * BLOCK if several else 0


def _rendering(stems: int, channels: int, frames: int, n_fft: int, hop: int, threads: int) -> int:
    bins = n_fft // 2 + 1
    block = min(frames, block_frames(stems, channels, bins))
    # for each stem its share and its sound, and the mixture's frames once
    return 4 * (threads + 1) * block * (stems * bins + channels * (2 * n_fft + 2 * bins + 2 * stems * hop))


def matrix_estimate(
    model: str,
    rows: int,
    columns: int,
    itemsize: int,
    k: int,
    compiled: bool = False,
    pictures: bool = False,
    pca: bool = False,
) -> int:
    """Return about how many bytes factorizing a matrix takes at its peak.

    `itemsize` is that of its entries in the file; `compiled` says that compiled loops are loaded, `pictures` and
    `pca` that pictures are drawn, and principal components among them.
    """
    size = 8 if itemsize >= 8 or model == "deep-semi" else 4
    entries, least = rows * columns, min(rows, columns)
    decomposed = model in DECOMPOSED or pca  # in double precision, whatever goes in
    return BASE + sum(
        {
            "X as it is in the file": entries * itemsize,
            "X and the copies of the model": entries * COPIES.get(model, 1) * size,
            "W and Z": 8 * size * (k + 10) * (rows + columns),
            "decomposition": 8 * (2 * entries + 2 * least * (rows + columns) + 4 * least**2) if decomposed else 0,
            "loops": LOOPS if compiled else 0,
            "pictures": PICTURES if pictures else 0,
        }.values()
    )
