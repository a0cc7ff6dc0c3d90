"""A two-layer network (X W_1)_+ W_2 ≈ Y, trained by gradient descent: the factors of Semi-NMF, reached by weights.

Adam: Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1, with all samples in each step.
"""

from __future__ import annotations

import math

import numpy as np

from ..factors import Matrix
from ..problem import Problem
from .base import State

MEMORY = (0.9, 0.999)  # of the mean and of the mean square of the gradient
EPS = 1e-8


class Network:
    """Adam on both layers with a rate that falls to nothing; the state holds Y ≈ W Z with W the hidden layer, Z = W_2.

    Parameters
    ----------
    X : ndarray, shape (samples, features)
    W1 : ndarray, shape (features, hidden)
        Weights of the first layer where the training starts; copied.
    decay : float
        Weight of ½ (‖W_1‖² + ‖W_2‖²).
    rates : tuple of float
        First step of a weight, about, of each layer.
    steps : int
        Iterations until the rate is 0.
    """

    betas: frozenset[float] | None = frozenset({2.0})
    monotone = False
    fills = False
    penalties = False

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
