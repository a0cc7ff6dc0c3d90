"""Stems beyond masks: what is done in a separation where a dictionary has the waveforms of its strokes, or they repeat.

Strokes of a dictionary are looked for in the stems that masks give, and taken off the mixture; the rest is separated
once more. Without a guide, where one component a stem is enough, waveforms are learned from their repetitions. Where
none are found, the stems stay as they are. A time limit is for both fits together, and so is the progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import InputError
from ..grouping.choice import EXCERPT, loudest
from ..guidance.guide import Guide
from ..guidance.strokes import Strokes
from ..kernels.threads import Workers
from ..matching.known import Hits, Matched, completed, match, search, unmatched
from ..matching.repeated import REPEATING, fit_of, separate_again
from ..progress import OnProgress
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stream import Stream
from .mixture import Mixture
from .model import Model, Rendered

ITERATIONS = 0.2  # share of them that the rest is fitted with
FIRST, LAST = 0.45, 0.2  # shares of the time that the two fits take
PIECE = 1 << 16  # samples of a piece of the stems
NO_ROOM = "the sound and its stems are too large for memory, so no waveforms were looked for: --duration takes a part"
NO_STROKES = "there are no waveforms in what was learned, so none were looked for: learn it again"
NO_TIME = "the time limit was over, so no waveforms were looked for"
NOT_SIMPLE = "stems are more than one component each, so no repetitions were looked for"
SLOWEST = 1000  # hertz; strokes at a lower sample rate have too few samples to know one another by
AVERAGES = {False: 2, True: 3}  # rounds of averaging what repeats, without and with --best
Render = Callable[[Model, Mixture], Iterator[Samples]]


@dataclass(frozen=True, slots=True)
class BeyondMasks:
    """What is looked for in a mixture.

    Attributes
    ----------
    mixture : Audio or None
        In memory; None where nothing is looked for.
    strokes : sequence of Strokes or None
        Of each label; None for those that repeat.
    settings : Settings
    on_progress : callable, optional
    notes : tuple of str
        Why nothing is looked for, though it was asked for.
    began : float
        When, by the monotonic clock.
    """

    mixture: Audio | None
    strokes: Sequence[Strokes] | None
    settings: Settings
    on_progress: OnProgress | None
    notes: tuple[str, ...] = ()
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(
        cls, mixture: Mixture, settings: Settings, guide: Guide | None, room: bool, on_progress: OnProgress | None
    ) -> BeyondMasks:
        """Return what there is to look for; `room` says whether memory suffices for the stems several times."""
        if guide is None:
            room &= not isinstance(mixture, Stream) and mixture.sample_rate >= SLOWEST
            return cls(mixture if isinstance(mixture, Audio) and room else None, None, settings, on_progress)
        if not guide.matches(settings):
            in_vain = "match" in settings.given and settings.match == "auto"
            return cls(None, (), settings, on_progress, (NO_STROKES,) if in_vain else ())
        if isinstance(mixture, Stream) or not room:
            return cls(None, (), settings, on_progress, (NO_ROOM,))
        try:
            strokes = guide.strokes(mixture.sample_rate)
        except InputError as error:
            why = f"no waveforms were looked for: one {error.message}"
            return cls(None, (), settings, on_progress, (why,))
        return cls(mixture, strokes, settings, on_progress)

    @property
    def settings_of_rest(self) -> Settings:
        """The settings of the second fit, to what is far less than the mixture: fewer iterations, the time left."""
        settings = self.settings
        limit = settings.time_limit
        if limit is not None:
            limit = max(0.0, limit - (time.monotonic() - self.began))
        return replace(settings, max_iter=int(np.ceil(settings.max_iter * ITERATIONS)), time_limit=limit)

    def progress(self, part: int) -> OnProgress | None:
        """Return the callback of the first fit, 0, or the second, 1."""
        report, most = self.on_progress, self.settings.max_iter
        if report is None or self.mixture is None or self.strokes is None:
            return report
        if part == 0:
            return lambda step, loss: report(FIRST * step, loss)
        last = self.settings_of_rest.max_iter
        return lambda step, loss: report((1 - LAST + LAST * step / max(1, last)) * most, loss)

    def repeats(self, separate: Callable[[Audio], Samples]) -> bool:
        """Return whether strokes repeat in the loudest part of a mixture by the stems that `separate` makes of it."""
        settings, whole = self.settings, self.mixture
        if self.strokes is not None or whole is None or settings.match == "off" or settings.time_limit is not None:
            return False
        where = loudest(np.abs(whole.samples).T, round(EXCERPT * whole.sample_rate))
        part = replace(whole, samples=whole.samples[:, where])
        with Workers(settings.threads) as workers:
            return fit_of(part.samples, separate(part), whole.sample_rate, workers) >= REPEATING

    def finish(self, model: Model, render: Render, refit: Callable[[Audio], Model]) -> Model:
        """Return a model with its stems, where strokes are found in them.

        Parameters
        ----------
        model : Model
        render : callable
            Makes stems of a model and a mixture.
        refit : callable
            Makes a model of the rest of the mixture.
        """
        if self.strokes is None:
            return self._with_repetitions(model, render)
        if self.mixture is None:
            return replace(model, notes=(*model.notes, *self.notes))
        whole, labels = self.mixture, model.labels
        stems = _rendered(render, model, whole)
        with Workers(model.settings.threads):  # so that BLAS rounds as with one thread
            hits = search(stems, self.strokes, whole.sample_rate)
            found = match(whole.samples, stems, self.strokes, whole.sample_rate, hits, stems)
        looked = [label for label, own in enumerate(self.strokes) if own]
        if not found.hits:
            kept = _cut(stems) if _apart(model).grouping.members == model.grouping.members else ()
            counts = {labels[label]: (0, unmatched(stems[label], (), whole.sample_rate)) for label in looked}
            self._end(model)
            return replace(model, matched=Rendered(kept, counts))
        found, stems = self._completed(whole, hits, found, stems, render, refit)
        counts = {}
        for label in looked:
            starts = [hit.start for owner, hit in found.hits if owner == label]
            counts[labels[label]] = (len(starts), len(starts) + unmatched(stems[label], starts, whole.sample_rate))
        self._end(model)
        return replace(model, matched=Rendered(_pieces(model, stems, whole.samples), counts))

    def _with_repetitions(self, model: Model, render: Render) -> Model:
        """Return a model with its stems, where strokes are learned from their repetitions."""
        settings = self.settings
        if settings.match == "off":
            return model
        if model.choice is None or not model.choice.rounds or not model.choice.simple:
            return replace(model, notes=(*model.notes, NOT_SIMPLE)) if "match" in settings.given else model
        if self.mixture is None:
            return replace(model, notes=(*model.notes, NO_ROOM))
        if settings.time_limit is not None and time.monotonic() - self.began > settings.time_limit:
            return replace(model, notes=(*model.notes, NO_TIME))
        stems = _rendered(render, model, self.mixture)
        rounds = AVERAGES[settings.best]
        with Workers(settings.threads) as workers:
            found, stems = separate_again(self.mixture.samples, stems, self.mixture.sample_rate, rounds, workers)
        stem_of = {member: stem for stem, own in enumerate(_members(model, len(stems))) for member in own}
        strokes = tuple(replace(each, stem=stem_of[each.stem]) for each in found.strokes)
        pieces = _pieces(model, stems, self.mixture.samples) if strokes else ()
        return replace(model, matched=Rendered(pieces, {}, replace(found, strokes=strokes)))

    def _end(self, model: Model) -> None:
        """Report that all is done."""
        if self.on_progress is not None:
            losses = model.fits[-1].losses
            self.on_progress(self.settings.max_iter, float(losses[-1]) if len(losses) else 0.0)

    def _completed(
        self,
        whole: Audio,
        hits: Hits,
        found: Matched,
        masked: Samples,
        render: Render,
        refit: Callable[[Audio], Model],
    ) -> tuple[Matched, Samples]:
        """Return what strokes explain, and the stems with their shares of the rest.

        In stems that are parted so well, strokes are found that masks had buried under others, so they are searched
        again.
        """
        assert self.strokes is not None
        rest = Audio(found.rest(whole.samples), whole.sample_rate, whole.exponent)
        again = _rendered(render, refit(rest), rest)
        stems = completed(rest.samples, found, masked, again, whole.sample_rate)
        strokes = [() if label in found.refused else own for label, own in enumerate(self.strokes)]
        with Workers(self.settings.threads):
            more = search(stems, strokes, whole.sample_rate)
            if more == hits:
                return found, stems
            better = match(whole.samples, stems, strokes, whole.sample_rate, more, masked)
        nothing = np.float32(0)
        for label in found.waveforms.keys() | better.waveforms.keys():
            again[label] -= better.waveforms.get(label, nothing) - found.waveforms.get(label, nothing)
        del stems, found
        return better, completed(better.rest(whole.samples), better, masked, again, whole.sample_rate)


def _apart(model: Model) -> Model:
    """Return the same with a stem for each component."""
    return replace(model, settings=replace(model.settings, group=(), two_stems=None), stem_names=())


def _rendered(render: Render, model: Model, mixture: Audio) -> Samples:
    """Return the stems of all components in one array, (stems, channels, samples)."""
    grouping, position = _apart(model).grouping, 0
    stems = np.empty((len(grouping.names), *mixture.samples.shape), np.float32)
    for piece in render(_apart(model), mixture):
        stems[..., position : position + piece.shape[-1]] = piece
        position += piece.shape[-1]
    return stems


def _cut(stems: Samples) -> list[Samples]:
    return [stems[..., start : start + PIECE] for start in range(0, stems.shape[-1], PIECE)]


def _members(model: Model, components: int) -> list[tuple[int, ...]]:
    """Return the components of each stem, with the residual if there is one."""
    grouping = model.grouping
    return [*map(tuple, grouping.members), *([(components - 1,)] if grouping.residual else [])]


def _pieces(model: Model, components: Samples, mixture: Samples) -> list[Samples]:
    """Return the stems of a model from those of its components, in pieces that add up to the mixture."""
    members, pieces = _members(model, len(components)), []
    for start in range(0, mixture.shape[1], PIECE):
        part = components[..., start : start + PIECE]
        piece = np.stack([part[list(own)].sum(axis=0) for own in members])
        np.subtract(mixture[:, start : start + PIECE], piece[1:].sum(axis=0), out=piece[0])
        pieces.append(piece)
    return pieces
