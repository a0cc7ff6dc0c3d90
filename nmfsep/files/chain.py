"""Several sounds as one, end to end: files that were joined, and chains of Ogg."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..errors import InputError

Opener = Callable[[], sf.SoundFile]


class Chain:
    """Sounds of one rate, number of channels and sample format, read as soundfile reads one; one is open at a time.

    Parameters
    ----------
    openers : sequence of callable
        Each opens one of them, at its beginning.

    Attributes
    ----------
    samplerate, channels, frames : int
    subtype : str

    Raises
    ------
    InputError
        They differ.
    """

    def __init__(self, openers: Sequence[Opener]) -> None:
        self._openers = openers
        self._lengths: list[int] = []
        for opener in openers:
            with opener() as sound:
                form = (sound.samplerate, sound.channels, sound.subtype)
                if not self._lengths:
                    self.samplerate, self.channels, self.subtype = form
                elif form != (self.samplerate, self.channels, self.subtype):
                    at = self.frames / self.samplerate
                    raise InputError(
                        f"consists of sounds that differ: {_words(self.samplerate, self.channels, self.subtype)}, "
                        f"and after {at:.3f} s {_words(*form)}",
                        "part it there, or convert it first",
                    )
                self._lengths.append(sound.frames)
        self._index = 0
        self._sound = openers[0]()

    @property
    def frames(self) -> int:
        """Samples per channel, as far as is known."""
        return sum(self._lengths)

    def close(self) -> None:
        """Close the sound that is open."""
        self._sound.close()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self) -> int:
        """Return the place of the next sample."""
        return sum(self._lengths[: self._index]) + int(self._sound.tell())

    def seek(self, frame: int) -> int:
        """Go to a sample; return its place."""
        first = 0
        for index, length in enumerate(self._lengths):
            if frame < first + length or index == len(self._lengths) - 1:
                break
            first += length
        self._go(index)
        self._sound.seek(frame - first)
        return frame

    def read(self, count: int, dtype: str, always_2d: bool = True) -> NDArray[Any]:
        """Return the next samples, (samples, channels), at most `count`, fewer only at the end."""
        pieces: list[NDArray[Any]] = []
        wanted = count
        while True:
            piece = self._sound.read(wanted, dtype=dtype, always_2d=True)
            pieces.append(piece)
            wanted -= len(piece)
            if not wanted or (not len(piece) and self._index == len(self._openers) - 1):
                return np.concatenate(pieces)
            if not len(piece):
                self._lengths[self._index] = int(self._sound.tell())  # fewer if it was cut
                self._go(self._index + 1)

    def _go(self, index: int) -> None:
        if index != self._index:
            self._sound.close()
            self._sound, self._index = self._openers[index](), index


def _words(rate: int, channels: int, subtype: str) -> str:
    return f"{rate} Hz, {channels} {'channel' if channels == 1 else 'channels'}, {subtype}"
