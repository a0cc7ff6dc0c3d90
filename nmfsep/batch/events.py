"""Events of many recordings: each is searched in this process or another, and its table and clips are written.

Tables and clips of one recording appear whole or not at all under their names; nothing that exists is replaced unless
`force` is set.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..detection.find import Event, detect
from ..detection.tables import SUFFIXES, TABLES
from ..errors import InputError, NmfsepError, OutputError, UsageError
from ..files.formats import BITS, resolve
from ..files.libsndfile import Encoder
from ..files.naming import fit_name, track_name
from ..files.publish import Output, folder_is_writable, publish_one
from ..guidance.dictionary import Dictionaries
from ..jobs.inputs import Input
from ..settings.commands import DetectSettings
from ..signal.read import Source, is_url
from ..signal.stream import Stream
from ..system import exists, is_file
from .pool import Lost
from .tracks import Report, no_report, workers

MODULES = ("nmfsep.batch.events",)  # what a process loads before its first file
CLIP_BLOCK = 1 << 16  # samples copied at a time


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a recording: events, what was written, and what is odd, or why nothing could be done."""

    events: tuple[Event, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    error: NmfsepError | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """A recording and the names of what is written for it, without an end."""

    path: str
    table: Path | None
    clips: Path | None
    refused: UsageError | None = None


def detect_files(
    inputs: Sequence[Input],
    dictionaries: Sequence[str],
    settings: DetectSettings | None = None,
    *,
    processes: int = 1,
    scheduler: str | None = None,
    report: Report = no_report,
) -> Iterator[tuple[str, Found]]:
    """Find the sounds of dictionaries in many recordings; yield path and result of each, in the order of the inputs.

    Parameters
    ----------
    inputs : sequence of Input
    dictionaries : sequence of str
        Files of dictionaries.
    settings : DetectSettings, optional
        With what is written, and where.
    processes : int, default 1
        Recordings at a time, each in a process of its own; 0 is one for each core.
    scheduler : str, optional
        Address of a Dask scheduler, instead of processes.
    report : callable, optional
        Called as report(path, text) with what the user should know; the path is None where it is about all.

    Raises
    ------
    UsageError
        A dictionary cannot be read, outputs would collide or cannot be written, or the only recording cannot be opened.
    """
    settings = settings or DetectSettings()
    kits = Dictionaries.read(dictionaries, {})
    items = [_item(entry, settings) for entry in inputs]
    for folder in filter(None, (settings.out, settings.clips)):
        if not folder_is_writable(Path(os.path.abspath(folder))):
            raise UsageError("cannot be written to", "choose another folder", folder)
    names = [item.table or item.clips for item in items if item.table or item.clips]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two recordings would be written as {str(name)!r}", "rename one, or search them apart")
    if items and all(item.refused for item in items) and items[0].refused is not None:
        raise items[0].refused
    old = [label for kit in kits.dictionaries if not kit.traits for label in kit.labels]
    if old:
        report(None, "the dictionary has no thresholds; -15 dB are taken; learn it again for its own")
    pool, _ = workers(processes, len(items), settings.threads, scheduler, MODULES, report)
    search = functools.partial(_search, kits=kits, settings=settings)
    with pool or contextlib.nullcontext():
        far = [item for item in items if is_file(item.path) and item.path != "-"] if pool else []
        there: Iterator[Found | Lost] = pool.map(_guarded, far, search) if pool else iter(())
        for item in items:
            found = next(there) if pool and item in far else search(item)
            if isinstance(found, Lost):
                found = Found(error=InputError("the processes that worked on it died", path=item.path))
            yield item.path, found


def _guarded(item: _Item, search: functools.partial[Found]) -> Found:
    return search(item)


def _item(entry: Input, settings: DetectSettings) -> _Item:
    """Return a recording with the names of what is written."""
    refused = entry.refused
    if refused is None and entry.path != "-" and not is_url(entry.path) and not exists(entry.path):
        refused = UsageError("no such file or directory", "check the name", entry.path)
    name = track_name(entry.path)
    table = clips = None
    if settings.out is not None:
        table = Path(settings.out, entry.below, fit_name(name + SUFFIXES[settings.format]))
    if settings.clips is not None:
        clips = Path(settings.clips, entry.below, fit_name(name))
    return _Item(entry.path, table, clips, refused)


def _search(item: _Item, kits: Dictionaries, settings: DetectSettings) -> Found:
    """Search a recording and write what is wanted of it."""
    if item.refused is not None:
        return Found(error=InputError(item.refused.message, item.refused.hint, item.path))
    try:
        with Source(item.path) as source:
            events = detect(Stream(source), kits.dictionaries, settings)
            files = []
            if item.clips is not None:
                files += [_clip(source, event, item.clips, settings.force) for event in events]
            if item.table is not None:
                files.append(_written(item.table, TABLES[settings.format](item.path, events), settings.force))
            return Found(tuple(events), tuple(files), tuple(source.warnings))
    except NmfsepError as error:
        if error.path is None:
            error.path = item.path
        return Found(
            error=InputError(error.message, error.hint, error.path) if isinstance(error, UsageError) else error
        )


def _require_free(path: Path, force: bool) -> None:
    if exists(path, follow=False) and not force:
        raise OutputError("exists", "use --force to replace it, or another folder", path)


def _written(path: Path, text: str, force: bool) -> Path:
    """Write a table."""
    _require_free(path, force)
    with Output(path) as output:
        output.write(text.encode("utf-8", "surrogateescape"))
        publish_one(output)
    return path


def _clip(source: Source, event: Event, folder: Path, force: bool) -> Path:
    """Write the stretch of a recording in which an event is, in its own sample format, and return its name."""
    path = folder / fit_name(f"{event.begin:010.3f}-{event.label}.wav")
    _require_free(path, force)
    how = resolve("wav", None, source.subtype, source.channels, source.sample_rate)
    dtype = "int32" if how.subtype in BITS else "float64"
    first, last = (round(time * source.sample_rate) for time in (event.begin, event.end))
    with Output(path) as output:
        with Encoder(output, source.sample_rate, source.channels, how.subtype, format=how.file.container) as encoder:
            with source.decoding():
                source.seek(first)
            while first < last:
                with source.decoding():
                    block = source.block(min(CLIP_BLOCK, last - first), dtype)
                if not len(block):
                    break
                encoder.write(block)
                first += len(block)
        publish_one(output)
    return path
