"""Draw the loss of the lecture's heuristic beside that of solvers that never let it rise, all from one start."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

import nmfsep
from nmfsep.analysis.plots.canvas import INK, blank, drawing, to_png
from nmfsep.nmf.fit import Execution

SOLVERS = {"pinv": "#d1662a", "hals": "#2b6ca3", "mu": "#3a8f4d"}
COUNTS = (3, 12)
STEPS = 128


def main() -> None:
    """Factorize the spectrogram named on the command line; draw into the file named after it."""
    sound, target = map(Path, sys.argv[1:])
    audio = nmfsep.read(sound)
    X = np.abs(nmfsep.STFT(2048).forward(audio).values).sum(axis=0)
    with drawing(), threadpoolctl.threadpool_limits(1):
        figure = blank(8.4, 3.1, layout="constrained")
        for axes, k in zip(figure.subplots(1, len(COUNTS)), COUNTS, strict=True):
            rng = np.random.default_rng(0)
            W, Z = rng.random((len(X), k)), rng.random((k, X.shape[1]))
            for solver, colour in SOLVERS.items():
                options = {
                    "divergence": "frobenius",
                    "solver": solver,
                    "tol": 0,
                    "max_iter": STEPS,
                    "execution": Execution(loss_every=1),
                }
                fit = nmfsep.factorize(X, k, W=W, Z=Z, **options)
                errors = np.sqrt(2 * np.array(fit.losses)) / np.linalg.norm(X)
                axes.plot(np.maximum(fit.evaluated, 0.7), errors, color=colour, label=solver, linewidth=1.6)
                print(f"k {k:2}, {solver:4}: error {errors.min():.4f} after {STEPS} iterations")
            errors = list(formula(X, Z))
            axes.plot(range(1, STEPS + 1), errors, color=SOLVERS["pinv"], linewidth=0.9, linestyle=":", label="formula")
            rises = sum(after > before for before, after in itertools.pairwise(errors))
            print(f"k {k:2}, plain formula: error {errors[-1]:.4f}, which rose in {rises} steps")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_title(f"k = {k}")
            axes.set_xlabel("iterations")
            axes.set_ylabel("‖X − W Z‖ / ‖X‖", color=INK)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        target.write_bytes(to_png(figure))


def formula(X: NDArray[np.float64], Z: NDArray[np.float64]) -> Iterator[float]:
    """Yield ‖X - W Z‖ / ‖X‖ after each step of W ← (X Z⁺)₊, Z ← (W⁺ X)₊, and nothing else."""
    for _ in range(STEPS):
        W = np.maximum(X @ Z.T @ np.linalg.pinv(Z @ Z.T), 0)  # Z⁺ = Zᵀ (Z Zᵀ)⁺
        Z = np.maximum(np.linalg.pinv(W.T @ W) @ W.T @ X, 0)
        yield float(np.linalg.norm(X - W @ Z) / np.linalg.norm(X))


if __name__ == "__main__":
    main()
