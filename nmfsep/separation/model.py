"""The model of a mixture: its components at one length of frames or several, from which the stems are rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..grouping.choice import Choice
from ..kernels.select import slower
from ..kernels.threads import Workers
from ..models.by_name import AnyFit
from ..registry import MASKS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.audio import Samples
from ..signal.stft import STFT
from .components import Components
from .mixture import Mixture
from .render import Consistent, Filter, Masking, mean, render, with_power
from .stem_groups import Grouping, arrange


@dataclass(frozen=True, slots=True)
class Resolution:
    """The components at one length of frames."""

    stft: STFT
    components: Components


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

    def render(self, mixture: Mixture) -> Iterator[Samples]:
        """Yield consecutive pieces of the stems, (stems, channels, samples), of the mixture learned from.

        A mixture on disk is read once more; its samples are there until the next piece is asked for.
        """
        mixture.rewind()
        grouping, samples, position = self.grouping, mixture.samples, 0
        with Workers(self.settings.threads) as workers:
            streams = []
            for resolution in self.resolutions:
                stems = resolution.components.merged(grouping.members, grouping.residual)
                filter = self._filter(mixture, resolution.stft, stems, workers)
                streams.append(render(samples, resolution.stft, stems, filter, workers))
            for piece in streams[0] if len(streams) == 1 else mean(samples, streams):
                yield piece
                position += piece.shape[-1]
                mixture.release(position)
                if self.on_rendered is not None:
                    self.on_rendered(position)

    def _filter(self, mixture: Mixture, stft: STFT, stems: Components, workers: Workers) -> Filter:
        """Return what gets the stems out of the mixture; of one channel a spatial mask is the ratio mask."""
        settings, name = self.settings, self.settings.mask
        if name in SPATIAL_MASKS and mixture.channels > 1:
            filter: Filter = SPATIAL_MASKS.load(name)(mixture.samples, stft, stems, workers)
            return filter
        mask = with_power(MASKS.load("ratio" if name in SPATIAL_MASKS else name), settings.mask_power)
        return Consistent(mask, stft, settings.consistency) if settings.consistency else Masking(mask)
