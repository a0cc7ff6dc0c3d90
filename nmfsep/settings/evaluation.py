"""How estimates are held against true stems."""

from __future__ import annotations

from dataclasses import dataclass

from .choices import MATCHES
from .knob import check_all, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How estimates are held against true stems; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range, or an unknown name.
    """

    match: str = knob(
        "auto",
        "Which estimate belongs to a stem; auto is name where every stem has an estimate of its name, else best.",
        names=MATCHES,
        group="Evaluation",
    )
    filter_length: int = knob(
        512,
        "Length of the filters that SDR, SIR and SAR forgive.",
        low=1,
        high=65536,
        unit="samples",
        group="Evaluation",
    )
    trim: bool = knob(False, "Let files differ in length, and compare as far as the shortest goes.", group="Evaluation")
    oracle: bool = knob(
        False,
        "Tell what ideal masks, made from the true stems at this STFT, would reach.",
        group="Evaluation",
    )

    def __post_init__(self) -> None:
        check_all(self)
