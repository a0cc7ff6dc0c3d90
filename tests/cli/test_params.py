"""What numbers, times, sizes and names the options take, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from cli_harness import ROOT

from nmfsep.cli.params import Name, Real, Size, Time, Whole
from nmfsep.registry import DIVERGENCES, SOLVERS

# str.isdigit and int() take all of these for numbers
NOT_ASCII = ["\uff14", "\u0664", "\u00b2", "\U0001d7d2", "1\u0660"]
NOT_PLAIN = ["", " ", " 4", "4 ", "4\n", "1_000", "0x4", "4,5", "four", "--4"]


def refused(kind: click.ParamType, value: str) -> bool:
    """Whether a value is refused as click does it."""
    try:
        kind.convert(value, None, None)
    except click.BadParameter:
        return True
    return False


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("4", 4), ("007", 7), ("1" * 30, int("1" * 30))])
def test_whole_takes_ascii_digits(text: str, value: int) -> None:
    assert Whole().convert(text, None, None) == value


@pytest.mark.parametrize("text", [*NOT_ASCII, *NOT_PLAIN, "-1", "+1", "4.0", "1e3", "nan", "inf", "1" * 31])
def test_whole_refuses_everything_else(text: str) -> None:
    assert refused(Whole(), text)


@pytest.mark.parametrize(("text", "good"), [("0", False), ("1", True), ("8", True), ("9", False)])
def test_whole_keeps_to_its_range_on_both_sides(text: str, good: bool) -> None:
    assert refused(Whole(1, 8), text) is not good


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("1.5", 1.5), ("-2", -2), ("+.5", 0.5), ("5.", 5), ("1e-4", 1e-4), ("2E+3", 2000), ("0e9", 0)],
)
def test_real_takes_plain_numbers(text: str, value: float) -> None:
    assert Real().convert(text, None, None) == value


@pytest.mark.parametrize(
    "text", [*NOT_ASCII, *NOT_PLAIN, "nan", "NaN", "inf", "-Infinity", "1e999", "1e-400", ".", "e5", "1e", "1e5.0"]
)
def test_real_refuses_what_is_not_plain_finite_and_representable(text: str) -> None:
    assert refused(Real(), text)


@pytest.mark.parametrize(("text", "good"), [("-0.001", False), ("0", True), ("1", True), ("1.001", False)])
def test_real_keeps_to_its_range_on_both_sides(text: str, good: bool) -> None:
    assert refused(Real(0, 1), text) is not good


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("12.5", 12.5), ("1:30", 90), ("01:05.25", 65.25), ("2:00:01", 7201), ("90:00", 5400), ("90", 90)],
)
def test_time_takes_seconds_and_clock_spellings(text: str, seconds: float) -> None:
    assert Time().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", [*NOT_ASCII, *NOT_PLAIN, "-1", "1:60", "1:-5", "1.5:30", ":30", "1:", "1:2:3:4", "nan", "1:nan", "inf"]
)
def test_time_refuses_everything_else(text: str) -> None:
    assert refused(Time(), text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("800M", 800 << 20), ("2g", 2 << 30), ("64KiB", 64 << 10), ("1TB", 1 << 40), ("100B", 100)],
)
def test_size_takes_binary_units(text: str, count: int) -> None:
    assert Size().convert(text, None, None) == count


@pytest.mark.parametrize("text", [*NOT_ASCII, *NOT_PLAIN, "0", "0G", "-1G", "1.5.5G", "5X", "G", "1 G", "nan"])
def test_size_refuses_everything_else(text: str) -> None:
    assert refused(Size(), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("kl", "kl"), ("fro", "frobenius"), ("itakura-saito", "is"), ("0.5", 0.5), ("-1", -1.0), ("2", 2.0)],
)
def test_name_takes_names_aliases_and_where_allowed_numbers(text: str, value: str | float) -> None:
    assert Name(DIVERGENCES, number=True).convert(text, None, None) == value


@pytest.mark.parametrize("text", ["", "KL ", "nan", "inf", "1_0", "1e999"])
def test_name_refuses_what_is_neither(text: str) -> None:
    assert refused(Name(DIVERGENCES, number=True), text)


def test_name_takes_a_number_only_where_allowed() -> None:
    assert refused(Name(DIVERGENCES), "2")


@pytest.mark.parametrize("names", [SOLVERS, {"mu": "", "hals": ""}], ids=["registry", "table"])
def test_name_answers_with_the_nearest(names: dict[str, str]) -> None:
    with pytest.raises(click.BadParameter, match="did you mean 'hals'"):
        Name(names).convert("halls", None, None)
    with pytest.raises(click.BadParameter, match=r"choose from .*hals, mu"):
        Name(names).convert("zzzzzz", None, None)
    assert Name(names, ("auto",)).convert("auto", None, None) == "auto"


def test_name_counts_auto_among_the_nearest() -> None:
    with pytest.raises(click.BadParameter, match="did you mean 'auto'"):
        Name(SOLVERS, ("auto",)).convert("atuo", None, None)


def test_types_need_no_subscript_of_click_which_had_none_before_8_4():
    code = (
        "import click\n"
        "class Plain(click.ParamType):\n"
        "    def __class_getitem__(cls, kind): raise TypeError('not subscriptable')\n"
        "click.ParamType = Plain\n"
        "import nmfsep.cli.main as main\n"
        "context = main.click.Context(main.cli)\n"
        "for name in main.COMMANDS: main.cli.get_command(context, name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
