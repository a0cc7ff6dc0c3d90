"""Draw the loss of the lecture's heuristic beside that of solvers that never let it rise, all from one start."""

import sys
from pathlib import Path

import numpy as np

import nmfsep
from nmfsep.plots.canvas import INK, blank, drawing, to_png

SOLVERS = {"pinv": "#d1662a", "hals": "#2b6ca3", "mu": "#3a8f4d"}
COUNTS = (3, 12)
STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)


def main() -> None:
    """Factorize the spectrogram named on the command line; draw into the file named after it."""
    sound, target = map(Path, sys.argv[1:])
    audio = nmfsep.read(sound)
    X = np.abs(nmfsep.STFT(2048).forward(audio).values).sum(axis=0)
    with drawing():
        figure = blank(8.4, 3.1, layout="constrained")
        for axes, k in zip(figure.subplots(1, len(COUNTS)), COUNTS, strict=True):
            rng = np.random.default_rng(0)
            W, Z = rng.random((len(X), k)), rng.random((k, X.shape[1]))
            for solver, colour in SOLVERS.items():
                errors = [error(X, W, Z, solver, steps) for steps in STEPS]
                axes.plot([max(step, 0.7) for step in STEPS], errors, color=colour, label=solver, linewidth=1.6)
                print(f"k {k:2}, {solver:4}: error {errors[-1]:.4f} after {STEPS[-1]} iterations")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.set_title(f"k = {k}")
            axes.set_xlabel("iterations")
            axes.set_ylabel("‖X − W Z‖ / ‖X‖", color=INK)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        target.write_bytes(to_png(figure))


def error(X: np.ndarray, W: np.ndarray, Z: np.ndarray, solver: str, steps: int) -> float:
    """Return ‖X - W Z‖ / ‖X‖ after so many iterations."""
    options = {"divergence": "frobenius", "solver": solver, "tol": 0, "max_iter": steps}
    fit = nmfsep.factorize(X, W.shape[1], W=W, Z=Z, **options)
    return float(np.linalg.norm(X - fit.factors.reconstruct()) / np.linalg.norm(X))


if __name__ == "__main__":
    main()
