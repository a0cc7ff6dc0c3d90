"""Dictionaries from isolated sounds: any number of files a label, in memory that does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..errors import UsageError
from ..nmf.convolutive import convolutive_nmf
from ..nmf.divergences import as_divergence
from ..nmf.factorize import factorize
from ..nmf.factors import Matrix
from ..nmf.kernels.workers import Workers
from ..nmf.problem import Problem
from ..nmf.statistics import Statistics, statistics, total, update
from ..settings import LearnSettings
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT
from .dictionary import Dictionary, View, check_labels, unit
from .executor import Executor, Here
from .sampling import Sample, richness

SECONDS = (0.08, 0.2)  # lengths of the frames, rounded to powers of two samples: one follows, the other resolves
AUTO, AUTO_EXEMPLARS = 300, 300
STROKES = 4  # templates of a label, where they last several frames
SPARSITY = 0.5
KEPT = 1 << 24  # magnitudes kept of a label for the fit; where there are more, passes over all of them follow
PASSES, STEPS = 3, 10  # over all frames, and updates of their activations in each
QUIET = 1e-3  # of a sound's loudest frame: what is below is silence, whose shape means nothing


@dataclass(frozen=True, slots=True)
class Sound:
    """One isolated sound, in one channel, read when it is needed.

    Parameters
    ----------
    key : str
        Hash of its contents: decides its place, so that names and order of files do not.
    load : callable
        Returns its samples at the common rate, shape (samples,), float32.
    seconds : float, optional
        About how long it is, if that is known.
    """

    key: str
    load: Callable[[], Samples]
    seconds: float = 0.0


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
    lengths = sorted({max(4, 2 ** round(np.log2(seconds * sample_rate))) for seconds in SECONDS})
    return [STFT(n_fft, 0, settings.window) for n_fft in lengths]


def _views(
    label: str,
    files: Sequence[Sound],
    stfts: Sequence[STFT],
    wanted: int | None,
    settings: LearnSettings,
    workers: Workers,
    executor: Executor,
) -> Iterator[View]:
    if settings.template_frames > 1:
        yield from _lasting(label, files, stfts, wanted, settings, executor)
        return
    samples = [Sample(stft.bins, max(1, KEPT // stft.bins)) for stft in stfts]
    shares = _shares(files)
    for drawn in executor.map(_draw, list(zip(files, shares, strict=True)), (stfts, KEPT)):
        for sample, part in zip(samples, drawn, strict=True):
            sample.merge(part)
    for stft, sample in zip(stfts, samples, strict=True):
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
                W = _refine(W, files, stft, settings, executor)
        W = W[W.any(axis=1)]
        yield View(stft, unit(W.T), np.zeros(len(W), np.intp))


def _lasting(
    label: str,
    files: Sequence[Sound],
    stfts: Sequence[STFT],
    wanted: int | None,
    settings: LearnSettings,
    executor: Executor,
) -> Iterator[View]:
    """Yield templates of several frames, from what comes first of each sound, as much of each as all may have."""
    delays = settings.template_frames
    for stft in stfts:
        room = max(delays, KEPT // stft.bins // len(files))
        parts = [part for part in executor.map(_beginning, files, (stft, room, delays)) if len(part)]
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
        yield View(stft, columns, np.zeros(columns.shape[1], np.intp), delays=delays)


def _beginning(file: Sound, common: tuple[STFT, int, int]) -> Matrix:
    """Return the first frames of a sound that sound, and silent ones that no template goes on beyond."""
    stft, room, delays = common
    found = [np.zeros((0, stft.bins), np.float32)]
    for _, block in _frames(file.load(), stft):
        found.append(block[: room - sum(map(len, found))])
        if sum(map(len, found)) >= room:
            break
    whole = np.concatenate(found)
    return np.concatenate([whole, np.zeros((delays, stft.bins), np.float32)]) if len(whole) else whole


def _shares(files: Sequence[Sound]) -> list[float]:
    """Return the largest share of all frames that each sound may have: its share of the time, if that is known."""
    seconds = sum(file.seconds for file in files)
    return [file.seconds / seconds if all(other.seconds for other in files) else 1.0 for file in files]


def _draw(item: tuple[Sound, float], common: tuple[Sequence[STFT], int]) -> list[Sample]:
    """Return a sample of the frames of a sound for each of some STFTs, no larger than it can have use for.

    Of all frames those with the lowest numbers are kept in the end, of which a share has about its part: six standard
    deviations more are enough.
    """
    (file, share), (stfts, kept) = item, common
    sound = file.load()
    samples = []
    for stft in stfts:
        whole = max(1, kept // stft.bins)
        part = min(whole, round(whole * share + 6 * np.sqrt(whole * share)) + 6)
        sample = Sample(stft.bins, part)
        for start, block in _frames(sound, stft):
            sample.add(file.key, start, block)
        sample.trim()
        samples.append(sample)
    return samples


def _frames(sound: Samples, stft: STFT) -> Iterator[tuple[int, Matrix]]:
    """Yield the magnitudes of the frames that sound, scaled to unit mean, in blocks, each with its first frame.

    A sound's level says nothing of what it is, so that quiet files count as much as loud ones.
    """
    frames = stft.n_frames(len(sound))
    blocks = range(0, frames, BLOCK)

    def magnitudes(start: int) -> Matrix:
        X: Matrix = np.abs(stft.forward_block(sound[None], start, min(frames, start + BLOCK))[0])
        return X

    single = magnitudes(0) if len(blocks) == 1 else None
    levels = np.concatenate([(magnitudes(start) if single is None else single).mean(axis=1) for start in blocks])
    loud = levels > QUIET * levels.max(initial=0)
    if not loud.any():
        return
    scale = np.float32(1 / levels[loud].mean(dtype=np.float64))
    for start in blocks:
        chosen = loud[start : start + BLOCK]
        if chosen.any():
            yield start, (magnitudes(start) if single is None else single)[chosen] * scale


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


def _refine(W: Matrix, files: Sequence[Sound], stft: STFT, settings: LearnSettings, executor: Executor) -> Matrix:
    """Return templates after passes over all frames, of which only sums are kept."""
    problem = Problem(as_divergence(settings.divergence), sparsity=_sparsity(settings))
    Wt = np.ascontiguousarray(W)
    for _ in range(PASSES):
        Wt = update(
            Wt, executor.total(sums_of, files, (Wt, stft, problem, executor.threads or settings.threads)), problem
        )
    return Wt


def sums_of(file: Sound, common: tuple[Matrix, STFT, Problem, int | None]) -> Statistics:
    """Return the statistics of a sound."""
    Wt, stft, problem, threads = common
    with Workers(threads) as workers:
        parts = [statistics(block, Wt, problem, STEPS, workers) for _, block in _frames(file.load(), stft)]
    return total(parts) if parts else Statistics.nothing(Wt, problem)


def _sparsity(settings: LearnSettings) -> float:
    if settings.sparsity is not None:
        return settings.sparsity
    return SPARSITY if as_divergence(settings.divergence).beta == 1 else 0.0
