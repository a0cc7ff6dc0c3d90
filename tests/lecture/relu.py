"""Draw how two-layer ReLU networks, trained from scratch, come near the loss of Semi-NMF, which they cannot beat."""

import sys
from pathlib import Path

import numpy as np

import nmfsep
from nmfsep.analysis.plots.canvas import FAINT, blank, drawing, to_png

HIDDEN, SAMPLES, FEATURES, OUTPUTS = 3, 20, 30, 12
STEPS, SEEDS = 2500, 4
# whether every hidden unit is at work on every sample at the start
STARTS = {"all units at work at the start": (True, "#3a8f4d"), "plainly random weights": (False, "#d1662a")}


def main() -> None:
    """Draw into the file named on the command line."""
    target, rng = Path(sys.argv[1]), np.random.default_rng(7)
    X = nmfsep.whiten(rng.standard_normal((SAMPLES, FEATURES)))
    Y = np.maximum(rng.standard_normal((SAMPLES, HIDDEN)), 0) @ rng.standard_normal((HIDDEN, OUTPUTS))
    Y += 0.3 * rng.standard_normal(Y.shape)
    fits = [nmfsep.semi_nmf(Y, HIDDEN, free="Z", start="random", seed=n, max_iter=500, tol=0) for n in range(8)]
    semi = min(fits, key=lambda fit: fit.losses[-1])
    network = nmfsep.ReLUNetwork.of_factors(semi.factors, X)
    print(f"hidden layer and W differ by {np.abs(network.hidden(X) - semi.factors.W).max():.1e} at the most")
    print(f"loss of Semi-NMF {semi.losses[-1]:.3f}, of the network made of it {network.loss(X, Y):.3f}")
    with drawing():
        figure = blank(7.2, 3.3, layout="constrained")
        axes = figure.subplots()
        for label, (alive, colour) in STARTS.items():
            losses = []
            for seed in range(SEEDS):
                _, fit = nmfsep.ReLUNetwork.train(X, Y, HIDDEN, alive=alive, seed=seed, max_iter=STEPS)
                axes.plot(fit.evaluated, fit.losses, color=colour, label=None if seed else label, linewidth=1.2)
                losses.append(fit.losses[-1])
            print(f"networks from {label}: {', '.join(f'{loss:.2f}' for loss in sorted(losses))}")
        axes.axhline(semi.losses[-1], color="#2b6ca3", linewidth=1.5, linestyle="--", label="Semi-NMF")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: "")
        axes.set_xlabel("steps of gradient descent", color=FAINT)
        axes.set_title("½ ‖(X W₁)₊ W₂ − Y‖² of networks trained from scratch", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        target.write_bytes(to_png(figure))


if __name__ == "__main__":
    main()
