"""How far a work of several stages is, such that what is left can be told in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

Told = Callable[[float, float], object]

TRUSTED = 0.05  # share of a stage after which its own pace is believed rather than what was expected
ITERATIONS = 60  # of a fit, until it converges
# Nanoseconds, measured; only their ratios matter.
READ, DRAW, FIT, FIT_TEMPLATE = 12, 20, 1.5, 0.14
TRANSFORM, UPDATE, WRITE = 27, 0.55, 10


class Stages:
    """Tells a callback how far the work is, in steps of equal time.

    What a stage will take is judged by its own pace, what the stages after it will by what all before them took.

    Parameters
    ----------
    costs : sequence of float
        What each stage is expected to take, in any unit.
    told : callable, optional
        Called as told(step, loss); may return something true to stop a fit.
    steps : int
        In all.
    """

    def __init__(self, costs: Sequence[float], told: Told | None, steps: int) -> None:
        self._costs, self._told, self._steps = costs, told, steps
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
            self._fraction = max(self._fraction, elapsed / (elapsed + left))
        return self._told(self._fraction * self._steps, loss)

    def share(self, stage: int, length: int) -> Callable[[int], object]:
        """Return what tells that so many of `length` samples have passed."""
        return lambda position: self.at(stage, position / max(1, length))

    def iterations(self, stage: int) -> Callable[[int, float], object]:
        """Return what tells that so many iterations of a fit were done."""
        expected = max(1, min(ITERATIONS, self._steps))
        return lambda iteration, loss: self.at(stage, min(0.99, iteration / expected), loss)


def drawing(length: int, rows: int, hop: int, channels: int, drawn: int) -> float:
    """Return what drawing from so many samples takes; fewer and fewer frames are chosen, and then replaced."""
    frames = max(1, length // hop)
    chosen = frames if frames <= drawn else drawn * (1 + math.log(frames / drawn))
    return READ * length * channels + DRAW * chosen * rows


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
    fit = ITERATIONS * (FIT + FIT_TEMPLATE * templates) * min(frames, drawn) * rows / threads
    render = frames * (TRANSFORM * bins * channels + UPDATE * templates * steps * rows) / threads
    return draw, fit, render + WRITE * length * channels * stems
