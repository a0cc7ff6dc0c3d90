"""Learning of dictionaries from isolated sounds: any number of files a label, in the same memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, TypeVar

import numpy as np

from ..errors import UsageError
from ..kernels.divergence import as_divergence
from ..kernels.factors import Matrix
from ..kernels.threads import Workers
from ..models.convolutive import convolutive_nmf
from ..nmf.factorize import factorize
from ..nmf.problem import Problem
from ..nmf.sampling import Sample, richness
from ..nmf.statistics import Statistics, statistics, total, update
from ..settings.commands import LearnSettings
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from .dictionary import Dictionary, check_labels
from .templates import Templates, unit

QUIET = 1e-3  # of a sound's loudest frame: what is below is silence, whose shape means nothing


@dataclass(frozen=True, slots=True)
class Sound:
    """One isolated sound, read when it is needed.

    Parameters
    ----------
    key : str
        Hash of its contents: decides its place, so that names and order of files do not.
    load : callable
        Returns its samples at the common rate, shape (channels, samples) or (samples,), float32.
    seconds : float, optional
        About how long it is, if that is known.
    """

    key: str
    load: Callable[[], Samples]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a sound is, at one length of frames.

    Attributes
    ----------
    quiet : float32
        Mean magnitude up to which a frame is silent.
    scale : float32
        Brings the mean magnitude of the others to 1; 0 where there are none.
    """

    quiet: np.float32
    scale: np.float32


class ActiveFrames:
    """The magnitudes of the frames that sound, scaled to unit mean, block by block.

    They are the means over channels. A sound's level says nothing of what it is, so that quiet files count as much as
    loud ones.

    Parameters
    ----------
    samples : ndarray, shape (channels, samples) or (samples,)
    stft : STFT
    workers : Workers
        An entered context.
    loudness : Loudness, optional
        If it is known from an earlier time, which saves going over the sound.

    Attributes
    ----------
    loudness : Loudness
    starts : range
        The first frame of each block.
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
        loud = X.mean(axis=1) > self.loudness.quiet
        if not (loud.any() and self.loudness.scale):
            return X[:0]
        if not loud.all():
            X = X[loud]
        elif X is self._single:
            return X * self.loudness.scale
        X *= self.loudness.scale
        return X

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
    """What calls a function of every item and of what all items have in common.

    Attributes
    ----------
    threads : int or None
        Threads that each call should use, where that is decided here.
    """

    threads: int | None

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, added as `nmf.statistics.total` adds."""


class Here:
    """An executor that calls the function itself."""

    threads: int | None = None

    def map(self, function: Callable[[T, C], R], items: Sequence[T], common: C) -> Iterator[R]:
        """Yield function(item, common) for each item, in order."""
        return (function(item, common) for item in items)

    def total(self, function: Callable[[T, C], Statistics], items: Sequence[T], common: C) -> Statistics:
        """Return the sum of function(item, common) over the items, of which few are held at a time."""
        return total(self.map(function, items, common))


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
    stfts = frames_for(sample_rate, settings) if stfts is None else stfts
    parts = []
    with Workers(settings.threads) as workers:
        for index, (label, files) in enumerate(sounds.items()):
            wanted = counts.get(label, counts.get(None))
            views = []
            ordered = sorted(files, key=lambda sound: sound.key)
            for view in _views(label, ordered, stfts, wanted, settings, workers, executor or Here()):
                views.append(view)
                if progress is not None:
                    progress(index * len(stfts) + len(views))
            about = tuple(provenance[index : index + 1])
            parts.append(Dictionary(tuple(views), (label,), sample_rate, settings.divergence, provenance=about))
    return reduce(Dictionary.append, parts)


def frames_for(sample_rate: int, settings: LearnSettings) -> list[STFT]:
    """Return the frames that templates are measured with, the shortest first."""
    if settings.n_fft is not None:
        return [STFT(settings.n_fft, settings.hop_length or 0, settings.window)]
    # rates that no sound has must not make frames of two samples, nor of many millions
    lengths = sorted({int(np.clip(2 ** round(np.log2(seconds * sample_rate)), 64, 2**20)) for seconds in SECONDS})
    return [STFT(n_fft, 0, settings.window) for n_fft in lengths]


def _views(
    label: str,
    files: Sequence[Sound],
    stfts: Sequence[STFT],
    wanted: int | None,
    settings: LearnSettings,
    workers: Workers,
    executor: Executor,
) -> Iterator[Templates]:
    if settings.template_frames > 1:
        yield from _lasting(label, files, stfts, wanted, settings, executor)
        return
    samples = [Sample(stft.bins, max(1, KEPT // stft.bins)) for stft in stfts]
    shares, threads = _shares(files), executor.threads or settings.threads
    known: list[list[tuple[Sound, Loudness]]] = [[] for _ in stfts]
    drawn = executor.map(_draw, list(zip(files, shares, strict=True)), (stfts, KEPT, threads))
    for file, parts in zip(files, drawn, strict=True):
        for heard, sample, (loudness, part) in zip(known, samples, parts, strict=True):
            heard.append((file, loudness))
            sample.merge(part)
    for stft, sample, heard in zip(stfts, samples, known, strict=True):
        X = sample.frames()
        if not len(X):
            raise UsageError(f"{label!r} holds nothing but silence", "leave it out")
        if settings.exemplars:
            W = sample.first(wanted or AUTO_EXEMPLARS)
        else:
            count = wanted or richness(X, AUTO)
            W = _fit(X, min(count, len(X)), settings, workers)
            if sample.left_out:
                del X
                W = _refine(W, heard, stft, settings, executor)
        W = W[W.any(axis=1)]
        yield Templates(stft, unit(W.T), np.zeros(len(W), np.intp))


def _lasting(
    label: str,
    files: Sequence[Sound],
    stfts: Sequence[STFT],
    wanted: int | None,
    settings: LearnSettings,
    executor: Executor,
) -> Iterator[Templates]:
    """Yield templates of several frames, from what comes first of each sound, as much of each as all may have."""
    delays = settings.template_frames
    for stft in stfts:
        room = max(delays, KEPT // stft.bins // len(files))
        common = stft, room, delays, executor.threads or settings.threads
        parts = [part for part in executor.map(_beginning, files, common) if len(part)]
        if not parts:
            raise UsageError(f"{label!r} holds nothing but silence", "leave it out")
        fit = convolutive_nmf(
            np.concatenate(parts).T,
            wanted or STROKES,
            template_frames=delays,
            divergence=settings.divergence,
            max_iter=settings.max_iter,
            tol=settings.tol,
            seed=settings.seed,
            threads=settings.threads,
        )
        W = fit.templates[:, fit.templates.any(axis=(0, 2))]
        columns = unit(W.reshape(stft.bins, -1), delays)
        yield Templates(stft, columns, np.zeros(columns.shape[1], np.intp), delays=delays)


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


def _shares(files: Sequence[Sound]) -> list[float]:
    """Return the largest share of all frames that each sound may have: its share of the time, if that is known."""
    seconds = sum(file.seconds for file in files)
    return [file.seconds / seconds if all(other.seconds for other in files) else 1.0 for file in files]


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


def _fit(X: Matrix, count: int, settings: LearnSettings, workers: Workers) -> Matrix:
    """Return templates of frames that lie in memory, (components, bins)."""
    fit = factorize(
        X.T,
        count,
        divergence=settings.divergence,
        start="random",
        sparsity=_sparsity(settings),
        max_iter=settings.max_iter,
        tol=settings.tol,
        seed=settings.seed,
        threads=workers.threads,
    )
    return fit.factors.W.T


def _refine(
    W: Matrix, files: Sequence[tuple[Sound, Loudness]], stft: STFT, settings: LearnSettings, executor: Executor
) -> Matrix:
    """Return templates after passes over all frames, of which only sums are kept."""
    problem, threads = Problem(as_divergence(settings.divergence), sparsity=_sparsity(settings)), settings.threads
    Wt = np.ascontiguousarray(W)
    for _ in range(PASSES):
        sums = executor.total(sums_of, files, (Wt, stft, problem, executor.threads or threads, False))
        Wt = update(Wt, sums, problem)
    return Wt


def sums_of(item: tuple[Sound, Loudness | None], common: tuple[Matrix, STFT, Problem, int | None, bool]) -> Statistics:
    """Return the statistics of a sound, whose loudness is measured first if it is not known."""
    (file, loudness), (Wt, stft, problem, threads, with_loss) = item, common
    alone = Workers(1)  # blocks are looked at side by side already

    def part(start: int) -> Statistics:
        block = sounding.block(start)
        return (
            statistics(block, Wt, problem, STEPS, alone, with_loss) if len(block) else Statistics.nothing(Wt, problem)
        )

    with Workers(threads) as workers:
        sounding = ActiveFrames(file.load(), stft, workers, loudness)
        return total(workers.ahead(part, sounding.starts))


def _sparsity(settings: LearnSettings) -> float:
    if settings.sparsity is not None:
        return settings.sparsity
    return SPARSITY if as_divergence(settings.divergence).beta == 1 else 0.0
