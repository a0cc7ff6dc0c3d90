"""The pages of an Ogg file: its links, each a sound of its own, of which a decoder reads the first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from ..errors import InputError
from . import flac
from .view import USED, Part, View, add, bytes_at, pieces_from

VORBIS, OPUS, FLAC = b"\x01vorbis", b"OpusHead", b"\x7fFLAC"
CUT = f"does not end with a last page; it was cut, and {USED}"


@dataclass(slots=True)
class Stream:
    """A stream: where its pages are, of FLAC what is in them, and whether its last page is there."""

    codec: bytes
    ranges: list[Part] = field(default_factory=list)
    ended: bool = False


def sounds(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the sounds in a file, FLAC without its pages, and what is odd about them in words.

    Raises
    ------
    InputError
        There is none of a codec that is opened.
    """
    groups: list[dict[bytes, Stream]] = []  # streams by their serial numbers, those side by side in one group
    position, lost, starting = 0, 0, False
    while position + 27 <= size:
        head = bytes_at(file, position, 27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            after = _next(file, position + 1, size)
            lost, position = lost + after - position, after
            continue
        body = 27 + head[26]
        claimed = stop = position + body + sum(head[27:body])
        if stop > size or bytes_at(file, stop, 4) not in (b"OggS", b""):  # perhaps another page cuts it short
            stop = min(stop, _next(file, position + 27, size))
        serial, first = head[14:18], bool(head[5] & 2)
        if first:
            if not (starting and serial not in groups[-1]):
                groups.append({})
            start = bytes_at(file, position + body, 8)
            codec = next((codec for codec in (VORBIS, OPUS, FLAC) if start.startswith(codec)), b"")
            groups[-1][serial] = Stream(codec)
        starting = first
        if groups and (stream := groups[-1].get(serial)):
            begin = position + body if stream.codec == FLAC else position
            add(stream.ranges, range(min(begin, stop), stop))
            stream.ended = bool(head[5] & 4) and stop == claimed
        position = stop
    if not groups:
        raise InputError("is an Ogg file without its beginning")
    found = [known for group in groups if (known := [stream for stream in group.values() if stream.codec])]
    if not found:
        raise InputError("is an Ogg file of no codec that is opened", "Vorbis, Opus and FLAC are; convert it first")
    warnings = [CUT] if not all(streams[0].ended for streams in found) else []
    if lost:
        warnings.append(f"{lost} bytes in it are no pages of Ogg and are left out")
    if most := max(map(len, found)) - 1:
        warnings.append(f"holds {most + 1} sounds side by side; the first is read, the others are left out")
    views = []
    for stream, *_ in found:
        view = View(file, stream.ranges)
        if stream.codec == FLAC:  # a name, a version and a count lie before what a file of FLAC begins with
            view, more = flac.complete(view.buffered(), range(9, view.size))
            warnings += more
        views.append(view)
    return views, warnings


def _next(file: BinaryIO, position: int, size: int) -> int:
    """Return where the next page begins, or the end of the file."""
    for at, piece in pieces_from(file, position, overlap=3):
        if (found := piece.find(b"OggS")) >= 0:
            return at + found
    return size
