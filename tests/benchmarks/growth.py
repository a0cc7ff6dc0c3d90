"""Write how the cost of `nmfsep split` grows into the manual: python tests/benchmarks/growth.py [LONGEST SECONDS].

Length, number of stems and number of channels grow one at a time. Each run is a process of its own; seconds are those
on the wall, memory is the peak of its resident set. The slope is that of a line through the logarithms: 1 grows in
proportion, 0 does not grow. The fit runs the same 100 iterations everywhere, so that the slopes are those of the work
and not of how soon a fit is done.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from measure import nmfsep

RESULTS = Path(__file__).parents[2] / "nmfsep" / "manual" / "results.md"
BEGIN, END = "<!-- make bench writes growth from here -->\n", "<!-- growth to here -->\n"
RATE = 44100
LENGTHS = (10, 60, 300, 3600)
STEMS = (2, 8, 32, 128)
CHANNELS = (1, 2, 6)
MINUTE = 60
ITERATIONS = 100


def piece(path, seconds, channels):
    """Write notes that begin at random, under noise, minute by minute."""
    rng = np.random.default_rng(0)
    t = np.arange(RATE) / RATE
    notes = [
        sum(np.sin(2 * np.pi * f0 * h * t) / h for h in (1, 2, 3, 4, 5)) * np.exp(-5 * t)
        for f0 in 110 * 2 ** (np.arange(24) / 12)
    ]
    with soundfile.SoundFile(path, "w", RATE, channels, "PCM_16") as file:
        for _ in range(-(-seconds // MINUTE)):
            block = 0.005 * rng.standard_normal((min(seconds, MINUTE) * RATE, channels))
            for start in rng.integers(0, len(block) - RATE, 4 * min(seconds, MINUTE)):
                block[start : start + RATE] += 0.05 * notes[rng.integers(24)][:, None] * rng.random(channels)
            file.write(block)


def run(path, components, folder):
    """Return wall seconds and peak megabytes of one split."""
    options = ("--force", "--max-iter", ITERATIONS, "--tol", 0)
    taken = nmfsep("split", path, "-k", components, "-o", folder, "-q", *options)
    shutil.rmtree(folder)
    return taken.wall, taken.memory


def rows(what, values, measure):
    """Yield two lines of a table: seconds and megabytes, with slopes."""
    found = np.array([measure(value) for value in values])
    print(what, values, found.round(2).tolist(), file=sys.stderr)
    for unit, column in zip(("s", "MB"), found.T, strict=True):
        slope = np.polyfit(np.log(values), np.log(column), 1)[0]
        cells = " | ".join(f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in column)
        yield f"| {unit} | {cells} |" + " |" * (4 - len(values)) + f" {slope:.2f} |"


def lines(longest, workshop):
    """Yield the lines of the section."""
    lengths = [seconds for seconds in LENGTHS if seconds <= longest]
    paths = {(seconds, 1): workshop / f"{seconds}.wav" for seconds in (*lengths, MINUTE)}
    paths |= {(MINUTE, channels): workshop / f"channels-{channels}.wav" for channels in CHANNELS}
    for (seconds, channels), path in paths.items():
        piece(path, seconds, channels)
    out = workshop / "out"
    run(paths[MINUTE, 1], 4, out)  # compiles, if nothing has yet
    for what, values, measure in (
        ("length in s (mono, 4 stems)", lengths, lambda seconds: run(paths[seconds, 1], 4, out)),
        ("stems (60 s mono)", STEMS, lambda k: run(paths[MINUTE, 1], k, out)),
        ("channels (60 s, 4 stems)", CHANNELS, lambda channels: run(paths[MINUTE, channels], 4, out)),
    ):
        yield f"| {what} | " + " | ".join(map(str, values)) + " |" + " |" * (4 - len(values)) + " slope |"
        if what.startswith("length"):
            yield "|---" * 6 + "|"
        yield from rows(what, values, measure)


def main(longest):
    """Measure, print, and write."""
    with tempfile.TemporaryDirectory() as folder:
        table = "\n".join(lines(longest, Path(folder))) + "\n"
    print(table)
    text = RESULTS.read_text()
    before, rest = text.split(BEGIN)
    RESULTS.write_text(before + BEGIN + table + END + rest.split(END)[1])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LENGTHS[-1])
