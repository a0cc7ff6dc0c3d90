"""Multichannel Wiener filter: stems are separated by where they are in the stereo image, too.

Each stem is taken for a Gaussian vector over the channels, with a variance for each frame and bin and a spatial
covariance for each bin, as in Duong, Vincent & Gribonval, "Under-determined reverberant audio source separation using a
full-rank spatial covariance model", IEEE TASLP 18(7), 2010. Both are measured from the stems that ratio masks give: one
step of expectation and maximisation. More steps make what is right better and what is wrong worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import share
from ..kernels.threads import Workers
from ..signal.audio import Samples
from ..signal.stft import STFT, Bins
from .components import Components
from .render import block_frames

AT_ONCE = 16  # blocks measured before their sums are added up, in order
FLOOR = 1e-5  # of the mean variance of the channels, added to that of each

Covariance = NDArray[np.complexfloating[Any, Any]]


@dataclass(frozen=True, slots=True)
class MultichannelWiener:
    """A filter, see `separation.render`, by covariances (channels, channels, stems, bins)."""

    covariance: Covariance

    def __call__(self, mixture: Bins, model: Components) -> Iterator[Iterator[Bins]]:
        """Yield the transforms of the stems."""
        stems = masked_stems(mixture, model)
        filter_stems(mixture, stems, self.covariance)
        for channel in stems:
            yield iter(channel[1:])


def masked_stems(mixture: Bins, model: Components) -> Bins:
    """Return the transforms of all stems by ratio masks, (channels, stems, frames, bins)."""
    found = np.empty((len(mixture), model.count, *mixture.shape[1:]), np.complex64)
    for channel, S in enumerate(mixture):
        shares = model.parts(channel, S)
        share(shares)
        np.multiply(shares, S, out=found[channel])
    return found


def filter_stems(mixture: Bins, stems: Bins, covariance: Covariance) -> None:
    """Replace stems (channels, stems, frames, bins) by v_j R_j (sum_i v_i R_i)⁻¹ x, with v_j their mean energies."""
    channels = len(mixture)
    v = np.square(np.abs(stems)).mean(axis=0)
    total = np.empty((channels, channels, *mixture.shape[1:]), np.complex64)
    for c in range(channels):
        for d in range(channels):
            np.einsum("jtf,jf->tf", v, covariance[c, d], out=total[c, d])
    floor = FLOOR * np.einsum("cctf->tf", total).real / channels + np.float32(1e-30)
    for c in range(channels):
        total[c, c] += floor
    whitened = solve(total, mixture)
    for c in range(channels):
        stems[c] = 0
        for d in range(channels):
            stems[c] += covariance[c, d][:, None] * whitened[d]
        stems[c] *= v


def solve(A: Bins, b: Bins) -> Bins:
    """Return A⁻¹ b for A (channels, channels, frames, bins), Hermitian and positive, and b (channels, frames, bins)."""
    if len(b) == 2:
        determinant = A[0, 0].real * A[1, 1].real - np.square(np.abs(A[0, 1]))
        above = np.stack([A[1, 1] * b[0] - A[0, 1] * b[1], A[0, 0] * b[1] - A[1, 0] * b[0]])
        return np.asarray(above / np.maximum(determinant, np.float32(1e-36)))
    solved = np.linalg.solve(A.transpose(2, 3, 0, 1), b.transpose(1, 2, 0)[..., None])[..., 0]
    return np.asarray(solved.transpose(2, 0, 1))


def learn(samples: Samples, stft: STFT, model: Components, workers: Workers) -> MultichannelWiener:
    """Return the filter of a mixture (channels, samples), whose stems were found so far by their magnitudes."""
    frames, size = stft.n_frames(samples.shape[1]), block_frames(model.count, len(samples), stft.bins)

    def measured(start: int) -> tuple[Covariance, NDArray[np.float64]]:
        stop = min(frames, start + size)
        S = stft.forward_block(samples, start, stop)
        stems = masked_stems(S, model.at(start, stop, S))
        outer = np.stack([[(y * z.conj()).sum(axis=1, dtype=np.complex128) for z in stems] for y in stems])
        return outer, np.square(np.abs(stems)).mean(axis=0).sum(axis=1, dtype=np.float64)

    shape, starts = (model.count, stft.bins), range(0, frames, size)
    outer, energy = np.zeros((len(samples), len(samples), *shape), np.complex128), np.zeros(shape)
    for first in range(0, len(starts), AT_ONCE):
        for product, square in workers.map(measured, starts[first : first + AT_ONCE]):
            outer += product
            energy += square
    return MultichannelWiener((outer / np.where(energy > 0, energy, 1)).astype(np.complex64))
