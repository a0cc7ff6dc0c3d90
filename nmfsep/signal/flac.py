"""How many samples a FLAC file holds by its last frame, since its header may not know or be wrong."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import BinaryIO

from .view import View

START = b"fLaC"
JOINED = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # a file, and the block that describes its sound
TAIL = 1 << 20  # bytes in which the last frame is looked for
TOTAL = (1 << 36) - 1
RATE_BITS, CUT = 44, "ends within a frame; it was cut, and what is there is used"


def parts(file: BinaryIO, size: int) -> list[range]:
    """Return the files of FLAC that a file consists of: one, unless several were joined."""
    starts, position, held = [], 0, b""
    file.seek(0)
    while chunk := file.read(1 << 20):
        held = held[-7:] + chunk
        starts += [position + len(chunk) - len(held) + match.start() for match in JOINED.finditer(held)]
        position += len(chunk)
    if not starts or starts[0]:
        starts = [0]
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], size], strict=True)]


def complete(file: BinaryIO, part: range) -> tuple[View, list[str]]:
    """Return a file of FLAC with its true number of samples in its header, and what is odd about it in words."""
    whole = View(file, [part])
    head = _read(file, part.start, 42)
    if head[:4] != START or len(head) < 42:
        return whole, []
    info = int.from_bytes(head[18:26], "big")
    promised, rate = info & TOTAL, max(1, info >> RATE_BITS)
    found = _end(file, part, int.from_bytes(head[10:12], "big"))
    if found is None or promised == found[0] or not 0 < found[0] <= TOTAL:
        return whole, []
    there, cut = found
    warnings = [CUT] if cut and promised <= there else []
    if promised:
        warnings.append(
            f"its header promises {promised / rate:.3f} s, {there / rate:.3f} s follow; all of them are used"
            if promised < there
            else f"ends after {there / rate:.3f} s where its header promises {promised / rate:.3f} s; "
            "what is there is used"
        )
    right = (info - promised + there).to_bytes(8, "big")
    start = part.start
    return View(file, [range(start, start + 18), right, range(start + 26, part.stop)]), warnings


def _end(file: BinaryIO, part: range, block: int) -> tuple[int, bool] | None:
    """Return how many samples there are by the first and last frame, and whether that one is cut; None if not known."""
    position = part.start + 4
    while position < part.stop:  # the blocks of the header
        head = _read(file, position, 4)
        if len(head) < 4:
            return None
        position += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    first = _read(file, position, 32)
    if (begin := _frame(first, block)) is None:
        return None
    start = max(position, part.stop - TAIL)
    tail = _read(file, start, part.stop - start)
    if tail[-128:-125] == b"TAG":  # ID3 of the first version
        tail = tail[:-128]
    at = len(tail)
    while (at := tail.rfind(first[:2], 0, at)) >= 0:
        head = tail[at : at + 32]
        alike = len(head) > 4 and all((head[byte] ^ first[byte]) & 0x0F == 0 for byte in (2, 3))
        if alike and (frame := _frame(head, block)):
            whole = any(_checksum(data, 16, 0x8005) == 0 for data in (tail[at:], tail[at:].rstrip(b"\0")))
            return frame[0] - begin[0] + (frame[1] if whole else 0), not whole
    return None


def _frame(head: bytes, block: int) -> tuple[int, int] | None:
    """Return the first sample and the number of samples of a frame, None if there is none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    more = next((bits for bits in range(8) if not head[4] << bits & 0x80), 8)  # as UTF-8 has it
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
    if not samples or at >= len(head) or _checksum(head[: at + 1], 8, 0x07):
        return None
    return number if head[1] & 1 else number * block, samples


def _checksum(data: bytes, bits: int, polynomial: int) -> int:
    """Return the remainder of bytes: 0 where they end with their own checksum."""
    table, value, mask = _table(bits, polynomial), 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (bits - 8) ^ byte]
    return value


@lru_cache
def _table(bits: int, polynomial: int) -> list[int]:
    table = [byte << (bits - 8) for byte in range(256)]
    for _ in range(8):
        table = [(value << 1 ^ (polynomial if value >> (bits - 1) else 0)) & ((1 << bits) - 1) for value in table]
    return table


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)
