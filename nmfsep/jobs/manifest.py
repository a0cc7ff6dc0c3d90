"""Manifest of what was written: input, settings and versions, and size and hash of every file.

A manifest of a separation lists stems, which add up to their input; one of another kind names the kind and lists files.
Files are published together with their manifest; `verify` checks them against it later.
"""

from __future__ import annotations

import contextlib
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

import numpy as np

from ..errors import InputError, MismatchError, OutputError, UnreadableError, UsageError
from ..files.formats import BITS
from ..files.json_fields import matches
from ..files.naming import MANIFEST, MODEL, manifest_name
from ..files.publish import Output, publish
from ..files.write import to_integers
from ..signal.read import BLOCK, Source
from ..system import exists, is_file, is_folder, mode_of, relative

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
    "asked?": (None, {"settings": dict, "cues": dict, "output": dict, "max_memory": (int, None)}),
    "guidance?": [dict],
    "versions?": {str: str},
    "warnings?": [str],
    "input": {
        "relative": (str, None), "sha256": (str, None), "offset": range(LONGEST), "length": range(LONGEST),
    },
    "format": {"subtype": str},
    "gain": float,
    "sum_tolerance": (float, None),
}  # fmt: skip
MADE = {
    "None": "the stems of", "factorization": "the factors of", "audition": "the sounds of templates of",
    "strokes": "the strokes of",
}  # fmt: skip
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """What files are made from.

    Two inputs are the same if they have the same path, since a file that changed is separated again, or the same bytes,
    since a file may be moved. The name of a pipe says nothing of what comes through, so that of it only bytes count.
    """

    path: str  # "-" is standard input
    sha256: str | None = None  # of its bytes; found when it is needed if not given
    kind: str | None = None  # of manifest; None of one that lists stems

    @property
    def is_pipe(self) -> bool:
        """Whether the input has no name that stays."""
        path = self.path
        if path == "-" or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/")):
            return True
        mode = mode_of(path)
        return mode != 0 and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))

    def entry(self, folder: Path) -> dict[str, Any]:
        """Return what a manifest in a folder says of the input."""
        there = not self.is_pipe and exists(self.path)
        seen_from = os.path.relpath(self.path, folder) if there else None
        return {"path": self.path, "relative": seen_from, "sha256": self.sha256}

    def other(self, path: Path) -> str | None:
        """Return the other input that the files of the manifest in place come from; None if there is no other.

        None, too, where that cannot be known before a pipe is read.
        """
        manifest = load_if_any(path)
        if manifest is None:
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
    """Give files, which are written completely, their names together with their manifest: all of them or none.

    `require_room` returns the files of an earlier run to remove. It is called again just before the files get their
    names, since another run may have written there meanwhile; if those must stay, that is an InputError.
    """

    def obsolete() -> list[Path]:
        try:
            return require_room()
        except UsageError as error:
            raise InputError(error.message, error.hint, error.path) from error

    with Output(path) as note, Output(path) as final:
        note.write(encode(manifest | {"complete": False, "former": listed_files(path)}))
        final.write(encode(manifest))
        publish(files, note, final, obsolete)


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest file."""
    return (json.dumps(manifest, indent=1) + "\n").encode()


def load(path: Path) -> Manifest:
    """Read a manifest; raise InputError where there is none, or one of a schema from the future."""
    try:
        mode = os.stat(path).st_mode
        readable = stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # what comes through a pipe may never end
        manifest: Manifest = json.loads(path.read_bytes()) if readable else {}
        schema = manifest["schema"]
        from_future = type(schema) is int and schema > SCHEMA
        sound = type(schema) is int and (from_future or matches(manifest, FILES if "kind" in manifest else STEMS))
    except OSError as error:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError))
        kind = InputError if absent else UnreadableError
        raise kind(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InputError("is not a manifest of nmfsep", path=path) from error
    if not sound:
        raise InputError("is not a manifest of nmfsep", path=path)
    if from_future:
        raise InputError(f"has schema {schema}; this version knows up to {SCHEMA}", "upgrade nmfsep", path)
    return manifest


def load_if_any(path: Path) -> Manifest | None:
    """Read a manifest, or return None where there is none; raise UnreadableError where nobody knows what is there."""
    try:
        return load(path)
    except UnreadableError:
        raise
    except InputError:
        return None


def files_of(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the entries of the files that a manifest lists: stems, model, exports, or those of another kind."""
    if "kind" in manifest:
        return [*manifest["files"]]
    model = manifest.get("model")
    return [*manifest["stems"], *([model] if model else []), *manifest.get("exports", [])]


def find(path: Path) -> Iterator[Path]:
    """Yield the manifests in and below a folder, or the path itself if it is a file."""
    if not is_folder(path):
        yield path
        return

    def fail(error: OSError) -> None:
        raise error

    walk = os.walk(path, onerror=fail)
    yield from sorted(Path(folder, name) for folder, _, names in walk for name in names if name.endswith(MANIFEST))


def find_one(folder: str | os.PathLike[str]) -> Path:
    """Return the one manifest of stems at a path."""
    if not exists(folder):
        raise UsageError("no such file or directory", "check the name", folder)
    found = [path for path in find(Path(folder)) if not is_folder(folder) or "kind" not in load(path)]
    if not found:
        raise UsageError("holds no manifest of nmfsep", "name the folder that split wrote", folder)
    if len(found) > 1:
        others = ", ".join(str(path.parent) for path in found[:3])
        raise UsageError(f"holds the stems of {len(found)} sounds", f"name the folder of one: {others}", folder)
    manifest = load(found[0])
    if "kind" in manifest:
        raise UsageError("is a manifest of something else than stems", "name one that split wrote", found[0])
    if not manifest["complete"]:
        raise UsageError("the run that wrote it was interrupted", "run it again", found[0])
    return found[0]


def listed_files(path: Path) -> list[dict[str, Any]]:
    """Return the files that the manifest in place lists, with those it was about to replace if interrupted."""
    try:
        manifest = load_if_any(path)
    except UnreadableError as error:  # nobody knows what would be lost
        raise OutputError(error.message.lower(), path=path) from error
    return [] if manifest is None else [*files_of(manifest), *manifest.get("former", [])]


def listed_model(path: Path) -> Path | None:
    """Return where the saved model lies that the manifest in place lists, if it lists one."""
    manifest = load_if_any(path)
    model = manifest.get("model") if manifest is not None and "kind" not in manifest else None
    return path.parent / model["file"] if model and os.path.basename(model["file"]) == model["file"] else None


def mixture_of(model: str) -> str | None:
    """Return the input of a saved model by the manifest in its folder that lists it; None if there is none."""
    folder, name = Path(model).parent, os.path.basename(model)
    path = folder / manifest_name(name.removesuffix(MODEL))
    listed = listed_model(path)
    if listed is None or listed.name != name:
        return None
    seen_from = load(path)["input"]["relative"]
    return os.path.normpath(folder / seen_from) if seen_from else None


def written_by_us(path: Path) -> set[Path]:
    """Return the files that the manifest in place lists and that are still as they were written."""
    mine = set()
    for entry in listed_files(path):
        file = path.parent / entry["file"]
        inside = not Path(entry["file"]).anchor and ".." not in Path(entry["file"]).parts
        if inside and digest(file, links=False) == entry["sha256"]:
            mine.add(file)
    return mine


def digest(path: str | Path, links: bool = True) -> str | None:
    """Return the hash of a file, None if none of that name may be read, or if it is a link where `links` are not.

    A disk or system that fails is an UnreadableError: nobody knows what the file holds.
    """
    try:
        return file_sha256(path) if links or stat.S_ISREG(os.lstat(path).st_mode) else None
    except OSError as error:
        if error.errno not in ABSENT:
            raise UnreadableError(f"cannot be read: {(error.strerror or str(error)).lower()}", path=path) from error
        return None
    except ValueError:
        return None


def file_sha256(path: str | Path) -> str:
    """Return the hash of a file's bytes."""
    try:
        with open(os.fsencode(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        error.filename = os.fspath(path)  # reading, other than opening, does not say of what
        raise


def verify(path: Path) -> str:
    """Check files against their manifest, sizes, hashes, and the sum of stems; return in words what was found.

    Raises
    ------
    MismatchError
        A file is missing or changed, or stems do not add up to the input.
    InputError
        The manifest cannot be read.
    """
    manifest = load(path)
    if not manifest["complete"]:
        raise MismatchError("the run that wrote it was interrupted", "run it again", path)
    what = "file" if "kind" in manifest else "stem"
    for entry in files_of(manifest):
        name, file = entry["file"], path.parent / entry["file"]
        if not is_file(file):
            raise MismatchError(f"{what} {name!r} is missing", path=path)
        try:
            size, sha256 = file.stat().st_size, file_sha256(file)
        except OSError as error:
            raise InputError(f"{what} {name!r} cannot be read: {error.strerror}", path=path) from error
        if size != entry["bytes"]:
            raise MismatchError(f"{what} {name!r} has {size} bytes, not {entry['bytes']}", path=path)
        if sha256 != entry["sha256"]:
            raise MismatchError(f"{what} {name!r} has changed since it was written", path=path)
    return "hashes match" if "kind" in manifest else _verify_sum(path, manifest)


def _verify_sum(path: Path, manifest: Manifest) -> str:
    stems = [path.parent / stem["file"] for stem in manifest["stems"]]
    source = manifest["input"]
    mixture = path.parent / source["relative"] if source.get("relative") else None
    if manifest["sum_tolerance"] is None:
        return "hashes match; only some stems were written, or lossily, so no sum was checked"
    if mixture is None or not is_file(mixture) or digest(mixture) != source["sha256"]:
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


def sum_error(
    stems: Sequence[Path], mixture: Source, offset: int, length: int, gain: float = 1.0, bits: int = 0
) -> float:
    """Return the largest difference between gain times the mixture and the sum of the stems, relative to its peak.

    `offset` and `length` are the stretch of the mixture that was separated, in samples. `bits` is the width of the
    stems' integers, to which the mixture is rounded first; 0 if they have none.
    """
    worst, peak = 0.0, 0.0
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(Source(path)) for path in stems]
        mixture.seek(offset)
        for start in range(0, length, BLOCK):
            count = min(BLOCK, length - start)
            x = mixture.block(count)
            if len(x) < count:
                return np.inf
            if bits and not (bits == 32 and mixture.subtype == "PCM_32" and gain == 1):
                with np.errstate(over="ignore"):
                    x = to_integers(x.astype(np.float32), bits, gain) / (1 << (bits - 1))
            else:
                x = gain * x
            total = np.zeros_like(x)
            for source in sources:
                piece = source.block(count)
                if piece.shape != x.shape:
                    return np.inf
                total += piece
            worst = float(np.maximum(worst, np.abs(total - x).max(initial=0)))  # unlike max, keeps a NaN
            peak = max(peak, float(np.abs(x).max(initial=0)))
    if worst <= len(stems) * float(np.finfo(np.float32).smallest_subnormal):  # as near as single precision comes
        return 0.0
    if np.isnan(worst):
        return np.inf
    return worst / peak if peak > 0 else worst
