"""A factorization that was kept: its stems can be grouped, masked and written again without another fit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import UsageError
from ..guidance.guide import MASK_POWER
from ..models.by_name import AnyFit
from ..models.deep import DeepFit
from ..settings.separation import Settings
from .mixture import Mixture
from .model import Model, Resolution
from .options import channel_notes
from .regroup import resolve_auto_groups
from .stem_groups import AUTO, arrange, component_names, parse, without_auto


@dataclass(frozen=True, slots=True)
class MixtureIdentity:
    """The sound that was factorized.

    Parameters
    ----------
    name : str
        Of its file, without folders.
    sha256 : str
        Hash of the samples, by `samples_sha256`.
    sample_rate : int
        Hertz.
    channels : int
    offset, length : int
        The stretch that was taken, in samples.
    to_end : bool
        Whether it went to the end of the file.
    """

    name: str
    sha256: str
    sample_rate: int
    channels: int
    offset: int
    length: int
    to_end: bool

    @property
    def stretch(self) -> tuple[float, float | None]:
        """The offset and the duration to read it by, in seconds."""
        return self.offset / self.sample_rate, None if self.to_end else self.length / self.sample_rate


@dataclass(frozen=True, slots=True)
class Saved:
    """A factorization with all that its stems are made by.

    Parameters
    ----------
    settings : Settings
        By which it was made, with any number of threads.
    labels : tuple of str
        That a guide told of; none where components are numbered.
    resolutions : tuple of Resolution
    mixture : MixtureIdentity
    fits : tuple of dict
        What `describe_fit` says of each fit.
    guidance : tuple of dict
        What `Guide.about` said, without folders.
    warnings : tuple of str
        Of the model.
    versions : dict
        Of what made it.
    path : str
        The file it was read from.
    sha256 : str
        Of that file.

    Raises
    ------
    UsageError
        The settings ask for stems that there cannot be.
    """

    settings: Settings
    labels: tuple[str, ...]
    resolutions: tuple[Resolution, ...]
    mixture: MixtureIdentity
    fits: tuple[dict[str, Any], ...] = ()
    guidance: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    path: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        arrange(self.settings, self.labels)

    @property
    def components(self) -> tuple[str, ...]:
        """What can be grouped."""
        return component_names(self.settings, self.labels)

    @property
    def size(self) -> int:
        """Bytes of the factors."""
        matrices = [
            m for each in self.resolutions for factors in each.components.factors for m in (factors.W, factors.Z)
        ]
        return sum({id(matrix): matrix.nbytes for matrix in matrices}.values())

    def energy_shares(self) -> list[float]:
        """Return each component's share of all energies, taken alone, at the first resolution; all 0 in silence."""
        components = self.resolutions[0].components
        energies = sum(factors.energies() for factors in components.factors)
        each = [float(np.sum(np.take(energies, np.asarray(group, dtype=int)))) for group in components.groups]
        return [energy / (sum(each) or 1) for energy in each]

    def settings_with(self, given: Mapping[str, Any]) -> Settings:
        """Return the settings by which to render, those given in place of the saved ones.

        Parameters
        ----------
        given : mapping
            Of group, two_stems, mask, mask_power, consistency, residual and threads those that the user gave. Groups
            may be made of the groups that were saved, too. Another mask has the power it has by default.

        Raises
        ------
        UsageError
            They make no sense with this model.
        """
        chosen = dict(given)
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
            names = self.components
            saved = arrange(self.settings, self.labels)
            asked, auto = without_auto(chosen["group"])
            groups = parse(asked, names, dict(zip(saved.names, saved.members, strict=False)))
            chosen["group"] = tuple(
                f"{name}={','.join(_spelling(index, names) for index in members)}" for name, members in groups.items()
            ) + ((f"{AUTO}:{auto}",) if auto else ())
        settings = replace(self.settings, **chosen)
        first = self.resolutions[0]
        if arrange(settings, self.labels).auto:
            return resolve_auto_groups(settings, first.components, first.stft, self.mixture.sample_rate)
        return settings

    def require(self, sample_rate: int, channels: int, frames: int | None) -> None:
        """Raise UsageError unless a file can be the mixture, by what its header tells.

        Parameters
        ----------
        sample_rate : int
            Hertz.
        channels : int
        frames : int or None
            Samples of the stretch that the model is of; None if not known.
        """
        mixture = self.mixture
        if sample_rate != mixture.sample_rate:
            raise self._refusal(f"has {sample_rate} Hz, the mixture of the model {mixture.sample_rate} Hz")
        if channels != mixture.channels:
            raise self._refusal(f"has {_channels(channels)}, the mixture of the model {_channels(mixture.channels)}")
        if frames is not None and frames < mixture.length:
            self._require_length(frames)

    def model(self, mixture: Mixture, settings: Settings) -> Model:
        """Return the model of the mixture, as if it had just been factorized.

        A sound that differs in its samples only, as one encoded again does, is taken, with a warning.

        Parameters
        ----------
        mixture : Audio or Stream
            The stretch that the model is of.
        settings : Settings
            From `settings_with`.

        Raises
        ------
        UsageError
            It has another sample rate, or number of channels or samples.
        """
        self.require(mixture.sample_rate, mixture.channels, None)
        digest = samples_sha256(mixture)  # first, since it is what finds the length of a stream
        self._require_length(mixture.length)
        notes = self.warnings
        if digest != self.mixture.sha256:
            notes += (
                f"is not the very sound that the model was learned from, {self.mixture.name!r}, though as long; if it "
                "is not a copy of it, the stems mean nothing",
            )
        notes += channel_notes(settings, mixture.channels)
        return Model(settings, self.resolutions, labels=self.labels, notes=notes)

    def _require_length(self, length: int) -> None:
        if length != self.mixture.length:
            at = f" from {self.mixture.offset} on" if self.mixture.offset else ""
            message = f"has {length} samples{at}, the mixture of the model {self.mixture.length}"
            raise self._refusal(message)

    def _refusal(self, message: str) -> UsageError:
        name = "what came through standard input" if self.mixture.name == "-" else repr(self.mixture.name)
        return UsageError(message, f"give the file that the model was learned from, {name}")


def identity_of(path: str, mixture: Mixture, offset: int, to_end: bool) -> MixtureIdentity:
    """Return what to keep of a mixture, of which a stretch was read from some sample on."""
    name, digest = "-" if path == "-" else os.path.basename(path), samples_sha256(mixture)
    return MixtureIdentity(name, digest, mixture.sample_rate, mixture.channels, offset, mixture.length, to_end)


def samples_sha256(mixture: Mixture) -> str:
    """Return a hash of the samples, which tags and containers do not change."""
    while True:
        digest = hashlib.sha256()
        for piece in mixture.pieces():
            digest.update(np.ascontiguousarray(piece.T).astype("<f4", copy=False).data)
        if not mixture.needs_another_pass():
            break
    digest.update(f"{mixture.exponent} {mixture.channels} {mixture.length}".encode())
    return digest.hexdigest()


def describe_fit(fit: AnyFit) -> dict[str, Any]:
    """Return what there is to say of a fit, as JSON.

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


def _spelling(index: int, names: tuple[str, ...]) -> str:
    """Return how a component can be told from all others, in a group: its number unless that is another's name."""
    number = str(index + 1)
    return number if number not in names or names[index] == number else names[index]


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"
