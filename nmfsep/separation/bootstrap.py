"""Bootstrap: templates learned from a first separation where each of its stems is nearly alone, to separate again.

One component a stem says when each source sounds, not how its sound changes while it does. Where a stem has most of
the energy, the mixture is nearly that source, so that TEMPLATES templates can be learned there as from a recording of
it alone; frames count by the square of the stem's share. With those of all stems together the mixture is solved as with
a dictionary, at a short and a long length of frames. A round begins with the stems of the one before it.

From a wrong start it learns what is wrong, so that it follows `grouping.entropy`. Where stems have many spectra, as
instruments and voices do, TEMPLATES do not hold them, and it makes things worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..grouping.atoms import too_many
from ..grouping.choice import may_group
from ..guidance.learn import SECONDS, SPARSITY as LEARNED
from ..guidance.templates import Templates, unit
from ..kernels.product import Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution
from ..settings.separation import GUIDED, Settings
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT, mean_magnitudes

TEMPLATES = 4  # for each stem
ALONE = 0.5  # share of the energy of a frame from which it is learned from
QUIET = 1e-4  # of the energy of the stem's loudest frame, up to which a frame is silence
ROUNDS = 60  # iterations of learning
SPARSITY, ITERATIONS = 0.5, 20  # of solving with what was learned
COST = 4.0  # of a round, that of one start being 1


def may_bootstrap(settings: Settings) -> bool:
    """Whether it may be found that one component a stem is enough, and templates be learned again."""
    undecided = settings.atoms is None and settings.grouping == "auto" and settings.preset is None
    return undecided and may_group(settings) and not too_many(settings) and not settings.smoothness


def settings_for(settings: Settings, parts: int) -> Settings:
    """Return the settings of a fit of templates that were learned, where none were given.

    The time limit, if there is one, is for so many parts of the work.
    """
    asked = settings.asked(("sparsity", "mask_power"))
    own = {"adapt": GUIDED["adapt"], "sparsity": SPARSITY}
    if settings.mask == "ratio":
        own["mask_power"] = GUIDED["mask_power"]
    return replace(settings.shared_out(parts), **{**own, **asked}, max_iter=settings.at_most(ITERATIONS))


def ungrouped(settings: Settings) -> Settings:
    """Return the settings by which the excerpt is separated into all stems, by ratio masks."""
    power = settings.mask_power if settings.mask == "ratio" else 1.0
    return replace(settings, group=(), two_stems=None, residual=None, mask="ratio", mask_power=power)


def stfts_for(settings: Settings, sample_rate: int) -> list[STFT]:
    """Return the lengths of frames: those of a dictionary, or what was given."""
    return lengths_of(SECONDS, settings, sample_rate)


def lengths_of(seconds: Sequence[float], settings: Settings, sample_rate: int) -> list[STFT]:
    """Return transforms with frames of about so many seconds, powers of two, or the one that was given."""
    if settings.asked(("n_fft", "hop_length")):
        return [STFT(*settings.frames(sample_rate), settings.window)]
    sizes = sorted({int(np.clip(2 ** round(np.log2(each * sample_rate)), 64, 1 << 20)) for each in seconds})
    return [STFT(size, 0, settings.window) for size in sizes]


def templates_learned(settings: Settings, sample_rate: int) -> list[tuple[int, int, int]]:
    """Return n_fft, hop_length and templates at each length of frames, if any may be learned, before any sound is."""
    if not may_bootstrap(settings):
        return []
    count = TEMPLATES * settings.components
    return [(stft.n_fft, stft.hop_length, count) for stft in stfts_for(settings, sample_rate)]


def bootstrap(
    stems: Samples,
    stfts: Sequence[STFT],
    settings: Settings,
    rounds: int,
    separate: Callable[[list[Templates]], Samples],
) -> list[Templates]:
    """Return templates of each stem at each length of frames.

    Parameters
    ----------
    stems : ndarray, shape (stems, channels, samples)
        Of an excerpt, separated as well as was possible so far.
    stfts : sequence of STFT
    settings : Settings
    rounds : int
        Times that templates are learned, at least 1.
    separate : callable
        Returns the stems of the same excerpt by some templates.
    """
    found: list[Templates] = []
    for number in range(rounds):
        if number:
            stems = separate(found)
        stems = stems[np.argsort(-np.einsum("jcn,jcn->j", stems, stems, dtype=np.float64), kind="stable")]
        found = [learned(stems, stft, settings) for stft in stfts]
    return found


def learned(stems: Samples, stft: STFT, settings: Settings) -> Templates:
    """Return TEMPLATES templates of each stem, (stems, channels, samples), from the frames in which it is loudest."""
    energies = np.stack([energies_of(stem, stft) for stem in stems])
    shares = energies / np.maximum(energies.sum(axis=0), 1e-30)
    columns = [
        _templates(stem, stft, _weights(share, energy), settings)
        for stem, share, energy in zip(stems, shares, energies, strict=True)
    ]
    owners = np.repeat(np.arange(len(stems)), [W.shape[1] for W in columns])
    return Templates(stft, np.concatenate(columns, axis=1), owners)


def _weights(share: NDArray[np.float64], energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much each frame counts for a stem; where it is hardly ever alone, those count that are next to it."""
    loud = energy > QUIET * energy.max(initial=0)
    weights = np.where(loud & (share > ALONE), np.square(share), 0.0)
    if np.count_nonzero(weights) > TEMPLATES:
        return weights
    nearest = np.argsort(-share * loud, kind="stable")[: 2 * TEMPLATES]
    weights[:] = 0
    weights[nearest] = np.maximum(share[nearest], 1e-6)
    return weights


def _templates(stem: Samples, stft: STFT, weights: NDArray[np.float64], settings: Settings) -> Matrix:
    """Return templates, (bins, any), of the frames of a stem that have a weight."""
    frames, blocks = len(weights), []
    for start in range(0, frames, BLOCK):
        chosen = np.flatnonzero(weights[start : start + BLOCK])
        if len(chosen):
            X = mean_magnitudes(stem, stft, start, min(frames, start + BLOCK))[chosen]
            blocks.append(X * weights[start + chosen, None].astype(np.float32))
    X = np.concatenate(blocks)
    count = min(TEMPLATES, len(X))
    if not X.any():
        return unit(np.ones((stft.bins, count), np.float32))
    fit = factorize(
        X.T, count, start="random", sparsity=LEARNED, max_iter=settings.at_most(ROUNDS), tol=settings.tol,
        seed=settings.seed, execution=Execution(settings.threads, ONCE),
    )  # fmt: skip
    return unit(fit.factors.W)


def energies_of(samples: Samples, stft: STFT) -> NDArray[np.float64]:
    """Return the energy of each frame of samples (channels, samples), over all channels."""
    frames = stft.n_frames(samples.shape[1])
    energies = np.empty(frames)
    for start in range(0, frames, BLOCK):
        S = stft.forward_block(samples, start, min(frames, start + BLOCK))
        energies[start : start + BLOCK] = np.einsum("ctf,ctf->t", np.abs(S), np.abs(S), dtype=np.float64)
    return energies
