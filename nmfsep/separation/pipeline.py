"""The pipeline, mixture to stems: magnitudes, templates, the fit X ≈ W Z, masks, inverse transform.

`separate` takes the first three of these steps at once; `render` takes the other two a block of frames at a time, as
stems are asked for. A mixture in memory is fitted whole. Of one on disk a sample of the frames is: from 16,384 drawn at
random, the loss over all of them comes out within a few thousandths of that of a fit to all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UsageError
from ..grouping.atoms import find
from ..grouping.choice import Choice, may_group
from ..guidance.cue import Costs
from ..guidance.guide import Guide
from ..guidance.templates import Templates
from ..kernels.threads import Workers
from ..models.by_name import AnyFit
from ..progress import OnProgress
from ..registry import PRESETS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import STFT
from ..signal.stream import Stream
from .arrange import resolve_auto_groups, without_auto
from .beyond_masks import BeyondMasks
from .components import Components
from .fit import Fitted, GuidedFit, fit_blind
from .frames import AllFrames, DrawnFrames, FrameSample
from .masks import mask_of
from .mixture import Mixture
from .model import Model, Resolution
from .obstacles import channel_notes, obstacle
from .render import Filter, Masking, inverse, mean


def separate(
    mixture: Mixture,
    settings: Settings,
    guide: Guide | None = None,
    *,
    begin: float = 0.0,
    frames: int | None = None,
    keep: bool = False,
    match: bool = True,
    on_progress: OnProgress | None = None,
) -> tuple[Model, Iterator[Samples]]:
    """Separate a mixture into stems that add up to it.

    Parameters
    ----------
    mixture : Audio or Stream
    settings : Settings
    guide : Guide, optional
        What is known of the stems; without it they are found.
    begin : float, default 0
        Seconds of the file before the mixture, which the times of cues count from.
    frames : int, optional
        Frames of a mixture on disk to learn from at the most; `frames_drawn` if not given.
    keep : bool, default False
        Keep the activations of a mixture on disk as they are solved, so that the model can be saved after rendering.
    match : bool, default True
        Look for the strokes of dictionaries in a mixture in memory, where there must be room for its stems some times.
    on_progress : callable, optional
        Called as on_progress(step, loss); a true result stops the fit. Steps are iterations, or, while atoms are found
        and for a mixture on disk, shares of settings.max_iter that take equal times.

    Returns
    -------
    Model
        What was learned; `render` makes the same stems from it again.
    iterator of ndarray, shape (stems, channels, samples)
        Consecutive pieces of the stems.

    Raises
    ------
    UsageError
        The mixture is on disk, and the settings need all frames at once.
    """
    beyond = BeyondMasks.of(mixture, settings, guide, match, on_progress)
    sample = frame_sample(mixture, beyond.settings, guide, frames, keep, beyond.progress(0))  # 1. magnitudes X
    proposal = propose(mixture, settings, guide, begin, sample)  # 2. templates W, as far as they are known
    model = replace(fit(mixture, beyond.settings, proposal, sample), settings=settings)  # 3. X ≈ W Z
    model = beyond.finish(model, render, lambda rest: refit(rest, beyond, proposal))  # what masks cannot do
    return model, render(model, mixture)


def render(model: Model, mixture: Mixture) -> Iterator[Samples]:
    """Yield consecutive pieces of the stems, (stems, channels, samples), of the mixture that a model was learned from.

    A mixture on disk is read once more; its samples are there until the next piece is asked for.
    """
    mixture.rewind()
    if model.matched is not None and model.matched.pieces:
        yield from model.matched.pieces
        return
    position = 0
    with Workers(model.settings.threads) as workers:
        streams = []
        for stft, stems in model.stems_by_resolution():
            masks = stem_masks(model.settings, mixture, stft, stems, workers)  # 4. shares of each bin
            streams.append(inverse(mixture.samples, stft, stems, masks, workers))  # 5. back to sound
        for piece in streams[0] if len(streams) == 1 else mean(mixture.samples, streams):
            yield piece
            position += piece.shape[-1]
            mixture.release(position)
            if model.on_rendered is not None:
                model.on_rendered(position)


def frame_sample(
    mixture: Mixture,
    settings: Settings,
    guide: Guide | None,
    frames: int | None,
    keep: bool,
    on_progress: OnProgress | None,
) -> FrameSample:
    """Return the frames to learn from: all of a mixture in memory, a sample of those of one on disk."""
    if not isinstance(mixture, Stream):
        return AllFrames(mixture, settings, guide is not None, on_progress)
    if (reason := obstacle(settings, guide)) is not None:
        raise UsageError(f"{reason}, which --max-memory does not allow", "give --max-memory more, or --duration")
    return DrawnFrames(mixture, settings, guide is not None, on_progress, frames, keep)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is known before the fit: the templates at each length of frames, without columns where the fit finds them.

    Groups of atoms are found with their activations, so that nothing is left to fit.
    """

    templates: Sequence[Templates]
    costs: Sequence[Costs]  # of entries of W and Z, for each of `templates`
    labels: tuple[str, ...] = ()  # names of the components by a guide
    moves: bool = False  # whether templates may move in the fit
    notes: Sequence[str] = ()  # what the user should know
    choice: Choice | None = None  # whether stems are groups of atoms, where that was a question
    grouped: tuple[Resolution, AnyFit] | None = None  # the stems if they are


def propose(mixture: Mixture, settings: Settings, guide: Guide | None, begin: float, sample: FrameSample) -> Proposal:
    """Return the templates that a guide knows, or the groups of atoms that are found; else only the frames' length."""
    if guide is not None:
        templates, costs, notes = guide.propose(mixture, begin, settings)
        return Proposal(templates, costs, guide.labels, guide.moves(settings), notes)
    stft = STFT(*settings.frames(mixture.sample_rate), settings.window)
    unknown = Templates(stft, np.empty((stft.bins, 0), np.float32), np.empty(0, np.intp))
    choice, grouped = None, None
    if settings.preset or may_group(settings):
        frames, on_progress = sample.consecutive(stft)
        if settings.preset:
            atoms = PRESETS.load(settings.preset)(frames.Xt.T, stft, mixture.sample_rate, settings)
        else:
            choice, atoms = find(frames.Xt.T, stft, mixture.sample_rate, settings, on_progress)
        if atoms is not None:
            grouped = Resolution(stft, sample.of_atoms(atoms, frames, stft)), atoms.fit
    return Proposal([unknown], [{}], choice=choice, grouped=grouped)


def fit(mixture: Mixture, settings: Settings, proposal: Proposal, sample: FrameSample) -> Model:
    """Return the model: at each length of frames the components that were proposed, fitted to the sample.

    Channels share the templates of a guide; each has activations of its own, since a guide does not know where between
    the channels its sounds will be. Without a guide they share activations, and each has a part of the templates.
    """
    resolutions: list[Resolution] = []
    fits: list[AnyFit] = []
    notes, labels = list(proposal.notes), proposal.labels
    if proposal.grouped is not None:
        resolutions, fits = [proposal.grouped[0]], [proposal.grouped[1]]
    else:
        runs = sample.begin(proposal.templates, proposal.moves)
        limit = None if settings.time_limit is None else settings.time_limit / runs
        own = replace(settings, time_limit=limit)
        for templates, costs in zip(proposal.templates, proposal.costs, strict=True):
            parts, stft = sample.parts(templates), templates.stft
            if labels:
                way = GuidedFit(templates, costs, own, proposal.moves)
                found = [way.fit(frames, len(labels), rows, step) for frames, rows, step in parts]
            else:
                hertz = stft.frequencies(mixture.sample_rate)
                found = [fit_blind(frames, hertz, own, step(0)) for frames, _, step in parts]
                notes += _blind_notes(found)
            fits += [each.fit for each in found]
            resolutions.append(Resolution(stft, sample.components(found, stft)))
    notes += channel_notes(settings, mixture.channels)
    first = resolutions[0]
    if without_auto(settings.group)[1] and not labels and first.components.solver is None:
        settings = resolve_auto_groups(settings, first.components, first.stft, mixture.sample_rate)
    return Model(
        settings, tuple(resolutions), tuple(fits), labels, tuple(notes), sample.learned_from, proposal.choice,
        on_rendered=sample.on_rendered,
    )  # fmt: skip


def _blind_notes(found: Sequence[Fitted]) -> list[str]:
    """Return what the user should know about a model whose parts need not be masks, or need not have any."""
    notes = []
    if any(min(float(each.fit.factors.W.min()), float(each.fit.factors.Z.min())) < 0 for each in found):
        notes.append("parts of this model can be negative and cancel; the masks go by how large they are")
    if empty := [str(k + 1) for k, group in enumerate(found[-1].groups) if not group]:
        notes.append(f"nothing of the finest level belongs most to component {' or '.join(empty)}, which is silent")
    return notes


def refit(rest: Audio, beyond: BeyondMasks, proposal: Proposal) -> Model:
    """Return the model of what strokes leave of a mixture, from the same templates."""
    settings = beyond.settings_of_rest
    return fit(rest, settings, proposal, AllFrames(rest, settings, True, beyond.progress(1)))


def stem_masks(settings: Settings, mixture: Mixture, stft: STFT, stems: Components, workers: Workers) -> Filter:
    """Return what shares the mixture out among the stems; of one channel a spatial mask is the ratio mask."""
    name = settings.mask
    if name in SPATIAL_MASKS and mixture.channels > 1:
        filter: Filter = SPATIAL_MASKS.load(name)(mixture.samples, stft, stems, workers)
        return filter
    return Masking(mask_of("ratio" if name in SPATIAL_MASKS else name, settings.mask_power))
