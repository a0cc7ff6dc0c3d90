"""Rerun: the separation that a manifest is of once more, and what has come out otherwise.

A manifest keeps what was asked for, and the hash of the sound and of every file. The same versions make the same bytes
of these; where they do not, the versions that differ say why.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, UsageError
from ..jobs.manifest import Manifest, digest, files_of, find_one, load, versions
from ..jobs.plan import plan
from ..jobs.run_options import RunOptions, options_asked
from ..jobs.track import separate_file
from ..progress import OnProgress
from ..settings.commands import OutputSettings
from ..settings.fields import Options
from ..settings.separation import Settings
from ..system import exists, is_file, is_folder

PIECE = 1 << 20  # bytes that are compared at a time


@dataclass(frozen=True, slots=True)
class Rerun:
    """What has come out of a second run.

    Parameters
    ----------
    manifest : dict
        Of the second run.
    command : tuple of str
        The command that makes the same files.
    differences : dict of str to str
        What is otherwise, in words, by the names of the files; empty where all bytes are the same.
    versions : dict of str to (str, str)
        Those that were and those that are, where they differ.
    """

    manifest: Manifest
    command: tuple[str, ...]
    differences: dict[str, str]
    versions: dict[str, tuple[str, str]]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        changed = {name: {"was": was, "now": now} for name, (was, now) in self.versions.items()}
        command, same = list(self.command), not self.differences
        return {"command": command, "same": same, "differences": self.differences, "versions": changed}


def rerun(path: str | os.PathLike[str], check: bool = False, progress: OnProgress | None = None) -> Rerun:
    """Separate or render once more what a manifest is of, in its place, and compare the files with those before.

    Parameters
    ----------
    path : path
        The manifest that split or render wrote, or the folder that it lies in.
    check : bool, default False
        Write nothing, only compare.
    progress : callable, optional
        Called as progress(iteration, loss); a true result stops the fit.

    Raises
    ------
    UsageError
        There is no manifest, or it does not say what was asked for.
    InputError
        The sound is gone or another one, or cannot be separated.
    OutputError
        A file cannot be written.
    """
    path = find_one(path) if is_folder(path) or not exists(path) else Path(path)
    before = load(path)
    if "kind" in before or before.get("asked") is None:
        hint = "give one that split or render of this version wrote"
        raise UsageError("does not say which options made it", hint, path)
    sound = _sound(before, path)
    model = _model(before, path)
    if not check:
        return _compared(before, path, _run(before, path, sound, model, path.parent, progress), path.parent, sound)
    with tempfile.TemporaryDirectory(prefix="nmfsep-") as folder:
        after = _run(before, path, sound, model, Path(folder), progress)
        return _compared(before, path, after, Path(folder), sound)


def _sound(manifest: Manifest, path: Path) -> str:
    """Return where the sound is that was separated; refuse another one."""
    about = manifest["input"]
    if about["relative"] is None:
        raise InputError(f"its sound, {about['path']!r}, is no file that could be read again", "split it anew", path)
    sound: str = os.path.normpath(path.parent / about["relative"])
    if not is_file(sound) and is_file(about["path"]):
        sound = about["path"]
    if not is_file(sound):
        raise InputError(f"its sound, {about['path']!r}, is gone", "put it there again", path)
    if digest(sound) != about["sha256"]:
        raise InputError("is not the sound that was separated: its bytes differ", "split it anew", sound)
    return sound


def _model(manifest: Manifest, path: Path) -> str | None:
    """Return the saved model that was rendered, if one was: where it was, or with the stems."""
    if (about := manifest.get("rendered_from")) is None:
        return None
    places: list[str] = [about["path"], str(path.parent / os.path.basename(about["path"]))]
    found = [place for place in places if is_file(place) and digest(place) == about["sha256"]]
    if not found:
        raise InputError(f"its model, {about['path']!r}, is gone or another one", "put it there again", path)
    return found[0]


def _run(
    manifest: Manifest, path: Path, sound: str, model: str | None, folder: Path, progress: OnProgress | None
) -> tuple[Manifest, RunOptions]:
    """Separate again into a folder."""
    asked, several = manifest["asked"], len(manifest["stems"]) > 1
    parts = asked["output"].get("filename", OutputSettings().filename).split("/")
    while len(parts) > 1 and not (several and ("{stem}" in parts[0] or "{index}" in parts[0])):
        parts = parts[1:]  # a manifest lies in the folder that all its stems have in common
    options = options_asked(asked, os.fspath(folder), "/".join(parts), model)
    (job,) = plan([sound], options)
    return separate_file(job, options, progress).result(), options


def _compared(before: Manifest, path: Path, after: tuple[Manifest, RunOptions], folder: Path, sound: str) -> Rerun:
    """Return what is otherwise in the files of a second run, which lie in a folder."""
    manifest, options = after
    now, then = ({entry["file"]: entry for entry in files_of(each)} for each in (manifest, before))
    differences = {name: "was not made before" for name in now if name not in then}
    for name, entry in then.items():
        if name not in now:
            differences[name] = "is not made any more"
        elif entry["sha256"] != now[name]["sha256"]:
            old = path.parent / name
            comparable = folder != path.parent and digest(old) == entry["sha256"]
            differences[name] = _difference(old, folder / name) if comparable else "has other bytes than before"
    used = {each["path"]: each["sha256"] for each in before.get("guidance", []) if "sha256" in each}
    for each in manifest["guidance"]:
        if "sha256" in each and used.get(each["path"]) != each["sha256"]:
            differences[each["path"]] = "has changed since, and it was used"
    installed, earlier = versions(), before.get("versions", {})
    changed = {name: (was, installed.get(name, "gone")) for name, was in earlier.items() if was != installed.get(name)}
    words = ["render", options.saved.path, sound] if options.saved else ["split", sound]
    return Rerun(manifest, ("nmfsep", *words, *spelled(before["asked"])), differences, changed)


def _difference(old: Path, new: Path) -> str:
    """Return in words where two files differ."""
    count, first, place = abs(old.stat().st_size - new.stat().st_size), -1, 0
    with open(old, "rb") as one, open(new, "rb") as other:
        while (a := one.read(PIECE)) and (b := other.read(PIECE)):
            size = min(len(a), len(b))
            unequal = np.flatnonzero(np.frombuffer(a, np.uint8, size) != np.frombuffer(b, np.uint8, size))
            first = place + int(unequal[0]) if first < 0 and len(unequal) else first
            count, place = count + len(unequal), place + size
    return f"differs in {count} bytes, the first at {place if first < 0 else first}"


def spelled(asked: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that ask for what a manifest says was asked for."""
    words = [word for name, texts in asked["cues"].items() for text in texts for word in (f"--{name}", text)]
    for kind, values in ((Settings, asked["settings"]), (OutputSettings, asked["output"])):
        words += _flags(kind, values)
    return [*words, *(["--max-memory", str(asked["max_memory"])] if asked["max_memory"] else [])]


def _flags(kind: type[Options], values: Mapping[str, Any]) -> list[str]:
    """Return settings as the command line spells them."""
    words: list[str] = []
    for own in fields(kind):
        value, flags = values.get(own.name), own.metadata["flags"] or ("--" + own.name.replace("_", "-"),)
        flag = flags[0] if own.name == "components" else flags[-1]
        if own.name == "residual" and value is not None:
            words.append(f"--residual={value}")
        elif value is True or (value in ([], (), None) and own.name in ("group", "residual") and own.name in values):
            words.append(flag if value is True else f"--no-{own.name}")
        elif isinstance(value, Sequence) and not isinstance(value, str) and own.metadata["spelling"] == "list":
            words += [flag, ",".join(map(str, value))]
        elif value is not None and value is not False:
            each = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
            words += [word for text in each for word in (flag, f"{text:g}" if isinstance(text, float) else str(text))]
    return words
