"""How far a work of several stages is, such that what is left can be told in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from .separation.mixture import SPARSE

Told = Callable[[float, float], object]

TRUSTED = 0.05  # share of a stage after which its own pace is believed rather than what was expected
ITERATIONS = 60  # of a fit until it converges, where its loss does not tell of more
START = 7  # times the first loss that is told: about the loss at the start
# Nanoseconds, measured; only their ratios matter.
READ, DRAW, DRAW_ONE, FIT, FIT_TEMPLATE = 12, 8, 90, 1.5, 0.14
LOAD = 0.8e9  # compiled loops
TRANSFORM, UPDATE, WRITE = 27, 0.55, 10
FIND, FOLLOW = 14_000, 0.4  # atoms, and the activations of those that are found
FINISH = 4  # hashing the stems, and waiting for the disk


class Stages:
    """Tells a callback how far the work is, in steps of equal time.

    What a stage will take is judged by its own pace, what the stages after it will by what all before them took.

    Parameters
    ----------
    costs : sequence of float
        What each stage is expected to take, in any unit; those at the end may come after the last that is told of.
    told : callable, optional
        Called as told(step, loss); may return something true to stop a fit.
    steps : int
        In all.
    lead : float, default 0
        Seconds that have gone by before, with other work.
    """

    def __init__(self, costs: Sequence[float], told: Told | None, steps: int, lead: float = 0.0) -> None:
        self._costs, self._told, self._steps, self._lead = costs, told, steps, lead
        self._began = self._entered = self._last = time.monotonic()
        self._stage, self._fraction = 0, 0.0

    def at(self, stage: int, share: float, loss: float = 0.0) -> object:
        """Tell that a stage is done by a share from 0 to 1."""
        if self._told is None:
            return None
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._entered = stage, self._last  # when the stage before was last heard of
        self._last = now
        elapsed, own, share = now - self._began, self._costs[stage], min(1.0, share)
        done = sum(self._costs[:stage]) + share * own
        if done > 0 and elapsed > 0:
            pace = elapsed / done
            rest = (now - self._entered) * (1 - share) / share if share > TRUSTED else pace * own * (1 - share)
            left = rest + pace * sum(self._costs[stage + 1 :])
            gone = self._lead + elapsed
            self._fraction = max(self._fraction, gone / (gone + left))
        return self._told(self._fraction * self._steps, loss)

    def share(self, stage: int, length: int) -> Callable[[int], object]:
        """Return what tells that so many of `length` samples have passed."""
        return lambda position: self.at(stage, position / max(1, length))

    def iterations(self, stage: int, tol: float) -> Callable[[int, float], object]:
        """Return what tells that so many iterations of a fit were done, and its loss; `tol` is the fit's."""
        losses: list[tuple[int, float]] = []

        def told(iteration: int, loss: float) -> object:
            if losses and iteration <= losses[-1][0]:  # another fit
                losses.clear()
            losses.append((iteration, loss))
            return self.at(stage, min(0.99, iteration / converging(losses, tol, self._steps)), loss)

        return told


def converging(losses: Sequence[tuple[int, float]], tol: float, most: int) -> float:
    """Return after how many iterations a fit will have converged, if what it gains goes on to shrink as it does.

    Parameters
    ----------
    losses : sequence of (int, float)
        Iterations, and the loss after them.
    tol : float
        Of the fit: the gain of ten iterations with which it is content, as a share of the loss at its start.
    most : int
        Iterations that the fit does at the most.
    """
    if len(losses) < 3 or tol <= 0:
        return float(max(1, min(ITERATIONS if tol > 0 else most, most)))
    (a, x), (b, y), (c, z) = losses[-3:]
    before, last, enough = (x - y) / (b - a), (y - z) / (c - b), tol * START * losses[0][1] / 10
    if last <= enough:
        return float(c)
    if last >= before:
        return float(min(most, max(ITERATIONS, 2 * c)))
    return min(most, max(ITERATIONS, c + (c - b) * math.log(enough / last) / math.log(last / before)))


def drawing(length: int, rows: int, hop: int, channels: int, drawn: int) -> float:
    """Return what drawing from so many samples takes; where few frames are chosen, they are transformed one by one."""
    frames = max(1, length // hop)
    dense = min(frames, SPARSE * drawn)
    alone = drawn * math.log(frames / dense)
    return READ * length * channels + (DRAW * dense + DRAW_ONE * alone) * rows


def expected(
    length: int, rows: int, bins: int, hop: int, channels: int, templates: int, steps: int, stems: int, drawn: int,
    threads: int,
) -> tuple[float, float, float]:  # fmt: skip
    """Return about what drawing frames, the fit to them and the rendering take, in any unit.

    Parameters
    ----------
    length : int
        Samples.
    rows, bins, hop, channels : int
        Of a frame of X; of its transform, samples between frames, and channels that are transformed.
    templates, steps, stems, drawn, threads : int
        Templates, updates of activations, stems, frames learned from, threads.
    """
    frames = max(1, length // hop)
    draw = drawing(length, rows, hop, channels, drawn)
    fit = LOAD + ITERATIONS * (FIT + FIT_TEMPLATE * templates) * min(frames, drawn) * rows / threads
    render = frames * (TRANSFORM * bins * channels + UPDATE * templates * steps * rows) / threads
    return draw, fit, render + WRITE * length * channels * stems


def grouping(
    length: int, rows: int, bins: int, hop: int, channels: int, templates: int, stems: int, threads: int
) -> tuple[float, float, float]:
    """Return about what a pass over the sound, finding that many atoms in it and the rendering take, in the same unit.

    Parameters are those of `expected`.
    """
    frames = max(1, length // hop)
    render = frames * (TRANSFORM * bins * channels + FOLLOW * templates * rows) / threads
    return READ * length * channels, FIND * templates * rows / threads, render + WRITE * length * channels * stems


def finishing(length: int, channels: int, stems: int) -> float:
    """Return about what comes after the rendering takes, in the same unit."""
    return FINISH * length * channels * stems
