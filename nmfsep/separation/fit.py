"""Fits X ≈ W Z of the pipeline: a model without guidance, or templates that a guide gives, held first, then moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grouping.choice import atoms_options, may_group
from ..guidance.cue import Costs
from ..guidance.templates import Templates, unit
from ..kernels.product import Factors, Matrix
from ..kernels.select import ONCE
from ..models.by_name import AnyFit, defaults_of, fit_model, options_of
from ..models.convolutive import convolutive_nmf
from ..nmf.factorize import factorize
from ..nmf.fit import Execution, Fit
from ..nmf.problem import Anchor
from ..progress import OnProgress
from ..registry import SOUND_STARTS, STARTS
from ..settings.separation import Settings
from .mixture import Frames
from .obstacles import OWN

OnStep = Callable[[int], OnProgress | None]  # from a phase of a fit to its callback
COMMON = ("max_iter", "tol", "time_limit", "seed", "threads")  # options of all models
HELD = 8  # iterations before templates move; with more, each is fitted to sounds that are not its own
PART = 1 << 20  # magnitudes that templates are moved on at the most, where no cue has times
LAST = 6  # iterations from there to the activations of all frames
FREE_FIRST = 20  # iterations in which free templates of several frames begin


@dataclass(frozen=True, slots=True)
class Fitted:
    """Factors W (rows, k) and Z (k, frames) of the channels that are factorized together."""

    fit: AnyFit
    frames: Frames  # what was fitted
    W: Matrix
    Z: Matrix  # of `frames` as they are there, scaled
    groups: Sequence[Sequence[int]]  # the columns of each component
    known_rows: int  # rows that the templates describe; above these they are a guess


def fit_blind(
    frames: Frames, frequencies: NDArray[np.float64], settings: Settings, callback: OnProgress | None
) -> Fitted:
    """Fit the model that the settings name; what was not asked for is left to it.

    `frequencies` (bins,) in hertz are for the starts that need them.
    """
    chosen = settings.asked((*OWN, *COMMON))
    if settings.start in SOUND_STARTS:
        rng = np.random.default_rng(settings.seed)
        begin = SOUND_STARTS.load(chosen.pop("start"))(frames.Xt, settings.components, rng, frequencies)
        chosen |= {"W": begin.W, "Z": begin.Z}
    if "execution" in options_of(settings.model):
        chosen["execution"] = Execution(compiled_from=ONCE)
    fit = fit_model(settings.model, frames.Xt.T, settings.parts, callback=callback, **chosen).ordered()
    whole, groups = fit.parts(settings.level)
    W, Z = (np.abs(factor).astype(np.float32, copy=False) for factor in (whole.W, whole.Z))
    return Fitted(fit, frames, W, Z, groups, len(W))


def resolved(settings: Settings, guided: bool = False) -> dict[str, Any]:
    """Return all settings as they were used: those not asked for at the model's defaults, None where it has no such.

    `atoms_fit` has the options of the fits of atoms, where stems may be groups of them; None where they are not.
    """
    asked, own = settings.asked((*OWN, *COMMON)), defaults_of(settings.model)
    if settings.convolutive:
        own["template_frames"] = settings.template_frames
    used = {name: asked.get(name, own.get(name)) for name in (*OWN, *COMMON)}
    atoms = not guided and (settings.preset is not None or may_group(settings))
    return settings.values() | used | {"atoms_fit": atoms_options(settings) if atoms else None}


@dataclass(frozen=True, slots=True)
class GuidedFit:
    """The fit of templates that are known or begun, to the magnitudes at their length of frames.

    Templates are held for HELD iterations, then move as far as they may, with free ones for what they leave. Where it
    does not matter when a sound is heard, they move on a part of the frames only. Templates of several frames are
    fitted likewise, by convolutive NMF.
    """

    templates: Templates
    costs: Costs  # of entries of W and Z, by the guide
    settings: Settings
    moves: bool  # whether any template may move

    def fit(self, frames: Frames, components: int, channels: int, on_step: OnStep) -> Fitted:
        """Fit the templates of so many components, and the free ones.

        The rows of `frames` are one channel each, the channels of a frame one after the other. `on_step` returns the
        callback of the fit with templates held, 0, and of that in which they move, 1.
        """
        known, free = self.templates, self.settings.free
        Xt, W = frames.Xt, known.W
        if known.known_bins < known.stft.bins:  # fitted as far up as the templates are known
            Xt, W = np.ascontiguousarray(Xt[:, : known.known_bins]), W[: known.known_bins]
        if known.delays > 1:
            fit = self._strokes(Xt, W, on_step)
        elif self.moves and known.Z is None and not self.costs and Xt.size > PART:
            fit = self._moved_on_part(Xt, W, channels, on_step)
        else:
            fit = self._held_then_moved(Xt, W, channels, on_step)
        groups = known.groups(components)
        if free:
            columns = len(known.owners)
            groups.append(list(range(columns, columns + free * known.delays)))
        return Fitted(fit, frames, self._whole(fit.factors.W), fit.factors.Z, groups, known.known_bins)

    def _held_then_moved(self, Xt: Matrix, W: Matrix, channels: int, on_step: OnStep) -> Fit:
        start = self.templates.Z
        if start is not None:
            start = _at_level(np.repeat(start, channels, axis=1), Xt, W)
        most = min(HELD, self.settings.max_iter) if self.moves else self.settings.max_iter
        costs = self._costs(channels, 0)
        fit = self._factorize(Xt, W, start, fixed={"W"}, costs=costs, callback=on_step(0), max_iter=most)
        return self._moved(Xt, fit.factors, channels, callback=on_step(1)) if self.moves else fit

    def _moved_on_part(self, Xt: Matrix, W: Matrix, channels: int, on_step: OnStep) -> Fit:
        """Return a fit of templates that were moved on evenly spaced frames only, which show nearly as much as all."""
        frames, bins = len(Xt) // channels, Xt.shape[1]
        chosen = np.linspace(0, frames - 1, max(2, PART // (channels * bins))).astype(np.intp)
        part = np.ascontiguousarray(Xt.reshape(frames, channels, bins)[chosen].reshape(-1, bins))
        limit, most = self.settings.time_limit, self.settings.max_iter
        limit = None if limit is None else limit / 2
        held = self._factorize(part, W, fixed={"W"}, time_limit=limit, max_iter=min(HELD, most))
        moved = self._moved(part, held.factors, channels, callback=on_step(0), time_limit=limit).factors
        Z = _between(moved.Z.reshape(moved.components, -1, channels), chosen, frames)
        return self._factorize(Xt, moved.W, Z, fixed={"W"}, callback=on_step(1), max_iter=min(LAST, most))

    def _moved(self, Xt: Matrix, known: Factors, channels: int, **options: Any) -> Fit:
        """Go on with templates that may move, and with free ones for what they leave."""
        settings, (W, Z) = self.settings, (known.W, known.Z)
        weight = self._anchor_weights(Z.sum(axis=1, dtype=np.float64))
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
        return self._factorize(Xt, W, Z, anchor=anchor, costs=self._costs(channels, settings.free), **options)

    def _factorize(self, Xt: Matrix, W: Matrix, Z: Matrix | None = None, **options: Any) -> Fit:
        chosen = self._options("divergence", "solver", "sparsity", "max_iter", "tol", "time_limit", "threads")
        chosen |= {"execution": Execution(compiled_from=ONCE)} | options
        return factorize(Xt.T, W.shape[1], W=W, Z=Z, **chosen)

    def _options(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self.settings, name) for name in names}

    def _strokes(self, Xt: Matrix, W: Matrix, on_step: OnStep) -> Fit:
        """Return the fit of templates of several frames, unrolled: held, then movable, with free ones."""
        settings, delays = self.settings, self.templates.delays
        chosen = self._options("divergence", "max_iter", "tol", "time_limit", "threads")
        bins, k = len(W), W.shape[1] // delays
        level = len(Xt[0]) * float(Xt.mean(dtype=np.float64)) / max(float(W.sum(dtype=np.float64)), 1e-30)
        Z = np.full((k, len(Xt)), level)
        found = convolutive_nmf(Xt.T, k, W=W.reshape(bins, k, delays), Z=Z, fixed={"W"}, callback=on_step(0), **chosen)
        if self.moves:
            weight = self._anchor_weights(np.repeat(found.Z.sum(axis=1, dtype=np.float64), delays))
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
            anchor = Anchor(np.ascontiguousarray(templates.reshape(bins, -1).T), weight)
            found = convolutive_nmf(Xt.T, len(Z), W=templates, Z=Z, anchor=anchor, callback=on_step(1), **chosen)
        return found.unrolled()

    def _anchor_weights(self, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return weights with which the update of a template is (1 - mobility) W⁰ + mobility (what the data say).

        `loads` (k,) are the sums of the activations.
        """
        mobility = self.templates.mobilities(self.settings.adapt)
        held = mobility == 0
        return np.where(held, np.inf, (1 - mobility) / np.where(held, 1, mobility) * loads)

    def _costs(self, channels: int, free: int) -> Costs:
        """Return the costs of all frames that are fitted, with nothing for free templates."""
        costs = {}
        if "Z" in self.costs:
            costs["Z"] = np.pad(np.repeat(self.costs["Z"], channels, axis=1), ((0, free), (0, 0)))
        if "W" in self.costs:
            costs["W"] = np.pad(self.costs["W"][: self.templates.known_bins], ((0, 0), (0, free)))
        return costs

    def _whole(self, W: Matrix) -> Matrix:
        """Return fitted templates with what lies above the bins that are known."""
        known = self.templates
        if known.known_bins == known.stft.bins:
            return W
        free = np.repeat(W[-1:, known.W.shape[1] :], known.stft.bins - known.known_bins, axis=0)
        return np.concatenate([W, np.concatenate([known.W[known.known_bins :], free], axis=1)])


def guided_passes(magnitudes: int, settings: Settings) -> float:
    """Return about how many iterations over so many magnitudes of a sound the fit of a dictionary takes."""
    most = settings.max_iter
    if not (settings.free or settings.adapt):
        return float(most)
    moving = (min(HELD, most) + most) * min(1.0, PART / magnitudes)
    return moving + (min(LAST, most) if magnitudes > PART else 0)


def _between(Z: Matrix, chosen: NDArray[np.intp], frames: int) -> Matrix:
    """Return activations of all frames between those (components, chosen, channels) of some, and a little more."""
    every = np.arange(frames)
    later = np.clip(np.searchsorted(chosen, every), 1, len(chosen) - 1)
    share = ((every - chosen[later - 1]) / (chosen[later] - chosen[later - 1])).astype(Z.dtype)[:, None]
    # what was silent where it was looked at need not be so in between, and a zero would stay one
    level = Z.mean(axis=1, keepdims=True) * Z.dtype.type(0.05)
    between: Matrix = (1 - share) * Z[:, later - 1] + share * Z[:, later] + level
    return between.reshape(len(Z), -1)


def _at_level(Z: Matrix, Xt: Matrix, W: Matrix) -> Matrix:
    """Return activations in proportion to a start, with which the model is at the level of X."""
    model = float(W.sum(axis=0, dtype=np.float64) @ Z.mean(axis=1, dtype=np.float64)) / len(W)
    level = float(Xt.mean(dtype=np.float64)) / model if model > 0 else 1.0
    return Z * np.float32(level)
