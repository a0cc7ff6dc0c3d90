"""Layout of a file: the sounds in it, each as a decoder should see it.

Tags are taken off first, so that the container behind them is recognised. Then all sound is found, also what no header
promises: files that were joined, chains of Ogg, frames that were not counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import InputError
from . import flac, mpeg, pages
from .containers import ADMITTED, JOINED, Container, after, identify
from .cut import USED
from .tags import sound_start
from .view import Part, View

UNKNOWN = 0xFFFFFFFF  # a size field that means "to the end of the file"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file consists of.

    Attributes
    ----------
    container : Container
        Of the first sound.
    sounds : list of View
        One or more, in their order.
    warnings : list of str
        What is odd about the file.
    """

    container: Container
    sounds: list[View]
    warnings: list[str]


def survey(file: BinaryIO, size: int) -> Layout:
    """Return what a seekable file of that size in bytes consists of.

    Raises
    ------
    InputError
        Nothing that this program opens.
    """
    start = sound_start(file, size)
    if start and start == size:
        raise InputError("holds nothing but a tag", "it was cut")
    bare = View(file, [range(start, size)]).buffered()
    container = identify(bare, size - start, start > 0)
    find = {"MP3": mpeg.runs, "OGG": _ogg, "FLAC": _flac}.get(container.kind, _chunked)
    sounds, warnings = find(bare, size - start)
    if start and not sounds:
        raise InputError("is not audio of a kind that is known", ADMITTED)
    return Layout(container, sounds or [View(file, [range(size)])], warnings)


def _ogg(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    links, warnings = pages.links(file, size)
    sounds = []
    for view, is_flac in links:
        if is_flac:
            view, more = flac.complete(view.buffered(), range(view.size))
            warnings += more
        sounds.append(view)
    return sounds, warnings


def _flac(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    found = [flac.complete(file, part) for part in flac.parts(file, size)]
    return [view for view, _ in found], [warning for _, warnings in found for warning in warnings]


def _chunked(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the sounds of a file of the WAV family, of AIFF or of CAF, one unless several were joined."""
    sounds, warnings, begin = list[View](), list[str](), 0
    while begin < size:
        rest = View(file, [range(begin, size)]).buffered()
        parts, end = _of_chunks(rest, size - begin, identify(rest, size - begin), warnings)
        sounds.append(View(rest, parts))
        begin += end
    return sounds, warnings


def _of_chunks(file: BinaryIO, size: int, container: Container, warnings: list[str]) -> tuple[list[Part], int]:
    """Return the parts of a sound, and where the next one begins, `size` if there is none."""
    whole: list[Part] = [range(size)]
    if container.data_size is None or container.data_start is None:
        return whole, size
    there, promised = size - container.data_start, container.data_size
    if container.kind == "CAF" and promised == -1:
        size_at = container.data_start - 12
        return [range(size_at), (there + 4).to_bytes(8, "big"), range(size_at + 8, size)], size
    if promised > there:
        streamed = promised == UNKNOWN or 0x7FFFF000 <= promised <= 0x7FFFFFFF or promised >= 1 << 62
        if there < container.block:
            raise InputError("holds no samples")
        if not streamed:
            warnings.append(
                f"the header promises {promised} bytes of samples, the file has {there}; it was cut, and {USED}"
            )
        return whole, size
    unfinished = promised < 0 or (promised == 0 and container.kind not in ("AIFF", "CAF"))
    if unfinished and there >= container.block:
        hint = "repair it first, as with 'sox --ignore-length IN OUT'"
        raise InputError(f"has a header that was never finished: it promises no samples, {there} bytes follow", hint)
    wrapped = size > 1 << 32 and there - promised >= (1 << 32) - (1 << 16)
    if container.kind == "WAV" and (wrapped or promised == UNKNOWN):  # the size passed 4 GiB and began again at zero
        if wrapped:
            warnings.append(f"the header says {promised} bytes of samples where {there} follow; all of them are used")
        return _as_rf64(file, container, there), size
    end = after(file, container, size)
    file.seek(end)
    if file.read(4) in JOINED[container.kind]:
        return [range(end)], end
    file.seek(end)
    lost = sum(len(chunk.rstrip(b"\0")) for chunk in iter(lambda: file.read(1 << 20), b""))
    if lost:
        warnings.append(f"the header promises {promised} bytes of samples; {lost} more follow it and are left out")
    return [range(end)] if lost else whole, size


def _as_rf64(file: BinaryIO, container: Container, there: int) -> list[Part]:
    """Return a WAV file whose size fields are too small for its samples behind a header of RF64."""
    assert container.data_start is not None
    file.seek(12)
    chunks = file.read(container.data_start - 20)  # all between the form and the samples
    size = there - there % container.block
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, size + 72 + len(chunks), size, size // container.block, 0)
    unknown = b"\xff" * 4
    head = b"RF64" + unknown + b"WAVE" + ds64 + chunks + b"data" + unknown
    return [head, range(container.data_start, container.data_start + there)]
