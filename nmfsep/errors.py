"""The only exceptions that cross a layer: each says what is wrong, where, and what to try."""

from __future__ import annotations

import os
import sys


class NmfsepError(Exception):
    """Something outside the program is wrong and the user can act on it.

    Parameters
    ----------
    message : str
        What is wrong, without a final full stop.
    hint : str, optional
        What to try.
    path : str or bytes or os.PathLike, optional
        The file it is about.
    """

    exit_code = 1

    def __init__(
        self, message: str, hint: str | None = None, path: str | bytes | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = None if path is None else os.fspath(path)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}; {self.hint}"


class InputError(NmfsepError):
    """An input cannot be separated; others of the same batch can."""


class UnreadableError(InputError):
    """A file is there that the system cannot read, which says nothing of what is in it."""


class UsageError(NmfsepError):
    """The request cannot be met, whatever the inputs hold; found before any work starts."""

    exit_code = 2


class OutputError(NmfsepError):
    """An output cannot be written."""

    exit_code = 3


class BugError(NmfsepError):
    """The program is wrong, not what it was given."""

    exit_code = 70


class MismatchError(NmfsepError):
    """What lies on disk is not what its manifest says."""

    exit_code = 4


def install_command(*packages: str, extra: str | None = None) -> str:
    """Return the command that installs packages next to nmfsep, which one of its extras may name."""
    if f"pipx{os.sep}venvs{os.sep}" in sys.prefix:
        return f"pipx inject nmfsep {' '.join(packages)}"
    return f"pip install 'nmfsep[{extra}]'" if extra else f"pip install {' '.join(packages)}"
