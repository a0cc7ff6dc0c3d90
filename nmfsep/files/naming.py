"""Names of output files: a small template of its own, and nothing that leaves the output folder."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from ..errors import UsageError
from ..registry import suggestion
from ..system import usable_name

FIELDS = ("track", "stem", "ext", "index", "parent", "k", "seed")
NAME_MAX = 255  # bytes of one component, the limit of the common file systems
MANIFEST = ".nmfsep.json"
MODEL = ".nmf.npz"
PAGE = ".html"  # of a report


def track_name(path: str) -> str:
    """Return what a track is called: its file name without the extension, or "stdin"."""
    return "stdin" if path == "-" else os.path.splitext(os.path.basename(path))[0] or "track"


def parent_name(path: str) -> str:
    """Return the name of the folder that a track lies in."""
    return "" if path == "-" else os.path.basename(os.path.dirname(os.path.abspath(path)))


def check_template(template: str, late: bool = False) -> None:
    """Raise UsageError unless the template has only known fields and gives each stem a name of its own.

    `late`: names of stems are known only when they are written, so that no folder can have them.
    """
    used = re.findall(r"\{([^{}]*)\}", template)
    for field in used:
        if field not in FIELDS:
            raise UsageError(f"--filename has no field {{{field}}}", suggestion(field, list(FIELDS)))
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", template)):
        raise UsageError(f"--filename {template!r} has a single brace")
    if late and "{stem}" in template.rpartition("/")[0]:
        raise UsageError("--stem-names auto names files, not folders", "put {stem} behind the last / of --filename")
    if not {"stem", "index"} & set(used):
        raise UsageError("--filename gives all stems one name", "put {stem} or {index} into it")
    for part in re.sub(r"\{[^{}]*\}", "x", template).split("/"):
        if part in ("", ".", ".."):
            raise UsageError(f"--filename {template!r} leads out of the output folder", "use a relative path")
        if usable_name(part) != part:
            hint = "use letters and digits, and / between folders"
            raise UsageError(f"--filename {template!r} has a name that some systems do not take for one", hint)


def expand(template: str, fields: Mapping[str, str]) -> Path:
    """Return the relative path that a checked template gives; names that are too long are cut and marked by a hash."""
    parts = template.split("/")
    return Path(*(fit_name(re.sub(r"\{([^{}]*)\}", lambda match: fields[match.group(1)], part)) for part in parts))


def manifest_name(track: str) -> str:
    """Return the manifest's file name."""
    return sidecar_name(track, MANIFEST)


def sidecar_name(track: str, suffix: str) -> str:
    """Return the name of a file about a track: its manifest, its model, or what is exported."""
    return fit_name(track + suffix, suffix)


def fit_name(name: str, ending: str | None = None) -> str:
    """Return the name as that of one file in its folder, of at most NAME_MAX bytes: its beginning and its ending."""
    name = usable_name(name)
    raw = os.fsencode(name)
    if len(raw) <= NAME_MAX:
        return name
    tail = os.fsencode(os.path.splitext(name)[1] if ending is None else ending)[-32:]
    text = raw.decode("utf-8", "replace") == name  # then cut between characters, not within one
    if text:
        tail = tail.decode("utf-8", "ignore").encode()
    mark = b"~" + hashlib.sha256(raw).hexdigest()[:12].encode() + tail
    head = raw[: NAME_MAX - len(mark)]
    if text:
        head = head.decode("utf-8", "ignore").encode()
    return os.fsdecode(head + mark)


def collision_key(path: Path) -> str:
    """Return what two paths share if some file system takes them for one: case and composition do not count."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()
