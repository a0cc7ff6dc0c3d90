"""Plots on axes of one's own: spectrogram, templates, activations, losses, and how many components there are.

Each takes `ax`, axes of matplotlib, and returns them; without, it makes a figure, which is `ax.figure`. The style is
that of the caller.
"""

from __future__ import annotations

from typing import Any

from ...grouping.rank import STABLE
from ...settings.separation import Settings
from ...signal.audio import Audio
from ...signal.stft import STFT
from ..inspect import COLUMNS, Inspection, Ranking, drawn, pooled_spectrogram
from .canvas import legible, require_plots
from .matrix import draw_losses, draw_stability
from .sound import draw_activations, draw_spectrogram, draw_templates, log_edges, on_log_axis


def _axes(ax: Any) -> Any:
    """Return axes, those given or new ones."""
    require_plots()
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(8, 3.2), layout="constrained").add_subplot()


def plot_spectrogram(audio: Audio, ax: Any = None, *, n_fft: int | None = None, hop_length: int | None = None) -> Any:
    """Draw the spectrogram of a sound, its channels added up, frequencies on a logarithmic axis.

    Parameters
    ----------
    audio : Audio
    ax : matplotlib axes, optional
        New ones if not given.
    n_fft, hop_length : int, optional
        Samples; by sample rate if not given.

    Returns
    -------
    The axes.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    ax = _axes(ax)
    stft = STFT(*Settings(n_fft=n_fft, hop_length=hop_length).frames(audio.sample_rate))
    step = max(1, -(-stft.n_frames(audio.length) // COLUMNS))
    magnitudes = pooled_spectrogram(audio.samples, stft, step)
    draw_spectrogram(ax, magnitudes, stft.frequencies(audio.sample_rate), audio.duration)
    return ax


def plot_templates(found: Inspection, ax: Any = None) -> Any:
    """Draw the templates that `inspect` found, side by side, rings where pitches are; as `plot_spectrogram`."""
    ax, sound = _axes(ax), drawn(found)
    edges = log_edges(sound.frequencies)
    draw_templates(ax, on_log_axis(sound.W, sound.frequencies, edges), sound, edges)
    return ax


def plot_activations(found: Inspection, ax: Any = None) -> Any:
    """Draw when each component that `inspect` found is active, with ticks at onsets; as `plot_spectrogram`."""
    ax, sound = _axes(ax), drawn(found)
    draw_activations(ax, sound)
    k = len(sound.Z)
    ax.set_yticks([k - 1 - n + 0.3 for n in range(k)], [legible(name) for name in sound.names])
    ax.set_xticks([0, round(sound.seconds / 2, 2), round(sound.seconds, 2)])
    ax.set_xlabel("time [s]")
    ax.set_title("Z, when each is active; ticks are onsets", loc="left")
    return ax


def plot_losses(fit: Any, ax: Any = None) -> Any:
    """Draw the losses of a Fit, ConvolutiveFit or DeepFit over its iterations; as `plot_spectrogram`."""
    ax = _axes(ax)
    draw_losses(ax, fit.evaluated, fit.losses)
    return ax


def plot_ranking(found: Ranking, ax: Any = None) -> Any:
    """Draw the evidence that `rank` found for numbers of components; as `plot_spectrogram`."""
    ax = _axes(ax)
    draw_stability(ax, found.evidence, STABLE, found.recommended)
    return ax
