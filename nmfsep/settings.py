"""Every knob of a separation once: default, range, unit and meaning. The command line, the API and the docs read it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import UsageError
from .registry import DIVERGENCES, MASKS, MODELS, SIGNED_STARTS, SOLVERS, SOUND_STARTS, STARTS, Registry, suggestion

CHANNEL_MODES = {
    "joint": "one Z for all channels, a part of W for each",
    "mid": "one W and Z from the sum of the channels",
    "independent": "a W and Z of its own for every channel",
}
WINDOWS = {
    "hann": "raised cosine",
    "hamming": "raised cosine on a pedestal",
    "blackman": "lower side lobes, wider main lobe",
    "cosine": "half a sine",
    "boxcar": "no taper",
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
MATCHES = {
    "name": "the estimate of the same name",
    "best": "the assignment with the largest sum of SDRs",
}


def _knob(
    default: Any,
    summary: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    names: Registry | dict[str, str] | None = None,
    group: str = "Model",
) -> Any:
    about = {"summary": summary, "low": low, "high": high, "unit": unit, "names": names, "group": group}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a separation does; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    components: int = _knob(2, "Stems wanted.", low=1, high=1_000_000)
    divergence: str | float = _knob("kl", "What the fit minimises: a name or a beta.", names=DIVERGENCES)
    solver: str = _knob("auto", "How it is minimised; auto picks by divergence.", names=SOLVERS)
    start: str = _knob(
        "auto", "Where the fit starts; auto is nndsvda, nndsvd for hals, ehals and pinv.", names=STARTS | SOUND_STARTS
    )
    max_iter: int = _knob(200, "Iterations at the most.", low=0, high=10_000_000)
    tol: float = _knob(
        1e-4, "Stop when ten iterations lower the loss by less than this share of the first loss.", low=0, high=1
    )
    time_limit: float | None = _knob(None, "Stop iterating after this long.", low=0, unit="seconds")
    restarts: int = _knob(
        1, "Starts that run a short race, the best going on; all but the first are random.", low=1, high=1000
    )
    sparsity: float = _knob(0.0, "Prefer few activations; try 0.1 to 1.", low=0, high=1e6)
    smoothness: float = _knob(0.0, "Prefer slow activations, kl only; try 0.1 to 10.", low=0, high=1e6)
    seed: int = _knob(0, "Seed of whatever is random.", low=0, high=2**64 - 1)
    n_fft: int = _knob(2048, "Length of a frame.", low=4, high=2**20, unit="samples", group="Signal")
    hop_length: int | None = _knob(
        None,
        "Step between frames, at most half a frame; a quarter if not given.",
        low=1,
        high=2**19,
        unit="samples",
        group="Signal",
    )
    window: str = _knob("hann", "Taper of a frame.", names=WINDOWS, group="Signal")
    channels: str = _knob(
        "joint", "How channels share the model; each keeps its own phase.", names=CHANNEL_MODES, group="Signal"
    )
    mask: str = _knob("ratio", "How the mixture is shared out among the stems.", names=MASKS, group="Mask")
    mask_power: float = _knob(
        1.0,
        "Exponent of the model in the mask: 1 shares, larger decides more sharply.",
        low=0.01,
        high=100,
        group="Mask",
    )
    residual: str | None = _knob(None, "Put what the model does not explain into a stem of this name.", group="Mask")
    threads: int | None = _knob(
        None, "Threads; all cores if not given. Never changes the result.", low=1, high=1024, group="Run"
    )

    def __post_init__(self) -> None:
        _check_all(self)
        if self.mask != "ratio" and self.mask_power != 1:
            raise UsageError(f"mask {self.mask!r} has no power", "use mask ratio, or leave out the power")
        if self.n_fft % 2:
            raise UsageError(f"n_fft must be even, not {self.n_fft}")
        if self.hop > self.n_fft // 2:
            raise UsageError(
                f"hop_length {self.hop} is more than half of n_fft {self.n_fft}",
                "frames must overlap by half or more for an exact inverse",
            )

    @property
    def hop(self) -> int:
        """The hop length in samples."""
        return self.n_fft // 4 if self.hop_length is None else self.hop_length


def _check_all(settings: Any) -> None:
    for knob in fields(settings):
        value = getattr(settings, knob.name)
        if value is not None:
            _check(knob.name, value, knob.metadata, knob.default)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Where and how stems are written; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range or contradicts another.
    """

    out: str = _knob("separated", "Folder to write to; - writes one WAV file to standard output.", group="Output")
    filename: str = _knob(
        "{track}/{stem}.{ext}",
        "Names below the folder. Fields: {track} {stem} {ext} {index} {parent} {k} {seed}.",
        group="Output",
    )
    format: str = _knob("wav", "Container of the stems.", names=CONTAINERS, group="Output")
    subtype: str | None = _knob(
        None, "Sample format, such as PCM_24 or FLOAT; the input's if not given.", group="Output"
    )
    clip_mode: str = _knob(
        "clamp", "What to do where a stem would leave the range of integers.", names=CLIP_MODES, group="Output"
    )
    only: tuple[str, ...] = _knob((), "Write only the stems of these names.", group="Output")
    force: bool = _knob(False, "Replace files that another program wrote.", group="Output")
    offset: float = _knob(0.0, "Begin here.", low=0, unit="time", group="Signal")
    duration: float | None = _knob(
        None, "Take this much; all to the end if not given.", low=0, unit="time", group="Signal"
    )

    def __post_init__(self) -> None:
        _check_all(self)
        if self.duration == 0:
            raise UsageError("a duration of 0 leaves nothing to separate")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How estimates are held against true stems; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, or an unknown name.
    """

    match: str = _knob(
        "auto",
        "Which estimate belongs to a stem; auto is name where every stem has an estimate of its name, else best.",
        names=MATCHES,
        group="Evaluation",
    )
    filter_length: int = _knob(
        512,
        "Length of the filters that SDR, SIR and SAR forgive.",
        low=1,
        high=65536,
        unit="samples",
        group="Evaluation",
    )
    trim: bool = _knob(
        False, "Let files differ in length, and compare as far as the shortest goes.", group="Evaluation"
    )
    oracle: bool = _knob(
        False,
        "Tell what ideal masks, made from the true stems at this STFT, would reach.",
        group="Evaluation",
    )

    def __post_init__(self) -> None:
        _check_all(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorizeSettings:
    """What is factorized, by which model, and what is written; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range or contradicts another.
    """

    model: str = _knob("nmf", "What the matrix is taken for.", names=MODELS)
    components: int | None = _knob(None, "Components wanted; deep models take --levels.", low=1, high=1_000_000)
    levels: tuple[int, ...] | None = _knob(None, "Parts at each level, the finest first, such as 40,12,4.", unit="list")
    free: str = _knob("W", "What may be negative in the semi models.", names=FREE)
    solver: str = _knob("auto", "How the loss is minimised; auto picks by divergence.", names=SOLVERS)
    start: str = _knob("auto", "Where the fit starts; auto picks by model and solver.", names=SIGNED_STARTS | STARTS)
    array: str | None = _knob(None, "Which array of an .npz file.", group="Input")
    transpose: bool = _knob(False, "Factorize the transpose, as where samples are in rows.", group="Input")
    images: bool = _knob(
        False, "INPUT is a folder of images of one size, or an array (images, height, width).", group="Input"
    )
    pca: bool = _knob(False, "Also draw the parts beside the principal components of the images.", group="Output")
    pictures: bool = _knob(False, "Also draw X, W, Z, W Z and the loss.", group="Output")
    csv: bool = _knob(False, "Also write W, Z and the loss as CSV.", group="Output")
    out: str = _knob("factors", "Folder to write to.", group="Output")
    force: bool = _knob(False, "Replace files that another program wrote.", group="Output")

    def __post_init__(self) -> None:
        _check_all(self)
        if self.pca and not self.images:
            raise UsageError("--pca compares images", "add --images")
        if self.images and self.transpose:
            raise UsageError("--images and --transpose contradict each other", "each image is a column already")
        if self.images and self.array:
            raise UsageError("--images and --array contradict each other", "save the images as .npy")
