"""Excerpt cue, --learn NAME=T1-T2: where in the mixture a sound is alone, so that it can be learned from there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, UsageError
from ..settings.commands import LearnSettings
from ..signal.stft import STFT
from .cue import Context, Cue, Proposed
from .dictionary import check_label
from .learn import Sound, learn

TIME = r"(?:[0-9]{1,9}:){0,2}(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})"
TEMPLATES = 100  # of a label at the most
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Excerpts(Cue):
    """Where sounds are alone: for each label the excerpts, begin and end in seconds of the file.

    Raises
    ------
    UsageError
        A name cannot be that of a stem, or an excerpt ends before it begins.
    """

    kind: ClassVar[str] = "learn"
    templates: ClassVar[int] = TEMPLATES
    spans: Mapping[str, Sequence[Span]]

    def __post_init__(self) -> None:
        for label, spans in self.spans.items():
            check_label(label)
            if not spans:
                raise UsageError(f"--learn {label} names no stretch", "give such as noise=0:00-0:01.5")
            for begin, end in spans:
                if not 0 <= begin < end < float("inf"):
                    hint = "give the earlier time first"
                    raise UsageError(f"--learn {label}: {begin:g} s to {end:g} s is no stretch of time", hint)

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Excerpts:
        """Understand texts NAME=T1-T2,T1-T2."""
        spans: dict[str, list[Span]] = {}
        for text in texts:
            label, equals, times = text.rpartition("=")
            if not equals or not label or not times:
                raise UsageError(f"--learn {text[:80]!r} is not NAME=T1-T2", "give such as noise=0:00-0:01.5")
            if label in spans:
                message = f"--learn names {label[:40]!r} twice"
                raise UsageError(message, "give all its stretches at once, with commas")
            spans[label] = [_span(label, excerpt) for excerpt in times.split(",")]
        return cls(spans)

    @classmethod
    def of(cls, value: Any, given: Mapping[str, Any]) -> Excerpts:
        """Return the cue of excerpts in seconds, for each label."""
        return cls(value)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those that are learned."""
        return tuple(self.spans)

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Refuse excerpts that are not in the sound that is separated."""
        for label, spans in self.spans.items():
            for first, last in spans:
                if first < begin or (end is not None and last > end + 1 / sample_rate):
                    what = f"what is separated goes from {begin:g} s to " + ("its end" if end is None else f"{end:g} s")
                    raise UsageError(f"--learn {label}: there is no {first:g} s to {last:g} s; {what}")
        return ()

    def propose(self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]) -> Proposed:
        """Learn the templates."""
        settings, rate = context.settings, context.audio.sample_rate
        sounds = {}
        for label in labels:
            sounds[label] = list[Sound]()
            for first, last in self.spans[label]:
                start, stop = (round((time - context.begin) * rate) for time in (first, last))
                excerpt = context.samples[:, start:stop]
                if not excerpt.any():
                    message = f"--learn {label}: {first:g} s to {last:g} s is silent, so nothing can be learned there"
                    raise InputError(message, "name a stretch in which it sounds")
                sounds[label].append(Sound(f"{len(sounds[label]):06}", partial(np.asarray, excerpt)))
        learning = LearnSettings(
            components=str(TEMPLATES), divergence=settings.divergence, seed=settings.seed, threads=settings.threads,
            max_iter=settings.at_most(LearnSettings().max_iter),
        )  # fmt: skip
        return list(learn(sounds, rate, learning, stfts=stfts).views), []

    def about(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return the excerpts in seconds."""
        return [
            {"kind": self.kind, "labels": [label], "stretches": [list(span) for span in spans], "n_fft": list(frames)}
            for label, spans in self.spans.items()
        ]


def _span(label: str, text: str) -> Span:
    match = re.fullmatch(f"({TIME})-({TIME})", text.strip(), re.ASCII)
    if match is None:
        hint = "give seconds, m:s or h:m:s, such as 0:00-0:01.5"
        raise UsageError(f"--learn {label[:40]}: {text[:40]!r} is not two times with a hyphen between", hint)
    return _seconds(label, match[1]), _seconds(label, match[2])


def _seconds(label: str, text: str) -> float:
    *large, small = text.split(":")
    seconds = float(small)
    if large and seconds >= 60:
        raise UsageError(f"--learn {label[:40]}: {text!r} is not a time", "a minute has 60 seconds")
    for power, part in enumerate(reversed(large), 1):
        seconds += int(part) * 60.0**power
    return seconds
