"""Scores of signals in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmfsep.analysis.scores import Figures, Judge, correlate

Signals = Sequence[NDArray[np.float64]] | NDArray[np.float64]


def compare(references: Signals, signals: Signals, filter_length: int = 512) -> Figures:
    """Judge signals by references, of shape (count, channels, samples) or (count, samples)."""
    stacked = np.concatenate([np.asarray(references, np.float64), np.asarray(signals, np.float64)])
    if stacked.ndim == 2:
        stacked = stacked[:, None]
    count = len(references)
    correlations = correlate([stacked], count, filter_length)
    return Judge(correlations.of(slice(count))).figures(correlations.of(slice(count, None)))
