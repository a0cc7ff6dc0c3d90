"""Progress of a work of several stages, in steps of equal time, so that the time left can be shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

OnProgress = Callable[[float, float], object]

TRUSTED = 0.05  # share of a stage after which its own pace is believed rather than what was expected
ITERATIONS = 60  # of a fit until it converges, where its loss does not show that it takes more
START = 7  # times the first loss that is reported: about the loss at the start


class Stages:
    """Reports progress to a callback, in steps of equal time.

    What a stage will take is judged by its own pace, what the stages after it will by what all before them took.

    Parameters
    ----------
    costs : sequence of float
        What each stage is expected to take, in any unit; those at the end may come after the last that is reported.
    on_progress : callable, optional
        Called as on_progress(step, loss); may return something true to stop a fit.
    steps : int
        In all.
    lead : float, default 0
        Seconds that have gone by before, with other work.
    """

    def __init__(self, costs: Sequence[float], on_progress: OnProgress | None, steps: int, lead: float = 0.0) -> None:
        self._costs, self._on_progress, self._steps, self._lead = costs, on_progress, steps, lead
        self._began = self._entered = self._last = time.monotonic()
        self._stage, self._fraction = 0, 0.0

    def at(self, stage: int, share: float, loss: float = 0.0) -> object:
        """Report that a stage is done by a share from 0 to 1."""
        if self._on_progress is None:
            return None
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._entered = stage, self._last  # when the stage before last reported
        self._last = now
        elapsed, own, share = now - self._began, self._costs[stage], min(1.0, share)
        done = sum(self._costs[:stage]) + share * own
        if done > 0 and elapsed > 0:
            pace = elapsed / done
            rest = (now - self._entered) * (1 - share) / share if share > TRUSTED else pace * own * (1 - share)
            left = rest + pace * sum(self._costs[stage + 1 :])
            gone = self._lead + elapsed
            self._fraction = max(self._fraction, gone / (gone + left))
        return self._on_progress(self._fraction * self._steps, loss)

    def share(self, stage: int, length: int) -> Callable[[int], object]:
        """Return a function that reports how many of `length` samples have passed."""
        return lambda position: self.at(stage, position / max(1, length))

    def iterations(self, stage: int, tol: float) -> OnProgress:
        """Return a callback of a fit that reports its iterations and its loss; `tol` is the fit's."""
        losses: list[tuple[float, float]] = []

        def report(iteration: float, loss: float) -> object:
            if losses and iteration <= losses[-1][0]:  # another fit
                losses.clear()
            losses.append((iteration, loss))
            return self.at(stage, min(0.99, iteration / converging(losses, tol, self._steps)), loss)

        return report


def rising(on_progress: OnProgress | None) -> OnProgress | None:
    """Return what tells a callback of steps of several works one after the other, and never of one back."""
    if on_progress is None:
        return None
    last = 0.0

    def report(step: float, loss: float) -> object:
        nonlocal last
        last = max(last, step)
        return on_progress(last, loss)

    return report


def part_of(on_progress: OnProgress | None, number: int, parts: int, steps: int) -> OnProgress | None:
    """Return what tells a callback the steps of one of several equal parts of a work of so many steps."""
    if on_progress is None or parts == 1:
        return on_progress
    return lambda step, loss: on_progress((number * steps + step) / parts, loss)


def converging(losses: Sequence[tuple[float, float]], tol: float, most: int) -> float:
    """Return after how many iterations, `most` at the most, a fit will have converged, if its gains go on to shrink.

    `losses` are iterations and the loss after them; `tol` is the gain of ten iterations with which the fit is content,
    as a share of the loss at its start.
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
