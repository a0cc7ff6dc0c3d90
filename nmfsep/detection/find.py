"""Events: where in a recording each sound of a dictionary is heard, for recordings of any length.

A sound is there in a frame where its share of the energy is above what it needs to stand out from others, a threshold
that was found when its dictionary was learned, and where it is not far below its own loud frames. Two passes over a
recording are made: one draws the frames that say how loud the sound is, and what else there is; the other looks at all,
so many at a time. Strokes, as of drums, begin a new event each time they are struck.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..guidance.dictionary import Dictionary
from ..guidance.templates import Templates
from ..kernels.product import Matrix
from ..kernels.threads import Workers
from ..nmf.blockwise import Sample
from ..separation.mixture import Mixture, segments
from ..settings.commands import DetectSettings
from ..signal.stft import STFT
from .levels import frames_for, shares, with_free

DRAWN = 1000  # frames that are looked at first
LEAST_SHARE = -15.0  # dB of the mixture from which a sound counts where its dictionary does not say
UNKNOWN_SHARE, FREE = -6.5, 20  # with one sound, of which nothing says what else is heard
SHORTEST, GAP = 0.05, 0.1  # seconds of an event, and of a gap in it, but for strokes
FAINT, LOUD = -30.0, 95  # dB below the sound's own loud frames, a percentile, in which it is no more heard
SILENT = 1e-10  # mean square, below which nothing is heard
SURE = 3.0  # dB above the threshold that an event must reach somewhere; it lasts as long as it is above the threshold
RISE, REACH, APART = 10.0, 0.03, 0.06  # dB, seconds in which a stroke rises, and between strokes
EDGES = 0.05, 0.95  # of an event's energy, between which its frequencies are
Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of a recording in which a sound is heard.

    `begin` and `end` are in seconds, `low` and `high` in hertz: nine tenths of its energy are between them. `score` is
    from 0 to 1, 0.5 where it is just known from others; `level` is that of its part of the sound, in dB of full scale.
    """

    label: str
    begin: float
    end: float
    low: float
    high: float
    score: float
    level: float

    def document(self) -> dict[str, Any]:
        """Return it as JSON, rounded."""
        digits = {"begin": 4, "end": 4, "low": 1, "high": 1, "score": 3, "level": 1}
        return {name: round(value, digits[name]) if name in digits else value for name, value in asdict(self).items()}


@dataclass(slots=True)
class _Run:
    """An event while it grows: frames begin to end, the best score, the energy in each bin, if it is a new stroke."""

    begin: int
    end: int
    score: float
    power: Curve
    struck: bool

    def joined(self, other: _Run) -> _Run:
        """Return one event of two."""
        score = max(self.score, other.score)
        return _Run(self.begin, other.end, score, self.power + other.power, self.struck)


def detect(
    sound: Mixture, dictionaries: Dictionary | Sequence[Dictionary], settings: DetectSettings | None = None
) -> list[Event]:
    """Find the sounds of a dictionary in a recording.

    Parameters
    ----------
    sound : Audio or Stream
        Any length, rate and number of channels, of which the mean magnitudes count.
    dictionaries : Dictionary or sequence of Dictionary
        What to look for. A label called ``background`` takes what is none of the others, and is not reported.
    settings : DetectSettings, optional

    Returns
    -------
    list of Event
        By the time they begin.

    Raises
    ------
    InputError
        The recording cannot be read.
    UsageError
        The templates cannot be converted to its rate.
    """
    settings = settings or DetectSettings()
    chosen = [dictionaries] if isinstance(dictionaries, Dictionary) else list(dictionaries)
    finder = _Finder(sound, chosen, settings)
    with Workers(settings.threads) as workers:
        finder.prepare(workers)
        runs: dict[int, list[_Run]] = {label: [] for label in finder.reported}
        for label, run in finder.runs(workers):
            finder.add(label, runs[label], run)
    sure = [(label, run) for label, own in runs.items() for run in own if run.score >= settings.threshold]
    found = [finder.event(label, run) for label, run in sure]
    return sorted((event for event in found if event is not None), key=lambda event: (event.begin, event.label))


BACKGROUND = "background"


class _Finder:
    """Finds events in one recording."""

    def __init__(self, sound: Mixture, dictionaries: Sequence[Dictionary], settings: DetectSettings) -> None:
        self._sound, self._settings = sound, settings
        self.labels = tuple(label for each in dictionaries for label in each.labels)
        self.reported = [index for index, label in enumerate(self.labels) if label != BACKGROUND]
        self._templates: Templates = frames_for(dictionaries, sound.sample_rate)
        self.stft: STFT = self._templates.stft
        known = [about for each in dictionaries for about in each.traits or ({},) * len(each.labels)]
        self._least = np.array([about.get("threshold", LEAST_SHARE) for about in known])
        self._strokes = [bool(about.get("struck", False)) for about in known]
        self._margins = [(float(about.get("before", 0)), float(about.get("after", 0))) for about in known]
        self._loud = np.zeros(len(self.labels))
        odds = settings.threshold / (1 - settings.threshold) / 10 ** (SURE / 10)
        self._lasting = odds / (1 + odds)
        self._spacing = max(1, round(APART * sound.sample_rate / self.stft.hop_length))

    def prepare(self, workers: Workers) -> None:
        """Draw frames: learn what no label knows, and how loud each label is where it is heard."""
        while True:
            sample, key = Sample(self.stft.bins, DRAWN), "detect"
            for start, X in self._frames():
                sample.add(key, start, X)
            if not self._sound.needs_another_pass():
                break
        X = sample.frames()
        X = X[X.any(axis=1)]
        free = self._settings.free
        if free is None:
            free = FREE if len(self.labels) == 1 else 0
        if not len(X):
            return
        if free:
            self._templates = with_free(self._templates, X, free, self._settings.seed)
        found = shares(X, self._templates, len(self.labels), workers)
        share = _decibels(found.energies / np.maximum(found.mixture, SILENT))
        if len(self.labels) == 1 and self._settings.free != 0:
            self._least[:] = np.maximum(self._least, UNKNOWN_SHARE)
        for label, energies in enumerate(found.energies):
            heard = energies[share[label] > self._least[label]]
            self._loud[label] = np.percentile(heard, LOUD) if len(heard) else 0.0

    def _frames(self) -> Iterator[tuple[int, Matrix]]:
        """Yield the number of the first of some frames, and their magnitudes, (frames, bins)."""
        for start, segment in segments(self._sound.pieces(), self.stft):
            X = np.abs(self.stft.transform(segment))
            yield start, X[0] if len(X) == 1 else X.mean(axis=0)

    def runs(self, workers: Workers) -> Iterator[tuple[int, _Run]]:
        """Yield label and frames of all that is heard without a break, in pieces where blocks end."""
        before: Curve = np.zeros((len(self.labels), 0))
        reach = max(1, round(REACH * self._sound.sample_rate / self.stft.hop_length))
        for start, X in self._frames():
            found = shares(X, self._templates, len(self.labels), workers)
            levels = _decibels(np.concatenate([before, found.energies], axis=1))
            for label in self.reported:
                energies = found.energies[label]
                scores = self._scores(label, energies, found.mixture)
                heard = scores >= self._lasting
                edges = np.diff(heard.astype(np.int8), prepend=np.int8(0))
                starts = np.flatnonzero(edges == 1)
                struck = np.zeros(len(heard), bool)
                if self._strokes[label]:
                    struck = self._struck(levels[label], len(heard), reach) & heard
                    starts = self._apart(starts, np.flatnonzero(struck))
                for begin, after in itertools.pairwise([*starts.tolist(), len(heard)]):
                    end = begin + int(np.argmin(np.append(heard[begin:after], False)))
                    power = found.power[label, begin:end].sum(axis=0, dtype=np.float64)
                    best = float(scores[begin:end].max())
                    new = bool(struck[begin]) and best >= self._settings.threshold
                    yield label, _Run(start + begin, start + end, best, power, new)
            before = np.concatenate([before, found.energies], axis=1)[:, -2 * reach :]

    def _scores(self, label: int, energies: Curve, mixture: Curve) -> Curve:
        """Return how sure it is that a label is heard in each frame, 0.5 where it just is."""
        need = mixture * 10 ** (self._least[label] / 10)
        faint = self._loud[label] * 10 ** (FAINT / 10)
        scores: Curve = energies / (energies + 10 ** (SURE / 10) * np.maximum(np.maximum(need, faint), SILENT))
        return scores

    def _struck(self, levels: Curve, count: int, reach: int) -> NDArray[np.bool_]:
        """Return in which of the last `count` frames a stroke begins: where the level has risen most, and enough."""
        padded = np.concatenate([np.full(max(0, reach + count - len(levels)), -100.0), levels])[-(count + reach) :]
        rise = padded[reach:] - padded[:-reach]
        apart = max(1, self._spacing // 2)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(rise, apart, constant_values=-1e9), 2 * apart + 1)
        struck: NDArray[np.bool_] = (rise >= RISE) & (rise == around.max(axis=1))
        return struck

    def _apart(self, starts: NDArray[np.intp], strokes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return starts and those strokes that do not follow another of both at once."""
        kept = set(starts.tolist())
        for stroke in strokes.tolist():
            if not any(before in kept for before in range(stroke - self._spacing, stroke)):
                kept.add(stroke)
        return np.array(sorted(kept), np.intp)

    def _seconds(self, given: float | None, label: int, usual: float) -> float:
        """Return what the user gave, else what is usual but for strokes."""
        return given if given is not None else 0.0 if self._strokes[label] else usual

    def add(self, label: int, runs: list[_Run], run: _Run) -> None:
        """Add what was heard to the event before it if they touch or lie close, and no stroke parts them."""
        gap = self._seconds(self._settings.merge, label, GAP) * self._sound.sample_rate / self.stft.hop_length
        if runs and not run.struck and run.begin - runs[-1].end <= gap:
            runs[-1] = runs[-1].joined(run)
        else:
            runs.append(replace(run))

    def event(self, label: int, run: _Run) -> Event | None:
        """Return the event of some frames, None if it is too short."""
        hop = self.stft.hop_length / self._sound.sample_rate
        if (run.end - run.begin) * hop < self._seconds(self._settings.min_duration, label, SHORTEST):
            return None
        frequencies = self.stft.frequencies(self._sound.sample_rate)
        below = np.cumsum(run.power) / max(float(run.power.sum()), 1e-30)
        low, high = (float(frequencies[np.searchsorted(below, edge)]) for edge in EDGES)
        energy = float(run.power.sum()) / (run.end - run.begin)
        level = float(_decibels(np.array(energy))) + 20 * np.log10(2) * self._sound.exponent
        before, after = self._margins[label]
        begin = max(0.0, (run.begin - 0.5) * hop - before)
        end = min(self._sound.duration, (run.end - 0.5) * hop + after)
        return Event(self.labels[label], begin, end, low, high, run.score, float(level))


def _decibels(energy: Curve) -> Curve:
    decibels: Curve = 10 * np.log10(np.maximum(energy, 1e-30))
    return decibels
