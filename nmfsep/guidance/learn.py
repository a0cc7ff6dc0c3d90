"""Learning of dictionaries from isolated sounds: any number of files a label, in the same memory.

`learn` does all of it; `statistics` and `update` are the map and the step for whatever else runs jobs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..kernels.divergence import as_divergence
from ..kernels.product import Matrix
from ..kernels.threads import Workers
from ..models.convolutive import convolutive_nmf
from ..nmf import blockwise as sums
from ..nmf.blockwise import Sample, Statistics
from ..nmf.factorize import factorize
from ..nmf.problem import Problem
from ..nmf.starts import richness
from ..settings.commands import LearnSettings
from ..signal.audio import Samples, at_rate
from ..signal.read import read
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from .codebooks import FRAMES, Books, band_levels, learn_books
from .dictionary import Dictionary, check_labels
from .strokes import PER_LABEL, Strokes, cut, first
from .templates import Templates, unit

QUIET = 1e-3  # of a sound's loudest frame: what is below is silence, whose shape means nothing


@dataclass(frozen=True, slots=True)
class Sound:
    """One isolated sound, read when it is needed.

    `key`, a hash of its contents, decides its place, so that names and order of files do not. `load` returns its
    samples at the common rate, (channels, samples) or (samples,), float32. `seconds` is about how long it is, 0 if that
    is not known.
    """

    key: str
    load: Callable[[], Samples]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a sound is, at one length of frames.

    `quiet` is the mean magnitude up to which a frame is silent; `scale` brings that of the others to 1, and is 0 where
    there are none.
    """

    quiet: np.float32
    scale: np.float32


class ActiveFrames:
    """The magnitudes of the frames that sound, scaled to unit mean, block by block.

    They are the means over channels. A sound's level says nothing of what it is, so that quiet files count as much as
    loud ones. `workers` are entered; a loudness that is known from an earlier time saves going over the sound. `starts`
    are the first frames of the blocks.
    """

    def __init__(self, samples: Samples, stft: STFT, workers: Workers, loudness: Loudness | None = None) -> None:
        self._samples, self._stft, self._workers = np.atleast_2d(samples), stft, workers
        self._frames = stft.n_frames(self._samples.shape[1])
        self.starts = range(0, self._frames, BLOCK)
        self._single: Matrix | None = None
        self.loudness = loudness or self._measured()

    def block(self, start: int) -> Matrix:
        """Return the frames of a block that sound, (frames, bins); with none, where none do."""
        X = self._magnitudes(start) if self._single is None else self._single
        sounding: Matrix = X[X.mean(axis=1) > self.loudness.quiet]
        sounding *= self.loudness.scale
        return sounding

    def __iter__(self) -> Iterator[tuple[int, Matrix]]:
        """Yield the blocks that sound, each with its first frame."""
        for start, block in zip(self.starts, self._workers.ahead(self.block, self.starts), strict=True):
            if len(block):
                yield start, block

    def _measured(self) -> Loudness:
        if len(self.starts) == 1:
            self._single = self._magnitudes(0)
            levels = self._single.mean(axis=1)
        else:
            levels = np.concatenate(self._workers.map(lambda start: self._magnitudes(start).mean(axis=1), self.starts))
        quiet = np.float32(QUIET * levels.max(initial=0))
        loud = levels[levels > quiet]
        return Loudness(quiet, np.float32(1 / loud.mean(dtype=np.float64) if len(loud) else 0))

    def _magnitudes(self, start: int) -> Matrix:
        return mean_magnitudes(self._samples, self._stft, start, min(self._frames, start + BLOCK))


T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


class Executor(Protocol):
    """What calls a function of every item and of what all items have in common."""

    threads: int | None  # that each call should use, where that is decided here

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, added as `nmf.blockwise.total` adds."""


class Here:
    """An executor that calls the function itself."""

    threads: int | None = None

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        return (function(item, common) for item in items)

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items."""
        return sums.total(self.map(function, items, common))


SECONDS = (0.08, 0.2)  # lengths of the frames, rounded to powers of two samples: one follows, the other resolves
AUTO, AUTO_EXEMPLARS = 300, 300
STROKES = 4  # templates of a label, where they last several frames
SPARSITY = 0.5
KEPT = 1 << 23  # magnitudes kept of a label for the fit; where there are more, passes over all of them follow
PASSES, STEPS = 2, 10  # over all frames, and updates of their activations in each


def learn(
    sounds: Mapping[str, Sequence[Sound]],
    sample_rate: int,
    settings: LearnSettings,
    *,
    stfts: Sequence[STFT] | None = None,
    provenance: Sequence[dict[str, Any]] = (),
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Dictionary:
    """Learn templates for each label.

    The result does not depend on the order of a label's sounds, nor on what other labels there are.

    Parameters
    ----------
    sounds : mapping of str to sequence of Sound
        By label.
    sample_rate : int
        Hertz of all of them.
    settings : LearnSettings
    stfts : sequence of STFT, optional
        Frames to measure with, instead of those of the settings.
    provenance : sequence of dict, optional
        What is known of each label's sounds, kept with the dictionary.
    progress : callable, optional
        Called with the number of fits that are done after each of them: one a label and length of frames.
    executor : Executor, optional
        Where each sound is looked at; here, if not given. Never changes the result.

    Returns
    -------
    Dictionary

    Raises
    ------
    UsageError
        A label holds nothing but silence, or a label that is given a number is not among those learned.
    """
    labels = tuple(sounds)
    check_labels(labels)
    counts = settings.counts()
    for label in counts:
        if label is not None and label not in sounds:
            raise UsageError(f"-k names {label!r}, which is not learned", "choose from " + ", ".join(labels))
    learner = _Learner(frames_for(sample_rate, settings) if stfts is None else stfts, settings, executor or Here())
    parts, done = [], 0
    with Workers(settings.threads):  # so that BLAS rounds as with one thread
        for index, (label, files) in enumerate(sounds.items()):
            views = []
            for view in learner.views(label, files, counts.get(label, counts.get(None))):
                views.append(view)
                done += 1
                if progress is not None:
                    progress(done)
            about = tuple(provenance[index : index + 1])
            strokes, books = learner.waveforms(files, sample_rate)
            whole = Dictionary(tuple(views), (label,), sample_rate, settings.divergence, 1, about, (), (books,))
            parts.append(whole if settings.no_waveforms else replace(whole, strokes=(strokes,)))
    return reduce(Dictionary.append, parts)


def frames_for(sample_rate: int, settings: LearnSettings) -> list[STFT]:
    """Return the frames that templates are measured with, the shortest first."""
    if settings.n_fft is not None:
        return [STFT(settings.n_fft, settings.hop_length or 0, settings.window)]
    # rates that no sound has must not make frames of two samples, nor of many millions
    lengths = sorted({int(np.clip(2 ** round(np.log2(seconds * sample_rate)), 64, 2**20)) for seconds in SECONDS})
    return [STFT(n_fft, 0, settings.window) for n_fft in lengths]


class _Learner:
    """Learns templates of one label after the other, by what all have in common."""

    def __init__(self, stfts: Sequence[STFT], settings: LearnSettings, executor: Executor) -> None:
        self._stfts, self._settings, self._executor = stfts, settings, executor
        self._threads = executor.threads or settings.threads
        divergence, sparsity = as_divergence(settings.divergence), settings.sparsity
        if sparsity is None:
            sparsity = SPARSITY if divergence.beta == 1 else 0.0
        self._problem = Problem(divergence, sparsity=sparsity)
        options = "divergence", "max_iter", "tol", "seed", "threads"
        self._options: dict[str, Any] = {name: getattr(settings, name) for name in options}

    def views(self, label: str, files: Sequence[Sound], wanted: int | None) -> Iterator[Templates]:
        """Yield a label's templates at each length of frames, as many as are wanted, or as their variety asks for."""
        files, delays = sorted(files, key=lambda sound: sound.key), self._settings.template_frames
        found = self._spectra(files, wanted) if delays == 1 else self._strokes(files, wanted)
        for stft, W in zip(self._stfts, found, strict=True):
            if not W.size:
                raise UsageError(f"{label!r} holds nothing but silence", "leave it out")
            yield Templates(stft, unit(W, delays), np.zeros(W.shape[1], np.intp), delays=delays)

    def waveforms(self, files: Sequence[Sound], sample_rate: int) -> tuple[Strokes, Books]:
        """Return the strokes of a label's sounds, as many as are kept, and its codebooks."""
        chosen = sorted(files, key=lambda sound: sound.key)[:PER_LABEL]
        strokes, bands, room = list[Strokes](), list[Matrix](), FRAMES
        for own, part in self._executor.map(_cut, chosen, (sample_rate, self._settings.no_waveforms)):
            strokes.append(own)
            bands.append(part[:room].copy())  # what is left over is forgotten
            room -= len(bands[-1])
        return first(strokes, sample_rate), learn_books(bands, self._settings.seed)

    def _spectra(self, files: Sequence[Sound], wanted: int | None) -> Iterator[Matrix]:
        """Yield templates of a frame, (bins, k), from a sample of all frames, then by passes over all."""
        samples = [Sample(stft.bins, max(1, KEPT // stft.bins)) for stft in self._stfts]
        known: list[list[tuple[Sound, Loudness]]] = [[] for _ in samples]
        # the largest share of all frames that each sound may have: its share of the time, if that is known
        seconds = sum(file.seconds for file in files)
        shares = [file.seconds / seconds if all(other.seconds for other in files) else 1.0 for file in files]
        items, common = list(zip(files, shares, strict=True)), (self._stfts, KEPT, self._threads)
        for file, parts in zip(files, self._executor.map(_draw, items, common), strict=True):
            for measured, sample, (loudness, part) in zip(known, samples, parts, strict=True):
                measured.append((file, loudness))
                sample.merge(part)
        for stft, sample, measured in zip(self._stfts, samples, known, strict=True):
            X = sample.frames()
            if self._settings.exemplars or not len(X):
                W = X[: wanted or AUTO_EXEMPLARS]
            else:
                count, sparsity = min(wanted or richness(X, AUTO), len(X)), self._problem.sparsity
                W = factorize(X.T, count, start="random", sparsity=sparsity, **self._options).factors.W.T
                if sample.left_out:
                    del X
                    W = self._refined(W, measured, stft)
            yield W[W.any(axis=1)].T

    def _refined(self, W: Matrix, files: Sequence[tuple[Sound, Loudness]], stft: STFT) -> Matrix:
        """Return templates after passes over all frames, of which only sums are kept."""
        Wt = np.ascontiguousarray(W)
        for _ in range(PASSES):
            total = self._executor.total(sums_of, files, (Wt, stft, self._problem, self._threads, False))
            Wt = sums.update(Wt, total, self._problem)
        return Wt

    def _strokes(self, files: Sequence[Sound], wanted: int | None) -> Iterator[Matrix]:
        """Yield templates of several frames, (bins, k * frames), from the beginnings of all sounds, equally long."""
        delays = self._settings.template_frames
        for stft in self._stfts:
            room = max(delays, KEPT // stft.bins // len(files))
            parts = list(self._executor.map(_beginning, files, (stft, room, delays, self._threads)))
            X = np.concatenate(parts)
            if not len(X):
                yield X.T
                continue
            W = convolutive_nmf(X.T, wanted or STROKES, template_frames=delays, **self._options).templates
            yield W[:, W.any(axis=(0, 2))].reshape(stft.bins, -1)


def _beginning(file: Sound, common: tuple[STFT, int, int, int | None]) -> Matrix:
    """Return the first frames of a sound that sound, and silent ones that no template goes on beyond."""
    stft, room, delays, threads = common
    found = [np.zeros((0, stft.bins), np.float32)]
    with Workers(threads) as workers:
        for _, block in ActiveFrames(file.load(), stft, workers):
            found.append(block[: room - sum(map(len, found))])
            if sum(map(len, found)) >= room:
                break
    whole = np.concatenate(found)
    return np.concatenate([whole, np.zeros((delays, stft.bins), np.float32)]) if len(whole) else whole


def _cut(file: Sound, common: tuple[int, bool]) -> tuple[Strokes, Matrix]:
    """Return the strokes of a sound, no more than a label may have and none if none are wanted, and its band levels."""
    sound, (sample_rate, without) = file.load(), common
    return () if without else first([cut(sound, sample_rate)], sample_rate), band_levels(sound, sample_rate)


def _draw(item: tuple[Sound, float], common: tuple[Sequence[STFT], int, int | None]) -> list[tuple[Loudness, Sample]]:
    """Return how loud a sound is, and a sample of its frames, for each of some STFTs, no larger than there is use for.

    Of all frames those with the lowest numbers are kept in the end, of which a share has about its part: six standard
    deviations more are enough.
    """
    (file, share), (stfts, kept, threads) = item, common
    sound = file.load()
    found = []
    with Workers(threads) as workers:
        for stft in stfts:
            whole = max(1, kept // stft.bins)
            part = min(whole, round(whole * share + 6 * np.sqrt(whole * share)) + 6)
            sample, sounding = Sample(stft.bins, part), ActiveFrames(sound, stft, workers)
            for start, block in sounding:
                sample.add(file.key, start, block)
            sample.trim()
            found.append((sounding.loudness, sample))
    return found


def sums_of(item: tuple[Sound, Loudness | None], common: tuple[Matrix, STFT, Problem, int | None, bool]) -> Statistics:
    """Return the statistics of a sound, whose loudness is measured first if it is not known."""
    (file, loudness), (Wt, stft, problem, threads, with_loss) = item, common
    alone = Workers(1)  # blocks are looked at side by side already

    def part(start: int) -> Statistics:
        block = sounding.block(start)
        if not len(block):
            return Statistics.nothing(Wt, problem)
        return sums.statistics(block, Wt, problem, STEPS, alone, with_loss)

    with Workers(threads) as workers:
        sounding = ActiveFrames(file.load(), stft, workers, loudness)
        return sums.total(workers.ahead(part, sounding.starts))


def statistics(
    path: str | os.PathLike[str],
    W: ArrayLike,
    *,
    sample_rate: int,
    hop_length: int | None = None,
    window: str = "hann",
    divergence: str | float = "kl",
    sparsity: float = 0.0,
    threads: int | None = 1,
) -> Statistics:
    """Return what a step of the templates needs to know of a file: the map.

    Parameters
    ----------
    path : path-like
        Of any rate, which is converted, and number of channels, whose mean magnitudes count.
    W : array_like, shape (bins, components)
        Non-negative templates; frames have n_fft = 2 (bins - 1) samples.
    sample_rate : int
        Hertz that W is meant for.
    hop_length : int, optional
        Samples between frames; a quarter of n_fft if not given.
    window : str, default "hann"
    divergence, sparsity
        As for `factorize`.
    threads : int, optional
        Never changes the result.

    Returns
    -------
    Statistics
        Of a size that does not depend on the file; add them up with +. A silent file gives zeros.

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        W is no matrix of templates.
    """
    Wt = _templates(W)
    stft = STFT(2 * (Wt.shape[1] - 1), hop_length or 0, window)
    problem = Problem(as_divergence(divergence), sparsity=sparsity)
    sound = Sound(os.fspath(path), lambda: at_rate(read(path), sample_rate))
    return sums_of((sound, None), (Wt, stft, problem, threads, True))


def update(W: ArrayLike, total: Statistics, *, divergence: str | float = "kl", sparsity: float = 0.0) -> Matrix:
    """Return the templates after one step: W and the sum of the statistics of all files to the next W.

    Parameters
    ----------
    W : array_like, shape (bins, components)
        The templates that the statistics were taken at.
    total : Statistics
    divergence, sparsity
        As for `statistics`.

    Returns
    -------
    ndarray, shape (bins, components), float32
    """
    Wt = _templates(W)
    if total.negative.shape != Wt.shape:
        raise UsageError(f"the statistics are of templates of shape {total.negative.shape[::-1]}, not {Wt.shape[::-1]}")
    return sums.update(Wt, total, Problem(as_divergence(divergence), sparsity=sparsity)).T


def _templates(W: ArrayLike) -> Matrix:
    """Return W as (components, bins), float32; raise UsageError where it is no matrix of templates."""
    array: Any = np.asarray(W)
    if array.ndim != 2 or len(array) < 3 or array.shape[1] < 1 or not np.isfinite(array).all() or array.min() < 0:
        raise UsageError("W is no matrix (bins, components) of finite, non-negative numbers")
    # what comes from another machine may lie at an odd address, where other loops would round it differently
    return np.require(array.T, np.float32, ["C", "A"])
