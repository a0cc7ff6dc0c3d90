"""Draw the picture of the README: a sample, its templates and activations, and the stems that they make.

python sample_audio/picture.py writes picture.png beside this script.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import nmfsep
from nmfsep.analysis.plots.canvas import INK, LIGHT, bare, drawing
from nmfsep.analysis.plots.sound import PALETTE, on_log_axis

HERE = Path(__file__).parent
SOUND, STEMS = "drums.wav", 3
NAMES = ("kick", "snare", "hi-hat")  # of its stems, the loudest first, as one hears them
ROWS, LOWEST, HIGHEST = 160, 40.0, 16_000.0  # of the frequency axis, in hertz
RANGE = 65.0  # decibels from dark to bright
COLOURS = 64

Array = NDArray[np.float64]


def decibels(X: Array, loudest: float) -> Array:
    """Return 20 log10 of X, 0 at `loudest`."""
    return 20 * np.log10(np.maximum(X / loudest, 1e-9))


def picture() -> Figure:
    """Return the figure: X ≈ W Z at the left, the stems at the right."""
    audio = nmfsep.read(str(HERE / SOUND))
    stems = nmfsep.separate(audio, STEMS)
    W, Z = stems.fits[0].factors.W, stems.fits[0].factors.Z
    stft = nmfsep.STFT(n_fft=1024)
    edges = np.geomspace(LOWEST, HIGHEST, ROWS + 1)

    def spectrogram(samples: Any) -> Array:
        X = np.abs(stft.forward(nmfsep.Audio(samples, audio.sample_rate)).values[0])
        return on_log_axis(X, np.linspace(0, audio.sample_rate / 2, len(X)), edges)

    X = spectrogram(audio.samples)
    seconds = audio.length / audio.sample_rate
    shown = {
        "cmap": LIGHT, "vmin": -RANGE, "vmax": 0, "aspect": "auto", "origin": "lower",
        "extent": (0, seconds, 0, ROWS),
    }  # fmt: skip
    figure = Figure(figsize=(9.6, 3.9), facecolor="white", layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(5.4, 4.2))
    grid = left.add_gridspec(2, 2, width_ratios=(1, 3.0), height_ratios=(1, 2))
    corner, above, beside, middle = (left.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, 0), (1, 1)))
    bare(corner)
    corner.text(0.5, 0.5, "X ≈ W Z", ha="center", va="center", fontsize=14, color=INK)
    middle.imshow(decibels(X, X.max()), **shown)
    middle.set_title(f"X: the mixture, {SOUND}", loc="left")
    middle.set_xlabel("time [s]")
    middle.set_yticks([])
    hills = on_log_axis(W, np.linspace(0, audio.sample_rate / 2, len(W)), edges)
    for n in range(STEMS):
        hill = np.clip(1 + decibels(hills[:, n], hills[:, n].max()) / RANGE, 0, None)
        beside.fill_betweenx(np.arange(ROWS), n, n + 0.9 * hill, color=PALETTE[n], alpha=0.8, linewidth=0)
        base = STEMS - 1 - n
        times = (np.arange(Z.shape[1]) + 0.5) * seconds / Z.shape[1]
        above.fill_between(times, base, base + 0.9 * Z[n] / Z[n].max(), color=PALETTE[n], alpha=0.8, linewidth=0)
    for axes in (above, beside):
        bare(axes)
    above.set_xlim(0, seconds)
    beside.set_ylim(0, ROWS)
    above.set_title("Z: when each plays", loc="left")
    beside.set_xlabel("W: how\neach sounds")
    ticks = [100, 1000, 10_000]
    beside.set_yticks(
        [ROWS * np.log(tick / LOWEST) / np.log(HIGHEST / LOWEST) for tick in ticks], ["100 Hz", "1 kHz", "10 kHz"]
    )
    for n, axes in enumerate(right.subplots(STEMS, 1, sharex=True)):
        axes.imshow(decibels(spectrogram(stems.samples[n]), X.max()), **shown)
        axes.set_title(f"{stems.names[n]}.wav: the {NAMES[n]}", loc="left", color=PALETTE[n])
        axes.set_yticks([])
    axes.set_xlabel("time [s]")
    return figure


def main() -> None:
    """Write the picture."""
    buffer = io.BytesIO()
    with drawing():
        canvas: Any = FigureCanvasAgg(picture())
        canvas.print_png(buffer)
    drawn = Image.open(buffer).convert("RGB")
    few = drawn.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(HERE / "picture.png", optimize=True)
    print(HERE / "picture.png")


if __name__ == "__main__":
    main()
