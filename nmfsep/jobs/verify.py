"""Verification of files against their manifest: sizes, hashes, and whether stems add up to their input."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError, MismatchError
from ..files.formats import BITS
from ..files.write import to_integers
from ..signal.read import BLOCK, Source
from .manifest import Manifest, digest, file_sha256, files_of, load


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


def sum_error(
    stems: Sequence[Path], mixture: Source, offset: int, length: int, gain: float = 1.0, bits: int = 0
) -> float:
    """Return the largest difference between gain times the mixture and the sum of the stems, relative to its peak.

    Parameters
    ----------
    stems : sequence of Path
    mixture : Source
    offset, length : int
        The stretch of the mixture that was separated, in samples.
    gain : float, default 1
    bits : int, default 0
        Width of the stems' integers, to which the mixture is rounded first; 0 if they have none.
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
