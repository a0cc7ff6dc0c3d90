"""Budget of memory: what a separation takes at its peak, by the header of its input, and how it fits into a limit.

An estimate lists the arrays of each stage in bytes, by their shapes; the peak is the largest stage. `budget` decides
from it whether the mixture is separated in memory or stays on disk, and how many frames its templates are learned from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..grouping.atoms import most_atoms
from ..grouping.lengths import further_sizes
from ..kernels.select import ONCE, THIN
from ..matching.pursuit import stretch
from ..memory import allowance
from ..registry import SPATIAL_MASKS
from ..separation import bootstrap, pauses
from ..separation.excerpt import WHOLE
from ..separation.frames import FEWEST, excerpt_samples, frames_drawn
from ..separation.masks import may_go_by_place
from ..separation.obstacles import obstacle
from ..separation.render import block_frames
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
SEARCH = 24  # bytes for each sample that a stroke is compared with
IN_MEMORY = 1 << 30  # bytes beyond which a mixture stays on disk though there may be more memory
Arrays = dict[str, int]  # bytes, by what they hold
Resolutions = Sequence[tuple[int, int, int]]  # n_fft, hop_length and templates of each


@dataclass(frozen=True, slots=True)
class Budget:
    """How a separation is done within the memory that it may take."""

    need: int  # about how many bytes it takes
    streamed: bool = False  # the mixture stays on disk, so that no length takes more
    frames: int = 0  # that templates are learned from, if it stays there
    obstacle: str | None = None  # why it cannot stay there, in words
    match: bool = False  # there is room for matching waveforms, and some are to be matched


def budget(source: Source, options: RunOptions) -> Budget:
    """Return how to separate an input: in memory where that suffices, else a part at a time.

    What needs more than IN_MEMORY is done a part at a time though there may be more, so that the result does not depend
    on how much there is, as long as that suffices. Frames to learn from are halved until they fit. What one thread
    takes decides, so that the number of threads never changes the result.
    """
    one_thread = replace(options, settings=replace(options.settings, threads=1))
    need, least, most = memory_needed(source, options), memory_needed(source, one_thread), allowance(options.limit)
    room = min(IN_MEMORY, IN_MEMORY if most is None else most)
    matching = _matching(source, options)
    if matching and least + matching <= room:
        return Budget(max(need, least + matching), match=True)
    if least <= room:
        return Budget(need)
    settings, saved = options.settings, options.saved is not None
    if not saved and (reason := obstacle(settings, options.guide)) is not None:
        return Budget(need, obstacle=reason)
    frames = 0 if saved else _frames(source, options)
    while most is not None and frames > FEWEST and _memory_streamed(source, one_thread, frames) > most:
        frames = max(FEWEST, frames // 2)
    return Budget(_memory_streamed(source, options, frames), True, frames)


def _frames(source: Source, options: RunOptions) -> int:
    """Return how many frames templates are learned from at the most."""
    length = length_of(source, options.output) or 0
    sizes = [(n_fft, length // hop + 2) for n_fft, hop, _ in _resolutions(source, options)]
    return max(min(there, frames_drawn(options.settings, source.channels, n_fft)) for n_fft, there in sizes)


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


def _matching(source: Source, options: RunOptions) -> int:
    """Return about how many bytes matching waveforms takes on top of the separation; 0 if none are to be matched."""
    guide = options.guide
    if guide is None or not guide.matches(options.settings):
        return 0
    length = length_of(source, options.output) or 0
    search = guide.most_strokes * stretch(source.sample_rate) * SEARCH
    return search + _floats(5, len(guide.labels) + 1, source.channels, length)


def model_size(source: Source, options: RunOptions) -> int:
    """Return about how many bytes the file of the model of an input takes."""
    settings, channels, size = options.settings, source.channels, 0
    length, guided = length_of(source, options.output) or 0, options.is_guided
    with_activations = {"mid": 1, "independent": channels}.get(settings.channels, channels if guided else 1)
    for n_fft, hop, templates in _resolutions(source, options):
        k = templates + settings.free if guided else max(templates, most_atoms(settings))
        size += _floats(k, (length // hop + 2) * with_activations + (n_fft // 2 + 1) * channels)
    for more in _looks(source, options):
        apart = 1 if settings.channels == "mid" else channels
        size = max(size, sum(_floats(k, length // hop * apart + n_fft * channels) for n_fft, hop, k in more))
    return size


def memory_needed(source: Source, options: RunOptions) -> int:
    """Return about how many bytes separating an input in memory takes; without a known length, what it takes at least.

    The peak is the interpreter, what is held all along, and the largest of the stages.
    """
    length = length_of(source, options.output) or 0
    held = {"samples": _floats(source.channels, length)}
    render = _rendering(source, options, length)
    if options.saved is not None:
        stages = [{"model": options.saved.size} | render]
    elif options.guide is not None:
        stages = _guided(source, options, length, render)
    else:
        stages = _blind(source, options, length, render)
    return BASE + _sum(held) + max(map(_sum, stages))


def _blind(source: Source, options: RunOptions, length: int, render: Arrays) -> list[Arrays]:
    """Return the arrays of each stage without a guide: start and fit, rendering, and atoms if there are any."""
    settings = options.settings
    ((n_fft, hop, k),) = _resolutions(source, options)
    frames, bins = length // hop + 2, n_fft // 2 + 1
    stacked = source.channels if settings.channels == "joint" else 1
    rows = bins * stacked
    spectrogram = {"X": _with_floored_copy(settings) * _floats(frames, rows)}
    factors = spectrogram | {
        "W, Z and their sums": _floats(3, k, frames + rows) + _floats(9, k, rows),
        "loops": _loops(settings, settings.levels[0] if settings.levels else settings.components, frames * rows),
    }
    start = {"start": _floats(4, k + 10, frames + rows)}
    if settings.model != "nmf" or settings.convolutive:
        start = {"model": matrix_estimate(settings.model, rows, frames, 4, k) - BASE}
    stages = [factors | start, factors | render]
    if atoms := most_atoms(settings):  # see grouping.atoms
        bands = stacked * min(bins, 50 + round(50 * math.log(max(1, bins / 50))))  # of grouping.scene
        found = {
            "X in bands": _floats(bands, frames),
            "Z of all runs, and joined": _floats(2, atoms, frames),
            "sample": _floats(min(frames, SAMPLED), 3 * bins + 2 * bands + 3 * atoms),
            "W of the sample": _floats(4, atoms, rows),
        }
        stages.append(spectrogram | found | render)
    for more in _looks(source, options):
        stages += _solved(source, options, length, more, _rendering(source, options, length, more))
    if looks := _looks(source, options):
        stages.append(_excerpt(source, options, looks[-1], length))
    return stages


def _guided(source: Source, options: RunOptions, length: int, render: Arrays) -> list[Arrays]:
    """Return the arrays of each stage with a guide: its resolutions are fitted one after the other."""
    assert options.guide is not None
    moved, extra = options.guide.moves(options.settings), sum(cue.matrices for cue in options.guide.cues)
    return _solved(source, options, length, _resolutions(source, options), render, moved, extra)


def _solved(
    source: Source,
    options: RunOptions,
    length: int,
    resolutions: Resolutions,
    render: Arrays,
    moved: bool = True,
    extra: int = 0,
) -> list[Arrays]:
    """Return the arrays of each stage of solving with templates: at one resolution after the other."""
    settings = options.settings
    stacked = source.channels if settings.channels == "joint" else 1
    kept, stages, threads = Arrays(), [], _threads(options)
    for index, (n_fft, hop, templates) in enumerate(resolutions):
        frames, bins, k = length // hop + 2, n_fft // 2 + 1, templates + settings.free
        X = _floats(frames, bins * stacked)
        transform = {"frames and their transforms": _floats(threads, stacked, min(256, frames), n_fft + 2 * bins)}
        fit = {
            "Z and what cues say of it": _floats(6 + extra, k, frames * stacked),
            "W": _floats(16 if moved else 8, k, bins),
            "tiles": threads * min(TILES, X),
        }
        if settings.free:
            fit["X without the dictionary"] = X
            fit["start of the free templates"] = _floats(8, settings.free + 10, frames * stacked + bins)
        stages += [kept | {"X": X} | transform, kept | {"X": X} | fit]
        kept |= {f"Z {index}": _floats(k, frames, source.channels), f"W {index}": _floats(2, k, bins)}
    return [*stages, kept | render]


def _memory_streamed(source: Source, options: RunOptions, frames: int) -> int:
    """Return about how many bytes separating a mixture on disk takes, its templates learned from so many frames."""
    settings, channels = options.settings, source.channels
    stacked, stages = 1 if settings.channels == "mid" else channels, []
    resolutions, looks = _resolutions(source, options), _looks(source, options)
    n_fft, hop = settings.frames(source.sample_rate)
    entries = (length_of(source, options.output) or 0) // hop * channels * (n_fft // 2 + 1)
    loops = 0 if options.is_guided else _loops(settings, settings.templates, entries)
    fits = [(n_fft, templates, frames, loops) for n_fft, _, templates in resolutions]
    if not options.is_guided and (atoms := most_atoms(settings)):
        fits.append((resolutions[0][0], atoms, min(frames, SAMPLED), 0))
    for size, _, templates in [each for more in looks for each in more]:
        fits.append((size, templates, min(frames, frames_drawn(settings, channels, size)), 0))
    for size, templates, count, compiled in fits:
        rows, k = (size // 2 + 1) * stacked, templates + settings.free
        X = _floats(count, rows)
        fit = {
            "X of the sample": _with_floored_copy(settings) * X,
            "W and Z": _floats(7 * k + 40, count * stacked + rows) + _floats(9, k, rows),
            "X without the dictionary": X if settings.free else 0,
            "loops": compiled,
        }
        stages.append(fit)
    stages.append(_from_disk(source, options, resolutions) | {"loops": loops})
    stages += [_from_disk(source, options, more) for more in looks]
    if looks:
        stages.append(_excerpt(source, options, looks[-1], excerpt_samples(frames, hop)))
    held = Arrays()
    if options.saved is not None:
        held["model"] = options.saved.size
    elif options.output.keeps:
        held["model"] = model_size(source, options)
    return BASE + _sum(held) + max(map(_sum, stages))


def _from_disk(source: Source, options: RunOptions, resolutions: Resolutions) -> Arrays:
    """Return the arrays of rendering a mixture on disk, whose activations are solved block by block."""
    settings, threads, channels = options.settings, _threads(options), source.channels
    stacked, render = 1 if settings.channels == "mid" else channels, _rendering(source, options, None, resolutions)
    for index, (n_fft, hop, _) in enumerate(resolutions):
        bins = n_fft // 2 + 1
        size = block_frames(len(options.stem_names), channels, bins)
        render[f"activations of the blocks {index}"] = _floats(6, threads + 1, size, bins * stacked)
        samples = (threads + 3) * size * hop + 2 * n_fft + PIECE
        render[f"samples of the blocks {index}"] = _floats(3, channels, samples)
    return render


def _looks(source: Source, options: RunOptions) -> list[list[tuple[int, int, int]]]:
    """Return the resolutions of a blind separation that looks at the sound again; none where it will not."""
    settings, rate = options.settings, source.sample_rate
    if options.is_guided or not (atoms := most_atoms(settings)):
        return []
    first = (*settings.frames(rate), atoms)
    looks = [further_sizes(settings, rate), pauses.templates_learned(settings, rate)]
    again = bootstrap.templates_learned(settings, rate)
    return [[first, *more] for more in looks if more] + ([again] if again else [])


def _excerpt(source: Source, options: RunOptions, resolutions: Resolutions, most: int) -> Arrays:
    """Return the arrays of separating an excerpt of so many samples at the most, from which templates are learned."""
    settings, channels = options.settings, source.channels
    stems, (n_fft, hop) = settings.components, settings.frames(source.sample_rate)
    length = min(most, round(WHOLE * source.sample_rate))
    frames, rows = length // hop + 2, (n_fft // 2 + 1) * (channels if settings.channels == "joint" else 1)
    loops = LOOPS if frames * rows >= ONCE else 0
    sounds = {"excerpt": _floats(channels, length), "stems": _floats(2, stems, channels, length)}
    plain = {"X": _floats(frames, rows), "masks": _floats(3, stems, min(64, frames), rows)}
    stages = [plain | {"fit": loops + _floats(8, stems, frames + rows)}, _rendering(source, options, length)]
    if settings.rounds > 1:
        stages += _solved(source, options, length, resolutions, _rendering(source, options, length, resolutions))
    return sounds | {"the largest stage": max(map(_sum, stages))}


def _rendering(source: Source, options: RunOptions, length: int | None = None, resolutions: Resolutions = ()) -> Arrays:
    """Return the arrays of rendering, all resolutions at once; a short mixture in memory may have less than a block."""
    stems, channels, render = len(options.stem_names), source.channels, Arrays()
    for index, (n_fft, hop, _) in enumerate(resolutions or _resolutions(source, options)):
        bins = n_fft // 2 + 1
        block = block_frames(stems, channels, bins)
        block = block if length is None else min(block, length // hop + 2)
        # for each stem its share and its sound, and the mixture's frames once
        each = stems * bins + channels * (2 * n_fft + 2 * bins + 2 * stems * hop)
        if options.settings.mask in SPATIAL_MASKS or may_go_by_place(options.settings, channels, options.is_guided):
            each += 2 * stems * channels * bins  # transforms of the stems
        render[f"masks and stems {index}"] = _floats(_threads(options) + 1, block, each)
    return render


def _resolutions(source: Source, options: RunOptions) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates without free ones, for each length of frames."""
    settings = options.settings
    if options.saved is not None:
        return [
            (each.stft.n_fft, each.stft.hop_length, each.components.factors[0].components)
            for each in options.saved.resolutions
        ]
    if options.guide is not None:
        return options.guide.sizes(source.sample_rate, settings)
    return [(*settings.frames(source.sample_rate), settings.templates)]


def _threads(options: RunOptions) -> int:
    return options.settings.threads or options.threads or cpu_count()


def _loops(settings: Settings, components: int, entries: int) -> int:
    """Return what compiled loops take where a spectrogram of so many entries loads them."""
    thin = components < THIN and settings.divergence in ("kl", "is", 1, 0)
    return LOOPS if thin and entries >= ONCE else 0


def _with_floored_copy(settings: Settings) -> int:
    """Return how many spectrograms there are: two where the divergence needs one without zeros."""
    divergence = settings.divergence
    return 2 if divergence == "is" or (isinstance(divergence, (int, float)) and divergence <= 0) else 1


def _floats(*shape: int) -> int:
    return 4 * math.prod(shape)


def _sum(arrays: Arrays) -> int:
    return sum(arrays.values())


def matrix_estimate(
    model: str,
    rows: int,
    columns: int,
    itemsize: int,
    k: int,
    compiled: bool = False,
    pictures: bool = False,
    pca: bool = False,
    held: int | None = None,
) -> int:
    """Return about how many bytes factorizing a matrix takes at its peak.

    `itemsize` is that of its entries in the file; `compiled` says that compiled loops are loaded, `pictures` and
    `pca` that pictures are drawn, and principal components among them; `held` are the entries in memory if it is sparse
    or stays on disk.
    """
    size = 8 if itemsize >= 8 or model == "deep-semi" else 4
    entries, least = rows * columns if held is None else held, min(rows, columns)
    decomposed = model in DECOMPOSED or pca  # in double precision, whatever goes in
    arrays = {
        "X as it is in the file": entries * itemsize,
        "X and the copies of the model": entries * COPIES.get(model, 1) * size,
        "W and Z": 8 * size * (k + 10) * (rows + columns),
        "decomposition": 8 * (2 * entries + 2 * least * (rows + columns) + 4 * least**2) if decomposed else 0,
        "loops": LOOPS if compiled else 0,
        "pictures": PICTURES if pictures else 0,
    }
    return BASE + _sum(arrays)
