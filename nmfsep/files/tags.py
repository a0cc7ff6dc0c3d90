"""Tags that lie before, between and after sound: ID3 of both versions, and APE."""

from __future__ import annotations

from typing import BinaryIO


def tag_length(file: BinaryIO, position: int, size: int) -> int:
    """Return the bytes of a tag at a place of a file of that size, 0 if there is none."""
    file.seek(position)
    head = file.read(32)
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
    while True:
        file.seek(position)
        if file.read(3) != b"ID3" or not (length := tag_length(file, position, size)):
            return min(position, size)
        position += length
        file.seek(position)
        while chunk := file.read(1 << 16):
            rest = chunk.lstrip(b"\0")
            position += len(chunk) - len(rest)
            if rest:
                break
