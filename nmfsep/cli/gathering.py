"""Which inputs a command has: its arguments, a list of names, folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from . import console
from .options import GROUPS

if TYPE_CHECKING:
    from ..inputs import Input

F = TypeVar("F", bound=Callable[..., Any])
GROUPS |= {"files_from": "Input", "null": "Input"}


def lists(function: F) -> F:
    """Add the options that read names from a file."""
    for option in (
        click.option(
            "-0", "--null", is_flag=True, help="Names in --files-from end with NUL, as find -print0 has them."
        ),
        click.option(
            "--files-from",
            metavar="FILE|-",
            type=click.Path(),
            envvar="NMFSEP_FILES_FROM",
            help="Take names from FILE, too, one a line; - is standard input.",
        ),
    ):
        function = option(function)
    return function


def named(ctx: click.Context, paths: Sequence[str], files_from: str | None, null: bool) -> list[str]:
    """Return the names on the command line and those in a list.

    Raises
    ------
    UsageError
        There are none, or standard input would be read twice.
    """
    from ..inputs import listed

    names = [os.fsdecode(path) for path in paths]
    if files_from is None:
        if null:
            raise UsageError("-0 says how --files-from is read, which is not given")
        if not names:
            param = next(param for param in ctx.command.params if isinstance(param, click.Argument))
            raise click.MissingParameter(ctx=ctx, param=param)
        return names
    if files_from == "-" and "-" in names:
        raise UsageError("standard input can be read only once")
    names += listed(os.fsdecode(files_from), null)
    if not names:
        raise UsageError("names no input", path=os.fsdecode(files_from))
    if files_from == "-" and "-" in names:
        raise UsageError("standard input can be read only once")
    return names


def absolute(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs under names that do not depend on the working folder."""
    from ..signal.open import is_url

    return [
        entry if entry.path == "-" or is_url(entry.path) else replace(entry, path=os.path.abspath(entry.path))
        for entry in inputs
    ]


def gathered(names: Sequence[str], recursive: bool, quiet: bool) -> list[Input]:
    """Return the inputs, and say how many sounds are in folders."""
    from ..inputs import gather

    inputs, folders = gather(names, recursive)
    for folder in [] if quiet else folders:
        left = [f"{folder.others} other files"] * bool(folder.others)
        left += [f"{folder.products} that nmfsep wrote"] * bool(folder.products)
        for name in folder.unread:
            console.say(f"{console.quote(name)}: warning: cannot be looked into, and is left out")
        said = f", {' and '.join(left)} left out" if left else ""
        console.say(f"{console.quote(folder.path)}: {len(folder.inputs)} sound files{said}")
    return inputs
