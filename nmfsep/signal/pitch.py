"""The pitch of a template, by adding up its harmonics.

Subharmonic summation, Hermes, "Measurement of pitch by subharmonic summation", J. Acoust. Soc. Am. 83(1), 1988: the
pitch is the frequency f at which sum_h d^(h - 1) P(h f) is largest, d = 0.84. Here P is the square root of the peaks of
the spectrum, so that a weak fundamental counts, and peaks are placed between the bins by a parabola through their
logarithms (Smith & Serra, "PARSHL", ICMC 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 21, 127  # MIDI notes, A0 to G9
STEP = 0.05  # semitones between candidates
HARMONICS = 20
DECAY = 0.84  # of the weight, from one harmonic to the next
WIDTH = 0.3  # semitones, or bins where those are wider, by which a peak may miss a harmonic
PEAKS = 60  # largest peaks looked at
FLOOR = 1e-3  # of the largest, below which a peak is noise
PITCHED = 0.15  # of all peaks' roots; notes reach 0.3 and more, snares and hi-hats less than 0.07
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, slots=True)
class Pitch:
    """A pitch in semitones, 69 being A4 of 440 Hz, and how much of the spectrum its harmonics explain."""

    midi: float
    strength: float  # from PITCHED to about 1

    @property
    def note(self) -> int:
        """The nearest MIDI note."""
        return round(self.midi)

    @property
    def name(self) -> str:
        """Its name, such as C4 for 60."""
        return note_name(self.note)

    @property
    def cents(self) -> int:
        """Hundredths of a semitone above the nearest note."""
        return round(100 * (self.midi - self.note))

    @property
    def hertz(self) -> float:
        """The frequency of the fundamental."""
        return float(to_hertz(self.midi))


def note_name(midi: int) -> str:
    """Return the name of a MIDI note, with sharps; middle C, 60, is C4."""
    return f"{NAMES[midi % 12]}{midi // 12 - 1}"


def to_hertz(midi: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies of MIDI notes, A4 = 440 Hz, equal temperament."""
    hertz: NDArray[np.float64] = 440 * 2.0 ** ((np.asarray(midi, np.float64) - 69) / 12)
    return hertz


def find_pitch(spectrum: NDArray[np.floating], frequencies: NDArray[np.float64]) -> Pitch | None:
    """Return the pitch of a spectrum, or None where it has none, as that of a cymbal.

    Parameters
    ----------
    spectrum : ndarray, shape (bins,)
        Magnitudes, of any scale.
    frequencies : ndarray, shape (bins,)
        Hertz of each bin, evenly spaced from 0.
    """
    bin_width = float(frequencies[1] - frequencies[0])
    places, heights = spectral_peaks(spectrum, bin_width)
    if not len(places):
        return None
    roots = np.sqrt(heights)
    notes = np.arange(LOWEST - 0.5, HIGHEST + 0.5, STEP)
    fundamentals = to_hertz(notes)[:, None]
    sums, logs = np.zeros(len(notes)), np.log(roots)
    for h in range(1, HARMONICS + 1):
        reach = np.maximum(WIDTH * h * fundamentals * (2 ** (1 / 12) - 1), WIDTH * bin_width)
        near = (places - h * fundamentals) / reach
        np.multiply(near, near, out=near)
        near *= -0.5
        near += logs  # the largest of logarithms, since exponentials of all would take most of the time
        sums += DECAY ** (h - 1) * np.exp(near.max(axis=1))
    best = int(sums.argmax())
    strength = float(sums[best] / roots.sum())
    if strength < PITCHED:
        return None
    return Pitch(_refined(float(notes[best]), places, roots), strength)


def spectral_peaks(spectrum: NDArray[np.floating], bin_width: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequencies in hertz and heights of the largest peaks of a spectrum."""
    x = np.asarray(spectrum, np.float64)
    top = float(x.max(initial=0))
    if top <= 0:
        return np.empty(0), np.empty(0)
    inner = x[1:-1]
    peaks = np.flatnonzero((inner > x[:-2]) & (inner >= x[2:]) & (inner > FLOOR * top)) + 1
    peaks = np.sort(peaks[np.argsort(-x[peaks], kind="stable")[:PEAKS]])
    left, middle, right = np.log(np.maximum([x[peaks - 1], x[peaks], x[peaks + 1]], 1e-12 * top))
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    return (peaks + shift) * bin_width, np.exp(middle - 0.25 * (left - right) * shift)


def _refined(midi: float, places: NDArray[np.float64], roots: NDArray[np.float64]) -> float:
    """Return a pitch moved to where the peaks near its harmonics lie, each by its weight."""
    harmonics = np.maximum(np.round(places / to_hertz(midi)), 1)
    miss = 12 * np.log2(places / (harmonics * to_hertz(midi)))
    weights = roots * DECAY ** (harmonics - 1) * (np.abs(miss) < 2 * WIDTH)
    return midi + float(weights @ miss / weights.sum()) if weights.sum() > 0 else midi
