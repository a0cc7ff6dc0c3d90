"""Options of the commands: made from the settings that they fill, or shared by several; the sections of the help."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, fields
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..errors import InputError, UsageError
from ..registry import CUES, DIVERGENCES, suggestion
from ..settings import OutputSettings, Settings
from ..settings.fields import Options
from ..settings.separation import shown_default, with_preset_defaults
from ..system import BLAS_VARIABLES, exists
from . import console
from .completion import paths, stem_names
from .params import Name, Real, Size, Time, Whole, Wholes

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=Options)
CONTRADICTIONS = (("quiet", "verbose"), ("append", "force"))
PREFIX = "NMFSEP_"  # of variables that set options
WIDEST = 24  # characters of an option and its value that leave room for its meaning in the same line
CHOICES = 14  # characters of values that are listed where the value stands; more are listed behind the meaning
SPELLINGS = {"list": Wholes(), "time": Time()}
STEMS = ("only", "two_stems", "mute", "solo")  # settings that name stems
SUBTYPES = {"int16": "PCM_16", "int24": "PCM_24", "float32": "FLOAT"}


class Option(click.Option):
    """An option with its section of the help; older spellings, `former`, are taken and not shown."""

    def __init__(self, names: list[str], section: str = "Run", former: tuple[str, ...] = (), **rest: Any) -> None:
        super().__init__([*names, *former], **rest)
        self.section, self.former = section, former

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return how the option is typed, and its meaning with the default in brackets."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        typed, meaning = record
        for name in self.former:
            typed = typed.replace(f", {name}", "").replace(f"{name}, ", "")
        return typed, re.sub(r"\.0\]$", "]", meaning.replace("  [default: ", " ["))


class Command(click.Command):
    """A command whose help has sections, and that refuses options that contradict each other.

    `common` are the options that stand first, `example` is a command line, and `page` one of the manual.
    """

    def __init__(self, name: str, example: str, page: str, common: tuple[str, ...] = (), **rest: Any) -> None:
        super().__init__(name, **rest)
        self.common = common
        own = [param for param in self.params if isinstance(param, Option) and not param.hidden]
        without = [param.opts[0] for param in own if not variables_of(param)]
        set_by = sorted((param for param in own if variables_of(param)), key=lambda param: param.name not in common)
        rule = f"{variables_of(set_by[0])[0]} sets {set_by[0].opts[-1]}, and so on; nothing sets {', '.join(without)}."
        self.epilog = f"Example: {example}\n\n{rule} More on every option and value: nmfsep manual {page}"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; where two that contradict each other are given, the command line beats variables."""
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            args = args[:-1]  # an option whose value a shell completes would hide the arguments before it
        rest = super().parse_args(ctx, args)
        for pair in CONTRADICTIONS:
            if all(ctx.params.get(name) for name in pair):
                weaker = [n for n in pair if ctx.get_parameter_source(n) is ParameterSource.ENVIRONMENT]
                if len(weaker) != 1:
                    first, second = (f"--{name}" for name in pair)
                    raise UsageError(f"{first} and {second} contradict each other", "leave out one")
                ctx.params[weaker[0]] = False
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with --json, say on stdout, too, which input failed."""
        if not ctx.params.get("quiet"):
            for name in [name for name in os.environ if name.startswith(PREFIX)]:
                known = known_variables(ctx)
                if name not in known:
                    console.say(f"warning: the variable {name} means nothing; {suggestion(name, known)}")
        try:
            return super().invoke(ctx)
        except InputError as error:
            if ctx.params.get("as_json"):
                path = os.fsdecode(error.path or "")
                console.print_document(path, {"errors": [console.error_entry(error)]}, "failed")
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the common options, then one section for each group of the others."""
        params = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        first = [param for name in self.common for param in params if param.name == name]
        sections: dict[str, list[tuple[str, str]]] = {"Common": [], "Run": []}
        for param in [*first, *(param for param in params if param not in first)]:
            section = "Common" if param in first else param.section if isinstance(param, Option) else "Run"
            if (record := param.get_help_record(ctx)) is not None:
                sections.setdefault(section, []).append(record)
        sections["Run"] = sections.pop("Run")  # the last
        for title, records in sections.items():
            if records:
                with formatter.section(f"{title} options"):
                    formatter.write_dl(records, col_max=WIDEST)


def known_variables(ctx: click.Context) -> list[str]:
    """Return the variables that any command takes."""
    root = ctx.find_root()
    group = root.command
    commands = (
        [group.get_command(root, name) for name in group.list_commands(root)] if isinstance(group, click.Group) else []
    )
    return sorted({name for command in commands if command for param in command.params for name in variables_of(param)})


def variables_of(param: click.Parameter) -> list[str]:
    """Return the variables that set an option."""
    names = param.envvar or ()
    return [names] if isinstance(names, str) else list(names)


class StemCommand(Command):
    """A command whose --residual takes a value only after an equals sign, so that it cannot eat an input's name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare --residual its default name."""
        end = args.index("--") if "--" in args else len(args)
        args[:end] = ["--residual=residual" if arg == "--residual" else arg for arg in args[:end]]
        short = list(dict.fromkeys(arg for arg in args[:end] if arg[2:] in SUBTYPES))
        if len(short) > 1:
            raise UsageError(f"{short[0]} and {short[1]} contradict each other", "leave out one")
        return super().parse_args(ctx, args)


# Options from the fields of settings.


def from_settings(settings: type[Options], some: Collection[str] | None = None, /, **changes: Any) -> Callable[[F], F]:
    """Return a decorator that adds an option for every field of settings, or some.

    `changes` has, by field, what its option gets instead of what the field has; `names` are the values it takes.
    """
    chosen = [own for own in fields(settings) if own.metadata["section"] and (some is None or own.name in some)]
    return several(*(_option(own, dict(changes.get(own.name, {}))) for own in chosen))


def _option(own: Field[Any], changes: dict[str, Any]) -> Callable[[F], F]:
    about = {**own.metadata, "names": changes.pop("names", own.metadata["names"])}
    flags = about["flags"] or ("--" + own.name.replace("_", "-"),)
    kind, default, text = _type(own, about), own.default, about["summary"]
    variables = dict.fromkeys(name.lstrip("-").replace("-", "_").upper() for name in (flags[-1], own.name))
    extra: dict[str, Any] = {
        "default": default,
        "type": kind,
        "show_default": default is not None and default is not False and default != (),
        "envvar": [f"{PREFIX}{name}" for name in variables],
        "is_flag": own.type == "bool",
        "multiple": default == (),
    }
    if kind is None and not extra["is_flag"]:
        extra["metavar"] = about["spelling"] or "NAME"
    if own.name in STEMS:
        extra["shell_complete"] = stem_names
    elif about["spelling"] in ("DIR", "FILE"):
        extra["shell_complete"] = paths
    if isinstance(kind, Name):
        extra["metavar"] = kind.name
        if len(kind.name) > CHOICES:
            extra["metavar"], text = "NAME", f"{text.rstrip('.')}: {kind.name.replace('|', ', ')}."
    extra |= {"help": text} | changes
    if extra.get("required"):
        del extra["default"]  # which click would take for a value
    if isinstance(extra["show_default"], str):  # which click would put into parentheses
        extra |= {"help": f"{extra['help']}  [default: {extra['show_default']}]", "show_default": False}
    return click.option(*flags, own.name, cls=Option, section=about["section"], former=about["former"], **extra)


def _type(own: Field[Any], about: Mapping[str, Any]) -> click.ParamType[Any] | None:
    """Return how the text of an option is read; None where any text is taken, and for flags."""
    kind, low, high = str(own.type), about["low"], about["high"]
    if about["names"] is not None:
        extra = ("auto",) if own.default == "auto" else ()
        return Name(about["names"], extra, number=about["names"] is DIVERGENCES)
    if about["spelling"] in SPELLINGS:
        return SPELLINGS[about["spelling"]]
    if kind.startswith("int"):
        return Whole(low, high, {"auto": None} if about["spelling"] == "auto" else None)
    return Real(low, high) if kind.startswith("float") else None


def conditional_defaults(settings: type[Options]) -> dict[str, dict[str, Any]]:
    """Return changes for `from_settings` by which help shows all defaults, with the conditions that they hold under."""
    shown = {own.name: shown_default(own.name, own.default) for own in fields(settings)}
    return {name: {"show_default": text} for name, text in shown.items() if text is not None}


# What help shows of the models, where atoms are not grouped.
OF_MODELS: dict[str, dict[str, Any]] = {
    "tol": {"show_default": "0.0001; 1e-06 for kmeans and orthogonal"},
    "restarts": {"show_default": "1; 10 for kmeans and orthogonal"},
}


# Options that several commands share.


def option(*names: str, variable: bool = True, **rest: Any) -> Callable[[F], F]:
    """Return a decorator that adds an option, which a variable of its name sets as well unless `variable` is false."""
    long = next(name for name in names if name.startswith("--"))
    if variable:
        rest["envvar"] = PREFIX + long[2:].replace("-", "_").upper()
    return click.option(*names, cls=Option, **rest)


def flag(*names: str, help: str, **rest: Any) -> Callable[[F], F]:
    """Return a decorator that adds an option without a value."""
    return option(*names, is_flag=True, help=help, **rest)


def several(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Return one decorator that adds the options of several, in this order."""

    def decorate(function: F) -> F:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def _begin_log(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    if path is not None and not ctx.resilient_parsing:
        console.log_to(path)
        console.log(shlex.join(["nmfsep", *sys.argv[1:]]))


reporting = several(
    option(
        "--log",
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        is_eager=True,
        callback=_begin_log,
        help="Add all messages to this file, with times.",
    ),
    flag("-q", "--quiet", help="Print errors only."),
    flag("--json", "as_json", help="Print JSON instead, a line for each input."),
    flag("--debug", variable=False, help="Show the traceback of a bug."),
)
verbose = flag("-v", "--verbose", help="Print how the fit went.")
without_bar = flag("--no-progress", help="No progress bar.")
dry_run = flag("-n", "--dry-run", "only_look", help="Check, print what would be written, stop.")
max_memory = option("--max-memory", "limit", type=Size(), help="Such as 2G; three quarters of what is free.")
in_parts = option("--max-memory", "limit", type=Size(), help="Such as 2G; more is done a part at a time.")
listed_names = several(
    option("--files-from", section="Input", metavar="FILE|-", type=click.Path(), help="Read more names, one a line."),
    flag("-0", "--null", section="Input", variable=False, help="Names in --files-from end with NUL (find -print0)."),
)
several_jobs = several(
    option(
        "-j", "--jobs", "count", type=Whole(0, 1024, {"auto": 0}), default=1, show_default=True,
        help="Files at a time; auto is one for each core.",
    ),
    option("--scheduler", metavar="ADDRESS", help="Work at the workers of this Dask scheduler."),
)  # fmt: skip
batch = several(
    flag("-r", "--recursive", section="Input", help="Take all sounds in and below folders."),
    several_jobs,
    flag("--skip-existing", help="Skip inputs whose stems are up to date."),
    flag("--fail-fast", help="Stop at the first input that fails."),
    option("--depfile", section="Output", metavar="FILE", type=click.Path(), help="Write dependencies for make."),
    flag("--print-outputs", variable=False, help="With -n: print all names, and look no further."),
)
# short ways to name a format; those of the samples are named in the help of --subtype
formats = several(
    flag("--flac", section="Output", help="Write FLAC: --format flac."),
    *(
        option(f"--{name}", "short", section="Output", flag_value=name, hidden=True, variable=False)
        for name in SUBTYPES
    ),
)


def cues(function: F) -> F:
    """Add an option for each cue."""
    flags = {"dictionary": ["-m", "--dictionary"]}
    found = []
    for name, summary in CUES.items():
        takes, _, text = summary.partition(": ")
        names = (*flags.get(name, [f"--{name}"]), f"cue_{name}")
        found.append(option(*names, section="Guidance", multiple=True, metavar=takes, type=click.Path(), help=text))
    return several(*found)(function)


# From options to settings.


def explicit(ctx: click.Context) -> frozenset[str]:
    """Return the names of the parameters that stand on the command line."""
    return frozenset(name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE)


def given(ctx: click.Context, settings: type[Options]) -> dict[str, Any]:
    """Return the fields that the user gave, on the command line or by a variable, with their values."""
    sources = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    names = [own.name for own in fields(settings) if ctx.get_parameter_source(own.name) in sources]
    return {name: ctx.params[name] for name in names}


def settings_of(ctx: click.Context, settings: type[S], some: Collection[str] | None = None, /, **changes: Any) -> S:
    """Return settings with the values of their options, or of some; as given count those on the command line."""
    names = [own.name for own in fields(settings) if own.name in ctx.params and (some is None or own.name in some)]
    values = {name: ctx.params[name] for name in names} | changes
    return settings(**values, given=explicit(ctx) & set(names))


def blind_settings(ctx: click.Context, own: dict[str, Any], hint: str) -> Settings:
    """Return the settings of a separation without guidance from the fields that were given; `hint` says how to give -k.

    A variable is a habit: it is left out where the model has no such option, and where it is for guidance.
    """
    from ..models.by_name import has_levels, options_of, require_options, require_parts
    from ..separation.obstacles import OWN

    model, preset, levels = own.get("model", "nmf"), own.get("preset"), own.get("levels")
    unfit = {field.name for field in fields(Settings) if field.metadata["section"] == "Guidance"}
    if preset is not None or has_levels(model):
        unfit.add("components")
    if preset is None:
        unfit |= set(OWN) - set(options_of(model))
    habits = {name for name in own if ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT}
    own = {name: value for name, value in own.items() if name not in unfit & habits}
    if preset is not None:
        if "components" in own or levels:
            raise UsageError(f"--preset {preset} says which stems there are", "leave out -k and --levels")
    else:
        if not has_levels(model) and own.get("components") is None and levels is None:
            raise UsageError("how many stems is not said", hint)
        require_parts(model, own.get("components"), levels)
        require_options(model, [name for name in OWN if name in own])
    return Settings(**with_preset_defaults(own), given=own)


def output_settings(ctx: click.Context) -> OutputSettings:
    """Return where and how to write, from the options of the settings and the short ways to name a format."""
    refuse_terminal(ctx.params["out"])
    flac, short, container, subtype = (ctx.params[name] for name in ("flac", "short", "format", "subtype"))
    if flac and container not in (None, "flac"):
        raise UsageError(f"--flac and --format {container} contradict each other")
    if short and subtype:
        raise UsageError(f"--{short} and --subtype contradict each other")
    container = "flac" if flac else container or OutputSettings().format
    return settings_of(ctx, OutputSettings, format=container, subtype=SUBTYPES[short] if short else subtype)


# What several commands do first.


def refuse_terminal(out: str) -> None:
    """Refuse to write sound to a terminal."""
    if out == "-" and sys.stdout.isatty():
        raise UsageError("-o - would write sound to the terminal", "send it on: ... -o - > out.wav, or | a program")


def one_thread_of_blas() -> None:
    """Have BLAS use one thread, as the program's own threads divide the work.

    BLAS reads these variables while it is loaded. Where it is loaded already, they would say what is not so, and
    `Workers` takes the threads away instead.
    """
    if "numpy" not in sys.modules:
        os.environ.update(dict.fromkeys(BLAS_VARIABLES, "1"))


@contextmanager
def memory_hint(hint: str, path: str | None = None) -> Iterator[None]:
    """Say what to try where memory does not suffice."""
    try:
        yield
    except MemoryError as error:
        raise InputError("memory does not suffice", hint, path) from error


def require_input(path: str) -> None:
    """Refuse a file that is not there, before anything large is loaded."""
    if path != "-" and not exists(path):
        raise UsageError("no such file or directory", "check the name", path)


def input_names(ctx: click.Context, paths: Sequence[str], files_from: str | None, null: bool) -> list[str]:
    """Return the names on the command line and those in a list; refuse none at all, and standard input twice."""
    from ..jobs.inputs import listed

    names = list(paths)
    if files_from is None:
        if null:
            raise UsageError("-0 says how --files-from is read, which is not given")
        if not names:
            param = next(param for param in ctx.command.params if isinstance(param, click.Argument))
            raise click.MissingParameter(ctx=ctx, param=param)
        return names
    twice = UsageError("standard input can be read only once")
    if files_from == "-" and "-" in names:
        raise twice
    names += listed(files_from, null)
    if not names:
        raise UsageError("names no input", path=files_from)
    if files_from == "-" and "-" in names:
        raise twice
    return names
