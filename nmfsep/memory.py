"""How much memory a separation takes, and how much there is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .errors import UsageError
from .registry import SPATIAL_MASKS
from .settings.separation import Settings
from .system import free_memory, memory_limits

BASE = 45 << 20  # the interpreter with its libraries
LOOPS = 110 << 20  # compiled loops with their compiler
PICTURES = 45 << 20  # matplotlib
COPIES = {"kmeans": 2, "deep-semi": 3}  # of a matrix that a model makes, where it is not one
DECOMPOSED = ("semi", "deep-semi")  # models that start from a singular value decomposition
SAMPLED = 2048  # frames that atoms are learned from
SHARE = 0.75  # of what is free
TILES = 8 << 20  # of each thread: what it works in, and what its allocator keeps
BLOCK = 1 << 21  # entries of all stems' models in a block of frames that is rendered
SHORTEST = 32  # frames in a block at the least, so that what overlaps the next block stays a small part of it
PIECE = 1 << 16  # samples read from a file at a time
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


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
    """Return about how many bytes separating a mixture of that size takes at its peak.

    `atoms` is the number of templates in all where stems may be groups of them, `compiled_from` that of entries of the
    spectrogram from which compiled loops are loaded, `stems` that of stems where components are grouped.
    """
    n_fft, hop = settings.frames(sample_rate)
    frames, bins = length // hop + 2, n_fft // 2 + 1
    stacked = channels if settings.channels == "joint" else 1
    k, stems = settings.templates, settings.components if stems is None else stems
    samples = 4 * channels * length
    spectrogram = 4 * frames * bins * stacked
    if (isinstance(settings.divergence, (int, float)) and settings.divergence <= 0) or settings.divergence == "is":
        spectrogram *= 2  # a floored copy
    factors = 4 * 3 * k * (frames + bins * stacked) + 4 * 9 * k * bins * stacked
    start = 4 * 4 * (k + 10) * (frames + bins * stacked)
    render = _rendering(stems, channels, frames, n_fft, hop, threads)
    if settings.model != "nmf" or settings.convolutive:
        start = matrix_estimate(settings.model, bins * stacked, frames, 4, k) - BASE
    loops = LOOPS if compiled_from is not None and frames * bins * stacked >= compiled_from else 0
    grouped = _grouped(atoms, frames, bins, stacked) if atoms else 0
    plain = factors + max(start, render) + loops
    return BASE + samples + spectrogram + max(plain, grouped + render)


def _grouped(atoms: int, frames: int, bins: int, stacked: int) -> int:
    """Return what finding atoms takes beside the spectrogram: see separation.atoms."""
    bands = min(bins, 50 + round(50 * math.log(max(1, bins / 50))))  # of separation.bands
    merged = 4 * bands * stacked * frames
    activations = 4 * 2 * atoms * frames  # of all runs, and joined
    sample = min(frames, SAMPLED)
    learned = 4 * sample * (3 * bins + 2 * bands * stacked + 3 * atoms) + 4 * 4 * atoms * bins * stacked
    return merged + activations + learned


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
    """Return about how many bytes separating with a guide takes at its peak.

    `views` has n_fft, hop_length and templates of each; `moved` says whether templates move, if not the settings do,
    `extra` how many matrices there are as large as the activations.
    """
    stacked = channels if settings.channels == "joint" else 1
    moved = bool(settings.free or settings.adapt) if moved is None else moved
    held, peak, render = 0, 0, 0
    stems = settings.components + (settings.residual is not None) if stems is None else stems
    for n_fft, hop, templates in views:
        frames, bins, k = length // hop + 2, n_fft // 2 + 1, templates + settings.free
        spectrogram = 4 * frames * bins * stacked
        transform = 4 * threads * stacked * min(256, frames) * (n_fft + 2 * bins)  # frames, and the same transformed
        activations = 4 * k * frames * stacked
        fit = (6 + extra) * activations + 4 * (16 if moved else 8) * k * bins + threads * min(TILES, spectrogram)
        if settings.free:  # what the dictionary leaves, and where the free templates start
            fit += spectrogram + 4 * 8 * (settings.free + 10) * (frames * stacked + bins)
        peak = max(peak, held + spectrogram + max(transform, fit))
        held += 4 * k * frames * channels + 4 * 2 * k * bins
        render += _rendering(stems, channels, frames, n_fft, hop, threads)
    return BASE + 4 * channels * length + max(peak, held + render)


def estimate_rendering(
    channels: int, length: int, threads: int, views: Sequence[tuple[int, int, int]], stems: int, model: int
) -> int:
    """Return about how many bytes rendering from a saved model of so many bytes takes at its peak.

    `views` is as for `estimate_guided`.
    """
    render = sum(_rendering(stems, channels, length // hop + 2, n_fft, hop, threads) for n_fft, hop, _ in views)
    return BASE + 4 * channels * length + model + render


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
    stacked, fit, render = 1 if settings.channels == "mid" else channels, 0, 0
    floored = settings.divergence == "is" or (
        isinstance(settings.divergence, (int, float)) and settings.divergence <= 0
    )
    for n_fft, hop, templates in views:
        bins, k = n_fft // 2 + 1, templates + settings.free
        sample = 4 * frames * bins * stacked
        factors = 4 * (7 * k + 40) * (frames * stacked + bins * stacked) + 4 * 9 * k * bins * stacked
        moved = sample if settings.free else 0  # what the dictionary leaves
        fit = max(fit, (2 if floored else 1) * sample + factors + moved)
        size = block_frames(stems, channels, bins)
        solve = 4 * 6 * (threads + 1) * size * bins * stacked
        tape = 4 * 3 * channels * ((threads + 3) * size * hop + 2 * n_fft + PIECE)
        render += _rendering(stems, channels, 256, n_fft, hop, threads) + solve + tape
    return BASE + max(fit, render) + (LOOPS if compiled else 0)


def model_size(
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
    several = settings.mask in SPATIAL_MASKS or settings.consistency > 0
    return 4 * 8 * (threads + 1) * BLOCK if several else 0


def block_frames(stems: int, channels: int, bins: int) -> int:
    """Return the frames rendered at a time."""
    return max(SHORTEST, min(256, BLOCK // (stems * channels * bins)))


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
    need = BASE + entries * (itemsize + COPIES.get(model, 1) * size) + 8 * size * (k + 10) * (rows + columns)
    if model in DECOMPOSED or pca:  # in double precision, whatever goes in
        need += 8 * (2 * entries + 2 * least * (rows + columns) + 4 * least**2)
    return need + (LOOPS if compiled else 0) + (PICTURES if pictures else 0)


def require(what: str, need: int, limit: int | None, hint: str) -> None:
    """Raise UsageError unless so many bytes may be taken.

    Parameters
    ----------
    what : str
        Who needs them, with its verb: "'song' needs".
    need : int
    limit : int or None
        Bytes that may be taken; if None, SHARE of what is free.
    hint : str
        What to try.
    """
    most = allowance(limit)
    if most is not None and need > most:
        raise UsageError(f"{what} about {show_size(need)} of memory and may take {show_size(most)}", hint)


def allowance(limit: int | None) -> int | None:
    """Return the bytes that may be taken: the limit, else SHARE of what is free, None where nobody says."""
    free = available() if limit is None else None
    return limit if free is None else round(free * SHARE)


def available() -> int | None:
    """Return the bytes this process may still take, the least that the system says; None if it says nothing."""
    free, limits = free_memory(), memory_limits()
    return min(limits if free is None else [free, *limits], default=None)


def parse_size(text: str) -> int | None:
    """Return the bytes of a size such as 800M or 2G, None if it is none."""
    match = re.fullmatch(r"([0-9]+)([KMGT]?)(i?B)?", text, re.IGNORECASE | re.ASCII)
    return None if match is None else int(match.group(1)) * UNITS[match.group(2).upper()]


def show_size(count: float) -> str:
    """Return a size for people: "640 MB"."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{max(1, round(count / (1 << 20)))} MB"
