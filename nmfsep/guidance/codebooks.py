"""Codebooks: which spectra a sound has, and how they follow each other, for labels that templates cannot tell apart.

Two voices share their templates; what differs is which spectrum follows which. A codebook has words, each the mean and
variance of the logarithm of some mel bands, from k-means on a label's training sound, and the probability of each word
after each. Roweis, "One microphone source separation", NIPS 2000, does so with hidden Markov models of speakers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files.npz import Archive
from ..kernels.product import Matrix
from ..settings.separation import nearest_size
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes

BANDS, HIGHEST = 48, 8000.0  # mel bands, and hertz up to which they go
FRAME = 0.064  # seconds
WORDS, BOOKS = 96, 4  # words of a codebook, and codebooks of a label, from different starts of k-means
MOST_WORDS, MOST_BOOKS, MOST_LABELS = 256, 8, 16  # that are read
FEWEST, FRAMES = 750, 8192  # frames of 16 ms to learn a label's codebooks from: with fewer there are none
ITERATIONS = 25
FAINTEST = 1e-12  # power, below all that counts
DEPTH = 50.0  # dB below the loudest frames, from which what is fainter is silence
NARROWEST, UNKNOWN = 3.0, 6.0  # dB, deviations of a band in a word: the least, and of a word heard a few times only
PRIOR = 2.0  # how many frames the mean frequencies of words count for, in what follows a word
NEPER = 20 / np.log(10)  # dB


@dataclass(frozen=True, slots=True)
class Codebook:
    """Words of a label, relative to its level.

    Attributes
    ----------
    means, variances : ndarray, shape (words, bands)
        Of the logarithm of the magnitude in each band.
    follows : ndarray, shape (words, words)
        Probability of the second after the first.
    """

    means: Matrix
    variances: Matrix
    follows: Matrix


Books = tuple[Codebook, ...]  # of one label


def frames_at(sample_rate: int) -> STFT:
    """Return the frames at a sample rate in hertz."""
    return STFT(max(64, nearest_size(FRAME * sample_rate)))


@lru_cache(maxsize=4)
def bands(stft: STFT, sample_rate: int) -> Matrix:
    """Return weights (bands, bins) of triangles, evenly spaced in mel; bands above half the sample rate are empty."""
    edges = 700 * np.expm1(np.linspace(0, np.log1p(HIGHEST / 700), BANDS + 2))
    hertz = stft.frequencies(sample_rate)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clip(0)
    narrow = np.flatnonzero(~weights.any(axis=1) & (edges[1:-1] < sample_rate / 2))
    weights[narrow, np.abs(hertz - middle[narrow]).argmin(axis=1)] = 1  # a band between two bins has the nearest
    found: Matrix = weights.astype(np.float32)
    return found


def levels(magnitudes: Matrix, weights: Matrix) -> Matrix:
    """Return the logarithms of band magnitudes, (frames, bands), of magnitudes (frames, bins)."""
    found: Matrix = 0.5 * np.log(np.square(magnitudes) @ weights.T + np.float32(FAINTEST))
    return found


def level_of(Y: Matrix) -> float:
    """Return the level of band levels (frames, bands): the logarithm of the root of their mean power."""
    return float(0.5 * np.log(np.exp(2 * Y.astype(np.float64)).sum(axis=1).mean()))


def band_levels(samples: Samples, sample_rate: int) -> Matrix:
    """Return the band levels (frames, bands) of the beginning of a sound (channels, samples), relative to its own."""
    sound, stft = np.atleast_2d(samples), frames_at(sample_rate)
    count = min(FRAMES, stft.n_frames(sound.shape[1])) if sound.any() else 0
    weights, parts = bands(stft, sample_rate), [np.zeros((0, BANDS), np.float32)]
    for start in range(0, count, BLOCK):
        parts.append(levels(mean_magnitudes(sound, stft, start, min(count, start + BLOCK)), weights))
    Y = np.concatenate(parts)
    return Y - np.float32(level_of(Y)) if len(Y) else Y


def learn_books(parts: Sequence[Matrix], seed: int) -> Books:
    """Return codebooks of band levels (frames, bands), one array a sound; none of too few."""
    Y = np.concatenate([np.zeros((0, BANDS), np.float32), *parts])
    if len(Y) < FEWEST:
        return ()
    Y = np.maximum(Y, np.percentile(Y.max(axis=1), 98) - DEPTH / NEPER)
    breaks = np.cumsum([len(part) for part in parts])[:-1]
    return tuple(_book(Y, breaks, seed + start) for start in range(BOOKS))


def _book(Y: Matrix, breaks: NDArray[np.intp], seed: int) -> Codebook:
    """Return a codebook of levels; sounds end at the breaks."""
    from scipy.cluster.vq import kmeans2  # late: takes long to load

    means, words = kmeans2(Y, WORDS, iter=ITERATIONS, minit="++", missing="warn", seed=seed)
    counts = np.bincount(words, minlength=WORDS)
    variances = np.full(means.shape, (UNKNOWN / NEPER) ** 2)
    for word in np.flatnonzero(counts > 3):
        variances[word] = Y[words == word].var(axis=0)
    follows = np.zeros((WORDS, WORDS))
    inside = np.setdiff1d(np.arange(1, len(Y)), breaks)
    np.add.at(follows, (words[inside - 1], words[inside]), 1)
    follows += PRIOR * counts / len(Y) + 1e-3
    follows /= follows.sum(axis=1, keepdims=True)
    variances = np.maximum(variances, (NARROWEST / NEPER) ** 2)
    return Codebook(means.astype(np.float32), variances.astype(np.float32), follows.astype(np.float32))


def pack_books(books: Sequence[Books]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a dictionary file that hold the codebooks of each label; none if there are none."""
    every = [book for own in books for book in own]
    if not every:
        return {}
    return {
        "book_means": np.stack([book.means for book in every]),
        "book_variances": np.stack([book.variances for book in every]),
        "book_follows": np.stack([book.follows for book in every]),
        "book_owners": np.array([label for label, own in enumerate(books) for _ in own], np.int32),
    }


def unpack_books(file: Archive, labels: int) -> tuple[Books, ...]:
    """Return the codebooks of each label in a dictionary file.

    Raises
    ------
    UsageError
        The arrays do not fit together, or hold more than any dictionary.
    """
    if "book_owners" not in file:
        return ()
    if labels > MOST_LABELS:
        raise UsageError(f"has codebooks for {labels} labels; {MOST_LABELS} are the most that are read")
    means = file.array("book_means", 3, signed=True)
    variances, follows = file.array("book_variances", 3), file.array("book_follows", 3)
    owners = file.array("book_owners", 1)
    count, words = means.shape[:2]
    if not 2 <= words <= MOST_WORDS or means.shape[2] != BANDS:
        raise UsageError(f"has codebooks of {words} words of {means.shape[2]} bands, not 2 to {MOST_WORDS} of {BANDS}")
    if variances.shape != means.shape or follows.shape != (count, words, words) or owners.shape != (count,):
        raise UsageError("has codebooks whose parts do not fit together")
    if np.abs(means).max() > 100 or not 1e-6 <= variances.min() <= variances.max() <= 1e4:
        raise UsageError("has codebooks of levels that no sound has")
    if follows.min() <= 0 or np.abs(follows.sum(axis=2) - 1).max() > 1e-3:
        raise UsageError("book_follows are not probabilities")
    if (owners != np.floor(owners)).any() or owners.max() >= labels or (np.diff(owners) < 0).any():
        raise UsageError("book_owners are not indices of labels in order")
    counts = np.bincount(owners.astype(np.intp), minlength=labels)
    if set(counts.tolist()) - {0, counts.max()} or counts.max() > MOST_BOOKS:
        raise UsageError(f"has labels of {sorted(set(counts.tolist()))} codebooks, not all of one number")
    every = [Codebook(*each) for each in zip(means, variances, follows, strict=True)]
    places = np.concatenate([[0], np.cumsum(counts)])
    return tuple(tuple(every[a:b]) for a, b in itertools.pairwise(places))
