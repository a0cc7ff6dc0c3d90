"""How a mixture is analysed, factorized and masked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import UsageError
from ..registry import (
    CONVOLUTIVE,
    CONVOLUTIVE_PRESETS,
    DIVERGENCES,
    GROUPINGS,
    MASKS,
    MODELS,
    PRESETS,
    SIGNED_STARTS,
    SOLVERS,
    SOUND_STARTS,
    SPATIAL_MASKS,
    STARTS,
)
from .knob import CHANNEL_MODES, MIDI_STEMS, WINDOWS, check_all, knob
from .knob import PRESET_STEMS as PRESET_STEMS

# measured on seven loops of recorded and seven of rendered drums
DEFAULTS: Mapping[str, Mapping[str, Any]] = {"drums": {"mask_power": 2.0, "template_frames": 12}}


def suited(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of Settings as they were given, and what suits their preset, if they have one, for the rest."""
    defaults = dict(DEFAULTS.get(given.get("preset") or "", {}))
    if given.get("mask", "ratio") != "ratio":
        defaults.pop("mask_power", None)
    return {**defaults, **given}


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


GROUPED: Mapping[str, Any] = {"max_iter": 60, "tol": 0.0}
# Where stems are named beforehand, measured on mixtures of drums, notes, music and speech.
GUIDED: Mapping[str, Any] = {"max_iter": 40, "mask_power": 2.0, "adapt": 0.1}
DICTIONARY: Mapping[str, Any] = {"sparsity": 1.0, "divergence": "its own", "window": "its own"}
ALONE: Mapping[str, Any] = {"free": 10}
CLUSTERS: Mapping[str, Any] = {"tol": 1e-6}

CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "where atoms are grouped": GROUPED,
    "with guidance": GUIDED,
    "with a dictionary": DICTIONARY,
    "where --learn, --midi or --labels name one sound": ALONE,
    "with --model kmeans or orthogonal": CLUSTERS,
    **{f"with --preset {name}": defaults for name, defaults in DEFAULTS.items()},
}


def shown_default(name: str, default: Any) -> str | None:
    """Return the default of a setting with those of all conditions, None where there is but one."""
    others = [f"{_plain(values[name])} {when}" for when, values in CONDITIONS.items() if name in values]
    return "; ".join([_plain(default), *others]) if others else None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a separation does; checked on construction.

    It remembers in `given` which fields the user gave: a default that is given counts as much as any other value.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    model: str = knob("nmf", "What the spectrogram is taken for.", names=MODELS)
    components: int = knob(2, "Stems wanted; with --levels, as many as that level has.", low=1, high=1_000_000)
    preset: str | None = knob(None, "Look for sounds of a kind, in place of -k.", names=PRESETS)
    atoms: int | None = knob(
        None,
        "Templates for each stem, grouped: 1 is plain factorization; auto, if not given, looks which suits the sound.",
        low=1,
        high=1000,
        unit="auto",
    )
    grouping: str = knob("auto", "How atoms are found and grouped; auto looks which suits the sound.", names=GROUPINGS)
    levels: tuple[int, ...] | None = knob(
        None, "Parts at each level of a deep model, the finest first, such as 12,4.", unit="list"
    )
    level: int | None = knob(
        None, "Level whose parts are the stems: 1 is the finest; the coarsest if not given.", low=1, high=100
    )
    template_frames: int = knob(8, "Frames that a template spans, model nmfd and preset drums.", low=1, high=1000)
    divergence: str | float = knob("kl", "What the fit minimises: a name or a beta.", names=DIVERGENCES)
    solver: str = knob(
        "auto",
        "How it is minimised; auto picks by divergence. Models semi and deep-semi have hals and mu only.",
        names=SOLVERS,
    )
    start: str = knob(
        "auto",
        "Where the fit starts; auto is nndsvda, nndsvd for hals, ehals and pinv, svd for semi and deep-semi.",
        names=SIGNED_STARTS | STARTS | SOUND_STARTS,
    )
    max_iter: int = knob(200, "Iterations at the most.", low=0, high=10_000_000)
    tol: float = knob(
        1e-4, "Stop when ten iterations lower the loss by less than this share of the first loss.", low=0, high=1
    )
    time_limit: float | None = knob(None, "Stop iterating after this long.", low=0, unit="seconds")
    restarts: int | None = knob(
        None,
        "Starts that run a short race, the best going on, all but the first random: 1 if not given, 10 for models "
        "kmeans and orthogonal. Where atoms are grouped by several runs, so many of them: 4.",
        low=1,
        high=1000,
    )
    sparsity: float = knob(0.0, "Prefer few activations; try 0.1 to 1.", low=0, high=1e6)
    smoothness: float = knob(0.0, "Prefer slow activations, kl only; try 0.1 to 10.", low=0, high=1e6)
    seed: int = knob(0, "Seed of whatever is random.", low=0, high=2**64 - 1)
    n_fft: int | None = knob(
        None, f"Length of a frame, in samples; if not given, by the sample rate: {RULE}.", low=4, high=2**20,
        group="Signal",
    )  # fmt: skip
    hop_length: int | None = knob(
        None,
        "Step between frames, at most half a frame; a quarter if not given.",
        low=1,
        high=2**19,
        unit="samples",
        group="Signal",
    )
    window: str = knob("hann", "Taper of a frame.", names=WINDOWS, group="Signal")
    channels: str = knob(
        "joint", "How channels share the model; each keeps its own phase.", names=CHANNEL_MODES, group="Signal"
    )
    mask: str = knob(
        "ratio", "How the mixture is shared out among the stems.", names=MASKS | SPATIAL_MASKS, group="Mask"
    )
    mask_power: float = knob(
        1.0,
        "Exponent of the model in the mask: 1 shares, larger decides more sharply.",
        low=0.01,
        high=100,
        group="Mask",
    )
    consistency: int = knob(
        0, "Not offered any more; stays for documents and models that name it.", low=0, high=100, group="Mask"
    )
    residual: str | None = knob(
        None, "Put what the model does not explain into a stem of this name; residual if it has none.", group="Mask"
    )
    group: tuple[str, ...] = knob(
        (),
        "Make one stem of several, given by number, range or name; rest is all that no group has. Others stay, or "
        "auto:N makes N stems of them by how they sound.",
        group="Group",
    )
    two_stems: str | None = knob(
        None, "Make two stems: the one of this name, and no_NAME of everything else.", group="Group"
    )
    free: int = knob(
        0, "Templates learned from the mixture for what is not told of: stem residual.", low=0, high=10_000,
        group="Guidance",
    )  # fmt: skip
    adapt: float = knob(
        0.0,
        "Let known templates move this share of the way to what fits the mixture best.",
        low=0,
        high=1,
        group="Guidance",
    )
    midi_by: str = knob("track", "What the stems of a MIDI file without NAME= are.", names=MIDI_STEMS, group="Guidance")
    threads: int | None = knob(
        None, "Threads; all cores if not given. Never changes the result.", low=1, high=1024, group="Run"
    )
    given: Collection[str] = knob((), "Names of the fields that the user gave, also at their defaults.", group="")

    def __post_init__(self) -> None:
        check_all(self)
        object.__setattr__(self, "given", frozenset(self.given))
        self._settle_levels()
        if self.preset is not None:
            object.__setattr__(self, "components", len(PRESET_STEMS[self.preset]))
        if self.mask != "ratio" and self.mask_power != 1:
            raise UsageError(f"mask {self.mask!r} has no power", "use mask ratio, or leave out the power")
        if self.consistency:
            raise UsageError("--consistency made no stem better, so it is gone", "leave it out")
        if self.n_fft is not None:
            self.frames(0)

    def frames(self, sample_rate: int) -> tuple[int, int]:
        """Return n_fft and hop_length for sound of a sample rate, in hertz.

        Raises
        ------
        UsageError
            The frames would not overlap by half or more.
        """
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
        return self.model in CONVOLUTIVE if self.preset is None else self.preset in CONVOLUTIVE_PRESETS

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the stems that a preset looks for; none without."""
        return PRESET_STEMS[self.preset] if self.preset else ()

    def asked(self, names: Collection[str]) -> dict[str, Any]:
        """Return the settings of these names that were given or are not at their defaults; auto asks for nothing."""
        found = {}
        for own in fields(self):
            value = getattr(self, own.name)
            given = own.name in self.given and value not in (None, "auto")
            if own.name in names and (given or value != own.default):
                found[own.name] = value
        return found

    def at_most(self, iterations: int) -> int:
        """Return so many iterations for a fit that goes before that of the mixture, or fewer where fewer are given."""
        return min(iterations, self.max_iter) if "max_iter" in self.given else iterations

    def values(self) -> dict[str, Any]:
        """Return all settings by name, without which of them were given."""
        return {name: value for name, value in asdict(self).items() if name != "given"}

    def _settle_levels(self) -> None:
        """Take the number of stems from the level, which is the last if none is given."""
        if self.levels is None:
            if self.level is not None:
                raise UsageError("--level needs --levels", "such as --levels 12,4")
            return
        shown = ",".join(map(str, self.levels))
        if min(self.levels, default=0) < 1 or any(b >= a for a, b in itertools.pairwise(self.levels)):
            raise UsageError(f"--levels {shown} must have fewer parts from one level to the next")
        level = len(self.levels) if self.level is None else self.level
        if level > len(self.levels):
            raise UsageError(f"--levels {shown} has no level {level}", f"levels go from 1 to {len(self.levels)}")
        object.__setattr__(self, "level", level)
        object.__setattr__(self, "components", self.levels[level - 1])
