"""Rows of `scale.py` about long files, which stay on disk: memory, time, and how good their templates are.

A piece of some minutes is repeated on disk. What the stream does is held against the same in memory at ten minutes: the
speed, and how far above the loss of templates fitted to all frames that of templates from a sample lies.
"""

import numpy as np
import soundfile as sf
from measure import ROOT, nmfsep

RATE, PIECE, COMPARED = 44100, 300, 600
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
    """Write a file of that length; return it."""
    samples, left = piece(channels), round(seconds * RATE)
    with sf.SoundFile(path, "w", RATE, channels, "PCM_16", format="RF64") as file:
        while left > 0:
            file.write(samples[:left])
            left -= len(samples[:left])
    return path


def split(path, *options):
    """Return what separating a file takes."""
    return nmfsep("split", path, "-k", 4, "-q", "-f", "-o", path.parent / "stems", *options)


def hours(folder, lengths):
    """Yield memory and time of files of so many hours, at the defaults and with one template a stem."""
    path = folder / "long.wav"
    for length in lengths:
        for channels, name in ((1, "mono"), (2, "stereo")):
            write(path, length * 3600, channels)
            for kind, options in (("", ()), (" --fast", ("--fast",))):
                taken, what = split(path, *options), f"{length:g} h {name}, -k 4{kind}"
                yield f"{what}, peak memory", f"{taken.memory:.0f} MB", "≤ 700 MB"
                share = f"1/{length * 3600 / taken.wall:.0f} of its duration"
                took = f"{taken.wall:.0f} s, {taken.cpu:.0f} s of processors, {share}"
                yield f"{what}, whole process", took, "≤ 1/60" if channels == 1 else ""


def speed(folder):
    """Yield the speed of a part at a time against that of all in memory, of the same file."""
    for channels, name in ((1, "mono"), (2, "stereo")):
        path = write(folder / "ten.wav", COMPARED, channels)
        for kind, options in (("", ()), (" --fast", ("--fast",))):
            memory, parts = (split(path, *options, "--max-memory", most) for most in ("4G", "300M"))
            what = f"10 min {name}, -k 4{kind}, a part at a time against in memory"
            yield f"{what}, wall time", f"{memory.wall / parts.wall:.2f}x", "≥ 0.7x"
            yield f"{what}, processor time", f"{memory.cpu / parts.cpu:.2f}x", ""


def loss(folder):
    """Yield how far the loss over all frames lies above that of templates that were fitted to all of them."""
    path = write(folder / "ten.wav", COMPARED, 1)
    for name in ("kl", "frobenius", "is"):
        yield f"10 min mono, {name}, loss above that of all frames", f"{above(path, name):.2%}", "≤ 2 %"


def above(path, divergence):
    """Return how far the loss of templates from a sample of frames is above that of templates from all."""
    from nmfsep import STFT, factorize
    from nmfsep.separation import pipeline
    from nmfsep.separation.mixture import all_frames
    from nmfsep.settings.separation import Settings
    from nmfsep.signal.read import Source
    from nmfsep.signal.stream import Stream

    settings = Settings(components=4, atoms=1, divergence=divergence)
    with Source(path) as source:
        audio, stream = source.read(), Stream(source)
        sampled = pipeline.separate(stream, settings)[0]
    X = all_frames(audio.samples, STFT()).Xt.T
    whole = pipeline.separate(audio, settings)[0].fits[0].factors.W
    ours, best = (
        factorize(X, 4, W=W, fixed={"W"}, divergence=divergence, **POLISH).losses[-1]
        for W in (sampled.model.templates[0].Wt.T, whole)
    )
    return ours / best - 1
