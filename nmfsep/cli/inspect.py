"""``nmfsep inspect``: what is in a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import console
from .inspect_model import describe_model, model_table
from .options import reporting

if TYPE_CHECKING:
    from ..separation.dictionary import Dictionary


@click.command("inspect", epilog="Example: nmfsep inspect kit.npz")
@click.argument("path", metavar="FILE", type=click.Path())
@reporting
def command(path: str, as_json: bool, quiet: bool, debug: bool) -> int:
    """Show what a dictionary holds, or a model that split --save-model wrote.

    Of a dictionary its labels, templates, frames, and what it was learned from; of a model its mixture, settings, and
    the components that render can group.
    """
    path = os.fsdecode(path)
    about = _describer(path)(path)
    if as_json:
        console.print_json({"path": path, **about})
    else:
        table = model_table(about) if about["kind"] == "model" else _table(about)
        console.print_bytes(table.encode("utf-8", "backslashreplace"))
    return 0


def _describer(path: str) -> Callable[[str], dict[str, Any]]:
    """Return what describes a file of that kind, by its first bytes."""
    try:
        if not stat.S_ISREG(os.stat(os.fsencode(path)).st_mode):  # a pipe would keep us waiting
            raise UsageError("is not a file", path=path)
        with open(os.fsencode(path), "rb") as file:
            head = file.read(4)
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), "check the name", path) from error
    for magic, describe in KINDS.items():
        if head.startswith(magic):
            return describe
    raise UsageError("is no dictionary or model", "give a file that nmfsep learn or split --save-model wrote", path)


def _archive(path: str) -> dict[str, Any]:
    from ..separation.archive import Archive
    from ..separation.saved_file import LARGEST

    with Archive(path, LARGEST) as file:
        schema = file.schema
    return SCHEMAS.get(schema or "", _dictionary)(path)


def _dictionary(path: str) -> dict[str, Any]:
    from ..separation.dictionary import read

    return describe_dictionary(read(path))


# one line for each kind of file, by how it begins
KINDS: dict[bytes, Callable[[str], dict[str, Any]]] = {b"PK": _archive}
# one line for each kind of container of arrays, by its schema; what has none may be a dictionary that a script saved
SCHEMAS: dict[str, Callable[[str], dict[str, Any]]] = {
    "nmfsep.dictionary": _dictionary,
    "nmfsep.model": describe_model,
}


def describe_dictionary(dictionary: Dictionary) -> dict[str, Any]:
    """Return what there is to say of a dictionary, as JSON."""
    return {
        "kind": "dictionary",
        "sample_rate": dictionary.sample_rate,
        "channels": dictionary.channels,
        "divergence": dictionary.divergence,
        "views": [
            {
                "n_fft": view.stft.n_fft,
                "hop_length": view.stft.hop_length,
                "window": view.stft.window,
                "templates": view.W.shape[1],
            }
            for view in dictionary.views
        ],
        "labels": [
            {"label": label, "templates": list(dictionary.components(index)), "from": _source(dictionary, label)}
            for index, label in enumerate(dictionary.labels)
        ],
    }


def _source(dictionary: Dictionary, label: str) -> dict[str, Any] | None:
    return next((entry for entry in dictionary.provenance if entry.get("label") == label), None)


def _table(about: dict[str, Any]) -> str:
    frames = " and ".join(f"{view['n_fft']} (hop {view['hop_length']}, {view['window']})" for view in about["views"])
    lines = [
        f"dictionary of {len(about['labels'])} labels, {about['sample_rate']} Hz, divergence {about['divergence']}",
        f"frames of {frames} samples",
        "",
    ]
    rows = [("label", "templates", "files", "seconds", "learned from")]
    for entry in about["labels"]:
        source = entry["from"] or {}
        names = ", ".join(console.plain(str(file.get("name"))) for file in source.get("first", [])[:3])
        names += ", …" if source.get("files", 0) > 3 else ""
        counts = " ".join(map(str, entry["templates"]))
        rows.append(
            (
                console.plain(entry["label"]),
                counts,
                str(source.get("files", "?")),
                str(source.get("seconds", "?")),
                names or "?",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines += [
        "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]).rstrip()
        for row in rows
    ]
    return "\n".join(console.plain(line) for line in lines) + "\n"
