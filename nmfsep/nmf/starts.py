"""Starts of the factors, functions of (Xt, components, rng) in STARTS; Xt is (frames, bins), and only read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..kernels.product import Factors, Matrix


def random(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return |N(0, 1)| entries scaled so that W Z has about the mean of X."""
    frames, bins = Xt.shape
    scale = np.sqrt(Xt.mean(dtype=np.float64) / components)
    W = scale * np.abs(rng.standard_normal((bins, components)))
    Z = scale * np.abs(rng.standard_normal((components, frames)))
    return Factors(W.astype(Xt.dtype), Z.astype(Xt.dtype))


OVERSAMPLE = 10
POWER_ITERATIONS = 2
FILL = 3.0  # of the choices 0.1 to 10, the one that separated real mixtures best
EMPTY = 1e-5  # of the mean of the fullest bin, below which a bin holds nothing


def nndsvd(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return the dominant non-negative part of each singular pair; many entries are exactly zero.

    Boutsidis & Gallopoulos, "SVD based initialization: a head start for nonnegative matrix factorization", Pattern
    Recognition 41(4), 2008. Components beyond the smaller side of X start, and so remain, silent.
    """
    frames, bins = Xt.shape
    rank = min(components, frames, bins)
    U, s, V = leading_triplets(Xt, rank, rng)
    W = np.zeros((bins, components), Xt.dtype)
    Z = np.zeros((components, frames), Xt.dtype)
    # the leading pair of a non-negative matrix has one sign (Perron-Frobenius)
    W[:, 0], Z[0] = np.sqrt(s[0]) * np.abs(U[:, 0]), np.sqrt(s[0]) * np.abs(V[0])
    for k in range(1, rank):
        halves = [(np.maximum(sign * U[:, k], 0), np.maximum(sign * V[k], 0)) for sign in (1, -1)]
        norms = [float(np.linalg.norm(a) * np.linalg.norm(b)) for a, b in halves]
        larger = int(np.argmax(norms))
        a, b = halves[larger]
        if norms[larger] > 0:
            scale = np.sqrt(s[k] * norms[larger])
            W[:, k] = scale * a / np.linalg.norm(a)
            Z[k] = scale * b / np.linalg.norm(b)
    return Factors(W, Z)


def nndsvda(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return nndsvd with zeros filled, for solvers that cannot leave a zero.

    The fill is FILL times the level at which W Z has the mean of X. It takes the place of the mean of X that others
    use, so that the result does not depend on the level of the recording. Bins that hold nothing do not count, so that
    it does not depend either on how far the sample rate reaches above the sound.
    """
    level = FILL * _level(Xt, components)
    return _fill(nndsvd(Xt, components, rng), lambda size: np.full(size, level), min(Xt.shape))


def nndsvdar(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return nndsvd with zeros filled by uniform noise, up to a hundredth of the level where W Z has the mean of X."""
    level = _level(Xt, components) / 100
    return _fill(nndsvd(Xt, components, rng), lambda size: level * (1 - rng.random(size)), min(Xt.shape))


def _level(Xt: Matrix, components: int) -> float:
    levels = Xt.mean(axis=0, dtype=np.float64)
    held = max(1, int(np.count_nonzero(levels > EMPTY * levels.max())))
    return float(np.sqrt(Xt.mean(dtype=np.float64) * (len(levels) / held) / components))


def _fill(factors: Factors, values: Callable[[int], NDArray[np.float64]], rank: int) -> Factors:
    W, Z = factors.W.copy(), factors.Z.copy()
    for A in (W, Z[:rank]):  # rows of Z beyond the rank stay zero: those components are silent
        zero = A == 0
        A[zero] = values(int(zero.sum()))
    return Factors(W, Z)


def leading_triplets(Xt: Matrix, rank: int, rng: np.random.Generator) -> tuple[Matrix, Matrix, Matrix]:
    """Return U (bins, rank), s (rank,) and V (rank, frames) with X ≈ U diag(s) V.

    Halko, Martinsson & Tropp, SIAM Review 53(2), 2011, algorithms 4.4 and 5.1: a randomised range finder.
    """
    frames, bins = Xt.shape
    width = min(rank + OVERSAMPLE, frames, bins)
    Y, _ = np.linalg.qr(Xt.T @ rng.standard_normal((frames, width)).astype(Xt.dtype))
    for _ in range(POWER_ITERATIONS):
        Q, _ = np.linalg.qr(Xt @ Y)
        Y, _ = np.linalg.qr(Xt.T @ Q)
    small, s, V = np.linalg.svd((Xt @ Y).T, full_matrices=False)
    return Y @ small[:, :rank], s[:rank], V[:rank]


LOUD = 0.05  # of the energy of the loudest frame: quieter ones are noise, whose shape means nothing
MOST = 4096  # frames looked at, evenly spaced
FLOOR = 1e-3  # of the mean, added to everything, since zeros would lock


def spa(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return the frames that successive projection picks as templates; deterministic."""
    frames = _loud_frames(Xt)
    residual = frames / np.maximum(frames.sum(axis=1, keepdims=True), np.finfo(Xt.dtype).tiny)
    picked = []
    for _ in range(components):
        norms = np.einsum("tf,tf->t", residual, residual)
        picked.append(int(np.argmax(norms)))
        _project(residual, picked[-1], norms)
    return _from_templates(Xt, frames[picked].T)


def _project(residual: Matrix, index: int, energies: Matrix) -> None:
    """Take the direction of one frame out of all, in place."""
    if energies[index] > 0:
        direction = residual[index] / np.sqrt(energies[index])
        residual -= np.outer(residual @ direction, direction)


VARIETY = 0.003  # share of the energy that templates may leave, -25 dB
LOOKED_AT = 1000  # frames


def richness(X: Matrix, most: int) -> int:
    """Return how many of the frames it takes to span the others but for VARIETY of their energy.

    Found by successive projection, as in `spa`, on evenly spaced frames (frames, bins).
    """
    residual = X[:: -(-len(X) // LOOKED_AT)].astype(np.float64)
    energies = np.einsum("tf,tf->t", residual, residual)
    enough = VARIETY * energies.sum()
    count = 0
    while energies.sum() > enough and count < most:
        _project(residual, int(energies.argmax()), energies)
        energies = np.einsum("tf,tf->t", residual, residual)
        count += 1
    return max(2, count)


def _loud_frames(Xt: Matrix) -> Matrix:
    """Return up to MOST evenly spaced frames among those that are loud."""
    energy = np.einsum("tf,tf->t", Xt, Xt)
    loud = np.flatnonzero(energy >= LOUD * energy.max(initial=0))
    step = -(-len(loud) // MOST)
    return Xt[loud[::step]]


def _from_templates(Xt: Matrix, W: Matrix) -> Factors:
    """Return W of unit columns, floored, with activations that share each frame's level out evenly."""
    mean = Xt.mean(dtype=np.float64)
    W = W / np.maximum(W.mean(axis=0), np.finfo(Xt.dtype).tiny) + FLOOR
    W /= W.sum(axis=0)
    level = Xt.sum(axis=1) / W.shape[1] + FLOOR * mean
    return Factors(W.astype(Xt.dtype), np.repeat(level[None], W.shape[1], axis=0).astype(Xt.dtype))


ROUNDS = 20


def spherical_kmeans(Xt: Matrix, components: int, rng: np.random.Generator) -> Factors:
    """Return the centres of spherical k-means on the loud frames as templates.

    Dhillon & Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning 42, 2001;
    seeded as by Arthur & Vassilvitskii, "k-means++", 2007, on the cosine.
    """
    frames = _loud_frames(Xt)
    norms = np.linalg.norm(frames, axis=1, keepdims=True)
    unit = frames / np.where(norms > 0, norms, 1)
    centres = unit[plus_plus(len(unit), components, rng, lambda index: np.maximum(1 - unit @ unit[index], 0))]
    for _ in range(ROUNDS):
        nearest = np.argmax(unit @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, frames)  # loud frames count for more
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return _from_templates(Xt, centres.T)


def plus_plus(points: int, components: int, rng: np.random.Generator, distances: Callable[[int], Matrix]) -> list[int]:
    """Pick components of so many points, each with a chance that grows with its distance to those picked.

    `distances` returns those of one point, by its index, to all of them; squared, where they are Euclidean.
    """
    picked = [int(rng.integers(points))]
    nearest = np.full(points, np.inf)
    for _ in range(components - 1):
        nearest = np.minimum(nearest, distances(picked[-1]))
        total = nearest.sum(dtype=np.float64)
        chance = nearest / total if total > 0 else np.full(points, 1 / points)
        picked.append(int(rng.choice(points, p=chance / chance.sum())))
    return picked
