"""Picture of a sound taken apart: templates left of its spectrogram, activations above, masks below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canvas import FAINT, INK, LIGHT, bare, blank, drawing, legible, to_png

Array = NDArray[np.float64]

ROWS = 260  # of the frequency axis
LOWEST = 40.0  # hertz at its lower end
RANGE = 70.0  # decibels from black to white
MASKS, ACROSS = 12, 4  # masks drawn at the most, and those in a line
TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
PALETTE = ("#2b6ca3", "#d1662a", "#3a8f4d", "#9b4a97", "#b8922a", "#c23b4e", "#4a5a6a", "#1f9e9a")


@dataclass(frozen=True, slots=True)
class Sound:
    """What is drawn."""

    spectrogram: Array  # (bins, columns)
    W: Array  # (bins, components)
    Z: Array  # (components, columns)
    frequencies: Array  # hertz, evenly spaced from 0
    seconds: float  # from the first column to the end of the last
    names: Sequence[str]  # of the components
    notes: Sequence[str]  # "" where there is none
    pitches: Sequence[float | None]  # hertz
    onsets: Sequence[Sequence[float]]  # seconds


def log_edges(frequencies: Array) -> Array:
    """Return the frequencies between rows of the logarithmic axis, hertz."""
    highest = float(frequencies[-1])
    return np.geomspace(min(LOWEST, highest / 20), highest, ROWS + 1)


def sound_picture(sound: Sound, title: str) -> bytes:
    """Return a PNG file that shows a sound and its components."""
    k = sound.W.shape[1]
    shown = min(k, MASKS)
    lines = -(-shown // ACROSS)
    edges = log_edges(sound.frequencies)
    W = on_log_axis(sound.W, sound.frequencies, edges)
    left = float(np.clip(0.32 * k, 1.0, 3.4))
    above = float(np.clip(0.26 * k, 0.8, 3.2))
    with drawing():
        figure = blank(9.6, above + 3.1 + 1.15 * lines + 1.3, layout="constrained")
        figure.suptitle(legible(title), x=0.01, ha="left", fontsize=11)
        upper, lower = figure.subfigures(2, 1, height_ratios=(above + 3.4, 1.25 * lines + 0.25))
        grid = upper.add_gridspec(2, 2, width_ratios=(left, 7.4 - left), height_ratios=(above, 3.1))
        labels, activations, templates, spectrum = (
            upper.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, 0), (1, 1))
        )
        draw_activations(activations, sound)
        _name_activations(labels, activations, sound)
        draw_templates(templates, W, sound, edges)
        X = draw_spectrogram(spectrum, sound.spectrogram, sound.frequencies, sound.seconds, labelled=False)
        V = np.maximum(sound.W @ sound.Z, 1e-300)
        masks = (np.outer(sound.W[:, n], sound.Z[n]) / V for n in range(shown))
        _masks(lower, [on_log_axis(mask, sound.frequencies, edges) for mask in masks], X, sound, edges)
        return to_png(figure)


def draw_spectrogram(axes: Any, spectrogram: Array, frequencies: Array, seconds: float, labelled: bool = True) -> Array:
    """Draw magnitudes (bins, columns) on a logarithmic axis of frequency; return what is seen, in decibels."""
    edges = log_edges(frequencies)
    X = decibels(on_log_axis(spectrogram, frequencies, edges))
    extent = (0, seconds, 0, ROWS)
    axes.imshow(X, cmap=LIGHT, vmin=X.max() - RANGE, aspect="auto", origin="lower", extent=extent)
    axes.set_title(f"X, the spectrogram; {RANGE:.0f} dB from black to white", loc="left")
    frequency_axis(axes, edges, labelled=labelled)
    axes.set_xlabel("time [s]")
    return X


def on_log_axis(rows: Array, frequencies: Array, edges: Array) -> Array:
    """Return a spectrogram with rows between `edges`: the largest of the bins in a row, else what lies between bins."""
    width = frequencies[1] - frequencies[0]
    middles = np.sqrt(edges[:-1] * edges[1:]) / width
    below = np.minimum(middles.astype(int), len(rows) - 2)
    part = np.clip(middles - below, 0, 1)[:, None]
    out: Array = rows[below] * (1 - part) + rows[below + 1] * part
    first, last = np.ceil(edges[:-1] / width).astype(int), np.ceil(edges[1:] / width).astype(int)
    for row in np.flatnonzero(last > first):
        out[row] = np.maximum(out[row], rows[first[row] : min(last[row], len(rows))].max(axis=0, initial=0))
    return out


def colour(component: int) -> str:
    """Return the colour of a component."""
    return PALETTE[component % len(PALETTE)]


def draw_activations(axes: Any, sound: Sound) -> None:
    """Draw one hill after the other, each of its own height, with a tick at every onset."""
    k, columns = sound.Z.shape
    times = (np.arange(columns) + 0.5) * sound.seconds / columns
    for n, z in enumerate(sound.Z):
        base = k - 1 - n
        hill = base + 0.9 * z / (z.max() or 1.0)
        axes.fill_between(times, base, hill, color=colour(n), alpha=0.75, linewidth=0)
        axes.vlines(sound.onsets[n], base - 0.12, base + 0.04, color=INK, linewidth=0.8)
    axes.set_xlim(0, sound.seconds)
    axes.set_ylim(-0.15, k)
    bare(axes)
    axes.set_title("Z, when each is active; ticks are onsets, rings in W pitches", loc="left")


def _name_activations(labels: Any, axes: Any, sound: Sound) -> None:
    """Write the name of each component next to its hill."""
    bare(labels)
    labels.set_ylim(axes.get_ylim())
    for n in range(len(sound.Z)):
        place = len(sound.Z) - 1 - n + 0.3
        labels.text(1, place, _label(sound, n), color=colour(n), ha="right", va="center", fontsize=8)


def draw_templates(axes: Any, W: Array, sound: Sound, edges: Array) -> None:
    """Draw templates, of rows between edges, side by side, with a ring at every pitch."""
    k = W.shape[1]
    levels = decibels(W / np.maximum(W.max(axis=0), 1e-300))
    axes.imshow(
        levels, cmap=LIGHT, vmin=-45, vmax=0, aspect="auto", origin="lower", extent=(0, k, 0, ROWS),
        interpolation="nearest",
    )  # fmt: skip
    axes.set_title("W, the templates" if k > 2 else "W", loc="left")
    frequency_axis(axes, edges)
    axes.set_xticks(np.arange(k) + 0.5, [sound.notes[n] or str(n + 1) for n in range(k)], fontsize=7 if k <= 10 else 5)
    axes.tick_params(axis="x", length=0)
    for n, pitch in enumerate(sound.pitches):
        axes.axvline(n, color="white", linewidth=1.2)
        if pitch is not None and pitch >= edges[0]:
            axes.plot([n + 0.5], [_row(pitch, edges)], marker="o", markersize=4, mfc="none", mec="white", mew=0.9)


def _masks(figure: Any, masks: Sequence[Array], X: Array, sound: Sound, edges: Array) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    count = len(masks)
    lines = -(-count // ACROSS)
    across = -(-count // lines)  # as even as can be
    axes = figure.subplots(lines, across, squeeze=False, sharex=True, sharey=True).ravel()
    seen = np.clip((X - X.max() + RANGE) / RANGE, 0, 1)  # of what is too soft to be seen above, no mask either
    for n, (mask, place) in enumerate(zip(masks, axes, strict=False)):
        place.set_facecolor("black")
        shades = LinearSegmentedColormap.from_list("", ["black", colour(n), "white"])
        place.imshow(
            mask, cmap=shades, vmin=0, vmax=1, alpha=seen, aspect="auto", origin="lower",
            extent=(0, sound.seconds, 0, ROWS),
        )  # fmt: skip
        place.set_title(_label(sound, n), fontsize=8, color=colour(n), loc="left")
        frequency_axis(place, edges, sparse=True)
        place.label_outer()
        place.tick_params(axis="x", labelbottom=n + across >= count)
    for place in axes[count:]:
        place.set_visible(False)
    figure.supxlabel("time [s]", fontsize=8.5)
    more = f"; {sound.W.shape[1] - count} more are not shown" if count < sound.W.shape[1] else ""
    figure.suptitle(
        f"masks, the share of each component, from black 0 to white 1{more}", x=0.01, ha="left", fontsize=9.5
    )


def frequency_axis(axes: Any, edges: Array, labelled: bool = True, sparse: bool = False) -> None:
    """Put hertz on the axis of frequency."""
    ticks = [tick for tick in TICKS if edges[0] <= tick <= edges[-1] and (not sparse or str(tick)[0] == "1")]
    labels = [(f"{tick // 1000}k" if tick >= 1000 else str(tick)) if labelled else "" for tick in ticks]
    axes.set_yticks([_row(tick, edges) for tick in ticks], labels)
    axes.set_ylim(0, ROWS)
    if labelled:
        axes.set_ylabel("Hz" if sparse else "frequency [Hz]", color=FAINT if sparse else INK)


def _row(hertz: float, edges: Array) -> float:
    return float(ROWS * np.log(hertz / edges[0]) / np.log(edges[-1] / edges[0]))


def _label(sound: Sound, n: int) -> str:
    return legible(f"{sound.names[n]}  {sound.notes[n]}").rstrip()


def decibels(values: Array) -> Array:
    """Return magnitudes in dB, at the least 120 dB below the largest."""
    return 20 * np.log10(np.maximum(values, max(float(values.max(initial=0)), 1e-30) * 1e-6))
