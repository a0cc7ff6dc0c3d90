"""Remix: stems back together at levels of one's own; where none is changed, the mixture bit for bit.

The manifest says what the stems add up to. Where that mixture is at hand, a remix is the mixture plus what its levels
add to each stem, so that neither the rounding of stems nor a lossy format matters to what stays as it was. Else, and
where a stem was edited since, it is the sum of the stems.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, UsageError
from ..files.formats import FORMATS, resolve
from ..files.publish import Output, folder_is_writable, pour, publish_one
from ..files.write import StemWriter, to_integers
from ..jobs.manifest import Manifest, digest, find_one, load
from ..jobs.safety import identities
from ..registry import choose, suggestion
from ..settings.commands import MixSettings
from ..signal.read import BLOCK, Source
from ..system import exists, is_file, is_folder

Part = tuple[Path, float, int | None]  # a file, what it is multiplied by, and its first sample; None takes all of it
LOUDEST = 120.0  # dB by which a stem is raised or lowered at the most
EXTENSIONS = {".wave": "wav", ".aif": "aiff"} | {f".{form.extension}": name for name, form in [*FORMATS.items()][::-1]}


@dataclass(frozen=True, slots=True)
class Mix:
    """What was written, and how.

    Parameters
    ----------
    path : str
        The file; "-" is standard output.
    manifest : Path
        Of the stems.
    gains : dict of str to float or None
        In dB, by stem; None is silent.
    subtype : str
        Sample format.
    of_mixture : bool
        Whether it is the mixture plus changes of levels; else it is the sum of the stems.
    warnings : tuple of str
    """

    path: str
    manifest: Path
    gains: dict[str, float | None]
    subtype: str
    of_mixture: bool
    warnings: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        stems = [{"name": name, "gain": gain} for name, gain in self.gains.items()]
        return {
            "output": self.path, "manifest": str(self.manifest), "stems": stems, "subtype": self.subtype,
            "of_mixture": self.of_mixture, "warnings": [*self.warnings],
        }  # fmt: skip


def mix(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    gains: Mapping[str, float] | None = None,
    **options: Any,
) -> Mix:
    """Mix stems to one file; without gains it is the mixture that they were separated from, bit for bit.

    Parameters
    ----------
    folder : path
        The folder that split wrote, or the manifest in it.
    out : path
        An audio file, whose extension says what it is; "-" is standard output.
    gains : mapping of str to float, optional
        In dB, by the name of a stem or its number from 1; 0 for those that are not given.
    **options
        Fields of MixSettings: `mute`, `solo`, `gain`, `subtype`, `force`.

    Raises
    ------
    UsageError
        There is no manifest or more than one, no such stem, or the file must not be replaced.
    InputError
        A stem cannot be read, or is not as long as the others.
    OutputError
        The file cannot be written.
    """
    path, out = find_one(folder), os.fspath(out)
    manifest, settings = load(path), MixSettings(out=out, **options)
    about = manifest["input"]
    stems = {entry["name"]: path.parent / entry["file"] for entry in manifest["stems"]}
    chosen = _gains(list(stems), gains or {}, settings)
    mixture = path.parent / about["relative"] if about["relative"] else None
    container = _require_writable(out, settings, [*stems.values(), *([mixture] if mixture else [])])
    warnings = _edited(manifest, path)
    if mixture is not None and (warnings or digest(mixture) != about["sha256"]):
        mixture = None
    if mixture is None:
        warnings += _inexact(manifest)
    rest = 0.0 if settings.solo else 1.0
    factors = {name: 0.0 if gain is None else 10 ** (gain / 20) for name, gain in chosen.items()}
    if mixture is not None:
        factors = {name: factor - rest for name, factor in factors.items()}
    parts: list[Part] = [(stems[name], factor / manifest["gain"], None) for name, factor in factors.items() if factor]
    if mixture is not None and rest:
        parts.append((mixture, rest, about["offset"]))
    written = manifest["format"]["subtype"] if mixture is None else about["subtype"]
    form = resolve(container, settings.subtype, written, about["channels"], about["sample_rate"])
    with Output(Path(tempfile.gettempdir()) / "nmfsep-stdout.wav" if out == "-" else Path(out)) as file:
        master = 10 ** (settings.gain / 20)
        writer = StemWriter([file], form, about["sample_rate"], about["channels"], about["length"])
        warnings += _write(writer, [(name, factor * master, first) for name, factor, first in parts], about)
        if out == "-":
            pour(file.blocks(), sys.stdout.buffer)
        else:
            publish_one(file)
    return Mix(out, path, chosen, form.subtype, mixture is not None, tuple(warnings))


def _gains(names: Sequence[str], gains: Mapping[str, float], settings: MixSettings) -> dict[str, float | None]:
    """Return the dB of each stem; None is silent."""
    muted, alone = ({choose(name, names, f"--{how}") for name in getattr(settings, how)} for how in ("mute", "solo"))
    if both := muted & alone:
        raise UsageError(f"--mute {min(both)} and --solo {min(both)} contradict each other", "leave out one")
    found: dict[str, float | None] = dict.fromkeys(names, 0.0)
    for text, gain in gains.items():
        if not -LOUDEST <= gain <= LOUDEST:
            raise UsageError(f"{text}: {gain:g} dB must be at least {-LOUDEST:g} and at most {LOUDEST:g}")
        found[choose(text, names)] = float(gain)
    return {n: None if n in muted or (alone and n not in alone) else gain for n, gain in found.items()}


def _require_writable(out: str, settings: MixSettings, sources: Sequence[Path]) -> str:
    """Return the container that a name stands for; refuse a file that must not be replaced."""
    if out == "-":
        return "wav"
    path, extension = Path(out), os.path.splitext(out)[1].lower()
    if extension not in EXTENSIONS:
        known = sorted(EXTENSIONS)
        raise UsageError(f"has the extension {extension!r}, of no format", suggestion(extension, known), path)
    if is_folder(path):
        raise UsageError("is a folder where a file should go", "name a file, such as remix.wav", path)
    if identities([out]) & identities([os.fspath(source) for source in sources]):
        raise UsageError("is an input and would be overwritten", "choose another name", path)
    if exists(path, follow=False) and not settings.force:
        raise UsageError("exists", "use --force to replace it, or another name with -o", path)
    if not folder_is_writable(path.parent):
        raise UsageError("cannot be written to", "choose another folder", path.parent)
    return EXTENSIONS[extension]


def _edited(manifest: Manifest, path: Path) -> list[str]:
    """Return which stems are no longer as they were written, in words; raise InputError where one is gone."""
    found = []
    for entry in manifest["stems"]:
        stem = path.parent / entry["file"]
        if not is_file(stem):
            raise InputError(f"stem {entry['file']!r} is missing", "separate again", path)
        if digest(stem) != entry["sha256"]:
            found.append(f"{entry['name']!r} has changed since it was written, so the stems are added up as they are")
    return found


def _inexact(manifest: Manifest) -> list[str]:
    """Return what the sum of the stems misses, where the mixture is not at hand."""
    if manifest["sum_tolerance"] is None:
        return ["the mixture is not at hand; only some stems were written, or lossily, and their sum is not all of it"]
    if manifest["sum_tolerance"] or manifest["gain"] != 1:
        return ["the mixture is not at hand, so its samples come out to rounding only"]
    return []


def _write(writer: StemWriter, parts: Sequence[Part], about: Mapping[str, Any]) -> list[str]:
    """Write the sum of files, each from its first sample on and times its factor; return what was clipped, in words."""
    bits, length, clipped, peak = writer.form.bits, about["length"], 0, 0.0
    with writer, contextlib.ExitStack() as stack:
        sources = []
        for path, factor, first in parts:
            source = stack.enter_context(Source(path))
            if (source.channels, source.sample_rate) != (about["channels"], about["sample_rate"]):
                wanted = f"{about['channels']} channels of {about['sample_rate']} Hz"
                raise InputError("has another sample rate or number of channels", f"it must have {wanted}", path)
            source.seek(first or 0)
            sources.append((source, factor, first))
        for start in range(0, length, BLOCK):
            count = min(BLOCK, length - start)
            total = np.zeros((count, about["channels"]))
            for source, factor, first in sources:
                with source.decoding():
                    block = source.block(count)
                if len(block) < count:
                    message = f"is {length - start - len(block)} samples shorter than the others"
                    raise InputError(message, "make it as long as they are", source.path)
                if first is None and start + count == length and len(source.block(1)):
                    raise InputError("is longer than the others", "make it as long as they are", source.path)
                total += factor * block
            integers = to_integers(total.T, bits) if bits else None
            if integers is not None:
                clipped += int((np.rint(total.T * (1 << (bits - 1))) != integers).sum())
            peak = max(peak, float(np.abs(total).max(initial=0)))
            with np.errstate(over="ignore"):
                writer.write(total.T[None].astype(np.float32), total.T, integers)
    if clipped + writer.clipped == 0:
        return []
    excess = math.ceil(200 * math.log10(max(peak, 1.0)) + 0.5) / 10
    hint = f"--gain -{excess:.1f} or --subtype FLOAT avoids it"
    return [f"{clipped + writer.clipped} samples are beyond full scale and were clipped; {hint}"]
