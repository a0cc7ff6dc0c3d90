"""Where and how stems are written."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import EXPORTS
from .choices import CLIP_MODES, CONTAINERS, TITLES
from .knob import check_all, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Where and how stems are written; checked on construction.

    Raises
    ------
    UsageError
        A value is out of its range or contradicts another.
    """

    out: str = knob("separated", "Folder to write to; - writes one WAV file to standard output.", group="Output")
    filename: str = knob(
        "{track}/{stem}.{ext}",
        "Names below the folder. Fields: {track} {stem} {ext} {index} {parent} {k} {seed}.",
        group="Output",
    )
    label: str = knob("number", "What a stem that nobody has named is called.", names=TITLES, group="Output")
    format: str = knob("wav", "Container of the stems.", names=CONTAINERS, group="Output")
    subtype: str | None = knob(
        None, "Sample format, such as PCM_24 or FLOAT; the input's if not given.", group="Output"
    )
    clip_mode: str = knob(
        "clamp", "What to do where a stem would leave the range of integers.", names=CLIP_MODES, group="Output"
    )
    only: tuple[str, ...] = knob((), "Write only the stems of these names.", group="Output")
    save_model: bool = knob(False, "Keep the factorization, too, as {track}.nmf.npz, for render.", group="Output")
    export_midi: bool = knob(
        False, "Write the notes of each stem, too, as {track}.mid, by pitches and onsets.", group="Output"
    )
    export_labels: bool = knob(
        False, "Write when each stem sounds, too, as {track}.labels.txt, a label track of Audacity.", group="Output"
    )
    force: bool = knob(False, "Replace files of another program, or made from another input.", group="Output")
    offset: float = knob(0.0, "Begin here.", low=0, unit="time", group="Signal")
    duration: float | None = knob(
        None, "Take this much; all to the end if not given.", low=0, unit="time", group="Signal"
    )

    @property
    def exports(self) -> tuple[str, ...]:
        """What is written beside the stems, by names of the registry."""
        return tuple(name for name in EXPORTS if getattr(self, f"export_{name}"))

    @property
    def keeps(self) -> bool:
        """Whether activations are needed once the stems are rendered."""
        return self.save_model or self.label == "auto" or bool(self.exports)

    def __post_init__(self) -> None:
        check_all(self)
        if self.duration == 0:
            raise UsageError("a duration of 0 leaves nothing to separate")
