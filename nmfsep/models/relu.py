"""Semi-NMF as a two-layer network of rectified linear units.

On whitened samples X Xᵀ = I any non-negative H is a hidden layer: with W_1 = Xᵀ H, (X W_1)_+ = (X Xᵀ H)_+ = H. So

    min over W_1, W_2 of ‖(X W_1)_+ W_2 - Y‖²  =  min over H >= 0, W_2 of ‖H W_2 - Y‖²,

and minimisers of one are minimisers of the other. In the words of this package, Y ≈ W Z with W = H and Z = W_2 free:
`semi_nmf(Y, k, free="Z")`. Samples are in rows here, as networks have them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError
from ..kernels.divergence import frobenius
from ..kernels.product import Factors, Matrix
from ..kernels.threads import Workers
from ..nmf.fit import Callback, Fit, Stop, fit
from ..nmf.prepare import as_matrix, check_count
from ..nmf.problem import Problem
from ..nmf.solvers import Solver, State

MEMORY = (0.9, 0.999)  # of the mean and of the mean square of the gradient
EPS = 1e-8


class Network(Solver):
    """Adam on both layers with a rate that falls to nothing; the state holds Y ≈ W Z with W the hidden layer, Z = W_2.

    X is (samples, features), W1, which is copied, (features, hidden); the rates, about the first step of a weight in
    each layer, fall to 0 in so many steps.
    """

    betas = frozenset({2.0})
    monotone = False

    def __init__(self, X: Matrix, W1: Matrix, decay: float, rates: tuple[float, float], steps: int) -> None:
        self.X, self.W1 = X, W1.copy()
        self.decay, self.rates, self.steps = decay, rates, steps
        self.best_W1 = self.W1
        self.lowest = math.inf
        self.done = 0

    def start(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Begin without momentum."""
        shapes = self.W1.shape, state.Zt.shape
        state.memory = [[np.zeros(shape), np.zeros(shape)] for shape in shapes]

    def step(self, Xt: Matrix, state: State, problem: Problem) -> None:
        """Do one iteration; Xt is the transpose of Y."""
        before = self.X @ self.W1
        hidden = np.maximum(before, 0)
        rest = hidden @ state.Zt.T - Xt.T
        slopes = (
            self.X.T @ ((rest @ state.Zt) * (before > 0)) + self.decay * self.W1,
            rest.T @ hidden + self.decay * state.Zt,
        )
        left = max(0.0, 1 - self.done / self.steps)
        self.done += 1
        layers = zip((self.W1, state.Zt), slopes, self.rates, state.memory, strict=True)
        for weights, slope, rate, (mean, square) in layers:
            mean += (1 - MEMORY[0]) * (slope - mean)
            square += (1 - MEMORY[1]) * (slope**2 - square)
            unbiased = mean / (1 - MEMORY[0] ** self.done), square / (1 - MEMORY[1] ** self.done)
            weights -= left * rate * unbiased[0] / (np.sqrt(unbiased[1]) + EPS)
        state.Wt[:] = np.maximum(self.X @ self.W1, 0).T

    def observe(self, state: State, problem: Problem, loss: float) -> float:
        """Add the decay; keep the weights if they are the best so far."""
        loss += 0.5 * self.decay * float(np.sum(self.W1**2) + np.sum(state.Zt**2))
        if loss < self.lowest:
            self.lowest, self.best_W1 = loss, self.W1.copy()
            state.best = state.Wt.copy(), state.Zt.copy()
        return self.lowest


Array = NDArray[np.float64]


def whiten(X: ArrayLike) -> Array:
    """Return U Vᵀ of the singular value decomposition X = U S Vᵀ: the nearest samples with X Xᵀ = I, in float64.

    Parameters
    ----------
    X : array_like, shape (samples, features)
        At most as many samples as features; with more, Xᵀ X = I instead, and what this module says does not hold.

    Raises
    ------
    UsageError
        Rows, or with more samples than features columns, are linearly dependent to rounding, so that no X is nearest.
    """
    given = _real(X)
    U, s, V = np.linalg.svd(given, full_matrices=False)
    if s[-1] <= s[0] * max(given.shape) * np.finfo(np.float64).eps:
        which = "samples" if given.shape[0] <= given.shape[1] else "features"
        raise UsageError(f"{which} are linearly dependent, so that they cannot be whitened", "leave some of them out")
    return np.asarray(U @ V)


@dataclass(frozen=True, slots=True)
class ReLUNetwork:
    """The network X -> (X W_1)_+ W_2.

    Parameters
    ----------
    W1 : ndarray, shape (features, hidden)
    W2 : ndarray, shape (hidden, outputs)

    Raises
    ------
    UsageError
        The shapes do not fit each other.
    """

    W1: Array
    W2: Array

    def __post_init__(self) -> None:
        if self.W1.ndim != 2 or self.W2.ndim != 2 or self.W1.shape[1] != self.W2.shape[0]:
            raise UsageError(f"W1 {self.W1.shape} and W2 {self.W2.shape} are not (features, m) and (m, outputs)")

    def hidden(self, X: ArrayLike) -> Array:
        """Return (X W_1)_+, shape (samples, hidden)."""
        return np.asarray(np.maximum(_real(X) @ self.W1, 0))

    def __call__(self, X: ArrayLike) -> Array:
        """Return (X W_1)_+ W_2, shape (samples, outputs)."""
        return self.hidden(X) @ self.W2

    def loss(self, X: ArrayLike, Y: ArrayLike, decay: float = 0.0) -> float:
        """Return ½ ‖(X W_1)_+ W_2 - Y‖² + ½ decay (‖W_1‖² + ‖W_2‖²)."""
        rest = self(X) - _real(Y)
        return 0.5 * float(np.sum(rest**2)) + 0.5 * decay * float(np.sum(self.W1**2) + np.sum(self.W2**2))

    def factors(self, X: ArrayLike) -> Factors:
        """Return the Semi-NMF that the network is on samples X: W is the hidden layer, Z is W_2."""
        return Factors(self.hidden(X), self.W2)

    @classmethod
    def of_factors(cls, factors: Factors, X: ArrayLike) -> ReLUNetwork:
        """Return the network whose hidden layer on samples X, (samples, features), is W, and whose W_2 is Z.

        Of all such networks it is the one with the smallest ‖W_1‖: W_1 = X⁺ W, which is Xᵀ W where X Xᵀ = I; there it
        has the norm of W, so that weight decay, too, costs both the same.

        Raises
        ------
        UsageError
            W is negative, or X has not as many rows, or the rows of X are dependent (as always with more samples than
            features) and no weights have W as their hidden layer.
        """
        given, H = _real(X), np.asarray(factors.W, dtype=np.float64)
        if len(H) != len(given):
            raise UsageError(f"W has {len(H)} rows, not as many as the {len(given)} samples")
        if H.min(initial=0) < 0:
            raise UsageError("W holds negative entries, which no hidden layer has", "use semi_nmf with free='Z'")
        whitened = np.allclose(given @ given.T, np.eye(len(given)), rtol=0, atol=1e-12)
        network = cls(given.T @ H if whitened else np.linalg.pinv(given) @ H, np.asarray(factors.Z, dtype=np.float64))
        if np.abs(network.hidden(given) - H).max(initial=0) > 1e-6 * np.abs(H).max(initial=0):
            message = "the samples are linearly dependent, and no weights lead to this hidden layer"
            raise UsageError(message, "use at most as many samples as features")
        return network

    @classmethod
    def train(
        cls,
        X: ArrayLike,
        Y: ArrayLike,
        hidden: int,
        *,
        decay: float = 0.0,
        alive: bool = True,
        rate: float = 0.005,
        max_iter: int = 2000,
        tol: float = 0.0,
        seed: int = 0,
        callback: Callback | None = None,
        threads: int | None = None,
    ) -> tuple[ReLUNetwork, Fit]:
        """Train a network from random weights by gradient descent (Adam on all samples), to compare with Semi-NMF.

        From a good start it approaches the loss of Semi-NMF, slowly; where X Xᵀ = I it can never get below it.

        Parameters
        ----------
        X : array_like, shape (samples, features)
        Y : array_like, shape (samples, outputs)
        hidden : int
            Hidden units.
        decay : float, default 0
            Weight of ½ (‖W_1‖² + ‖W_2‖²).
        alive : bool, default True
            Start from random weights that have every hidden unit at work on every sample. Where X Xᵀ = I, samples share
            nothing, so that a unit that is silent on one gets no gradient from it; from plainly random weights half of
            the hidden layer starts so, and the training ends at a much larger loss.
        rate : float, default 0.005
            Size of a step, in units of the spread of the first weights; it falls to 0 at `max_iter`.
        max_iter, tol, seed, callback, threads
            As in `factorize`.

        Returns
        -------
        network : ReLUNetwork
            The best at which the loss was taken.
        fit : Fit
            Its hidden layer and W_2 as factors of Y, and the losses.

        Raises
        ------
        UsageError
            X or Y is not a finite matrix, or they differ in samples.
        """
        check_count("hidden", hidden)
        inputs, targets = _real(X), _real(Y)
        if len(inputs) != len(targets):
            raise UsageError(f"X has {len(inputs)} samples and Y {len(targets)}")
        rng = np.random.default_rng(seed)
        # hidden units of about unit size, and outputs of the size of Y
        spread_in = 1 / max(float(np.sqrt(np.mean(np.sum(inputs**2, axis=1)))), np.finfo(float).tiny)
        spread_out = float(np.sqrt(np.mean(targets**2) / hidden)) or 1.0
        W1: Array = spread_in * rng.standard_normal((inputs.shape[1], hidden))
        W2 = spread_out * rng.standard_normal((hidden, targets.shape[1]))
        with Workers(threads) as workers:
            if alive:
                W1 = np.asarray(np.linalg.pinv(inputs) @ np.abs(inputs @ W1), np.float64)
            # both layers are trained in units of their first spread, so that one rate suits them
            solver = Network(inputs, W1, decay, (rate * spread_in, rate * spread_out), max_iter)
            begin, Yt = Factors(np.maximum(inputs @ W1, 0), W2), np.ascontiguousarray(targets.T)
            result = fit(Yt, begin, Problem(frobenius), solver, Stop(max_iter, tol), workers, callback)
        return cls(solver.best_W1.astype(np.float64), result.factors.Z.astype(np.float64)), result


def _real(X: ArrayLike) -> Array:
    given = as_matrix(X).astype(np.float64)
    if not np.isfinite(given).all():
        raise UsageError("X holds NaN or infinite entries")
    return given
