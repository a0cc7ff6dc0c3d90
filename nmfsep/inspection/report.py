"""What an inspection finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..separation.describe import Component
from ..signal.audio import Samples
from ..signal.stft import STFT

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Inspection:
    """The components of one sound.

    Attributes
    ----------
    kind : str
        What was inspected.
    path : str
    track : str
    samples : ndarray, shape (channels, samples)
        The mixture.
    sample_rate : int
        Hertz.
    stft : STFT
        What W and Z are of.
    W : ndarray, shape (bins, components)
        Templates, added up over channels.
    Z : ndarray, shape (components, frames)
    components : tuple of Component
        Loudest first.
    warnings : tuple of str
    sha256 : str, optional
        Of the file, of a sound.
    """

    kind: str
    path: str
    track: str
    samples: Samples
    sample_rate: int
    stft: STFT
    W: NDArray[np.floating[Any]]
    Z: NDArray[np.floating[Any]]
    components: tuple[Component, ...]
    warnings: tuple[str, ...] = ()
    sha256: str | None = None

    def document(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "path": self.path,
            "track": self.track,
            "sample_rate": self.sample_rate,
            "channels": self.samples.shape[0],
            "seconds": round(self.samples.shape[1] / self.sample_rate, 3),
            "n_fft": self.stft.n_fft,
            "hop_length": self.stft.hop_length,
            "components": [component.document() for component in self.components],
            "warnings": list(self.warnings),
        }
