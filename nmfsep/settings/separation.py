"""How a mixture is analysed, factorized and masked."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import DIVERGENCES, MASKS, SOLVERS, SOUND_STARTS, STARTS
from .choices import CHANNEL_MODES, WINDOWS
from .knob import check_all, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a separation does; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    components: int = knob(2, "Stems wanted.", low=1, high=1_000_000)
    divergence: str | float = knob("kl", "What the fit minimises: a name or a beta.", names=DIVERGENCES)
    solver: str = knob("auto", "How it is minimised; auto picks by divergence.", names=SOLVERS)
    start: str = knob(
        "auto", "Where the fit starts; auto is nndsvda, nndsvd for hals and ehals.", names=STARTS | SOUND_STARTS
    )
    max_iter: int = knob(200, "Iterations at the most.", low=0, high=10_000_000)
    tol: float = knob(
        1e-4, "Stop when ten iterations lower the loss by less than this share of the first loss.", low=0, high=1
    )
    time_limit: float | None = knob(None, "Stop iterating after this long.", low=0, unit="seconds")
    restarts: int = knob(
        1, "Starts that run a short race, the best going on; all but the first are random.", low=1, high=1000
    )
    sparsity: float = knob(0.0, "Prefer few activations; try 0.1 to 1.", low=0, high=1e6)
    smoothness: float = knob(0.0, "Prefer slow activations, kl only; try 0.1 to 10.", low=0, high=1e6)
    seed: int = knob(0, "Seed of whatever is random.", low=0, high=2**64 - 1)
    n_fft: int = knob(2048, "Length of a frame.", low=4, high=2**20, unit="samples", group="Signal")
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
    mask: str = knob("ratio", "How the mixture is shared out among the stems.", names=MASKS, group="Mask")
    mask_power: float = knob(
        1.0,
        "Exponent of the model in the mask: 1 shares, larger decides more sharply.",
        low=0.01,
        high=100,
        group="Mask",
    )
    residual: str | None = knob(None, "Put what the model does not explain into a stem of this name.", group="Mask")
    free: int = knob(
        0, "Templates learned from the mixture for what the dictionary lacks: stem residual.", low=0, high=10_000,
        group="Guidance",
    )  # fmt: skip
    adapt: float = knob(
        0.0,
        "Let the dictionary's templates move this share of the way to what fits the mixture best.",
        low=0,
        high=1,
        group="Guidance",
    )
    threads: int | None = knob(
        None, "Threads; all cores if not given. Never changes the result.", low=1, high=1024, group="Run"
    )

    def __post_init__(self) -> None:
        check_all(self)
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
