"""Inspecting what was separated before: the stems that a manifest lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, NmfsepError, UsageError
from ..manifest import find, load
from ..memory import BASE, require
from ..naming import MANIFEST
from ..separation.describe import describe, template_and_activation
from ..settings.choices import WINDOWS
from ..signal.read import Source
from ..signal.stft import STFT
from .report import Inspection

LONGEST = 1 << 20  # samples of a frame, of which more are not believed


def inspect_separated(path: str, limit: int | None = None, failed: list[NmfsepError] | None = None) -> list[Inspection]:
    """Describe the stems of a separation, of each its magnitudes summed over time and over frequency.

    Parameters
    ----------
    path : str
        A manifest, or a folder that is searched for them with all below it.
    limit : int, optional
        Bytes of memory that may be taken.
    failed : list, optional
        Takes what is wrong with separations that cannot be described, where others can.

    Raises
    ------
    InputError
        A stem or manifest cannot be read, or stems are missing or differ from each other.
    UsageError
        There is no manifest of a separation, or memory would not suffice.
    """
    found: list[Inspection] = []
    faults: list[NmfsepError] = []
    for file in find(Path(path)):
        try:
            manifest = load(file)
            if "kind" not in manifest:
                found.append(_inspect(file, manifest, limit))
        except NmfsepError as error:
            error.path = str(file) if error.path is None else error.path
            faults.append(error)
    if faults and (failed is None or not found):
        raise faults[0]
    if not found:
        raise UsageError("holds no separation of nmfsep", "give an audio file, or the folder that split wrote to", path)
    if failed is not None:
        failed += faults
    return found


def _inspect(file: Path, manifest: dict[str, Any], limit: int | None) -> Inspection:
    try:
        settings = manifest["settings"]
        frames = manifest.get("frames", [settings])[0]  # where older manifests have them
        n_fft, window = frames["n_fft"], settings["window"]
        hop = frames["hop_length"] or n_fft // 4
        if type(n_fft) is not int or type(hop) is not int or n_fft > LONGEST or window not in WINDOWS:
            raise InputError("has frames that make no sense", path=file)
        stft = STFT(n_fft, hop, window)
        names = [stem["name"] for stem in manifest["stems"]]
    except (LookupError, TypeError, AttributeError, UsageError) as error:
        raise InputError("does not say how its stems were made", "separate again", file) from error
    if not names:
        raise InputError("lists no stems", path=file)
    templates, activations, energies = [], [], []
    mixture, rate = np.empty((0, 0), np.float32), 0
    for stem in manifest["stems"]:
        path = file.parent / stem["file"]
        if not os.path.isfile(path):
            raise InputError(f"stem {stem['file']!r} is missing", "separate again", file)
        with Source(path) as source:
            if source.frames is not None:
                need = BASE + 12 * source.channels * source.frames
                require(f"{names[0]!r} needs", need, limit, "use --max-memory")
            audio = source.read()
        if rate and (audio.samples.shape, audio.sample_rate) != (mixture.shape, rate):
            raise InputError("differs from the other stems in length, channels or sample rate", path=path)
        mixture, rate = (mixture + audio.samples if rate else audio.samples), audio.sample_rate
        template, activation = template_and_activation(audio.samples, stft)
        templates.append(template)
        activations.append(activation)
        energies.append(float(np.einsum("cn,cn->", audio.samples, audio.samples, dtype=np.float64)))
    order = np.argsort(-np.asarray(energies), kind="stable")
    W, Z = np.stack(templates, axis=1)[:, order], np.stack(activations)[order]
    names = [names[index] for index in order]
    components = tuple(describe(names, W, Z, np.asarray(energies)[order], stft, rate))
    track = file.name.removesuffix(MANIFEST)
    return Inspection("separation", str(file), track, mixture, rate, stft, W, Z, components)
