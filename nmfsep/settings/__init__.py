"""Settings: the default, range, values and meaning of every option. The command line and Python both read them here."""

from __future__ import annotations

from .commands import (
    DetectSettings,
    EvaluationSettings,
    FactorizeSettings,
    LearnSettings,
    MixSettings,
    OutputSettings,
)
from .separation import Settings

__all__ = [
    "DetectSettings",
    "EvaluationSettings",
    "FactorizeSettings",
    "LearnSettings",
    "MixSettings",
    "OutputSettings",
    "Settings",
]
