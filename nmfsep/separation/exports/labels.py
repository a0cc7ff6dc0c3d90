"""When each stem sounds, and between which frequencies, as a label track of Audacity."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..result import Separation
from .activity import sounding, voices

WITHIN = (0.01, 0.99)  # shares of a stem's energy below its lower and its upper bound


class Labels:
    """Labels: where a stem's activations are above a tenth of their largest."""

    suffix: ClassVar[str] = ".labels.txt"

    @staticmethod
    def require() -> None:
        """Nothing is needed."""

    @staticmethod
    def encode(separation: Separation, sample_rate: int, begin: float) -> bytes:
        """Return the file."""
        lines = []
        for name, layer, parts in voices(separation, sample_rate):
            if not parts:
                continue
            level, spectrum = (np.sum([getattr(voice, of) for voice in parts], axis=0) for of in ("level", "spectrum"))
            shares = np.cumsum(spectrum**2) / max(float(spectrum @ spectrum), 1e-300)
            frequencies = layer.stft.frequencies(sample_rate)
            low, high = (frequencies[min(int(np.searchsorted(shares, s)), len(shares) - 1)] for s in WITHIN)
            shown = "".join(" " if character in "\t\r\n" else character for character in name)
            for first, last in sounding(level, layer.stft.hop_length / sample_rate):
                lines.append(
                    (begin + first, f"{begin + first:.6f}\t{begin + last:.6f}\t{shown}\n\\\t{low:.1f}\t{high:.1f}\n")
                )
        return "".join(text for _, text in sorted(lines)).encode("utf-8", "surrogateescape")
