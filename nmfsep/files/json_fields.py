"""Checks of JSON documents: whether every field is there and of the kind that its reader expects.

A kind is written as it looks: ``str``, ``bool`` or ``float``; ``range(1, 9)`` for whole numbers; a set for a choice of
texts; ``[kind]`` for a list; ``{"name": kind}`` for an object with these fields, ``{str: kind}`` for one with any;
``(kind, None)`` for alternatives. A field called ``"name?"`` may be missing.
"""

from __future__ import annotations

import re
import sys
from typing import Any


def matches(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a kind.

    ``float`` takes every finite number, and no kind but ``bool`` takes true and false. KeyError: a field is missing.
    """
    match kind:
        case None:
            return value is None
        case dict() if str in kind:
            return isinstance(value, dict) and all(matches(each, kind[str]) for each in value.values())
        case dict():
            return isinstance(value, dict) and all(
                matches(value[name.rstrip("?")], each)
                for name, each in kind.items()
                if not (name.endswith("?") and name[:-1] not in value)
            )
        case list():
            return isinstance(value, list) and all(matches(each, kind[0]) for each in value)
        case tuple():
            return any(matches(value, each) for each in kind)
        case range():
            return type(value) is int and value in kind
        case frozenset() | set():
            return isinstance(value, str) and value in kind
        case re.Pattern():
            return isinstance(value, str) and kind.fullmatch(value) is not None
    if kind is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max
    return type(value) is kind
