"""Pauses: what is behind a voice is learned where the voice pauses, the voice where it is loud, to separate again.

A first separation, `grouping.foreground`, says where the foreground is weak: the mixture there is the background alone,
from whose frames BEHIND templates are learned. From the loud frames of the foreground, IN_FRONT templates of it are.
Few of these are better than many: they hold what returns, and leave alone what has leaked in. With both the mixture is
solved as with a dictionary at two lengths of frames, and the stems are the means of these and of the first separation.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..guidance.templates import Templates, unit
from ..kernels.product import Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution
from ..settings.separation import DICTIONARY, GUIDED, Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes
from .bootstrap import energies_of, lengths_of

GROUPING = "foreground"  # the first separation that this goes on from
SECONDS = (0.064, 0.128)  # of frames
BEHIND, IN_FRONT = 20, 12  # templates of the background and of the foreground
WEAK, LOUD = 25, 60  # percentiles of the foreground's share, below and above which frames are learned from
AROUND = 0.1  # seconds over which the share is taken
SPARSITY, ROUNDS = 0.1, 60  # of learning the background, and iterations


def may_follow(settings: Settings) -> bool:
    """Whether a separation by these settings may be one into a foreground and a background that goes on."""
    return (
        settings.components == 2
        and settings.preset is None
        and settings.grouping in ("auto", GROUPING)
        and not settings.smoothness
    )


def settings_for(settings: Settings, parts: int) -> Settings:
    """Return the settings of a fit of templates that were learned, where none were given."""
    own = {
        "adapt": GUIDED["adapt"],
        "sparsity": DICTIONARY["sparsity"],
        "max_iter": settings.at_most(GUIDED["max_iter"]),
    }
    return replace(settings.shared_out(parts), **{**own, **settings.asked(("sparsity",))})


def stfts_for(settings: Settings, sample_rate: int) -> list[STFT]:
    """Return the lengths of frames: those of SECONDS, or what was given."""
    return lengths_of(SECONDS, settings, sample_rate)


def templates_learned(settings: Settings, sample_rate: int) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates at each length of frames, if any may be learned, before any sound is."""
    stfts = stfts_for(settings, sample_rate) if may_follow(settings) else []
    return [(stft.n_fft, stft.hop_length, BEHIND + IN_FRONT) for stft in stfts]


def learned(mixture: Audio, stems: Samples, foreground: int, stft: STFT, settings: Settings) -> Templates:
    """Return templates of both stems.

    Parameters
    ----------
    mixture : Audio
    stems : ndarray, shape (2, channels, samples)
        Of the mixture, separated as well as was possible so far.
    foreground : int
        Which of them it is.
    stft : STFT
    settings : Settings
    """
    share = _around(stems, foreground, stft, mixture.sample_rate)
    pauses = _frames(mixture.samples, stft, np.flatnonzero(share <= np.percentile(share, WEAK)))
    loud = _frames(stems[foreground], stft, np.flatnonzero(share >= np.percentile(share, LOUD)))
    behind, front = _fit(pauses, BEHIND, SPARSITY, settings), _fit(loud, IN_FRONT, 0.0, settings)
    owners = np.repeat([1 - foreground, foreground], [behind.shape[1], front.shape[1]])
    return Templates(stft, np.concatenate([behind, front], axis=1), owners)


def _around(stems: Samples, foreground: int, stft: STFT, sample_rate: int) -> NDArray[np.float64]:
    """Return the share of the foreground in the energy around each frame."""
    energies = [energies_of(stem, stft) for stem in stems]
    width = np.ones(min(len(energies[0]), max(1, round(AROUND * sample_rate / stft.hop_length))))
    near = [np.convolve(each, width, "same") for each in energies]
    share: NDArray[np.float64] = near[foreground] / np.maximum(near[0] + near[1], 1e-30)
    return share


def _frames(samples: Samples, stft: STFT, chosen: NDArray[np.intp]) -> Matrix:
    """Return the mean magnitudes of chosen frames, (frames, bins)."""
    found = [np.zeros((0, stft.bins), np.float32)]
    for start in range(0, stft.n_frames(samples.shape[1]), BLOCK):
        here = chosen[(chosen >= start) & (chosen < start + BLOCK)]
        if len(here):
            found.append(mean_magnitudes(samples, stft, start, int(here[-1]) + 1)[here - start])
    return np.concatenate(found)


def _fit(X: Matrix, count: int, sparsity: float, settings: Settings) -> Matrix:
    """Return templates of frames, (bins, any)."""
    count = min(count, len(X))
    if not X.any():
        return unit(np.ones((X.shape[1], count), np.float32))
    fit = factorize(
        X.T, count, start="random", sparsity=sparsity, max_iter=settings.at_most(ROUNDS), tol=settings.tol,
        seed=settings.seed, execution=Execution(settings.threads, ONCE),
    )  # fmt: skip
    return unit(fit.factors.W)
