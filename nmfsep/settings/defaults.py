"""Defaults that hold under some condition only, in the words of help; what is given always wins over them.

Those of presets are in `presets`, those of the models in their functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .presets import DEFAULTS

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
