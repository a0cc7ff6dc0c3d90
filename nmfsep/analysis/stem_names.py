"""Names of stems by how they sound: 1-A4, 2-low-drum-62Hz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

LOW, HIGH = 150, 2500  # hertz, below and above which a sound is low and high
STRUCK = 0.5  # percussiveness from which a sound is a stroke
LOWEST = 100  # hertz below which what is struck is a drum, though kick drums have a pitch
NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")  # no sharps, which shells take for comments


def titles(names: Sequence[str], stems: Sequence[dict[str, Any]], single: Sequence[bool]) -> tuple[str, ...]:
    """Return the names of stems with those that are only numbered replaced by their number and what they sound like.

    All are different: a stem keeps its name where the other would be that of one before.

    Parameters
    ----------
    names : sequence of str
        As `arrange` gives them; component-N and group-N are numbered.
    stems : sequence of dict
        As `diagnose` describes them, {} where there is nothing to say.
    single : sequence of bool
        Whether a stem has one template, so that its pitch is that of all it sounds.
    """
    taken, found = {name.casefold() for name in names}, []
    for name, about, alone in zip(names, stems, single, strict=True):
        numbered = re.fullmatch(r"(?:component|group)-([0-9]+)", name)
        title = f"{numbered[1]}-{sounds_like(about, alone)}" if numbered and about else name
        if title.casefold() in taken:
            title = name
        taken.add(title.casefold())
        found.append(title)
    return tuple(found)


def sounds_like(about: dict[str, Any], single: bool) -> str:
    """Return what a stem sounds like, in letters, digits and hyphens; `single` says that it has one template."""
    centre, pitch, struck = about["centre"], about["pitch"], about["percussiveness"] >= STRUCK
    if not centre:
        return "silent"
    if single and pitch and not (struck and pitch["hertz"] < LOWEST):
        return f"{NOTES[pitch['midi'] % 12]}{pitch['midi'] // 12 - 1}"
    height = "low" if centre < LOW else "high" if centre > HIGH else "mid"
    return f"{height}-{'drum-' if struck else ''}{float(f'{centre:.2g}'):.0f}Hz"
