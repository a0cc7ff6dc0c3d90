"""Sound in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, install_command

Samples = NDArray[np.float32]
HEARD = 30.0  # seconds that a player has at the most
PIECE = 1 << 16  # samples looked at at a time


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples and their rate.

    Parameters
    ----------
    samples : ndarray, shape (channels, samples), float32
        Full scale is 1. A one-dimensional array is taken as one channel.
    sample_rate : int
        Hertz.
    exponent : int, default 0
        The true samples are ``samples * 2**exponent``. Not 0 only where float32 cannot hold the true ones.

    Raises
    ------
    InputError
        No samples, or one that is not finite (the message gives the time of the first).
    """

    samples: Samples
    sample_rate: int
    exponent: int = 0

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
            samples = np.atleast_2d(np.asarray(self.samples, dtype=np.float32))
        if samples.ndim != 2 or samples.size == 0:
            raise InputError(f"there are no samples to separate in an array of shape {samples.shape}")
        object.__setattr__(self, "samples", samples)
        require_finite(samples, self.sample_rate)

    def __repr__(self) -> str:
        """Return length, rate and channels in a line."""
        channels = "mono" if self.channels == 1 else f"{self.channels} channels"
        return f"Audio({self.duration:.3f} s, {self.sample_rate} Hz, {channels})"

    def _repr_html_(self) -> str:
        """Return a player, which notebooks show."""
        return players({"": self})

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.sample_rate

    def rewind(self) -> None:
        """Begin a pass over `samples`: here all are there."""

    def release(self, position: int) -> None:
        """Forget what is before a sample: here all stays."""

    def needs_another_pass(self) -> bool:
        """Return False: nothing new is found while it is read."""
        return False

    def pieces(self) -> Iterator[Samples]:
        """Yield all samples from the beginning on, in pieces (channels, samples)."""
        for start in range(0, self.length, PIECE):
            yield self.samples[:, start : start + PIECE]


def wrong_samples(samples: NDArray[np.floating]) -> tuple[int, int]:
    """Return how many samples of (channels, samples) are NaN or infinite, and the place of the first."""
    # The sum is finite exactly when all samples are, short of overflow; far cheaper than a mask of every sample.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(samples.sum(dtype=np.float64)):
            return 0, 0
    wrong = ~np.isfinite(samples)
    return int(wrong.sum()), int(wrong.any(axis=0).argmax())


def require_finite(samples: NDArray[np.floating], sample_rate: int) -> None:
    """Raise InputError if a sample of (channels, samples) is NaN or infinite, with count and first time."""
    count, first = wrong_samples(samples)
    if count:
        raise not_finite(count, first / sample_rate)


def not_finite(count: int, seconds: float) -> InputError:
    """Return the error of sound with so many samples that are NaN or infinite, the first of them at that time."""
    return InputError(f"{count} samples are NaN or infinite, the first at {seconds:.3f} s", "repair the file first")


def players(sounds: Mapping[str, Audio]) -> str:
    """Return sounds as HTML, each with its name and a player, as loud to each other as they are.

    What is played, the first HEARD seconds, is in the page as 16-bit WAV. Names are shown as text.
    """
    import base64
    import html
    import io
    import wave

    peak = max(1.0, *(float(np.abs(audio.samples).max()) * 2.0**audio.exponent for audio in sounds.values()))
    rows = []
    for name, audio in sounds.items():
        heard = audio.samples[:, : round(HEARD * audio.sample_rate)].astype(np.float64) * (2.0**audio.exponent / peak)
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setparams((audio.channels, 2, audio.sample_rate, 0, "NONE", ""))
            file.writeframes(np.rint(heard.T * 32767).astype("<i2").tobytes())
        data = base64.b64encode(buffer.getvalue()).decode()
        cut = f" (the first {HEARD:g} s)" if audio.duration > HEARD else ""
        player = f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
        rows.append(f"<tr><td>{html.escape(name)}</td><td>{player}</td><td>{audio.duration:.2f} s{cut}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


FINER = 32  # samples made of one at the most: 4 kHz to 128 kHz; a damaged header may say 1 Hz


def common_rate(rates: Iterable[int]) -> int:
    """Return the most frequent of some sample rates; of those as frequent, the highest."""
    counts = Counter(rates)
    return max(counts, key=lambda rate: (counts[rate], rate))


def at_rate(audio: Audio, sample_rate: int) -> Samples:
    """Return the samples (channels, samples) of a sound at a rate in hertz.

    Raise InputError where it is so short that nothing is left of it, its rate so low that what it lacks is nearly all
    there is, or soxr, which converts it, is not installed.
    """
    if audio.sample_rate == sample_rate:
        return audio.samples
    if sample_rate > FINER * audio.sample_rate:
        raise InputError(f"has {audio.sample_rate} Hz, too few to be converted to {sample_rate} Hz", "leave it out")
    try:
        import soxr
    except ImportError as error:  # there is none for Windows on ARM
        message = f"has {audio.sample_rate} Hz, and converting it to {sample_rate} Hz needs soxr"
        raise InputError(message, f"install it: {install_command('soxr')}; or convert the file first") from error
    channels = [soxr.resample(channel, audio.sample_rate, sample_rate) for channel in audio.samples]
    converted: Samples = np.asarray(channels, np.float32)
    if not converted.size:
        raise InputError(f"is too short to be converted to {sample_rate} Hz")
    return converted
