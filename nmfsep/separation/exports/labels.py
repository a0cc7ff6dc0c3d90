"""When each stem sounds, and between which frequencies, as a label track of Audacity."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ..result import Separation
from .activity import stems, together

WITHIN = (0.01, 0.99)  # shares of a stem's energy below its lower and its upper bound


class Labels:
    """Labels: where a stem's activations are above a tenth of their largest, and it is there at all."""

    suffix: ClassVar[str] = ".labels.txt"

    @staticmethod
    def require() -> None:
        """Nothing is needed."""

    @staticmethod
    def encode(
        separation: Separation, sample_rate: int, begin: float, *, seconds: float = math.inf, last_bit: float = 0.0
    ) -> bytes:
        """Return the file."""
        lines = []
        for stem in stems(separation, sample_rate, last_bit):
            parts = stem.voices()
            if not parts:
                continue
            spectrum = together(parts).spectrum
            shares = np.cumsum(spectrum**2) / max(float(spectrum @ spectrum), 1e-300)
            low, high = (stem.frequencies[min(int(np.searchsorted(shares, s)), len(shares) - 1)] for s in WITHIN)
            shown = "".join(" " if character in "\t\r\n" else character for character in stem.name)
            for first, last in stem.spans(parts):
                if first < seconds:
                    times = f"{begin + first:.6f}\t{begin + min(last, seconds):.6f}"
                    lines.append((begin + first, f"{times}\t{shown}\n\\\t{low:.1f}\t{high:.1f}\n"))
        return "".join(text for _, text in sorted(lines)).encode("utf-8", "surrogateescape")
