"""Contents of nmfsep's own files: which kind a file is, and what dictionaries and saved models hold, as JSON."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from ..errors import UsageError
from ..files.npz import Archive
from ..guidance.dictionary import Dictionary
from ..separation.arrange import arrange
from ..separation.saved import LARGEST, SCHEMA, Saved
from ..signal.stft import STFT


def kind_of(path: str) -> str:
    """Return what a path is, by what is in it: "model", "dictionary", "separation" (its folder or manifest) or "sound".

    Of a pipe, which could be read only once, nothing is read; what cannot be read is a UsageError.
    """
    if path != "-" and os.path.isdir(os.fsencode(path)):
        return "separation"
    if path == "-" or not os.path.isfile(os.fsencode(path)):
        return "sound"
    try:
        with open(os.fsencode(path), "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "check the name", path) from error
    if head.startswith(b"PK"):
        with Archive(path, LARGEST) as archive:
            return "model" if archive.schema == SCHEMA else "dictionary"  # with no schema, if a script saved it
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
            {"label": label, "templates": list(dictionary.components(index)), "from": sources.get(label)}
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
