"""One knob of a settings class, and the check of its value."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any

from ..errors import UsageError
from ..registry import Registry, suggestion


def knob(
    default: Any,
    summary: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    names: Registry | dict[str, str] | None = None,
    group: str = "Model",
) -> Any:
    """Return the field of one setting, with what its option, its help and its check need."""
    about = {"summary": summary, "low": low, "high": high, "unit": unit, "names": names, "group": group}
    return field(default=default, metadata=about)


def check_all(settings: Any) -> None:
    """Raise UsageError where a field is out of its range, not finite or an unknown name."""
    for known in fields(settings):
        value = getattr(settings, known.name)
        if value is not None:
            _check(known.name, value, known.metadata, known.default)


def _check(name: str, value: Any, about: Any, default: Any) -> None:
    names = about["names"]
    if isinstance(value, str) and names is not None and not value == default == "auto":
        if isinstance(names, Registry):
            names.resolve(value)
        elif value not in names:
            raise UsageError(f"{name} {value!r} is unknown", suggestion(value, list(names)))
    if isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number, not {value}")
        low, high = about["low"], about["high"]
        if (low is not None and value < low) or (high is not None and value > high):
            upper = "" if high is None else f" and at most {high}"
            raise UsageError(f"{name} must be at least {low}{upper}, not {str(value)[:40]}")
