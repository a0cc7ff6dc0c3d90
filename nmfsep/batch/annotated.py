"""Annotated recordings: stretches of files that hold a label, by name or by label tracks and tables."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UsageError
from ..guidance.annotations import TRACK, Region, parse, table_of
from ..guidance.cue import read_bytes
from ..guidance.label_cue import LARGEST
from ..jobs.inputs import gather
from ..signal.audio import Audio
from ..signal.read import read
from ..system import exists

BACKGROUND = "background"
ALONE = 0.1  # seconds that a label must be heard alone, to be learned from these only
SHORTEST = 0.01  # seconds of a stretch
RECORDINGS, MARKED = 4, 600.0  # recordings and their seconds that marks are compared with what is found in
TIME = r"(?:[0-9]+:)*[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A file, or a stretch of it in seconds, and the range in hertz in which its sound is."""

    path: str
    begin: float = 0.0
    end: float | None = None
    low: float = 0.0
    high: float = math.inf

    @classmethod
    def of(cls, text: str) -> Excerpt:
        """Return the file of a name, or the stretch of FILE@T1-T2; a file of that whole name comes first."""
        match = re.fullmatch(rf"(.+)@({TIME})-({TIME})", text, re.DOTALL)
        if match is None or exists(text, follow=False):
            return cls(text)
        begin, end = (_seconds(time) for time in match.groups()[1:])
        if end <= begin:
            raise UsageError(f"{match[2]}-{match[3]} is no stretch", "put the earlier time first", match[1])
        return cls(match[1], begin, end)

    def absolute(self) -> Excerpt:
        """Return the same under a name that does not depend on the working folder."""
        return replace(self, path=os.path.abspath(self.path))

    def limited(self, audio: Audio) -> Audio:
        """Return a sound without what is outside the range, but for edges a twentieth of an octave wide."""
        if self.low <= 0 and self.high == math.inf:
            return audio
        frequencies = np.maximum(np.fft.rfftfreq(audio.length, 1 / audio.sample_rate), 1e-3)
        inside = np.ones(len(frequencies))
        if self.low > 0:
            inside *= np.clip(1 + 20 * np.log2(frequencies / self.low), 0, 1)
        if self.high < math.inf:
            inside *= np.clip(1 - 20 * np.log2(frequencies / self.high), 0, 1)
        limited = np.fft.irfft(np.fft.rfft(audio.samples) * inside, audio.length)
        return Audio(limited.astype(np.float32), audio.sample_rate, audio.exponent)


def _seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def annotated(paths: Sequence[str], labels_from: str) -> dict[str, list[Excerpt]]:
    """Return the stretches of recordings that each label is marked in.

    Where other labels are marked at the same time, only what is alone counts, if that is long enough. What no label
    marks, from the beginning to the last mark, is the label ``background``.

    Parameters
    ----------
    paths : sequence of str
        Recordings, or folders of them.
    labels_from : str
        The label track or table; ``{track}`` stands for the path of a recording without its extension.

    Raises
    ------
    UsageError
        A table cannot be read, or is one for several recordings.
    """
    found: dict[str, list[Excerpt]] = {}
    for path, regions in _tables(paths, labels_from):
        for label in dict.fromkeys(region.name for region in regions):
            found.setdefault(label, []).extend(_stretches(path, label, regions))
        quiet = _without(0.0, max(region.end for region in regions), regions)
        if BACKGROUND not in {region.name for region in regions} and quiet:
            found.setdefault(BACKGROUND, []).extend(Excerpt(path, *span) for span in quiet)
    if BACKGROUND in found:  # the last, as it is the least interesting
        found[BACKGROUND] = found.pop(BACKGROUND)
    return found


def marked(paths: Sequence[str], labels_from: str) -> Iterator[tuple[Audio, list[Region]]]:
    """Yield the sound and the marks of some recordings, of each up to MARKED seconds."""
    for path, regions in list(_tables(paths, labels_from))[:RECORDINGS]:
        early = [region for region in regions if region.end <= MARKED]
        if early:
            yield read(path, 0.0, max(region.end for region in early) + 1), early


def _tables(paths: Sequence[str], labels_from: str) -> Iterator[tuple[str, list[Region]]]:
    """Yield recordings with what is marked in them."""
    inputs, _ = gather(paths, recursive=True)
    for entry in inputs:
        if entry.refused is not None:
            raise entry.refused
    if len(inputs) > 1 and TRACK not in labels_from:
        raise UsageError(f"--labels {labels_from} is one table for {len(inputs)} recordings", "use '{track}.txt'")
    for entry in inputs:
        name = table_of(entry.path, labels_from)
        yield entry.path, parse(read_bytes(name, LARGEST, "label track", "label track"), name)


def _stretches(path: str, label: str, regions: Sequence[Region]) -> list[Excerpt]:
    """Return where a label is marked, alone if that is long enough."""
    own = [region for region in regions if region.name == label]
    others = [region for region in regions if region.name != label]
    alone = [(region, span) for region in own for span in _without(region.begin, region.end, others)]
    if sum(end - begin for _, (begin, end) in alone) < ALONE:
        alone = [(region, (region.begin, max(region.end, region.begin + SHORTEST))) for region in own]
    return [Excerpt(path, begin, end, region.low, region.high) for region, (begin, end) in alone]


def _without(begin: float, end: float, regions: Sequence[Region]) -> list[tuple[float, float]]:
    """Return what is left of a stretch in seconds where none of some regions is."""
    left, at = [], begin
    for region in sorted(regions, key=lambda region: region.begin):
        if region.begin > at:
            left.append((at, min(end, region.begin)))
        at = max(at, region.end)
    left.append((at, end))
    return [(first, last) for first, last in left if last - first >= SHORTEST]
