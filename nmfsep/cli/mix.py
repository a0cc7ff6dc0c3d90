"""``nmfsep mix``: stems back together, at levels of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..settings import MixSettings
from . import console, options
from .params import Real


@click.command(
    "mix", cls=options.Command, example="nmfsep mix separated/song component-1=-3 --mute 2 -o remix.wav", page="render"
)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.argument("levels", nargs=-1, metavar="[NAME=DB]...")
@options.from_settings(MixSettings, out={"required": True, "default": None, "show_default": False})
@options.reporting
@click.pass_context
def command(ctx: click.Context, /, folder: str, levels: tuple[str, ...], **values: Any) -> int:
    """Mix the stems in DIR to one file, each raised or lowered by what NAME=DB says.

    DIR is the folder that split wrote, or the manifest in it; NAME is a stem or its number. What is not changed stays
    as it was: without options the file is the mixture, bit for bit.
    """
    from ..results.remix import mix

    settings = options.settings_of(ctx, MixSettings)
    options.refuse_terminal(settings.out)
    if settings.out == "-" and values["as_json"]:
        raise UsageError("-o - and --json both want standard output", "leave out one")
    kept = {name: getattr(settings, name) for name in ("mute", "solo", "gain", "subtype", "force")}
    found = mix(folder, settings.out, dict(map(_level, levels)), **kept)
    if not values["quiet"]:
        console.warn(found.warnings, console.quote(folder))
    if values["as_json"]:
        console.print_document(folder, found.document())
    elif settings.out != "-":
        console.print_paths([Path(found.path)])
    return 0


def _level(text: str) -> tuple[str, float]:
    """Return the name and the dB of a text such as kick=-3."""
    name, equals, gain = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} is not NAME=DB", "give such as kick=-3")
    return name, Real().convert(gain, None, None)
