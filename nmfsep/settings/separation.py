"""Settings of a separation: how a mixture is analysed, factorized and masked, with all their defaults.

A default may depend on what is separated, and how; `CONDITIONS` has all of these.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from .. import registry
from ..errors import UsageError
from .fields import CHANNEL_MODES, MAX_ITER, MIDI_STEMS, PRESET_STEMS, TOL, WAVEFORMS, WINDOWS, Options, option

# measured on seven loops of recorded and seven of rendered drums
PRESET_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"drums": {"mask_power": 2.0, "template_frames": 12}}


def with_preset_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given fields of Settings, with the defaults of their preset, if there is one, for those it has."""
    defaults = dict(PRESET_DEFAULTS.get(given.get("preset") or "", {}))
    if given.get("mask", "ratio") != "ratio":
        defaults.pop("mask_power", None)
    return {**defaults, **given}


# Seconds of a frame. Measured on 29 recordings with true stems, and on five pieces at 8 to 192 kHz.
FOREGROUND = 0.128  # presets voice and noise, which find what moves before what stays: tones are narrow, noise is not
STROKES = 0.048  # templates of several frames, which follow what changes fast
PAIR = 0.093  # two stems
MANY = 2048  # samples, for more: short frames follow music, and low rates leave it few bins
SHORT, LONG = 0.043, 0.096  # seconds in which these remain
ULTRASOUND = 192_000  # hertz, beyond which calls of bats are recorded: an eighth, of sounds that last milliseconds
FEWEST, MOST = 256, 1 << 15  # samples, whatever the rate


def frame_length(sample_rate: int, stems: int, preset: str | None = None, convolutive: bool = False) -> int:
    """Return the samples of a frame: a power of two or three quarters of one, the nearest to what suits the sound.

    `sample_rate` is in hertz, `stems` are the components looked for; templates that are `convolutive` span several
    frames.
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
    """Return the power of two, or three quarters of one, nearest to a number of samples by their ratio."""
    power: int = max(4, 2 ** math.ceil(math.log2(samples)))
    return min((power // 2, power // 4 * 3, power), key=lambda size: abs(math.log(size / samples)))


# Where several templates of a stem are grouped.
GROUPED: Mapping[str, Any] = {"max_iter": 60, "tol": 0.0}
# Where one component a stem is enough: starts that are compared, by the effort.
STARTS_COMPARED, STARTS_BEST = 8, 12
# Where stems are named beforehand, measured on mixtures of drums, notes, music and speech.
GUIDED: Mapping[str, Any] = {"max_iter": 40, "mask_power": 2.0, "adapt": 0.1}
DICTIONARY: Mapping[str, Any] = {"sparsity": 1.0, "divergence": "its own", "window": "its own"}
# Where cues name one sound, and the rest is learned.
ALONE: Mapping[str, Any] = {"free": 10}
CLUSTERS: Mapping[str, Any] = {"tol": 1e-6}

# Defaults of Settings that other settings decide, by a word for when they do, as help shows them.
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "grouped": GROUPED,
    "guided": GUIDED,
    "with -m": DICTIONARY,
    "if one sound is named": ALONE,
    "for kmeans and orthogonal": CLUSTERS,
    **{f"for {name}": defaults for name, defaults in PRESET_DEFAULTS.items()},
}


def shown_default(name: str, default: Any) -> str | None:
    """Return the default of a setting with those of all conditions, None where there is but one."""
    others = [f"{_plain(values[name])} {when}" for when, values in CONDITIONS.items() if name in values]
    return "; ".join([_plain(default), *others]) if others else None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


signal = partial(option, section="Signal")
stem = partial(option, section="Stem")
guidance = partial(option, section="Guidance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Options):
    """How a mixture is separated; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    model: str = option("nmf", "What the spectrogram is taken for.", names=registry.MODELS)
    components: int = option(
        2, "Stems wanted; auto counts what recurs.", low=1, high=1_000_000, flags=("-k", "--components")
    )
    preset: str | None = option(None, "Look for sounds of this kind, instead of -k.", names=registry.PRESETS)
    atoms: int | None = option(
        None, "Templates of a stem; 1 is plain factorization.", low=1, high=1000, spelling="auto"
    )
    grouping: str = option("auto", "How templates become stems.", names=registry.GROUPINGS)
    best: bool = option(False, "Take more time, for better stems.")
    levels: tuple[int, ...] | None = option(None, "Parts at each level of a deep model: 12,4.", spelling="list")
    level: int | None = option(None, "Level that has the stems; the last if not given.", low=1, high=100)
    template_frames: int = option(8, "Frames of a template, in nmfd and drums.", low=1, high=1000)
    divergence: str | float = option(
        "kl", "What the fit minimises.", names=registry.DIVERGENCES, former=("--beta-loss",)
    )
    solver: str = option("auto", "How it is minimised.", names=registry.SOLVERS)
    start: str = option(
        "auto", "Where the fit starts.", names=registry.SIGNED_STARTS | registry.STARTS | registry.SOUND_STARTS
    )
    max_iter: int = option(MAX_ITER, "Iterations at most.", low=0, high=10_000_000)
    tol: float = option(TOL, "Stop when ten iterations gain less than this.", low=0, high=1)
    time_limit: float | None = option(None, "Stop iterating after so many seconds.", low=0)
    restarts: int | None = option(None, "Starts that race; the best goes on.", low=1, high=1000)
    sparsity: float = option(0.0, "Prefer few activations; try 0.1 to 1.", low=0, high=1e6)
    smoothness: float = option(0.0, "Prefer slow activations; try 0.1 to 10.", low=0, high=1e6)
    seed: int = option(0, "Seed of the random numbers.", low=0, high=2**64 - 1)
    n_fft: int | None = signal(None, "Samples of a frame; by sample rate if not given.", low=4, high=2**20)
    hop_length: int | None = signal(None, "Samples between frames; a quarter of one if not given.", low=1, high=2**19)
    window: str = signal("hann", "Taper of a frame.", names=WINDOWS)
    channels: str = signal("joint", "How channels share the model.", names=CHANNEL_MODES)
    mask: str = stem("ratio", "How stems share the mixture.", names=registry.MASKS | registry.SPATIAL_MASKS)
    mask_power: float = stem(1.0, "The larger, the sharper the mask.", low=0.01, high=100)
    consistency: int = stem(0, "Not offered any more; old models may name it.", low=0)
    residual: str | None = stem(None, "Make a stem of what the model leaves over.", spelling="[=NAME]")
    group: tuple[str, ...] = stem((), "Make one stem of several; auto:N groups the others.", spelling="NAME=1,3-5")
    two_stems: str | None = stem(None, "Make two stems: NAME and no_NAME.")
    free: int = guidance(
        0, "Templates learned for other sounds.", low=0, high=10_000, flags=("--background",), former=("--free",)
    )
    adapt: float = guidance(0.0, "How far known templates may adapt.", low=0, high=1)
    match: str = stem("auto", "Go beyond masks: waveforms of strokes, order.", names=WAVEFORMS)
    midi_by: str = guidance("track", "What the stems of --midi are.", names=MIDI_STEMS)
    threads: int | None = option(None, "Threads; all cores if not given.", low=1, high=1024, section="Run")

    def check(self) -> None:
        """Set what depends on other settings; raise UsageError where values contradict each other."""
        if self.levels is not None:
            self._take_level(self.levels)
        elif self.level is not None:
            raise UsageError("--level needs --levels", "such as --levels 12,4")
        if self.preset is not None:
            object.__setattr__(self, "components", len(PRESET_STEMS[self.preset]))
        if self.mask != "ratio" and self.mask_power != 1:
            raise UsageError(f"mask {self.mask!r} has no power", "use mask ratio, or leave out the power")
        if self.consistency:
            raise UsageError("--consistency made no stem better, so it is gone", "leave it out")
        if self.n_fft is not None:
            self.frames(0)

    def values(self) -> dict[str, Any]:
        """Return all settings by name; match only where it is not as ever, so that earlier versions know all names."""
        values = super(Settings, self).values()
        if self.match == "auto":
            del values["match"]
        return values

    def frames(self, sample_rate: int) -> tuple[int, int]:
        """Return n_fft and hop_length for a sample rate in hertz; raise UsageError where they overlap too little."""
        n_fft, hop = self.n_fft, self.hop_length
        if n_fft is None:
            n_fft = frame_length(sample_rate, self.components, self.preset, self.convolutive)
        if n_fft % 2:
            raise UsageError(f"n_fft must be even, not {n_fft}")
        hop = n_fft // 4 if hop is None else hop
        if hop > n_fft // 2:
            hint = "frames must overlap by half or more for an exact inverse"
            if self.n_fft is None:
                hint = f"that is what suits {sample_rate} Hz; give --n-fft {2 * hop} or more"
            raise UsageError(f"hop_length {hop} is more than half of n_fft {n_fft}", hint)
        return n_fft, hop

    @property
    def parts(self) -> int | tuple[int, ...]:
        """Components of the model, or those of each level."""
        return self.levels or self.components

    @property
    def templates(self) -> int:
        """Columns of W, at the finest level."""
        count = self.levels[0] if self.levels else self.components
        return count * self.template_frames if self.convolutive else count

    @property
    def convolutive(self) -> bool:
        """Whether a template spans several frames."""
        if self.preset is not None:
            return self.preset in registry.CONVOLUTIVE_PRESETS
        return self.model in registry.CONVOLUTIVE

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the stems that a preset looks for; none without."""
        return PRESET_STEMS[self.preset] if self.preset else ()

    @property
    def starts(self) -> int:
        """Starts of one component a stem that are compared."""
        return self.restarts or (STARTS_BEST if self.best else STARTS_COMPARED)

    @property
    def rounds(self) -> int:
        """Times that templates are learned again from stems."""
        return 2 if self.best else 1

    def shared_out(self, parts: int) -> Settings:
        """Return the settings of one of so many parts of a fit that share the time limit, if there is one."""
        limit = self.time_limit
        return self if limit is None or parts == 1 else replace(self, time_limit=limit / parts)

    def at_most(self, iterations: int) -> int:
        """Return so many iterations for a fit that goes before that of the mixture, or fewer where fewer are given."""
        return min(iterations, self.max_iter) if "max_iter" in self.given else iterations

    def _take_level(self, levels: tuple[int, ...]) -> None:
        """Take the number of stems from the level, which is the last if none is given."""
        shown = ",".join(map(str, levels))
        if min(levels, default=0) < 1 or any(b >= a for a, b in itertools.pairwise(levels)):
            raise UsageError(f"--levels {shown} must have fewer parts from one level to the next")
        level = len(levels) if self.level is None else self.level
        if level > len(levels):
            raise UsageError(f"--levels {shown} has no level {level}", f"levels go from 1 to {len(levels)}")
        object.__setattr__(self, "level", level)
        object.__setattr__(self, "components", levels[level - 1])
