"""Report of a separation: one HTML file in which one listens to the stems, judges them and groups them anew.

It is made from the stems and their manifest, and from the saved model where there is one. What it holds is drawn by
`analysis.preview` and filled into the page by `analysis.page`.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..analysis import preview
from ..analysis.page.fill import fill
from ..errors import InputError, NmfsepError, UsageError
from ..files.naming import MANIFEST, MODEL, PAGE, manifest_name, sidecar_name
from ..files.publish import Output, publish_one
from ..jobs.inputs import stem_files
from ..jobs.manifest import Manifest, digest, find_one, listed_model, load
from ..jobs.plan import Job
from ..jobs.run_options import RunOptions
from ..jobs.safety import require_replaceable
from ..jobs.track import Outcome
from ..separation import saved
from ..signal.audio import Audio
from ..signal.read import Source
from ..signal.stream import Stream
from ..system import exists, is_file, is_folder, relative
from .rerun import spelled

PREVIEW = 60.0  # seconds that can be heard, unless all is asked for
TEMPLATES = 160  # shown at the most
HEADROOM = 0.95  # of full scale, since an encoder may go beyond what it is given
THREADS = 4  # encoders at a time


def report(
    path: str,
    target: str | os.PathLike[str] | None = None,
    *,
    references: str | None = None,
    full: bool = False,
    force: bool = False,
    limit: int | None = None,
) -> Path:
    """Write a page about a separation, which works from disk and asks for nothing from the network.

    Parameters
    ----------
    path : str
        A folder that `split` wrote to, the manifest in it, or its saved model.
    target : path-like, optional
        The HTML file; next to the manifest and named after the track if not given.
    references : str, optional
        A folder of true stems, with which the stems are compared.
    full : bool, default False
        Whether all can be heard, and not the loudest minute alone.
    force : bool, default False
        Whether to replace a file that is no report.
    limit : int, optional
        Bytes of memory that may be taken; three quarters of what is free if not given.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    UsageError
        There is no separation, or several; a file is in the way; or memory would not suffice.
    InputError
        A stem or manifest cannot be read.
    OutputError
        The page cannot be written.
    """
    place = manifest_of(path)
    page = place.parent / sidecar_name(place.name.removesuffix(MANIFEST), PAGE) if target is None else Path(target)
    manifest = load(place)
    parts = [place, *(place.parent / stem["file"] for stem in manifest["stems"])]
    require_replaceable(page, [os.fspath(part) for part in parts], force)
    content = fill(_document(place, manifest, page.parent, references, full, limit))
    with Output(page) as file:
        file.write(content)
        publish_one(file)
    return page


def manifest_of(path: str) -> Path:
    """Return the one manifest of a separation that a folder, manifest or saved model leads to."""
    if exists(path) and not is_folder(path) and path.endswith(MODEL):
        place = Path(path).parent / manifest_name(os.path.basename(path).removesuffix(MODEL))
        listed = listed_model(place)
        if listed is None or listed.name != os.path.basename(path):
            raise UsageError("does not lie with its stems", "render it, and report on the folder", path)
        return place
    return find_one(path)


def with_report(job: Job, outcome: Outcome, options: RunOptions) -> Outcome:
    """Write the report of a job that is done, if one is wanted; return the outcome, with what is wrong if it cannot."""
    if job.page is None or outcome.error is not None or (outcome.skipped and is_file(job.page)):
        return outcome
    try:
        report(os.fspath(job.manifest or ""), job.page, force=options.output.force, limit=options.limit)
    except NmfsepError as error:
        return replace(outcome, error=error)
    return outcome


@dataclass(frozen=True, slots=True)
class _Sounds:
    """The files of the stems, and of the mixture if it is at hand."""

    stems: tuple[str, ...]
    mixture: str | None
    offset: int  # samples of the mixture's file before what was separated
    length: int
    gain: float  # of the stems against the mixture

    @contextlib.contextmanager
    def stream(self, path: str) -> Iterator[Stream]:
        """Open a stem, or the mixture where it was separated."""
        with Source(path) as source:
            rate, cut = source.sample_rate, path == self.mixture
            yield Stream(source, self.offset / rate if cut else 0.0, self.length / rate if cut else None)

    def overview(self, path: str) -> preview.Overview:
        """Look at a stem or the mixture."""
        with self.stream(path) as stream:
            return preview.overview(stream.pieces(), self.length, stream.sample_rate)

    def sum(self) -> preview.Overview:
        """Look at the sum of the stems."""
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(self.stream(path)) for path in self.stems]
            pieces = (np.sum(each, axis=0) for each in zip(*(stream.pieces() for stream in streams), strict=True))
            return preview.overview(pieces, self.length, streams[0].sample_rate)

    def heard(self, path: str, begin: float, seconds: float | None) -> Audio:
        """Return the stretch of a stem or the mixture that can be heard."""
        cut = path == self.mixture
        with Source(path) as source:
            audio = source.read(begin + (self.offset / source.sample_rate if cut else 0.0), seconds)
        audio = preview.playable(audio)
        return Audio(audio.samples * np.float32(self.gain), audio.sample_rate) if cut else audio


def _document(
    place: Path, manifest: Manifest, folder: Path, references: str | None, full: bool, limit: int | None
) -> dict[str, Any]:
    """Return all that the page holds; links are seen from its folder."""
    sounds, notes = _sounds(place, manifest)
    with Source(sounds.stems[0]) as source:
        rate, channels = source.sample_rate, source.channels
    seconds = sounds.length / rate
    heard = seconds if full else min(seconds, PREVIEW)
    need = 16 * (len(sounds.stems) + 1) * round(heard * rate) * min(channels, 2)
    memory.require("the page needs", need, limit, "leave out --full")
    whole = sounds.overview(sounds.mixture) if sounds.mixture else sounds.sum()
    stems = [sounds.overview(path) for path in sounds.stems]
    begin = _loudest(whole.energy, seconds, heard)
    if heard < seconds:
        notes.append(f"Heard is the loudest stretch of {heard:.0f} s; report --full takes all.")
    if channels > 2:
        notes.append(f"The {channels} channels are mixed to one to be heard here.")
    paths = [*sounds.stems, *([sounds.mixture] if sounds.mixture else [])]
    span = None if heard == seconds else heard
    audio, samples, at, gain = _encoded([sounds.heard(path, begin, span) for path in paths])
    top, model = float(whole.rows.max()), _model(place, manifest)
    if model is None:
        notes.append("Templates are those of the stems as they sound: the model was not saved (split --save-model).")
    entries = [
        _row(entry, each, top) | {"audio": sound, "href": _href(path, folder)}
        for entry, path, each, sound in zip(manifest["stems"], sounds.stems, stems, audio, strict=False)
    ]
    asked = manifest.get("settings")
    return {
        "track": place.name.removesuffix(MANIFEST),
        "seconds": seconds,
        "sampleRate": rate,
        "channels": channels,
        "range": preview.RANGE,
        "lowest": min(preview.LOWEST, rate / 8),
        "preview": {"begin": begin, "seconds": samples / at, "samples": samples, "rate": at, "gain": gain},
        "mixture": _row({}, whole, top) | {"audio": audio[len(entries)] if sounds.mixture else None},
        "rows": entries,
        "factors": model or _of_stems(stems, rate),
        "regroup": _regrouping(place, manifest, folder),
        "notes": notes + [str(each) for each in manifest.get("warnings", [])],
        "hints": manifest.get("hints", []),
        "bleed": manifest.get("bleed", []),
        "fit": manifest.get("fit", []),
        "choice": manifest.get("choice"),
        "settings": asked if isinstance(asked, dict) else {},
        "versions": manifest.get("versions", {}),
        "scores": _scores(references, sounds, limit) if references else None,
        "command": command_of(manifest),
    }


def _sounds(place: Path, manifest: Manifest) -> tuple[_Sounds, list[str]]:
    """Return the files, and in words what of them is not at hand."""
    notes, folder, about = [], place.parent, manifest["input"]
    if not manifest["stems"]:
        raise InputError("lists no stems", path=place)
    for stem in manifest["stems"]:
        if not is_file(folder / stem["file"]):
            raise InputError(f"stem {stem['file']!r} is missing", "separate again", place)
    mixture = os.path.normpath(folder / about["relative"]) if about["relative"] else None
    if mixture is None or not is_file(mixture) or digest(mixture) != about["sha256"]:
        mixture = None
        notes.append("The mixture is not at hand, or has changed: in its place stands the sum of the stems.")
    if manifest["sum_tolerance"] is None:
        notes.append("Only some stems were written, or lossily, so the rows may not add up to the mixture.")
    stems = tuple(os.fspath(folder / stem["file"]) for stem in manifest["stems"])
    return _Sounds(stems, mixture, about["offset"], about["length"], manifest["gain"]), notes


def _loudest(energy: NDArray[np.float64], seconds: float, heard: float) -> float:
    """Return where the loudest stretch begins, in seconds; energies are of columns of equal length."""
    width = max(1, round(len(energy) * heard / seconds))
    sums = np.cumsum(np.concatenate([[0.0], energy]))
    first = int(np.argmax(sums[width:] - sums[:-width]))
    return min(first * seconds / len(energy), seconds - heard)


def _encoded(heard: Sequence[Audio]) -> tuple[list[str], int, int, float]:
    """Return sounds as MP3 files in base64, their length and rate, and by what all were turned down for the loudest."""
    length, rate = min(audio.length for audio in heard), heard[0].sample_rate
    loudest = max(float(np.abs(audio.samples).max(initial=0)) for audio in heard)
    gain = np.float32(min(1.0, HEADROOM / max(loudest, 1e-30)))

    compression = preview.COARSE if len(heard) * length > preview.LONG * rate else preview.FINE

    def encode(audio: Audio) -> str:
        return _base64(preview.mp3(audio.samples[:, :length] * gain, rate, compression))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(encode, heard)), length, rate, float(gain)


def _row(entry: dict[str, Any], found: preview.Overview, top: float) -> dict[str, Any]:
    """Return what is shown of a stem or the mixture."""
    names = (
        "name", "components", "level", "peak", "energy_share", "pitch", "centroid", "centre", "percussiveness",
        "activity", "pan",
    )  # fmt: skip
    peak = max(float(np.abs(found.peaks).max()), 1e-30)
    return {name: entry[name] for name in names if name in entry} | {
        "waveScale": peak,
        "wave": _base64(np.rint(127 * found.peaks / peak).astype(np.int8).tobytes()),
        "picture": _base64(preview.png(preview.decibels(found.rows, top))),
        "sounding": _base64(_relative(found.level[None]).tobytes()),
    }


def _relative(Z: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return rows as grey, each relative to its largest value."""
    grey: preview.Grey = np.rint(255 * Z / np.maximum(Z.max(axis=1, keepdims=True), 1e-30)).astype(np.uint8)
    return grey


def _of_stems(stems: Sequence[preview.Overview], rate: int) -> dict[str, Any]:
    """Return a template and an activation of each stem: its magnitudes summed over time and over frequency."""
    W, Z = np.stack([each.spectrum for each in stems], axis=1), np.stack([each.level for each in stems])
    return _factors(W, Z, stems[0].frequencies, rate, range(len(stems)))


def _model(place: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Return templates and activations of the saved model; None where there is none."""
    path = listed_model(place)
    if path is None or not is_file(path):
        return None
    model = saved.read(path)
    first = model.resolutions[0]
    factors = first.components.factors
    W = np.sum([each.W for each in factors], axis=0)
    Z = np.mean([each.Z for each in factors], axis=0)
    energies = np.square(W.sum(axis=0, dtype=np.float64)) * np.einsum("kt,kt->k", Z, Z, dtype=np.float64)
    owner = {number - 1: row for row, stem in enumerate(manifest["stems"]) for number in stem.get("components", [])}
    column_of = {column: group for group, columns in enumerate(first.components.groups) for column in columns}
    shown = np.argsort(-energies, kind="stable")[:TEMPLATES]
    order = sorted(map(int, shown), key=lambda column: (owner.get(column_of[column], 1 << 30), column))
    rows = [owner.get(column_of[column], -1) for column in order]
    rate = model.mixture.sample_rate
    found = _factors(W[:, order], Z[order], first.stft.frequencies(rate), rate, rows)
    return found | {"of": "model", "count": W.shape[1]}


def _factors(
    W: NDArray[np.floating[Any]],
    Z: NDArray[np.floating[Any]],
    frequencies: NDArray[np.float64],
    rate: int,
    rows: Sequence[int],
) -> dict[str, Any]:
    """Return pictures and partials of templates (bins, k) and activations (k, frames); `rows` are their stems."""
    spectra = preview.in_rows(W, frequencies, rate)
    return {
        "of": "stems",
        "count": W.shape[1],
        "rows": list(rows),
        "W": _base64(preview.png(preview.decibels(spectra, spectra.max(axis=0)))),
        "Z": _base64(preview.png(_relative(preview.pooled(Z))[::-1])),
        "partials": [preview.partials(spectrum, frequencies) for spectrum in W.T],
    }


def _regrouping(place: Path, manifest: Manifest, folder: Path) -> dict[str, Any]:
    """Return what the command that groups anew is made of."""
    path = listed_model(place)
    model = path is not None and is_file(path)
    settings = manifest.get("settings")
    named = isinstance(settings, dict) and bool(settings.get("group") or settings.get("two_stems"))
    render = f"nmfsep render {_quoted(relative(path, folder))}" if model and path else None
    command = render or command_of(manifest) or "nmfsep split"
    return {"command": command, "model": model, "named": named}


def _scores(references: str, sounds: _Sounds, limit: int | None) -> dict[str, Any]:
    """Return how near the stems come to true ones."""
    from ..analysis.evaluate import evaluate  # which loads scipy

    return evaluate(stem_files([references]), sounds.stems, limit=limit).document()


def _href(path: str, folder: Path) -> str:
    """Return the relative address of a file, as seen from the folder of the page."""
    return "./" + urllib.parse.quote(os.fsencode(Path(relative(Path(path), folder)).as_posix()))


def command_of(manifest: Manifest) -> str | None:
    """Return the command that makes the same stems; None where the manifest does not keep what was asked for."""
    asked, rendered = manifest.get("asked"), manifest.get("rendered_from")
    if not isinstance(asked, dict):
        return None
    verb = ["render", rendered["path"]] if rendered else ["split"]
    return " ".join(map(_quoted, ["nmfsep", *verb, str(manifest["input"].get("path", "-")), *spelled(asked)]))


def _quoted(word: str) -> str:
    return shlex.quote(word.encode("utf-8", "replace").decode())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
