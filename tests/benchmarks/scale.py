"""Print how nmfsep scales, as a table: python tests/benchmarks/scale.py [ROW...].

A row is a function that yields lines of the table (what, figure, what is asked of it); all are run if none is named.
Inputs are synthetic and made in a temporary folder. Other work on the machine spoils the figures, so the load is told.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

ROOT = Path(__file__).parents[2]
RATE = 44100
FILES, ROUNDS = 40, 2


def make(folder, count, seconds):
    """Write mono files of decaying tones over noise, every one another."""
    for number in range(count):
        rng = np.random.default_rng(number)
        t = np.arange(seconds * RATE, dtype=np.float32) / RATE
        sound = 0.01 * rng.standard_normal(len(t), np.float32)
        for beat, pitch in ((0.31, 110.0), (0.47, 293.7), (0.73, 1318.5)):
            sound += (
                0.2 * np.exp(-8 * (t % beat)) * np.sin(2 * np.pi * pitch * (1 + 0.01 * number) * t, dtype=np.float32)
            )
        sf.write(folder / f"{number:03}.wav", sound, RATE, "PCM_16")


def split(inputs, out, *options):
    """Run split on a folder; return seconds by the clock and of the processors."""
    command = [sys.executable, "-m", "nmfsep", "split", "-r", inputs, "-o", out, "-q", "-f", *options]
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used


def jobs(folder):
    """Two processes against one, which has both cores for its threads, and against one with a single thread."""
    inputs = folder / "minutes"
    inputs.mkdir()
    make(inputs, FILES, 60)
    runs = {"-j 2": ("-j", "2"), "-j 1": ("-j", "1"), "-j 1 --threads 1": ("-j", "1", "--threads", "1")}
    found = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, options in runs.items():
            found[name].append(split(inputs, folder / "out", "-k", "4", *options))
    clock = {name: statistics.median(seconds for seconds, _ in taken) for name, taken in found.items()}
    used = {name: statistics.median(seconds for _, seconds in taken) for name, taken in found.items()}
    what = f"{FILES} files of one minute"
    for name in runs:
        yield f"{what}, {name}", f"{clock[name]:.1f} s, {used[name]:.1f} s of processors", ""
    for name in list(runs)[1:]:
        yield f"{what}, -j 2 against {name}", f"{clock[name] / clock['-j 2']:.2f}x", "≥ 1.7x"


def cluster(folder):
    """Two workers of a cluster on this machine, of one thread each, against -j 2."""
    from distributed import LocalCluster

    inputs = folder / "minutes"
    inputs.mkdir()
    make(inputs, FILES, 60)
    os.environ["PYTHONPATH"] = str(ROOT)  # for the workers
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        runs = {"-j 2": ("-j", "2"), "--scheduler": ("--scheduler", local.scheduler_address)}
        split(inputs, folder / "out", "-k", "4", *runs["--scheduler"])  # the workers load what they need
        found = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, options in runs.items():
                found[name].append(split(inputs, folder / "out", "-k", "4", *options)[0])
    clock = {name: statistics.median(seconds) for name, seconds in found.items()}
    what = f"{FILES} files of one minute"
    yield f"{what}, 2 workers of a cluster", f"{clock['--scheduler']:.1f} s", ""
    yield f"{what}, 2 workers against -j 2", f"{clock['-j 2'] / clock['--scheduler']:.2f}x", "≥ 0.8x"


ROWS = {"jobs": jobs, "cluster": cluster}


def main(names):
    """Print the rows of these names."""
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| what | measured | must |\n|---|---|---|")
    for name in names or ROWS:
        with tempfile.TemporaryDirectory() as folder:
            for row in ROWS[name](Path(folder)):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
