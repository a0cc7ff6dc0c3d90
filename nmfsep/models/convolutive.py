"""Convolutive NMF: components whose templates last several frames, as the strokes of a drum do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..kernels.divergence import Divergence, as_divergence
from ..kernels.product import EPS, Factors, Matrix, keep_positive
from ..kernels.threads import Workers
from ..nmf.factorize import factorize
from ..nmf.fit import Callback, Fit, Stop, brief, callback_in_units, fit
from ..nmf.prepare import as_matrix, check_count, prepare
from ..nmf.problem import Anchor, Problem, check_given, update_templates
from ..nmf.solvers import Solver, State
from ..nmf.solvers.mu import exponent
from ..settings.fields import MAX_ITER, TOL


def unroll(Zt: Matrix, delays: int) -> Matrix:
    """Return activations (frames, components) next to their delayed selves: (frames, components * delays).

    Column k * delays + d holds component k, d frames late; what would come before the first frame is 0.
    """
    frames, components = Zt.shape
    out = np.zeros((frames, components, delays), Zt.dtype)
    for delay in range(min(delays, frames)):
        out[delay:, :, delay] = Zt[: frames - delay]
    return out.reshape(frames, -1)


def gather(A: Matrix, delays: int) -> Matrix:
    """Return for every activation the sum over the places where `unroll` puts it: its transpose."""
    frames = len(A)
    parts = A.reshape(frames, -1, delays)
    out: Matrix = np.zeros(parts.shape[:2], A.dtype)
    for delay in range(min(delays, frames)):
        out[: frames - delay] += parts[delay:, :, delay]
    return out


class Convolutive(Solver):
    """Z, then W, by multiplicative updates; the state holds both unrolled to the frames of a template, `delays`."""

    def __init__(self, delays: int) -> None:
        self.delays = delays

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Take the activations at delay 0 for what the others follow."""
        self._tie(state, np.ascontiguousarray(state.Zt[:, :: self.delays]))

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Update Z, the sum over all delays, then W."""
        measure, kernels = problem.divergence, state.kernels
        gamma = exponent(measure.beta)
        if "Z" not in problem.fixed:
            parts = np.empty((2, *state.Zt.shape), state.Zt.dtype)

            def collect(first: int, z: Matrix, numerator: Matrix, denominator: Matrix) -> None:
                parts[:, first : first + len(z)] = numerator, denominator

            kernels.mm_activations(Xt, state.Wt, state.Zt, measure, collect, state.workers)
            numerator, denominator = (gather(part, self.delays) for part in parts)
            numerator /= denominator + denominator.dtype.type(EPS)
            if gamma != 1:
                numerator **= numerator.dtype.type(gamma)
            numerator *= state.memory
            keep_positive(numerator)
            self._tie(state, numerator)
        if "W" not in problem.fixed:
            N, D = kernels.mm_statistics(Xt, state.Wt, state.Zt, measure, state.workers)
            update_templates(state.Wt, N, D, state.Zt, problem, gamma, state.Wt)

    def _tie(self, state: State, Zt: Matrix) -> None:
        state.memory = Zt
        state.Zt[:] = unroll(Zt, self.delays)


FIRST = 30  # iterations of the plain factorization that templates start from
HELD = 0.8  # share of the last frame's activation that is not counted as new, in finding where strokes begin
QUIET = 0.01  # of the mean: activations at the start where none begins
LAST = 0.1  # level of a template's last frame at the start, its first being 1


@dataclass(frozen=True, slots=True)
class ConvolutiveFit:
    """The result of a convolutive factorization: X[:, t] ≈ sum over k and d of templates[:, k, d] Z[k, t - d].

    Attributes
    ----------
    templates : ndarray, shape (bins, components, delays)
        The entries of each component's template sum to 1.
    Z : ndarray, shape (components, frames)
        Activations in the units of X: when a template begins, and how loud.
    losses, evaluated, n_iter, converged, solver, warnings
        As in `Fit`.
    """

    templates: NDArray[np.floating]
    Z: Matrix
    losses: tuple[float, ...]
    evaluated: tuple[int, ...]
    n_iter: int
    converged: bool
    solver: str
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Return it in a line."""
        return brief(self)

    @property
    def factors(self) -> Factors:
        """The same model as an ordinary factorization: columns k * delays to (k + 1) * delays are component k."""
        bins, _, delays = self.templates.shape
        return Factors(self.templates.reshape(bins, -1), unroll(np.ascontiguousarray(self.Z.T), delays).T)

    @property
    def groups(self) -> tuple[range, ...]:
        """The columns of `factors` that belong to each component."""
        _, components, delays = self.templates.shape
        return tuple(range(k * delays, (k + 1) * delays) for k in range(components))

    def parts(self, level: int | None = None) -> tuple[Factors, list[list[int]]]:
        """Return `factors`, and which of their columns belong to each component. There are no levels."""
        return self.factors, [list(group) for group in self.groups]

    def unrolled(self) -> Fit:
        """Return the same fit as one of an ordinary factorization, with `factors`."""
        history = self.losses, self.evaluated, self.n_iter, self.converged
        return Fit(self.factors, *history, self.solver, self.warnings)

    def ordered(self) -> ConvolutiveFit:
        """Return the same model, components in order of energy, loudest first."""
        parts = [self.factors.select(list(group)) for group in self.groups]
        # ‖W Z‖² from the products of W and of Z alone
        energies = np.array([np.vdot(part.W.T @ part.W, part.Z @ part.Z.T) for part in parts])
        order = np.argsort(-energies, kind="stable")
        return replace(self, templates=self.templates[:, order], Z=self.Z[order])


def convolutive_nmf(
    X: ArrayLike,
    k: int,
    *,
    template_frames: int = 8,
    divergence: str | float | Divergence = "kl",
    W: ArrayLike | None = None,
    Z: ArrayLike | None = None,
    fixed: Collection[str] = (),
    anchor: Anchor | None = None,
    max_iter: int = MAX_ITER,
    tol: float = TOL,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    threads: int | None = None,
) -> ConvolutiveFit:
    """Factorize a non-negative matrix into templates of several frames (NMFD) and when they begin.

    Smaragdis, "Non-negative matrix factor deconvolution", ICA 2004, with updates that never raise the loss. Templates
    start from a plain factorization, fading linearly (Dittmar & Müller, "Reverse engineering the Amen break", IEEE/ACM
    TASLP 24(9), 2016), activations from where its own rise.

    Parameters
    ----------
    X : array_like, shape (bins, frames)
    k, divergence, max_iter, tol, time_limit, seed, callback, threads
        As in `factorize`.
    template_frames : int, default 8
        Frames of a template; 1 is plain NMF. Ignored where W is given.
    W : array_like, shape (bins, k, delays), optional
    Z : array_like, shape (k, frames), optional
        The start, in the units of X.
    fixed : collection of {"W", "Z"}, default ()
        Given factors that are held.
    anchor : Anchor, optional
        As in `factorize`, unrolled: of shape (k * delays, bins).

    Returns
    -------
    ConvolutiveFit

    Raises
    ------
    UsageError
        X is not a finite non-negative matrix, templates are longer than X, or a factor does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import convolutive_nmf
    >>> stroke, hits = np.array([[4.0, 2, 1], [1.0, 3, 0]]), np.array([1.0, 0, 0, 0, 2, 0, 0])
    >>> X = np.stack([np.convolve(hits, row)[:7] for row in stroke])
    >>> result = convolutive_nmf(X, 1, template_frames=3, max_iter=2000, tol=0)
    >>> bool(abs(X - result.factors.reconstruct()).max() < 1e-2)
    True
    """
    check_count("k", k)
    check_count("template_frames", template_frames)
    check_given(fixed, anchor, W, Z)
    measure = as_divergence(divergence)
    given = as_matrix(X)
    bins, frames = given.shape
    templates = None if W is None else _given("W", W, (bins, k, None))
    activations = None if Z is None else _given("Z", Z, (k, frames))
    delays = template_frames if templates is None else templates.shape[2]
    warnings: tuple[str, ...] = ()
    with Workers(threads) as workers:
        Xt, unit, _ = prepare(given.T, workers)
        if delays > frames:
            message = f"templates of {delays} frames are longer than the {frames} that there are"
            raise UsageError(message, "use fewer template frames")
        activations = None if activations is None else activations / unit
        if templates is None or activations is None:
            options: dict[str, Any] = {"max_iter": FIRST, "tol": 0, "seed": seed, "threads": threads}
            plain = factorize(Xt.T, k, divergence=measure, solver="mu", **options)
            templates = _fading(plain.factors.W, delays) if templates is None else templates
            activations = _onsets(plain.factors.Z) if activations is None else activations
            warnings = plain.warnings
        Zt = np.ascontiguousarray(activations.T).astype(Xt.dtype)
        begin = Factors(templates.reshape(bins, k * delays).astype(Xt.dtype), unroll(Zt, delays).T)
        pull = None if anchor is None else anchor.in_units(unit, measure.beta, Xt, k * delays)
        problem, stop = Problem(measure, frozenset(fixed), anchor=pull), Stop(max_iter, tol, time_limit)
        in_units = callback_in_units(callback, unit, measure.beta)
        result = fit(Xt, begin, problem, Convolutive(delays), stop, workers, in_units).in_units(unit, measure.beta)
    templates, activations = result.factors.W.reshape(bins, -1, delays), result.factors.Z[::delays]
    if not (fixed or anchor):  # templates sum to 1
        total = templates.sum(axis=(0, 2), dtype=np.float64).astype(templates.dtype)
        templates = templates / np.where(total > 0, total, 1)[:, None]
        activations = activations * total[:, None]
    history = {name: getattr(result, name) for name in ("losses", "evaluated", "n_iter", "converged")}
    return ConvolutiveFit(templates, activations, **history, solver="convolutive", warnings=warnings)


def _given(name: str, factor: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.floating]:
    array = np.asarray(factor, dtype=np.float64)
    if array.ndim != len(shape) or any(want not in (n, None) for n, want in zip(array.shape, shape, strict=True)):
        wanted = " x ".join("any" if length is None else str(length) for length in shape)
        raise UsageError(f"{name} has shape {array.shape}, not {wanted}")
    if array.size == 0 or not np.isfinite(array).all() or array.min() < 0:
        raise UsageError(f"{name} is empty or holds negative, NaN or infinite entries")
    return array


def _fading(W: Matrix, delays: int) -> Matrix:
    """Return templates, (bins, components, delays), that fade linearly from plain ones."""
    fading = np.linspace(1, LAST, delays) if delays > 1 else np.ones(1)
    return np.asarray(W[:, :, None] * (fading / fading.sum()))


def _onsets(Z: Matrix) -> Matrix:
    """Return where activations rise: a plain template sounds on where a convolutive one has begun before."""
    before = np.zeros_like(Z)
    before[:, 1:] = Z[:, :-1]
    return np.asarray(np.maximum(Z - HELD * before, 0) + QUIET * Z.mean())
