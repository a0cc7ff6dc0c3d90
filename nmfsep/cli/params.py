"""Parameter types: values of options, stricter than in click itself, which takes 1_000, full-width digits and nan."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..registry import Registry, suggestion

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # which took no subscript before version 8.4
REAL = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
AUTO = "auto"


class Text(ParamType):
    """A text that `_read` turns into a value, or into None where it is not `what`.

    Numbers keep to their range from `low` to `high`; `words` are other texts that are taken, each with its value.
    """

    name = what = ""

    def __init__(
        self, low: float | None = None, high: float | None = None, words: Mapping[str, Any] | None = None
    ) -> None:
        self.low, self.high, self.words = low, high, words or {}
        self.name = "|".join([self.name, *self.words])

    def _read(self, text: str) -> Any:
        raise NotImplementedError

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; a default is one already."""
        if not isinstance(value, str) or value.lower() in self.words:
            return self.words.get(str(value).lower(), value)
        found = self._read(value)
        if found is None:
            self.fail(f"{value!r} is not {self.what}", param, ctx)
        if (self.low is not None and found < self.low) or (self.high is not None and found > self.high):
            upper = "" if self.high is None else f" and at most {_plain(self.high)}"
            self.fail(f"{_plain(found)} must be at least {_plain(self.low or 0)}{upper}", param, ctx)
        return found


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


class Whole(Text):
    """A whole number in plain ASCII digits."""

    name, what = "N", "a whole number"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what help shows, in the case in which it is typed."""
        return self.name

    def _read(self, text: str) -> int | None:
        return int(text) if re.fullmatch(r"[0-9]{1,30}", text, re.ASCII) else None


class Wholes(Text):
    """Whole numbers from 1 on with commas between them."""

    name = "N,N,..."

    def _read(self, text: str) -> tuple[int, ...]:
        return tuple(Whole(1).convert(part.strip(), None, None) for part in text.split(","))


class Real(Text):
    """A finite number."""

    name, what = "X", "a finite number"

    def _read(self, text: str) -> float | None:
        if not re.fullmatch(REAL, text, re.ASCII):
            return None
        number = float(text)
        mantissa = re.split("[eE]", text)[0]
        underflows = number == 0 and re.search("[1-9]", mantissa)
        return None if underflows or not math.isfinite(number) else number


class Time(Text):
    """A time: seconds, or [h:]m:s; in seconds."""

    name, what = "T", "a time; give seconds, m:s or h:m:s"

    def _read(self, text: str) -> float | None:
        *large, small = text.split(":")
        seconds = Real()._read(small)
        whole = len(large) <= 2 and all(re.fullmatch(r"[0-9]{1,9}", part, re.ASCII) for part in large)
        if seconds is None or seconds < 0 or not whole or (large and seconds >= 60):
            return None
        for power, part in enumerate(reversed(large), 1):
            seconds += int(part) * 60**power
        return seconds


class Size(Text):
    """A size such as 800M or 2G; in bytes."""

    name, what = "SIZE", "a size; give one such as 800M or 1.5G"

    def _read(self, text: str) -> int | None:
        from ..memory import parse_size

        return parse_size(text) or None


class Name(Text):
    """A name in a registry or table, or also a number where `number` says so; a near miss is answered."""

    def __init__(self, names: Registry | dict[str, str], extra: tuple[str, ...] = (), number: bool = False) -> None:
        super().__init__()
        self.names, self.extra, self.number = names, extra, number
        self.name = "|".join([*extra, *names, *(["BETA"] if number else [])])

    def _read(self, text: str) -> str | float:
        if text.lower() in self.extra:
            return text.lower()
        number = Real()._read(text) if self.number else None
        if number is not None:
            return number
        if isinstance(self.names, Registry):
            try:
                return self.names.resolve(text)
            except UsageError as error:
                self.fail(f"{error.message}; {suggestion(text, [*self.extra, *self.names, *self.names.aliases])}")
        found = {name.lower(): name for name in self.names}.get(text.lower())
        if found is None:
            self.fail(f"{text!r} is unknown; {suggestion(text, [*self.extra, *self.names])}")
        return found
