"""Rows of `scale.py` about many files: processes, the workers of a cluster, and learning."""

import os
import pickle
import statistics

import numpy as np
import soundfile as sf
from measure import ROOT, Taken, nmfsep

RATE = 44100
FILES, SECONDS, ROUNDS = 40, 60, 2


def make(folder, count=FILES, seconds=SECONDS):
    """Write mono files of decaying tones over noise, every one another; return the folder."""
    folder.mkdir()
    for number in range(count):
        rng = np.random.default_rng(number)
        t = np.arange(seconds * RATE, dtype=np.float32) / RATE
        sound = 0.01 * rng.standard_normal(len(t), np.float32)
        for beat, pitch in ((0.31, 110.0), (0.47, 293.7), (0.73, 1318.5)):
            sound += (
                0.2 * np.exp(-8 * (t % beat)) * np.sin(2 * np.pi * pitch * (1 + 0.01 * number) * t, dtype=np.float32)
            )
        sf.write(folder / f"{number:03}.wav", sound, RATE, "PCM_16")
    return folder


def compared(inputs, out, runs):
    """Return the medians of what each run of split takes, the runs in turns."""
    found = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, options in runs.items():
            found[name].append(nmfsep("split", "-r", inputs, "-o", out, "-k", 4, "-q", "-f", *options))
    return {name: Taken(*map(statistics.median, zip(*taken, strict=True))) for name, taken in found.items()}


def jobs(folder):
    """Yield two processes against one that has one core, and against one that has both for its threads."""
    inputs = make(folder / "minutes")
    for kind, options in (("", ()), (" --fast", ("--fast",))):
        runs = {
            "-j 2": ("-j", 2, *options),
            "-j 1 --threads 1": ("-j", 1, "--threads", 1, *options),
            "-j 1": ("-j", 1, *options),
        }
        taken = compared(inputs, folder / "out", runs)
        what = f"{FILES} files of one minute{kind}"
        for name, each in taken.items():
            yield f"{what}, {name}", f"{each.wall:.1f} s, {each.cpu:.1f} s of processors", ""
        for name, must in (("-j 1 --threads 1", "≥ 1.7x"), ("-j 1", "")):
            yield f"{what}, -j 2 against {name}", f"{taken[name].wall / taken['-j 2'].wall:.2f}x", must
        busy = taken["-j 2"].cpu / taken["-j 2"].wall / 2
        yield f"{what}, -j 2: share of two cores that is busy", f"{busy:.0%}", ""


def cluster(folder):
    """Yield two workers of a cluster on this machine, of one thread each, against -j 2."""
    from distributed import LocalCluster

    inputs = make(folder / "minutes")
    os.environ["PYTHONPATH"] = str(ROOT)  # for the workers
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        there = ("--scheduler", local.scheduler_address)
        nmfsep("split", "-r", inputs, "-o", folder / "out", "-k", 4, "-q", *there)  # the workers load what they need
        taken = compared(inputs, folder / "out", {"-j 2": ("-j", 2), "there": there})
    what = f"{FILES} files of one minute"
    yield f"{what}, 2 workers of a cluster", f"{taken['there'].wall:.1f} s", ""
    yield f"{what}, 2 workers against -j 2", f"{taken['-j 2'].wall / taken['there'].wall:.2f}x", "≥ 0.8x"


def learning(folder):
    """Yield what learning a label from many files takes, and what goes over the network in each round of it."""
    from nmfsep.guidance.dictionary import read
    from nmfsep.kernels.divergence import as_divergence
    from nmfsep.nmf.blockwise import Statistics
    from nmfsep.nmf.problem import Problem

    inputs, target = make(folder / "minutes"), folder / "all.npz"
    taken = nmfsep("learn", f"all={inputs}", "-k", 20, "-o", target, "-q")
    hours = FILES * SECONDS / 3600
    what = f"learn of {FILES} files of one minute, -k 20"
    yield f"{what}, per hour of sound", f"{taken.cpu / hours:.0f} s of processors", ""
    yield f"{what}, peak memory", f"{taken.memory:.0f} MB", ""
    problem = Problem(as_divergence("kl"))
    for view in read(target).views:
        Wt = np.ascontiguousarray(view.W.T, np.float32)
        sent, back = (len(pickle.dumps(each)) for each in (Wt, Statistics.nothing(Wt, problem)))
        frames = f"{len(Wt)} templates of {view.stft.n_fft}"
        yield f"{what}, {frames}: W to a worker, sums back", f"{sent >> 10} KB, {back >> 10} KB", ""
