"""Costs of the stages of separating a mixture on disk, relative to each other, for the time left."""

from __future__ import annotations

import math

from ..progress import ITERATIONS
from .mixture import SPARSE

# Nanoseconds, measured; only their ratios matter.
READ, DRAW, DRAW_ONE, FIT, FIT_TEMPLATE = 12, 8, 90, 1.5, 0.14
LOAD = 0.8e9  # compiled loops
TRANSFORM, UPDATE, WRITE = 27, 0.55, 10
FIND, FOLLOW = 14_000, 0.4  # atoms, and the activations of those that are found
FINISH = 4  # hashing the stems, and waiting for the disk


def cost_of_drawing(length: int, rows: int, hop: int, channels: int, drawn: int) -> float:
    """Return what drawing from so many samples takes; where few frames are chosen, they are transformed one by one."""
    frames = max(1, length // hop)
    dense = min(frames, SPARSE * drawn)
    alone = drawn * math.log(frames / dense)
    return READ * length * channels + (DRAW * dense + DRAW_ONE * alone) * rows


def costs_of_fit(
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
    draw = cost_of_drawing(length, rows, hop, channels, drawn)
    fit = LOAD + ITERATIONS * (FIT + FIT_TEMPLATE * templates) * min(frames, drawn) * rows / threads
    render = frames * (TRANSFORM * bins * channels + UPDATE * templates * steps * rows) / threads
    return draw, fit, render + WRITE * length * channels * stems


def costs_of_grouping(
    length: int, rows: int, bins: int, hop: int, channels: int, templates: int, stems: int, threads: int
) -> tuple[float, float, float]:
    """Return about what a pass over the sound, finding that many atoms in it and the rendering take, in the same unit.

    Parameters are those of `costs_of_fit`.
    """
    frames = max(1, length // hop)
    render = frames * (TRANSFORM * bins * channels + FOLLOW * templates * rows) / threads
    return READ * length * channels, FIND * templates * rows / threads, render + WRITE * length * channels * stems


def cost_of_finishing(length: int, channels: int, stems: int) -> float:
    """Return about what comes after the rendering takes, in the same unit."""
    return FINISH * length * channels * stems
