"""Tables of numbers as text: comma, semicolon, tab or space between cells, with or without a line of names.

The first line holds names if no cell of it is a number and some cell is a word. An empty cell or one such as NA is a
missing number, no name: a first line with one is a line of the matrix, and the cell is reported like any other.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import warnings
from collections.abc import Iterator
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

HEAD = 1 << 16  # bytes by which the kind of table is recognized
MISSING = {"", "na", "n/a", "nan", "null", "none", "nil", "missing", "-", "--", "?", ".", "<na>"}  # in lower case


class Table:
    """A text file of `size` bytes that holds a matrix; InputError if it is empty, or not text."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        file.seek(0)
        head = file.read(HEAD)
        wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as spreadsheets save "Unicode text"
        self._encoding = "utf-16" if wide else "utf-8-sig"
        if not wide and b"\0" in head:
            raise InputError("is no matrix: neither .npy or .npz nor a table of numbers in text")
        with self._lines() as lines:
            first = next((line for line in lines if _counts(line)), "")
        if not first:
            raise InputError("is empty", "a matrix needs at least one line of numbers")
        self.delimiter = next(  # a mark in quotes divides nothing
            (mark for mark in "\t;," if mark in first and len(self._cells(first, mark)) > 1), None
        )
        cells = self._cells(first, self.delimiter)
        kinds = {_kind(cell) for cell in cells}
        self._named = "name" in kinds and "number" not in kinds
        text = io.StringIO(head.decode(self._encoding, "replace"), newline=None)
        sample = list(itertools.islice(text, 1000))
        count = size * len(sample) / sum(len(line) * (2 if wide else 1) for line in sample)
        self.shape = (round(count) + 1, len(cells))  # lines, about, and cells of a line

    def read(self) -> NDArray[np.float64]:
        """Return the numbers, (lines, columns); InputError names the first line of other length or with no number."""
        with self._lines() as lines, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without numbers
            kept = itertools.islice(filter(_counts, lines), 1 if self._named else 0, None)
            try:
                table = np.loadtxt(kept, np.float64, delimiter=self.delimiter, ndmin=2, quotechar='"')
            except ValueError as error:
                raise self._fault() from error
        if table.size and table.shape[1] != self.shape[1]:
            raise self._fault()
        if not table.size:
            raise InputError("holds no numbers, only a line of names")
        return table

    @contextlib.contextmanager
    def _lines(self) -> Iterator[IO[str]]:
        """Yield the text from its beginning on; the file stays open."""
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, self._encoding, "replace", newline=None)
        try:
            yield text
        finally:
            text.detach()

    def _cells(self, line: str, delimiter: str | None) -> list[str]:
        line = line.split("#")[0].strip("\r\n")
        if delimiter is None:
            return line.split()
        try:
            return next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error as error:  # the cell is longer than any number
            raise InputError(f"holds a cell of more than {csv.field_size_limit()} characters") from error

    def _fault(self) -> InputError:
        """Return what is wrong with the first line that cannot be read."""
        width: int | None = None
        with self._lines() as lines:
            for number, line in enumerate(lines, 1):
                if not _counts(line):
                    continue
                cells = self._cells(line, self.delimiter)
                if width is not None and len(cells) != width:
                    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
                    return InputError(f"line {number} has {count} where the first has {width}")
                first, width = width is None, len(cells)
                if first and self._named:
                    continue
                for column, cell in enumerate(cells, 1):
                    if not _is_number(cell):
                        return _no_number(number, column, cell.strip(), first)
        return InputError("holds a cell that is no number")


def _counts(line: str) -> bool:
    """Whether a line is more than blank or a comment."""
    return bool(line.split("#")[0].strip())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _kind(cell: str) -> str:
    """Return whether a cell is "missing", a "number", though it may be written with a comma, or a "name"."""
    cell = cell.strip()
    if cell.lower() in MISSING:
        return "missing"
    return "number" if _is_number(cell) or _is_number(cell.replace(",", ".", 1)) else "name"


def _no_number(line: int, column: int, cell: str, first: bool) -> InputError:
    where, kind = f"line {line}, column {column}", _kind(cell)
    if kind == "missing":
        what = f"is {cell!r}, a missing number" if cell else "is empty"
        return InputError(f"{where} {what}", "every cell must hold a number: fill it in, or leave out its line")
    if kind == "number":
        hint = "write numbers with a point"
    elif first:
        hint = "a line of names holds no numbers; put # before it, and it is left out"
    elif column == 1:
        hint = "only the first line may hold names; leave out a column of names"
    else:
        hint = "only the first line may hold names"
    return InputError(f"{where}: {cell[:40]!r} is no number", hint)


def lines_of(rows: NDArray[np.generic]) -> Iterator[str]:
    """Yield a matrix as lines of CSV that give its numbers back exactly."""
    for row in rows:
        yield ",".join(map(str, row)) + "\n"
