"""How templates are learned from isolated sounds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError
from ..registry import DIVERGENCES
from .choices import WINDOWS
from .knob import check_all, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """How templates are learned from isolated sounds; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, not finite, or an unknown name.
    """

    components: str = knob(
        "auto",
        "Templates of each label: a number, or such as kick=4,snare=8; auto is up to 300, by how varied it is, or 4 of "
        "several frames.",
    )
    template_frames: int = knob(
        1, "Frames that a template lasts; several follow strokes that change while they fade.", low=1, high=1000
    )
    exemplars: bool = knob(False, "Take frames of the sounds themselves as templates; auto is then up to 300.")
    divergence: str | float = knob("kl", "What the fit minimises: a name or a beta.", names=DIVERGENCES)
    sparsity: float | None = knob(
        None, "Prefer few templates at a time; 0.5 for kl, else 0, if not given.", low=0, high=1e6
    )
    max_iter: int = knob(60, "Iterations at the most.", low=1, high=10_000_000)
    tol: float = knob(
        1e-4, "Stop when ten iterations lower the loss by less than this share of the first loss.", low=0, high=1
    )
    seed: int = knob(0, "Seed of whatever is random.", low=0, high=2**64 - 1)
    n_fft: int | None = knob(
        None, "Length of a frame; about 0.08 and 0.2 s, both, if not given.", low=4, high=2**20, unit="samples",
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
    sample_rate: int | None = knob(
        None, "Rate the sounds are converted to; that of most of them if not given.", low=1, high=4_000_000, unit="Hz",
        group="Signal",
    )  # fmt: skip
    threads: int | None = knob(
        None, "Threads; all cores if not given. Never changes the result.", low=1, high=1024, group="Run"
    )

    def __post_init__(self) -> None:
        check_all(self)
        self.counts()
        if self.template_frames > 1 and self.exemplars:
            raise UsageError("--exemplars are single frames", "leave out --template-frames")
        if self.template_frames > 1 and self.sparsity:
            raise UsageError("templates of several frames know no sparsity", "leave out --sparsity")
        if self.hop_length is not None and self.n_fft is None:
            raise UsageError("--hop-length needs --n-fft")

    def counts(self) -> dict[str | None, int]:
        """Return the templates asked for by label, with None for all labels that are not named."""
        counts: dict[str | None, int] = {}
        if self.components == "auto":
            return counts
        for part in self.components.split(","):
            label, equals, number = part.rpartition("=")
            if not re.fullmatch(r"[0-9]{1,6}", number, re.ASCII) or int(number) == 0 or bool(equals) != bool(label):
                raise UsageError(f"components {self.components!r} is not auto, a number, or such as kick=4,snare=8")
            if (label or None) in counts:
                raise UsageError(f"components {self.components!r} names {label or 'the number'!r} twice")
            counts[label or None] = int(number)
        return counts
