"""Contents of nmfsep's own files: which kind a file is, and what dictionaries and saved models hold, as JSON."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from ..errors import UsageError
from ..files.npz import Archive
from ..guidance.dictionary import Dictionary
from ..separation.model_file import LARGEST, SCHEMA
from ..separation.saved import Saved
from ..separation.stem_groups import arrange


def kind_of(path: str) -> str:
    """Return what a path is, by what is in it: "model", "dictionary", "separation" (its folder or manifest) or "sound".

    Raises
    ------
    UsageError
        The file cannot be read.
    """
    if path != "-" and os.path.isdir(os.fsencode(path)):
        return "separation"
    head = _begin(path)
    if head.startswith(b"PK"):
        with Archive(path, LARGEST) as file:
            return "model" if file.schema == SCHEMA else "dictionary"  # with no schema, if a script saved it
    return "separation" if head.lstrip().startswith(b"{") else "sound"


def _begin(path: str) -> bytes:
    """Return the first bytes of a file; none of a pipe, which could be read only once."""
    if path == "-" or not os.path.isfile(os.fsencode(path)):
        return b""
    try:
        with open(os.fsencode(path), "rb") as file:
            return file.read(64)
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "check the name", path) from error


def dictionary_document(path: str, dictionary: Dictionary) -> dict[str, Any]:
    """Return what a dictionary holds, label by label, as JSON."""

    def source(label: str) -> dict[str, Any] | None:
        return next((entry for entry in dictionary.provenance if entry.get("label") == label), None)

    return {
        "path": path,
        "kind": "dictionary",
        "sample_rate": dictionary.sample_rate,
        "channels": dictionary.channels,
        "divergence": dictionary.divergence,
        "views": [
            {
                "n_fft": view.stft.n_fft,
                "hop_length": view.stft.hop_length,
                "window": view.stft.window,
                "templates": view.W.shape[1] // view.delays,
                "template_frames": view.delays,
            }
            for view in dictionary.views
        ],
        "labels": [
            {
                "label": label,
                "templates": list(dictionary.components(index)),
                "strokes": len(dictionary.strokes[index]) if dictionary.strokes else 0,
                "from": source(label),
            }
            for index, label in enumerate(dictionary.labels)
        ],
    }


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
        "views": [
            {"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length, "window": each.stft.window}
            for each in saved.resolutions
        ],
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
