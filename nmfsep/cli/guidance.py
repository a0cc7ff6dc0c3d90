"""The options by which split is told what to listen for: one for each cue of the registry."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..registry import CUES
from .options import GROUPS

F = TypeVar("F", bound=Callable[..., Any])
FLAGS = {"dictionary": ["-m", "--dictionary"]}
GROUPS |= {f"cue_{_name}": "Guidance" for _name in CUES}


def cues(function: F) -> F:
    """Add an option for each cue."""
    for name in reversed(list(CUES)):
        takes, _, text = CUES[name].partition(": ")
        function = click.option(
            *FLAGS.get(name, [f"--{name}"]),
            f"cue_{name}",
            multiple=True,
            metavar=takes,
            type=click.Path(),
            envvar=f"NMFSEP_{name.upper()}",
            help=text,
        )(function)
    return function


def cue_texts(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what each cue's option was given, by the cue's name."""
    return {name: [os.fsdecode(text) for text in values[f"cue_{name}"]] for name in CUES}
