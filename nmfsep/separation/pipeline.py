"""The lecture's pipeline: magnitude spectrogram, X ≈ W Z, a mask for each component, and back to sound."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..nmf.factorize import factorize
from ..nmf.factors import Factors
from ..nmf.fit import Callback, Fit
from ..nmf.kernels.choose import ONCE
from ..registry import SOUND_STARTS
from ..settings import LearnSettings, Settings
from ..signal.audio import Audio, Samples
from ..signal.rate import common_rate, mono_at
from ..signal.stft import STFT
from . import learning
from .dictionary import Dictionary
from .guided import Guide, analyse_guided
from .learning import Sound
from .result import Separation
from .spectra import magnitudes, views
from .stems import Model


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


def separate(
    audio: Audio,
    components: int | None = None,
    *,
    dictionary: Dictionary | Sequence[Dictionary] | None = None,
    callback: Callback | None = None,
    **settings: Any,
) -> Stems:
    """Separate a mixture into stems in memory.

    Parameters
    ----------
    audio : Audio
    components : int, optional
        Stems wanted; 2 if not given. With a dictionary, its labels are the stems.
    dictionary : Dictionary or sequence of Dictionary, optional
        Templates learned before; `free` and `adapt` then have a meaning.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    **settings
        Fields of Settings.

    Returns
    -------
    Stems
        Loudest first, or, with a dictionary, in the order of its labels.
    """
    if dictionary is None:
        separation = analyse(audio, Settings(components=2 if components is None else components, **settings), callback)
    else:
        guide = Guide((dictionary,) if isinstance(dictionary, Dictionary) else tuple(dictionary))
        separation = analyse_guided(audio, guide.settings({"components": components, **settings}), guide, callback)
    samples = np.concatenate(list(separation.render(audio)), axis=-1)
    return Stems(samples, separation.names, audio.sample_rate, separation.fits)


def learn(sounds: Mapping[str, Audio | Sequence[Audio]], **settings: Any) -> Dictionary:
    """Learn templates of named sounds from recordings of them alone, for `separate`.

    Parameters
    ----------
    sounds : mapping of str to Audio or sequence of Audio
        By label. Of several rates the most frequent is taken, if `sample_rate` does not say another; channels are mixed
        down.
    **settings
        Fields of LearnSettings.

    Returns
    -------
    Dictionary
    """
    chosen = LearnSettings(**settings)
    groups = {label: [group] if isinstance(group, Audio) else list(group) for label, group in sounds.items()}
    if not all(groups.values()) or not groups:
        raise UsageError("every label needs a sound to learn from")
    rate = chosen.sample_rate or common_rate(audio.sample_rate for group in groups.values() for audio in group)

    def sound(audio: Audio) -> Sound:
        return Sound(hashlib.sha256(audio.samples.tobytes()).hexdigest(), lambda: mono_at(audio, rate))

    return learning.learn({label: [sound(audio) for audio in group] for label, group in groups.items()}, rate, chosen)


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
    for samples in views(audio.samples, settings.channels):
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
    return Separation(settings, stft, tuple(fits), Model(factors, groups))
