"""What a separation is before it is sound: models of the stems, at one length of frames or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..grouping.choice import Choice
from ..kernels.select import slower
from ..kernels.threads import Workers
from ..models.by_name import AnyFit
from ..registry import MASKS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import STFT
from ..signal.stream import Stream, Tape
from .filters import Consistent, Filter, Masking
from .solving import Solving
from .stem_groups import Grouping, arrange
from .stems import Model, render, with_power


@dataclass(frozen=True, slots=True)
class Layer:
    """A model of the stems at one length of frames."""

    stft: STFT
    model: Model | Solving


@dataclass(frozen=True, slots=True)
class Separation:
    """What was learned from a mixture: enough to render its stems.

    Attributes
    ----------
    settings : Settings
    stft : STFT
    fits : tuple of Fit, ConvolutiveFit or DeepFit
        One, or one for each channel or layer.
    model : Model or Solving
        Components in their order, before they are grouped into stems.
    labels : tuple of str
        Of the dictionaries, which then are the components; those are numbered if not given.
    others : tuple of Layer
        Models of the same components at other lengths of frames. The stems are the means over all: where the models
        err, they err apart.
    notes : tuple of str
        What the user should know beside the warnings of the fits.
    learned_from : tuple of int, optional
        Frames that templates were learned from, and frames that there are, where not all were.
    choice : Choice or None
        How many atoms the stems have and how they are grouped, where that was a question.
    titles : tuple of str
        Names of all stems, in place of those that the settings give them.
    """

    settings: Settings
    stft: STFT
    fits: tuple[AnyFit, ...]
    model: Model | Solving
    labels: tuple[str, ...] = ()
    others: tuple[Layer, ...] = ()
    notes: tuple[str, ...] = ()
    learned_from: tuple[int, int] | None = None
    choice: Choice | None = None
    titles: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All models of the stems."""
        return (Layer(self.stft, self.model), *self.others)

    @property
    def grouping(self) -> Grouping:
        """The stems, and the components of each."""
        return arrange(self.settings, self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each stem."""
        return self.titles or self.grouping.names

    @property
    def merged(self) -> Model | Solving:
        """The model of the stems, without a residual."""
        merged = self.model.merged(self.grouping.members, False)
        return Model(merged.factors, merged.groups) if isinstance(merged, Solving) and merged.kept else merged

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, each once."""
        of_fits = [warning for fit in self.fits for warning in fit.warnings]
        return tuple(dict.fromkeys((*self.notes, *of_fits, *slower())))

    def render(self, audio: Audio | Stream) -> Iterator[Samples]:
        """Yield consecutive pieces of the stems, (stems, channels, samples), of the mixture learned from."""
        grouping = self.grouping
        stems = [(layer.stft, layer.model.merged(grouping.members, grouping.residual)) for layer in self.layers]
        with Workers(self.settings.threads) as workers:
            filters = [self._filter(audio.samples, stft, model, workers) for stft, model in stems]
            pairs = zip(stems, filters, strict=True)
            streams = [render(audio.samples, stft, model, filter, workers) for (stft, model), filter in pairs]
            yield from streams[0] if len(streams) == 1 else mean(audio.samples, streams)

    def _filter(self, samples: Samples | Tape, stft: STFT, model: Model | Solving, workers: Workers) -> Filter:
        """Return what gets the stems out of the mixture; of one channel a spatial mask is the ratio mask."""
        settings, name = self.settings, self.settings.mask
        if name in SPATIAL_MASKS and samples.shape[0] > 1 and isinstance(model, Model):
            filter: Filter = SPATIAL_MASKS.load(name)(samples, stft, model, workers)
            return filter
        mask = with_power(MASKS.load("ratio" if name in SPATIAL_MASKS else name), settings.mask_power)
        return Consistent(mask, stft, settings.consistency) if settings.consistency else Masking(mask)


def mean(samples: Samples | Tape, streams: Sequence[Iterator[Samples]]) -> Iterator[Samples]:
    """Yield the mean of streams of stems that are cut into pieces differently; the first stem is what others leave."""
    rest: list[Samples] = [np.empty((1, len(samples), 0), np.float32)] * len(streams)
    position = 0
    while position < samples.shape[1]:
        rest = [piece if piece.shape[-1] else next(stream) for piece, stream in zip(rest, streams, strict=True)]
        count = min(piece.shape[-1] for piece in rest)
        stems: Samples = rest[0][..., :count].copy()
        for piece in rest[1:]:
            stems += piece[..., :count]
        stems /= np.float32(len(rest))
        np.subtract(samples[:, position : position + count], stems[1:].sum(axis=0), out=stems[0])
        rest = [piece[..., count:] for piece in rest]
        position += count
        yield stems
