"""nmfsep against scikit-learn, both at their defaults, from the same start, in one run.

Each pair of rows is one workload; the ratio of their medians is what counts, not the seconds, beside the loss reached,
which stands in the name: lower is better.
"""

import numpy as np
import pytest
from sklearn.decomposition import non_negative_factorization

from nmfsep import factorize

BINS = 1025
LOSSES = {1: "kullback-leibler", 0: "itakura-saito", 2: "frobenius"}


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


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("k", [4, 16])
@pytest.mark.parametrize("beta", [1, 2])
def bench_nmfsep(benchmark, X, beta, k, seed):
    W, Z = start(X, k, seed)
    label(benchmark, X, beta, k, seed, factorize(X, k, divergence=beta, W=W, Z=Z).losses[-1])
    benchmark(factorize, X, k, divergence=beta, W=W, Z=Z)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("k", [4, 16])
@pytest.mark.parametrize("beta", [1, 2])
def bench_scikit_learn(benchmark, X, beta, k, seed):
    W, Z = start(X, k, seed)
    # frames are its samples, as librosa hands them over
    given = np.ascontiguousarray(X.T), np.ascontiguousarray(Z.T), np.ascontiguousarray(W.T)
    A, C, _ = scikit_learn(*given, beta, k)
    label(benchmark, X, beta, k, seed, factorize(X, k, divergence=beta, W=C.T, Z=A.T, max_iter=0).losses[0])
    benchmark.pedantic(scikit_learn, (*given, beta, k), rounds=3)


def label(benchmark, X, beta, k, seed, loss):
    benchmark.group = f"{X.shape[1]} frames, beta {beta}, k {k}, seed {seed}"
    benchmark.name = f"{benchmark.name.split('[')[0].removeprefix('bench_')}, loss {loss:.6g}"


def start(X, k, seed):
    rng = np.random.default_rng(seed)
    scale = np.sqrt(X.mean() / k)
    W, Z = (scale * np.abs(rng.standard_normal(shape)) for shape in ((BINS, k), (k, X.shape[1])))
    return W.astype(np.float32), Z.astype(np.float32)


def scikit_learn(Xt, A, C, beta, k):
    solver = "cd" if beta == 2 else "mu"
    return non_negative_factorization(
        Xt, W=A.copy(), H=C.copy(), n_components=k, init="custom", solver=solver, beta_loss=LOSSES[beta]
    )
