"""Options of a run: all that decides how each of its files is separated, and whether an earlier run did just that.

The commands build `RunOptions` once from what the user gave; planning, the memory budget and the separation of a file
read it. Files are up to date if the manifest in place has the entries that these options lead to, and its files exist
in the sizes that it lists. The input's own bytes are compared later, when its turn comes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..guidance.guide import Guide
from ..separation.arrange import arrange
from ..separation.fit import resolved
from ..separation.saved import Saved, read
from ..settings.commands import OutputSettings
from ..settings.separation import Settings, with_preset_defaults
from ..system import is_file
from .manifest import file_sha256, files_of, load, versions

DECISIVE = ("format", "subtype", "clip_mode", "only", "label", "offset", "duration")  # for the stems
PLACES = ("export_strokes", "given", "out", "force")  # what of the output settings says nothing of the files themselves


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is done with every file of a run; one that is rendered from a saved model has no guide."""

    settings: Settings
    output: OutputSettings = field(default_factory=OutputSettings)
    guide: Guide | None = None  # dictionaries and other cues to separate with
    saved: Saved | None = None  # the factorization to render, which makes a fit needless
    limit: int | None = None  # bytes of memory that a file may take; if None, three quarters of what is free
    threads: int | None = None  # for a file where the settings name none; if None, all cores
    debug: bool = False  # raise errors that are bugs, instead of reporting them as the outcome of their file

    @property
    def is_guided(self) -> bool:
        """Whether stems come from a guide or a saved model, not from the mixture alone."""
        return self.guide is not None or self.saved is not None

    @property
    def stem_names(self) -> tuple[str, ...]:
        """Names of all stems, the residual last."""
        known = self.saved or self.guide
        return arrange(self.settings, known.labels if known else ()).names

    @property
    def files_read(self) -> tuple[str, ...]:
        """Files that are read besides the inputs: those of the guide, or the saved model."""
        if self.saved is not None:
            return (self.saved.path,)
        return self.guide.names if self.guide is not None else ()

    def for_input(self, path: str, components: int | None = None) -> RunOptions:
        """Return the options of one input: with its guide, and with its number of components unless that is None."""
        guide = self.guide.for_input(path) if self.guide is not None else None
        if guide is None or guide is self.guide:
            return self.with_components(components)
        return replace(self, guide=guide, settings=guide.settings())

    def with_components(self, count: int | None) -> RunOptions:
        """Return the options with another number of components; None leaves it as it is."""
        return self if count is None else replace(self, settings=replace(self.settings, components=count))


def output_entry(output: OutputSettings) -> dict[str, Any]:
    """Return the output settings that decide what the stems are, as a manifest keeps them."""
    return {name: getattr(output, name) for name in DECISIVE}


def asked_entry(options: RunOptions) -> dict[str, Any] | None:
    """Return what was asked for, as a manifest keeps it and `options_asked` takes it; None of cues made in Python."""
    settings, guide = options.settings, options.guide
    if guide is not None and not guide.texts:
        return None
    asked = {name: getattr(settings, name) for name in sorted(settings.given)} if guide is None else dict(guide.given)
    if not options.is_guided and settings.preset is None and settings.levels is None:
        asked["components"] = settings.components
    output = {own.name: getattr(options.output, own.name) for own in fields(OutputSettings) if own.name not in PLACES}
    changed = {name: value for name, value in output.items() if value != getattr(OutputSettings(), name)}
    cues = dict(guide.texts) if guide is not None else {}
    return {"settings": asked, "cues": cues, "output": changed, "max_memory": options.limit}


def options_asked(asked: Mapping[str, Any], out: str, filename: str, model: str | None = None) -> RunOptions:
    """Return the options that were asked for, with another place to write to; `model` is what is rendered, if any is.

    Raises
    ------
    UsageError
        A file that is needed is gone.
    """
    output, own = ({name: _from_json(each) for name, each in asked[what].items()} for what in ("output", "settings"))
    written = OutputSettings(**output | {"out": out, "filename": filename})
    if model is not None:
        saved = read(model)
        return RunOptions(saved.settings_with(own), written, saved=saved, limit=asked["max_memory"])
    guide = Guide.read(asked["cues"], own) if asked["cues"] else None
    settings = guide.settings() if guide else Settings(**with_preset_defaults(own), given=own)
    return RunOptions(settings, written, guide, limit=asked["max_memory"])


def _from_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def expected_entries(options: RunOptions) -> dict[str, Any]:
    """Return the entries, in the types of JSON, of a manifest whose stems are those that a run would make.

    Threads never matter, nor do the places that a guide was read from.
    """
    entries = {
        "versions": versions(),
        "settings": resolved(options.settings, options.is_guided) | {"threads": None},
        "output": output_entry(options.output),
        "guidance": _without_places(options.guide.about(()) if options.guide is not None else []),
        "rendered_from": None,
    }
    return dict(json.loads(json.dumps(entries)))


def is_up_to_date(path: Path, files: Sequence[Path], expected: dict[str, Any]) -> bool:
    """Whether the manifest in place has the expected entries, and lists exactly these files in the sizes they have."""
    try:
        manifest = load(path)
    except InputError:
        return False
    found = {name: manifest.get(name) for name in expected}
    if isinstance(found["settings"], dict):
        found["settings"] = found["settings"] | {"threads": None}
    found["guidance"] = _without_places(found["guidance"])
    found["rendered_from"] = found["rendered_from"] or None
    if not manifest["complete"] or "kind" in manifest or found != expected:
        return False
    listed = [(os.path.normpath(path.parent / entry["file"]), entry["bytes"]) for entry in files_of(manifest)]
    there = {os.path.normpath(file): _size(file) for file in files}
    return len(listed) == len(there) and dict(listed) == there


def _without_places(guidance: Any) -> list[dict[str, Any]] | None:
    """Return the entries of a guide without paths and frames; None if a manifest has something else there."""
    entries = guidance or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    return [{name: value for name, value in entry.items() if name not in ("path", "n_fft")} for entry in entries]


def _size(path: Path) -> int | None:
    return path.stat().st_size if is_file(path) and not path.is_symlink() else None


def same_input(path: str, manifest: Path) -> bool:
    """Whether a file has the bytes that the stems of a manifest were made from."""
    try:
        return bool(load(manifest)["input"]["sha256"] == file_sha256(path))
    except (InputError, OSError):
        return False


def stem_names_in(path: Path | None, names: Sequence[str], selected: Sequence[int]) -> list[str]:
    """Return stem names, those of the selected stems taken from the manifest in place if it lists as many."""
    found = list(names)
    try:
        manifest = load(path) if path is not None else {}
    except InputError:
        return found
    stems = [] if "kind" in manifest else manifest.get("stems", [])
    if len(stems) == len(selected):
        for index, stem in zip(selected, stems, strict=True):
            found[index] = stem["name"]
    return found
