"""Separation with a guide: templates known or begun, activations solved, stems named by label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..guidance.cue import Costs, Evidence
from ..guidance.dictionary import unit
from ..guidance.guide import Guide
from ..kernels.factors import Factors, Matrix
from ..kernels.select import ONCE
from ..models.convolutive import convolutive_nmf
from ..nmf.factorize import factorize
from ..nmf.fit import Callback, Fit
from ..nmf.problem import Anchor
from ..registry import STARTS
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from .mixture import magnitudes, views
from .result import Layer, Separation
from .stems import Model

HELD = 8  # iterations before templates move; with more, each is fitted to sounds that are not its own
PART = 1 << 20  # magnitudes that templates are moved on at the most, where it does not matter when a sound is heard
LAST = 6  # iterations from there to the activations of all frames
FREE_FIRST = 20  # iterations in which free templates of several frames begin


def analyse_guided(
    audio: Audio, settings: Settings, guide: Guide, callback: Callback | None = None, begin: float = 0.0
) -> Separation:
    """Fit the components that a guide tells of to a mixture.

    Channels share the templates; each has activations of its own, since a guide does not know where between the
    channels its sounds will be.

    Parameters
    ----------
    audio : Audio
    settings : Settings
        From `Guide.settings`.
    guide : Guide
    callback : callable, optional
        Called as callback(iteration, loss); a true result stops the fit.
    begin : float, default 0
        Seconds of the file before the audio, which times that cues tell count from.

    Returns
    -------
    Separation
    """
    evidence, costs, notes = guide.tell(audio, begin, settings)
    layers: list[Layer] = []
    fits: list[Fit] = []
    parts = views(audio.samples, settings.channels)
    phases = 2 if guide.moves(settings) else 1
    runs = len(parts) * len(evidence) * phases
    if settings.time_limit is not None:
        settings = replace(settings, time_limit=settings.time_limit / runs)

    def told(phase: int) -> Callback | None:
        return _continued(callback, phases * len(fits) + phase, runs, settings.max_iter)

    for known, prices in zip(evidence, costs, strict=True):
        factors: list[Factors] = []
        for samples in parts:
            found, fit = Fitting(known, prices, settings, phases > 1).solve(samples, told)
            factors += found
            fits.append(fit)
        layers.append(Layer(known.stft, Model(factors, template_groups(known, len(guide.labels), settings.free))))
    first, *others = layers
    return Separation(
        settings, first.stft, tuple(fits), first.model, guide.labels, tuple(others), tuple(notes)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fitting:
    """What is fitted at one length of frames."""

    evidence: Evidence
    costs: Costs
    settings: Settings
    moves: bool

    def solve(self, samples: Samples, told: Callable[[int], Callback | None]) -> tuple[list[Factors], Fit]:
        """Return the factors of each channel, and the last fit."""
        X, scale = magnitudes(samples, self.evidence.stft, self.settings.threads)
        channels = len(samples)
        Xt = X.T.reshape(-1, self.evidence.stft.bins)  # frame by frame, the channels of each one after the other
        fit = self.fit(Xt, channels, told)
        templates, Z = whole_templates(fit.factors.W, self.evidence), fit.factors.Z
        return [Factors(templates, Z[:, channel::channels] * scale) for channel in range(channels)], fit

    def fit(self, Xt: Matrix, channels: int, told: Callable[[int], Callback | None]) -> Fit:
        """Return the last fit of the templates to frames (frames, bins), as far up as the templates are known."""
        evidence, settings = self.evidence, self.settings
        W = evidence.W
        if evidence.known < evidence.stft.bins:
            Xt, W = np.ascontiguousarray(Xt[:, : evidence.known]), W[: evidence.known]
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
        if evidence.delays > 1:
            return self._strokes(Xt, W, options, told)
        if self.moves and evidence.Z is None and not self.costs and Xt.size > PART:
            return self._moved_on_part(Xt, W, channels, options, told)
        start = None if evidence.Z is None else _start(Xt, W, np.repeat(evidence.Z, channels, axis=1))
        begun = options | {"callback": told(0), "costs": self._prices(channels, 0)}
        if self.moves:
            begun["max_iter"] = min(HELD, settings.max_iter)
        fit = factorize(Xt.T, W.shape[1], W=W, Z=start, fixed={"W"}, **begun)
        return self._moved(Xt, fit.factors, channels, options | {"callback": told(1)}) if self.moves else fit

    def _moved_on_part(
        self, Xt: Matrix, W: Matrix, channels: int, options: dict[str, Any], told: Callable[[int], Callback | None]
    ) -> Fit:
        """Return a fit of templates that were moved on evenly spaced frames only, which tell nearly as much as all."""
        frames, bins = len(Xt) // channels, Xt.shape[1]
        chosen = np.linspace(0, frames - 1, max(2, PART // (channels * bins))).astype(np.intp)
        part = np.ascontiguousarray(Xt.reshape(frames, channels, bins)[chosen].reshape(-1, bins))
        limit, most = options["time_limit"], options["max_iter"]
        short = options | {"time_limit": None if limit is None else limit / 2}
        held = factorize(part.T, W.shape[1], W=W, fixed={"W"}, **short | {"max_iter": min(HELD, most)})
        moved = self._moved(part, held.factors, channels, short | {"callback": told(0)}).factors
        Z = _between(moved.Z.reshape(moved.components, -1, channels), chosen, frames)
        last = options | {"callback": told(1), "max_iter": min(LAST, most)}
        return factorize(Xt.T, moved.components, W=moved.W, Z=Z, fixed={"W"}, **last)

    def _strokes(self, Xt: Matrix, W: Matrix, options: dict[str, Any], told: Callable[[int], Callback | None]) -> Fit:
        """Return the fit of templates of several frames, unrolled: held first, then on their leash, with free ones."""
        settings, delays = self.settings, self.evidence.delays
        chosen = {name: options[name] for name in ("divergence", "max_iter", "tol", "time_limit", "threads")}
        bins, k = len(W), W.shape[1] // delays
        level = len(Xt[0]) * float(Xt.mean(dtype=np.float64)) / max(float(W.sum(dtype=np.float64)), 1e-30)
        Z = np.full((k, len(Xt)), level)
        found = convolutive_nmf(Xt.T, k, W=W.reshape(bins, k, delays), Z=Z, fixed={"W"}, callback=told(0), **chosen)
        if self.moves:
            load = found.Z.sum(axis=1, dtype=np.float64)
            leash = np.where(np.isnan(self.evidence.leash), settings.adapt, self.evidence.leash)
            weight = _leashed(leash, np.repeat(load, delays))
            templates, Z = W.reshape(bins, k, delays), found.Z
            if settings.free:
                left = np.maximum(Xt.T - found.factors.reconstruct(), 0)
                first = chosen | {"max_iter": min(FREE_FIRST, settings.max_iter)}
                begun = convolutive_nmf(left, settings.free, template_frames=delays, seed=settings.seed, **first)
                norms = np.sqrt(np.einsum("fkd,fkd->k", begun.templates, begun.templates, dtype=np.float64))
                free = unit(begun.templates.reshape(bins, -1), delays).reshape(bins, -1, delays)
                templates = np.concatenate([templates, free], axis=1)
                Z = np.concatenate([Z, begun.Z * norms[:, None]])
                weight = np.concatenate([weight, np.zeros(settings.free * delays)])
            flat = np.ascontiguousarray(templates.reshape(bins, -1).T)
            found = convolutive_nmf(
                Xt.T, len(Z), W=templates, Z=Z, anchor=Anchor(flat, weight), callback=told(1), **chosen
            )
        return found.unrolled()

    def _prices(self, channels: int, free: int) -> Costs:
        """Return the costs of all frames that are fitted, with nothing for free templates."""
        prices = {}
        if "Z" in self.costs:
            prices["Z"] = np.pad(np.repeat(self.costs["Z"], channels, axis=1), ((0, free), (0, 0)))
        if "W" in self.costs:
            prices["W"] = np.pad(self.costs["W"][: self.evidence.known], ((0, 0), (0, free)))
        return prices

    def _moved(self, Xt: Matrix, known: Factors, channels: int, options: dict[str, Any]) -> Fit:
        """Go on with templates that may move on their leash, and with free ones for what they leave."""
        settings, (W, Z) = self.settings, (known.W, known.Z)
        weight = _weights(np.where(np.isnan(self.evidence.leash), settings.adapt, self.evidence.leash), Z)
        if settings.free:
            left = Z.T @ W.T
            np.subtract(Xt, left, out=left)
            np.maximum(left, 0, out=left)
            start = STARTS.load("nndsvda")(left, settings.free, np.random.default_rng(settings.seed))
            norms = np.linalg.norm(start.W, axis=0)
            W = np.concatenate([W, unit(start.W)], axis=1)
            Z = np.concatenate([Z, start.Z * norms[:, None]])
            weight = np.concatenate([weight, np.zeros(settings.free)])
        anchor = Anchor(np.ascontiguousarray(W.T), weight)
        prices = self._prices(channels, settings.free)
        return factorize(Xt.T, W.shape[1], W=W, Z=Z, anchor=anchor, costs=prices, **options)


def passes(magnitudes: int, settings: Settings) -> float:
    """Return about how many iterations over so many magnitudes of a sound the fit of a dictionary takes."""
    most = settings.max_iter
    if not (settings.free or settings.adapt):
        return float(most)
    moving = (min(HELD, most) + most) * min(1.0, PART / magnitudes)
    return moving + (min(LAST, most) if magnitudes > PART else 0)


def template_groups(known: Evidence, labels: int, free: int) -> list[list[int]]:
    """Return the templates of each label, and after them the free ones."""
    groups = [known.of(label).tolist() for label in range(labels)]
    columns = len(known.owners)
    return [*groups, list(range(columns, columns + free * known.delays))] if free else groups


def whole_templates(W: Matrix, known: Evidence) -> Matrix:
    """Return fitted templates with what lies above the bins that are known."""
    if known.known == known.stft.bins:
        return W
    free = np.repeat(W[-1:, known.W.shape[1] :], known.stft.bins - known.known, axis=0)
    return np.concatenate([W, np.concatenate([known.W[known.known :], free], axis=1)])


def _weights(leash: NDArray[np.float64], Z: Matrix) -> NDArray[np.float64]:
    """Return weights with which the update of a template is (1 - leash) W⁰ + leash (what the data say)."""
    return _leashed(leash, Z.sum(axis=1, dtype=np.float64))


def _leashed(leash: NDArray[np.float64], loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same for templates that are heard so much in all."""
    held = leash == 0
    return np.where(held, np.inf, (1 - leash) / np.where(held, 1, leash) * loads)


def _between(Z: Matrix, chosen: NDArray[np.intp], frames: int) -> Matrix:
    """Return activations of all frames between those (components, chosen, channels) of some, and a little more."""
    every = np.arange(frames)
    later = np.clip(np.searchsorted(chosen, every), 1, len(chosen) - 1)
    share = ((every - chosen[later - 1]) / (chosen[later] - chosen[later - 1])).astype(Z.dtype)[:, None]
    # what was silent where it was looked at need not be so in between, and a zero would stay one
    level = Z.mean(axis=1, keepdims=True) * Z.dtype.type(0.05)
    between: Matrix = (1 - share) * Z[:, later - 1] + share * Z[:, later] + level
    return between.reshape(len(Z), -1)


def _start(Xt: Matrix, W: Matrix, where: Matrix) -> Matrix:
    """Return activations at the level of X, each as much as is told."""
    model = float(W.sum(axis=0, dtype=np.float64) @ where.mean(axis=1, dtype=np.float64)) / len(W)
    level = float(Xt.mean(dtype=np.float64)) / model if model > 0 else 1.0
    return where * np.float32(level)


def _continued(callback: Callback | None, done: int, runs: int, steps: int) -> Callback | None:
    """Return a callback that counts the iterations of one of several runs as part of all."""
    if callback is None:
        return None
    return lambda iteration, loss: callback((done * steps + iteration) // runs, loss)
