"""Multichannel Wiener filter: stems are separated by where they are in the stereo image, too.

Each stem is taken for a Gaussian vector over the channels, with a variance for each frame and bin and one spatial
covariance, its place and its width, for all of them. Duong, Vincent & Gribonval, "Under-determined reverberant audio
source separation using a full-rank spatial covariance model", IEEE TASLP 18(7), 2010, have one for each bin; on
mixtures made in a studio, where a stem has one place, a single one is measured better. The covariances are those of the
stems that ratio masks give, and then once more of what the filter makes of these (expectation and maximisation); the
frames they are measured from are enough to know a place by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import share
from ..kernels.threads import Workers
from ..signal.audio import Samples
from ..signal.stft import STFT, Bins
from .components import Components
from .mixture import LOOK, Mixture, segments
from .render import SHORTEST, block_frames

MOST = 2048  # frames measured, from all over the mixture
JUDGED = 512  # enough to say whether stems are in different places
STEPS = 2  # more gain little
ALIKE = 0.97  # cosine of the covariances of two stems, from which they are in one place
FLOOR = np.float32(1e-5)  # of the mean variance of the channels, added to that of each

Covariance = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MultichannelWiener:
    """A filter, see `separation.render`, by covariances (channels, channels, stems)."""

    covariance: Covariance

    @property
    def selective(self) -> bool:
        """Whether at least two stems are in different places."""
        flat = self.covariance.reshape(-1, self.covariance.shape[-1])
        unit = flat / np.maximum(np.linalg.norm(flat, axis=0), np.float32(1e-30))
        return bool((unit.T @ unit).min() < ALIKE)

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
    for start in range(0, mixture.shape[1], SHORTEST):
        here = slice(start, start + SHORTEST)
        _filter(mixture[:, here], stems[:, :, here], covariance)


def _filter(x: Bins, stems: Bins, covariance: Covariance) -> None:
    channels, count = stems.shape[:2]
    v = energies(stems[0])
    for channel in stems[1:]:
        v += energies(channel)
    v /= np.float32(channels)
    total = (covariance.reshape(-1, count) @ v.reshape(count, -1)).reshape(channels, channels, *v.shape[1:])
    floor = FLOOR * np.einsum("cctf->tf", total) / np.float32(channels) + np.float32(1e-30)
    for channel in range(channels):
        total[channel, channel] += floor
    whitened = solve(total, x)
    for channel, out in enumerate(stems):
        for stem, variance in enumerate(v):
            np.multiply(covariance[channel, 0, stem], whitened[0], out=out[stem])
            for other in range(1, channels):
                out[stem] += covariance[channel, other, stem] * whitened[other]
            out[stem] *= variance


def energies(S: Bins) -> NDArray[np.float32]:
    """Return |S|²."""
    squares: NDArray[np.float32] = np.square(S.real) + np.square(S.imag)
    return squares


def solve(A: NDArray[np.float32], b: Bins) -> Bins:
    """Return A⁻¹ b for A (channels, channels, frames, bins), symmetric and positive, and b (channels, frames, bins)."""
    if len(b) == 2:
        determinant = np.maximum(A[0, 0] * A[1, 1] - np.square(A[0, 1]), np.float32(1e-36))
        swapped = np.stack([A[1, 1] * b[0] - A[0, 1] * b[1], A[0, 0] * b[1] - A[1, 0] * b[0]])
        return np.asarray(swapped / determinant)
    solved = np.linalg.solve(A.transpose(2, 3, 0, 1), b.transpose(1, 2, 0)[..., None])[..., 0]
    return np.asarray(solved.transpose(2, 0, 1))


def learn(mixture: Mixture, stft: STFT, model: Components, workers: Workers, frames: int = MOST) -> MultichannelWiener:
    """Return the filter of a mixture, whose stems were found so far by their magnitudes; one on disk is read once."""
    looks = list(_looks(mixture, stft, block_frames(model.count, mixture.channels, stft.bins), frames))
    covariance: Covariance | None = None

    def measured(look: tuple[int, Samples]) -> NDArray[np.float64]:
        """Return the products of the channels of each stem, (channels, channels, stems)."""
        start, segment = look
        S = stft.transform(segment)
        stems = masked_stems(S, model.at(start, start + S.shape[1], S))
        if covariance is not None:
            filter_stems(S, stems, covariance)
        products = np.empty((len(S), len(S), model.count))
        for c, d, j in np.ndindex(*products.shape):
            products[c, d, j] = np.vdot(stems[d, j], stems[c, j]).real
        return products

    for _ in range(STEPS):
        products = np.sum(workers.map(measured, looks), axis=0)
        energy = np.einsum("ccj->j", products) / len(products)
        covariance = (products / np.where(energy > 0, energy, 1)).astype(np.float32)
    assert covariance is not None
    return MultichannelWiener(covariance)


def _looks(mixture: Mixture, stft: STFT, size: int, most: int) -> Iterator[tuple[int, Samples]]:
    """Yield the first of at most `size` frames and the samples under them, about `most` frames from all over."""
    frames, hop = stft.n_frames(mixture.length), stft.hop_length
    each = -(-min(LOOK, frames) * min(most, frames) // frames)
    for start, segment in segments(mixture.pieces(), stft):
        count = min(each, 1 + (segment.shape[1] - stft.n_fft) // hop)
        for first in range(0, count, size):
            last = min(count, first + size) - 1
            yield start + first, segment[:, first * hop : last * hop + stft.n_fft].copy()
