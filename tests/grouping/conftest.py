"""What the tests of separation share."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def si_sdr(reference: NDArray, estimate: NDArray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, eq. 3)."""
    s, e = (np.ravel(signal).astype(np.float64) for signal in (reference, estimate))
    target = (s @ e) / (s @ s) * s
    return float(10 * np.log10((target @ target + 1e-30) / (np.sum((e - target) ** 2) + 1e-30)))


def best_si_sdr(references: NDArray, estimates: NDArray) -> NDArray:
    """SI-SDR of each reference under the assignment of estimates with the largest sum."""
    scores = np.array([[si_sdr(reference, estimate) for estimate in estimates] for reference in references])
    return scores[linear_sum_assignment(-scores)]


@pytest.fixture
def scores() -> Callable[[NDArray, NDArray], NDArray]:
    return best_si_sdr


@pytest.fixture
def gains() -> Callable[[NDArray, NDArray, NDArray], NDArray]:
    """SI-SDR of the stems less that of the mixture taken as each of them."""

    def gains(mixture: NDArray, references: NDArray, estimates: NDArray) -> NDArray:
        return best_si_sdr(references, estimates) - [si_sdr(reference, mixture) for reference in references]

    return gains
