"""A corpus of isolated sounds in files, learned into a dictionary file.

Arguments NAME=FILE go in, and settings; a dictionary in its file comes out. What can be wrong with the target is found
first; then the files are looked at, read once to their end, and learned from, in this process, in several, or at a
cluster. A file that cannot be read is left out if its label has others.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import NmfsepError, UsageError
from ..files.publish import folder_is_writable
from ..guidance import dictionary
from ..guidance import learn as learning
from ..guidance.dictionary import Dictionary
from ..guidance.learn import Executor, Here
from ..settings.commands import LearnSettings
from ..signal.audio import common_rate
from .batch import Report, no_report, workers
from .inputs import labelled
from .recordings import conversions, listen, look_at, provenance
from .safety import identities

MODULES = ("nmfsep.jobs.recordings",)  # what a process loads before its first file
Progress = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned."""

    dictionary: Dictionary  # as written, with what was in it before
    new: Dictionary  # the labels learned now
    files: Mapping[str, int]  # that each label was learned from
    left_out: tuple[NmfsepError, ...]  # what is wrong with files that cannot be read
    lost: tuple[str, ...]  # labels of the dictionary that was replaced and that the new one lacks


def learn_files(
    arguments: Sequence[str],
    target: Path,
    settings: LearnSettings | None = None,
    *,
    append: bool = False,
    force: bool = False,
    processes: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int], AbstractContextManager[Progress | None]] | None = None,
    report: Report = no_report,
) -> Learned:
    """Learn templates from files of isolated sounds and write them to a dictionary file.

    Parameters
    ----------
    arguments : sequence of str
        NAME=FILE, or FILE for one more of the label before; FILE may be a folder or a pattern.
    target : Path
        The dictionary (.npz).
    settings : LearnSettings, optional
    append : bool, default False
        Whether labels are added to the dictionary that is there, whose frames, rate and divergence they get.
    force : bool, default False
        Whether a file that is no dictionary may be replaced.
    processes : int, default 1
        Sounds at a time, each in a process of its own; 0 is one for each core.
    scheduler : str, optional
        Address of a Dask scheduler, instead of processes.
    progress : callable, optional
        Called with the number of steps; what it returns is entered for something that is called with the steps done.
    report : callable, optional
        Called as report(path, text) with what the user should know; the path is None where it is about all files.

    Raises
    ------
    UsageError
        The target cannot be written or would be lost, a label is given no file or is there already, or settings
        contradict the dictionary that is added to.
    InputError
        A label has no file that can be read.
    """
    settings = settings or LearnSettings()
    left_out, notes = list[NmfsepError](), list[str]()
    paths = labelled(arguments, left_out, notes)
    labels = tuple(paths)
    dictionary.check_labels(labels)
    _require_target(target, append, force, [path for group in paths.values() for path in group])
    before = dictionary.read(target) if append else None
    lost = () if append else _lost_labels(target, labels)
    if scheduler is not None:  # workers have working folders of their own
        paths = {label: [os.path.abspath(path) for path in group] for label, group in paths.items()}
    recordings = look_at(paths, left_out)
    everything = [recording for group in recordings.values() for recording in group]
    if before is not None:
        settings, rate = _settings_of_dictionary(before, settings), before.sample_rate
        stfts = [view.stft for view in before.views]
        for label in labels:
            if label in before.labels:
                hint = "use another name, or learn it without --append"
                raise UsageError(f"has label {label!r} already", hint, target)
    else:
        rate = settings.sample_rate or common_rate(recording.sample_rate for recording in everything)
        stfts = learning.frames_for(rate, settings)
    pool, _ = workers(processes, len(everything), settings.threads, scheduler, MODULES, report)
    shown = progress(len(paths) * len(stfts)) if progress else contextlib.nullcontext()
    with pool or contextlib.nullcontext(), shown as advance:
        executor: Executor = pool or Here()
        recordings = listen(recordings, rate, executor, left_out)
        everything = [recording for group in recordings.values() for recording in group]
        for note in notes:
            report(None, note)
        for recording in everything:
            for warning in recording.warnings:
                report(recording.path, f"warning: {warning}")
        if (text := conversions(everything, rate)) is not None:
            report(None, text)
        new = learning.learn(
            {label: [sound for each in group for sound in each.sounds(rate)] for label, group in recordings.items()},
            rate,
            settings,
            stfts=stfts,
            provenance=[provenance(label, group) for label, group in recordings.items()],
            executor=executor,
            progress=advance,
        )
    whole = new if before is None else before.append(new)
    dictionary.write(whole, target)
    files = {label: len(group) for label, group in recordings.items()}
    return Learned(whole, new, files, tuple(left_out), lost)


def _require_target(target: Path, append: bool, force: bool, inputs: Sequence[str]) -> None:
    """Raise UsageError where the dictionary cannot be written, or would replace an input or what is no dictionary."""
    if str(target) == "-":
        raise UsageError("a dictionary is not written to standard output", "name a file with -o")
    if not folder_is_writable(Path(os.path.abspath(target)).parent):
        raise UsageError("cannot be written to", "choose another folder with -o", target.parent)
    if append:
        return
    if target.is_dir():
        raise UsageError("is a folder", "name the file with -o", target)
    if target.exists() and not target.is_file():
        raise UsageError("is no regular file", "name another with -o", target)
    if identities([str(target)]) & identities(inputs):
        raise UsageError("is an input and would be overwritten", "choose another name with -o", target)
    if os.path.lexists(target) and not force and not dictionary.is_dictionary(target):
        raise UsageError("exists and is no dictionary", "use --force to replace it, or another name with -o", target)


def _lost_labels(target: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a dictionary in place that the new one lacks."""
    if not target.is_file():
        return ()
    try:
        return tuple(label for label in dictionary.read(target).labels if label not in labels)
    except UsageError:  # is replaced by force
        return ()


def _settings_of_dictionary(before: Dictionary, settings: LearnSettings) -> LearnSettings:
    """Return the settings with what a dictionary has decided; refuse what was given and contradicts it."""
    stft, frames = before.views[0].stft, before.views[0].delays
    decided = {
        "--sample-rate": before.sample_rate,
        "--divergence": before.divergence,
        "--window": stft.window,
        "--n-fft": stft.n_fft,
        "--hop-length": stft.hop_length,
    }
    for flag, value in decided.items():
        name = flag[2:].replace("-", "_")
        if name in settings.given and getattr(settings, name) != value:
            message = f"the dictionary has {value}, not {flag} {getattr(settings, name)}"
            raise UsageError(message, f"leave out {flag}")
    if "template_frames" in settings.given and settings.template_frames != frames:
        message = f"the dictionary has templates of {frames} frames, not {settings.template_frames}"
        raise UsageError(message, "leave out --template-frames")
    return replace(settings, template_frames=frames, divergence=before.divergence, window=stft.window)
