"""Writing stems that add up to their mixture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .audio import Samples
from .foreign import Encoder, Sink
from .formats import WAV_LIMIT, SampleFormat
from .ogg import set_serial
from .publish import Output
from .quantise import Integers, quantise

OGG_BLOCK = 1 << 14  # frames; libsndfile's Vorbis encoder overflows the stack on long blocks


class StemWriter:
    """Writes the stems of one mixture side by side.

    Parameters
    ----------
    outputs : sequence of Output
        One a stem.
    form : SampleFormat
    sample_rate, channels, length : int
        Of the mixture; the length decides between WAV and RF64.
    gain : float, default 1
        One factor for all stems.
    exponent : int, default 0
        Samples are multiplied by 2**exponent on the way out.
    selected : sequence of int, optional
        The stems to write, one an output; all if not given.
    merged : bool, default False
        Write the channels of all selected stems side by side into one output.

    Attributes
    ----------
    moved : int
        Samples that had to be held within the range of integers.
    clipped : int
        Samples beyond full scale given to a lossy codec.
    sum_error : float
        Largest difference between the mixture and the sum of the stems, of the mixture's peak.
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
    ) -> None:
        self.form = form
        self.gain = gain
        self.exponent = exponent
        self.moved = 0
        self.clipped = 0
        self._selected, self._merged = selected, merged
        self._worst = self._peak = 0.0
        self._outputs = outputs
        if merged and selected is not None:
            channels *= len(selected)
        container = form.file.container
        if container == "WAV" and length * channels * form.bytes > WAV_LIMIT:
            container = "RF64"
        self._sinks = [Sink(output) for output in outputs]
        self._files: list[Encoder] = []
        try:
            for sink in self._sinks:
                with sink.errors():
                    self._files.append(Encoder(sink, "w", sample_rate, channels, form.subtype, format=container))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> StemWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # the first error is the one to tell
            self._close()
            return
        try:
            for output, sink, file in zip(self._outputs, self._sinks, self._files, strict=True):
                with sink.errors():
                    file.close()
                if self.form.name == "ogg":
                    set_serial(output)
                if self.form.subtype in ("FLOAT", "DOUBLE"):
                    _blank_time_stamp(output)
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        """Close all files now, and not when the collector comes to it."""
        for sink, file in zip(self._sinks, self._files, strict=False):
            with contextlib.suppress(Exception), sink.errors():
                file.close()

    def write(self, stems: Samples, mixture: Samples, integers: Integers | None = None) -> None:
        """Append a piece of every stem.

        Parameters
        ----------
        stems : ndarray, shape (stems, channels, samples)
        mixture : ndarray, shape (channels, samples)
        integers : ndarray of int, shape (channels, samples), optional
            The mixture as integers of the output's width, if the output has integers.
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
        for sink, file, stem in zip(self._sinks, self._files, data, strict=True):
            interleaved = np.ascontiguousarray(stem.T)
            step = OGG_BLOCK if self.form.name == "ogg" else max(1, len(interleaved))
            with sink.errors():
                for start in range(0, len(interleaved), step):
                    file.write(interleaved[start : start + step])

    @property
    def sum_error(self) -> float:
        """Largest difference so far between the mixture and the sum of floating-point stems, of the mixture's peak."""
        return self._worst / self._peak if self._peak else 0.0

    def _real(self, stems: Samples, mixture: Samples) -> NDArray[np.floating]:
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


def _blank_time_stamp(output: Output) -> None:
    """Zero the time in the PEAK chunk of a float file: equal runs shall give equal bytes."""
    output.seek(0)
    head = output.read(4096)
    if head[:4] not in (b"RIFF", b"FORM"):  # RF64 and W64 have no such chunk
        return
    place = head.find(b"PEAK")
    if place >= 0:
        output.seek(place + 12)  # after the name, the size and the version
        output.write(bytes(4))
