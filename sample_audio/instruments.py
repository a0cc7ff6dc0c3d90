"""Small physical models of musical instruments, for making test signals.

Every instrument is a pure function that returns one mono note with a peak of one. Frequencies are in Hz and times in
seconds; a decay is the time a sound takes to fall by 60 dB. Whatever is random is drawn from a generator passed in.
"""

import math

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

SAMPLE_RATE = 22050  # Hz
NYQUIST = SAMPLE_RATE / 2
LN_60_DB = math.log(1000)

# Mean formant frequencies of five sung vowels in Hz; the two upper formants belong to the singer, not to the vowel.
VOWELS = {
    "a": (750.0, 1150.0, 2600.0, 3300.0, 4200.0),
    "e": (450.0, 1900.0, 2600.0, 3300.0, 4200.0),
    "i": (300.0, 2200.0, 2900.0, 3300.0, 4200.0),
    "o": (450.0, 800.0, 2600.0, 3300.0, 4200.0),
    "u": (330.0, 700.0, 2500.0, 3300.0, 4200.0),
}
BANDWIDTHS = (80.0, 100.0, 130.0, 170.0, 220.0)  # Hz


def _times(duration: float) -> Signal:
    return np.arange(round(duration * SAMPLE_RATE), dtype=np.float64) / SAMPLE_RATE


def _decay(decay: float, duration: float) -> Signal:
    return np.exp(-LN_60_DB / decay * _times(duration))


def _finish(tone: Signal, attack: float, release: float) -> Signal:
    """Normalise the peak to one and round both ends off, as a step in the waveform would click."""
    n_attack, n_release = (min(round(seconds * SAMPLE_RATE), len(tone)) for seconds in (attack, release))
    envelope = np.ones_like(tone)
    envelope[:n_attack] *= np.sin(np.linspace(0, np.pi / 2, n_attack)) ** 2
    envelope[len(tone) - n_release :] *= np.cos(np.linspace(0, np.pi / 2, n_release)) ** 2
    tone = tone * envelope
    tone /= np.abs(tone).max()
    return tone


def _modes(frequencies: Signal, amplitudes: Signal, decays: Signal, duration: float) -> Signal:
    """Sum exponentially decaying sinusoids, leaving out those that would alias."""
    t = _times(duration)
    tone = np.zeros_like(t)
    for frequency, amplitude, decay in zip(frequencies, amplitudes, decays, strict=True):
        if frequency < NYQUIST:
            tone += amplitude * np.exp(-LN_60_DB / decay * t) * np.sin(2 * np.pi * frequency * t)
    return tone


def _string(f0: float, decay: float, inharmonicity: float) -> tuple[Signal, Signal, Signal]:
    """Partial numbers, frequencies and decays of a stiff string, whose losses grow with frequency squared."""
    n = np.arange(1.0, NYQUIST // f0 + 1)
    frequencies = n * f0 * np.sqrt(1 + inharmonicity * n**2)
    return n, frequencies, decay / (1 + (frequencies / 1500) ** 2)


def _noise(low: float, high: float, duration: float, rng: np.random.Generator) -> Signal:
    """Noise of unit power between two cutoffs in Hz, with Butterworth slopes of 24 dB per octave."""
    n = len(_times(duration))
    f = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    gain = (f / low) ** 4 / np.sqrt((1 + (f / low) ** 8) * (1 + (f / high) ** 8))
    noise: Signal = np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def _glide(targets: Signal, n: int) -> Signal:
    """Hold each target for an equal share of n samples and slide smoothly to the next in the last quarter of it."""
    position = np.arange(n) * (len(targets) / n)
    index = position.astype(np.intp)
    x = np.clip(4 * (position - index) - 3, 0, 1)
    weight: Signal = x * x * (3 - 2 * x)
    following = np.minimum(index + 1, len(targets) - 1)
    return (1 - weight) * targets[index] + weight * targets[following]


def pluck(f0: float, duration: float, position: float = 0.2, decay: float = 3.0) -> Signal:
    """Plucked string, as of a guitar.

    Parameters
    ----------
    f0, duration : float
        Fundamental frequency in Hz and length in seconds.
    position : float
        Point of the pluck as a fraction of the string; partials with a node there are missing.
    decay : float
        Decay of the lowest partials in seconds.
    """
    n, frequencies, decays = _string(f0, decay, 5e-5)
    return _finish(_modes(frequencies, np.sin(np.pi * position * n) / n**1.5, decays, duration), 0.001, 0.06)


def bass(f0: float, duration: float) -> Signal:
    """Electric bass: a plucked string heard through a magnetic pickup and a dark amplifier.

    Parameters
    ----------
    f0, duration : float
        Fundamental frequency in Hz and length in seconds.
    """
    n, frequencies, decays = _string(f0, 2.5, 1e-4)
    pickup = np.sin(np.pi * 0.15 * n) * np.sin(np.pi * 0.28 * n)
    amplifier = 1 / (1 + (frequencies / 500) ** 2)
    return _finish(_modes(frequencies, pickup * amplifier / n, decays, duration), 0.004, 0.05)


def piano(f0: float, duration: float, velocity: float, rng: np.random.Generator) -> Signal:
    """Piano-like struck string: two strings a little out of tune with each other and the knock of the hammer.

    Parameters
    ----------
    f0, duration : float
        Fundamental frequency in Hz and length in seconds.
    velocity : float
        Strength of the blow from 0 to 1; a harder blow sounds brighter. It leaves the peak as it is.
    rng : numpy.random.Generator
        Source of the hammer noise.
    """
    n, frequencies, decays = _string(f0, 4.0, 4e-4)
    blow = np.sin(np.pi * n / 8) / n * np.exp(-frequencies / (600 + 1800 * velocity))
    strings = _modes(frequencies, blow, decays, duration) + _modes(frequencies * 1.0007, 0.7 * blow, decays, duration)
    knock = _noise(80, 1500, duration, rng) * _decay(0.06, duration)
    return _finish(strings + 0.05 * np.abs(strings).max() * knock, 0.002, 0.08)


def bar(f0: float, duration: float, decay: float = 1.8) -> Signal:
    """Struck metal bar, as of a glockenspiel: the transverse modes of a free bar.

    Parameters
    ----------
    f0, duration : float
        Frequency of the lowest mode in Hz and length in seconds.
    decay : float
        Decay of the lowest mode in seconds.
    """
    ratios = np.array([1.0, 2.756, 5.404, 8.933])
    return _finish(_modes(f0 * ratios, np.array([1.0, 0.4, 0.2, 0.1]), decay / ratios, duration), 0.001, 0.1)


def organ(f0: float, duration: float, drawbars: str = "608604020") -> Signal:
    """Tone-wheel organ with a slow rotating loudspeaker.

    Parameters
    ----------
    f0, duration : float
        Frequency of the key in Hz and length in seconds.
    drawbars : str
        Nine digits from 0 (off) to 8 (full), each step 3 dB, for the footages from 16' to 1'.
    """
    t = _times(duration)
    ratios = np.array([0.5, 1.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0])
    levels = np.array([10 ** (0.15 * (int(digit) - 8)) if digit != "0" else 0.0 for digit in drawbars])
    rotation = 2 * np.pi * 0.9 * t
    # The Doppler shift: the horn comes 0.1 m nearer and goes 0.1 m farther, and sound travels at 340 m/s.
    heard = t + 0.1 / 340 * np.sin(rotation)
    wheels = zip(f0 * ratios, levels, strict=True)
    # Phases that grow with the square of the index keep the peaks of the wheels from piling up.
    tone = sum(
        (level * np.sin(2 * np.pi * f * heard + k * k) for k, (f, level) in enumerate(wheels) if f < NYQUIST),
        start=np.zeros_like(t),
    )
    return _finish(tone * (1 + 0.12 * np.cos(rotation)), 0.04, 0.12)


def kick(rng: np.random.Generator, duration: float = 0.35) -> Signal:
    """Bass drum: a tone that drops as the head relaxes, after the click of the beater.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the click.
    duration : float
        Length in seconds.
    """
    t = _times(duration)
    low, drop, tau = 52.0, 130.0, 0.03
    # The integral of low + drop exp(-t / tau) Hz, taken by hand.
    phase = 2 * np.pi * (low * t + drop * tau * (1 - np.exp(-t / tau)))
    click = _noise(800, 4000, duration, rng) * _decay(0.02, duration)
    return _finish(np.sin(phase) * _decay(0.45, duration) + 0.15 * click, 0.001, 0.08)


def snare(rng: np.random.Generator, duration: float = 0.3) -> Signal:
    """Snare drum: two modes of the head and the rattle of the wires.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the rattle.
    duration : float
        Length in seconds.
    """
    head = _modes(np.array([185.0, 330.0]), np.array([1.0, 0.6]), np.array([0.25, 0.18]), duration)
    rattle = _noise(1200, 7000, duration, rng) * _decay(0.32, duration)
    return _finish(head + 0.5 * rattle, 0.001, 0.05)


def hihat(decay: float, rng: np.random.Generator) -> Signal:
    """Hi-hat: decaying high-passed noise.

    Parameters
    ----------
    decay : float
        Decay in seconds, about 0.1 for closed and 0.6 for open cymbals.
    rng : numpy.random.Generator
        Source of the noise.
    """
    return _finish(_noise(6500, NYQUIST, decay, rng) * _decay(decay, decay), 0.001, 0.02)


def rain(duration: float, rng: np.random.Generator) -> Signal:
    """Rain on leaves: a steady rustle, and drops that fall near by at random.

    Parameters
    ----------
    duration : float
        Length in seconds.
    rng : numpy.random.Generator
        Source of the rustle and the drops.
    """
    rustle = _noise(900, 8000, duration, rng)
    near = np.zeros_like(rustle)
    for _ in range(rng.poisson(25 * duration)):
        drop = _noise(rng.uniform(1500, 5000), 9000, 0.02, rng) * _decay(0.02, 0.02)
        start = rng.integers(len(near) - len(drop))
        near[start : start + len(drop)] += rng.exponential(3.0) * drop
    return _finish(rustle + near, 0.05, 0.05)


def voice(pitches: Signal, vowels: str, duration: float, rng: np.random.Generator) -> Signal:
    """Singing voice on one breath: the harmonics of the vocal folds, weighted by the resonances of the vocal tract.

    Parameters
    ----------
    pitches : numpy.ndarray
        Frequencies in Hz of equally long notes, joined by glides.
    vowels : str
        Keys of VOWELS, spread evenly over the duration and joined by glides.
    duration : float
        Length in seconds.
    rng : numpy.random.Generator
        Source of the breath noise.
    """
    t = _times(duration)
    f0 = _glide(pitches, len(t)) * 2 ** (0.35 / 12 * np.sin(2 * np.pi * 5.5 * t))
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE
    tract = [_glide(np.array(formant), len(t)) for formant in zip(*(VOWELS[v] for v in vowels), strict=True)]
    tone = np.zeros_like(t)
    for n in range(1, int(NYQUIST / f0.min()) + 1):
        f = n * f0
        # The folds fall by 12 dB per octave and the radiation from the lips rises by 6.
        gain = np.where(f < NYQUIST, 1.0 / n, 0.0)
        for formant, width in zip(tract, BANDWIDTHS, strict=True):
            gain *= formant**2 / np.hypot(formant**2 - f**2, width * f)
        tone += gain * np.sin(n * phase)
    breath = _noise(2000, 8000, duration, rng)
    return _finish(tone + 0.0015 * np.abs(tone).max() * breath, 0.09, 0.15)
