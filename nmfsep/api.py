"""Python's entry points: separate a sound in memory or a file of any length into stems, and learn a dictionary.

`separate` returns Stems, which are made when they are asked for: as one array, or as the files that ``nmfsep split``
would write, through the same functions as it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from . import memory
from .analysis.evaluate import Evaluation, evaluate as compare
from .analysis.inspect import Inspection, Ranking, describe_sound, rank_components
from .detection.calibrate import calibrated
from .errors import UsageError
from .guidance import learn as learning
from .guidance.dictionary import Dictionary
from .guidance.guide import Guide
from .jobs.inputs import stem_files
from .jobs.plan import check_source, plan
from .jobs.run_options import RunOptions
from .jobs.track import separate_file
from .models.by_name import AnyFit
from .progress import OnProgress
from .registry import CUES, suggestion
from .results.inspect import COUNTS, inspect_separated, inspect_sound, kind_of, rank_sound
from .separation import pipeline
from .separation.mixture import Mixture
from .separation.obstacles import require_model
from .settings.commands import EvaluationSettings, LearnSettings, OutputSettings
from .settings.separation import Settings, with_preset_defaults
from .signal.audio import Audio, Samples, at_rate, common_rate, players
from .signal.read import Source
from .signal.stream import Stream

AUTO = "auto"  # components that are counted


@dataclass(frozen=True, eq=False)
class Stems(Mapping[str, Audio]):
    """The stems of a sound by their names, made when they are asked for: ``stems["kick"]`` is Audio.

    Parameters
    ----------
    sound : Audio or str
        In memory, or the path of its file.
    options : RunOptions
        Settings, what is known of the stems, the part of a file that is separated, and the memory that may be taken.
    on_progress : callable, optional
        Called as on_progress(iteration, loss); a true result stops the fit.
    """

    sound: Audio | str
    options: RunOptions
    on_progress: OnProgress | None = None

    def __getitem__(self, name: str) -> Audio:
        try:
            index = self.names.index(name)
        except ValueError:
            raise KeyError(f"{name!r} is no stem; {suggestion(str(name), list(self.names))}") from None
        return Audio(self.samples[index], self.sample_rate)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """Return the names in a line, without separating anything."""
        sound = repr(self.sound) if isinstance(self.sound, Audio) else os.path.basename(self.sound)
        names = self.names if "_rendered" in vars(self) else self.options.stem_names
        return f"Stems({', '.join(names)} of {sound})"

    def _repr_html_(self) -> str:
        """Return a player for each stem, which notebooks show."""
        return players(self)

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

    def write(self, folder: str | os.PathLike[str], **output: Any) -> list[Path]:
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
            The stems, exports and report.

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
        where = replace(self.options.output, **{"out": os.fspath(folder), **output})
        options = replace(self.options, output=where, debug=True)
        (job,) = plan([self.sound], options)
        outcome = separate_file(job, options, self.on_progress)
        if where.report:
            from .results.report import with_report  # which loads what few runs need

            outcome = with_report(job, outcome, options)
        manifest = outcome.result()
        return list(job.as_written(manifest).results)

    @cached_property
    def _rendered(self) -> tuple[Samples, tuple[str, ...], int, tuple[AnyFit, ...]]:
        """Samples, names, sample rate and fits."""
        if isinstance(self.sound, Audio):
            return self._render(self.sound)
        output = self.options.output
        (job,) = plan([self.sound], self.options)
        with Source(self.sound) as source:
            _, way = check_source(job, source, self.options)
            begin = source.stretch(output.offset)[0] / source.sample_rate
            if way.streamed:
                return self._render(Stream(source, output.offset, output.duration), begin, way.frames)
            return self._render(source.read(output.offset, output.duration), begin, match=way.match)

    def _render(
        self, mixture: Mixture, begin: float = 0.0, frames: int | None = None, match: bool = True
    ) -> tuple[Samples, tuple[str, ...], int, tuple[AnyFit, ...]]:
        settings, guide = self.options.settings, self.options.guide
        model, pieces = pipeline.separate(
            mixture, settings, guide, begin=begin, frames=frames, match=match, on_progress=self.on_progress
        )
        samples = np.concatenate(list(pieces), axis=-1)
        return samples, model.names, mixture.sample_rate, model.fits


def separate(
    sound: Audio | str | os.PathLike[str],
    components: int | str | None = None,
    *,
    offset: float | None = None,
    duration: float | None = None,
    max_memory: int | str | None = None,
    callback: OnProgress | None = None,
    **options: Any,
) -> Stems:
    """Separate a mixture into stems.

    Parameters
    ----------
    sound : Audio or path
        Sound in memory is separated now. A file is checked now and separated when its stems are asked for; one that
        memory does not hold is read a part at a time.
    components : int or "auto", optional
        Stems wanted; 2 if not given. With `levels`, those of the level; with guidance, its labels. "auto" counts what
        recurs, as `rank` does, before anything is separated.
    offset, duration : float, optional
        Seconds of a file to separate; all of it if not given.
    max_memory : int or str, optional
        Bytes that a file may take, such as "300M"; three quarters of what is free if not given.
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit. While atoms are found and grouped, which
        nothing stops, iterations are shares of max_iter.
    **options
        What is known of the stems, by the names of the options of ``nmfsep split``:

        - dictionary : Dictionary, path, or sequence of them. Templates learned before; `free` and `adapt` then have a
          meaning.
        - learn : mapping of str to sequence of (float, float). For each sound the excerpts of the mixture in which it
          is alone, begin and end in seconds: it is learned there. With one sound the rest is the stem "residual".
        - midi : path, or mapping of str to path. A MIDI file whose tracks or, with midi_by="pitch", pitches are stems,
          or one for each stem.
        - labels : path or sequence of path. Label tracks of Audacity: when, and between which frequencies, sounds are
          heard.

        All others are fields of Settings. What is given counts as given, also at its default: `max_iter=200` holds
        where atoms are grouped, too, for which 60 is the default.

    Returns
    -------
    Stems

    Examples
    --------
    >>> nmfsep.separate("long.wav", 2, max_memory="300M").write("out")        # doctest: +SKIP
    """
    if isinstance(sound, Audio) and any(value is not None for value in (offset, duration, max_memory)):
        raise UsageError("offset, duration and max_memory are for files", "give a path, or cut the samples")
    limit = _bytes(max_memory)
    known = {name: options.pop(name, None) for name in CUES}
    cues = [CUES.load(name).of(value, options) for name, value in known.items() if value is not None]
    guide = Guide(tuple(cues), {"components": components, **options}) if cues else None
    output = OutputSettings(out="-", offset=0.0 if offset is None else offset, duration=duration)
    if components == AUTO:
        if guide is not None or {"preset", "levels", "model"} & set(options):
            raise UsageError(
                "components='auto' counts the components of model nmf", "leave it out, or what names stems"
            )
        components = max(2, _ranking(sound, COUNTS, output, limit, options).recommended)
        if not {"atoms", "grouping"} & set(options):
            options["atoms"] = 1  # what is counted are components of one template
    if guide is not None:
        settings = guide.settings()
    else:
        count = 2 if components is None else int(components)
        settings = Settings(components=count, given=options, **with_preset_defaults(options))
        require_model(settings)
    run = RunOptions(settings, output, guide, limit=limit)
    if isinstance(sound, Audio):
        if guide is not None:
            guide.check(sound.sample_rate, settings, 0.0, sound.duration)
        stems = Stems(sound, run, callback)
        stems._rendered  # noqa: B018 - what is wrong is raised here, as it always was
        return stems
    path = os.fspath(sound)
    plan([path], run)
    return Stems(path, run, callback)


def rank(
    sound: Audio | str | os.PathLike[str],
    counts: Sequence[int] = COUNTS,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    max_memory: int | str | None = None,
    **options: Any,
) -> Ranking:
    """Count the components of a sound, as ``nmfsep rank`` does.

    Parameters
    ----------
    sound : Audio or path
    counts : sequence of int, default 2 to 10
        Numbers to try.
    offset, duration, max_memory
        Of a file, as for `separate`.
    **options
        Fields of Settings: `seed`, `n_fft`, `hop_length`, `window` and `threads`.

    Returns
    -------
    Ranking
        `recommended` is the number, `evidence` has what speaks for each.

    Raises
    ------
    UsageError
        The sound is silent, too short, or too long for the memory.
    InputError
        The file cannot be read.
    """
    return _ranking(sound, counts, OutputSettings(offset=offset, duration=duration), _bytes(max_memory), options)


def inspect(
    sound: Audio | str | os.PathLike[str],
    components: int | None = None,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    max_memory: int | str | None = None,
    **options: Any,
) -> Inspection:
    """Describe what is in a sound, or the stems of one, as ``nmfsep inspect`` does.

    Parameters
    ----------
    sound : Audio or path
        A sound, or the folder or manifest of a separation.
    components : int, optional
        Components to look for in a sound.
    offset, duration, max_memory
        Of a file, as for `separate`.
    **options
        Fields of Settings.

    Returns
    -------
    Inspection
        `components` has name, pitch, onsets, energy and centroid of each; W and Z are what they were found in.

    Raises
    ------
    UsageError
        Components are not said of a sound, or the folder has more than one separation.
    InputError
        A file cannot be read.
    """
    limit = _bytes(max_memory)
    if not isinstance(sound, Audio) and kind_of(os.fspath(sound)) == "separation":
        found = inspect_separated(os.fspath(sound), limit)
        if len(found) > 1:
            raise UsageError(f"holds {len(found)} separations", "name the folder or manifest of one", sound)
        return found[0]
    if components is None and "levels" not in options:
        raise UsageError("how many components is not said", "give components=4")
    count = {} if components is None else {"components": components}
    settings = Settings(**{"atoms": 1} | count | options, given=options)
    if isinstance(sound, Audio):
        return describe_sound("", sound, settings)
    stretch = OutputSettings(offset=offset, duration=duration)
    return inspect_sound(os.fspath(sound), settings, stretch, limit)


def evaluate(
    references: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    estimates: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    mixture: str | os.PathLike[str] | None = None,
    *,
    max_memory: int | str | None = None,
    **options: Any,
) -> Evaluation:
    """Compare separated stems with the true ones, as ``nmfsep evaluate`` does.

    Parameters
    ----------
    references, estimates : path or sequence of path
        Audio files, or folders of them.
    mixture : path, optional
        What gains are measured from; the sum of the true stems if not given.
    max_memory : int or str, optional
        Bytes that it may take.
    **options
        Fields of EvaluationSettings: `match`, `filter_length`, `trim`, `oracle`.

    Returns
    -------
    Evaluation
        `mean` and `rows` have SI-SDR, SDR, SIR, SAR, SNR and gains in dB; `bleed` how much of each is in each.

    Raises
    ------
    UsageError
        Files do not go together, or no names match.
    InputError
        A file cannot be read.
    """
    mix = None if mixture is None else os.fspath(mixture)
    both = ([each] if isinstance(each, (str, os.PathLike)) else each for each in (references, estimates))
    stems, found = (stem_files([os.fspath(path) for path in paths], mix) for paths in both)
    return compare(stems, found, mix, EvaluationSettings(**options), limit=_bytes(max_memory))


def _bytes(size: int | str | None) -> int | None:
    """Return a size in bytes; None where none is given."""
    found = memory.parse_size(size) if isinstance(size, str) else size
    if found is None and size is not None:
        raise UsageError(f"max_memory {size!r} is not a size", "give such as 800M or 1.5G")
    return found


def _ranking(
    sound: Audio | str | os.PathLike[str],
    counts: Sequence[int],
    stretch: OutputSettings,
    limit: int | None,
    options: Mapping[str, Any],
) -> Ranking:
    settings = Settings(**options, given=options)
    if isinstance(sound, Audio):
        return rank_components("", sound, settings, counts)
    return rank_sound(os.fspath(sound), settings, stretch, counts, limit)


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

    def sound(audio: Audio) -> learning.Sound:
        return learning.Sound(hashlib.sha256(audio.samples.tobytes()).hexdigest(), lambda: at_rate(audio, rate))

    found = {label: [sound(audio) for audio in group] for label, group in groups.items()}
    return calibrated(learning.learn(found, rate, chosen), found, chosen.threads)
