"""Saved factorization, ``.nmf.npz``: a model whose stems can be grouped, masked and written again without another fit.

The file is written next to the stems and checked field by field on reading. It remembers settings, guidance and a hash
of the mixture's samples, so that another sound is noticed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..errors import UsageError
from ..files import npz as archive
from ..files.formats import SUFFIXES
from ..files.json_fields import matches
from ..files.publish import Output
from ..guidance.dictionary import RATES, check_labels
from ..guidance.guide import MASK_POWER
from ..kernels.product import Factors
from ..models.by_name import AnyFit
from ..models.deep import DeepFit
from ..registry import CUES, SPATIAL_MASKS
from ..settings.fields import WINDOWS
from ..settings.separation import Settings
from ..signal.stft import STFT
from ..system import is_file
from .arrange import AUTO, arrange, component_names, parse, resolve_auto_groups, without_auto
from .components import Components
from .mixture import Mixture, MixtureIdentity, samples_sha256
from .model import Model, Resolution
from .obstacles import channel_notes

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


@dataclass(frozen=True, slots=True)
class Saved:
    """A factorization with all that its stems are made by.

    Raises
    ------
    UsageError
        The settings ask for stems that there cannot be.
    """

    settings: Settings  # by which it was made, with any number of threads
    labels: tuple[str, ...]  # of the guide; none where components are numbered
    resolutions: tuple[Resolution, ...]
    mixture: MixtureIdentity
    fits: tuple[dict[str, Any], ...] = ()  # from `describe_fit`
    guidance: tuple[dict[str, Any], ...] = ()  # from `Guide.about`, without folders
    warnings: tuple[str, ...] = ()  # of the model
    versions: dict[str, str] = field(default_factory=dict)  # of what made it
    path: str = ""  # the file it was read from
    sha256: str = ""  # of that file

    def __post_init__(self) -> None:
        arrange(self.settings, self.labels)

    @property
    def components(self) -> tuple[str, ...]:
        """What can be grouped."""
        return component_names(self.settings, self.labels)

    @property
    def size(self) -> int:
        """Bytes of the factors."""
        factors = [each for resolution in self.resolutions for each in resolution.components.factors]
        matrices = {id(matrix): matrix.nbytes for each in factors for matrix in (each.W, each.Z)}
        return sum(matrices.values())

    def energy_shares(self) -> list[float]:
        """Return each component's share of all energies, taken alone, at the first resolution; all 0 in silence."""
        components = self.resolutions[0].components
        energies = sum(factors.energies() for factors in components.factors)
        each = [float(np.sum(np.take(energies, np.asarray(group, dtype=int)))) for group in components.groups]
        return [energy / (sum(each) or 1) for energy in each]

    def settings_with(self, given: Mapping[str, Any]) -> Settings:
        """Return the settings by which to render, those given replacing the saved ones.

        Given are those of group, two_stems, mask, mask_power, consistency, residual and threads that the user gave;
        what makes no sense with this model is refused. Groups may be made of the groups that were saved, too. Another
        mask has the power it has by default.
        """
        chosen = dict(given)
        if "mask_power" in chosen and self.settings.mask in SPATIAL_MASKS:  # which have none
            chosen.setdefault("mask", "ratio")
        mask = chosen.get("mask", self.settings.mask)
        if mask != self.settings.mask:
            chosen.setdefault("mask_power", MASK_POWER if self.labels and mask == "ratio" else 1.0)
        if "residual" in chosen and chosen["residual"] is None and self.labels:
            if self.settings.free:
                message = "the free templates of the model are a stem, so it cannot go without"
                raise UsageError(message, "put it into a group")
            if len(self.labels) == 1:
                raise UsageError(f"without it, the stem {self.labels[0]!r} would be the whole mixture")
        if "group" in chosen and self.settings.two_stems is not None:
            chosen.setdefault("two_stems", None)
        if "two_stems" in chosen:
            chosen.setdefault("group", ())
        if chosen.get("group"):
            chosen["group"] = self._by_components(chosen["group"])
        settings = replace(self.settings, **chosen, given=chosen)
        first = self.resolutions[0]
        if arrange(settings, self.labels).auto:
            return resolve_auto_groups(settings, first.components, first.stft, self.mixture.sample_rate)
        return settings

    def _by_components(self, group: Sequence[str]) -> tuple[str, ...]:
        """Return groups with all members given as components, where they may be saved groups, too."""
        names, saved = self.components, arrange(self.settings, self.labels)
        asked, auto = without_auto(group)
        found = parse(asked, names, dict(zip(saved.names, saved.members, strict=False)))
        texts = [f"{name}={','.join(_spelling(i, names) for i in members)}" for name, members in found.items()]
        return (*texts, f"{AUTO}:{auto}") if auto else tuple(texts)

    def require(self, sample_rate: int, channels: int, frames: int | None) -> None:
        """Raise UsageError unless a file can be the mixture, by its header.

        `sample_rate` is in hertz, and `frames` how many samples of the stretch that the model is of there are; None if
        that is not known.
        """
        mixture = self.mixture
        if sample_rate != mixture.sample_rate:
            raise self._refusal(f"has {sample_rate} Hz, the mixture of the model {mixture.sample_rate} Hz")
        if channels != mixture.channels:
            raise self._refusal(f"has {_channels(channels)}, the mixture of the model {_channels(mixture.channels)}")
        if frames is not None and frames < mixture.length:
            raise self._wrong_length(frames)

    def model(self, mixture: Mixture, settings: Settings) -> Model:
        """Return the model of the mixture, as if it had just been factorized.

        `mixture` is the stretch that the model is of, and `settings` are from `settings_with`. A sound that differs in
        its samples only, as one encoded again does, is taken, with a warning; one of another sample rate, or number of
        channels or samples, is refused.
        """
        self.require(mixture.sample_rate, mixture.channels, None)
        digest = samples_sha256(mixture)  # first, since it is what finds the length of a stream
        if mixture.length != self.mixture.length:
            raise self._wrong_length(mixture.length)
        notes = self.warnings
        if digest != self.mixture.sha256:
            notes += (
                f"is not the very sound that the model was learned from, {self.mixture.name!r}, though as long; if it "
                "is not a copy of it, the stems mean nothing",
            )
        notes += channel_notes(settings, mixture.channels)
        return Model(settings, self.resolutions, labels=self.labels, notes=notes)

    def _wrong_length(self, length: int) -> UsageError:
        at = f" from {self.mixture.offset} on" if self.mixture.offset else ""
        return self._refusal(f"has {length} samples{at}, the mixture of the model {self.mixture.length}")

    def _refusal(self, message: str) -> UsageError:
        name = "what came through standard input" if self.mixture.name == "-" else repr(self.mixture.name)
        return UsageError(message, f"give the file that the model was learned from, {name}")


def _spelling(index: int, names: tuple[str, ...]) -> str:
    """Return an unambiguous name of a component for a group: its number unless that is another's name."""
    number = str(index + 1)
    return number if number not in names or names[index] == number else names[index]


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def describe_fit(fit: AnyFit) -> dict[str, Any]:
    """Return how a fit went, as JSON.

    Of a deep one also its levels, and for each part of one the number of that of the next to which it belongs.
    """
    about = {
        "solver": fit.solver,
        "n_iter": fit.n_iter,
        "converged": fit.converged,
        "losses": dict(zip(map(str, fit.evaluated), fit.losses, strict=True)),
    }
    if isinstance(fit, DeepFit):
        about |= {"levels": list(fit.levels), "tree": [[parent + 1 for parent in parents] for parents in fit.tree]}
    return about


def write(
    output: Output,
    model: Model,
    settings: Settings,
    mixture: MixtureIdentity,
    guidance: Sequence[Mapping[str, Any]] = (),
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write a model into a file that has no name yet. The same model gives the same bytes.

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
        Of the programs that made it.

    Raises
    ------
    OutputError
        The file cannot be written.
    UsageError
        It would be larger than what is read.
    """
    found = model.settings  # which has what was decided on the way
    settings = replace(settings, group=found.group, mask=found.mask, mask_power=found.mask_power)
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
    fits = [describe_fit(fit) for fit in model.fits]
    for fit in fits:  # there may be very many losses: the first and the last are kept
        losses = list(fit["losses"].items())
        fit["losses"] = dict([*losses[:1], *losses[-1:]])
    about = {
        "versions": dict(versions or {}),
        "mixture": asdict(mixture),
        "settings": {name: value for name, value in settings.values().items() if name not in UNSAVED},
        "labels": model.labels,
        "layers": [asdict(each.stft) for each in model.resolutions],
        "guidance": [
            {name: os.path.basename(value) if name == "path" else value for name, value in entry.items()}
            for entry in guidance
        ],
        "fit": fits,
        "warnings": model.warnings,
    }
    archive.fill(output, SCHEMA, VERSION, about, arrays, LARGEST)


def _distinct(matrices: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return only the first if all are the same, as what channels share is."""
    first, *others = matrices
    return matrices if any(not np.array_equal(first, other) for other in others) else [first]


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a saved factorization.

    Raises
    ------
    UsageError
        It is none, is damaged, or of a version from the future; the message says which.
    """
    if os.path.splitext(os.fsdecode(path))[1].lower() in SUFFIXES and is_file(path):
        raise UsageError("is a sound, not a model", "make one first: nmfsep split FILE -k 4 --save-model", path)
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
    count, deep = len(component_names(settings, labels)), settings.levels is not None
    resolutions = []
    for index, frames in enumerate(about["layers"]):
        stft = STFT(frames["n_fft"], frames["hop_length"], frames["window"])
        resolutions.append(Resolution(stft, _components(file, index, stft, mixture, count, deep)))
    with open(os.fsencode(file.path), "rb") as whole:
        digest = hashlib.file_digest(whole, "sha256").hexdigest()
    return Saved(
        settings, tuple(labels), tuple(resolutions), mixture, tuple(about["fit"]), tuple(about["guidance"]),
        tuple(about["warnings"]), about["versions"], file.path, digest,
    )  # fmt: skip


def _settings(values: Any) -> Settings:
    """Return settings whose values all have the kind and range they should."""
    types = {each.name: str(each.type) for each in fields(Settings) if each.name not in UNSAVED}
    for name, value in values.items():
        if name not in types:
            raise UsageError(f"has a setting {str(name)[:40]!r} that this nmfsep does not know", "upgrade nmfsep")
        if not matches(value, tuple(KINDS[kind] for kind in types[name].split(" | "))):
            raise UsageError(f"has a setting {name} that makes no sense: {str(value)[:40]!r}")
    tuples: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Settings(**values | tuples)


def _components(
    file: archive.Archive, index: int, stft: STFT, mixture: MixtureIdentity, count: int, deep: bool
) -> Components:
    """Return the components at one length of frames, whose arrays all have the shapes they should."""
    owners, W, Z = file.array(f"owners{index}", 1), file.array(f"W{index}", 3), file.array(f"Z{index}", 3)
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
    if Z.shape[1:] != (len(owners), stft.n_frames(mixture.length)):
        raise UsageError(f"Z{index} of shape {Z.shape[1:]} does not fit {mixture.length} samples")
    order = np.argsort(owners, kind="stable")
    groups = [group.tolist() for group in np.split(order, np.cumsum(sizes)[:-1])]
    templates = [np.asfortranarray(w) for w in W]  # a template after the other, as they are used
    channels = max(len(W), len(Z))
    factors = [Factors(templates[channel % len(W)], Z[channel % len(Z)]) for channel in range(channels)]
    return Components(factors, groups)
