"""Fits X ≈ W Z of the pipeline: a model without guidance, or templates that a guide gives, held first, then moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..guidance.cue import Costs
from ..guidance.templates import Templates, unit
from ..kernels.factors import Factors, Matrix
from ..kernels.select import ONCE
from ..models.by_name import AnyFit, fit_model
from ..models.convolutive import convolutive_nmf
from ..nmf.factorize import factorize
from ..nmf.fit import Execution, Fit
from ..nmf.problem import Anchor
from ..progress import OnProgress
from ..registry import STARTS
from ..settings.separation import Settings
from .mixture import Frames
from .options import options

OnStep = Callable[[int], OnProgress | None]  # from a phase of a fit to its callback
HELD = 8  # iterations before templates move; with more, each is fitted to sounds that are not its own
PART = 1 << 20  # magnitudes that templates are moved on at the most, where no cue has times
LAST = 6  # iterations from there to the activations of all frames
FREE_FIRST = 20  # iterations in which free templates of several frames begin


@dataclass(frozen=True, slots=True)
class Fitted:
    """Factors of the channels that are factorized together.

    Attributes
    ----------
    fit : Fit, ConvolutiveFit or DeepFit
    frames : Frames
        What was fitted.
    W : ndarray, shape (rows, k)
    Z : ndarray, shape (k, frames)
        Of the frames that were fitted, as they are in `frames`.
    groups : sequence of sequence of int
        The columns of each component.
    known_rows : int
        Rows that the templates describe; above these they are a guess.
    """

    fit: AnyFit
    frames: Frames
    W: Matrix
    Z: Matrix
    groups: Sequence[Sequence[int]]
    known_rows: int


def fit_blind(
    frames: Frames, frequencies: NDArray[np.float64], settings: Settings, fits: int, callback: OnProgress | None
) -> Fitted:
    """Fit the model that the settings name, one of several fits that share the time."""
    X = frames.Xt.T
    chosen = options(settings, X, frequencies, fits)
    fit = fit_model(settings.model, X, settings.parts, callback=callback, **chosen).ordered()
    whole, groups = fit.parts(settings.level)
    W, Z = (np.abs(factor).astype(np.float32, copy=False) for factor in (whole.W, whole.Z))
    return Fitted(fit, frames, W, Z, groups, len(W))


@dataclass(frozen=True, slots=True)
class GuidedFit:
    """The fit of templates that are known or begun, to the magnitudes at their length of frames.

    Templates are held for HELD iterations, then move as far as they may, with free ones for what they leave. Where it
    does not matter when a sound is heard, they move on a part of the frames only. Templates of several frames are
    fitted likewise, by convolutive NMF.

    Attributes
    ----------
    templates : Templates
    costs : dict
        Of entries of W and Z, by a guide.
    settings : Settings
    moves : bool
        Whether any template may move.
    """

    templates: Templates
    costs: Costs
    settings: Settings
    moves: bool

    def fit(self, frames: Frames, components: int, channels: int, on_step: OnStep) -> Fitted:
        """Fit the templates, and the free ones.

        Parameters
        ----------
        frames : Frames
            One channel a row, the channels of each frame one after the other.
        components : int
            That the templates belong to, without the free ones.
        channels : int
            Rows for each frame.
        on_step : callable
            Returns the callback of the fit with templates held, 0, and of that in which they move, 1.
        """
        fit = self._last(frames.Xt, channels, on_step)
        groups = self.templates.groups(components)
        if self.settings.free:
            columns = len(self.templates.owners)
            groups.append(list(range(columns, columns + self.settings.free * self.templates.delays)))
        W = self._whole(fit.factors.W)
        return Fitted(fit, frames, W, fit.factors.Z, groups, self.templates.known_bins)

    def _last(self, Xt: Matrix, channels: int, on_step: OnStep) -> Fit:
        """Return the last fit to frames (frames, bins), as far up as the templates are known."""
        templates, settings = self.templates, self.settings
        W = templates.W
        if templates.known_bins < templates.stft.bins:
            Xt, W = np.ascontiguousarray(Xt[:, : templates.known_bins]), W[: templates.known_bins]
        options: dict[str, Any] = {
            "divergence": settings.divergence,
            "solver": settings.solver,
            "sparsity": settings.sparsity,
            "max_iter": settings.max_iter,
            "tol": settings.tol,
            "time_limit": settings.time_limit,
            "threads": settings.threads,
            "execution": Execution(compiled_from=ONCE),
        }
        if templates.delays > 1:
            return self._strokes(Xt, W, options, on_step)
        if self.moves and templates.Z is None and not self.costs and Xt.size > PART:
            return self._moved_on_part(Xt, W, channels, options, on_step)
        start = None if templates.Z is None else _level(Xt, W, np.repeat(templates.Z, channels, axis=1))
        begun = options | {"callback": on_step(0), "costs": self._prices(channels, 0)}
        if self.moves:
            begun["max_iter"] = min(HELD, settings.max_iter)
        fit = factorize(Xt.T, W.shape[1], W=W, Z=start, fixed={"W"}, **begun)
        return self._moved(Xt, fit.factors, channels, options | {"callback": on_step(1)}) if self.moves else fit

    def _moved_on_part(self, Xt: Matrix, W: Matrix, channels: int, options: dict[str, Any], on_step: OnStep) -> Fit:
        """Return a fit of templates that were moved on evenly spaced frames only, which show nearly as much as all."""
        frames, bins = len(Xt) // channels, Xt.shape[1]
        chosen = np.linspace(0, frames - 1, max(2, PART // (channels * bins))).astype(np.intp)
        part = np.ascontiguousarray(Xt.reshape(frames, channels, bins)[chosen].reshape(-1, bins))
        limit, most = options["time_limit"], options["max_iter"]
        short = options | {"time_limit": None if limit is None else limit / 2}
        held = factorize(part.T, W.shape[1], W=W, fixed={"W"}, **short | {"max_iter": min(HELD, most)})
        moved = self._moved(part, held.factors, channels, short | {"callback": on_step(0)}).factors
        Z = _between(moved.Z.reshape(moved.components, -1, channels), chosen, frames)
        last = options | {"callback": on_step(1), "max_iter": min(LAST, most)}
        return factorize(Xt.T, moved.components, W=moved.W, Z=Z, fixed={"W"}, **last)

    def _strokes(self, Xt: Matrix, W: Matrix, options: dict[str, Any], on_step: OnStep) -> Fit:
        """Return the fit of templates of several frames, unrolled: held, then movable, with free ones."""
        settings, delays = self.settings, self.templates.delays
        chosen = {name: options[name] for name in ("divergence", "max_iter", "tol", "time_limit", "threads")}
        bins, k = len(W), W.shape[1] // delays
        level = len(Xt[0]) * float(Xt.mean(dtype=np.float64)) / max(float(W.sum(dtype=np.float64)), 1e-30)
        Z = np.full((k, len(Xt)), level)
        found = convolutive_nmf(Xt.T, k, W=W.reshape(bins, k, delays), Z=Z, fixed={"W"}, callback=on_step(0), **chosen)
        if self.moves:
            load = found.Z.sum(axis=1, dtype=np.float64)
            mobility = self.templates.mobilities(settings.adapt)
            weight = _anchored(mobility, np.repeat(load, delays))
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
                Xt.T, len(Z), W=templates, Z=Z, anchor=Anchor(flat, weight), callback=on_step(1), **chosen
            )
        return found.unrolled()

    def _prices(self, channels: int, free: int) -> Costs:
        """Return the costs of all frames that are fitted, with nothing for free templates."""
        prices = {}
        if "Z" in self.costs:
            prices["Z"] = np.pad(np.repeat(self.costs["Z"], channels, axis=1), ((0, free), (0, 0)))
        if "W" in self.costs:
            prices["W"] = np.pad(self.costs["W"][: self.templates.known_bins], ((0, 0), (0, free)))
        return prices

    def _moved(self, Xt: Matrix, known: Factors, channels: int, options: dict[str, Any]) -> Fit:
        """Go on with templates that may move, and with free ones for what they leave."""
        settings, (W, Z) = self.settings, (known.W, known.Z)
        weight = _weights(self.templates.mobilities(settings.adapt), Z)
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


def _weights(mobility: NDArray[np.float64], Z: Matrix) -> NDArray[np.float64]:
    """Return weights with which the update of a template is (1 - mobility) W⁰ + mobility (what the data say)."""
    return _anchored(mobility, Z.sum(axis=1, dtype=np.float64))


def _anchored(mobility: NDArray[np.float64], loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same for templates with these sums of activations."""
    held = mobility == 0
    return np.where(held, np.inf, (1 - mobility) / np.where(held, 1, mobility) * loads)


def _between(Z: Matrix, chosen: NDArray[np.intp], frames: int) -> Matrix:
    """Return activations of all frames between those (components, chosen, channels) of some, and a little more."""
    every = np.arange(frames)
    later = np.clip(np.searchsorted(chosen, every), 1, len(chosen) - 1)
    share = ((every - chosen[later - 1]) / (chosen[later] - chosen[later - 1])).astype(Z.dtype)[:, None]
    # what was silent where it was looked at need not be so in between, and a zero would stay one
    level = Z.mean(axis=1, keepdims=True) * Z.dtype.type(0.05)
    between: Matrix = (1 - share) * Z[:, later - 1] + share * Z[:, later] + level
    return between.reshape(len(Z), -1)


def _level(Xt: Matrix, W: Matrix, where: Matrix) -> Matrix:
    """Return activations at the level of X, each in proportion to its start."""
    model = float(W.sum(axis=0, dtype=np.float64) @ where.mean(axis=1, dtype=np.float64)) / len(W)
    level = float(Xt.mean(dtype=np.float64)) / model if model > 0 else 1.0
    return where * np.float32(level)
