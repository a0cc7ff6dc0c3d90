"""Every shared option once, made from the settings it fills."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

import click

from ..errors import UsageError
from ..registry import DIVERGENCES, Registry
from ..settings import EvaluationSettings, FactorizeSettings, LearnSettings, OutputSettings, Settings
from ..settings.presets import suited
from ..system import BLAS_VARIABLES
from .params import Name, Real, Size, Time, Whole, WholeOrAuto, Wholes

KINDS: tuple[type[Any], ...] = (FactorizeSettings, Settings, OutputSettings, EvaluationSettings, LearnSettings)
GROUPS = {knob.name: knob.metadata["group"] for kind in KINDS for knob in fields(kind)}


class Command(click.Command):
    """A command whose help lists the options by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each group of options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for param in sorted(params, key=lambda param: GROUPS.get(param.name or "", "Run") == "Run"):
            record = param.get_help_record(ctx)
            if record is not None:
                group = GROUPS.get(param.name or "", "Run")
                sections.setdefault(f"{group} options", []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


F = TypeVar("F", bound=Callable[..., Any])
FLAGS = {
    "components": ["-k", "--components"],
    "divergence": ["--divergence", "--beta-loss"],
    "out": ["-o", "--out"],
    "force": ["-f", "--force"],
}


def _type(knob: Field[Any]) -> click.ParamType[Any] | None:
    about, kind = knob.metadata, str(knob.type)
    names: Registry | dict[str, str] | None = about["names"]
    if names is not None:
        extra = ("auto",) if knob.default == "auto" else ()
        return Name(names, extra, number=names is DIVERGENCES)
    if about["unit"] == "list":
        return Wholes()
    if about["unit"] == "time":
        return Time()
    if about["unit"] == "auto":
        return WholeOrAuto(about["low"], about["high"])
    if kind.startswith("int"):
        return Whole(about["low"], about["high"])
    if kind.startswith("float"):
        return Real(about["low"], about["high"])
    return None


def knobs(settings: type[Any], some: Collection[str] | None = None, /, **changes: dict[str, Any]) -> Callable[[F], F]:
    """Return a decorator that adds an option for every field, or some; `changes` go to the option of that name."""

    def decorate(function: F) -> F:
        for knob in reversed(fields(settings)):
            if some is not None and knob.name not in some:
                continue
            about, names = knob.metadata, FLAGS.get(knob.name, ["--" + knob.name.replace("_", "-")])
            text = about["summary"]
            if isinstance(about["names"], (Registry, dict)):
                text += " " + "; ".join(f"{name}: {summary}" for name, summary in about["names"].items()) + "."
            if about["unit"] in ("samples", "seconds", "Hz"):
                text = f"{text.rstrip('.')}, in {about['unit']}."
            default = None if knob.default is MISSING else knob.default
            extra: dict[str, Any] = {
                "default": default,
                "type": _type(knob),
                "help": text,
                "show_default": default is not None and default is not False and default != (),
                "envvar": f"NMFSEP_{knob.name.upper()}",
            }
            if isinstance(extra["type"], Name):
                extra["metavar"] = extra["type"].name
            if knob.type == "bool":
                extra |= {"is_flag": True}
            if default == ():
                extra |= {"multiple": True, "metavar": "NAME"}
            extra |= changes.get(knob.name, {})
            if extra.get("required"):  # a default would answer for the user
                del extra["default"], extra["show_default"]
            function = click.option(*names, knob.name, **extra)(function)
        return function

    return decorate


RACE = "Starts that run a short race, the best going on; all but the first are random."  # where atoms are not grouped


def of_model(ctx: click.Context, own: dict[str, Any], hint: str) -> dict[str, Any]:
    """Return values for Settings, once the model has all that was asked for; `hint` says how to give -k."""
    from ..nmf.models import has_levels, require_options, require_parts
    from ..separation.modelling import OWN

    told = click.core.ParameterSource.COMMANDLINE
    if own.get("preset") is not None:
        if ctx.get_parameter_source("components") is told or own["levels"]:
            raise UsageError(f"--preset {own['preset']} says which stems there are", "leave out -k and --levels")
        plain = click.core.ParameterSource.DEFAULT
        given = {name: own[name] for name in own if ctx.get_parameter_source(name) is not plain}
        return suited({name: value for name, value in given.items() if name != "components"})
    if own["components"] is None and not has_levels(own["model"]) and own["levels"] is None:
        raise UsageError("how many stems is not said", hint)
    if has_levels(own["model"]) and ctx.get_parameter_source("components") is not told:
        own["components"] = None  # a variable's number is meant for the other models
    require_parts(own["model"], own["components"], own["levels"])
    require_options(own["model"], [name for name in OWN if ctx.get_parameter_source(name) is told])
    return {name: value for name, value in own.items() if name != "components" or value is not None}


def one_thread_of_blas() -> None:
    """Have BLAS use one thread, before it is loaded; the program's own threads divide the work."""
    for name in BLAS_VARIABLES:
        os.environ[name] = "1"


def reporting(function: F) -> F:
    """Add the options that decide what is said."""
    for option in (
        click.option("--json", "as_json", is_flag=True, envvar="NMFSEP_JSON", help="Print one JSON document instead."),
        click.option("-q", "--quiet", is_flag=True, envvar="NMFSEP_QUIET", help="Tell errors only."),
        click.option("--debug", is_flag=True, help="Show the traceback of a bug."),
    ):
        function = option(function)
    return function


def progressing(function: F) -> F:
    """Add the options that decide how much of the work is told."""
    for option in (
        click.option("-v", "--verbose", is_flag=True, envvar="NMFSEP_VERBOSE", help="Say how the fit went."),
        click.option("--no-progress", is_flag=True, envvar="NMFSEP_NO_PROGRESS", help="No progress bar."),
    ):
        function = option(function)
    return function


def max_memory(function: F) -> F:
    """Add --max-memory."""
    text = (
        "Take no more, such as 400M or 2G; what does not fit is done a part at a time. If not given: 1 GB, or three "
        "quarters of what is free where it cannot be done in parts."
    )
    return click.option("--max-memory", "limit", type=Size(), envvar="NMFSEP_MAX_MEMORY", help=text)(function)
