"""Inspection of files: sounds, separations by their manifests, dictionaries and saved models.

Sounds are read within the memory that may be taken; of nmfsep's own files comes a document of what they hold.
What is found is described by `analysis.inspect`. Each component can be written as a sound of its own (an audition).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import memory
from ..analysis.inspect import Inspection, Ranking, audition, describe_sound, describe_stems, rank_components
from ..errors import InputError, NmfsepError, UsageError
from ..files.naming import MANIFEST, track_name
from ..files.npz import Archive
from ..guidance.dictionary import Dictionary
from ..jobs.budget import BASE, memory_needed
from ..jobs.manifest import Origin, find, load
from ..jobs.plan import check_model
from ..jobs.run_options import RunOptions
from ..jobs.safety import require_readable
from ..jobs.sounds import write_sounds
from ..progress import OnProgress
from ..separation.arrange import arrange
from ..separation.saved import LARGEST, SCHEMA as MODEL_SCHEMA, Saved
from ..settings.commands import OutputSettings
from ..settings.fields import WINDOWS
from ..settings.separation import Settings
from ..signal.audio import Audio
from ..signal.read import Source
from ..signal.stft import STFT
from ..system import is_file, is_folder

KIND = "audition"  # of manifest
COUNTS = range(2, 11)  # numbers of components tried if nothing else is asked for
LONGEST = 1 << 20  # samples of a frame; a manifest with more makes no sense


def inspect_sound(
    path: str, settings: Settings, stretch: OutputSettings, limit: int | None = None, callback: OnProgress | None = None
) -> Inspection:
    """Factorize the magnitude spectrogram of a file, as `split` does, and describe its components.

    Parameters
    ----------
    path : str
        "-" is standard input.
    settings : Settings
        Of the factorization; its channels are joint.
    stretch : OutputSettings
        Its offset and duration count.
    limit : int, optional
        Bytes of memory that may be taken.
    callback : callable, optional
        Called as callback(iteration, loss).

    Raises
    ------
    InputError
        The file cannot be read.
    UsageError
        It would take too much memory, or options contradict each other.
    """
    require_readable(path)
    check_model(RunOptions(settings))
    with _opened(path, settings, stretch, limit) as (source, audio):
        warnings, sha256 = source.warnings, source.sha256()
    return describe_sound(path, audio, settings, warnings, sha256, callback)


def rank_sound(
    path: str, settings: Settings, stretch: OutputSettings, counts: Sequence[int] = COUNTS, limit: int | None = None
) -> Ranking:
    """Return the evidence for numbers of components of a file.

    Parameters and errors are those of `inspect_sound`. Of the settings frames, seed and threads count.
    """
    require_readable(path)
    with _opened(path, settings, stretch, limit) as (source, audio):
        warnings = source.warnings
    return rank_components(path, audio, settings, counts, warnings)


@contextlib.contextmanager
def _opened(
    path: str, settings: Settings, stretch: OutputSettings, limit: int | None
) -> Iterator[tuple[Source, Audio]]:
    """Read a file, if memory suffices for what will be done with it."""
    with Source(path) as source:
        need = memory_needed(source, RunOptions(settings, stretch))
        hint = "use --duration, a larger --hop-length, or --max-memory"
        memory.require(f"{track_name(path)!r} needs", need, limit, hint)
        yield source, source.read(stretch.offset, stretch.duration)


def inspect_separated(path: str, limit: int | None = None, failed: list[NmfsepError] | None = None) -> list[Inspection]:
    """Describe the stems of a separation, of each its magnitudes summed over time and over frequency.

    Parameters
    ----------
    path : str
        A manifest, or a folder that is searched for them with all below it.
    limit : int, optional
        Bytes of memory that may be taken.
    failed : list, optional
        Takes what is wrong with separations that cannot be described, where others can.

    Raises
    ------
    InputError
        A stem or manifest cannot be read, or stems are missing or differ from each other.
    UsageError
        There is no manifest of a separation, or memory would not suffice.
    """
    found: list[Inspection] = []
    faults: list[NmfsepError] = []
    for file in find(Path(path)):
        try:
            manifest = load(file)
            if "kind" not in manifest:
                names, stft = _names_and_frames(file, manifest)
                stems, track = _stems(file, manifest, limit), file.name.removesuffix(MANIFEST)
                found.append(describe_stems(str(file), track, names, stems, stft))
        except NmfsepError as error:
            error.path = str(file) if error.path is None else error.path
            faults.append(error)
    if faults and (failed is None or not found):
        raise faults[0]
    if not found:
        raise UsageError("holds no separation of nmfsep", "give an audio file, or the folder that split wrote to", path)
    if failed is not None:
        failed += faults
    return found


def _names_and_frames(file: Path, manifest: dict[str, Any]) -> tuple[list[str], STFT]:
    """Return the names of the stems in a manifest, and the frames that they were made with."""
    try:
        settings = manifest["settings"]
        frames = manifest.get("frames", [settings])[0]  # where older manifests have them
        n_fft, window = frames["n_fft"], settings["window"]
        hop = frames["hop_length"] or n_fft // 4
        if type(n_fft) is not int or type(hop) is not int or n_fft > LONGEST or window not in WINDOWS:
            raise InputError("has frames that make no sense", path=file)
        stft = STFT(n_fft, hop, window)
        names = [stem["name"] for stem in manifest["stems"]]
    except (LookupError, TypeError, AttributeError, UsageError) as error:
        raise InputError("does not say how its stems were made", "separate again", file) from error
    if not names:
        raise InputError("lists no stems", path=file)
    return names, stft


def _stems(file: Path, manifest: dict[str, Any], limit: int | None) -> Iterator[Audio]:
    """Yield the stems of a manifest, of one shape and rate."""
    form = None
    for stem in manifest["stems"]:
        path = file.parent / stem["file"]
        if not is_file(path):
            raise InputError(f"stem {stem['file']!r} is missing", "separate again", file)
        with Source(path) as source:
            if source.frames is not None:
                need = BASE + 12 * source.channels * source.frames
                memory.require(f"{manifest['stems'][0]['name']!r} needs", need, limit, "use --max-memory")
            audio = source.read()
        form = form or (audio.samples.shape, audio.sample_rate)
        if (audio.samples.shape, audio.sample_rate) != form:
            raise InputError("differs from the other stems in length, channels or sample rate", path=path)
        yield audio


def write_auditions(found: Inspection, folder: Path, force: bool) -> list[Path]:
    """Write the sound of each template to a WAV file, with a manifest that lists them.

    The files go to a folder of the track's name in `folder`, and are returned; `force` replaces what another program
    wrote.

    Raises
    ------
    UsageError
        A file of another program is in the way.
    OutputError
        A file cannot be written; none was then.
    """
    sounds = {
        component.name: audition(template, found.stft, found.sample_rate)
        for component, template in zip(found.components, found.W.T, strict=True)
    }
    return write_sounds(sounds, found.track, folder, Origin(found.path, found.sha256, KIND), force)


def kind_of(path: str) -> str:
    """Return what a path is, by what is in it: "model", "dictionary", "separation" (its folder or manifest) or "sound".

    Of a pipe, which could be read only once, nothing is read; what cannot be read is a UsageError.
    """
    if path != "-" and is_folder(path):
        return "separation"
    if path == "-" or not is_file(path):
        return "sound"
    try:
        with open(os.fsencode(path), "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "check the name", path) from error
    if head.startswith(b"PK"):
        with Archive(path, LARGEST) as archive:
            return "model" if archive.schema == MODEL_SCHEMA else "dictionary"  # with no schema, if a script saved it
    return "separation" if head.lstrip().startswith(b"{") else "sound"


def dictionary_document(path: str, dictionary: Dictionary) -> dict[str, Any]:
    """Return what a dictionary holds, label by label, as JSON."""
    sources = {entry.get("label"): entry for entry in reversed(dictionary.provenance)}  # the first of a label
    return {
        "path": path,
        "kind": "dictionary",
        "sample_rate": dictionary.sample_rate,
        "channels": dictionary.channels,
        "divergence": dictionary.divergence,
        "views": [
            _frames(view.stft) | {"templates": view.W.shape[1] // view.delays, "template_frames": view.delays}
            for view in dictionary.views
        ],
        "labels": [
            {
                "label": label,
                "templates": list(dictionary.components(index)),
                "strokes": len(dictionary.strokes[index]) if dictionary.strokes else 0,
                "from": sources.get(label),
            }
            for index, label in enumerate(dictionary.labels)
        ],
    }


def _frames(stft: STFT) -> dict[str, Any]:
    return {"n_fft": stft.n_fft, "hop_length": stft.hop_length, "window": stft.window}


def model_document(path: str, saved: Saved) -> dict[str, Any]:
    """Return what a saved model holds, component by component, as JSON."""
    stems = arrange(saved.settings, saved.labels)
    owner = {member: name for name, members in zip(stems.names, stems.members, strict=False) for member in members}
    shares = saved.energy_shares()
    settings = saved.settings.values()
    del settings["threads"]
    return {
        "path": path,
        "kind": "model",
        "mixture": asdict(saved.mixture),
        "views": [_frames(each.stft) for each in saved.resolutions],
        "settings": settings,
        "stems": list(stems.names),
        "components": [
            {
                "number": index + 1,
                "name": name,
                "stem": owner[index],
                "templates": [len(each.components.groups[index]) for each in saved.resolutions],
                "energy_share": round(shares[index], 6),
            }
            for index, name in enumerate(saved.components)
        ],
        "guidance": list(saved.guidance),
        "fit": list(saved.fits),
        "warnings": list(saved.warnings),
        "versions": saved.versions,
    }
