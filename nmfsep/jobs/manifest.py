"""Manifest of what was written: input, settings and versions, and size and hash of every file.

A manifest of a separation lists stems, which add up to their input; one of another kind names the kind and lists files.
Files are published together with their manifest; `jobs.verify` checks them against it later.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError, UnreadableError, UsageError
from ..files.json_fields import matches
from ..files.naming import MANIFEST, MODEL, manifest_name
from ..files.publish import Output, publish
from ..system import relative

# errors that say that there is no file of a name, or none for us
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EACCES}
ABSENT |= {errno.EPERM, errno.ENXIO}
SCHEMA = 1
LONGEST = 1 << 62  # samples; a manifest with more makes no sense
ENTRY = {"file": str, "bytes": int, "sha256": str}
FILES = {"complete": bool, "files": [ENTRY], "former?": [ENTRY]}  # what a manifest of any kind needs
STEMS = {  # what one of a separation needs, so that the sum of its stems can be checked
    "complete": bool,
    "former?": [ENTRY],
    "stems": [ENTRY | {"name": str}],
    "model?": (None, ENTRY),
    "exports?": [ENTRY],
    "input": {
        "relative": (str, None), "sha256": (str, None), "offset": range(LONGEST), "length": range(LONGEST),
    },
    "format": {"subtype": str},
    "gain": float,
    "sum_tolerance": (float, None),
}  # fmt: skip
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
        seen_from = os.path.relpath(self.path, folder) if there else None
        return {"path": self.path, "relative": seen_from, "sha256": self.sha256}

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
        before, seen_from, sha256 = about.get("path"), about.get("relative"), about.get("sha256")
        if manifest.get("kind") == self.kind:
            if self.is_pipe and self.sha256 is None:
                return None
            named = path.parent / seen_from if isinstance(seen_from, str) else before
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

    from .. import __version__

    found = {"nmfsep": __version__, "python": platform.python_version(), "numpy": numpy.__version__}
    if sound:
        import soundfile

        found |= {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__}
    return found


def file_entry(file: Output, folder: Path) -> dict[str, Any]:
    """Return the entry of a file in a manifest that lies in a folder."""
    return {"file": relative(file.path, folder), "bytes": file.size(), "sha256": file.sha256()}


def publish_with_manifest(
    path: Path, manifest: Manifest, files: Sequence[Output], require_room: Callable[[], list[Path]]
) -> None:
    """Give files their names together with the manifest that vouches for them: all of them or none.

    Parameters
    ----------
    path : Path
        Of the manifest.
    manifest : dict
    files : sequence of Output
        Written completely.
    require_room : callable
        Returns the files of an earlier run to remove. It is called again just before the files get their names, since
        another run may have written there meanwhile, and raises UsageError if those must stay.

    Raises
    ------
    OutputError
        A file cannot be written.
    InputError
        Another run, of another input, has written there meanwhile.
    """

    def obsolete() -> list[Path]:
        try:
            return require_room()
        except UsageError as error:
            raise InputError(error.message, error.hint, error.path) from error

    with Output(path) as note, Output(path) as vouch:
        note.write(encode(manifest | {"complete": False, "former": vouched_files(path)}))
        vouch.write(encode(manifest))
        publish(files, note, vouch, obsolete)


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
        schema = manifest["schema"]
        sound = type(schema) is int and (schema > SCHEMA or matches(manifest, FILES if "kind" in manifest else STEMS))
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
    """Return the entries of the files that a manifest vouches for: stems, model, exports, or those of another kind."""
    if "kind" in manifest:
        return [*manifest["files"]]
    model = manifest.get("model")
    return [*manifest["stems"], *([model] if model else []), *manifest.get("exports", [])]


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
    """Return the input named by the manifest next to a saved model that vouches for it; None if there is none."""
    folder, name = Path(model).parent, os.path.basename(model)
    path = folder / manifest_name(name.removesuffix(MODEL))
    vouched = vouched_model(path)
    if vouched is None or vouched.name != name:
        return None
    seen_from = load(path)["input"]["relative"]
    return os.path.normpath(folder / seen_from) if seen_from else None


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
