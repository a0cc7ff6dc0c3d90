"""Help is true: what it lists is accepted, what it shows as a default holds, and each option stands where it belongs.

The tests go over all commands and all their options, so that a new one is held to the same.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

import nmfsep.registry
from nmfsep.cli.main import COMMANDS, cli
from nmfsep.cli.options import CONTRADICTIONS, Command, Option
from nmfsep.cli.params import Name, Real, Whole
from nmfsep.errors import UsageError
from nmfsep.grouping.atoms import method_note
from nmfsep.guidance.dictionary import Dictionaries
from nmfsep.guidance.excerpt_cue import Excerpts
from nmfsep.guidance.guide import Guide
from nmfsep.models.by_name import options_of, rehearse
from nmfsep.registry import MASKS, MODELS, PRESETS, SOLVERS, Registry
from nmfsep.separation.fit import resolved
from nmfsep.separation.obstacles import require_model
from nmfsep.settings.commands import (
    DetectSettings,
    EvaluationSettings,
    FactorizeSettings,
    LearnSettings,
    OutputSettings,
)
from nmfsep.settings.separation import (
    ALONE,
    CLUSTERS,
    CONDITIONS,
    DICTIONARY,
    GROUPED,
    GUIDED,
    Settings,
    with_preset_defaults,
)

GROUP = click.Context(cli)
COMMAND = {name: cli.get_command(GROUP, name) for name in COMMANDS}
OPTIONS = [
    (name, option)
    for name, command in COMMAND.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.hidden
]
IDS = [f"{name} {option.opts[0]}" for name, option in OPTIONS]
REGISTRIES = {name: value for name, value in vars(nmfsep.registry).items() if isinstance(value, Registry)}


def words(command: str) -> list[str]:
    """Return arguments with which a command can be parsed, and no more."""
    found = ["x"]
    for param in COMMAND[command].params:
        if isinstance(param, click.Option) and param.required:
            found += [param.opts[0], "x"]
        elif isinstance(param, click.Argument) and param.required and command == "evaluate" and len(found) < 2:
            found.append("y")
    return found if command != "completion" else ["bash"]


def shown(command: str, option: click.Option) -> str:
    """Return the help of an option, in one line."""
    with click.Context(COMMAND[command], info_name=command) as context:
        record = option.get_help_record(context)
    assert record is not None
    return " ".join(" ".join(record).split())


def default_shown(command: str, option: click.Option) -> str | None:
    found = re.search(r" \[([^][]*)\]$", shown(command, option))
    return found[1] if found else None


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=IDS)
def test_the_default_that_help_shows_is_the_one_that_holds(command: str, option: click.Option) -> None:
    text = default_shown(command, option)
    if text is None or text == "required":
        return
    assert "(" not in text
    first = text.split("; ")[0]
    context = COMMAND[command].make_context(command, words(command))
    value = context.params[option.name or ""]
    if value is None:  # it is decided later
        value = {"restarts": 8 if command == "split" else 1, "format": OutputSettings().format}[option.name or ""]
    assert first == (
        f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
    ) or (float(first) == value)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=IDS)
def test_what_an_option_lists_it_takes(command: str, option: click.Option) -> None:
    text, kind = shown(command, option), option.type
    if isinstance(kind, Name):
        names = [*kind.extra, *kind.names, *(kind.names.aliases if isinstance(kind.names, Registry) else ())]
        listed = dict.fromkeys([*kind.extra, *kind.names])
        assert "|".join(listed) in text or ", ".join(listed) in text
        for name in names:
            assert kind.convert(name, option, None)
    elif isinstance(kind, Whole) and "auto" in text.split()[1 if text.count(",") == 0 else 2]:
        assert "N|auto" in text
        kind.convert("auto", option, None)
    assert "AUTO" not in text


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=IDS)
def test_what_lies_beyond_a_range_is_refused(command: str, option: click.Option) -> None:
    kind = option.type
    if not isinstance(kind, (Whole, Real)):
        return
    for bound, beyond in ((kind.low, -1), (kind.high, 1)):
        if bound is not None:
            kind.convert(repr(bound), option, None)
            with pytest.raises(click.BadParameter, match=r"at least|whole number"):
                kind.convert(repr(bound + beyond), option, None)


def test_an_option_stands_in_the_section_of_its_own_settings() -> None:
    sections = {}
    for command, option in OPTIONS:
        if isinstance(option, Option):
            sections[command, option.name] = option.section
    assert sections["factorize", "free"] == "Model"
    assert sections["split", "free"] == "Guidance"
    for kind, command in ((Settings, "split"), (FactorizeSettings, "factorize")):
        for setting in fields(kind):
            if setting.metadata["section"] and setting.name != "consistency":  # which help shows no more
                assert sections[command, setting.name] == setting.metadata["section"]
    text = COMMAND["factorize"].get_help(click.Context(COMMAND["factorize"], info_name="factorize"))
    assert "Guidance options" not in text
    assert text.index("Model options") < text.index("--free") < text.index("Input options")


@pytest.mark.parametrize(
    ("command", "name", "former", "value"),
    [
        ("split", "free", ["--background", "--free"], "7"),
        ("split", "label", ["--stem-names", "--label"], "auto"),
        ("render", "label", ["--stem-names", "--label"], "auto"),
        ("split", "divergence", ["--divergence", "--beta-loss"], "is"),
        ("learn", "divergence", ["--divergence", "--beta-loss"], "is"),
    ],
)
def test_an_older_name_of_an_option_is_taken_and_not_shown(
    command: str, name: str, former: list[str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (option,) = (option for owner, option in OPTIONS if (owner, option.name) == (command, name))
    assert shown(command, option).startswith(former[0] + " ")
    assert former[1] not in shown(command, option)
    runs = [COMMAND[command].make_context(command, [*words(command), flag, value]) for flag in former]
    for flag in former:
        monkeypatch.setenv("NMFSEP_" + flag[2:].replace("-", "_").upper(), value)
        if flag != "--beta-loss":  # which never had a variable
            runs.append(COMMAND[command].make_context(command, words(command)))
        monkeypatch.undo()
    assert {str(context.params[name]) for context in runs} == {value}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_summary_can_be_read_alone(registry: str) -> None:
    for summary in REGISTRIES[registry].values():
        assert not re.match("(the same|as above|likewise)", summary)


# Each name that help lists is accepted in some run, and in others refused for what it is, not as unknown.


def attempt(model: str, option: str, name: str) -> str | None:
    """Return why a model does not take a name in split, None if it does."""
    own: dict[str, Any] = {"levels": (4, 2)} if model.startswith("deep") else {"components": 3}
    for beta in ("kl", "frobenius"):
        more = {"divergence": beta} if beta != "kl" and "divergence" in options_of(model) else {}
        try:
            require_model(Settings(model=model, **{**own, **more, option: name}))
        except UsageError as error:
            refusal = str(error)
        else:
            return None
    return refusal


LISTED = [
    (setting.name, name)
    for setting in fields(Settings)
    for name in (setting.metadata["names"] or ())
    if setting.name not in ("model", "preset")
]


@pytest.mark.parametrize(("option", "name"), LISTED, ids="=".join)
def test_a_name_listed_by_split_is_taken_by_some_model_and_unknown_to_none(option: str, name: str) -> None:
    refusals = [attempt(model, option, name) for model in MODELS]
    assert None in refusals
    assert not [text for text in refusals if text and "unknown" in text]


@pytest.mark.parametrize("model", MODELS)
def test_every_start_and_solver_of_factorize_is_taken_or_refused_with_the_models_that_take_it(model: str) -> None:
    for option in {"start", "solver"} & set(options_of(model)):
        refusals = []
        for name in FactorizeSettings.__dataclass_fields__[option].metadata["names"]:
            for more in ({}, {"divergence": "frobenius"}) if "divergence" in options_of(model) else ({},):
                try:
                    rehearse(model, {option: name, **more})
                    refusals.append("")
                except UsageError as error:
                    refusals.append(str(error))
        assert refusals.count("") >= 2
        assert not [text for text in refusals if "unknown" in text]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_start_that_help_tells_for_a_solver_is_taken(solver: str) -> None:
    (option,) = (option for command, option in OPTIONS if command == "factorize" and option.name == "start")
    filling = re.search(r"nndsvd for (.*?), svd for", shown("factorize", option))
    assert filling is not None
    assert (solver in re.split(", | and ", filling[1])) == SOLVERS.load(solver).fills


def test_every_mask_that_evaluate_lists_can_be_one_of_true_stems() -> None:
    (option,) = (option for command, option in OPTIONS if command == "evaluate" and option.name == "mask")
    assert isinstance(option.type, Name)
    assert list(option.type.names) == list(MASKS)


def test_only_what_can_be_done_in_parts_is_told_to_be() -> None:
    for command, option in OPTIONS:
        if option.opts == ["--max-memory"]:
            assert ("a part at a time" in shown(command, option)) == (command in ("split", "render"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_taken(preset: str) -> None:
    require_model(Settings(**with_preset_defaults({"preset": preset})))


# Defaults under conditions.


def test_every_conditional_default_is_shown_by_split() -> None:
    for condition, values in CONDITIONS.items():
        for name, value in values.items():
            (option,) = (option for command, option in OPTIONS if command == "split" and option.name == name)
            wanted = f"{value if isinstance(value, str) else format(value, 'g')} {condition}"
            assert wanted in (default_shown("split", option) or "")


def test_defaults_under_conditions_are_those_that_hold(kit: Dictionaries) -> None:
    timed = Excerpts({"a": [(0.0, 1.0)], "b": [(1.0, 2.0)]})
    for cue in (kit, timed):
        settings = Guide((cue,)).settings()
        assert {name: getattr(settings, name) for name in GUIDED} == GUIDED
    assert Guide((kit,)).settings().sparsity == DICTIONARY["sparsity"]
    assert Guide((timed,)).settings().sparsity == Settings().sparsity
    assert Guide((Excerpts({"a": [(0.0, 1.0)]}),)).settings().free == ALONE["free"]
    assert resolved(Settings())["atoms_fit"] == GROUPED
    for model in ("kmeans", "orthogonal"):
        assert {name: resolved(Settings(model=model))[name] for name in CLUSTERS} == CLUSTERS


@pytest.fixture
def kit() -> Dictionaries:
    """Return the cue of a dictionary of two labels."""
    import numpy as np

    from nmfsep import Audio, learn

    rng = np.random.default_rng(0)
    sounds = {name: Audio(rng.standard_normal((1, 8000)).astype(np.float32), 8000) for name in ("a", "b")}
    return Dictionaries((learn(sounds, components="2", max_iter=2, threads=1),))


# Options that contradict each other.


@pytest.mark.parametrize("pair", CONTRADICTIONS, ids=" ".join)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_contradicts_itself_is_refused_by_every_command(
    command: str, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {option.name: option for name, option in OPTIONS if name == command}
    if not set(pair) <= set(known):
        return
    assert isinstance(COMMAND[command], Command)
    first, second = (known[name].opts[-1] for name in pair)
    for given in itertools.permutations((first, second)):
        with pytest.raises(UsageError, match=f"{first} and {second} contradict each other"):
            COMMAND[command].make_context(command, [*words(command), *given])
    monkeypatch.setenv(f"NMFSEP_{pair[1].upper()}", "1")  # of a habit and a wish the wish counts
    context = COMMAND[command].make_context(command, [*words(command), first], auto_envvar_prefix=None)
    assert context.params[pair[0]] is True
    assert context.params[pair[1]] is False


@pytest.mark.parametrize("command", ["split", "render"])
def test_two_sample_formats_are_refused(command: str) -> None:
    for pair in itertools.permutations(("--int16", "--int24", "--float32"), 2):
        with pytest.raises(UsageError, match="contradict each other"):
            COMMAND[command].make_context(command, ["x", *pair])
    assert COMMAND[command].make_context(command, ["x", "--int24", "--int24"]).params["short"] == "int24"


def test_a_note_names_an_option_as_it_is_typed() -> None:
    note = method_note(Settings(divergence=2.0, solver="hals"))
    assert note == "--solver hals: one component a stem, not groups of atoms"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_an_option_that_it_does_not_look_at(command: str) -> None:
    callback = inspect.unwrap(COMMAND[command].callback)
    tree = ast.parse(Path(inspect.getfile(callback)).read_text())
    (function,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == callback.__name__)
    names = {node.id for line in function.body for node in ast.walk(line) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    kinds = (Settings, OutputSettings, LearnSettings, EvaluationSettings, FactorizeSettings, DetectSettings)
    settings = {setting.name for kind in kinds for setting in fields(kind)}
    arguments = set(inspect.signature(callback).parameters)
    for option in (option for name, option in OPTIONS if name == command):
        if option.name not in ("debug", "log"):  # of main, and of all
            known = names if option.name in arguments else texts | settings
            assert option.name in known or option.name.startswith("cue_"), option.name
