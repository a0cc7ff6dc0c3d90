"""Whether an earlier run has done already what this one is asked to do."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .manifest import Manifest, file_sha256, files_of, load, versions
from .separation.guided import Guide
from .separation.modelling import resolved
from .separation.saved import Known
from .settings import OutputSettings, Settings

DECISIVE = ("format", "subtype", "clip_mode", "only", "offset", "duration")  # for the bytes of the stems


def promised(output: OutputSettings) -> dict[str, Any]:
    """Return what a manifest keeps of how stems were written, as far as it decides their bytes."""
    return {name: getattr(output, name) for name in DECISIVE}


@dataclass(frozen=True, slots=True)
class Promises:
    """What a manifest must say for its stems to be those that this run would make.

    Attributes
    ----------
    said : dict
        Its entries of these names, as JSON has them; threads never matter.
    hashes : list of str
        Of the dictionaries.
    """

    said: dict[str, Any]
    hashes: list[str]

    def kept(self, path: Path, targets: Sequence[Path], model: Path | None = None) -> bool:
        """Whether the manifest in place says all this, and its files are there with the sizes it has for them."""
        try:
            manifest = load(path)
        except InputError:
            return False
        wanted = {os.path.normpath(target) for target in (*targets, *filter(None, (model,)))}
        return (
            manifest["complete"]
            and "kind" not in manifest
            and self._made_alike(manifest)
            and {os.path.normpath(path.parent / entry["file"]) for entry in files_of(manifest)} == wanted
            and all(_size(path.parent / entry["file"]) == entry["bytes"] for entry in files_of(manifest))
        )

    def _made_alike(self, manifest: Manifest) -> bool:
        found = {name: manifest.get(name) for name in self.said}
        if isinstance(found["settings"], dict):
            found["settings"] = {**found["settings"], "threads": None}
        dictionaries = manifest.get("dictionaries") or []
        return (
            found == self.said
            and not manifest.get("rendered_from")
            and [entry.get("sha256") for entry in dictionaries] == self.hashes
        )


def promises(settings: Settings, output: OutputSettings, known: Known | None = None) -> Promises:
    """Return what a manifest must say for a run with these options to have nothing left to do."""
    said = {
        "versions": versions(),
        "settings": {**resolved(settings), "threads": None},
        "output": promised(output),
    }
    hashes = list(known.hashes) if isinstance(known, Guide) else []
    return Promises(json.loads(json.dumps(said)), hashes)


def same_input(path: str, manifest: Path) -> bool:
    """Whether a file has the bytes that those of a manifest were made from."""
    try:
        return bool(load(manifest)["input"]["sha256"] == file_sha256(path))
    except (InputError, OSError):
        return False


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None
