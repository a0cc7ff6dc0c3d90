"""Time to the objective where scikit-learn stops, from the same start: nmfsep against scikit-learn in one run.

Each pair of rows is one workload; the ratio of their medians is what counts, not the seconds.
"""

import numpy as np
import pytest
from sklearn.decomposition import non_negative_factorization

from nmfsep import factorize

BINS = 1025
LOSSES = {1: "kullback-leibler", 2: "frobenius"}


def spectrogram(seconds: int) -> np.ndarray:
    """A synthetic magnitude spectrogram of decaying harmonic notes over noise, 44.1 kHz with a hop of 512."""
    rng = np.random.default_rng(0)
    frames = seconds * 44100 // 512
    W = np.full((BINS, 24), 1e-4)
    for k, pitch in enumerate(rng.uniform(4, 60, 24)):
        for harmonic in range(1, 20):
            if pitch * harmonic < BINS - 2:
                W[int(pitch * harmonic) + np.arange(-1, 2), k] += np.array([0.4, 1, 0.4]) / harmonic
    onsets = rng.random((24, frames)) < 0.02
    Z = np.zeros((24, frames))
    for t in range(frames):
        Z[:, t] = Z[:, t - 1] * 0.94 + onsets[:, t] * rng.random(24)
    return (W @ Z + 1e-3 * np.abs(rng.standard_normal((BINS, frames)))).astype(np.float32)


@pytest.fixture(scope="module", params=[10, 60], ids="{}s".format)
def X(request):
    return spectrogram(request.param)


@pytest.mark.parametrize("k", [4, 16])
@pytest.mark.parametrize("beta", LOSSES)
def bench_nmfsep(benchmark, X, beta, k):
    W, Z = start(X, k)
    loss = reference(X, W, Z, beta, k)[1]
    iterations = next(n for n in range(10, 2001, 10) if ours(X, W, Z, beta, k, n) <= loss * 1.00001)
    benchmark.group = f"{X.shape[1]} frames, beta {beta}, k {k}"
    benchmark.extra_info["iterations"] = iterations
    benchmark(factorize, X, k, divergence=beta, W=W, Z=Z, max_iter=iterations, tol=0, loss_every=10**6)


@pytest.mark.parametrize("k", [4, 16])
@pytest.mark.parametrize("beta", LOSSES)
def bench_scikit_learn(benchmark, X, beta, k):
    W, Z = start(X, k)
    benchmark.group = f"{X.shape[1]} frames, beta {beta}, k {k}"
    benchmark.pedantic(reference, (X, W, Z, beta, k), rounds=3)


def start(X, k):
    rng = np.random.default_rng(0)
    scale = np.sqrt(X.mean() / k)
    W, Z = (scale * np.abs(rng.standard_normal(shape)) for shape in ((BINS, k), (k, X.shape[1])))
    return W.astype(np.float32), Z.astype(np.float32)


def reference(X, W, Z, beta, k):
    """scikit-learn at its defaults; frames are its samples, as librosa hands them over."""
    solver = "cd" if beta == 2 else "mu"
    A, C, n = non_negative_factorization(
        np.ascontiguousarray(X.T), W=Z.T.copy(), H=W.T.copy(), n_components=k, init="custom", solver=solver,
        beta_loss=LOSSES[beta], tol=1e-4, max_iter=200,
    )  # fmt: skip
    return n, factorize(X, k, divergence=beta, W=C.T, Z=A.T, max_iter=0).losses[0]


def ours(X, W, Z, beta, k, iterations):
    return factorize(X, k, divergence=beta, W=W, Z=Z, max_iter=iterations, tol=0, loss_every=10**6).losses[-1]
