"""Frames that templates are learned from: all of a mixture in memory, or a sample of those of a mixture on disk.

Both give frames to fit, report progress, and make components of what was fitted. In memory the activations of
the fit are kept. On disk only the templates are: the activations of a frame depend on that frame alone, so they are
solved where they are needed, for the mask of a block, and there are no joins to hide.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..grouping.atoms import RUN, RUNS, Covariances, Grouped, most_atoms
from ..grouping.bands import bands_of
from ..guidance.templates import Templates
from ..kernels.blocked import Blocked
from ..kernels.divergence import as_divergence
from ..kernels.factors import Factors, Matrix
from ..kernels.select import ONCE, choose
from ..kernels.threads import Workers
from ..nmf.activations import steps_for
from ..nmf.problem import Problem
from ..progress import ITERATIONS, OnProgress, Stages
from ..settings.separation import Settings
from ..signal.audio import Audio
from ..signal.stft import BLOCK, STFT
from ..signal.stream import Stream
from .components import BlockSolver, Components, HeldTemplates
from .fit import Fitted, OnStep, guided_passes
from .mixture import Frames, all_frames, covariances_of, draw, evenly_spaced, runs_of_frames, some_frames, views
from .time_left import cost_of_drawing, cost_of_finishing, costs_of_fit, costs_of_grouping

FRAMES = 1 << 14  # drawn at the most
FEWEST = 1 << 11  # and at the least, where memory is short: with fewer the loss may be 1 % above
EXCERPT = 8  # the frames drawn span so many times an excerpt
ENTRIES = 1 << 25  # magnitudes of all that are drawn, at the most


def frames_drawn(settings: Settings, channels: int, n_fft: int) -> int:
    """Return how many frames templates are learned from at the most."""
    width = (1 if settings.channels == "mid" else channels) * (n_fft // 2 + 1)
    return max(FEWEST, min(FRAMES, ENTRIES // width))


def excerpt_samples(frames: int, hop_length: int) -> int:
    """Return of how many samples an excerpt may be where so many frames are drawn: of 24 s where memory is plenty."""
    return frames * hop_length // EXCERPT


class FrameSample(ABC):
    """Frames to learn from, and what becomes of what was learned."""

    learned_from: tuple[int, int] | None = None
    on_rendered: Callable[[int], object] | None = None
    on_progress: OnProgress | None = None

    @abstractmethod
    def refit(self, settings: Settings, at: Callable[[float, float], object]) -> None:
        """Go on with other settings; `at` is told the share of that fit in memory that is done, and its loss."""

    @abstractmethod
    def consecutive(self, stft: STFT) -> tuple[Frames, OnProgress | None]:
        """Return frames of which many follow each other, for atoms, and the callback of looking for these."""

    @abstractmethod
    def covariances(self, stft: STFT) -> Covariances:
        """Return what gives the covariances of two channels at some of the frames of `consecutive`."""

    @abstractmethod
    def excerpt_samples(self, stft: STFT) -> int | None:
        """Return of how many samples an excerpt may be at the most; None if that does not matter."""

    @abstractmethod
    def numbers(self, stft: STFT) -> NDArray[np.intp]:
        """Return which frames of the mixture `consecutive` gives."""

    @abstractmethod
    def begin(self, proposals: Sequence[Templates | STFT], moves: bool) -> int:
        """Prepare for fits at these lengths of frames, in which templates may move; return how many fits these are."""

    @abstractmethod
    def parts(self, proposal: Templates | STFT) -> Iterator[tuple[Frames, int, OnStep]]:
        """Yield what is factorized on its own, the rows of each frame, and the callbacks of the fit."""

    @abstractmethod
    def components(self, found: Sequence[Fitted], stft: STFT, guided: bool) -> Components:
        """Return the components that were fitted to the parts."""

    @abstractmethod
    def of_atoms(self, found: Grouped, frames: Frames, stft: STFT) -> Components:
        """Return the components that were found as atoms."""


class AllFrames(FrameSample):
    """All frames of a mixture in memory."""

    def __init__(self, audio: Audio, settings: Settings, callback: OnProgress | None) -> None:
        self._audio, self._settings, self._callback = audio, settings, callback
        self.on_progress = callback
        self._parts = views(audio.samples, settings.channels)
        self._ready: Frames | None = None
        self._done, self._runs, self._moves = 0, 1, False

    def refit(self, settings: Settings, at: Callable[[float, float], object]) -> None:
        """Take other settings, and other frames."""
        self._settings, self._ready = settings, None
        most = max(1, settings.max_iter)
        self._callback = None if self.on_progress is None else lambda step, loss: at(step / most, loss)

    def consecutive(self, stft: STFT) -> tuple[Frames, OnProgress | None]:
        """Return all frames."""
        (samples,) = self._parts
        self._ready = all_frames(samples, stft, self._settings.threads)
        return self._ready, self._callback

    def covariances(self, stft: STFT) -> Covariances:
        """Return what transforms the frames once more."""
        (samples,) = self._parts

        def covariances(chosen: NDArray[np.intp], merge: Callable[[Matrix], Matrix]) -> Matrix | None:
            if len(samples) != 2:
                return None
            found = []
            for start in range(0, stft.n_frames(samples.shape[1]), BLOCK):
                here = chosen[(chosen >= start) & (chosen < start + BLOCK)]
                if len(here):
                    S = stft.forward_block(samples, start, int(here[-1]) + 1)
                    found.append(covariances_of(S[:, here - start], merge))
            return _by_entry(np.concatenate(found))

        return covariances

    def excerpt_samples(self, stft: STFT) -> int | None:
        """Return None: all is in memory."""
        return None

    def numbers(self, stft: STFT) -> NDArray[np.intp]:
        """Return the numbers of all frames."""
        return np.arange(stft.n_frames(self._audio.length))

    def begin(self, proposals: Sequence[Templates | STFT], moves: bool) -> int:
        """Count the fits."""
        self._runs, self._moves = len(self._parts) * len(proposals) * (1 + moves), moves
        return self._runs

    def parts(self, proposal: Templates | STFT) -> Iterator[tuple[Frames, int, OnStep]]:
        """Yield the frames of all channels, their mean, or each."""
        guided = isinstance(proposal, Templates)
        stft = proposal.stft if isinstance(proposal, Templates) else proposal
        for samples in self._parts:
            frames = self._ready or all_frames(samples, stft, self._settings.threads)
            self._ready = None
            if guided:
                yield replace(frames, Xt=frames.Xt.reshape(-1, stft.bins)), len(samples), self._counted
            else:
                yield frames, len(samples), lambda phase: self._callback
            self._done += 1 + self._moves

    def _counted(self, phase: int) -> OnProgress | None:
        """Return a callback that counts the iterations of one of several fits as part of all."""
        callback, done, steps = self._callback, self._done + phase, self._settings.max_iter
        if callback is None:
            return None
        return lambda iteration, loss: callback((done * steps + iteration) // self._runs, loss)

    def components(self, found: Sequence[Fitted], stft: STFT, guided: bool) -> Components:
        """Return components with the activations of the fit."""
        factors: list[Factors] = []
        for fitted, samples in zip(found, self._parts, strict=True):
            W, scale, channels = fitted.W, fitted.frames.scale, len(samples)
            if guided:
                factors += [Factors(W, fitted.Z[:, channel::channels] * scale) for channel in range(channels)]
            else:
                Z = fitted.Z * scale
                factors += [Factors(part, Z) for part in np.split(W, channels)]
        return Components(factors, found[-1].groups)

    def of_atoms(self, found: Grouped, frames: Frames, stft: STFT) -> Components:
        """Return atoms with their activations."""
        Z = found.fit.factors.Z * frames.scale
        return Components([Factors(each.W, Z) for each in found.factors], found.groups)


class DrawnFrames(FrameSample):
    """A sample of the frames of a mixture on disk.

    Parameters
    ----------
    stream : Stream
    settings : Settings
    frames : int or None
        To learn from at the most; `frames_drawn` if not given.
    keep : bool
        Whether activations are kept as they are solved.
    callback : callable or None
        Called as callback(step, loss), steps being shares of settings.max_iter that take equal times, with the
        rendering as the last of them.
    """

    def __init__(
        self, stream: Stream, settings: Settings, frames: int | None, keep: bool, callback: OnProgress | None
    ) -> None:
        self._stream, self._settings, self._most, self._keep = stream, settings, frames, keep
        self._callback, self._began = callback, time.monotonic()
        self.on_progress, self._steps = callback, settings.max_iter
        self._refitted = False
        self._stages = Stages([1.0], None, settings.max_iter)
        self._stage = 0

    def refit(self, settings: Settings, at: Callable[[float, float], object]) -> None:
        """Take other settings; how far the work is, is told by the time that its passes over the file take."""
        self._settings, self._refitted = settings, True

    def consecutive(self, stft: STFT) -> tuple[Frames, OnProgress | None]:
        """Return evenly spaced runs of frames."""
        stream, settings = self._stream, self._settings
        costs = costs_of_grouping(
            stream.length, self._rows(stft), stft.bins, stft.hop_length, stream.channels,
            most_atoms(settings), settings.components, Workers(settings.threads).threads,
        )  # fmt: skip
        finish = cost_of_finishing(stream.length, stream.channels, settings.components)
        lead = time.monotonic() - self._began
        stages = self._stages = Stages([*costs, finish], self._callback, self._steps, lead)
        while True:
            before = stream.length
            (rows,) = runs_of_frames(stream, stft, settings.channels, RUNS, RUN, stages.share(0, before))
            if not stream.needs_another_pass() and stream.length == before:
                break  # else length or exponent were known only afterwards
        self.on_rendered = stages.share(2, stream.length)
        self.learned_from = len(rows), stft.n_frames(stream.length)
        found = some_frames(rows, rows.shape[1], 1.0)
        return found, lambda step, loss: stages.at(1, step / max(1, settings.max_iter), loss)

    def covariances(self, stft: STFT) -> Covariances:
        """Return what takes another pass over the file."""
        stream, mode = self._stream, self._settings.channels

        def covariances(chosen: NDArray[np.intp], merge: Callable[[Matrix], Matrix]) -> Matrix | None:
            if stream.channels != 2 or mode != "joint":
                return None
            rows = partial(covariances_of, merge=merge)
            (found,) = runs_of_frames(stream, stft, mode, RUNS, RUN, lambda position: None, rows)
            return _by_entry(found[chosen])

        return covariances

    def excerpt_samples(self, stft: STFT) -> int | None:
        """Return a share of what the frames that are drawn span, so that both fall as memory does."""
        return excerpt_samples(self._drawn(stft), stft.hop_length)

    def numbers(self, stft: STFT) -> NDArray[np.intp]:
        """Return the numbers of the frames of the runs."""
        return evenly_spaced(stft.n_frames(self._stream.length), RUNS, RUN)

    def begin(self, proposals: Sequence[Templates | STFT], moves: bool) -> int:
        """Reckon what each stage takes: two for each length of frames, the rendering, and what follows."""
        stream, settings = self._stream, self._settings
        costs, rendering = [], 0.0
        for proposal in proposals:
            stft = _stft(proposal)
            k = proposal.W.shape[1] + settings.free if isinstance(proposal, Templates) else settings.components
            most = self._drawn(stft)
            draw, fit, render = costs_of_fit(
                stream.length, self._rows(stft), stft.bins, stft.hop_length, stream.channels, k, steps_for(k),
                settings.components, most, Workers(settings.threads).threads,
            )  # fmt: skip
            if isinstance(proposal, Templates):
                magnitudes = min(most, stft.n_frames(stream.length)) * self._rows(stft)
                fit *= guided_passes(magnitudes, settings) / ITERATIONS
            costs += [draw, fit]
            rendering += render
        finish = cost_of_finishing(stream.length, stream.channels, settings.components)
        lead = time.monotonic() - self._began
        self._stages = Stages([*costs, rendering, finish], self._callback, self._steps, lead)
        self._stage, self.learned_from = 0, None
        apart = stream.channels if settings.channels == "independent" else 1
        return apart * len(proposals) * (1 + moves)

    def parts(self, proposal: Templates | STFT) -> Iterator[tuple[Frames, int, OnStep]]:
        """Draw frames in one pass, and yield those of all channels, their mean, or each."""
        stream, settings, stages, stage = self._stream, self._settings, self._stages, self._stage
        stft, beta = _stft(proposal), as_divergence(settings.divergence).beta
        most = self._drawn(stft)
        cost = partial(
            cost_of_drawing, rows=self._rows(stft), hop=stft.hop_length, channels=stream.channels, drawn=most
        )
        whole = cost(stream.length)
        passed = lambda position: stages.at(stage, cost(position) / whole if whole else 1.0)  # noqa: E731
        samples = draw(stream, stft, settings.channels, most, str(settings.seed), passed)
        fitted = stages.iterations(stage + 1, settings.tol)
        self.learned_from = self.learned_from or (len(samples[0]), stft.n_frames(stream.length))
        self._stage += 2
        self.on_rendered = stages.share(self._stage, stream.length)
        while samples:
            rows = samples.pop(0)
            if isinstance(proposal, Templates):
                rows = rows.reshape(-1, stft.bins)
                yield some_frames(rows, proposal.known_bins, beta), 1, lambda phase: fitted
            else:
                yield some_frames(rows, rows.shape[1], beta), 1, lambda phase: fitted

    def components(self, found: Sequence[Fitted], stft: STFT, guided: bool) -> Components:
        """Return components whose activations are solved block by block."""
        held = [
            HeldTemplates(np.ascontiguousarray(each.W.T), each.frames.scale, each.frames.floor, each.known_rows)
            for each in found
        ]
        return Components((), found[-1].groups, solver=self._solver(held, stft, guided))

    def of_atoms(self, found: Grouped, frames: Frames, stft: STFT) -> Components:
        """Return atoms whose activations are solved block by block, on bands."""
        W = np.concatenate([part.W for part in found.factors]).astype(np.float32, copy=False)
        held = HeldTemplates(
            np.ascontiguousarray(W.T), frames.scale, frames.floor, len(W), bands_of(stft.bins), found.runs
        )
        self._stages.at(1, 1.0, found.fit.losses[-1])
        return Components((), found.groups, solver=self._solver([held], stft, False))

    def _solver(self, held: Sequence[HeldTemplates], stft: STFT, guided: bool) -> BlockSolver:
        stream, settings, k = self._stream, self._settings, len(held[0].Wt)
        measure, count = as_divergence(settings.divergence), stft.n_frames(stream.length)
        apart = stream.channels if guided and settings.channels == "joint" else 1
        # compiled loops know no penalties, and nothing of them is needed for coordinate descent or atoms
        plain = settings.sparsity or measure.beta == 2 or held[0].bands is not None
        kernels = Blocked() if plain else choose(held[0].known_rows, count * apart, k, measure, ONCE)
        kept = [np.empty((count, apart, k), np.float32) for _ in held] if self._keep else []
        problem = Problem(measure, sparsity=settings.sparsity)
        return BlockSolver(held, stream.channels, settings.channels, guided, problem, kernels, kept)

    def _drawn(self, stft: STFT) -> int:
        """Return how many frames are drawn at the most."""
        usual = frames_drawn(self._settings, self._stream.channels, stft.n_fft)
        if self._most and self._refitted:  # it was reckoned for other frames
            return min(self._most, usual)
        return self._most or usual

    def _rows(self, stft: STFT) -> int:
        """Return the magnitudes of a frame."""
        return stft.bins * (1 if self._settings.channels == "mid" else self._stream.channels)


def _by_entry(rows: Matrix) -> Matrix:
    """Return covariances (frames, 4 * bands) entry by entry, (4, frames, bands)."""
    return np.ascontiguousarray(rows.reshape(len(rows), 4, -1).swapaxes(0, 1))


def _stft(proposal: Templates | STFT) -> STFT:
    return proposal.stft if isinstance(proposal, Templates) else proposal
