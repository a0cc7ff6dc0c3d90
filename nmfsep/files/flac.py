"""FLAC files: how many samples one holds by its last frame, since its header may not know or be wrong."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import BinaryIO

from .view import CUT_FRAME, View, bytes_at, length_warning, pieces_from

START = b"fLaC"
JOINED = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # a file, and the block that describes its sound
TAIL = 1 << 20  # bytes in which the last frame is looked for
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")  # how what may lie behind a file begins
TOTAL = (1 << 36) - 1
RATE_BITS = 44


def sounds(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the files of FLAC that a file consists of, and what is odd about them: one, unless several were joined."""
    starts = [at + match.start() for at, piece in pieces_from(file, 0, overlap=7) for match in JOINED.finditer(piece)]
    if not starts or starts[0]:
        starts = [0]
    parts = [range(start, stop) for start, stop in zip(starts, [*starts[1:], size], strict=True)]
    found = [complete(file, part) for part in parts]
    return [view for view, _ in found], [warning for _, warnings in found for warning in warnings]


def complete(file: BinaryIO, part: range) -> tuple[View, list[str]]:
    """Return a file of FLAC with its true number of samples in its header, and what is odd about it in words."""
    whole = View(file, [part])
    head = bytes_at(file, part.start, 42)
    block = int.from_bytes(head[10:12], "big")
    if head[:4] != START or len(head) < 42 or not (first := _first(file, part)):
        return whole, []
    info, begin = int.from_bytes(head[18:26], "big"), _frame(first, block)
    if begin is None:
        return whole, []
    promised, rate = info & TOTAL, max(1, info >> RATE_BITS)
    within = max(part.start, part.stop - TAIL)
    tail = bytes_at(file, within, part.stop - within)
    last = _last(tail, first, block)
    if last is None:
        return whole, [f"ends with {len(tail)} bytes that hold no frame of FLAC and are left out"]
    at, (number, samples) = last
    there, warnings = number - begin[0] + samples, list[str]()
    behind = [tail[at + end :] for end in _ends(tail[at:])]
    if not any(rest.startswith(TAGS) or not rest.strip(b"\0") for rest in behind):
        if behind and promised == there:
            warnings = [f"{len(behind[0])} bytes behind its last frame are no FLAC and are left out"]
        else:
            there -= samples
            warnings = [CUT_FRAME] if promised <= there else []
    if promised == there or not 0 < there <= TOTAL:
        return whole, warnings
    if promised:
        warnings.append(length_warning(promised / rate, there / rate))
    right = (info - promised + there).to_bytes(8, "big")
    return View(file, [range(part.start, part.start + 18), right, range(part.start + 26, part.stop)]), warnings


def _first(file: BinaryIO, part: range) -> bytes:
    """Return the beginning of the first frame, behind the blocks of the header."""
    position = part.start + 4
    while position < part.stop:
        head = bytes_at(file, position, 4)
        position += 4 + int.from_bytes(head[1:], "big")
        if len(head) == 4 and head[0] & 0x80:
            return bytes_at(file, position, 32)
    return b""


def _last(tail: bytes, first: bytes, block: int) -> tuple[int, tuple[int, int]] | None:
    """Return where the last frame begins, and its first sample and number of samples."""
    at = len(tail)
    while (at := tail.rfind(first[:2], 0, at)) >= 0:
        head = tail[at : at + 32]
        alike = len(head) > 4 and all((head[byte] ^ first[byte]) & 0x0F == 0 for byte in (2, 3))
        if alike and (frame := _frame(head, block)):
            return at, frame
    return None


def _frame(head: bytes, block: int) -> tuple[int, int] | None:
    """Return the first sample and the number of samples of a frame, None if there is none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    more = next((bits for bits in range(8) if not head[4] << bits & 0x80), 8)  # ones that lead, as in UTF-8
    if more in (1, 8):
        return None
    number = head[4] & (0x7F >> more)
    at = 5 + max(0, more - 1)
    for byte in head[5:at]:
        number = number << 6 | byte & 0x3F
    code, rate = head[2] >> 4, head[2] & 0x0F
    extra = {6: 1, 7: 2}.get(code, 0)
    samples = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << power for power in range(8)))[code]
    if extra:
        samples = int.from_bytes(head[at : at + extra], "big") + 1
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if not samples or at >= len(head) or not _is_header(head[: at + 1]):
        return None
    return number if head[1] & 1 else number * block, samples


def _ends(data: bytes) -> list[int]:
    """Return after how many bytes a frame may end, by its checksum."""
    table, value, found = _table(16, 0x8005), 0, list[int]()
    for at, byte in enumerate(data, 1):
        value = (value << 8 & 0xFFFF) ^ table[value >> 8 ^ byte]
        if not value and at > 8:
            found.append(at)
    return found


def _is_header(data: bytes) -> bool:
    """Whether the last byte is the checksum of those before."""
    table, value = _table(8, 0x07), 0
    for byte in data:
        value = table[value ^ byte]
    return value == 0


@lru_cache
def _table(bits: int, polynomial: int) -> list[int]:
    """Return the checksum of each byte."""
    table = [byte << (bits - 8) for byte in range(256)]
    for _ in range(8):
        table = [(value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & ((1 << bits) - 1) for value in table]
    return table
