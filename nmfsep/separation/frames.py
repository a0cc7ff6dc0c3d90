"""Frames that templates are learned from: all of a mixture in memory, or a sample of those of a mixture on disk.

Both give frames to fit, report progress, and make components of what was fitted. In memory the activations of
the fit are kept. On disk only the templates are: the activations of a frame depend on that frame alone, so they are
solved where they are needed, for the mask of a block, and there are no joins to hide.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..grouping.atoms import Covariances, Grouped, most_atoms, sampled
from ..grouping.scene import bands_of
from ..guidance.templates import Templates
from ..kernels.blocked import Blocked
from ..kernels.divergence import as_divergence
from ..kernels.product import Factors, Matrix
from ..kernels.select import ONCE, choose
from ..kernels.threads import Workers
from ..nmf.blockwise import steps_for
from ..nmf.problem import Problem
from ..progress import ITERATIONS, OnProgress, Stages
from ..settings.separation import Settings
from ..signal.audio import Audio
from ..signal.stft import BLOCK, STFT
from ..signal.stream import Stream
from .components import BlockSolver, Components, HeldTemplates
from .fit import Fitted, OnStep, guided_passes
from .mixture import SPARSE, Frames, all_frames, covariances_of, draw, excerpts, some_frames, views

FRAMES = 1 << 14  # drawn at the most
FEWEST = 1 << 11  # and at the least, where memory is short: with fewer the loss may be 1 % above
EXCERPT = 8  # the frames drawn span so many times an excerpt
ENTRIES = 1 << 25  # magnitudes of all that are drawn, at the most
# Nanoseconds that the stages take, measured; only their ratios matter.
READ, DRAW, DRAW_ONE, FIT, FIT_TEMPLATE = 12, 8, 90, 1.5, 0.14
LOAD = 0.8e9  # compiled loops
TRANSFORM, UPDATE, WRITE = 27, 0.55, 10
FIND, FOLLOW = 14_000, 0.4  # atoms, and the activations of those that are found
FINISH = 4  # hashing the stems, and waiting for the disk


def frames_drawn(settings: Settings, channels: int, n_fft: int) -> int:
    """Return how many frames templates are learned from at the most."""
    width = (1 if settings.channels == "mid" else channels) * (n_fft // 2 + 1)
    return max(FEWEST, min(FRAMES, ENTRIES // width))


def excerpt_samples(frames: int, hop_length: int) -> int:
    """Return of how many samples an excerpt may be where so many frames are drawn: of 24 s where memory is plenty."""
    return frames * hop_length // EXCERPT


class AllFrames:
    """All frames of a mixture in memory."""

    learned_from: tuple[int, int] | None = None
    on_rendered: Callable[[int], object] | None = None

    def __init__(self, audio: Audio, settings: Settings, guided: bool, callback: OnProgress | None) -> None:
        self._settings, self._guided, self._callback = settings, guided, callback
        self._length, self.on_progress = audio.length, callback
        self._parts = views(audio.samples, settings.channels)
        self._ready: Frames | None = None
        self._done, self._runs, self._moves = 0, 1, False

    def refit(self, settings: Settings, at: Callable[[float, float], object]) -> None:
        """Go on to fit templates, by other settings; `at` is called with the share that is done, and the loss."""
        self._settings, self._guided, self._ready = settings, True, None
        most = max(1, settings.max_iter)
        self._callback = None if self.on_progress is None else lambda step, loss: at(step / most, loss)

    def consecutive(self, stft: STFT) -> tuple[Frames, OnProgress | None]:
        """Return frames of which many follow each other, for atoms, and the callback of looking for these."""
        (samples,) = self._parts
        self._ready = all_frames(samples, stft, self._settings.threads)
        return self._ready, self._callback

    def covariances(self, stft: STFT) -> Covariances:
        """Return what gives the covariances of two channels at some of the consecutive frames."""
        samples = self._parts[0]

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
        """Return of how many samples an excerpt may be at the most; None, since all is in memory."""
        return None

    def numbers(self, stft: STFT) -> NDArray[np.intp]:
        """Return which frames of the mixture the consecutive ones are."""
        return np.arange(stft.n_frames(self._length))

    def begin(self, proposed: Sequence[Templates], moves: bool) -> int:
        """Prepare for fits of these templates, which may move; return how many fits these are."""
        self._runs, self._moves = len(self._parts) * len(proposed) * (1 + moves), moves
        return self._runs

    def parts(self, templates: Templates) -> Iterator[tuple[Frames, int, OnStep]]:
        """Yield what is factorized on its own, the rows of each frame, and the callbacks of the fit."""
        stft = templates.stft
        for samples in self._parts:
            frames = self._ready or all_frames(samples, stft, self._settings.threads)
            self._ready = None
            if self._guided:
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

    def components(self, found: Sequence[Fitted], stft: STFT) -> Components:
        """Return components with the activations of the fit."""
        factors: list[Factors] = []
        for fitted, samples in zip(found, self._parts, strict=True):
            W, scale, channels = fitted.W, fitted.frames.scale, len(samples)
            if self._guided:
                factors += [Factors(W, fitted.Z[:, channel::channels] * scale) for channel in range(channels)]
            else:
                Z = fitted.Z * scale
                factors += [Factors(part, Z) for part in np.split(W, channels)]
        return Components(factors, found[-1].groups)

    def of_atoms(self, found: Grouped, frames: Frames, stft: STFT) -> Components:
        """Return atoms with their activations."""
        Z = found.fit.factors.Z * frames.scale
        return Components([Factors(each.W, Z) for each in found.factors], found.groups)


class DrawnFrames:
    """A sample of the frames of a mixture on disk.

    At the most, `most` are drawn, by default as many as `frames_drawn` says; with `keep`, activations are kept as they
    are solved. The steps of the callback are shares of settings.max_iter that take equal times, the rendering the last.
    """

    learned_from: tuple[int, int] | None = None
    on_rendered: Callable[[int], object] | None = None

    def __init__(
        self,
        stream: Stream,
        settings: Settings,
        guided: bool,
        callback: OnProgress | None,
        most: int | None,
        keep: bool,
    ) -> None:
        self._stream, self._settings, self._guided = stream, settings, guided
        self._callback, self._most, self._keep = callback, most, keep
        self.on_progress, self._steps, self._refitted = callback, settings.max_iter, False
        self._threads, self._began, self._stage = Workers(settings.threads).threads, time.monotonic(), 0

    def refit(self, settings: Settings, at: Callable[[float, float], object]) -> None:
        """Go on to fit templates, by other settings; passes over the file tell how far the work is."""
        self._settings, self._guided, self._refitted = settings, True, True

    def consecutive(self, stft: STFT) -> tuple[Frames, OnProgress | None]:
        """Return evenly spaced excerpts, and the callback of looking for atoms in them."""
        stream, settings = self._stream, self._settings
        atoms = most_atoms(settings)
        reading = READ * stream.length * stream.channels
        finding = FIND * atoms * self._rows(stft) / self._threads
        lead = time.monotonic() - self._began
        stages = self._expect([reading, finding, self._rendering(stft, FOLLOW * atoms)], lead)
        while True:
            before = stream.length
            rows = excerpts(stream, stft, settings.channels, stages.share(0, before))
            if not stream.needs_another_pass() and stream.length == before:
                break  # else length or exponent were known only afterwards
        self.on_rendered = stages.share(2, stream.length)
        self.learned_from = len(rows), stft.n_frames(stream.length)
        found = some_frames(rows, rows.shape[1], 1.0)
        return found, lambda step, loss: stages.at(1, step / max(1, settings.max_iter), loss)

    def covariances(self, stft: STFT) -> Covariances:
        """Return what takes another pass over the file, for the covariances of two channels at some of these frames."""
        stream, mode = self._stream, self._settings.channels

        def covariances(chosen: NDArray[np.intp], merge: Callable[[Matrix], Matrix]) -> Matrix | None:
            if stream.channels != 2 or mode != "joint":
                return None
            rows = partial(covariances_of, merge=merge)
            return _by_entry(excerpts(stream, stft, mode, lambda position: None, rows)[chosen])

        return covariances

    def excerpt_samples(self, stft: STFT) -> int | None:
        """Return a share of what the frames that are drawn span, so that both fall as memory does."""
        return excerpt_samples(self._drawn(stft), stft.hop_length)

    def numbers(self, stft: STFT) -> NDArray[np.intp]:
        """Return which frames of the mixture the consecutive ones are."""
        return sampled(stft.n_frames(self._stream.length))

    def begin(self, proposed: Sequence[Templates], moves: bool) -> int:
        """Prepare for fits of these templates, which may move; return how many fits these are.

        There are two stages for each length of frames, the rendering, and what follows.
        """
        stream, settings = self._stream, self._settings
        costs, rendering = [], 0.0
        for templates in proposed:
            stft = templates.stft
            magnitudes = min(self._drawn(stft), stft.n_frames(stream.length)) * self._rows(stft)
            k, passes = settings.components, float(ITERATIONS)
            if self._guided:
                k, passes = templates.W.shape[1] + settings.free, guided_passes(magnitudes, settings)
            fit = LOAD + passes * (FIT + FIT_TEMPLATE * k) * magnitudes / self._threads
            costs += [self._drawing(stft, stream.length), fit]
            rendering += self._rendering(stft, UPDATE * k * steps_for(k))
        self._expect([*costs, rendering], time.monotonic() - self._began)
        self.learned_from = None
        apart = stream.channels if settings.channels == "independent" else 1
        return apart * len(proposed) * (1 + moves)

    def parts(self, templates: Templates) -> Iterator[tuple[Frames, int, OnStep]]:
        """Draw frames in one pass, and yield those of all channels, their mean, or each."""
        stream, settings, stages, stage = self._stream, self._settings, self._stages, self._stage
        stft, beta = templates.stft, as_divergence(settings.divergence).beta
        whole = self._drawing(stft, stream.length)

        def passed(position: int) -> None:
            stages.at(stage, self._drawing(stft, position) / whole if whole else 1.0)

        samples = draw(stream, stft, settings.channels, self._drawn(stft), str(settings.seed), passed)
        fitted = stages.iterations(stage + 1, settings.tol)
        self.learned_from = self.learned_from or (len(samples[0]), stft.n_frames(stream.length))
        self._stage += 2
        self.on_rendered = stages.share(self._stage, stream.length)
        while samples:
            rows = samples.pop(0)
            if self._guided:
                rows = rows.reshape(-1, stft.bins)
            known = templates.known_bins if self._guided else rows.shape[1]
            yield some_frames(rows, known, beta), 1, lambda phase: fitted

    def components(self, found: Sequence[Fitted], stft: STFT) -> Components:
        """Return components whose activations are solved block by block."""
        held = [
            HeldTemplates(np.ascontiguousarray(each.W.T), each.frames.scale, each.frames.floor, each.known_rows)
            for each in found
        ]
        return Components((), found[-1].groups, solver=self._solver(held, stft))

    def of_atoms(self, found: Grouped, frames: Frames, stft: STFT) -> Components:
        """Return atoms whose activations are solved block by block, on bands."""
        Wt = np.ascontiguousarray(found.fit.factors.W.T, np.float32)
        held = HeldTemplates(Wt, frames.scale, frames.floor, Wt.shape[1], bands_of(stft.bins), found.runs)
        self._stages.at(1, 1.0, found.fit.losses[-1])
        return Components((), found.groups, solver=self._solver([held], stft))

    def _solver(self, held: Sequence[HeldTemplates], stft: STFT) -> BlockSolver:
        stream, settings, k = self._stream, self._settings, len(held[0].Wt)
        measure, count = as_divergence(settings.divergence), stft.n_frames(stream.length)
        apart = stream.channels if self._guided and settings.channels == "joint" else 1
        # compiled loops know no penalties, and nothing of them is needed for coordinate descent or atoms
        plain = settings.sparsity or measure.beta == 2 or held[0].bands is not None
        kernels = Blocked() if plain else choose(held[0].known_rows, count * apart, k, measure, ONCE)
        kept = [np.empty((count, apart, k), np.float32) for _ in held] if self._keep else []
        problem = Problem(measure, sparsity=settings.sparsity)
        return BlockSolver(held, stream.channels, settings.channels, self._guided, problem, kernels, kept)

    def _drawn(self, stft: STFT) -> int:
        """Return how many frames are drawn at the most."""
        usual = frames_drawn(self._settings, self._stream.channels, stft.n_fft)
        if self._most and self._refitted:  # it was reckoned for other frames
            return min(self._most, usual)
        return self._most or usual

    def _rows(self, stft: STFT) -> int:
        """Return the magnitudes of a frame."""
        return stft.bins * (1 if self._settings.channels == "mid" else self._stream.channels)

    def _expect(self, costs: Sequence[float], lead: float = 0.0) -> Stages:
        """Begin with stages that take about so long, the last of them the rendering; the disk takes a while, too."""
        finish = FINISH * self._stream.length * self._stream.channels * self._settings.components
        self._stages, self._stage = Stages([*costs, finish], self._callback, self._steps, lead), 0
        return self._stages

    def _drawing(self, stft: STFT, samples: int) -> float:
        """Return what drawing from so many samples takes; chosen frames that are few are transformed one by one."""
        frames, drawn = max(1, samples // stft.hop_length), self._drawn(stft)
        dense = min(frames, SPARSE * drawn)
        alone = drawn * math.log(frames / dense)
        return READ * samples * self._stream.channels + (DRAW * dense + DRAW_ONE * alone) * self._rows(stft)

    def _rendering(self, stft: STFT, solving: float) -> float:
        """Return what rendering takes, of which so much is for the activations of each magnitude."""
        length, channels = self._stream.length, self._stream.channels
        frames = max(1, length // stft.hop_length)
        masking = frames * (TRANSFORM * stft.bins * channels + solving * self._rows(stft)) / self._threads
        return masking + WRITE * length * channels * self._settings.components


def _by_entry(rows: Matrix) -> Matrix:
    """Return covariances (frames, 4 * bands) entry by entry, (4, frames, bands)."""
    return np.ascontiguousarray(rows.reshape(len(rows), 4, -1).swapaxes(0, 1))


FrameSample = AllFrames | DrawnFrames
