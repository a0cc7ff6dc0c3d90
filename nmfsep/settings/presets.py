"""What suits a preset where nothing else is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# measured on seven loops of recorded and seven of rendered drums
DEFAULTS: Mapping[str, Mapping[str, Any]] = {"drums": {"mask_power": 2.0, "template_frames": 12}}


def suited(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of Settings as they were given, and what suits their preset, if they have one, for the rest."""
    defaults = dict(DEFAULTS.get(given.get("preset") or "", {}))
    if given.get("mask", "ratio") != "ratio":
        defaults.pop("mask_power", None)
    return {**defaults, **given}
