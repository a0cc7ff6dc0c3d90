"""Model of a mixture: its components at one length of frames or several, from which the stems are rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..grouping.choice import Choice
from ..kernels.select import slower
from ..models.by_name import AnyFit
from ..settings.separation import Settings
from ..signal.audio import Samples
from ..signal.stft import STFT
from .components import Components
from .stem_groups import Grouping, arrange


@dataclass(frozen=True, slots=True)
class Resolution:
    """The components at one length of frames."""

    stft: STFT
    components: Components


@dataclass(frozen=True, slots=True)
class Rendered:
    """Stems in memory, in which strokes of a dictionary were looked for.

    Attributes
    ----------
    pieces : sequence of ndarray, shape (stems, channels, samples)
        Consecutive; none where nothing was found and stems can be rendered as ever.
    strokes : dict of str to (int, int)
        For each label that has strokes how many were matched, and how many are heard.
    """

    pieces: Sequence[Samples]
    strokes: Mapping[str, tuple[int, int]]

    @property
    def found(self) -> bool:
        """Whether any stroke was matched."""
        return any(matched for matched, _ in self.strokes.values())

    def document(self) -> dict[str, dict[str, int]]:
        """Return what was matched as plain values."""
        return {label: {"matched": matched, "of": heard} for label, (matched, heard) in self.strokes.items()}


@dataclass(frozen=True, slots=True)
class Model:
    """What was learned from a mixture: enough to render its stems.

    Attributes
    ----------
    settings : Settings
    resolutions : tuple of Resolution
        The same components at one length of frames or several. The stems are the means over all: where the models err,
        they err apart.
    fits : tuple of Fit, ConvolutiveFit or DeepFit
        One, or one for each channel or resolution; none for a saved model.
    labels : tuple of str
        Names of the components by a guide; they are numbered if not given.
    notes : tuple of str
        What the user should know beside the warnings of the fits.
    learned_from : tuple of int, optional
        Frames that templates were learned from, and frames that there are, where not all were.
    choice : Choice or None
        How many atoms the stems have and how they are grouped, where that was a question.
    stem_names : tuple of str
        Names of all stems, in place of those that the settings give them.
    on_rendered : callable, optional
        Called with the number of samples that are rendered.
    matched : Rendered, optional
        Stems that are rendered already, since strokes of a dictionary were looked for in them.
    """

    settings: Settings
    resolutions: tuple[Resolution, ...]
    fits: tuple[AnyFit, ...] = ()
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    learned_from: tuple[int, int] | None = None
    choice: Choice | None = None
    stem_names: tuple[str, ...] = ()
    on_rendered: Callable[[int], object] | None = None
    matched: Rendered | None = None

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

    def noted(self, *notes: str) -> Model:
        """Return the same with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def stems_by_resolution(self) -> Iterator[tuple[STFT, Components]]:
        """Yield at each resolution its STFT and the stems, with the residual if there is one."""
        grouping = self.grouping
        for each in self.resolutions:
            yield each.stft, each.components.merged(grouping.members, grouping.residual)
