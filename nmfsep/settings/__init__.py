"""Every knob once: default, range, unit and meaning. The command line, the API and the docs read it."""

from __future__ import annotations

from .commands import EvaluationSettings, FactorizeSettings, LearnSettings, OutputSettings
from .separation import Settings

__all__ = ["EvaluationSettings", "FactorizeSettings", "LearnSettings", "OutputSettings", "Settings"]
