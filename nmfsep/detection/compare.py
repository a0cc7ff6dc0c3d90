"""Comparison of events: how many of those that are found are true ones, and how many of the true ones are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..guidance.annotations import Region, parse
from ..guidance.cue import read_bytes
from ..guidance.label_cue import LARGEST


@dataclass(frozen=True, slots=True)
class Score:
    """How many events are true, how many are found, and how many of these are one and the same.

    `precision`, `recall` and `f1` are None where there is nothing that they could be a share of.
    """

    true: int = 0
    found: int = 0
    hits: int = 0

    @property
    def precision(self) -> float | None:
        """The share of what is found that is true."""
        return self.hits / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """The share of what is true that is found."""
        return self.hits / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both."""
        return 2 * self.hits / (self.true + self.found) if self.true + self.found else None

    def __add__(self, other: Score) -> Score:
        """Return the score of all events of two."""
        return Score(self.true + other.true, self.found + other.found, self.hits + other.hits)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        names = ("true", "found", "hits", "precision", "recall", "f1")
        return {name: getattr(self, name) for name in names}


def compare_events(
    truth: str | Sequence[Region], found: str | Sequence[Region], tolerance: float = 0.2
) -> dict[str, Score]:
    """Compare events that were found with the true ones, label by label.

    Two are the same if they begin within the tolerance of each other and end within it, or within half the length of
    the true one if that is longer. Each counts once, so that as many as possible are the same.

    Parameters
    ----------
    truth, found : str or sequence of Region
        Tables of one recording in any form that `nmfsep detect` writes or `learn --labels` reads, or their events.
    tolerance : float, default 0.2
        Seconds.

    Returns
    -------
    dict of str to Score
        By label, sorted.

    Raises
    ------
    UsageError
        A table cannot be read, or is about several recordings.

    Notes
    -----
    These are the event-based figures of Mesaros, Heittola and Virtanen, "Metrics for Polyphonic Sound Event Detection",
    Applied Sciences 6(6), 2016.
    """
    true, here = (_events(each) for each in (truth, found))
    scores = {}
    for label in sorted({region.name for region in (*true, *here)}):
        one, other = (np.array([(r.begin, r.end) for r in all_ if r.name == label]) for all_ in (true, here))
        scores[label] = Score(len(one), len(other), _hits(one, other, tolerance) if len(one) and len(other) else 0)
    return scores


def _events(events: str | Sequence[Region]) -> Sequence[Region]:
    if not isinstance(events, str):
        return events
    return parse(read_bytes(events, LARGEST, "table of events", "table of events"), events, may_be_empty=True)


def _hits(true: np.ndarray[Any, Any], found: np.ndarray[Any, Any], tolerance: float) -> int:
    """Return how many pairs of events are the same, at the most."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    begins, ends = np.moveaxis(np.abs(true[:, None] - found), 2, 0)
    late = np.maximum(tolerance, (true[:, 1] - true[:, 0]) / 2)[:, None]
    same = csr_matrix((begins <= tolerance) & (ends <= late))
    return int((maximum_bipartite_matching(same) >= 0).sum())
