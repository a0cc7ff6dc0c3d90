"""The frames of an MP3 file, counted, so that all of them are decoded whatever a header promises; and tags.

A decoder believes the count in a Xing header, or guesses one where there is none. Each run of frames of one format
becomes a sound of its own: as it is if its header is right, else behind a header with the number of its frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from .view import CUT_FRAME, Part, View, add, bytes_at, length_warning, pieces_from

RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version: 1, 2 and 2.5
FIRST = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s of version 1
OTHER = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
SURE = 3  # frames in a row that are no chance
SENSIBLE = 64  # times as many frames as there are that a header may promise, of a file that was cut; more are no count
TRIES = 1 << 16  # places that look like a frame before a search is given up, so that no file takes for ever


@dataclass(frozen=True, slots=True)
class Frame:
    """What the header of a frame says: version, whether there is one channel, rate in hertz, bytes."""

    version: int
    mono: bool
    rate: int
    size: int

    @property
    def form(self) -> tuple[int, bool, int]:
        """What does not change within a sound."""
        return self.version, self.mono, self.rate

    @property
    def samples(self) -> int:
        """Samples of each channel."""
        return 1152 if self.version == 3 else 576


@dataclass(slots=True)
class Run:
    """Frames of one format; `promised` frames by a header in the first, 0 if that does not say, None without one."""

    head: bytes
    frame: Frame
    promised: int | None
    header: range
    count: int = 0
    ranges: list[Part] = field(default_factory=list)

    def view(self, file: BinaryIO) -> View:
        """Return the run as a file whose header is right, or promises more than there is."""
        right = self.promised and self.count <= self.promised <= SENSIBLE * self.count
        return View(file, [self.header if right else _header(self.head, self.frame, self.count), *self.ranges])


def runs(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the sounds in a file of that size in bytes, and what is odd about it in words.

    There is none where frames have no size of their own (free format).
    """
    found: list[Run] = []
    warnings: list[str] = []
    position = lost = 0
    while position < size:
        head = bytes_at(file, position, 48)
        frame = _frame(head[:4])
        sure = frame is not None and ((found and frame.form == found[-1].frame.form) or _follow(file, position, size))
        if frame is None or not sure:
            tag = tag_length(file, position, size)
            after = min(size, position + tag) if tag else _next(file, position + 1, size)
            padding = after == size and not any(piece.strip(b"\0") for _, piece in pieces_from(file, position))
            lost += 0 if tag or padding else after - position
            position = after
            continue
        promised = _promise(head, frame)
        if not found or promised is not None or frame.form != found[-1].frame.form:
            found.append(Run(head[:4], frame, promised, range(position, position + frame.size)))
        if promised is None:
            if position + frame.size > size:
                if not found[-1].promised:  # else by its header
                    warnings.append(CUT_FRAME)
                break
            found[-1].count += 1
            add(found[-1].ranges, range(position, position + frame.size))
        position += frame.size
    if lost and found:
        warnings.append(f"{lost} bytes in it are no frames of MP3 and are left out")
    for run in found:
        says, there = (n * run.frame.samples / run.frame.rate for n in (run.promised or 0, run.count))
        if 0 < says < there or says > SENSIBLE * there > 0:
            warnings.append(length_warning(says, there))
    return [run.view(file) for run in found if run.count], warnings


@lru_cache(maxsize=1024)
def _frame(head: bytes) -> Frame | None:
    """Return what the four bytes of a header say, None if they are none."""
    if len(head) < 4 or not SYNC.match(head):
        return None
    version, code, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if not 0 < code < 15 or rate == 3:
        return None
    hertz, kilobits = RATES[version][rate], (FIRST if version == 3 else OTHER)[code]
    size = (144_000 if version == 3 else 72_000) * kilobits // hertz + (head[2] >> 1 & 1)
    return Frame(version, head[3] >> 6 == 3, hertz, size)


def _follow(file: BinaryIO, position: int, size: int) -> bool:
    """Whether frames of one format lie at a place, SURE of them or as many as end with the file."""
    form = None
    for count in range(SURE):
        frame = _frame(bytes_at(file, position, 4))
        if frame is None or form not in (None, frame.form):
            return count > 0 and (position >= size or tag_length(file, position, size) > 0)
        form = frame.form
        position += frame.size
    return True


def _next(file: BinaryIO, position: int, size: int) -> int:
    """Return where the next frame is from a place on, or the end of the file."""
    tries = 0
    for at, piece in pieces_from(file, position, overlap=3):
        for match in SYNC.finditer(piece):
            if _frame(piece[match.start() : match.start() + 4]):
                tries += 1
                if _follow(file, at + match.start(), size):
                    return at + match.start()
                if tries > TRIES:
                    return size
    return size


def _side(frame: Frame) -> int:
    """Return the bytes of a frame before its samples, which are zero in a Xing header."""
    return 4 + ((17 if frame.mono else 32) if frame.version == 3 else (9 if frame.mono else 17))


def _promise(head: bytes, frame: Frame) -> int | None:
    """Return how many frames the header of a whole sound promises, 0 if it does not say; None for a frame of sound."""
    for at in (_side(frame), _side(frame) + 2):  # two more bytes of checksum
        if head[at : at + 4] in (b"Xing", b"Info") and not head[6:at].strip(b"\0"):
            return int.from_bytes(head[at + 8 : at + 12], "big") if head[at + 7 : at + 8] >= b"\1" else 0
    return 0 if head[36:40] == b"VBRI" else None


def _header(head: bytes, frame: Frame, count: int) -> bytes:
    """Return a Xing header that promises so many frames of the format of one."""
    first = bytes([head[0], head[1] | 1, 0x80 | head[2] & 0x0C, head[3]])  # no checksum, no padding, enough bytes
    found = _frame(first)
    assert found is not None
    return (first.ljust(_side(frame), b"\0") + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")).ljust(
        found.size, b"\0"
    )


def tag_length(file: BinaryIO, position: int, size: int) -> int:
    """Return the bytes of an ID3 or APE tag at a place of a file of that size, 0 if there is none."""
    head = bytes_at(file, position, 32)
    if head[:3] == b"ID3" and len(head) >= 10 and head[3] < 0xFF and head[4] < 0xFF:
        length = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return 10 + length + (10 if head[5] & 0x10 else 0)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        return int.from_bytes(head[12:16], "little") + (32 if head[23] & 0x80 else 0)
    if head[:11] == b"LYRICSBEGIN":  # at the end of the file, before a last tag
        return size - position
    return 128 if head[:3] == b"TAG" and size - position >= 128 else 0


def sound_start(file: BinaryIO, size: int) -> int:
    """Return where a file begins behind its ID3 tags and the zeros that pad them."""
    position = 0
    while bytes_at(file, position, 3) == b"ID3" and (length := tag_length(file, position, size)):
        position += length
        for at, piece in pieces_from(file, position):
            position = at + len(piece) - len(piece.lstrip(b"\0"))
            if position < at + len(piece):
                break
    return min(position, size)
