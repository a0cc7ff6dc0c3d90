"""MiniBatchNMF: factorize as an estimator of scikit-learn that sees its samples a batch at a time.

Of each batch it keeps what `nmfsep.learn` keeps of a sound, the sums that an update of the templates needs. Older sums
are forgotten little by little (Lefèvre, Bach & Févotte, "Online algorithms for nonnegative matrix factorization with
the Itakura-Saito divergence", WASPAA 2011), each with the templates that it was made with, so that the sums of one
batch alone are the multiplicative update.
"""

from __future__ import annotations

import math
import sys
import warnings
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ..errors import NmfsepError
from ..kernels.product import TINY, Matrix
from ..kernels.select import choose_for
from ..kernels.threads import Workers
from ..nmf.blockwise import Statistics, statistics, update
from ..nmf.factorize import factorize, norm_in_units
from ..nmf.problem import Problem
from ..nmf.solvers.mu import exponent
from ..settings.fields import MAX_ITER, TOL
from .sklearn import NMF, without_traces


@dataclass(slots=True)
class Online:
    """The templates so far, W.T of X divided by a unit, and their sums, of which the negative has W^(1/gamma) in it."""

    Wt: Matrix
    unit: float
    sums: Statistics


class MiniBatchNMF(NMF):
    """Nonnegative matrix factorization with the interface of ``sklearn.decomposition.MiniBatchNMF``.

    Parameters have the names, meanings and defaults that they have there; those that `nmfsep.NMF` has, too, and what
    differs from scikit-learn, are described there. A start that is given is not written to.

    Parameters
    ----------
    batch_size : int, default 1024
        Samples of a batch.
    max_no_improvement : int or None, default 10
        Stop after so many batches in a row that did not lower the smoothed loss; None never does. The other rule is
        that no batch of a whole pass changed H by more than `tol` of itself; there, a single batch is enough.
    forget_factor : float, default 0.7
        What is left of the sums of earlier batches after one pass over all samples: 1 forgets nothing.
    fresh_restarts : bool, default False
        Solve for the W of a batch anew each time, and of all samples at the end, rather than by one update of the last.
    fresh_restarts_max_iter : int, default 30
        Updates of W then, and in `partial_fit`.
    transform_max_iter : int or None, default None
        Iterations of `transform`; `max_iter` if not given.

    Attributes
    ----------
    n_steps_ : int
        Batches seen. The others are those of `nmfsep.NMF`.

    Examples
    --------
    >>> import numpy as np
    >>> from nmfsep import MiniBatchNMF
    >>> rng = np.random.default_rng(0)
    >>> model = MiniBatchNMF(3, beta_loss="kl", random_state=0)
    >>> for batch in np.split(rng.random((600, 3)) @ rng.random((3, 20)), 6):
    ...     model = model.partial_fit(batch)
    >>> model.components_.shape, model.n_steps_
    ((3, 20), 6)
    """

    solver = "mu"
    shuffle = False

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        batch_size: int = 1024,
        beta_loss: str | float = "frobenius",
        tol: float = TOL,
        max_no_improvement: int | None = 10,
        max_iter: int = MAX_ITER,
        alpha_W: float = 0.0,
        alpha_H: float | str = "same",
        l1_ratio: float = 0.0,
        forget_factor: float = 0.7,
        fresh_restarts: bool = False,
        fresh_restarts_max_iter: int = 30,
        transform_max_iter: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.batch_size = batch_size
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.max_iter = max_iter
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.forget_factor = forget_factor
        self.fresh_restarts = fresh_restarts
        self.fresh_restarts_max_iter = fresh_restarts_max_iter
        self.transform_max_iter = transform_max_iter
        self.random_state = random_state
        self.verbose = verbose

    def fit_transform(
        self, X: ArrayLike, y: object = None, W: ArrayLike | None = None, H: ArrayLike | None = None
    ) -> Matrix:
        """Learn the components of X, batch by batch, and return W; parameters and errors are those of `NMF`."""
        data = self._validated(X, reset=True)
        with Workers() as workers:
            online, Z = self._begin(data, W, H)
            Zt, samples = np.ascontiguousarray(Z.T / online.unit, data.dtype), data.shape[0]
            size = min(self.batch_size, samples)
            spans = [slice(start, start + size) for start in range(0, samples, size)]
            steps, progress = self.max_iter * len(spans), _Progress(self, samples, len(spans))
            for step in range(steps):
                batch, before = spans[step % len(spans)], online.Wt
                cost = self._step(online, data[batch], size / samples, workers, Zt[batch])
                if progress.met(step + 1, cost, before, online.Wt, min(size, samples - batch.start)):
                    break
            self.n_steps_, self.n_iter_ = step + 1, -(-(step + 1) // len(spans))
            self._keep(online)
            Z = self.transform(data).T if self.fresh_restarts else Zt.T * (online.unit * self._scale[:, None])
            kernels, Wt = choose_for(data, len(Z), self._measure()), np.ascontiguousarray(self.components_)
            Zt = np.ascontiguousarray(Z.T, data.dtype)
            loss = kernels.divergence(data, Wt, Zt, self._measure(), workers)
        self.reconstruction_err_ = math.sqrt(2 * max(loss, 0))
        if self.tol > 0 and self.n_iter_ == self.max_iter:
            message = f"Maximum number of iterations {self.max_iter} reached. Increase it to improve convergence"
            warnings.warn(f"{message}, or tol.", ConvergenceWarning, stacklevel=3)
        return without_traces(Zt)

    def partial_fit(
        self, X: ArrayLike, y: object = None, W: ArrayLike | None = None, H: ArrayLike | None = None
    ) -> Self:
        """Learn from one more batch of samples, X; W and H are the start, at the first call, if init is "custom"."""
        fresh = not hasattr(self, "components_")
        data = self._validated(X, reset=fresh)
        with Workers() as workers:
            if fresh:
                self._online, self.n_steps_ = self._begin(data, W, H)[0], 0
            self._step(self._online, data, min(1.0, self.batch_size / data.shape[0]), workers, None)
        self.n_steps_ += 1
        self._keep(self._online)
        return self

    @property
    def _transform_iterations(self) -> int:
        return self.max_iter if self.transform_max_iter is None else self.transform_max_iter

    def _begin(self, data: Matrix, W: ArrayLike | None, H: ArrayLike | None) -> tuple[Online, Matrix]:
        """Check what was asked for; return the templates of the start, and its Z in the units of X."""
        for name in ("batch_size", "fresh_restarts_max_iter"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.forget_factor, "forget_factor", Real, min_val=0, max_val=1)
        given = self._custom_start(data, W, H)
        k = self._count(data, given)
        try:
            measure = self._measure()
            start = {"start": self._start_name(data, k), "seed": self._seed(), **given}
            solver = "hals" if start["start"] == "nndsvd" else "mu"  # of which no step is done
            divergence = 2.0 if solver == "hals" else measure
            factors = factorize(data.T, k, divergence=divergence, solver=solver, **start, max_iter=0).factors
        except NmfsepError as error:
            raise ValueError(str(error)) from error
        if measure.beta <= 0 and data.min() == 0:
            hint = "Add a small value to X, or use a positive beta_loss"
            raise ValueError(f"When beta_loss <= 0 and X contains zeros, the solver may diverge. {hint}.")
        mean = float(data.mean(dtype=np.float64))
        unit = float(2.0 ** np.frexp(mean)[1]) if mean > 0 else 1.0
        Wt = np.ascontiguousarray(factors.W.T, data.dtype)
        nothing = Statistics.nothing(Wt, Problem(measure))
        # the start counts a little, so that what the first batch does not hold is not lost for good
        return Online(
            Wt, unit, replace(nothing, negative=Wt.astype(np.float64), positive=nothing.positive + 1)
        ), factors.Z

    def _step(self, online: Online, X: Matrix, share: float, workers: Workers, Zt: Matrix | None) -> float:
        """Learn from a batch, of which Z is updated in place where it is kept; return its loss for each sample."""
        measure, unit = self._measure(), online.unit
        norms = self._norms(X)
        l1, l2 = (norm_in_units(norms[f"l{n}"], X.shape[::-1], unit, measure.beta, n) for n in (1, 2))
        problem = Problem(measure, l1=l1, l2=l2)
        steps = 1
        if Zt is None or self.fresh_restarts:
            Zt, steps = None, self.fresh_restarts_max_iter
        batch = X * X.dtype.type(1 / unit)
        new = statistics(batch, online.Wt, problem, steps, workers, Zt=Zt)
        weight = np.maximum(online.Wt, TINY).astype(np.float64) ** (1 / exponent(measure.beta))
        kept, old = self.forget_factor**share, online.sums
        positive, mass = kept * old.positive, kept * old.mass
        sums = replace(old, negative=kept * old.negative, positive=positive, mass=mass, frames=kept * old.frames)
        sums = online.sums = sums + replace(new, negative=new.negative * weight)
        # penalties of H count as often as there are samples in the sums
        more = sums.frames / X.shape[0]
        l1, l2 = ({name: value * more for name, value in norm.items()} for norm in (l1, l2))
        templates = replace(problem, l1=l1, l2=l2)
        online.Wt = update(online.Wt, replace(sums, negative=sums.negative / weight), templates)
        return float(new.loss * unit**measure.beta / X.shape[0])

    def _keep(self, online: Online) -> None:
        """Set the components, with rows of unit sum unless a penalty decides on their scale."""
        Wt = online.Wt
        if self.alpha_W or self.alpha_H not in (0, "same"):
            scale = np.ones(len(Wt), Wt.dtype)
        else:
            sums = Wt.sum(axis=1, dtype=np.float64)
            scale = np.where(sums > 0, sums, 1).astype(Wt.dtype)
        self._scale = scale
        self.components_ = without_traces(Wt / scale[:, None])
        self.n_components_ = self._n_components = len(Wt)


class _Progress:
    """When the batches have nothing more to teach."""

    def __init__(self, model: MiniBatchNMF, samples: int, batches: int) -> None:
        self._model, self._samples, self._batches = model, samples, batches
        self._mean = self._least = math.inf
        self._idle = self._calm = 0  # batches in a row

    def met(self, step: int, cost: float, before: Matrix, after: Matrix, size: int) -> bool:
        """Return whether to stop after a batch of so many samples, its cost and the templates around it."""
        model = self._model
        if model.verbose:
            sys.stdout.write(f"batch {step}: loss {cost:g} for each sample\n")
        if step == 1:  # its cost is that of the start
            return False
        share = min(1.0, size / (self._samples + 1))
        self._mean = cost if step == 2 else (1 - share) * self._mean + share * cost
        calm = bool(np.linalg.norm(after - before) <= model.tol * np.linalg.norm(after))
        self._calm = self._calm + 1 if calm else 0
        if model.tol > 0 and self._calm >= self._batches:
            return True
        self._idle = 0 if self._mean < self._least else self._idle + 1
        self._least = min(self._least, self._mean)
        return model.max_no_improvement is not None and self._idle >= model.max_no_improvement
