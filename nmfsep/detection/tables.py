"""Tables of events, as people and other programs read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from .find import Event

Rows = Sequence[Sequence[object]]
COLUMNS = ("label", "begin", "end", "low", "high", "score", "level")


def plain(path: str, events: Sequence[Event], separator: str = "\t") -> str:
    """Return a table with a head: file, label, times in seconds, frequencies in hertz, score and level in dB."""
    rows = [[path, *event.document().values()] for event in events]
    return _text([["file", *COLUMNS], *rows], separator)


def raven(path: str, events: Sequence[Event]) -> str:
    """Return a selection table of Raven."""
    head = ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)"]
    rows = [
        [number, "Spectrogram 1", 1, f"{e.begin:.4f}", f"{e.end:.4f}", f"{e.low:.1f}", f"{e.high:.1f}", e.label,
         f"{e.score:.3f}", path]
        for number, e in enumerate(events, 1)
    ]  # fmt: skip
    return _text([[*head, "Annotation", "Score", "Begin Path"], *rows], "\t")


def audacity(path: str, events: Sequence[Event]) -> str:
    """Return a label track of Audacity with ranges of frequencies."""
    lines = (
        f"{e.begin:.6f}\t{e.end:.6f}\t{e.label}\n\\\t{e.low:.6f}\t{e.high:.6f}\n" for e in events
    )  # fmt: skip
    return "".join(lines)


def _text(rows: Rows, separator: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(rows)
    return out.getvalue()


TABLES: Mapping[str, Callable[[str, Sequence[Event]], str]] = {
    "tsv": plain,
    "csv": lambda path, events: plain(path, events, ","),
    "raven": raven,
    "audacity": audacity,
}
SUFFIXES = {"tsv": ".events.tsv", "csv": ".events.csv", "raven": ".selections.txt", "audacity": ".labels.txt"}
