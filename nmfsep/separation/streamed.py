"""A separation whose mixture stays on disk: rendered in one pass over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from ..signal.audio import Samples
from ..signal.stream import Stream
from .result import Separation


@dataclass(frozen=True, slots=True)
class Streamed(Separation):
    """A separation that goes through its mixture instead of holding it.

    Attributes
    ----------
    told : callable, optional
        Called with the samples that are rendered.
    """

    told: Callable[[int], object] | None = None

    @classmethod
    def of(cls, separation: Separation, told: Callable[[int], object] | None = None) -> Streamed:
        """Return the separation of a mixture on disk that equals one of a mixture in memory."""
        values: dict[str, Any] = {field.name: getattr(separation, field.name) for field in fields(Separation)}
        return cls(**values, told=told)

    def render(self, audio: Stream) -> Iterator[Samples]:  # type: ignore[override]
        """Yield consecutive pieces of the stems, (stems, channels, samples), each once the one before is done with."""
        audio.rewind()
        position = 0
        for stems in Separation.render(self, audio):
            yield stems
            position += stems.shape[-1]
            audio.samples.release(position)
            if self.told is not None:
                self.told(position)
