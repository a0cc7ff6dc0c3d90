"""Whether an earlier run has done already what this one is asked to do."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..guidance.guide import Guide
from ..separation.options import resolved
from ..separation.saved import Known
from ..settings.commands import OutputSettings
from ..settings.separation import Settings
from .manifest import Manifest, file_sha256, files_of, load, versions

DECISIVE = ("format", "subtype", "clip_mode", "only", "label", "offset", "duration")  # for the stems


def promised(output: OutputSettings) -> dict[str, Any]:
    """Return what a manifest keeps of how stems were written, as far as it decides what they are."""
    return {name: getattr(output, name) for name in DECISIVE}


@dataclass(frozen=True, slots=True)
class Promises:
    """What a manifest must say for its stems to be those that this run would make.

    Attributes
    ----------
    said : dict
        Its entries of these names, as JSON has them; threads never matter.
    guidance : list of dict
        What the separation is told beforehand, but for where it was read.
    """

    said: dict[str, Any]
    guidance: list[dict[str, Any]]

    def kept(self, path: Path, files: Sequence[Path]) -> bool:
        """Whether the manifest in place says all this, and its files are there with the sizes it has for them."""
        try:
            manifest = load(path)
        except InputError:
            return False
        wanted = {os.path.normpath(target) for target in files}
        return (
            manifest["complete"]
            and "kind" not in manifest
            and self._made_alike(manifest)
            and sorted(os.path.normpath(path.parent / entry["file"]) for entry in files_of(manifest)) == sorted(wanted)
            and all(_size(path.parent / entry["file"]) == entry["bytes"] for entry in files_of(manifest))
        )

    def _made_alike(self, manifest: Manifest) -> bool:
        found = {name: manifest.get(name) for name in self.said}
        if isinstance(found["settings"], dict):
            found["settings"] = {**found["settings"], "threads": None}
        return (
            found == self.said
            and not manifest.get("rendered_from")
            and _told(manifest.get("guidance")) == self.guidance
        )


def promises(settings: Settings, output: OutputSettings, known: Known | None = None) -> Promises:
    """Return what a manifest must say for a run with these options to have nothing left to do."""
    said = {
        "versions": versions(),
        "settings": {**resolved(settings, known is not None), "threads": None},
        "output": promised(output),
    }
    guidance = (_told(known.about(())) if isinstance(known, Guide) else None) or []
    said, guidance = json.loads(json.dumps([said, guidance]))
    return Promises(said, guidance)


def titles_in(path: Path | None, names: Sequence[str], selected: Sequence[int]) -> list[str]:
    """Return the names of stems with those that the manifest in place has for the selected ones, if it fits."""
    found = list(names)
    try:
        stems = load(path)["stems"] if path is not None else []
    except (InputError, KeyError):
        return found
    if len(stems) == len(selected) and all(isinstance(stem.get("name"), str) for stem in stems):
        for index, stem in zip(selected, stems, strict=True):
            found[index] = stem["name"]
    return found


def _told(guidance: Any) -> list[dict[str, Any]] | None:
    """Return guidance without where it was read; None of what a manifest has in its place."""
    entries = guidance or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    return [{name: value for name, value in entry.items() if name not in ("path", "n_fft")} for entry in entries]


def same_input(path: str, manifest: Path) -> bool:
    """Whether a file has the bytes that those of a manifest were made from."""
    try:
        return bool(load(manifest)["input"]["sha256"] == file_sha256(path))
    except (InputError, OSError):
        return False


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None
