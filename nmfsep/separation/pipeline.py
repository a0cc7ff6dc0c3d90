"""The lecture's pipeline: magnitude spectrogram, X ≈ W Z, a mask for each component, and back to sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..nmf.factorize import factorize
from ..nmf.factors import Factors, Matrix
from ..nmf.fit import Callback, Fit
from ..nmf.kernels.choose import ONCE
from ..nmf.kernels.workers import Workers
from ..registry import MASKS, SOUND_STARTS
from ..settings import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import BLOCK, STFT
from .stems import Model, render, with_power


@dataclass(frozen=True, slots=True)
class Stems:
    """Separated sound.

    Attributes
    ----------
    samples : ndarray, shape (stems, channels, samples), float32
        They add up to the mixture.
    names : tuple of str
    sample_rate : int
        Hertz.
    fits : tuple of Fit
        One, or one for each channel where channels are independent.
    """

    samples: Samples
    names: tuple[str, ...]
    sample_rate: int
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True)
class Separation:
    """What was learned from a mixture: enough to render its stems.

    Attributes
    ----------
    settings : Settings
    stft : STFT
    fits : tuple of Fit
        One, or one for each channel.
    model : Model
        Stems in order of energy, loudest first.
    """

    settings: Settings
    stft: STFT
    fits: tuple[Fit, ...]
    model: Model

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each stem."""
        names = [f"component-{index + 1}" for index in range(self.settings.components)]
        return (*names, self.settings.residual) if self.settings.residual else tuple(names)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, each once."""
        return tuple(dict.fromkeys(warning for fit in self.fits for warning in fit.warnings))

    def render(self, audio: Audio) -> Iterator[Samples]:
        """Yield consecutive pieces of the stems, (stems, channels, samples), of the mixture learned from."""
        mask = with_power(MASKS.load(self.settings.mask), self.settings.mask_power)
        with Workers(self.settings.threads) as workers:
            yield from render(audio.samples, self.stft, self.model, mask, workers)


def separate(audio: Audio, components: int = 2, *, callback: Callback | None = None, **settings: Any) -> Stems:
    """Separate a mixture into stems in memory.

    Parameters
    ----------
    audio : Audio
    components : int, default 2
        Stems wanted.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    **settings
        Fields of Settings.

    Returns
    -------
    Stems
        Loudest first.
    """
    separation = analyse(audio, Settings(components=components, **settings), callback)
    samples = np.concatenate(list(separation.render(audio)), axis=-1)
    return Stems(samples, separation.names, audio.sample_rate, separation.fits)


def analyse(audio: Audio, settings: Settings, callback: Callback | None = None) -> Separation:
    """Learn the model of a mixture.

    Parameters
    ----------
    audio : Audio
    settings : Settings
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.

    Returns
    -------
    Separation
    """
    stft = STFT(settings.n_fft, settings.hop, settings.window)
    fits: list[Fit] = []
    factors: list[Factors] = []
    for samples in _views(audio.samples, settings.channels):
        X, scale = magnitudes(samples, stft, settings.threads)
        begin, start = None, settings.start
        if start in SOUND_STARTS:
            frequencies = np.fft.rfftfreq(stft.n_fft, 1 / audio.sample_rate)
            rng = np.random.default_rng(settings.seed)
            begin, start = SOUND_STARTS.load(start)(X.T, settings.components, rng, frequencies), "auto"
        fit = factorize(
            X,
            settings.components,
            W=None if begin is None else begin.W,
            Z=None if begin is None else begin.Z,
            divergence=settings.divergence,
            solver=settings.solver,
            start=start,
            restarts=settings.restarts,
            sparsity=settings.sparsity,
            smoothness=settings.smoothness,
            max_iter=settings.max_iter,
            tol=settings.tol,
            time_limit=settings.time_limit,
            seed=settings.seed,
            threads=settings.threads,
            callback=callback,
            compiled_from=ONCE,
        )
        fits.append(fit)
        W, Z = fit.factors.W, fit.factors.Z * scale
        order = np.argsort(-fit.factors.energies(), kind="stable")  # loudest first
        factors += [Factors(w, Z).select(order) for w in np.split(W, len(samples))]
    groups = [[component] for component in range(settings.components)]
    return Separation(settings, stft, tuple(fits), Model(factors, groups, settings.residual is not None))


def magnitudes(samples: Samples, stft: STFT, threads: int | None = None) -> tuple[Matrix, np.float32]:
    """Return X / scale, and scale.

    X holds the channels' magnitudes one above the other, (channels * bins, frames), so that channels share Z and each
    has its own part of W: where a component lies between the channels is learned with it. The scale is the power of
    two that `factorize` would divide out, so that it need not copy X; it is in Fortran order for the same reason.
    """
    channels, length = samples.shape
    frames = stft.n_frames(length)
    Xt = np.empty((frames, channels, stft.bins), np.float32)

    def fill(start: int) -> float:
        block = Xt[start : start + BLOCK]
        np.abs(stft.forward_block(samples, start, start + len(block)).swapaxes(0, 1), out=block)
        return float(block.sum(dtype=np.float64))

    with Workers(threads) as workers:
        total = sum(workers.map(fill, range(0, frames, BLOCK)))
    scale = np.float32(2.0 ** np.frexp(total / Xt.size)[1] if total > 0 else 1)
    if scale != 1:
        Xt /= scale
    return Xt.reshape(frames, -1).T, scale


def _views(samples: Samples, mode: str) -> list[Samples]:
    """Return what is factorized on its own: all channels together, their mean, or each channel."""
    if mode == "independent":
        return list(samples[:, None])
    return [samples.mean(axis=0, keepdims=True)] if mode == "mid" else [samples]
