"""Every shared option once, made from the settings it fills."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from ..registry import CUES, DIVERGENCES, Registry
from ..settings.commands import EvaluationSettings, FactorizeSettings, LearnSettings, OutputSettings
from ..settings.separation import Settings, shown_default, suited
from ..system import BLAS_VARIABLES
from . import console
from .params import Name, Real, Size, Time, Whole, WholeOrAuto, Wholes

KINDS: tuple[type[Any], ...] = (FactorizeSettings, Settings, OutputSettings, EvaluationSettings, LearnSettings)
GROUPS = {knob.name: knob.metadata["group"] for kind in KINDS for knob in fields(kind)}


CONTRADICTIONS = (("quiet", "verbose"), ("append", "force"))


class Knob(click.Option):
    """An option that knows the section of the help that it belongs to."""

    def __init__(self, *args: Any, section: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.section = section


class Command(click.Command):
    """A command whose help lists the options by what they are about, and that refuses what contradicts itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; where two that contradict each other are given, the command line beats variables."""
        rest = super().parse_args(ctx, args)
        for pair in CONTRADICTIONS:
            if all(ctx.params.get(name) for name in pair):
                weaker = [n for n in pair if ctx.get_parameter_source(n) is click.core.ParameterSource.ENVIRONMENT]
                if len(weaker) != 1:
                    first, second = (f"--{name}" for name in pair)
                    raise UsageError(f"{first} and {second} contradict each other", "leave out one")
                ctx.params[weaker[0]] = False
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each group of options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for param in sorted(params, key=lambda param: _section(param) == "Run"):
            record = param.get_help_record(ctx)
            if record is not None:
                sections.setdefault(f"{_section(param)} options", []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _section(param: click.Option) -> str:
    return param.section if isinstance(param, Knob) else GROUPS.get(param.name or "", "Run")


F = TypeVar("F", bound=Callable[..., Any])
FLAGS = {
    "components": ["-k", "--components"],
    "divergence": ["--divergence", "--beta-loss"],
    "out": ["-o", "--out"],
    "force": ["-f", "--force"],
}


def _type(knob: Field[Any], about: Mapping[str, Any]) -> click.ParamType[Any] | None:
    kind = str(knob.type)
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
    """Return a decorator that adds an option for every field, or some.

    `changes` go to the option of that name; `names` among them are what it lists and takes in place of all.
    """

    def decorate(function: F) -> F:
        for knob in reversed(fields(settings)):
            if not knob.metadata["group"] or (some is not None and knob.name not in some):
                continue
            own = dict(changes.get(knob.name, {}))
            about = {**knob.metadata, "names": own.pop("names", knob.metadata["names"])}
            names = FLAGS.get(knob.name, ["--" + knob.name.replace("_", "-")])
            text = about["summary"]
            if isinstance(about["names"], (Registry, dict)):
                text += " " + "; ".join(f"{name}: {summary}" for name, summary in about["names"].items()) + "."
            if about["unit"] in ("samples", "seconds", "Hz"):
                text = f"{text.rstrip('.')}, in {about['unit']}."
            default = None if knob.default is MISSING else knob.default
            extra: dict[str, Any] = {
                "default": default,
                "type": _type(knob, about),
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
            extra |= own
            if isinstance(extra["show_default"], str):  # which click would put into parentheses
                extra |= {"help": f"{extra['help']}  [default: {extra['show_default']}]", "show_default": False}
            if extra.get("required"):  # a default would answer for the user
                del extra["default"], extra["show_default"]
            function = click.option(*names, knob.name, cls=Knob, section=about["group"], **extra)(function)
        return function

    return decorate


def conditional_defaults(settings: type[Any]) -> dict[str, dict[str, Any]]:
    """Return changes for `knobs` by which help shows the defaults of all conditions, not only the usual ones."""
    shown = {knob.name: shown_default(knob.name, knob.default) for knob in fields(settings)}
    return {name: {"show_default": text} for name, text in shown.items() if text is not None}


def given(ctx: click.Context, settings: type[Any]) -> dict[str, Any]:
    """Return the fields that the user gave, on the command line or by a variable, with their values."""
    told = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    names = [knob.name for knob in fields(settings) if ctx.get_parameter_source(knob.name) in told]
    return {name: ctx.params[name] for name in names}


# Of the models, where atoms are not grouped.
CLUSTERED = {"show_default": "0.0001; 1e-06 for kmeans and orthogonal"}
RACES = {
    "show_default": "1; 10 for kmeans and orthogonal",
    "help": "Starts that run a short race, the best going on; all but the first are random.",
}


def of_model(ctx: click.Context, own: dict[str, Any], hint: str) -> Settings:
    """Return the settings of fields that the user gave, once the model has all of them; `hint` says how to give -k.

    A variable is meant for the runs that have what it says: for other models, or for guidance, it is left out.
    """
    from ..models.by_name import has_levels, options_of, require_options, require_parts
    from ..separation.options import OWN

    told = {name for name in own if ctx.get_parameter_source(name) is not click.core.ParameterSource.ENVIRONMENT}
    guidance = {knob.name for knob in fields(Settings) if knob.metadata["group"] == "Guidance"}
    own = {name: value for name, value in own.items() if name in told or name not in guidance}
    model, preset, levels = own.get("model", "nmf"), own.get("preset"), own.get("levels")
    if preset is not None or has_levels(model):
        if preset is not None and ("components" in own.keys() & told or levels):
            raise UsageError(f"--preset {preset} says which stems there are", "leave out -k and --levels")
        own = {name: value for name, value in own.items() if name != "components" or name in told}
    elif own.get("components") is None and levels is None:
        raise UsageError("how many stems is not said", hint)
    if preset is None:
        require_parts(model, own.get("components"), levels)
        known = {*options_of(model), *told}
        own = {name: value for name, value in own.items() if name not in OWN or name in known}
        require_options(model, [name for name in OWN if name in own])
    return Settings(**suited(own), given=own)


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


def without_bar(function: F) -> F:
    """Add --no-progress."""
    return click.option("--no-progress", is_flag=True, envvar="NMFSEP_NO_PROGRESS", help="No progress bar.")(function)


def progressing(function: F) -> F:
    """Add the options that decide how much of the work is told."""
    verbose = click.option("-v", "--verbose", is_flag=True, envvar="NMFSEP_VERBOSE", help="Say how the fit went.")
    return without_bar(verbose(function))


IN_PARTS = (
    "what does not fit is done a part at a time. If not given: 1 GB, or three quarters of what is free where it cannot "
    "be done in parts."
)


def max_memory(function: F, otherwise: str = "three quarters of what is free if not given.") -> F:
    """Add --max-memory; `otherwise` says what happens where it does not suffice or is not given."""
    text = f"Take no more, such as 400M or 2G; {otherwise}"
    return click.option("--max-memory", "limit", type=Size(), envvar="NMFSEP_MAX_MEMORY", help=text)(function)


def in_parts(function: F) -> F:
    """Add --max-memory where what does not fit can be done a part at a time."""
    return max_memory(function, IN_PARTS)


if TYPE_CHECKING:
    from ..jobs.inputs import Input

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
    from ..jobs.inputs import listed

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
    from ..signal.read import is_url

    return [
        entry if entry.path == "-" or is_url(entry.path) else replace(entry, path=os.path.abspath(entry.path))
        for entry in inputs
    ]


def gathered(names: Sequence[str], recursive: bool, quiet: bool) -> list[Input]:
    """Return the inputs, and say how many sounds are in folders."""
    from ..jobs.inputs import gather

    inputs, folders = gather(names, recursive)
    for folder in [] if quiet else folders:
        left = [f"{folder.others} other files"] * bool(folder.others)
        left += [f"{folder.products} that nmfsep wrote"] * bool(folder.products)
        for name in folder.unread:
            console.say(f"{console.quote(name)}: warning: cannot be looked into, and is left out")
        said = f", {' and '.join(left)} left out" if left else ""
        console.say(f"{console.quote(folder.path)}: {len(folder.inputs)} sound files{said}")
    return inputs


CUE_FLAGS = {"dictionary": ["-m", "--dictionary"]}
GROUPS |= {f"cue_{_name}": "Guidance" for _name in CUES}


def cues(function: F) -> F:
    """Add an option for each cue."""
    for name in reversed(list(CUES)):
        takes, _, text = CUES[name].partition(": ")
        function = click.option(
            *CUE_FLAGS.get(name, [f"--{name}"]),
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
