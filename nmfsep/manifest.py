"""The manifest vouches for what was written: what was done, with what, and the hash of every file.

One of a separation lists stems, which add up to their input; one of any other kind says so and lists files.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import InputError, MismatchError, OutputError, UnreadableError
from .naming import MANIFEST, MODEL, manifest_name

SCHEMA = 1
Manifest = dict[str, Any]


def versions(sound: bool = True) -> dict[str, str]:
    """Return the versions that decide the bytes of a result; `sound` says that audio was written."""
    import numpy

    from . import __version__

    found = {"nmfsep": __version__, "python": platform.python_version(), "numpy": numpy.__version__}
    if sound:
        import soundfile

        found |= {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__}
    return found


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest file."""
    return (json.dumps(manifest, indent=1) + "\n").encode()


def load(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    InputError
        It is none, or of a schema from the future.
    """
    try:
        manifest = json.loads(path.read_bytes())
        schema, listed = manifest["schema"], files_of(manifest)
        sound = isinstance(schema, int) and (
            schema > SCHEMA
            or (
                all(
                    isinstance(s["file"], str) and isinstance(s["sha256"], str) and isinstance(s["bytes"], int)
                    for s in [*listed, *manifest.get("former", [])]
                )
                and isinstance(manifest["complete"], bool)
                and ("kind" in manifest or _can_be_summed(manifest))
            )
        )
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
        kind = InputError if absent else UnreadableError
        raise kind(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError("is not a manifest of nmfsep", path=path) from error
    if not sound:
        raise InputError("is not a manifest of nmfsep", path=path)
    if schema > SCHEMA:
        raise InputError(f"has schema {schema}; this version knows up to {SCHEMA}", "upgrade nmfsep", path)
    return manifest  # type: ignore[no-any-return]


def files_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the entries of the files that a manifest vouches for: stems with what lies beside them, or others."""
    if "kind" in manifest:
        return [*manifest["files"]]
    model = manifest.get("model")
    return [*manifest["stems"], *([model] if model else []), *manifest.get("exports", [])]


def _can_be_summed(manifest: Manifest) -> bool:
    """Whether all is there that checking the sum of stems needs."""
    source, number = manifest["input"], (int, float)
    return (
        isinstance(manifest["gain"], number)
        and isinstance(manifest["sum_tolerance"], (*number, type(None)))
        and isinstance(source["relative"], (str, type(None)))
        and isinstance(source["sha256"], (str, type(None)))
        and isinstance(source["offset"], int)
        and isinstance(source["length"], int)
    )


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest of nmfsep."""
    try:
        load(path)
    except UnreadableError:
        raise
    except InputError:
        return False
    return True


def find(path: Path) -> Iterator[Path]:
    """Yield the manifests in and below a folder, or the path itself if it is a file."""
    if path.is_dir():
        yield from sorted(path.rglob("*" + MANIFEST))
    else:
        yield path


def file_sha256(path: str | Path) -> str:
    """Return the hash of a file's bytes."""
    try:
        with open(os.fsencode(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        error.filename = os.fspath(path)  # reading, other than opening, does not say of what
        raise


def vouched_files(path: Path) -> list[dict[str, Any]]:
    """Return the files that the manifest in place vouches for, with those it was about to replace if interrupted."""
    try:
        manifest = load(path)
    except UnreadableError as error:  # nobody knows what would be lost
        raise OutputError(error.message.lower(), path=path) from error
    except InputError:
        return []
    return [*files_of(manifest), *manifest.get("former", [])]


def vouched_model(path: Path) -> Path | None:
    """Return where the saved model lies that the manifest in place vouches for, if there is one."""
    try:
        model = load(path).get("model")
    except UnreadableError:
        raise
    except InputError:
        return None
    return path.parent / model["file"] if model and os.path.basename(model["file"]) == model["file"] else None


def mixture_beside(model: str) -> str | None:
    """Return the input of the manifest that vouches for a saved model and lies beside it, None if there is none."""
    folder, name = Path(model).parent, os.path.basename(model)
    path = folder / manifest_name(name.removesuffix(MODEL))
    beside = vouched_model(path)
    if beside is None or beside.name != name:
        return None
    relative = load(path)["input"]["relative"]
    return os.path.normpath(folder / relative) if relative else None


def written_by_us(path: Path) -> set[Path]:
    """Return the files that the manifest in place vouches for and that are still as they were written."""
    mine = set()
    for entry in vouched_files(path):
        file = path.parent / entry["file"]
        inside = not os.path.isabs(entry["file"]) and ".." not in Path(entry["file"]).parts
        if inside and file.is_file() and not file.is_symlink() and file_sha256(file) == entry["sha256"]:
            mine.add(file)
    return mine


def verify(path: Path) -> str:
    """Check files against their manifest: sizes, hashes, and of stems that they add up to the input.

    Returns
    -------
    str
        What was found, in a few words.

    Raises
    ------
    MismatchError
        A file is missing or changed, or stems do not add up.
    InputError
        The manifest cannot be read.
    """
    manifest = load(path)
    if not manifest["complete"]:
        raise MismatchError("the run that wrote it was interrupted", "run it again", path)
    what = "file" if "kind" in manifest else "stem"
    for entry in files_of(manifest):
        name, file = entry["file"], path.parent / entry["file"]
        if not file.is_file():
            raise MismatchError(f"{what} {name!r} is missing", path=path)
        if file.stat().st_size != entry["bytes"]:
            raise MismatchError(f"{what} {name!r} has {file.stat().st_size} bytes, not {entry['bytes']}", path=path)
        if file_sha256(file) != entry["sha256"]:
            raise MismatchError(f"{what} {name!r} has changed since it was written", path=path)
    return "hashes match" if "kind" in manifest else _verify_sum(path, manifest)


def _verify_sum(path: Path, manifest: Manifest) -> str:
    from .signal.formats import BITS
    from .signal.read import Source
    from .signal.sums import sum_error

    stems = [path.parent / stem["file"] for stem in manifest["stems"]]
    source = manifest["input"]
    mixture = path.parent / source["relative"] if source.get("relative") else None
    if manifest["sum_tolerance"] is None:
        return "hashes match; only some stems were written, or lossily, so no sum was checked"
    if mixture is None or not mixture.is_file() or file_sha256(mixture) != source["sha256"]:
        return "hashes match; the input is not at hand, so no sum was checked"
    bits = BITS.get(manifest["format"]["subtype"], 0)
    with Source(mixture) as sound:
        error = sum_error(stems, sound, source["offset"], source["length"], manifest["gain"], bits)
    if error > manifest["sum_tolerance"]:
        raise MismatchError(f"the stems differ from the input by {error:.3g} of full scale", path=path)
    return f"hashes match; the stems add up to the input, error {error:.3g}"
