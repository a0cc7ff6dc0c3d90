"""Settings: one option of a settings class, the base class that checks them, and the values that some can have."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import UsageError
from ..registry import Registry, suggestion

MAX_ITER = 200  # iterations of a fit at the most, where nothing is said
TOL = 1e-4  # gain of ten iterations, as a share of the loss at the start, with which a fit is content


def option(
    default: Any,
    summary: str,
    *,
    low: float | None = None,
    high: float | None = None,
    spelling: str = "",
    names: Registry | dict[str, str] | None = None,
    section: str = "Model",
    flags: tuple[str, ...] = (),
    former: tuple[str, ...] = (),
) -> Any:
    """Return the field of one setting, with what the command line and the check of its value need.

    Parameters
    ----------
    default, summary
        The summary is one sentence of some fifty characters: help has one line for it.
    low, high : float, optional
        Ends of the range, both in it.
    spelling : str
        How the command line spells the value where the type does not say: "list", "time", "auto" for None, or what
        help shows for a text.
    names : Registry or dict, optional
        The values that it can have, each with what it means.
    section : str
        Of the help; empty for what is no option.
    flags, former : tuple of str
        How it is typed, if not as the field is called, and older spellings, which are taken and not shown.
    """
    value = {"low": low, "high": high, "names": names}
    shown = {"summary": summary, "spelling": spelling, "section": section, "flags": flags, "former": former}
    return field(default=default, metadata=value | shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of one command: checked on construction, and aware of which the user gave.

    A default that the user gives counts as much as any other value; `given` has the names of these fields. A value that
    is out of its range, not finite, an unknown name, or contradicts another raises UsageError.
    """

    given: Collection[str] = option((), "Names of the fields that the user gave, also at their defaults.", section="")

    def __post_init__(self) -> None:
        for own in fields(self):
            value = getattr(self, own.name)
            if value is not None:
                _check(own.name, value, own.metadata, own.default)
            if isinstance(own.metadata["names"], Registry) and isinstance(value, str) and value != "auto":
                object.__setattr__(self, own.name, own.metadata["names"].resolve(value))
        object.__setattr__(self, "given", frozenset(self.given))
        self.check()

    def check(self) -> None:
        """Raise UsageError where values contradict each other."""

    def values(self) -> dict[str, Any]:
        """Return all settings by name, without which of them were given."""
        return {own.name: getattr(self, own.name) for own in fields(self) if own.name != "given"}

    def asked(self, names: Collection[str]) -> dict[str, Any]:
        """Return the settings of these names that were given or are not at their defaults; auto asks for nothing."""
        found = {}
        for own in fields(self):
            value = getattr(self, own.name)
            given = own.name in self.given and value not in (None, "auto")
            if own.name in names and (given or value != own.default):
                found[own.name] = value
        return found


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
MIDI_STEMS = {"track": "its tracks, or channels where there is but one track", "pitch": "its pitches"}
CONTAINERS = {
    "wav": "WAV, and RF64 beyond 4 GiB",
    "rf64": "RF64",
    "w64": "Sony Wave64",
    "aiff": "AIFF",
    "flac": "FLAC, lossless, half the size",
    "ogg": "Ogg Vorbis, lossy: stems add up before encoding only",
    "opus": "Opus, lossy, at 48 kHz where Opus lacks the rate",
    "mp3": "MP3, lossy: stems add up before encoding only",
}
CLIP_MODES = {
    "clamp": "hold it there and give the excess to the other stems, so that the sum stays exact",
    "rescale": "turn all stems down by one factor",
    "error": "fail",
}
FREE = {"W": "the templates", "Z": "the activations"}
WAVEFORMS = {
    "auto": "where strokes of a dictionary are found in the mixture, or strokes repeat, take them off sample by sample",
    "off": "masks only",
}
STEM_NAMES = {
    "number": "component-1, component-2 and so on",
    "auto": "its number and what it sounds like, such as 1-A4 or 2-low-drum-62Hz",
}
MATCHES = {"name": "the estimate of the same name", "best": "the assignment with the largest sum of SDRs"}
PRESET_STEMS = {"drums": ("kick", "snare", "hihat"), "voice": ("voice", "accompaniment"), "noise": ("signal", "noise")}
TABLES = {
    "tsv": "a table with tabs",
    "csv": "a table with commas",
    "raven": "a selection table of Raven",
    "audacity": "a label track of Audacity",
}
