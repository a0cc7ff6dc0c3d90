"""Every knob once: default, range, unit and meaning. The command line, the API and the docs read it."""

from __future__ import annotations

from .evaluation import EvaluationSettings
from .factorization import FactorizeSettings
from .learning import LearnSettings
from .output import OutputSettings
from .separation import Settings

__all__ = ["EvaluationSettings", "FactorizeSettings", "LearnSettings", "OutputSettings", "Settings"]
