"""Separating and learning from Python: sounds in memory, with what is known of them as arguments."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError
from ..guidance import learn as learning
from ..guidance.cue import Cue
from ..guidance.dictionary import Dictionary
from ..guidance.dictionary_cue import Dictionaries
from ..guidance.excerpt_cue import Span, Stretches
from ..guidance.guide import Guide
from ..guidance.learn import Sound
from ..models.by_name import AnyFit
from ..progress import Told
from ..registry import CUES
from ..settings.commands import LearnSettings
from ..settings.separation import Settings, with_preset_defaults
from ..signal.audio import Audio, Samples, at_rate, common_rate
from .options import require_model
from .pipeline import analyse


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
    learn: Mapping[str, Sequence[Span]] | None = None,
    midi: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] | None = None,
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    callback: Told | None = None,
    **settings: Any,
) -> Stems:
    """Separate a mixture into stems in memory.

    Parameters
    ----------
    audio : Audio
    components : int, optional
        Stems wanted; 2 if not given. With `levels`, those of the level; with guidance, its labels.
    dictionary : Dictionary or sequence of Dictionary, optional
        Templates learned before; `free` and `adapt` then have a meaning.
    learn : mapping of str to sequence of (float, float), optional
        Of each sound the stretches of the mixture in which it is alone, begin and end in seconds: it is learned there.
        With one sound the rest is the stem "residual".
    midi : path, or mapping of str to path, optional
        A MIDI file whose tracks or, with midi_by="pitch", pitches are stems, or one for each stem.
    labels : path or sequence of path, optional
        Label tracks of Audacity: when, and between which frequencies, sounds are heard.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit. While atoms are found and grouped, which
        nothing stops, iterations are shares of max_iter.
    **settings
        Fields of Settings. What is given counts as given, also at its default: `max_iter=200` holds where atoms are
        grouped, too, for which 60 is the default.

    Returns
    -------
    Stems
        Loudest first, or, with guidance, in the order of its labels.
    """
    cues: list[Cue] = []
    if dictionary is not None:
        cues.append(Dictionaries((dictionary,) if isinstance(dictionary, Dictionary) else tuple(dictionary)))
    if learn is not None:
        cues.append(Stretches(learn))
    if midi is not None:
        files = {"": midi} if isinstance(midi, (str, os.PathLike)) else midi
        texts = [f"{name}={os.fspath(path)}" if name else os.fspath(path) for name, path in files.items()]
        cues.append(CUES.load("midi").read(texts, settings))
    if labels is not None:
        texts = [os.fspath(path) for path in ([labels] if isinstance(labels, (str, os.PathLike)) else labels)]
        cues.append(CUES.load("labels").read(texts, settings))
    if not cues:
        chosen = Settings(
            components=2 if components is None else components, given=settings, **with_preset_defaults(settings)
        )
        require_model(chosen)
        model = analyse(audio, chosen, callback=callback)
    else:
        guide = Guide(tuple(cues), {"components": components, **settings})
        chosen = guide.settings()
        guide.check(audio.sample_rate, chosen, 0.0, audio.length / audio.sample_rate)
        model = analyse(audio, chosen, guide, callback=callback)
    samples = np.concatenate(list(model.render(audio)), axis=-1)
    return Stems(samples, model.names, audio.sample_rate, model.fits)


def learn(sounds: Mapping[str, Audio | Sequence[Audio]], **settings: Any) -> Dictionary:
    """Learn templates of named sounds from recordings of them alone, for `separate`.

    Parameters
    ----------
    sounds : mapping of str to Audio or sequence of Audio
        By label. Of several rates the most frequent is taken, if `sample_rate` does not say another; of several
        channels the mean magnitudes count.
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
        return Sound(hashlib.sha256(audio.samples.tobytes()).hexdigest(), lambda: at_rate(audio, rate))

    return learning.learn({label: [sound(audio) for audio in group] for label, group in groups.items()}, rate, chosen)
