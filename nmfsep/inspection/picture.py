"""The picture of an inspection: spectrogram, W, Z and masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..plots.sound import Sound, sound_picture
from ..signal.audio import Samples
from ..signal.stft import BLOCK, STFT
from .report import Inspection

COLUMNS = 900  # of the picture at the most; more frames share one


def picture(found: Inspection) -> bytes:
    """Return a PNG file that shows what was found."""
    step = max(1, -(-found.Z.shape[1] // COLUMNS))
    hop = found.stft.hop_length / found.sample_rate
    names = [component.pitch.name if component.pitch else "" for component in found.components]
    title = f"{found.track}: {len(names)} component{'s' * (len(names) > 1)}"
    return sound_picture(
        Sound(
            spectrogram=pooled_spectrogram(found.samples, found.stft, step),
            W=np.asarray(found.W, np.float64),
            Z=_pooled(np.asarray(found.Z, np.float64), step),
            frequencies=found.stft.frequencies(found.sample_rate),
            seconds=found.Z.shape[1] * hop,
            names=[component.name for component in found.components],
            notes=names,
            pitches=[component.pitch.hertz if component.pitch else None for component in found.components],
            onsets=[component.onsets for component in found.components],
        ),
        title,
    )


def pooled_spectrogram(samples: Samples, stft: STFT, step: int) -> NDArray[np.float64]:
    """Return the largest magnitude of every `step` frames, the channels added up, (bins, columns)."""
    frames = stft.n_frames(samples.shape[1])
    out = np.zeros((stft.bins, -(-frames // step)))
    height = max(1, BLOCK // step) * step
    for start in range(0, frames, height):
        stop = min(frames, start + height)
        magnitudes = np.abs(stft.forward_block(samples, start, stop)).sum(axis=0).T
        block = _pooled(magnitudes.astype(np.float64), step)
        out[:, start // step : start // step + block.shape[1]] = block
    return out


def _pooled(rows: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return the largest of every `step` columns, the last perhaps of fewer."""
    pooled: NDArray[np.float64] = np.maximum.reduceat(rows, np.arange(0, rows.shape[1], step), axis=1)
    return pooled
