"""The pages of an Ogg file: its links, each a sound of its own, of which a decoder reads the first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from ..errors import InputError
from .cut import USED
from .view import Part, View, add

VORBIS, OPUS, FLAC = b"\x01vorbis", b"OpusHead", b"\x7fFLAC"
CUT = f"does not end with a last page; it was cut, and {USED}"


@dataclass(slots=True)
class Stream:
    """A stream: where its pages are, of FLAC what is in them, and whether its last page is there."""

    codec: bytes
    ranges: list[Part] = field(default_factory=list)
    ended: bool = False


def links(file: BinaryIO, size: int) -> tuple[list[tuple[View, bool]], list[str]]:
    """Return the sounds in a file, each with whether it is FLAC, then bare, and what is odd about them in words.

    Raises
    ------
    InputError
        There is none of a codec that is opened.
    """
    groups: list[dict[bytes, Stream]] = []
    position, lost, starting = 0, 0, False
    while position + 27 <= size:
        file.seek(position)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            after = _next(file, position + 1, size)
            lost, position = lost + after - position, after
            continue
        body = 27 + head[26]
        stop = position + body + sum(head[27:body])
        file.seek(stop)
        claimed = stop
        if stop > size or file.read(4) not in (b"OggS", b""):  # perhaps another page cuts it short
            stop = min(stop, _next(file, position + 27, size))
        serial, first = head[14:18], bool(head[5] & 2)
        if first and not (starting and serial not in groups[-1]):
            groups.append({})
        if first:
            file.seek(position + body)
            groups[-1][serial] = Stream(_codec(file.read(8)))
        starting = first
        if groups and (stream := groups[-1].get(serial)):
            begin = position + body if stream.codec == FLAC else position
            add(stream.ranges, range(min(begin, stop), stop))
            stream.ended = bool(head[5] & 4) and stop == claimed
        position = stop
    if not groups:
        raise InputError("is an Ogg file without its beginning")
    found = [sound for group in groups if (sound := [stream for stream in group.values() if stream.codec])]
    if not found:
        raise InputError("is an Ogg file of no codec that is opened", "Vorbis, Opus and FLAC are; convert it first")
    warnings = [CUT] if not all(sound[0].ended for sound in found) else []
    if lost:
        warnings.append(f"{lost} bytes in it are no pages of Ogg and are left out")
    if most := max(map(len, found)) - 1:
        warnings.append(f"holds {most + 1} sounds side by side; the first is read, the others are left out")
    return [(_view(file, sound[0]), sound[0].codec == FLAC) for sound in found], warnings


def _codec(head: bytes) -> bytes:
    return next((codec for codec in (VORBIS, OPUS, FLAC) if head.startswith(codec)), b"")


def _view(file: BinaryIO, stream: Stream) -> View:
    first, *rest = stream.ranges
    # in FLAC, a name, a version and a count lie before what a file of FLAC begins with
    return View(file, [first[9:] if stream.codec == FLAC else first, *rest])


def _next(file: BinaryIO, position: int, size: int) -> int:
    """Return where the next page begins, or the end of the file."""
    while position < size:
        file.seek(position)
        chunk = file.read(1 << 16)
        if (at := chunk.find(b"OggS")) >= 0:
            return position + at
        position += max(1, len(chunk) - 3)
    return size
