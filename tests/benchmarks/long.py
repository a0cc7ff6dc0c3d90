"""Measure files of any length: python tests/benchmarks/long.py [HOURS...], 0.1 and 1 if none are given.

A piece of some minutes is repeated on disk. For each length and for one and two channels, `split -k 4` runs as a
process of its own: its peak memory, processor and wall time. At ten minutes it is held against the fit to all frames in
memory: the speed, and how far above the loss of the latter that of templates from a sample lies.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf

from nmfsep import STFT, factorize
from nmfsep.separation.long_fit import analyse_stream
from nmfsep.separation.pipeline import analyse
from nmfsep.separation.spectra import magnitudes
from nmfsep.settings import Settings
from nmfsep.signal.disk import Stream
from nmfsep.signal.read import Source

ROOT = Path(__file__).parents[2]
RATE, PIECE, COMPARED = 44100, 300, 600
SPLIT = [sys.executable, "-m", "nmfsep", "split", "-k", "4", "-q"]
POLISH = {"max_iter": 60, "tol": 0}  # of activations, so that only the templates differ


def piece(channels):
    """Return some minutes of the sample audio, at changing levels, one over another, (samples, channels), int16."""
    rng = np.random.default_rng(0)
    sounds = [sf.read(path, always_2d=True)[0].mean(axis=1) for path in sorted((ROOT / "sample_audio").glob("*.wav"))]
    out = np.zeros((PIECE * RATE, channels))
    for _ in range(8):
        position = 0
        while position < len(out):
            sound = np.resize(sounds[rng.integers(len(sounds))], rng.integers(2, 12) * RATE)[: len(out) - position]
            out[position : position + len(sound)] += np.outer(sound, rng.uniform(0, 0.5, channels))
            position += len(sound)
    return (out / np.abs(out).max() * 32000).astype(np.int16)


def write(path, seconds, channels):
    """Write a file of that length."""
    samples, left = piece(channels), round(seconds * RATE)
    with sf.SoundFile(path, "w", RATE, channels, "PCM_16", format="RF64") as file:
        while left > 0:
            file.write(samples[:left])
            left -= len(samples[:left])


def measured(path, *options):
    """Return peak memory in MB, and processor and wall seconds, of one split in a process of its own."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = ["/usr/bin/time", "-f", "%M", *SPLIT, str(path), "-o", folder, *options]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(done.stderr.split()[-1]) / 1024, cpu, wall


def above(path, divergence):
    """Return how far the loss over all frames lies above that of templates that were fitted to all of them."""
    settings = Settings(components=4, divergence=divergence)
    with Source(path) as source:
        audio, stream = source.read(), Stream(source)
        sampled = analyse_stream(stream, settings)
    X, _ = magnitudes(audio.samples, STFT())
    whole = analyse(audio, settings).fits[0].factors.W
    ours, best = (
        factorize(X, 4, W=W, fixed={"W"}, divergence=divergence, **POLISH).losses[-1]
        for W in (sampled.model.templates[0].Wt.T, whole)
    )
    return ours / best - 1


def rows(hours=(0.1, 1)):
    """Return lines of a table: what was measured, and the figure."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        for channels in (1, 2):
            for length in hours:
                write(path, length * 3600, channels)
                peak, cpu, wall = measured(path, "--max-memory", "300M")
                what = f"{length:g} h, {channels} channel{'s' * (channels > 1)}"
                found.append((what, f"{peak:.0f} MB, {cpu:.0f} s of processor, {wall:.0f} s"))
        write(path, COMPARED, 1)
        memory, streamed = measured(path, "--max-memory", "4G"), measured(path, "--max-memory", "300M")
        found.append(("10 min, in memory / a part at a time, processor time", f"{memory[1] / streamed[1]:.2f}"))
        found.append(("10 min, the same, wall time", f"{memory[2] / streamed[2]:.2f}"))
        found += [
            (f"loss above that of all frames, {name}", f"{above(path, name):.2%}") for name in ("kl", "frobenius", "is")
        ]
    return found


if __name__ == "__main__":
    for what, figure in rows(tuple(map(float, sys.argv[1:])) or (0.1, 1)):
        print(f"{what}: {figure}")
