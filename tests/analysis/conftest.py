"""Signals without chance, the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest

LENGTH = 6000


@pytest.fixture(scope="session")
def stems() -> np.ndarray:
    """Return three stereo references that are neither white nor alike, (3, 2, samples)."""
    n = np.arange(LENGTH)
    rough = np.stack([(n * n * a + n * b) % 8191 / 4096 - 1 for a, b in ((7, 3), (11, 50), (29, 8))])
    smooth = np.stack([np.convolve(x, [0.2, 0.5, 0.3], "same") for x in rough])
    references = smooth.reshape(3, 1, LENGTH) * np.array([[[1.0], [-0.4]]])
    references[:, 1] += 0.3 * smooth[[1, 2, 0]]
    references.flags.writeable = False
    return references


@pytest.fixture(scope="session")
def estimates(stems: np.ndarray) -> np.ndarray:
    """Return estimates of them with leaks, an echo and artefacts, (3, 2, samples)."""
    mixing = np.array([[1.0, 0.1, 0.0], [0.3, 0.8, -0.05], [0.0, 0.2, 1.2]])
    signals = np.einsum("es,scn->ecn", mixing, stems)
    signals[:, :, 1:] += 0.25 * stems[:, :, :-1]
    signals += 0.1 * np.sign(signals)
    signals.flags.writeable = False
    return signals
