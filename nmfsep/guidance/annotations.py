"""Annotations: tables of what is heard when, and between which frequencies, read and written.

A label track of Audacity has lines of begin, end and name, with tabs between, and after each perhaps one with a range.
Raven's selection tables and BirdNET's and other CSV files have a line of column names, in any order.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from .dictionary import check_label

TRACK = "{track}"  # in the name of a table: the path of its recording without the extension


@dataclass(frozen=True, slots=True)
class Region:
    """A label: its name, begin and end in seconds of the file, and the range of its frequencies in hertz."""

    name: str
    begin: float
    end: float
    low: float = 0.0
    high: float = math.inf


def table_of(recording: str, name: str) -> str:
    """Return the name of a recording's table."""
    return name.replace(TRACK, os.path.splitext(recording)[0])


def parse(data: bytes, path: str, may_be_empty: bool = False) -> list[Region]:
    """Return the labels of a label track or table; raise UsageError if it is none, with the line."""
    regions: list[Region] = []
    lines = _text(data, path).splitlines()
    if (columns := _columns(lines[0] if lines else "")) is not None:
        if "name" not in columns[1]:
            raise UsageError("has no column that names what is heard", "add one, called Annotation or label", path)
        return _table(lines, columns, path, may_be_empty)
    for number, line in enumerate(lines, 1):
        try:
            if line.split("\t")[0].strip() == "\\":
                regions[-1:] = [_with_range(line, regions)]
            elif line.strip():
                regions.append(_region(line))
        except UsageError as error:
            raise UsageError(f"line {number}: {error.message}", error.hint, path) from error
    if not (regions or may_be_empty):
        raise UsageError("has no labels", "export them from Audacity as a label track", path)
    return regions


# Names of columns, in lower case, that tables of other programs have.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "begin": ("begin", "begin time (s)", "start (s)", "start", "onset"),
    "end": ("end", "end time (s)", "end (s)", "offset"),
    "name": ("label", "annotation", "species", "common name", "name", "scientific name"),
    "low": ("low", "low freq (hz)", "low frequency", "low frequency (hz)"),
    "high": ("high", "high freq (hz)", "high frequency", "high frequency (hz)"),
    "file": ("file",),
}


def _columns(head: str) -> tuple[str, dict[str, int]] | None:
    """Return what separates the columns of a table and where each is, None if the line is no head of a table."""
    for separator in ("\t", ";", ","):
        names = [name.strip().lower() for name in next(csv.reader([head], delimiter=separator), [])]
        found = {
            column: next(names.index(each) for each in known if each in names)
            for column, known in COLUMNS.items()
            if any(each in names for each in known)
        }
        if "begin" in found and "end" in found:
            return separator, found
    return None


def _table(lines: Sequence[str], columns: tuple[str, dict[str, int]], path: str, may_be_empty: bool) -> list[Region]:
    """Return the labels of a table; a selection that Raven shows in several views counts once."""
    separator, places = columns
    regions: dict[Region, None] = {}
    files: set[str] = set()
    for number, row in enumerate(csv.reader(lines[1:], delimiter=separator), 2):
        if not any(row):
            continue
        field = {name: row[place] if place < len(row) else "" for name, place in places.items()}
        try:
            region = _region("\t".join((field["begin"], field["end"], field["name"])))
            for text in (field.get("low"), field.get("high")):
                if text and _number(text) is None:
                    raise UsageError(f"{text[:20]!r} is no frequency", "give hertz, such as 1500")
            if field.get("low") or field.get("high"):
                region = _with_range(f"\\\t{field.get('low') or 0}\t{field.get('high') or 0}", [region])
        except UsageError as error:
            raise UsageError(f"line {number}: {error.message}", error.hint, path) from error
        regions[region] = None
        files.add(field.get("file", ""))
        if len(files) > 1:
            raise UsageError(f"line {number}: is about another recording than before", "give one table for each", path)
    if not (regions or may_be_empty):
        raise UsageError("has no labels", "it has column names only", path)
    return list(regions)


def _region(line: str) -> Region:
    fields = line.split("\t")
    if len(fields) < 3:
        hint = "each line is begin, end and name, with tabs between, as Audacity exports labels"
        raise UsageError(f"{line[:40]!r} is no label", hint)
    begin, end, name = _number(fields[0]), _number(fields[1]), fields[2].strip()
    if begin is None or end is None or begin < 0:
        raise UsageError(f"{fields[0][:20]!r} to {fields[1][:20]!r} is no time", "give seconds, such as 1.25")
    if end < begin:
        raise UsageError(f"ends at {end:g} s, before it begins at {begin:g} s", "put the earlier time first")
    if not name:
        raise UsageError("the label has no name", "name it, since stems are called after their labels")
    check_label(name)
    return Region(name, begin, end)


def _with_range(line: str, regions: Sequence[Region]) -> Region:
    """Return the last label with the range of frequencies that the line after it gives."""
    low, high = (_number(field) for field in [*line.split("\t")[1:3], "", ""][:2])
    if not regions or regions[-1].high < math.inf or low is None or high is None:
        raise UsageError("is not the two frequencies of a label", "it must follow one: \\, low, high")
    low, high = max(low, 0.0), high if high > 0 else math.inf
    if low > high:
        raise UsageError(f"the range goes from {low:g} Hz down to {high:g} Hz", "put the lower first")
    return replace(regions[-1], low=low, high=high)


def _text(data: bytes, path: str) -> str:
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    if b"\0" in data and not utf16:
        raise UsageError("is not text, so no label track", "export labels from Audacity", path)
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"line {line}: is not UTF-8", "save the file as UTF-8", path) from error


def _number(text: str) -> float | None:
    try:
        number = float(text.replace(",", "."))  # as programs write them where the decimal sign is a comma
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None
