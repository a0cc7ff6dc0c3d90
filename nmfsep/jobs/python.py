"""Python's entry points: separate a sound in memory or a file of any length into stems, and learn a dictionary.

`separate` returns Stems, which are made when they are asked for: as one array, or as the files that ``nmfsep split``
would write, through the same functions as it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .. import memory
from ..errors import UsageError
from ..guidance import learn as learning
from ..guidance.cue import Cue
from ..guidance.dictionary import Dictionaries, Dictionary, read
from ..guidance.excerpt_cue import Excerpts, Span
from ..guidance.guide import Guide
from ..guidance.learn import Sound
from ..models.by_name import AnyFit
from ..progress import OnProgress
from ..registry import CUES
from ..separation import pipeline
from ..separation.mixture import Mixture
from ..separation.options import require_model
from ..settings.commands import LearnSettings, OutputSettings
from ..settings.separation import Settings, with_preset_defaults
from ..signal.audio import Audio, Samples, at_rate, common_rate
from ..signal.read import Source
from ..signal.stream import Stream
from .plan import check_source, plan
from .run_options import RunOptions
from .track import separate_file

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Stems:
    """The stems of a sound, made when they are asked for.

    Parameters
    ----------
    sound : Audio or str
        In memory, or the path of its file.
    settings : Settings
    guide : Guide, optional
        What is known of the stems.
    span : mapping
        `offset` and `duration` in seconds, where only a part of a file is separated.
    limit : int, optional
        Bytes of memory that may be taken; three quarters of what is free if not given.
    on_progress : callable, optional
        Called as on_progress(iteration, loss); a true result stops the fit.
    """

    sound: Audio | str
    settings: Settings
    guide: Guide | None = None
    span: Mapping[str, Any] | None = None
    limit: int | None = None
    on_progress: OnProgress | None = None

    @property
    def samples(self) -> Samples:
        """All stems in memory, shape (stems, channels, samples), float32; they add up to the mixture."""
        return self._rendered[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each stem: loudest first, or in the order of a guide's labels."""
        return self._rendered[1]

    @property
    def sample_rate(self) -> int:
        """Hertz."""
        return self._rendered[2]

    @property
    def fits(self) -> tuple[AnyFit, ...]:
        """Fit, ConvolutiveFit or DeepFit: one, or one for each channel or length of frames that is fitted alone."""
        return self._rendered[3]

    def write(self, folder: AnyPath, **output: Any) -> list[Path]:
        """Write the stems of a file and their manifest, byte for byte as ``nmfsep split`` does.

        Parameters
        ----------
        folder : path
            They go below it, by default as ``{track}/{stem}.wav``.
        **output
            Fields of OutputSettings: `format`, `subtype`, `filename`, `only`, `save_model`, `force` and so on.

        Returns
        -------
        list of Path
            The stems and exports.

        Raises
        ------
        UsageError
            The sound is in memory, so that no manifest could name its file, or the options make no sense.
        InputError
            The file cannot be separated.
        OutputError
            A stem cannot be written; none was then.
        """
        if isinstance(self.sound, Audio):
            raise UsageError("sound in memory has no file for the manifest to name", "give separate a path")
        where = OutputSettings(**{"out": os.fspath(folder), **(self.span or {}), **output})
        options = RunOptions(self.settings, where, self.guide, limit=self.limit, debug=True)
        (job,) = plan([self.sound], options)
        manifest = separate_file(job, options, self.on_progress).result()
        return list(job.as_written(manifest).results)

    @cached_property
    def _rendered(self) -> tuple[Samples, tuple[str, ...], int, tuple[AnyFit, ...]]:
        """Samples, names, sample rate and fits."""
        if isinstance(self.sound, Audio):
            return self._render(self.sound)
        where = OutputSettings(out="-", **(self.span or {}))
        options = RunOptions(self.settings, where, self.guide, limit=self.limit)
        (job,) = plan([self.sound], options)
        with Source(self.sound) as source:
            _, way = check_source(job, source, options)
            begin = source.stretch(where.offset)[0] / source.sample_rate
            if way.streamed:
                return self._render(Stream(source, where.offset, where.duration), begin, way.frames)
            return self._render(source.read(where.offset, where.duration), begin, match=way.match)

    def _render(
        self, mixture: Mixture, begin: float = 0.0, frames: int | None = None, match: bool = True
    ) -> tuple[Samples, tuple[str, ...], int, tuple[AnyFit, ...]]:
        model, pieces = pipeline.separate(
            mixture, self.settings, self.guide, begin=begin, frames=frames, match=match, on_progress=self.on_progress
        )
        samples = np.concatenate(list(pieces), axis=-1)
        return samples, model.names, mixture.sample_rate, model.fits


def separate(
    sound: Audio | AnyPath,
    components: int | None = None,
    *,
    dictionary: Dictionary | AnyPath | Sequence[Dictionary | AnyPath] | None = None,
    learn: Mapping[str, Sequence[Span]] | None = None,
    midi: AnyPath | Mapping[str, AnyPath] | None = None,
    labels: AnyPath | Sequence[AnyPath] | None = None,
    offset: float | None = None,
    duration: float | None = None,
    max_memory: int | str | None = None,
    callback: OnProgress | None = None,
    **settings: Any,
) -> Stems:
    """Separate a mixture into stems.

    Parameters
    ----------
    sound : Audio or path
        Sound in memory is separated now. A file is checked now and separated when its stems are asked for; one that
        memory does not hold is read a part at a time.
    components : int, optional
        Stems wanted; 2 if not given. With `levels`, those of the level; with guidance, its labels.
    dictionary : Dictionary, path, or sequence of them, optional
        Templates learned before; `free` and `adapt` then have a meaning.
    learn : mapping of str to sequence of (float, float), optional
        For each sound the excerpts of the mixture in which it is alone, begin and end in seconds: it is learned there.
        With one sound the rest is the stem "residual".
    midi : path, or mapping of str to path, optional
        A MIDI file whose tracks or, with midi_by="pitch", pitches are stems, or one for each stem.
    labels : path or sequence of path, optional
        Label tracks of Audacity: when, and between which frequencies, sounds are heard.
    offset, duration : float, optional
        Seconds of a file to separate; all of it if not given.
    max_memory : int or str, optional
        Bytes that a file may take, such as "300M"; three quarters of what is free if not given.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit. While atoms are found and grouped, which
        nothing stops, iterations are shares of max_iter.
    **settings
        Fields of Settings. What is given counts as given, also at its default: `max_iter=200` holds where atoms are
        grouped, too, for which 60 is the default.

    Returns
    -------
    Stems

    Examples
    --------
    >>> nmfsep.separate("long.wav", 2, max_memory="300M").write("out")        # doctest: +SKIP
    """
    span = {"offset": offset, "duration": duration}
    asked: dict[str, Any] = {name: seconds for name, seconds in span.items() if seconds is not None}
    if isinstance(sound, Audio) and (asked or max_memory is not None):
        raise UsageError("offset, duration and max_memory are for files", "give a path, or cut the samples")
    limit = memory.parse_size(max_memory) if isinstance(max_memory, str) else max_memory
    if limit is None and max_memory is not None:
        raise UsageError(f"max_memory {max_memory!r} is not a size", "give such as 800M or 2G")
    cues = _cues(dictionary, learn, midi, labels, settings)
    guide = Guide(tuple(cues), {"components": components, **settings}) if cues else None
    if guide is not None:
        chosen = guide.settings()
    elif "match" in settings:
        raise UsageError("match means something with a dictionary only", "leave it out")
    else:
        chosen = Settings(
            components=2 if components is None else components, given=settings, **with_preset_defaults(settings)
        )
        require_model(chosen)
    if isinstance(sound, Audio):
        if guide is not None:
            guide.check(sound.sample_rate, chosen, 0.0, sound.duration)
        stems = Stems(sound, chosen, guide, on_progress=callback)
        stems._rendered  # noqa: B018 - what is wrong is raised here, as it always was
        return stems
    path = os.fspath(sound)
    plan([path], RunOptions(chosen, OutputSettings(out="-", **asked), guide))
    return Stems(path, chosen, guide, asked, limit, callback)


def _cues(
    dictionary: Dictionary | AnyPath | Sequence[Dictionary | AnyPath] | None,
    learn: Mapping[str, Sequence[Span]] | None,
    midi: AnyPath | Mapping[str, AnyPath] | None,
    labels: AnyPath | Sequence[AnyPath] | None,
    settings: Mapping[str, Any],
) -> list[Cue]:
    """Return the cues that arguments stand for, in the order of the registry."""
    cues: list[Cue] = []
    if dictionary is not None:
        kits = [dictionary] if isinstance(dictionary, (Dictionary, str, os.PathLike)) else list(dictionary)
        paths = [os.fspath(kit) for kit in kits if not isinstance(kit, Dictionary)]
        if len(paths) == len(kits):
            cues.append(Dictionaries.read(paths, settings))
        else:
            cues.append(Dictionaries(tuple(kit if isinstance(kit, Dictionary) else read(kit) for kit in kits)))
    if learn is not None:
        cues.append(Excerpts(learn))
    if midi is not None:
        files = {"": midi} if isinstance(midi, (str, os.PathLike)) else midi
        texts = [f"{name}={os.fspath(path)}" if name else os.fspath(path) for name, path in files.items()]
        cues.append(CUES.load("midi").read(texts, settings))
    if labels is not None:
        texts = [os.fspath(path) for path in ([labels] if isinstance(labels, (str, os.PathLike)) else labels)]
        cues.append(CUES.load("labels").read(texts, settings))
    return cues


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
