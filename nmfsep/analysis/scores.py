"""Scores of estimates against true stems, in dB: the figures of BSS Eval, and SI-SDR.

Everything follows from correlations. With S_j the space spanned by reference j and its copies delayed by 1 to L - 1
samples, and S the space of all references together, an estimate e is split into its projection on S_j (the target),
what the projection on S has besides (interference) and the rest (artefacts): BSS Eval v3 (Vincent, Gribonval and
Févotte, IEEE TASLP 2006, with the time-invariant filters of section III; L = 512). The filters that project solve
block Toeplitz systems. A filter is shared by all channels, as is the factor of SI-SDR.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..signal.stream import Block, Window

Real = NDArray[np.float64]
SHORTEST = 1 << 13  # samples transformed at a time, at the least


@dataclass(frozen=True, slots=True)
class Correlations:
    """Sums of products of references with signals; channels are added up, as if laid end to end.

    The value at a lag is the sum over n of reference[n] signal[n + lag]; nothing but silence surrounds a signal.
    """

    values: Real  # (references, signals, lags); the first signals are the references
    energies: Real  # sums of squares, (signals,)

    def of(self, signals: slice) -> Correlations:
        """Return those of some signals only."""
        return Correlations(self.values[:, signals], self.energies[signals])


def correlate(blocks: Iterable[Block], references: int, lags: int) -> Correlations:
    """Correlate a stream of signals, by Fourier transforms of overlapping pieces, in memory that no length adds to.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (signals, channels, samples)
        Consecutive pieces.
    references : int
        How many of the signals, from the first on, are references.
    lags : int
        Lags 0 to lags - 1.
    """
    size = transform_size(lags)
    step = size - lags + 1  # the samples of references that find all their lags in one piece
    window = Window(blocks)
    spectra: NDArray[np.complex128] | None = None
    energies: Real = np.zeros(0)
    for start in itertools.count(0, step):
        piece = window.between(start, start + size)
        if spectra is None:
            spectra = np.zeros((references, len(piece), size // 2 + 1), np.complex128)
            energies = np.zeros(len(piece))
        if piece.shape[-1] == 0:
            break
        head = piece[..., :step].astype(np.float64, copy=False)
        energies += np.einsum("scn,scn->s", head, head)
        Y = np.fft.rfft(piece.astype(np.float64, copy=False), size)
        X = np.fft.rfft(head[:references], size).conj()
        for total, x in zip(spectra, X, strict=True):
            for x_channel, Y_channel in zip(x, Y.swapaxes(0, 1), strict=True):
                total += x_channel * Y_channel
    assert spectra is not None
    return Correlations(np.fft.irfft(spectra, size)[..., :lags], energies)


def transform_size(lags: int) -> int:
    """Return the samples transformed at a time: a power of two, most of which is not overlap."""
    return int(max(SHORTEST, 1 << (4 * lags - 1).bit_length()))


LIMIT = 100.0  # dB; figures stop here on either side, beyond which rounding decides
RIDGES = (1e-14, 1e-12, 1e-10, 1e-8)  # of the energy times the lags: for references with dependent copies


@dataclass(frozen=True, slots=True)
class Figures:
    """Every signal against every reference, in dB, each an ndarray of shape (references, signals).

    NaN where the reference or the signal is silent. SI-SDR is the scale-invariant signal-to-distortion ratio (Le Roux
    et al., ICASSP 2019); SDR, SIR and SAR are those of BSS Eval v3, SIR being NaN where there is one reference.

    SNR is the energy of the reference over that of its difference from the signal, neither scaled: the SDR of the Music
    Demixing Challenge. Bleed is the energy of the part of the signal that comes from the reference, by the projection
    on all references together, over the reference's own: 0 where all of it is there, -20 for a tenth of its amplitude.
    """

    si_sdr: Real
    sdr: Real
    sir: Real
    sar: Real
    snr: Real
    bleed: Real


class Subspace:
    """The space spanned by signals and their copies delayed by 1 to lags - 1 samples.

    `gram`, (signals, signals, lags), are the correlations of the signals with each other, of unit energy.
    """

    def __init__(self, gram: Real) -> None:
        from scipy.linalg import cho_factor

        count, _, lags = gram.shape
        ring = np.zeros((count, count, 2 * lags))  # lags 0 to lags - 1, and the negative ones from the end
        ring[..., :lags] = gram
        ring[..., lags + 1 :] = gram.swapaxes(0, 1)[..., :0:-1]
        self._spectra = np.fft.rfft(ring)
        for ridge in RIDGES:
            try:
                self._factor = cho_factor(_block_toeplitz(gram, ridge * lags), overwrite_a=True, check_finite=False)
                return
            except np.linalg.LinAlgError:
                continue
        raise AssertionError("a matrix of correlations is positive semidefinite")

    def filters(self, cross: Real) -> Real:
        """Return the filters, (signals, others, lags), whose outputs add up to the projections of other signals.

        `cross`, (signals, others, lags), are the correlations of the signals with the others.
        """
        from scipy.linalg import cho_solve

        count, others, lags = cross.shape
        sides = cross.swapaxes(1, 2).reshape(count * lags, others)
        solution = cho_solve(self._factor, sides, check_finite=False)
        return np.ascontiguousarray(solution.reshape(count, lags, others).swapaxes(1, 2))

    def energies(self, filters: Real) -> Real:
        """Return the energy of the sum of the filters' outputs, (others,)."""
        lags = filters.shape[-1]
        response = np.einsum("jlf,lkf->jkf", self._spectra, np.fft.rfft(filters, 2 * lags))
        total: Real = np.einsum("jkt,jkt->k", filters, np.fft.irfft(response, 2 * lags)[..., :lags])
        return np.maximum(total, 0)


class Judge:
    """Judges signals by references, whose correlations are those with each other."""

    def __init__(self, references: Correlations) -> None:
        self._energies = references.energies
        self._live = np.flatnonzero(references.energies > 0)
        size = np.sqrt(references.energies[self._live])
        gram = references.values[np.ix_(self._live, self._live)] / (size[:, None] * size)[..., None]
        with _single_threaded():
            self._each = [Subspace(gram[j : j + 1, j : j + 1]) for j in range(len(gram))]
            self._all = Subspace(gram) if len(gram) > 1 else None

    def figures(self, signals: Correlations) -> Figures:
        """Return the figures of signals, from the correlations of the references with them."""
        shape = signals.values.shape[:2]
        result = Figures(*(np.full(shape, np.nan) for _ in fields(Figures)))
        heard = np.flatnonzero(signals.energies > 0)
        if not len(heard) or not len(self._live):
            return result
        where = np.ix_(self._live, heard)
        own, other = self._energies[self._live], signals.energies[heard]
        cross = signals.values[where] / (np.sqrt(own)[:, None] * np.sqrt(other))[..., None]
        with _single_threaded():
            for field, values in self._of_unit_energy(cross).items():
                getattr(result, field)[where] = values
        plain = own[:, None] + other - 2 * signals.values[..., 0][where]
        result.snr[where] = decibels(np.broadcast_to(own[:, None], plain.shape), plain)
        result.bleed[where] += 10 * np.log10(other) - 10 * np.log10(own)[:, None]
        np.clip(result.bleed, -LIMIT, LIMIT, out=result.bleed)
        return result

    def _of_unit_energy(self, cross: Real) -> dict[str, Real]:
        """Return the figures that do not depend on level, and the bleed between signals of unit energy."""
        found: dict[str, list[Real]] = {name: [] for name in ("si_sdr", "sdr", "sir", "sar", "bleed")}
        everything = self._all
        if everything is not None:
            shared = everything.filters(cross)
            spanned, rest = everything.energies(shared), _residue(everything, shared, cross)
        for j, space in enumerate(self._each):
            straight = cross[j, :, 0] ** 2
            found["si_sdr"].append(decibels(straight, 1 - straight))
            own = space.filters(cross[j : j + 1])
            target, error = space.energies(own), _residue(space, own, cross[j : j + 1])
            found["sdr"].append(decibels(target, error))
            if everything is None:
                interference, artefacts, part = np.full(len(target), np.nan), decibels(target, error), target
            else:
                others = shared.copy()
                others[j] -= own[0]
                interference = decibels(target, everything.energies(others))
                artefacts, part = decibels(spanned, rest), space.energies(shared[j : j + 1])
            found["sir"].append(interference)
            found["sar"].append(artefacts)
            found["bleed"].append(decibels(part, np.ones_like(target)))
        return {name: np.array(values) for name, values in found.items()}


def _residue(space: Subspace, filters: Real, cross: Real) -> Real:
    """Return the energy that a projection leaves of signals of unit energy.

    It is right to second order in the filters' error.
    """
    along: Real = np.einsum("jkt,jkt->k", filters, cross)
    return 1 - 2 * along + space.energies(filters)


def decibels(wanted: Real, unwanted: Real) -> Real:
    """Return 10 log10 of a ratio of energies, held within the limit."""
    tiny = 10 ** (-LIMIT / 10)
    top, bottom = np.maximum(wanted, 0), np.maximum(unwanted, 0)
    ratio = np.maximum(top, tiny * bottom) / np.maximum(bottom, tiny * top)
    return 10 * np.log10(ratio)


def _single_threaded() -> AbstractContextManager[Any]:
    """Return a context in which linear algebra, which rounds differently for every number of threads, has one."""
    import scipy.linalg  # noqa: F401 - what is loaded later is not limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]


def _block_toeplitz(gram: Real, ridge: float) -> NDArray[np.float64]:
    """Return the matrix of all inner products of delayed signals, (signals * lags) squared, in Fortran order."""
    from scipy.linalg import toeplitz

    count, _, lags = gram.shape
    matrix = np.empty((count * lags, count * lags), order="F")
    for j, i in np.ndindex(count, count):
        matrix[j * lags : (j + 1) * lags, i * lags : (i + 1) * lags] = toeplitz(gram[j, i], gram[i, j])
    matrix[np.diag_indices(len(matrix))] += ridge
    return matrix
