"""Preview of a sound: its waveform and log-frequency spectrogram in columns, small pictures, and an MP3 to listen to.

A sound of any length is looked at in one pass, a block at a time, and becomes at most COLUMNS columns.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..separation.mixture import segments
from ..signal.audio import Audio, Samples, at_rate
from ..signal.stft import STFT

COLUMNS = 2400  # of pictures and waveforms
ROWS = 112  # of pictures, evenly spaced in pitch
LOWEST = 40.0  # hertz, of the lowest row
RANGE = 80.0  # decibels between black and white
FRAME = 0.05  # seconds
PARTIALS = 48  # of the sound of a template
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # that MP3 knows
FINE, COARSE = 0.25, 0.5  # compression, from 0, the largest and best, to 1: some 145 and 100 kbit/s of stereo
LONG = 600  # seconds of all sounds of a page, above which they are coarse
BLOCK = 1 << 13  # samples encoded at a time

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Overview:
    """A sound in columns of equal length."""

    peaks: NDArray[np.float32]  # (2, columns): the lowest and the highest sample
    energy: NDArray[np.float64]  # (columns,)
    rows: NDArray[np.float32]  # (ROWS, columns): the largest magnitude in each band, the lowest first
    spectrum: NDArray[np.float64]  # (bins,): magnitudes summed over time
    frequencies: NDArray[np.float64]  # (bins,), hertz

    @property
    def level(self) -> NDArray[np.float32]:
        """Magnitudes summed over bands, (columns,)."""
        return np.asarray(self.rows.sum(axis=0))


def overview(pieces: Iterable[Samples], length: int, sample_rate: int) -> Overview:
    """Look at a sound that comes in pieces (channels, samples) and has `length` samples."""
    n_fft = max(64, 2 ** round(np.log2(FRAME * sample_rate)))
    stft = STFT(n_fft, n_fft // 4, "hann")
    frames = stft.n_frames(length)
    columns = min(COLUMNS, frames)
    frequencies = stft.frequencies(sample_rate)
    starts = _starts(frequencies, sample_rate)
    peaks, energy = np.zeros((2, columns), np.float32), np.zeros(columns)
    rows, spectrum = np.zeros((ROWS, columns), np.float32), np.zeros(stft.bins)

    def watched() -> Iterator[Samples]:
        position = 0
        for piece in pieces:
            mono = piece.mean(axis=0)
            column = (position + np.arange(len(mono))) * columns // length
            first = np.flatnonzero(np.diff(column, prepend=-1))
            where = column[first]
            peaks[0, where] = np.minimum(peaks[0, where], np.minimum.reduceat(mono, first))
            peaks[1, where] = np.maximum(peaks[1, where], np.maximum.reduceat(mono, first))
            energy[where] += np.add.reduceat(np.square(mono, dtype=np.float64), first)
            position += len(mono)
            yield piece

    for start, segment in segments(watched(), stft):
        magnitudes = np.abs(stft.transform(segment)).mean(axis=0)
        spectrum += magnitudes.sum(axis=0)
        bands = np.maximum.reduceat(magnitudes, starts, axis=1)
        column = (start + np.arange(len(bands))) * columns // frames
        first = np.flatnonzero(np.diff(column, prepend=-1))
        where = column[first]
        rows[:, where] = np.maximum(rows[:, where], np.maximum.reduceat(bands, first, axis=0).T)
    return Overview(peaks, energy, rows, spectrum, frequencies)


def _starts(frequencies: NDArray[np.float64], sample_rate: int) -> NDArray[np.intp]:
    """Return the first bin of each row."""
    edges = np.geomspace(min(LOWEST, sample_rate / 8), sample_rate / 2, ROWS + 1)[:-1]
    return np.minimum(np.searchsorted(frequencies, edges), len(frequencies) - 1)


def in_rows(spectra: NDArray[np.floating[Any]], frequencies: NDArray[np.float64], rate: int) -> NDArray[np.floating]:
    """Return spectra (bins, any) by the rows of pictures, (ROWS, any), the largest value of each."""
    return np.asarray(np.maximum.reduceat(spectra, _starts(frequencies, rate), axis=0))


def pooled(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Return at most COLUMNS columns of (rows, any), each the largest of those it stands for."""
    count = rows.shape[1]
    if count <= COLUMNS:
        return rows
    return np.asarray(np.maximum.reduceat(rows, np.arange(COLUMNS) * count // COLUMNS, axis=1))


def decibels(magnitudes: NDArray[np.floating[Any]], top: float | NDArray[np.floating[Any]]) -> Grey:
    """Return magnitudes as grey: 255 at the top, 0 at RANGE decibels below it and under that."""
    shares = magnitudes / np.maximum(top, 1e-30)
    return np.rint(255 * np.clip(1 + 20 / RANGE * np.log10(np.maximum(shares, 1e-12)), 0, 1)).astype(np.uint8)


def png(grey: Grey) -> bytes:
    """Return a grey picture (rows, columns), the lowest row first, as a PNG file."""
    height, width = grey.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with the filter, none
    lines[:, 1:] = grey[::-1]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")


def partials(spectrum: NDArray[np.floating[Any]], frequencies: NDArray[np.float64]) -> list[list[float]]:
    """Return frequency in hertz and share of the peak of the strongest partials of a spectrum (bins,)."""
    inner = np.asarray(spectrum[1:-1], np.float64)
    at = 1 + np.flatnonzero((inner >= spectrum[:-2]) & (inner > spectrum[2:]))
    at = at[np.argsort(-spectrum[at], kind="stable")][:PARTIALS]
    top = max(float(spectrum[at].max(initial=0)), 1e-30)
    found = []
    for bin in at:
        a, b, c = (float(spectrum[bin + step]) for step in (-1, 0, 1))
        shift = (a - c) / (2 * (a - 2 * b + c)) if a - 2 * b + c < 0 else 0.0
        found.append([round(float(frequencies[bin] + shift * frequencies[1]), 2), round(b / top, 4)])
    return found


def playable(audio: Audio) -> Audio:
    """Return a sound as an MP3 can hold it: at most two channels, at a rate that it knows."""
    samples = audio.samples if audio.channels <= 2 else audio.samples.mean(axis=0, keepdims=True)
    rate = next((rate for rate in RATES if rate >= audio.sample_rate), RATES[-1])
    scaled = samples * np.float32(2.0**audio.exponent)
    return Audio(at_rate(Audio(scaled, audio.sample_rate), rate), rate)


def mp3(samples: Samples, sample_rate: int, compression: float = FINE) -> bytes:
    """Return samples (channels, samples) of at most two channels as an MP3 file."""
    buffer = io.BytesIO()
    with sf.SoundFile(
        buffer, "w", sample_rate, len(samples), "MPEG_LAYER_III", format="MP3", compression_level=compression
    ) as file:
        for start in range(0, samples.shape[1], BLOCK):
            file.write(np.ascontiguousarray(samples[:, start : start + BLOCK].T))
    return buffer.getvalue()
