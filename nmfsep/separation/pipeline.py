"""The lecture's pipeline: magnitude spectrogram, X ≈ W Z, a mask for each component, and back to sound."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..nmf.factors import Factors
from ..nmf.fit import Callback
from ..nmf.models import AnyFit, fit_model
from ..registry import PRESETS
from ..settings import LearnSettings, Settings
from ..signal.audio import Audio, Samples
from ..signal.rate import common_rate, mono_at
from ..signal.stft import STFT
from . import learning
from .atoms import Grouped, find, may_group
from .dictionary import Dictionary
from .guided import Guide, analyse_guided
from .learning import Sound
from .modelling import options, require_model
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
    fits : tuple of Fit, ConvolutiveFit or DeepFit
        One, or one for each channel where channels are independent.
    """

    samples: Samples
    names: tuple[str, ...]
    sample_rate: int
    fits: tuple[AnyFit, ...]


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
        Stems wanted; 2 if not given. With `levels`, those of the level; with a dictionary, its labels.
    dictionary : Dictionary or sequence of Dictionary, optional
        Templates learned before; `free` and `adapt` then have a meaning.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit. Where atoms are grouped, once at the end.
    **settings
        Fields of Settings.

    Returns
    -------
    Stems
        Loudest first, or, with a dictionary, in the order of its labels.
    """
    if dictionary is None:
        chosen = Settings(components=2 if components is None else components, **settings)
        require_model(chosen)
        separation = analyse(audio, chosen, callback)
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
        Called as callback(iteration, loss); a true result stops the fit. Where atoms are grouped, once at the end.

    Returns
    -------
    Separation
    """
    stft = STFT(settings.n_fft, settings.hop, settings.window)
    frequencies = stft.frequencies(audio.sample_rate)
    fits: list[AnyFit] = []
    factors: list[Factors] = []
    groups: list[list[int]] = []
    choice = None
    for samples in views(audio.samples, settings.channels):
        X, scale = magnitudes(samples, stft, settings.threads)
        if settings.preset or may_group(settings):
            grouped: Grouped | None
            if settings.preset:
                grouped = PRESETS.load(settings.preset)(X, stft, audio.sample_rate, settings)
            else:
                choice, grouped = find(X, stft, audio.sample_rate, settings)
            if grouped is not None:
                if callback is not None:
                    callback(grouped.fit.n_iter, grouped.fit.losses[-1])
                Z = grouped.fit.factors.Z * scale
                model = Model([Factors(each.W, Z) for each in grouped.factors], grouped.groups)
                return Separation(settings, stft, (grouped.fit,), model, choice=choice)
        told = options(settings, X, frequencies)
        fit = fit_model(settings.model, X, settings.parts, callback=callback, **told).ordered()
        fits.append(fit)
        whole, groups = fit.parts(settings.level)
        W, Z = (np.abs(factor).astype(np.float32, copy=False) for factor in (whole.W, whole.Z))
        factors += [Factors(w, Z * scale) for w in np.split(W, len(samples))]
    return Separation(settings, stft, tuple(fits), Model(factors, groups), notes=_notes(fits, groups), choice=choice)


def _notes(fits: Sequence[AnyFit], groups: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Return what the user should know about a model whose parts need not be masks, or need not have any."""
    notes = []
    if any(min(float(fit.factors.W.min()), float(fit.factors.Z.min())) < 0 for fit in fits):
        notes.append("parts of this model can be negative and cancel; the masks go by how large they are")
    if empty := [str(k + 1) for k, group in enumerate(groups) if not group]:
        notes.append(f"nothing of the finest level belongs most to component {' or '.join(empty)}, which is silent")
    return tuple(notes)
