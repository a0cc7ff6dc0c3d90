"""Parameter types: values of options, stricter than in click itself, which takes 1_000, full-width digits and nan."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..registry import Registry, suggestion

if TYPE_CHECKING:
    from click import ParamType
else:

    class ParamType(click.ParamType):
        """click's own, which took no subscript before version 8.4."""

        def __class_getitem__(cls, kind: object) -> type:
            return cls


REAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


class Whole(ParamType[int]):
    """A whole number in plain ASCII digits within a range."""

    name = "N"

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low, self.high = low, high

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what help shows, in the case in which it is typed."""
        return self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if isinstance(value, int):
            return value
        if not re.fullmatch(r"[0-9]{1,30}", value, re.ASCII):
            self.fail(f"{value!r} is not a whole number", param, ctx)
        _within(self, int(value), self.low, self.high, param, ctx)
        return int(value)


class Jobs(Whole):
    """A number of processes; auto is 0."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        return 0 if value == "auto" else super().convert(value, param, ctx)


class WholeOrAuto(Whole):
    """The same, or auto, which is None."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or None for auto."""
        return None if value == "auto" else super().convert(value, param, ctx)


AUTO = "auto"


class Count(Whole):
    """A whole number, or AUTO."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or AUTO."""
        return AUTO if value == AUTO else super().convert(value, param, ctx)


class Wholes(ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        return tuple(Whole(1).convert(part.strip(), param, ctx) for part in value.split(","))


class Real(ParamType[float]):
    """A finite number within a range."""

    name = "X"

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        if isinstance(value, (int, float)):
            return float(value)
        number = _real(value)
        if number is None:
            self.fail(f"{value!r} is not a finite number", param, ctx)
        _within(self, number, self.low, self.high, param, ctx)
        return number


class Time(ParamType[float]):
    """A time: seconds, or [h:]m:s."""

    name = "T"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        *large, small = value.split(":")
        seconds = _real(small)
        whole = len(large) <= 2 and all(re.fullmatch(r"[0-9]{1,9}", part, re.ASCII) for part in large)
        if seconds is None or seconds < 0 or not whole or (large and seconds >= 60):
            self.fail(f"{value!r} is not a time; give seconds, m:s or h:m:s", param, ctx)
        for power, part in enumerate(reversed(large), 1):
            seconds += int(part) * 60**power
        return seconds


class Size(ParamType[int]):
    """A size in bytes, such as 800M or 2G."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return bytes."""
        from ..memory import parse_size

        size = value if isinstance(value, int) else parse_size(value)
        if not size:
            self.fail(f"{value!r} is not a size; give one such as 800M or 2G", param, ctx)
        return size


class Name(ParamType[str | float]):
    """A name in a registry or table, or also a number where `number` says so; a near miss is answered."""

    def __init__(self, names: Registry | dict[str, str], extra: tuple[str, ...] = (), number: bool = False) -> None:
        self.names, self.extra, self.number = names, extra, number
        self.name = "|".join([*extra, *names, *(["BETA"] if number else [])])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """Return the canonical name, or the number."""
        if value in self.extra or isinstance(value, float):
            return value  # type: ignore[no-any-return]
        number = _real(value) if self.number else None
        if number is not None:
            return number
        if isinstance(self.names, Registry):
            try:
                return self.names.resolve(value)
            except UsageError as error:
                known = [*self.extra, *self.names, *self.names.aliases]
                self.fail(f"{error.message}; {suggestion(value, known)}", param, ctx)
        if value not in self.names:
            self.fail(f"{value!r} is unknown; {suggestion(value, [*self.extra, *self.names])}", param, ctx)
        return str(value)


def _real(text: str) -> float | None:
    """Return the finite number that a plain spelling means, None for anything else or what underflows."""
    if not re.fullmatch(REAL, text, re.ASCII):
        return None
    number = float(text)
    mantissa = re.split("[eE]", text)[0]
    if not math.isfinite(number) or (number == 0 and re.search("[1-9]", mantissa)):
        return None
    return number


def _within(
    kind: click.ParamType[Any],
    number: float,
    low: float | None,
    high: float | None,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> None:
    if (low is not None and number < low) or (high is not None and number > high):
        shown, least, most = (str(n) if isinstance(n, int) else f"{n:g}" for n in (number, low or 0, high or 0))
        upper = "" if high is None else f" and at most {most}"
        kind.fail(f"{shown} must be at least {least}{upper}", param, ctx)
