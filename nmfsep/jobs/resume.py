"""Resuming a run: whether the files of an earlier run are those that this one would make.

A run expects certain entries in a manifest. Files are up to date if the manifest in place has all of them, and the
files it lists exist in the sizes that it lists. The input's own bytes are compared later, when its turn comes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..separation.fit import resolved
from ..settings.commands import OutputSettings
from .manifest import Manifest, file_sha256, files_of, load, versions
from .run_options import RunOptions

DECISIVE = ("format", "subtype", "clip_mode", "only", "label", "offset", "duration")  # for the stems


def output_entry(output: OutputSettings) -> dict[str, Any]:
    """Return the output settings that decide what the stems are, as a manifest keeps them."""
    return {name: getattr(output, name) for name in DECISIVE}


@dataclass(frozen=True, slots=True)
class ExpectedManifest:
    """The entries that a manifest must have for its stems to be those that a run would make.

    Attributes
    ----------
    entries : dict
        By name, as JSON has them; threads never matter.
    guidance : list of dict
        The entry of the guide, without the places it was read from.
    """

    entries: dict[str, Any]
    guidance: list[dict[str, Any]]

    @classmethod
    def of(cls, options: RunOptions) -> ExpectedManifest:
        """Return what a run with these options expects."""
        entries = {
            "versions": versions(),
            "settings": {**resolved(options.settings, options.is_guided), "threads": None},
            "output": output_entry(options.output),
        }
        guidance = (_without_places(options.guide.about(())) if options.guide is not None else None) or []
        return cls(*json.loads(json.dumps([entries, guidance])))

    def is_up_to_date(self, path: Path, files: Sequence[Path]) -> bool:
        """Whether the manifest in place has these entries, and exactly these files exist with the sizes it lists."""
        try:
            manifest = load(path)
        except InputError:
            return False
        wanted = {os.path.normpath(target) for target in files}
        return (
            manifest["complete"]
            and "kind" not in manifest
            and self._matches(manifest)
            and sorted(os.path.normpath(path.parent / entry["file"]) for entry in files_of(manifest)) == sorted(wanted)
            and all(_size(path.parent / entry["file"]) == entry["bytes"] for entry in files_of(manifest))
        )

    def _matches(self, manifest: Manifest) -> bool:
        found = {name: manifest.get(name) for name in self.entries}
        if isinstance(found["settings"], dict):
            found["settings"] = {**found["settings"], "threads": None}
        return (
            found == self.entries
            and not manifest.get("rendered_from")
            and _without_places(manifest.get("guidance")) == self.guidance
        )


def stem_names_in(path: Path | None, names: Sequence[str], selected: Sequence[int]) -> list[str]:
    """Return stem names, those of the selected stems taken from the manifest in place if it lists as many."""
    found = list(names)
    try:
        stems = load(path)["stems"] if path is not None else []
    except (InputError, KeyError):
        return found
    if len(stems) == len(selected) and all(isinstance(stem.get("name"), str) for stem in stems):
        for index, stem in zip(selected, stems, strict=True):
            found[index] = stem["name"]
    return found


def _without_places(guidance: Any) -> list[dict[str, Any]] | None:
    """Return the entries of a guide without paths and frames; None if a manifest has something else there."""
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
