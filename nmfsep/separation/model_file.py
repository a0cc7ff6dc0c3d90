"""The file of a saved factorization, ``.nmf.npz``: written next to the stems, checked field by field on reading."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..errors import UsageError
from ..files import npz as archive
from ..files.json_fields import matches
from ..files.publish import Output
from ..guidance.dictionary import RATES, check_labels
from ..kernels.factors import Factors
from ..registry import CUES
from ..settings.option import WINDOWS
from ..settings.separation import Settings
from ..signal.stft import STFT
from .components import Components
from .model import Model, Resolution
from .saved import MixtureIdentity, Saved, describe_fit
from .stem_groups import component_names

SCHEMA, VERSION = "nmfsep.model", 1
LARGEST = 1 << 36  # bytes of the factors: activations of many templates over hours
LAYERS = 8
CHANNELS = 1024
LONGEST = 1 << 40  # samples of a mixture, at the most
UNSAVED = ("threads", "given")  # settings that never change a result, so that they must not change the file
KINDS: dict[str, Any] = {  # of JSON, by the annotations of settings
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "None": None,
    "tuple[str, ...]": [str],
    "tuple[int, ...]": [range(1, 2**31)],
}
DESCRIPTION = {
    "versions": {str: str},
    "mixture": {
        "name": str,
        "sha256": re.compile("[0-9a-f]{64}"),
        "sample_rate": range(1, RATES + 1),
        "channels": range(1, CHANNELS + 1),
        "offset": range(LONGEST + 1),
        "length": range(1, LONGEST + 1),
        "to_end": bool,
    },
    "settings": dict,  # see `_settings`
    "labels": [str],
    "layers": [{"n_fft": range(1, 2**20 + 1), "hop_length": range(1, 2**19 + 1), "window": {*WINDOWS}}],
    "guidance": [
        {"kind": {*CUES}, "path?": str, "sha256?": str, "labels": [str], "n_fft": [range(1, 2**20 + 1)]},
    ],
    "fit": [
        {
            "solver": str,
            "n_iter": range(2**62),
            "converged": bool,
            "losses": {str: float},
            "levels?": [range(1, 2**31)],
            "tree?": [[range(1, 2**31)]],
        }
    ],
    "warnings": [str],
}


def write(
    output: Output,
    model: Model,
    settings: Settings,
    mixture: MixtureIdentity,
    guidance: Sequence[Mapping[str, Any]] = (),
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write a model into a file that has no name yet.

    The same model gives the same bytes.

    Parameters
    ----------
    output : Output
    model : Model
        Rendered, if its mixture is on disk.
    settings : Settings
        By which it was made.
    mixture : MixtureIdentity
    guidance : sequence of mapping, optional
        From `Guide.about`.
    versions : mapping, optional
        Of what made it.

    Raises
    ------
    OutputError
        The file cannot be written.
    UsageError
        It would be larger than what is read.
    """
    arrays: dict[str, archive.Member] = {}
    for index, resolution in enumerate(model.resolutions):
        components = resolution.components.kept
        assert components is not None, "only a model with activations can be saved"
        owners = np.empty(components.factors[0].components, np.int32)
        for owner, group in enumerate(components.groups):
            owners[list(group)] = owner
        arrays[f"owners{index}"] = owners
        arrays[f"W{index}"] = _distinct([factors.W for factors in components.factors])
        arrays[f"Z{index}"] = _distinct([factors.Z for factors in components.factors])
    about = {
        "versions": dict(versions or {}),
        "mixture": asdict(mixture),
        "settings": {name: value for name, value in settings.values().items() if name not in UNSAVED},
        "labels": model.labels,
        "layers": [
            {"n_fft": each.stft.n_fft, "hop_length": each.stft.hop_length, "window": each.stft.window}
            for each in model.resolutions
        ],
        "guidance": [_without_folder(entry) for entry in guidance],
        "fit": [_short(describe_fit(fit)) for fit in model.fits],
        "warnings": model.warnings,
    }
    archive.fill(output, SCHEMA, VERSION, about, arrays, LARGEST)


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a saved factorization.

    Raises
    ------
    UsageError
        It is none, is damaged, or of a version from the future; the message says which.
    """
    with archive.Archive(path, LARGEST) as file:
        try:
            file.require(SCHEMA, VERSION)
            memory.require("needs", file.size, None, "free some")
            return _read(file)
        except UsageError as error:
            raise UsageError(error.message, error.hint, file.path) from error


def _read(file: archive.Archive) -> Saved:
    about = file.about
    try:
        sound = matches(about, DESCRIPTION) and 1 <= len(about["layers"]) <= LAYERS
    except KeyError as error:
        raise UsageError("lacks a part of a model's description") from error
    if not sound:
        raise UsageError("has a description that makes no sense for a model")
    labels, settings = about["labels"], _settings(about["settings"])
    mixture = MixtureIdentity(*(about["mixture"][field.name] for field in fields(MixtureIdentity)))
    if labels:
        check_labels(labels)
        if len(labels) != settings.components:
            raise UsageError(f"has {len(labels)} labels for {settings.components} components")
    count = len(component_names(settings, labels))
    resolutions = []
    for index, frames in enumerate(about["layers"]):
        stft = STFT(frames["n_fft"], frames["hop_length"], frames["window"])
        resolutions.append(
            Resolution(stft, _components(file, index, stft, mixture, count, settings.levels is not None))
        )
    with open(os.fsencode(file.path), "rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    return Saved(
        settings, tuple(labels), tuple(resolutions), mixture, tuple(about["fit"]), tuple(about["guidance"]),
        tuple(about["warnings"]), about["versions"], file.path, digest,
    )  # fmt: skip


def _components(
    file: archive.Archive, index: int, stft: STFT, mixture: MixtureIdentity, count: int, deep: bool
) -> Components:
    owners = file.array(f"owners{index}", 1)
    W, Z = file.array(f"W{index}", 3), file.array(f"Z{index}", 3)
    if (owners != np.floor(owners)).any() or owners.max() >= count:
        raise UsageError(f"owners{index} are not indices of {count} components")
    sizes = np.bincount(owners.astype(np.intp), minlength=count)
    if not sizes.all() and not deep:  # a part that is nobody's parent is silent
        raise UsageError(f"component {int(sizes.argmin()) + 1} has no template in W{index}")
    for name, array in ((f"W{index}", W), (f"Z{index}", Z)):
        if len(array) not in (1, mixture.channels):
            raise UsageError(f"{name} is for {len(array)} channels, the mixture has {mixture.channels}")
    if W.shape[1:] != (stft.bins, len(owners)):
        raise UsageError(f"W{index} of shape {W.shape[1:]} does not fit n_fft {stft.n_fft}, {len(owners)} templates")
    frames = 1 + mixture.length // stft.hop_length
    if Z.shape[2] not in (frames, frames + 1) or Z.shape[1:] != (len(owners), stft.n_frames(mixture.length)):
        raise UsageError(f"Z{index} of shape {Z.shape[1:]} does not fit {mixture.length} samples")
    order = np.argsort(owners, kind="stable")
    groups = [group.tolist() for group in np.split(order, np.cumsum(sizes)[:-1])]
    templates = [np.asfortranarray(w) for w in W]  # a template after the other, as they are used
    channels = max(len(W), len(Z))
    factors = [Factors(templates[channel % len(W)], Z[channel % len(Z)]) for channel in range(channels)]
    return Components(factors, groups)


def _distinct(matrices: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return only the first if all are the same, as what channels share is."""
    first, *others = matrices
    return matrices if any(not np.array_equal(first, other) for other in others) else [first]


def _short(fit: dict[str, Any]) -> dict[str, Any]:
    """Return a fit with its first and last loss only, since there may be very many."""
    losses = list(fit["losses"].items())
    return fit | {"losses": dict([*losses[:1], *losses[-1:]])}


def _settings(values: Any) -> Settings:
    """Return settings whose values all have the kind and range they should."""
    types = {each.name: str(each.type) for each in fields(Settings) if each.name not in UNSAVED}
    for name, value in values.items():
        if name not in types:
            raise UsageError(f"has a setting {str(name)[:40]!r} that this nmfsep does not know", "upgrade nmfsep")
        if not matches(value, tuple(KINDS[kind] for kind in types[name].split(" | "))):
            raise UsageError(f"has a setting {name} that makes no sense: {str(value)[:40]!r}")
    checked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return Settings(**checked)


def _without_folder(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: os.path.basename(value) if name == "path" else value for name, value in entry.items()}
