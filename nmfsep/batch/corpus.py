"""A corpus of sounds in files, learned into a dictionary file.

Arguments NAME=FILE go in, or recordings with tables of what is heard in them, and settings; a dictionary in its file
comes out. What can be wrong with the target is found first; then the headers of the files are looked at, each is read
once to its end, and learned from, in this process, in several, or at a cluster. A file that cannot be read is left out
if its label has others.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..detection.calibrate import calibrated, with_margins
from ..errors import InputError, NmfsepError, UsageError
from ..files.publish import folder_is_writable
from ..guidance import dictionary, learn as learning
from ..guidance.dictionary import Dictionary
from ..guidance.learn import Executor, Here, Sound
from ..jobs.inputs import labelled
from ..jobs.safety import identities
from ..settings.commands import LearnSettings
from ..signal.audio import Samples, at_rate, common_rate
from ..signal.read import Source
from ..system import exists, is_file, is_folder
from .annotated import Excerpt, annotated, marked
from .tracks import Report, no_report, workers

MODULES = ("nmfsep.batch.corpus",)  # what a process loads before its first file
PIECE = 300.0  # seconds of a recording that are in memory at a time, so that its length does not matter
FEWEST = 1 << 20  # samples of such a piece at the least, since at low rates 300 s are nothing
NAMED = 20  # files named in a dictionary, of each label


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
    labels_from: str | None = None,
    append: bool = False,
    force: bool = False,
    processes: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int], AbstractContextManager[Callable[[float], object] | None]] | None = None,
    report: Report = no_report,
) -> Learned:
    """Learn templates from files of isolated sounds and write them to a dictionary file.

    Parameters
    ----------
    arguments : sequence of str
        NAME=FILE, or FILE for one more of the label before; FILE may be a folder or a pattern, or end with @T1-T2 for a
        stretch in seconds. With `labels_from` recordings, or folders of them.
    target : Path
        The dictionary (.npz).
    settings : LearnSettings, optional
    labels_from : str, optional
        A label track or table that says what is heard in the recordings; ``{track}`` stands for the path of each
        without its extension. What is not marked, up to the last mark, is learned as ``background``.
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
    if labels_from is not None:
        paths = annotated(arguments, labels_from)
    else:
        given = labelled(arguments, left_out, notes)
        paths = {label: [Excerpt.of(path) for path in group] for label, group in given.items()}
    labels = tuple(paths)
    dictionary.check_labels(labels)
    _require_target(target, append, force, [each.path for group in paths.values() for each in group])
    before = dictionary.read(target) if append else None
    lost = () if append else _lost_labels(target, labels)
    if scheduler is not None:  # workers have working folders of their own
        paths = {label: [each.absolute() for each in group] for label, group in paths.items()}
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
        sounds = {label: [s for each in group for s in each.sounds(rate)] for label, group in recordings.items()}
        new = learning.learn(
            sounds,
            rate,
            settings,
            stfts=stfts,
            provenance=[provenance(label, group) for label, group in recordings.items()],
            executor=executor,
            progress=advance,
        )
    whole = calibrated(new if before is None else before.append(new), sounds, settings.threads)
    if labels_from is not None:
        whole = with_margins(whole, marked(arguments, labels_from), settings.threads)
    dictionary.write(whole, target)
    files = {label: len({each.path for each in group}) for label, group in recordings.items()}
    return Learned(whole, new, files, tuple(left_out), lost)


def _require_target(target: Path, append: bool, force: bool, inputs: Sequence[str]) -> None:
    """Raise UsageError where the dictionary cannot be written, or would replace an input or what is no dictionary."""
    if str(target) == "-":
        raise UsageError("a dictionary is not written to standard output", "name a file with -o")
    if not folder_is_writable(Path(os.path.abspath(target)).parent):
        raise UsageError("cannot be written to", "choose another folder with -o", target.parent)
    if append:
        return
    if is_folder(target):
        raise UsageError("is a folder", "name the file with -o", target)
    if exists(target) and not is_file(target):
        raise UsageError("is no regular file", "name another with -o", target)
    if identities([str(target)]) & identities(inputs):
        raise UsageError("is an input and would be overwritten", "choose another name with -o", target)
    if exists(target, follow=False) and not force and not dictionary.is_dictionary(target):
        raise UsageError("exists and is no dictionary", "use --force to replace it, or another name with -o", target)


def _lost_labels(target: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a dictionary in place that the new one lacks."""
    if not is_file(target):
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


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to learn from, or a stretch of it, by its header; warnings say what is odd though it can be read."""

    path: str
    sample_rate: int
    channels: int
    seconds: float
    sha256: str
    warnings: tuple[str, ...] = ()
    excerpt: Excerpt | None = None

    @classmethod
    def of(cls, path: str) -> Recording:
        """Look at a file; raise UsageError if it cannot be opened, InputError if it is no audio that can be read."""
        if not is_file(path):
            raise UsageError("no such file" if not exists(path, follow=False) else "is not a file", path=path)
        if not os.access(os.fsencode(path), os.R_OK):
            raise UsageError("permission denied", path=path)
        with Source(path) as source:
            seconds = (source.frames or 0) / source.sample_rate
            return cls(path, source.sample_rate, source.channels, seconds, source.sha256(), tuple(source.warnings))

    def within(self, excerpt: Excerpt) -> Recording:
        """Return a stretch of it; raise UsageError where it ends before that."""
        if excerpt.end is None:
            return self
        if self.seconds <= excerpt.begin:
            message = f"ends at {self.seconds:.3f} s, before the stretch from {excerpt.begin:g} s"
            raise UsageError(message, "correct the times", self.path)
        return replace(self, seconds=min(excerpt.end, self.seconds) - excerpt.begin, excerpt=excerpt)

    def load(self, sample_rate: int, offset: float = 0.0, duration: float | None = None) -> Samples:
        """Read the sound, or a stretch of it in seconds, at a rate in hertz; shape (channels, samples)."""
        with Source(self.path) as source:
            audio = source.read(offset, duration)
        if self.excerpt is not None:
            audio = self.excerpt.limited(audio)
        try:
            return at_rate(audio, sample_rate)
        except InputError as error:
            raise InputError(error.message, error.hint, self.path) from error

    def sounds(self, sample_rate: int) -> Iterator[Sound]:
        """Yield what is read when it is needed: the sound, of a long one piece by piece, or the stretch."""
        if self.excerpt is not None and (own := self.excerpt).end is not None:
            key = f"{self.sha256}:{own.begin:.6f}:{own.end:.6f}:{own.low:g}:{own.high:g}"
            yield Sound(key, partial(self.load, sample_rate, own.begin, self.seconds), self.seconds)
            return
        # a header that claims more than there is says nothing about the length: read such a file whole
        long = max(PIECE, FEWEST / self.sample_rate)
        pieces = 1 if self.warnings else max(1, round(self.seconds / long))
        for piece in range(pieces):
            load = partial(self.load, sample_rate, piece * long, long if piece < pieces - 1 else None)
            yield Sound(f"{self.sha256}:{piece:06}" if piece else self.sha256, load, self.seconds / pieces)


def look_at(paths: Mapping[str, Sequence[Excerpt]], left_out: list[NmfsepError]) -> dict[str, list[Recording]]:
    """Return the recordings of each label, of which some must be left; `left_out` takes what is wrong with others."""
    found: dict[str, list[Recording]] = {}
    known = functools.cache(Recording.of)
    for label, group in paths.items():
        found[label], faults = [], list[NmfsepError]()
        for each in group:
            try:
                found[label].append(known(each.path).within(each))
            except NmfsepError as error:
                faults.append(error)
        _require_some(label, found[label], faults)
        left_out += faults
    return found


def listen(
    recordings: Mapping[str, Sequence[Recording]], sample_rate: int, executor: Executor, left_out: list[NmfsepError]
) -> dict[str, list[Recording]]:
    """Return those of each label that can be read to their end, as `look_at` does."""
    found: dict[str, list[Recording]] = {}
    for label, group in recordings.items():
        pieces = [(recording.path, sound) for recording in group for sound in recording.sounds(sample_rate)]
        faults: dict[str, NmfsepError] = {}
        results = executor.map(_fault, [sound for _, sound in pieces], None)
        for (path, _), fault in zip(pieces, results, strict=True):
            if fault is not None:
                faults.setdefault(path, fault)
        found[label] = [recording for recording in group if recording.path not in faults]
        _require_some(label, found[label], list(faults.values()))
        left_out += faults.values()
    return found


def _fault(sound: Sound, common: None) -> NmfsepError | None:
    """Return what is wrong with a sound, if it cannot be read."""
    try:
        sound.load()
    except NmfsepError as error:
        return error
    return None


def _require_some(label: str, left: Sequence[Recording], faults: Sequence[NmfsepError]) -> None:
    """Raise what is wrong with the files of a label if none is left."""
    if faults and not left:
        if len(faults) == 1:
            raise faults[0]
        message = f"{faults[0].message}, and the other {len(faults) - 1} files of {label!r} cannot be read either"
        raise InputError(message, path=faults[0].path)


def conversions(recordings: Sequence[Recording], sample_rate: int) -> str | None:
    """Return what has to be done to some of the files, in words; None if nothing."""
    other = sum(recording.sample_rate != sample_rate for recording in recordings)
    many = sum(recording.channels > 1 for recording in recordings)
    parts = [f"{other} of {len(recordings)} files converted to {sample_rate} Hz"] if other else []
    parts += [f"{many} of {len(recordings)} files averaged over their channels"] if many else []
    return ", ".join(parts) or None


def provenance(label: str, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Return what a dictionary keeps of where a label's templates came from; the same whatever the order of files."""
    seconds = round(sum(recording.seconds for recording in recordings), 3)
    once = {recording.path: recording for recording in recordings}.values()  # of which there may be several stretches
    ordered = sorted(once, key=lambda recording: (recording.sha256, os.path.basename(recording.path)))
    return {
        "label": label,
        "files": len(ordered),
        "seconds": seconds,
        "sample_rates": sorted({recording.sample_rate for recording in ordered}),
        "channels": sorted({recording.channels for recording in ordered}),
        "first": [{"name": os.path.basename(each.path), "sha256": each.sha256} for each in ordered[:NAMED]],
    }
