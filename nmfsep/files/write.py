"""Stems written to files such that they add up to their mixture."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .formats import OPUS_RATE, OPUS_RATES, WAV_LIMIT, SampleFormat
from .libsndfile import Encoder
from .publish import Output

Samples = NDArray[np.float32]
Integers = NDArray[np.int32] | NDArray[np.int64]
TAGGED = ("flac", "ogg", "opus", "mp3")  # formats whose tags lie before the sound
OGG_BLOCK = 1 << 14  # frames; libsndfile's Vorbis encoder overflows the stack on long blocks
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte


def quantise(stems: Samples, mixture: NDArray[np.integer], bits: int, gain: float = 1.0) -> tuple[Integers, int]:
    """Round stems to integers that add up to the mixture.

    Stems are float32, (stems, channels, samples), of full scale 1, and are multiplied by the gain. The first, the
    loudest, is ignored: it becomes what the others, rounded half to even, leave of the mixture, which has integers of
    that many bits: 8, 16, 24 or 32. A stem that would leave the range is held at its limit and the excess goes to the
    others, which always have room for it, since the mixture is in range.

    Returns the integers, in the shape of the stems, and how many samples were held at the limit.
    """
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    # products of float32 by a power of two are exact, and rounded values below 2^24 are; 32 bits need doubles
    kind = np.int64 if len(stems) << (bits - 1) >= 1 << 31 else np.int32
    real = np.float64 if bits == 32 else np.float32
    out = np.empty(stems.shape, kind)
    moved = 0
    if len(stems) > 1:
        scaled = stems[1:] * real(gain * (1 << (bits - 1)))
        np.rint(scaled, out=scaled)
        if np.abs(scaled).max(initial=0) > high:
            moved += int(((scaled > high) | (scaled < low)).sum())
            # in doubles, since the largest 32-bit integer is no float32
            scaled = np.clip(scaled.astype(np.float64), low, high)
        out[1:] = scaled
    np.subtract(mixture, out[1:].sum(axis=0, dtype=kind), out=out[0], dtype=kind)
    if out[0].max(initial=0) > high or out[0].min(initial=0) < low:
        moved += _share_excess(out, low, high)
    return out, moved


def _share_excess(out: Integers, low: int, high: int) -> int:
    """Bring the first stem into range in place by moving its excess to the others; return the samples touched."""
    where = np.nonzero((out[0] > high) | (out[0] < low))
    excess = out[0][where] - np.clip(out[0][where], low, high)
    out[0][where] -= excess
    for stem in out[1:]:
        held = np.clip(stem[where] + excess, low, high)
        excess -= held - stem[where]
        stem[where] = held
    return len(where[0])


def to_integers(samples: Samples, bits: int, gain: float = 1.0) -> Integers:
    """Round (channels, samples) of full scale 1 to integers, half to even, held to the range."""
    scaled = np.rint(samples.astype(np.float64) * (gain * (1 << (bits - 1))))
    limited: NDArray[np.float64] = np.clip(scaled, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return limited.astype(np.int64) if bits == 32 else limited.astype(np.int32)


class StemWriter:
    """Writes the stems of one mixture, each to its file.

    Parameters
    ----------
    outputs : sequence of Output
        One a stem.
    form : SampleFormat
    sample_rate, channels, length : int
        Of the mixture; its length decides between WAV and RF64.
    gain : float, default 1
        One factor for all stems.
    exponent : int, default 0
        Samples are multiplied by 2**exponent on the way out.
    selected : sequence of int, optional
        The stems to write, one an output; all if not given.
    merged : bool, default False
        Write the channels of all selected stems side by side into one output.
    room : int, default 0
        Bytes to keep free for tags.
    placed : bool, default False
        Keep a field for the places of the channels, where the container is WAV.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        form: SampleFormat,
        sample_rate: int,
        channels: int,
        length: int,
        gain: float = 1.0,
        exponent: int = 0,
        *,
        selected: Sequence[int] | None = None,
        merged: bool = False,
        room: int = 0,
        placed: bool = False,
    ) -> None:
        self.form, self.gain, self.exponent = form, gain, exponent
        self.moved = 0  # samples that had to be held within the range of integers
        self.clipped = 0  # samples beyond full scale given to a lossy codec
        self._selected, self._merged = selected, merged
        self._worst = self._peak = 0.0
        self._outputs = outputs
        if merged and selected is not None:
            channels *= len(selected)
        container, self.rate = form.file.container, sample_rate
        self._converters: list[Any] = []
        if form.name == "opus" and sample_rate not in OPUS_RATES:
            self.rate = OPUS_RATE
            self._converters = [_converter(sample_rate, self.rate, channels) for _ in outputs]
        if container == "WAV" and length * channels * form.bytes + room > WAV_LIMIT:
            container = "RF64"
        elif container == "WAV" and placed:
            container = "WAVEX"
        self._files: list[Encoder] = []
        try:
            for output in outputs:
                free = room if form.name in TAGGED else 0
                self._files.append(Encoder(output, self.rate, channels, form.subtype, format=container, room=free))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> StemWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:  # else that error is the one to report, none of closing
                for file, converted in zip(self._files, self._converters, strict=False):
                    self._append(file, converted.resample_chunk(np.empty((0, file.channels), np.float32), last=True))
                for output, file in zip(self._outputs, self._files, strict=True):
                    file.close()
                    if self.form.file.container == "OGG":
                        set_serial(output)
                    if self.form.subtype in ("FLOAT", "DOUBLE"):
                        _blank_time_stamp(output)
        finally:
            self._close()

    def _close(self) -> None:
        """Close all files now, and not when the collector comes to it."""
        for file in self._files:
            with contextlib.suppress(Exception):
                file.close()

    def write(self, stems: Samples, mixture: Samples, integers: Integers | None = None) -> None:
        """Append a piece of every stem, (stems, channels, samples), and of the mixture, (channels, samples).

        `integers` is the mixture as integers of the output's width, if the output has integers.
        """
        if integers is not None and self.form.bits:
            if self.exponent:
                with np.errstate(over="ignore"):  # what overflows is held to the range
                    stems = np.ldexp(stems, self.exponent)
            whole, moved = quantise(stems, integers, self.form.bits, self.gain)
            self.moved += moved
            # libsndfile takes the top bits of an integer that is wider than the file's
            wide = 16 if self.form.bits <= 16 else 32
            data = (whole << (wide - self.form.bits)).astype(np.int16 if wide == 16 else np.int32)
        else:
            data = self._real(stems, mixture)
        if self._selected is not None:
            data = data[list(self._selected)]
        if self._merged:
            data = data.reshape(1, -1, data.shape[-1])
        for index, (file, stem) in enumerate(zip(self._files, data, strict=True)):
            interleaved = np.ascontiguousarray(stem.T)
            if self._converters:
                interleaved = self._converters[index].resample_chunk(interleaved)
            self._append(file, interleaved)

    def _append(self, file: Encoder, frames: NDArray[Any]) -> None:
        """Write (frames, channels) in pieces that the encoder takes."""
        step = OGG_BLOCK if self.form.file.container == "OGG" else max(1, len(frames))
        for start in range(0, len(frames), step):
            file.write(frames[start : start + step])

    @property
    def sum_error(self) -> float:
        """Largest difference so far between the mixture and the sum of floating-point stems, of the mixture's peak."""
        return self._worst / self._peak if self._peak else 0.0

    def _real(self, stems: Samples, mixture: Samples) -> NDArray[np.floating]:
        """Return stems as floating-point numbers of the file's precision."""
        data: NDArray[np.floating] = stems
        if self.exponent or self.form.subtype == "DOUBLE":
            data = stems.astype(np.float64)
            data[0] = mixture.astype(np.float64) - data[1:].sum(axis=0)
            data = np.ldexp(data, self.exponent)
            if self.form.subtype != "DOUBLE":
                if np.abs(data).max(initial=0) > np.finfo(np.float32).max:
                    raise InputError("has stems beyond the range of single precision", "use --subtype DOUBLE")
                data = data.astype(np.float32)
        self._worst = max(self._worst, float(np.abs(stems.sum(axis=0) - mixture).max(initial=0)))
        self._peak = max(self._peak, float(np.abs(mixture).max(initial=0)))
        if self.gain != 1:
            data = data * data.dtype.type(self.gain)
        if not self.form.file.lossless:
            self.clipped += int((np.abs(data) > 1).sum())
        return data


def _converter(sample_rate: int, wanted: int, channels: int) -> Any:
    """Return what makes sound of one rate in hertz that of another, piece by piece."""
    try:
        import soxr
    except ImportError as error:  # there is none for Windows on ARM
        message = f"Opus has no {sample_rate} Hz, and converting it to {wanted} Hz needs soxr"
        raise UsageError(message, "install it: pip install soxr; or use --format ogg") from error
    return soxr.ResampleStream(sample_rate, wanted, channels, dtype="float32")


def set_serial(file: Output, serial: int = 1) -> None:
    """Give the stream in an Ogg file that number, and its pages the checksums that go with it."""
    position, size = 0, file.size()
    while position < size:
        file.seek(position)
        head = file.read(27 + 255)
        file.seek(position)
        page = bytearray(file.read(27 + head[26] + sum(head[27 : 27 + head[26]])))
        page[14:18], page[22:26] = serial.to_bytes(4, "little"), bytes(4)
        # the checksum is zlib's, but for the order of the bits, and without inversion at the start and the end
        checksum = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        page[22:26] = int(f"{checksum:032b}"[::-1], 2).to_bytes(4, "little")
        file.seek(position)
        file.write(bytes(page))
        position += len(page)


def _blank_time_stamp(output: Output) -> None:
    """Zero the time in the PEAK chunk of a float file: equal runs shall give equal bytes."""
    output.seek(0)
    head = output.read(4096)
    place = head.find(b"PEAK")
    if place >= 0 and head[:4] in (b"RIFF", b"FORM"):  # RF64 and W64 have no such chunk
        output.seek(place + 12)  # after the name, the size and the version
        output.write(bytes(4))
