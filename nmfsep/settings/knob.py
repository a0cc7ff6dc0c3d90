"""One knob of a settings class, and the check of its value."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any

from ..errors import UsageError
from ..registry import Registry, suggestion


def knob(
    default: Any,
    summary: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    names: Registry | dict[str, str] | None = None,
    group: str = "Model",
) -> Any:
    """Return the field of one setting, with what its option, its help and its check need."""
    about = {"summary": summary, "low": low, "high": high, "unit": unit, "names": names, "group": group}
    return field(default=default, metadata=about)


def check_all(settings: Any) -> None:
    """Raise UsageError where a field is out of its range, not finite or an unknown name."""
    for known in fields(settings):
        value = getattr(settings, known.name)
        if value is not None:
            _check(known.name, value, known.metadata, known.default)


def _check(name: str, value: Any, about: Any, default: Any) -> None:
    names = about["names"]
    if isinstance(value, str) and names is not None and not value == default == "auto":
        if isinstance(names, Registry):
            names.resolve(value)
        elif value not in names:
            raise UsageError(f"{name} {value!r} is unknown", suggestion(value, list(names)))
    if isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number, not {value}")
        low, high = about["low"], about["high"]
        if (low is not None and value < low) or (high is not None and value > high):
            upper = "" if high is None else f" and at most {high}"
            raise UsageError(f"{name} must be at least {low}{upper}, not {str(value)[:40]}")


CHANNEL_MODES = {
    "joint": "one Z for all channels, a part of W for each",
    "mid": "one W and Z from the sum of the channels, in which what is out of phase cancels",
    "independent": "a W and Z of its own for every channel",
}
WINDOWS = {
    "hann": "raised cosine",
    "hamming": "raised cosine on a pedestal",
    "blackman": "lower side lobes, wider main lobe",
    "cosine": "half a sine",
    "boxcar": "no taper",
}

MIDI_STEMS = {
    "track": "its tracks, or channels where there is but one track",
    "pitch": "its pitches",
}
CONTAINERS = {
    "wav": "WAV, and RF64 beyond 4 GiB",
    "rf64": "RF64",
    "w64": "Sony Wave64",
    "aiff": "AIFF",
    "flac": "FLAC, lossless, half the size",
    "ogg": "Ogg Vorbis, lossy: stems add up before encoding only",
    "mp3": "MP3, lossy: stems add up before encoding only",
}
CLIP_MODES = {
    "clamp": "hold it there and give the excess to the other stems, so that the sum stays exact",
    "rescale": "turn all stems down by one factor",
    "error": "fail",
}
FREE = {
    "W": "the templates",
    "Z": "the activations",
}
TITLES = {
    "number": "component-1, component-2 and so on",
    "auto": "its number and what it sounds like, such as 1-A4 or 2-low-drum-62Hz",
}
MATCHES = {
    "name": "the estimate of the same name",
    "best": "the assignment with the largest sum of SDRs",
}
PRESET_STEMS = {"drums": ("kick", "snare", "hihat"), "voice": ("voice", "accompaniment"), "noise": ("signal", "noise")}
