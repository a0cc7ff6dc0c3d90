"""Sound that ffmpeg decodes: m4a, AAC, ALAC, WMA, webm and the sound of videos, through PyAV, an extra.

The kind of a file shows in its first bytes, and only the demuxer of that kind is let at it, so that no playlist leads
elsewhere. The first sound is decoded once, into a temporary file of plain samples, which is then read like any other.
"""

from __future__ import annotations

import shlex
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, install_command
from .containers import CAF_CODECS, FLOAT, PCM
from .mpeg import sound_start
from .tags import Tags, of_ffmpeg
from .view import USED, View, bytes_at

# where the bytes lie that tell a kind, these bytes, the name of ffmpeg's demuxer, what people call it
KINDS = (
    (4, b"ftyp", "mov", "MPEG-4"),
    (4, b"moov", "mov", "QuickTime"),
    (4, b"mdat", "mov", "QuickTime"),
    (4, b"wide", "mov", "QuickTime"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf", "Windows Media"),
    (0, b"\x1a\x45\xdf\xa3", "matroska", "Matroska or webm"),
    (8, b"AVI LIST", "avi", "AVI"),
    (0, b"FLV\x01", "flv", "Flash video"),
    (0, b"wvpk", "wv", "WavPack"),
    (0, b"#!AMR", "amr", "AMR"),
    (0, b"\x0b\x77", "ac3", "AC-3"),
)
LOSSLESS = ("alac", "flac", "wavpack", "pcm_")  # how the names of codecs begin that lose nothing
SUBTYPES = {"u8": "PCM_U8", "s16": "PCM_16", "s32": "PCM_32", "flt": "FLOAT", "dbl": "DOUBLE"}
ATTACHED = 1024  # how a stream is marked that is a picture
PADDING = 1 << 13  # samples, more than a codec adds at the end to fill its last frame


def kind_of(file: BinaryIO, size: int) -> tuple[str, str] | None:
    """Return ffmpeg's demuxer for a file, and what people call its kind; None if it is not left to ffmpeg."""
    head = bytes_at(file, 0, 32)
    for place, magic, demuxer, name in KINDS:
        if head[place : place + len(magic)] == magic:
            return demuxer, name
    if head[:4] == b"caff" and head[8:12] == b"desc" and head[28:32] not in CAF_CODECS:
        return "caf", "CAF"
    if head[:1] == b"G" and bytes_at(file, 188, 1) == bytes_at(file, 376, 1) == b"G":
        return "mpegts", "MPEG-TS"
    start = sound_start(file, size) if head[:3] == b"ID3" else 0
    sync = bytes_at(file, start, 2)
    return ("aac", "AAC") if sync[:1] == b"\xff" and sync[1:] and sync[1] & 0xF6 == 0xF0 else None


def decode(file: BinaryIO, size: int, kind: tuple[str, str], path: str) -> tuple[BinaryIO, View, str, list[str], Tags]:
    """Return the first sound of a file, decoded.

    Parameters
    ----------
    file : binary file
        That can be gone back in.
    size : int
        Its bytes.
    kind : tuple of str
        As `kind_of` gives it.
    path : str
        For what is said if PyAV is not installed.

    Returns
    -------
    spool : binary file
        A temporary file with its samples; the caller closes it.
    view : View
        It, as an RF64 file.
    subtype : str
        Of a codec that loses nothing the sample format, in libsndfile's names, else the codec in capitals.
    warnings : list of str
    tags : Tags

    Raises
    ------
    InputError
        PyAV is not installed, there is no sound, or it is damaged.
    OSError
        The temporary folder is full.
    """
    demuxer, name = kind
    try:
        import av
    except ImportError as error:
        before, after = ("IN", "OUT.flac") if path == "-" else (path, Path(path).stem + ".flac")
        line = f"ffmpeg -i {shlex.quote(before)} -vn -sample_fmt s32 {shlex.quote(after)}"
        hint = f"install it: {install_command('av', extra='av')}; or convert the file: {line}"
        raise InputError(f"is {name}, which is read with PyAV", hint) from error
    spool: BinaryIO = tempfile.TemporaryFile(prefix="nmfsep-")  # noqa: SIM115 - the caller closes it
    try:
        with av.open(View(file, [range(size)]), format=demuxer, metadata_errors="ignore") as container:
            streams = container.streams.audio
            if not streams:
                raise InputError(f"is {name} without sound")
            stream, warnings = streams[0], list[str]()
            if len(streams) > 1:
                warnings.append(f"holds {len(streams)} sounds side by side; the first is read, the others are left out")
            form, count, low, pictures = None, 0, 0, list[bytes]()
            try:
                for frame in _frames(container, stream, size, pictures):
                    samples, now = _interleaved(frame)
                    if form not in (None, now):
                        raise InputError("consists of sounds that differ in rate or channels", "convert it first")
                    form = now
                    low |= int(np.bitwise_or.reduce(samples & 0xFF)) if now[2] == "s32" else 0
                    spool.write(samples.tobytes())
                    count += len(samples) // now[1]
            except av.error.InvalidDataError:
                if form is None:
                    raise
                warnings.append(f"is damaged after {count / form[0]:.3f} s, and {USED} up to there")
            if form is None:
                raise InputError("holds no samples")
            rate, channels, sample_format = form
            codec = stream.codec_context.codec.canonical_name
            subtype = SUBTYPES[sample_format] if codec.startswith(LOSSLESS) else codec.upper()
            if subtype == "PCM_32" and not low:
                subtype = "PCM_24"
            promised = round(stream.duration * stream.time_base * rate) if stream.duration and stream.time_base else 0
            if demuxer == "mov" and 0 < count - promised < PADDING:
                count = promised
            tags = of_ffmpeg({**stream.metadata, **container.metadata}, b"".join(pictures[:1]))
        spool.flush()
    except (av.error.FFmpegError, ValueError) as error:
        spool.close()
        raise InputError(f"cannot be decoded as {name}", "it is damaged, or of a codec that PyAV lacks") from error
    except BaseException:
        spool.close()
        raise
    return spool, _as_rf64(spool, rate, channels, sample_format, count), subtype, warnings, tags


def _frames(container: Any, stream: Any, size: int, pictures: list[bytes]) -> Iterator[Any]:
    """Yield the decoded frames of a stream, and keep the pictures of the container.

    A stream whose packets have more bytes than the file, since they are the same ones over and over, is refused.
    """
    covers = [video for video in container.streams.video if int(video.disposition) & ATTACHED]
    taken = 0
    for packet in container.demux(stream, *covers):
        if packet.stream.index != stream.index:
            pictures += [bytes(packet)] if packet.size and not pictures else []
            continue
        taken += packet.size
        if taken > size:
            raise InputError("claims more bytes of sound than it has", "it is damaged; convert it first")
        yield from packet.decode()


def _interleaved(frame: Any) -> tuple[NDArray[Any], tuple[int, int, str]]:
    """Return the samples of a frame, channels side by side, and its rate in hertz, channels and sample format."""
    form = frame.sample_rate, frame.layout.nb_channels, frame.format.name.removesuffix("p")
    samples = frame.to_ndarray()
    return np.ascontiguousarray(samples.T if frame.format.is_planar else samples).reshape(-1), form


def _as_rf64(spool: BinaryIO, rate: int, channels: int, form: str, count: int) -> View:
    """Return so many samples in a file behind a header."""
    width = {"u8": 1, "s16": 2, "dbl": 8}.get(form, 4)
    block, tag = width * channels, FLOAT if form in ("flt", "dbl") else PCM
    body, unknown = count * block, b"\xff" * 4
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * block & 0xFFFFFFFF, block, 8 * width)
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, body + 72, body, count, 0)
    return View(spool, [b"RF64" + unknown + b"WAVE" + ds64 + chunk + b"data" + unknown, range(body)])
