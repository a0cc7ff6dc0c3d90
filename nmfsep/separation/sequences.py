"""Stems shared out once more by how spectra follow each other: a factorial hidden Markov model of two sounds.

Each frame of the mixture is explained by a pair of words, one of each codebook, whose powers add. Which pairs are
likely follows from the frame and from which words follow each other, by the forward-backward algorithm; the share of
the first sound is the mean over pairs. A power of it times the share by masks is the share of a stem. This helps where
masks are in doubt, since both sounds have such spectra, as two voices have; where masks are sure, or codebooks from
several starts disagree, masks are right more often. Of long sounds, forward probabilities go on from block to block,
and backward ones begin a second later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..guidance.codebooks import NEPER, Books, Codebook, bands, frames_at, levels
from ..kernels.product import Matrix
from ..kernels.threads import Workers
from ..signal.audio import Samples
from ..signal.stft import Sliced
from ..signal.stream import Window
from .arrange import Grouping

SCALE = 0.15  # of log-likelihoods, since bands do not vary independently
DEVIATION = 2.5  # dB, of a sum of two words from the sum of their powers
POWER = 0.5  # of the shares by words, where masks are in doubt
DOUBT, SURE = 0.7, 0.76  # how decided masks are, up to which words have that power, and from which none
AGREED, APART = 0.07, 0.1  # deviation of the shares by several codebooks, up to which they count, and from which not
SMALLEST = 1e-3  # share by words
FAINTEST = 60.0  # dB below the loudest band of a block, where levels end
LEAST = np.float32(-40)  # logarithm of the likelihood of a pair, relative to the likeliest: what is less slows a CPU
AT_ONCE, AHEAD = 256, 64  # frames of a block, and frames after it that are looked at


@dataclass(frozen=True, slots=True)
class Order:
    """Codebooks of two stems, by which their shares are made anew.

    Attributes
    ----------
    books : tuple of Books
        Of each stem, equally many.
    sample_rate : int
        Hertz of the mixture.
    powers : list of float
        What power their shares had in each block of the last rendering.
    """

    books: tuple[Books, Books]
    sample_rate: int
    powers: list[float] = field(default_factory=list, compare=False)

    @property
    def used(self) -> bool:
        """Whether the last rendering differs from one by masks alone."""
        return any(self.powers)

    def document(self) -> dict[str, float]:
        """Return in what share of the last rendering it was used, and its mean power there, as plain values."""
        used = [power for power in self.powers if power]
        share, power = len(used) / max(1, len(self.powers)), float(np.mean(used)) if used else 0.0
        return {"share": round(share, 4), "power": round(power, 4)}

    def shared(self, mixture: Sliced, pieces: Iterator[Samples], workers: Workers) -> Iterator[Samples]:
        """Yield consecutive pieces of the stems, (2, channels, samples), from those by masks."""
        stft, (channels, length) = frames_at(self.sample_rate), mixture.shape
        weights, held = bands(stft, self.sample_rate), _Pieces(pieces, (2 * channels, length))
        spread = _spread(weights)
        words = [book.means for own in self.books for book in own]
        known = weights.any(axis=1) & np.all([np.ptp(means, axis=0) > 0 for means in words], axis=0)
        pairs = [Pair(*two, known) for two in zip(*self.books, strict=True)]
        powers, doubts, apart, count, looked = np.zeros(2), np.zeros(2), 0.0, 0, 0
        self.powers.clear()

        def second(start: int, stop: int, ahead: int) -> Samples:
            """Overlap-added samples of the second stem."""
            nonlocal powers, doubts, apart, count, looked
            S = stft.transform(stft.segment(held, start, ahead)).reshape(2, channels, ahead - start, stft.bins)
            A, kept = np.abs(S), stop - start
            means = A.mean(axis=1)
            powers = powers + np.exp(2 * levels(means[:, :kept], weights).astype(np.float64)).sum(axis=(1, 2))
            doubts = doubts + np.array([np.abs(A[0] - A[1]).sum(dtype=np.float64), A.sum(dtype=np.float64)])
            count += kept
            decided = doubts[0] / max(doubts[1], 1e-30)
            power = POWER * float(np.clip((SURE - decided) / (SURE - DOUBT), 0, 1))
            whole = S.sum(axis=0)
            if power and known.any() and powers.min() > 0:
                gains = 0.5 * np.log(powers / count)
                X = levels(np.abs(whole).mean(axis=0), weights)
                X = np.maximum(X, X.max() - np.float32(FAINTEST / NEPER))[:, known]
                each = np.stack(workers.map(lambda pair: pair.shares(X, gains, kept), pairs))[:, :kept]
                apart += float(each.std(axis=0).mean()) * kept
                looked += kept
                power *= float(np.clip((APART - apart / looked) / (APART - AGREED), 0, 1))
                found = np.full((kept, len(known)), 0.5, np.float32)
                found[:, known] = each.mean(axis=0)
                shares = np.clip(found @ spread, SMALLEST, 1 - SMALLEST)
                one, two = A[0, :, :kept] * shares**power, A[1, :, :kept] * (1 - shares) ** power
                total = one + two
                np.divide(two, total, out=two, where=total > 0)
                S[1, :, :kept] = np.where(total > 0, whole[:, :kept] * two, S[1, :, :kept])
            else:
                power = 0.0
            self.powers.append(power)
            return stft.inverse_block(S[1, :, :kept])

        def blocks() -> Iterator[Samples]:
            frames = stft.n_frames(length)
            for start in range(0, frames, AT_ONCE):
                stop = min(frames, start + AT_ONCE)
                yield second(start, stop, min(frames, stop + AHEAD))

        position = 0
        for piece in stft.join(blocks(), length):
            mine = mixture[:, position : position + piece.shape[-1]]
            position += piece.shape[-1]
            yield np.stack([mine - piece, piece])


def order_of(books: Sequence[Books], grouping: Grouping, sample_rate: int) -> Order | None:
    """Return the order of two stems that are one label each, if there are codebooks of both."""
    if grouping.residual or len(books) != 2 or sorted(grouping.members) != [(0,), (1,)]:
        return None
    one, two = (books[label] for (label,) in grouping.members)
    return Order((one, two), sample_rate) if len(one) == len(two) > 0 else None


class _Pieces:
    """Pieces of stems as one array (stems * channels, samples), of which stretches are asked for in order."""

    def __init__(self, pieces: Iterator[Samples], shape: tuple[int, int]) -> None:
        self.shape = shape
        self._window = Window(piece.reshape(shape[0], -1) for piece in pieces)

    def __getitem__(self, key: tuple[slice, slice]) -> Samples:
        """Return a stretch; pieces[:, start:stop]."""
        start, stop, _ = key[1].indices(self.shape[1])
        held: Samples = self._window.between(start, stop)
        return held


def _spread(weights: Matrix) -> Matrix:
    """Return the weights (bands, bins) of bands in each bin; beyond all bands those of the nearest."""
    total = weights.sum(axis=0)
    inside = np.flatnonzero(total > 1e-6)
    nearest = inside[np.abs(np.arange(len(total))[:, None] - inside).argmin(axis=1)]
    spread: Matrix = (weights / np.maximum(total, 1e-6))[:, nearest]
    return spread


class Pair:
    """Two codebooks, at some levels, and the forward probabilities so far."""

    def __init__(self, first: Codebook, second: Codebook, known: NDArray[np.bool_]) -> None:
        self._books, self._known = (first, second), known
        self._forward: Matrix | None = None

    def shares(self, X: Matrix, gains: Sequence[float], keep: int) -> Matrix:
        """Return the first sound's share (frames, bands) of levels X, and remember where frame `keep` begins."""
        one, two = self._books
        m1, m2 = (book.means[:, self._known] + np.float32(gain) for book, gain in zip(self._books, gains, strict=True))
        K1, K2, bands_ = len(m1), len(m2), m1.shape[1]
        higher = m1[:, None] - m2[None]
        R = 1 / (1 + np.exp(np.clip(-2 * higher, -80, 80)))
        M = (0.5 * np.logaddexp(2 * m1[:, None], 2 * m2[None])).reshape(-1, bands_)
        V = R * one.variances[:, None, self._known] + (1 - R) * two.variances[None, :, self._known]
        V = (V + np.float32((DEVIATION / NEPER) ** 2)).reshape(-1, bands_)
        iV, R = 1 / V, R.reshape(-1, bands_)
        constant = (np.square(M) * iV).sum(axis=1) + np.log(V).sum(axis=1)
        P = X @ (2 * M * iV).T
        P -= np.square(X) @ iV.T
        P -= constant
        P *= np.float32(0.5 * SCALE)
        P -= P.max(axis=1, keepdims=True)
        np.maximum(P, LEAST, out=P)
        np.exp(P, out=P)
        P = P.reshape(len(X), K1, K2)
        f = np.empty_like(P)
        for t, likely in enumerate(P):
            before = self._before(one, two, f[t - 1] if t else None)
            np.multiply(likely, before, out=f[t])
            f[t] /= f[t].sum() + np.float32(1e-30)
        if keep:
            self._forward = f[keep - 1].copy()
        b = np.ones((K1, K2), np.float32)
        for t in range(len(P) - 1, -1, -1):
            f[t] *= b
            f[t] /= f[t].sum() + np.float32(1e-30)
            b = one.follows @ (P[t] * b) @ two.follows.T
            b /= b.max() + np.float32(1e-30)
        shares: Matrix = f.reshape(len(X), -1) @ R
        return shares

    def _before(self, one: Codebook, two: Codebook, last: Matrix | None) -> Matrix:
        last = self._forward if last is None else last
        if last is None:
            return np.outer(one.follows.mean(axis=0), two.follows.mean(axis=0))
        expected: Matrix = one.follows.T @ last @ two.follows
        return expected
