"""Writing stems that add up to their mixture."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from types import TracebackType

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from .audio import Samples
from .formats import WAV_LIMIT, SampleFormat
from .ogg import set_serial
from .publish import Output, naming_errors
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
        self._files: list[sf.SoundFile] = []
        try:
            for output in outputs:
                with self._errors(output):
                    self._files.append(
                        sf.SoundFile(
                            output.fd, "w", sample_rate, channels, form.subtype, format=container, closefd=False
                        )
                    )
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
            for output, file in zip(self._outputs, self._files, strict=True):
                with self._errors(output):
                    file.close()
                if self.form.name == "ogg":
                    with naming_errors(output.path):
                        set_serial(output.fd)
                if self.form.subtype in ("FLOAT", "DOUBLE"):
                    _blank_time_stamp(output)
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        """Close all files now: the collector would do it when their descriptors belong to others."""
        for file in self._files:
            with contextlib.suppress(Exception):
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
        for output, file, stem in zip(self._outputs, self._files, data, strict=True):
            interleaved = np.ascontiguousarray(stem.T)
            step = OGG_BLOCK if self.form.name == "ogg" else max(1, len(interleaved))
            with self._errors(output):
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

    @contextlib.contextmanager
    def _errors(self, output: Output):  # type: ignore[no-untyped-def]
        try:
            yield
        except (RuntimeError, AssertionError, OSError, TypeError, ValueError) as error:
            # libsndfile says only "System error."; writing more to the same file makes the system say which
            with naming_errors(output.path):
                end = os.fstat(output.fd).st_size
                os.pwrite(output.fd, bytes(1 << 20), end)
                os.ftruncate(output.fd, end)
            raise OutputError(f"cannot be written: {error}".lower().rstrip("."), path=output.path) from error


def _blank_time_stamp(output: Output) -> None:
    """Zero the time in the PEAK chunk of a float file: equal runs shall give equal bytes."""
    with naming_errors(output.path):
        head = os.pread(output.fd, 4096, 0)
        if head[:4] not in (b"RIFF", b"FORM"):  # RF64 and W64 have no such chunk
            return
        place = head.find(b"PEAK")
        if place >= 0:
            os.pwrite(output.fd, bytes(4), place + 12)  # after the name, the size and the version
