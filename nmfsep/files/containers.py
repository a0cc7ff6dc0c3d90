"""What kind of file this is, by its bytes: only formats that are well tested reach the decoder.

libsndfile knows dozens of formats, and old codecs in it have had memory faults (CVE-2021-3246 and others). PCM and
float in WAV, RF64, W64, AIFF and CAF, and FLAC, Ogg and MP3 pass; what else there is, the user converts first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import InputError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
JOINED = {"WAV": (b"RIFF", b"RF64"), "AIFF": (b"FORM",), "W64": (b"riff",), "CAF": (b"caff",)}  # how another begins
JOINED["RF64"] = JOINED["WAV"]
NOT_AUDIO = {
    b"version https://git-lfs": "is a Git LFS pointer; run 'git lfs pull' to fetch the audio itself",
    b"<!DOCTYPE": "is a web page, perhaps a failed download",
    b"<html": "is a web page, perhaps a failed download",
    b"\x89PNG": "is a PNG picture",
    b"\xff\xd8\xff": "is a JPEG picture",
    b"PK\x03\x04": "is a ZIP archive",
    b"%PDF": "is a PDF document",
}
ADMITTED = "WAV, RF64, W64, AIFF or CAF with PCM or float samples, FLAC, Ogg and MP3 can be read; convert it first"


@dataclass(frozen=True, slots=True)
class Container:
    """A file's kind and, where it tells, where the samples lie.

    Attributes
    ----------
    kind : str
        "WAV", "RF64", "W64", "AIFF", "CAF", "FLAC", "OGG" or "MP3".
    data_start : int, optional
        Offset of the first sample, in bytes, for the WAV family.
    data_size : int, optional
        Bytes of samples that the header promises.
    block : int
        Bytes of a frame of samples, 0 if not known.
    """

    kind: str
    data_start: int | None = None
    data_size: int | None = None
    block: int = 0


def identify(file: BinaryIO, size: int, tagged: bool = False) -> Container:
    """Return the container of a seekable file of that size in bytes.

    Parameters
    ----------
    tagged : bool, default False
        Whether an ID3 tag lay before it: then it is MP3 if nothing else.

    Raises
    ------
    InputError
        Nothing that this program opens.
    """
    file.seek(0)
    head = file.read(64)
    if not head:
        raise InputError("the file is empty")
    for magic, message in NOT_AUDIO.items():
        if head.lstrip()[: len(magic)].lower() == magic.lower():
            raise InputError(message)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wave(file, "WAV" if head[:4] == b"RIFF" else "RF64", size)
    if head[:16] == W64_RIFF:
        return _wave(file, "W64", size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, size, head[8:12] == b"AIFC")
    if head[:4] == b"caff":
        if head[8:12] != b"desc" or head[28:32] != b"lpcm":
            raise InputError("is a CAF file of a codec that is not opened", ADMITTED)
        return _caf(file, size)
    if head[:4] == b"fLaC":
        return Container("FLAC")
    if head[:4] == b"OggS":
        return Container("OGG")
    if tagged or (head[0] == 0xFF and head[1:2] and head[1] & 0xE6 == 0xE2):
        return Container("MP3")
    raise InputError("is not audio of a kind that is known", ADMITTED)


def _chunks(file: BinaryIO, kind: str, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and size of the body of each chunk of the RIFF family."""
    wide = kind == "W64"
    position = 40 if wide else 12
    header, align = (24, 8) if wide else (8, 2)
    while position + header <= size:
        file.seek(position)
        raw = file.read(header)
        if len(raw) < header:
            return
        length = (
            struct.unpack("<Q", raw[16:])[0] - header
            if wide
            else int.from_bytes(raw[4:], "big" if kind == "AIFF" else "little")
        )
        if length < 0:
            return
        yield raw[:4], position + header, length
        position += header + -(-length // align) * align


def _wave(file: BinaryIO, kind: str, size: int) -> Container:
    block, large = 0, None
    for name, start, length in _chunks(file, kind, size):
        if name == b"ds64" and length >= 16:
            file.seek(start + 8)
            large = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))[0]
        elif name == b"fmt ":
            block = _admit_format(file, start, length)
        elif name == b"data":
            if not block:
                raise InputError("has samples before their format", "convert or repair it first")
            if kind == "RF64" and length == 0xFFFFFFFF and large is not None:
                length = large
            return Container(kind, start, length, block)
    raise InputError(f"is a {kind} file without {'samples' if block else 'a format'}", "it was cut or never finished")


def _admit_format(file: BinaryIO, start: int, length: int) -> int:
    """Check the fmt chunk; return the bytes of a frame."""
    file.seek(start)
    body = file.read(min(length, 40))
    if len(body) < 16 or length > 1 << 16:
        raise InputError("has a broken format chunk")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = struct.unpack("<H", body[24:26])[0]
    if tag not in (PCM, FLOAT):
        raise InputError(f"holds samples of codec 0x{tag:04x}, which is not opened", ADMITTED)
    if not 1 <= channels <= 1024:
        raise InputError(f"has {channels} channels; 1 to 1024 can be read")
    if not 1 <= rate < 1 << 31:
        raise InputError(f"has a sample rate of {rate} Hz")
    if bits not in ((8, 16, 24, 32) if tag == PCM else (32, 64)):
        raise InputError(f"has {'float' if tag == FLOAT else 'PCM'} samples of {bits} bits", ADMITTED)
    if block != channels * bits // 8:
        raise InputError(
            f"has frames of {block} bytes where {channels} channels of {bits} bits need {channels * bits // 8}"
        )
    return int(block)


def _aiff(file: BinaryIO, size: int, compressed: bool) -> Container:
    block, data = 0, None
    for name, start, length in _chunks(file, "AIFF", size):
        if name == b"SSND":
            data = start + 8, length - 8  # after an offset and a block size
        elif name == b"COMM":
            file.seek(start)
            body = file.read(min(length, 22))
            codec = body[18:22] if compressed else b"NONE"
            if codec not in (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64"):
                raise InputError("is an AIFF-C file of a codec that is not opened", ADMITTED)
            channels, bits = struct.unpack(">H4xH", body[:8].ljust(8, b"\0"))
            block = channels * -(-bits // 8)
    if block and data is None:
        return Container("AIFF")
    if block and data is not None:
        return Container("AIFF", data[0], data[1], block)
    raise InputError("is an AIFF file without a format", "it was cut or never finished")


def _caf(file: BinaryIO, size: int) -> Container:
    position = 8
    while position + 12 <= size:
        file.seek(position)
        name, length = struct.unpack(">4sq", file.read(12))
        if name == b"data" and (length >= 4 or length == -1):  # to the end of the file
            return Container("CAF", position + 16, -1 if length < 0 else length - 4, 1)  # after the count of edits
        if length < 0:
            break
        position += 12 + length
    return Container("CAF")


def after(file: BinaryIO, container: Container, size: int) -> int:
    """Return where the chunks behind the samples end: at the end of the file, unless something else follows.

    Parameters
    ----------
    container : Container
        With the place of the samples.
    """
    position = (container.data_start or 0) + (container.data_size or 0)
    wide, order = container.kind == "W64", "big" if container.kind in ("AIFF", "CAF") else "little"
    header, align = {"W64": (24, 8), "CAF": (12, 1)}.get(container.kind, (8, 2))
    while position < size:
        file.seek(position)
        raw = file.read(header + align)
        gap = -position % align
        if not raw[:gap].strip(b"\0"):  # some writers forget to fill up
            position, raw = position + gap, raw[gap:]
        body = position + header
        length = int.from_bytes(raw[16:24] if wide else raw[4:header], order) - (header if wide else 0)  # type: ignore[arg-type]
        other = raw[:4] in JOINED[container.kind] or not all(32 <= byte < 127 for byte in raw[:4])
        if len(raw) < header or other or not 0 <= length <= size - body:
            break
        position = body + length
    return min(position, size)
