"""Model of a mixture: its components at one length of frames or several, from which the stems are rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..grouping.choice import Choice
from ..kernels.select import slower
from ..matching.repeated import Repeated
from ..models.by_name import AnyFit
from ..settings.separation import Settings
from ..signal.audio import Samples
from ..signal.stft import STFT
from .arrange import Grouping, arrange
from .components import Components
from .describe import Diagnosis, descriptors, hints, summarize
from .sequences import Order


@dataclass(frozen=True, slots=True)
class Resolution:
    """The components at one length of frames."""

    stft: STFT
    components: Components


@dataclass(frozen=True, slots=True)
class Rendered:
    """Stems in memory, in which strokes of a dictionary, or what repeats, were looked for."""

    pieces: Sequence[Samples]  # (stems, channels, samples); none where nothing was found: stems are rendered as ever
    strokes: Mapping[str, tuple[int, int]]  # of each label that has any: how many were matched, and how many are heard
    repeated: Repeated | None = None  # strokes that were learned from their repetitions, if those were looked for

    @property
    def found(self) -> bool:
        """Whether any stroke was matched."""
        learned = self.repeated is not None and self.repeated.strokes
        return bool(learned) or any(matched for matched, _ in self.strokes.values())

    def document(self, names: Sequence[str], sample_rate: int) -> dict[str, Any]:
        """Return what was matched as plain values, for stems of these names."""
        if self.repeated is None:
            found = {label: {"matched": matched, "of": heard} for label, (matched, heard) in self.strokes.items()}
            return {"matched": found}
        strokes = [
            {
                "stem": names[each.stem],
                "onsets": [round(max(0, start) / sample_rate, 4) for start in each.starts.tolist()],
                "fit": round(float(each.fits.mean()), 4),
            }
            for each in self.repeated.strokes
        ]
        return {"repeated": {"fit": round(self.repeated.fit, 4), "strokes": strokes}}


@dataclass(frozen=True, slots=True)
class Model:
    """What was learned from a mixture: enough to render its stems.

    The resolutions are the same components at one length of frames or several. The stems are the means over all: where
    the models err, they err apart.
    """

    settings: Settings
    resolutions: tuple[Resolution, ...]
    fits: tuple[AnyFit, ...] = ()  # one, or one for each channel or resolution; none for a saved model
    labels: tuple[str, ...] = ()  # names of the components by a guide, else they are numbered
    notes: tuple[str, ...] = ()  # what the user should know, with the warnings of the fits
    learned_from: tuple[int, int] | None = None  # frames learned from, and all that there are, if these are more
    choice: Choice | None = None  # how many atoms the stems have and how they are grouped, where that was a question
    stem_names: tuple[str, ...] = ()  # of all stems, replacing those that the settings give them
    on_rendered: Callable[[int], object] | None = None  # called with the number of samples that are rendered
    order: Order | None = None  # by which stems are shared out once more
    matched: Rendered | None = None  # stems that are rendered already, since strokes were looked for in them

    @property
    def stft(self) -> STFT:
        """The STFT of the first resolution."""
        return self.resolutions[0].stft

    @property
    def components(self) -> Components:
        """The components of the first resolution."""
        return self.resolutions[0].components

    @property
    def grouping(self) -> Grouping:
        """The stems, and the components of each."""
        return arrange(self.settings, self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each stem."""
        return self.stem_names or self.grouping.names

    @property
    def stems(self) -> Components | None:
        """The stems at the first resolution, without a residual; None where activations were not kept."""
        kept = self.components.kept
        return None if kept is None else kept.merged(self.grouping.members, False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, each once."""
        of_fits = [warning for fit in self.fits for warning in fit.warnings]
        return tuple(dict.fromkeys((*self.notes, *of_fits, *slower())))

    def stems_by_resolution(self) -> Iterator[tuple[STFT, Components]]:
        """Yield at each resolution its STFT and the stems, with the residual if there is one."""
        grouping = self.grouping
        for each in self.resolutions:
            yield each.stft, each.components.merged(grouping.members, grouping.residual)

    def diagnose(self, names: Sequence[str], sample_rate: int) -> Diagnosis:
        """Return the descriptors of the stems, which have these names; nothing where activations were not kept."""
        stems = self.stems
        if stems is None:
            return Diagnosis([{}] * len(names), [], [])
        summary = summarize(stems)
        rows = descriptors(summary, names[: len(summary.Z)], self.stft, sample_rate)
        rows += [{}] * (len(names) - len(rows))
        named = self.labels or self.settings.preset or self.settings.group
        return Diagnosis(rows, np.round(summary.bleed, 3).tolist(), [] if named else hints(summary, names))
