"""Separating a mixture of any length in the same memory: templates from a sample of its frames, then one pass.

Templates need not see all frames: from 16,384 drawn at random, the loss over all of them comes out within a few
thousandths of that of a fit to all. Each frame's activations then depend on that frame alone, so that they are solved
where they are needed, for the mask of a block, and there are no joins to hide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..grouping.atoms import RUN, RUNS, Grouped, find, most_atoms
from ..grouping.bands import bands_of
from ..grouping.choice import Choice
from ..guidance.dictionary import Dictionary, View
from ..guidance.dictionary_cue import evidence_of
from ..guidance.guide import Guide
from ..kernels import blocked
from ..kernels.divergence import as_divergence
from ..kernels.factors import Matrix
from ..kernels.reference import EPS
from ..kernels.select import ONCE, choose
from ..kernels.threads import Workers
from ..nmf.activations import steps_for
from ..nmf.factorize import factorize
from ..nmf.fit import Callback, Fit
from ..nmf.prepare import FLOOR
from ..nmf.problem import Problem
from ..progress import ITERATIONS, Stages, Told, drawing, expected, finishing, grouping
from ..registry import PRESETS, SOUND_STARTS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.stft import STFT
from ..signal.stream import Stream
from .guided import Fitting, passes, template_groups, whole_templates
from .mixture import draw, stretches
from .options import may_group, options
from .result import Layer
from .solving import Solving, Templates
from .stem_groups import without_auto
from .streamed import Streamed

FRAMES = 1 << 14  # drawn at the most
FEWEST = 1 << 11  # and at the least, where memory is short: with fewer the loss may be 1 % above
ENTRIES = 1 << 25  # magnitudes of all that are drawn, at the most


def obstacle(settings: Settings, guide: Guide | None = None) -> str | None:
    """Return what keeps a separation from being done with a part of the frames at a time, in words; None if nothing."""
    if (reason := rendering_obstacle(settings)) is not None:
        return reason
    if guide is not None and not guide.timeless:
        return "what is told of times needs all frames at once"
    if guide is not None and guide.lasting:
        return "templates of several frames need frames that follow each other"
    if without_auto(settings.group)[1]:
        return "--group auto:N needs all activations before it renders (render can do it, after --save-model)"
    if settings.model != "nmf":
        return f"model {settings.model!r} needs all frames at once"
    if settings.start in SOUND_STARTS:
        return f"start {settings.start!r} needs frames that follow each other"
    if settings.smoothness:
        return "smoothness couples all frames"
    return None


def rendering_obstacle(settings: Settings) -> str | None:
    """Return what keeps stems from being rendered in one pass, in words; None if nothing."""
    if settings.mask in SPATIAL_MASKS:
        return f"mask {settings.mask!r} goes over the sound several times"
    if settings.consistency:
        return "--consistency looks at frames before and after those that are rendered"
    return None


def frames_drawn(settings: Settings, channels: int, n_fft: int) -> int:
    """Return how many frames templates are learned from at the most."""
    width = (1 if settings.channels == "mid" else channels) * (n_fft // 2 + 1)
    return max(FEWEST, min(FRAMES, ENTRIES // width))


def analyse_stream(
    stream: Stream,
    settings: Settings,
    guide: Guide | None = None,
    *,
    frames: int | None = None,
    keep: bool = False,
    callback: Told | None = None,
) -> Streamed:
    """Learn the templates of a mixture on disk.

    Parameters
    ----------
    stream : Stream
    settings : Settings
    guide : Guide, optional
        Dictionaries that give the templates, which then move as far as the settings say.
    frames : int, optional
        Frames to learn from at the most; `frames_drawn` if not given.
    keep : bool, default False
        Keep the activations as they are solved, so that the separation can be saved after it was rendered.
    callback : callable, optional
        Called as callback(step, loss), steps being shares of settings.max_iter that take equal times, with the
        rendering as the last of them; a true result stops the fit.

    Returns
    -------
    Streamed

    Raises
    ------
    UsageError
        The settings need all frames at once.
    """
    if (reason := obstacle(settings, guide)) is not None:
        raise UsageError(f"{reason}, which --max-memory does not allow", "give --max-memory more, or --duration")
    choice, began = None, time.monotonic()
    if guide is None and (settings.preset or may_group(settings)):
        choice, whole = _atoms(stream, settings, keep, callback)
        if whole is not None:
            return whole
    dictionary, notes = guide.dictionary(stream.sample_rate, settings) if guide else (None, ())
    stages = _stages(stream, settings, dictionary, frames, callback, time.monotonic() - began)
    layers: list[Layer] = []
    fits: list[Fit] = []
    sizes: list[tuple[int, int]] = []
    kinds = dictionary.views if dictionary else (None,)
    for index, view in enumerate(kinds):
        stft = view.stft if view else STFT(*settings.frames(stream.sample_rate), settings.window)
        most = frames or frames_drawn(settings, stream.channels, stft.n_fft)
        cost = partial(drawing, rows=_rows(stream, settings, stft), hop=stft.hop_length, channels=stream.channels)
        passed = _drawn(stages, 2 * index, partial(cost, drawn=most), stream.length)
        samples = draw(stream, stft, settings.channels, most, str(settings.seed), passed)
        fitted = stages.iterations(2 * index + 1, settings.tol)
        sizes.append((len(samples[0]), stft.n_frames(stream.length)))
        if view is None:
            frequencies = stft.frequencies(stream.sample_rate)
            found = [_learned(sample, frequencies, settings, fitted, len(samples)) for sample in samples]
            groups: Sequence[Sequence[int]] = [[k] for k in range(settings.components)]
        else:
            parts = len(kinds) * len(samples)
            found = [_guided(sample, view, settings, fitted, parts) for sample in samples]
            groups = template_groups(evidence_of(view), len(guide.labels if guide else ()), settings.free)
        del samples
        fits += [fit for fit, _ in found]
        model = _solving([templates for _, templates in found], groups, stream, stft, settings, guide is not None, keep)
        layers.append(Layer(stft, model))
    first, *others = layers
    labels = guide.labels if guide else ()
    told = stages.share(2 * len(layers), stream.length)
    return Streamed(
        settings, first.stft, tuple(fits), first.model, labels, tuple(others), notes, sizes[0], choice, told=told
    )


def _rows(stream: Stream, settings: Settings, stft: STFT) -> int:
    """Return the magnitudes of a frame."""
    return stft.bins * (1 if settings.channels == "mid" else stream.channels)


def _drawn(stages: Stages, stage: int, cost: Callable[[int], float], length: int) -> Callable[[int], object]:
    """Return what tells that so many samples have been drawn from."""
    whole = cost(length)
    return lambda position: stages.at(stage, cost(position) / whole if whole else 1.0)


def _atoms(
    stream: Stream, settings: Settings, keep: bool, callback: Told | None
) -> tuple[Choice | None, Streamed | None]:
    """Return what was chosen, and the separation where it is one into stems of several atoms, found on stretches."""
    stft = STFT(*settings.frames(stream.sample_rate), settings.window)
    costs = grouping(
        stream.length, _rows(stream, settings, stft), stft.bins, stft.hop_length, stream.channels,
        most_atoms(settings), settings.components, Workers(settings.threads).threads,
    )  # fmt: skip
    finish = finishing(stream.length, stream.channels, settings.components)
    stages = Stages([*costs, finish], callback, settings.max_iter)
    while True:
        before = stream.length
        (rows,) = stretches(stream, stft, settings.channels, RUNS, RUN, stages.share(0, before))
        if not stream.settle() and stream.length == before:
            break  # else length or exponent were known only afterwards
    scale, floor = _settle(rows, rows.shape[1], 1.0)
    X = np.ascontiguousarray(rows.T)
    choice: Choice | None = None
    grouped: Grouped | None
    if settings.preset:
        grouped = PRESETS.load(settings.preset)(X, stft, stream.sample_rate, settings)
    else:
        choice, grouped = find(
            X,
            stft,
            stream.sample_rate,
            settings,
            lambda step, loss: stages.at(1, step / max(1, settings.max_iter), loss),
        )
    if grouped is None:
        return choice, None
    W = np.concatenate([part.W for part in grouped.factors]).astype(np.float32, copy=False)
    templates = Templates(np.ascontiguousarray(W.T), scale, floor, len(W), bands_of(stft.bins), grouped.runs)
    model = _solving([templates], grouped.groups, stream, stft, settings, False, keep)
    stages.at(1, 1.0, grouped.fit.losses[-1])
    told, sizes = stages.share(2, stream.length), (len(rows), stft.n_frames(stream.length))
    return choice, Streamed(settings, stft, (grouped.fit,), model, learned_from=sizes, choice=choice, told=told)


def _stages(
    stream: Stream,
    settings: Settings,
    dictionary: Dictionary | None,
    frames: int | None,
    callback: Told | None,
    lead: float,
) -> Stages:
    """Return what tells how far the work is: two stages for each length of frames, the rendering, and what follows."""
    sizes = [(view.stft, view.W.shape[1] + settings.free) for view in dictionary.views] if dictionary else []
    costs, rendering = [], 0.0
    for stft, k in sizes or [(STFT(*settings.frames(stream.sample_rate), settings.window), settings.components)]:
        most = frames or frames_drawn(settings, stream.channels, stft.n_fft)
        draw, fit, render = expected(
            stream.length, _rows(stream, settings, stft), stft.bins, stft.hop_length, stream.channels, k, steps_for(k),
            settings.components, most, Workers(settings.threads).threads,
        )  # fmt: skip
        if dictionary:
            magnitudes = min(most, stft.n_frames(stream.length)) * _rows(stream, settings, stft)
            fit *= passes(magnitudes, settings) / ITERATIONS
        costs += [draw, fit]
        rendering += render
    finish = finishing(stream.length, stream.channels, settings.components)
    return Stages([*costs, rendering, finish], callback, settings.max_iter, lead)


def _learned(
    rows: Matrix, frequencies: NDArray[np.float64], settings: Settings, callback: Callback, fits: int
) -> tuple[Fit, Templates]:
    """Return the fit to a sample of frames (frames, rows), which is scaled in place, and what it found."""
    scale, floor = _settle(rows, rows.shape[1], as_divergence(settings.divergence).beta)
    told = options(settings, rows.T, frequencies, fits)
    fit = factorize(rows.T, settings.components, callback=callback, **told).ordered()
    return fit, Templates(np.ascontiguousarray(fit.factors.W.T), scale, floor, rows.shape[1])


def _guided(sample: Matrix, view: View, settings: Settings, callback: Callback, parts: int) -> tuple[Fit, Templates]:
    """Return the same with a dictionary's templates, which the channels share; one of several parts of the work."""
    rows = sample.reshape(-1, view.stft.bins)
    scale, floor = _settle(rows, view.known, as_divergence(settings.divergence).beta)
    known = evidence_of(view)
    moves = bool(settings.free or settings.adapt)
    if settings.time_limit is not None:
        settings = replace(settings, time_limit=settings.time_limit / (parts * (2 if moves else 1)))
    fit = Fitting(known, {}, settings, moves).fit(rows, 1, lambda phase: callback)
    W = whole_templates(fit.factors.W, known)
    return fit, Templates(np.ascontiguousarray(W.T), scale, floor, view.known)


def _solving(
    templates: Sequence[Templates],
    groups: Sequence[Sequence[int]],
    stream: Stream,
    stft: STFT,
    settings: Settings,
    guided: bool,
    keep: bool,
) -> Solving:
    measure, count = as_divergence(settings.divergence), stft.n_frames(stream.length)
    k = len(templates[0].Wt)
    apart = stream.channels if guided and settings.channels == "joint" else 1
    bins = templates[0].known
    # compiled loops know no penalties, and nothing of them is needed for coordinate descent or atoms
    plain = settings.sparsity or measure.beta == 2 or templates[0].bands is not None
    kernels = blocked if plain else choose(bins, count * apart, k, measure, ONCE)
    kept = [np.empty((count, apart, k), np.float32) for _ in templates] if keep else []
    problem = Problem(measure, sparsity=settings.sparsity)
    return Solving(templates, groups, stream.channels, settings.channels, guided, problem, kernels, kept=kept)


def _settle(rows: Matrix, known: int, beta: float) -> tuple[np.float32, np.float32]:
    """Bring a sample of frames to about unit mean, in place; return what it was divided by and its least entry.

    It is the power of two that `factorize` would divide out, so that it need not copy, and likewise the floor.
    """
    own = rows[:, :known]
    mean = float(own.mean(dtype=np.float64))
    scale = np.float32(2.0 ** np.frexp(mean)[1] if mean > 0 else 1)
    rows /= scale
    if beta > 0:
        return scale, np.float32(0)
    floor = np.float32(max(own.max() * np.float32(FLOOR), EPS))
    np.maximum(own, floor, out=own)
    return scale, floor
