"""How long a frame is where nobody says: by the sample rate, and by what is looked for."""

from __future__ import annotations

import math

# Seconds of a frame. Measured on 29 recordings with true stems, and on five pieces at 8 to 192 kHz.
FOREGROUND = 0.128  # what moves before what stays, presets voice and noise: tones, told from noise by being narrow
STROKES = 0.048  # templates of several frames, which follow what changes fast
PAIR = 0.093  # two stems
MANY = 2048  # samples, for more: short frames follow music, and low rates leave it few bins
SHORT, LONG = 0.043, 0.096  # seconds in which these remain
ULTRASOUND = 192_000  # hertz, beyond which calls of bats are recorded: an eighth, of sounds that last milliseconds
FEWEST, MOST = 256, 1 << 15  # samples, whatever the rate

RULE = (
    f"about {1e3 * PAIR:.0f} ms for two stems, {MANY} samples within {1e3 * SHORT:.0f} to {1e3 * LONG:.0f} ms for "
    "more, "
    f"{1e3 * FOREGROUND:.0f} ms for presets voice and noise, {1e3 * STROKES:.0f} ms for templates of several frames; "
    f"above {ULTRASOUND // 1000} kHz an eighth"
)


def frame_length(sample_rate: int, stems: int, preset: str | None = None, convolutive: bool = False) -> int:
    """Return the samples of a frame: a power of two or three quarters of one, the nearest to what suits the sound.

    Parameters
    ----------
    sample_rate : int
        Hertz.
    stems : int
        Components looked for.
    preset : str, optional
    convolutive : bool
        Whether templates span several frames.
    """
    if convolutive:
        seconds = STROKES
    elif preset is not None:
        seconds = FOREGROUND
    else:
        seconds = PAIR if stems == 2 else min(max(MANY / sample_rate, SHORT), LONG)
    wanted = seconds * sample_rate / (8 if sample_rate > ULTRASOUND else 1)
    return nearest_size(min(max(wanted, FEWEST), MOST))


def nearest_size(samples: float) -> int:
    """Return the power of two, or three quarters of one, with the ratio to so many samples that is nearest to 1."""
    power: int = 2 ** math.ceil(math.log2(samples))
    return min((power // 2, power // 4 * 3, power), key=lambda size: abs(math.log(size / samples)))
