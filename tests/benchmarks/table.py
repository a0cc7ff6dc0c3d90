"""Write the speed of `factorize` against scikit-learn into the manual: python tests/benchmarks/table.py [SECONDS...].

Time to the loss at which scikit-learn stops at its defaults, from the same start, each workload in a process of its
own: in one that has freed a large array before, scikit-learn's temporaries cost no page faults and its multiplicative
updates run up to four times faster, which a user's first fit never sees.
"""

import importlib.metadata
import multiprocessing
import platform
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from bench_factorize import BINS, LOSSES, scikit_learn, spectrogram, start

from nmfsep import factorize
from nmfsep.nmf.fit import Execution

RESULTS = Path(__file__).parents[2] / "nmfsep" / "manual" / "results.md"
BEGIN, END = "<!-- make bench writes from here -->\n", "<!-- to here -->\n"
NAMES = {1: "KL", 0: "Itakura-Saito", 2: "Frobenius"}
SEEDS, ROUNDS, PATIENCE = 3, 3, 500
STEP = 5  # iterations between two looks at the loss


def took(function, *args, **options):
    """Return the seconds a call took, and its result."""
    began = time.perf_counter()
    result = function(*args, **options)
    return time.perf_counter() - began, result


def race(task):
    """Return seconds of scikit-learn, and of nmfsep to the same loss or None, for one start."""
    warnings.simplefilter("ignore")  # that scikit-learn stops at its 200 iterations is known
    seconds, beta, k, seed = task
    X = spectrogram(seconds)
    if beta <= 0:
        X = np.maximum(X, X.max() * np.float32(1e-5))
    W, Z = start(X, k, seed)
    factorize(X, k, divergence=beta, W=W, Z=Z, max_iter=2)  # compiles, and loads what is loaded once
    given = np.ascontiguousarray(X.T), np.ascontiguousarray(Z.T), np.ascontiguousarray(W.T)
    theirs, (A, C, _) = min((took(scikit_learn, *given, beta, k) for _ in range(2)), key=lambda pair: pair[0])
    same = {"divergence": beta, "W": W, "Z": Z, "tol": 0}
    target = factorize(X, k, divergence=beta, W=C.T, Z=A.T, max_iter=0).losses[0] * 1.00001
    reached = factorize(
        X, k, **same, max_iter=PATIENCE, execution=Execution(loss_every=STEP), callback=lambda _, loss: loss <= target
    )
    above = reached.losses[-1] / target - 1
    if above > 0:
        return theirs, None, above
    ours = statistics.median(took(factorize, X, k, **same, max_iter=reached.n_iter)[0] for _ in range(ROUNDS))
    return theirs, ours, above


def iteration(task):
    """Return the seconds of one iteration and the least that its arithmetic could take here."""
    seconds, beta, k, _ = task
    X = spectrogram(seconds)
    W, Z = start(X, k, 0)
    options = {"divergence": beta, "W": W, "Z": Z, "tol": 0}
    factorize(X, k, **options, max_iter=2)
    few, many = (min(took(factorize, X, k, **options, max_iter=count)[0] for _ in range(ROUNDS)) for count in (10, 50))
    A = np.random.default_rng(0).random((1500, 1500), np.float32)
    matmul = 2 * 1500**3 / min(took(np.matmul, A, A)[0] for _ in range(7))
    a, out = A[:10], np.empty_like(A[:10])
    repeats = 400
    divide = a.size * repeats / min(took(lambda: [np.divide(a, a, out=out) for _ in range(repeats)])[0] for _ in "123")
    bound = 8 * X.size * k / matmul + 2 * X.size / (divide * multiprocessing.cpu_count())
    return (many - few) / 40, bound


def fresh(function, task):
    """Run it in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (task,))


def lines(lengths):
    """Yield the lines of the section."""
    yield "| | k | " + " | ".join(f"{seconds} s | seconds" for seconds in lengths) + " |"
    yield "|---|---|" + "---|---|" * len(lengths)
    for beta, name in NAMES.items():
        for k in (4, 16, 64):
            cells = []
            for seconds in lengths:
                runs = [fresh(race, (seconds, beta, k, seed)) for seed in range(SEEDS)]
                print(f"{name}, k {k}, {seconds} s: {runs}", file=sys.stderr)
                ratios = [theirs / ours for theirs, ours, _ in runs if ours]
                missed = SEEDS - len(ratios)
                if not ratios:
                    cells += [f"not within {max(above for *_, above in runs):.1%}", "-"]
                    continue
                ours = statistics.median(ours for _, ours, _ in runs if ours)
                cells += [
                    f"{statistics.median(ratios):.1f}x" + (f" ({missed} of {SEEDS} not reached)" if missed else ""),
                    f"{ours:.2g}",
                ]
            yield f"| {name} | {k} | " + " | ".join(cells) + " |"
    yield ""
    shares = []
    for seconds in lengths:
        for k in (4, 16):
            spent, bound = fresh(iteration, (seconds, 1, k, 0))
            shares.append(f"{bound / spent:.0%} ({seconds} s, k {k})")
    yield "One KL iteration runs at this share of what one pass over X allows, the products at the rate of a large"
    yield "matrix product and the divisions at that of a division in cache: " + ", ".join(shares) + "."
    yield ""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "numba", "scikit-learn"))
    yield f"Median of {SEEDS} random starts, {ROUNDS} runs each, {BINS} bins, a synthetic spectrogram;"
    yield f"Python {platform.python_version()}, {versions}, {multiprocessing.cpu_count()} cores of {processor()}."


def processor():
    """Return what the machine calls its processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return found[0] if found else platform.machine()


def main(lengths):
    """Measure, print, and write."""
    assert set(LOSSES) == set(NAMES)
    table = "\n".join(lines(lengths)) + "\n"
    print(table)
    text = RESULTS.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    RESULTS.write_text(before + BEGIN + table + END + after)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [10, 60])
