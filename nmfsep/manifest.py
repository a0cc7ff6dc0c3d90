"""The manifest vouches for what was written: what was done, with what, and the hash of every file.

One of a separation lists stems, which add up to their input; one of any other kind says so and lists files.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError, MismatchError, OutputError, UnreadableError
from .naming import MANIFEST, MODEL, manifest_name

# errors that say that there is no file of a name, or none for us
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EACCES}
ABSENT |= {errno.EPERM, errno.ENXIO}
SCHEMA = 1
LONGEST = 1 << 62  # samples, of which more are not believed
MADE = {"None": "the stems of", "factorization": "the factors of", "audition": "the sounds of templates of"}
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What files are made from.

    Two inputs are the same if they have the same path, since a file that changed is separated again, or the same bytes,
    since a file may be moved. The name of a pipe says nothing of what comes through, so that of it only bytes count.

    Parameters
    ----------
    path : str
        The input; "-" is standard input.
    sha256 : str, optional
        Of its bytes; found when it is needed if not given.
    kind : str, optional
        The kind of manifest; None of one that lists stems.
    """

    path: str
    sha256: str | None = None
    kind: str | None = None

    @property
    def is_pipe(self) -> bool:
        """Whether the input has no name that stays."""
        path = self.path
        if path == "-" or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/")):
            return True
        return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)

    def entry(self, folder: Path) -> dict[str, Any]:
        """Return what a manifest in a folder says of the input."""
        there = not self.is_pipe and os.path.exists(self.path)
        relative = os.path.relpath(self.path, folder) if there else None
        return {"path": self.path, "relative": relative, "sha256": self.sha256}

    def other(self, path: Path) -> str | None:
        """Return what files come from that the manifest in place vouches for; None if from this, or if there is none.

        None, too, where that cannot be known before a pipe is read.
        """
        try:
            manifest = load(path)
        except UnreadableError:
            raise
        except InputError:
            return None
        about = manifest.get("input")
        about = about if isinstance(about, dict) else {}
        before, relative, sha256 = about.get("path"), about.get("relative"), about.get("sha256")
        if manifest.get("kind") == self.kind:
            if self.is_pipe and self.sha256 is None:
                return None
            named = path.parent / relative if isinstance(relative, str) else before
            if not self.is_pipe and isinstance(named, (str, Path)) and _same_place(named, self.path):
                return None
            if isinstance(sha256, str) and sha256 == (self.sha256 or digest(self.path)):
                return None
        what = MADE.get(str(manifest.get("kind")), "what was made from")
        return f"{what} {before[:200]!r}" if isinstance(before, str) and before != "-" else f"{what} another input"


def _same_place(one: str | Path, other: str) -> bool:
    try:
        return os.path.abspath(one) == os.path.abspath(other) or os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def digest(path: str | Path) -> str | None:
    """Return the hash of a file, None if there is none of that name that may be read.

    Raises
    ------
    UnreadableError
        The disk or the system fails: nobody knows what the file holds.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        _require_absent(error, path)
        return None
    except ValueError:
        return None


def _require_absent(error: OSError, path: str | Path) -> None:
    """Raise UnreadableError unless an error says that there is no file of that name which may be read."""
    if error.errno not in ABSENT:
        raise UnreadableError(f"cannot be read: {(error.strerror or str(error)).lower()}", path=path) from error


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
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # what comes through a pipe may never end
            raise InputError("is not a manifest of nmfsep", path=path)
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
                and ("kind" in manifest or _lists_stems(manifest))
            )
        )
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
        kind = InputError if absent else UnreadableError
        raise kind(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
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


def _lists_stems(manifest: Manifest) -> bool:
    """Whether stems have names, and all is there that checking their sum needs."""
    source, tolerance = manifest["input"], manifest["sum_tolerance"]
    return (
        all(isinstance(stem["name"], str) for stem in manifest["stems"])
        and math.isfinite(manifest["gain"])
        and (tolerance is None or math.isfinite(tolerance))
        and isinstance(manifest["format"]["subtype"], str)
        and isinstance(source["relative"], (str, type(None)))
        and isinstance(source["sha256"], (str, type(None)))
        and all(isinstance(source[name], int) and 0 <= source[name] < LONGEST for name in ("offset", "length"))
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
        manifest = load(path)
    except UnreadableError:
        raise
    except InputError:
        return None
    model = None if "kind" in manifest else manifest.get("model")
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
        inside = not Path(entry["file"]).anchor and ".." not in Path(entry["file"]).parts
        if inside and _is_regular(file) and digest(file) == entry["sha256"]:
            mine.add(file)
    return mine


def _is_regular(file: Path) -> bool:
    """Whether there is a file of that name, not a link, whatever a manifest has for a name.

    Raises
    ------
    UnreadableError
        The disk or the system fails: nobody knows what is there.
    """
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except OSError as error:
        _require_absent(error, file)
        return False
    except ValueError:
        return False


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
        if not os.path.isfile(file):
            raise MismatchError(f"{what} {name!r} is missing", path=path)
        try:
            size, digest = file.stat().st_size, file_sha256(file)
        except OSError as error:
            raise InputError(f"{what} {name!r} cannot be read: {error.strerror}", path=path) from error
        if size != entry["bytes"]:
            raise MismatchError(f"{what} {name!r} has {size} bytes, not {entry['bytes']}", path=path)
        if digest != entry["sha256"]:
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
    if mixture is None or not os.path.isfile(mixture) or digest(mixture) != source["sha256"]:
        return "hashes match; the input is not at hand, so no sum was checked"
    bits = BITS.get(manifest["format"]["subtype"], 0)
    try:
        with Source(mixture) as sound:
            off = sum_error(stems, sound, source["offset"], source["length"], manifest["gain"], bits)
    except (RuntimeError, OSError) as error:  # soundfile's errors are RuntimeErrors
        raise MismatchError("the stems cannot be compared with the input", path=path) from error
    if off > manifest["sum_tolerance"]:
        raise MismatchError(f"the stems differ from the input by {off:.3g} of full scale", path=path)
    return f"hashes match; the stems add up to the input, error {off:.3g}"
