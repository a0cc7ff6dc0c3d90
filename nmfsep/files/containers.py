"""Containers: what kind of file this is by its bytes, and the sounds in it, each as a decoder should see it.

libsndfile knows dozens of formats, and old codecs in it have had memory faults (CVE-2021-3246 and others). So only what
is well tested reaches it: PCM, float, mu-law and A-law in WAV, RF64, W64, AIFF and CAF, and FLAC, Ogg and MP3. Tags are
taken off first. Then all sound is found, also what no header promises: joined files, chains of Ogg, frames that were
not counted. What ffmpeg decodes has gone its own way before, in `ffmpeg.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import InputError
from . import flac, mpeg, pages
from .view import USED, Part, View, bytes_at

PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
WIDTHS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64), ALAW: (8,), ULAW: (8,)}  # bits of a sample
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")
UNKNOWN = 0xFFFFFFFF  # a size field that means "to the end of the file"
# where the first chunk lies, bytes of a chunk's header, to what multiple its end is rounded
CHUNKS = {"WAV": (12, 8, 2), "RF64": (12, 8, 2), "W64": (40, 24, 8), "AIFF": (12, 8, 2), "CAF": (8, 12, 1)}
JOINED = {
    "WAV": (b"RIFF", b"RF64", b"BW64"),
    "AIFF": (b"FORM",),
    "W64": (b"riff",),
    "CAF": (b"caff",),
}  # how another begins
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
ADMITTED = (
    "WAV, RF64, W64, AIFF or CAF with PCM, float, mu-law or A-law samples, FLAC, Ogg, Opus and MP3 can be read; "
    "convert it first"
)
AIFF_CODECS = (
    b"NONE",
    b"sowt",
    b"twos",
    b"raw ",
    b"in24",
    b"in32",
    b"fl32",
    b"FL32",
    b"fl64",
    b"FL64",
    b"ulaw",
    b"ULAW",
    b"alaw",
    b"ALAW",
)
CAF_CODECS = (b"lpcm", b"ulaw", b"alaw")


@dataclass(frozen=True, slots=True)
class Container:
    """A file's kind and, where its header says so, where the samples lie."""

    kind: str  # "WAV", "RF64", "W64", "AIFF", "CAF", "FLAC", "OGG" or "MP3"
    data_start: int | None = None  # offset of the first sample, in bytes
    data_size: int | None = None  # bytes of samples that the header promises; -1 in CAF for "to the end of the file"
    block: int = 0  # bytes of a frame of samples, 0 if not known


def survey(file: BinaryIO, size: int) -> tuple[Container, list[View], list[str]]:
    """Return what a seekable file of that size in bytes consists of.

    Returns
    -------
    container : Container
        Of the first sound.
    sounds : list of View
        One or more, in their order.
    warnings : list of str
        What is odd about the file.

    Raises
    ------
    InputError
        Nothing that this program opens.
    """
    start = mpeg.sound_start(file, size)
    if start and start == size:
        raise InputError("holds nothing but a tag", "it was cut")
    bare = View(file, [range(start, size)]).buffered()
    container = identify(bare, size - start, start > 0)
    find = {"MP3": mpeg.runs, "OGG": pages.sounds, "FLAC": flac.sounds}.get(container.kind, _chunked)
    sounds, warnings = find(bare, size - start)
    if start and not sounds:
        raise InputError("is not audio of a kind that is known", ADMITTED)
    return container, sounds or [View(file, [range(size)])], warnings


def identify(file: BinaryIO, size: int, tagged: bool = False) -> Container:
    """Return the container of a file of that size, or raise InputError; after an ID3 tag it is MP3 if nothing else."""
    head = bytes_at(file, 0, 64)
    if not head:
        raise InputError("the file is empty")
    for magic, message in NOT_AUDIO.items():
        if head.lstrip()[: len(magic)].lower() == magic.lower():
            raise InputError(message)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(file, "WAV" if head[:4] == b"RIFF" else "RF64", size)
    if head[:16] == W64_RIFF:
        return _wave(file, "W64", size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, size, head[8:12] == b"AIFC")
    if head[:4] == b"caff":
        if head[8:12] != b"desc" or head[28:32] not in CAF_CODECS:
            raise InputError("is a CAF file of a codec that is not opened", ADMITTED)
        return _caf(file, size)
    if head[:4] == b"fLaC":
        return Container("FLAC")
    if head[:4] == b"OggS":
        return Container("OGG")
    if tagged or (head[0] == 0xFF and head[1:2] and head[1] & 0xE6 == 0xE2):
        return Container("MP3")
    raise InputError("is not audio of a kind that is known", ADMITTED)


def chunks(file: BinaryIO, kind: str, size: int, position: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, offset and size of the body of each chunk from a place on, up to one of negative size."""
    first, header, align = CHUNKS[kind]
    position = position or first
    while position + header <= size and len(raw := bytes_at(file, position, header)) == header:
        length = _body_size(kind, raw)
        yield raw[:4], position + header, length
        if length < 0:
            return
        position += header + -(-length // align) * align


def _body_size(kind: str, header: bytes) -> int:
    """Return the bytes behind the header of a chunk."""
    if kind == "W64":
        return int.from_bytes(header[16:], "little") - len(header)
    return int.from_bytes(header[4:], "big" if kind in ("AIFF", "CAF") else "little", signed=kind == "CAF")


def _wave(file: BinaryIO, kind: str, size: int) -> Container:
    block, large = 0, None
    for name, start, length in chunks(file, kind, size):
        if length < 0:
            break
        if name == b"ds64" and length >= 16:
            large = int.from_bytes(bytes_at(file, start + 8, 8), "little")
        elif name == b"fmt ":
            block = _admit_format(bytes_at(file, start, min(length, 40)), length)
        elif name == b"data":
            if not block:
                raise InputError("has samples before their format", "convert or repair it first")
            if kind == "RF64" and length == UNKNOWN and large is not None:
                length = large
            return Container(kind, start, length, block)
    raise InputError(f"is a {kind} file without {'samples' if block else 'a format'}", "it was cut or never finished")


def _admit_format(body: bytes, length: int) -> int:
    """Check the beginning of a fmt chunk of that length; return the bytes of a frame."""
    if len(body) < 16 or length > 1 << 16:
        raise InputError("has a broken format chunk")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    if tag not in WIDTHS:
        raise InputError(f"holds samples of codec 0x{tag:04x}, which is not opened", ADMITTED)
    if not 1 <= channels <= 1024:
        raise InputError(f"has {channels} channels; 1 to 1024 can be read")
    if not 1 <= rate < 1 << 31:
        raise InputError(f"has a sample rate of {rate} Hz")
    if bits not in WIDTHS[tag]:
        names = {PCM: "PCM", FLOAT: "float", ALAW: "A-law", ULAW: "mu-law"}
        raise InputError(f"has {names[tag]} samples of {bits} bits", ADMITTED)
    needed = channels * bits // 8
    if block != needed:
        raise InputError(f"has frames of {block} bytes where {channels} channels of {bits} bits need {needed}")
    return int(block)


def _aiff(file: BinaryIO, size: int, compressed: bool) -> Container:
    block, data = 0, None
    for name, start, length in chunks(file, "AIFF", size):
        if name == b"SSND":
            data = start + 8, length - 8  # after an offset and a block size
        elif name == b"COMM":
            body = bytes_at(file, start, min(length, 22))
            if compressed and body[18:22] not in AIFF_CODECS:
                raise InputError("is an AIFF-C file of a codec that is not opened", ADMITTED)
            channels, bits = struct.unpack(">H4xH", body[:8].ljust(8, b"\0"))
            block = channels * (1 if compressed and body[18:22].lower() in CAF_CODECS else -(-bits // 8))
    if not block:
        raise InputError("is an AIFF file without a format", "it was cut or never finished")
    return Container("AIFF") if data is None else Container("AIFF", *data, block)


def _caf(file: BinaryIO, size: int) -> Container:
    for name, start, length in chunks(file, "CAF", size):
        if name == b"data" and (length >= 4 or length == -1):
            return Container("CAF", start + 4, max(-1, length - 4), 1)  # after the count of edits
    return Container("CAF")


def _chunked(file: BinaryIO, size: int) -> tuple[list[View], list[str]]:
    """Return the sounds of a file of the WAV family, of AIFF or of CAF: one, unless several were joined."""
    sounds, warnings, begin = list[View](), list[str](), 0
    while begin < size:
        rest = View(file, [range(begin, size)]).buffered()
        parts, end = _of_chunks(rest, size - begin, identify(rest, size - begin), warnings)
        if bytes_at(rest, 0, 4) == b"BW64" and isinstance(parts[0], range):  # RF64 by its newer name (ITU-R BS.2088)
            parts = [b"RF64", parts[0][4:], *parts[1:]]
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
        return _as_rf64(file, container.data_start, there, container.block), size
    end = _end_of_chunks(file, container.kind, container.data_start + promised, size)
    if bytes_at(file, end, 4) in JOINED[container.kind]:
        return [range(end)], end
    file.seek(end)
    lost = sum(len(piece.rstrip(b"\0")) for piece in iter(lambda: file.read(1 << 20), b""))
    if lost:
        warnings.append(f"the header promises {promised} bytes of samples; {lost} more follow it and are left out")
    return [range(end)] if lost else whole, size


def _as_rf64(file: BinaryIO, data_start: int, there: int, block: int) -> list[Part]:
    """Return a WAV file whose size fields are too small for its samples behind a header of RF64."""
    chunks = bytes_at(file, 12, data_start - 20)  # all between the form and the samples
    size = there - there % block
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, size + 72 + len(chunks), size, size // block, 0)
    unknown = b"\xff" * 4
    head = b"RF64" + unknown + b"WAVE" + ds64 + chunks + b"data" + unknown
    return [head, range(data_start, data_start + there)]


def _end_of_chunks(file: BinaryIO, kind: str, position: int, size: int) -> int:
    """Return where the chunks behind the samples end: at the end of the file, unless something else follows."""
    _, header, align = CHUNKS[kind]
    while position < size:
        raw = bytes_at(file, position, header + align)
        gap = -position % align
        if not raw[:gap].strip(b"\0"):  # some writers forget to fill up
            position, raw = position + gap, raw[gap:]
        body, length = position + header, _body_size(kind, raw[:header])
        other = raw[:4] in JOINED[kind] or not all(32 <= byte < 127 for byte in raw[:4])
        if len(raw) < header or other or not 0 <= length <= size - body:
            break
        position = body + length
    return min(position, size)
