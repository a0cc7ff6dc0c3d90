"""Separation with dictionaries: templates given, activations solved, stems named by label."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np

from ..errors import UsageError
from ..nmf.divergences import as_divergence
from ..nmf.factorize import factorize
from ..nmf.factors import Factors, Matrix
from ..nmf.fit import Callback, Fit
from ..nmf.kernels.choose import ONCE
from ..nmf.problem import Anchor
from ..registry import STARTS
from ..settings import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import STFT
from .conversion import convert, suitable
from .dictionary import Dictionary, View, check_labels, read, unit
from .result import Layer, Separation
from .spectra import magnitudes, views
from .stems import Model

# Where a dictionary is given, other defaults are better: measured on mixtures of drums, notes, music and speech.
MASK_POWER, SPARSITY, ADAPT, ITERATIONS = 2.0, 1.0, 0.1, 40
RESIDUAL = "residual"


@dataclass(frozen=True, slots=True)
class Guide:
    """The dictionaries of a run.

    Parameters
    ----------
    dictionaries : tuple of Dictionary
        At least one; no label twice.
    names : tuple of str
        What to call each in messages: its path.
    hashes : tuple of str
        SHA-256 of each file.

    Raises
    ------
    UsageError
        Two have a label.
    """

    dictionaries: tuple[Dictionary, ...]
    names: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    _fitted: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner: dict[str, int] = {}
        for index, dictionary in enumerate(self.dictionaries):
            for label in dictionary.labels:
                if label in owner:
                    other = self.name(owner[label]) if owner[label] != index else "itself"
                    hint = "give one of them, or learn it anew under another name"
                    raise UsageError(f"has label {label!r}, as {other} has", hint, self.name(index))
                owner[label] = index
        check_labels(self.labels)

    @classmethod
    def read(cls, paths: Sequence[str]) -> Guide:
        """Read dictionaries from files."""
        dictionaries = tuple(read(path) for path in paths)
        hashes = []
        for path in paths:
            with open(os.fsencode(path), "rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        return cls(dictionaries, tuple(paths), tuple(hashes))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in order."""
        return tuple(label for dictionary in self.dictionaries for label in dictionary.labels)

    def name(self, index: int) -> str:
        """Return what a dictionary is called in messages."""
        return self.names[index] if index < len(self.names) else f"dictionary {index + 1}"

    def provenance(self, frames: Sequence[int]) -> list[dict[str, Any]]:
        """Return what the templates came from, as JSON, and the lengths of frames they were used with."""
        return [
            {"path": name, "sha256": digest, "labels": list(dictionary.labels), "n_fft": list(frames)}
            for name, digest, dictionary in zip(self.names, self.hashes, self.dictionaries, strict=True)
        ]

    def settings(self, given: Mapping[str, Any]) -> Settings:
        """Return settings for a separation with these dictionaries, from those that the user gave.

        Raises
        ------
        UsageError
            One makes no sense with a dictionary.
        """
        if given.get("components") not in (None, len(self.labels)):
            raise UsageError("the dictionary says what stems there are, so -k is not heeded", "leave out -k")
        if given.get("model", "nmf") != "nmf" or set(given) & {"levels", "level", "template_frames"}:
            hint = "leave out --model, --levels, --level and --template-frames"
            raise UsageError("with a dictionary the model is nmf", hint)
        if given.get("start", "auto") != "auto" or given.get("restarts", 1) != 1:
            raise UsageError("templates come from the dictionary, so --start and --restarts mean nothing")
        if set(given) & {"preset", "atoms", "grouping"}:
            raise UsageError("a dictionary has its own templates", "leave out --preset, --atoms and --grouping")
        if given.get("smoothness"):
            raise UsageError("smoothness means nothing with a dictionary", "leave out --smoothness, or try --sparsity")
        first = self.dictionaries[0]
        window = first.views[0].stft.window
        if given.get("window", window) != window:
            raise UsageError(f"its templates were measured with window {window!r}", "leave out --window", self.name(0))
        if given.get("hop_length") is not None and given.get("n_fft") is None:
            raise UsageError("with a dictionary, --hop-length needs --n-fft", "leave out --hop-length, or give both")
        free, alone = given.get("free", 0), len(self.labels) == 1
        if alone and not free and given.get("residual") is None:
            hint = "use --free 20 to learn the rest from the mixture, or --residual"
            raise UsageError(f"with {self.labels[0]!r} alone, its stem would be the whole mixture", hint)
        chosen: dict[str, Any] = {"components": len(self.labels), "divergence": first.divergence, "window": window}
        chosen |= {"max_iter": ITERATIONS} | dict(given)
        if chosen["components"] is None:
            chosen["components"] = len(self.labels)
        if chosen.get("mask", "ratio") == "ratio":
            chosen.setdefault("mask_power", MASK_POWER)
        if as_divergence(chosen["divergence"]).beta == 1:
            chosen.setdefault("sparsity", SPARSITY)
            chosen.setdefault("adapt", ADAPT)
        if free and chosen.get("residual") is None:
            chosen["residual"] = RESIDUAL
        n_fft = given.get("n_fft")
        chosen["n_fft"] = first.views[0].stft.n_fft if n_fft is None else n_fft
        chosen["hop_length"] = first.views[0].stft.hop_length if n_fft is None else given.get("hop_length")
        return Settings(**chosen)

    def fitted(self, sample_rate: int, settings: Settings) -> tuple[Dictionary, tuple[str, ...]]:
        """Return one dictionary of all labels for mixtures of a rate, and what had to be converted.

        Parameters
        ----------
        sample_rate : int
            Hertz.
        settings : Settings
            Of which the frames are heeded where they are not those of the first dictionary.

        Raises
        ------
        UsageError
            One cannot be converted.
        """
        key = (sample_rate, settings.n_fft, settings.hop)
        if key not in self._fitted:
            self._fitted[key] = self._fit(sample_rate, settings)
        found: tuple[Dictionary, tuple[str, ...]] = self._fitted[key]
        return found

    def _fit(self, sample_rate: int, settings: Settings) -> tuple[Dictionary, tuple[str, ...]]:
        own = self.dictionaries[0].views[0].stft
        if (settings.n_fft, settings.hop) == (own.n_fft, own.hop_length):
            stfts = suitable(self.dictionaries[0], sample_rate)
        else:
            stfts = [STFT(settings.n_fft, settings.hop, settings.window)]
        notes, fitted = [], []
        for index, dictionary in enumerate(self.dictionaries):
            try:
                fitted.append(convert(dictionary, sample_rate, stfts))
            except UsageError as error:
                raise UsageError(error.message, error.hint, self.name(index)) from error
            if dictionary.sample_rate != sample_rate:
                note = f"templates of {self.name(index)!r} converted from {dictionary.sample_rate} to {sample_rate} Hz"
                if min(view.known - view.stft.bins for view in fitted[-1].views) < 0:
                    note += f"; they tell nothing of what is above {dictionary.sample_rate // 2} Hz"
                notes.append(note)
            elif {view.stft.n_fft for view in dictionary.views} != {stft.n_fft for stft in stfts}:
                lengths = " and ".join(str(stft.n_fft) for stft in stfts)
                notes.append(f"templates of {self.name(index)!r} converted to n_fft {lengths}")
        return reduce(Dictionary.append, fitted), tuple(notes)


def analyse_guided(audio: Audio, settings: Settings, guide: Guide, callback: Callback | None = None) -> Separation:
    """Solve the activations of the dictionaries' templates in a mixture.

    Channels share the templates; each has activations of its own, since a dictionary does not know where between the
    channels its sounds will be.

    Parameters
    ----------
    audio : Audio
    settings : Settings
        From `Guide.settings`.
    guide : Guide
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.

    Returns
    -------
    Separation
    """
    dictionary, notes = guide.fitted(audio.sample_rate, settings)
    layers: list[Layer] = []
    fits: list[Fit] = []
    parts = views(audio.samples, settings.channels)
    phases = 2 if settings.free or settings.adapt else 1
    runs = len(parts) * len(dictionary.views) * phases
    if settings.time_limit is not None:
        settings = replace(settings, time_limit=settings.time_limit / runs)

    def told(phase: int) -> Callback | None:
        return _continued(callback, phases * len(fits) + phase, runs, settings.max_iter)

    for view in dictionary.views:
        factors: list[Factors] = []
        for samples in parts:
            found, fit = _solve(samples, view, settings, told)
            factors += found
            fits.append(fit)
        groups = [view.of(label).tolist() for label in range(len(guide.labels))]
        if settings.free:
            groups.append(list(range(len(view.owners), len(view.owners) + settings.free)))
        layers.append(Layer(view.stft, Model(factors, groups)))
    first, *others = layers
    return Separation(
        settings, first.stft, tuple(fits), first.model, guide.labels, tuple(others), notes
    )  # fmt: skip


def _solve(
    samples: Samples, view: View, settings: Settings, told: Callable[[int], Callback | None]
) -> tuple[list[Factors], Fit]:
    """Return the factors of each channel, and the last fit."""
    X, scale = magnitudes(samples, view.stft, settings.threads)
    channels = len(samples)
    Xt = X.T.reshape(-1, view.stft.bins)  # frame by frame, the channels of each one after the other
    W = view.W
    if view.known < view.stft.bins:
        Xt, W = np.ascontiguousarray(Xt[:, : view.known]), W[: view.known]
    options: dict[str, Any] = {
        "divergence": settings.divergence,
        "solver": settings.solver,
        "sparsity": settings.sparsity,
        "max_iter": settings.max_iter,
        "tol": settings.tol,
        "time_limit": settings.time_limit,
        "threads": settings.threads,
        "compiled_from": ONCE,
    }
    fit = factorize(Xt.T, W.shape[1], W=W, fixed={"W"}, callback=told(0), **options)
    if settings.free or settings.adapt:
        fit = _moved(Xt, fit.factors, settings, options | {"callback": told(1)})
    templates, Z = fit.factors.W, fit.factors.Z
    if view.known < view.stft.bins:
        free = np.repeat(templates[-1:, view.W.shape[1] :], view.stft.bins - view.known, axis=0)
        templates = np.concatenate([templates, np.concatenate([view.W[view.known :], free], axis=1)])
    return [Factors(templates, Z[:, channel::channels] * scale) for channel in range(channels)], fit


def _moved(Xt: Matrix, known: Factors, settings: Settings, options: dict[str, Any]) -> Fit:
    """Go on with templates that may move on their leash, and with free ones for what they leave."""
    W, Z = known.W, known.Z
    # weights with which the update of a template is (1 - adapt) W⁰ + adapt (what the data say)
    leash = np.inf if settings.adapt == 0 else (1 - settings.adapt) / settings.adapt * Z.sum(axis=1)
    weight = np.broadcast_to(leash, W.shape[1:]).astype(np.float64)
    if settings.free:
        left = Z.T @ W.T
        np.subtract(Xt, left, out=left)
        np.maximum(left, 0, out=left)
        start = STARTS.load("nndsvda")(left, settings.free, np.random.default_rng(settings.seed))
        norms = np.linalg.norm(start.W, axis=0)
        W = np.concatenate([W, unit(start.W)], axis=1)
        Z = np.concatenate([Z, start.Z * norms[:, None]])
        weight = np.concatenate([weight, np.zeros(settings.free)])
    return factorize(
        Xt.T, W.shape[1], W=W, Z=Z, anchor=Anchor(np.ascontiguousarray(W.T), weight), **options
    )  # fmt: skip


def _continued(callback: Callback | None, done: int, runs: int, steps: int) -> Callback | None:
    """Return a callback that counts the iterations of one of several runs as part of all."""
    if callback is None:
        return None
    return lambda iteration, loss: callback((done * steps + iteration) // runs, loss)
