"""The pipeline, mixture to stems: magnitudes, templates, the fit X ≈ W Z, masks, inverse transform.

`separate` takes the first three of these steps at once; `render` takes the other two a block of frames at a time, as
stems are asked for. A mixture in memory is fitted whole. Of one on disk a sample of the frames is: from 16,384 drawn at
random, the loss over all of them comes out within a few thousandths of that of a fit to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import UsageError
from ..grouping.atoms import Grouped, find
from ..grouping.choice import Choice, may_group
from ..grouping.entropy import Start, least_entropy
from ..grouping.lengths import AGREEING, cells, further_lengths, matched
from ..guidance.cue import Costs
from ..guidance.guide import Guide
from ..guidance.templates import Templates
from ..kernels.threads import Workers
from ..models.by_name import AnyFit
from ..progress import OnProgress, Stages, part_of, rising
from ..registry import PRESETS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.audio import Audio, Samples
from ..signal.stft import STFT
from ..signal.stream import Stream
from . import bootstrap as again, pauses
from .arrange import resolve_auto_groups, without_auto
from .beyond_masks import BeyondMasks
from .excerpt import excerpt
from .fit import Fitted, GuidedFit, fit_blind
from .frames import AllFrames, DrawnFrames, FrameSample
from .masks import BY_PLACE, mask_of, may_go_by_place
from .mixture import Mixture
from .model import Model, Resolution
from .mwf import JUDGED, learn
from .obstacles import channel_notes, obstacle
from .render import Filter, Masking, inverse, mean
from .sequences import order_of


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
    sample = frame_sample(mixture, settings, guide, frames, keep, beyond.progress(0))  # 1. magnitudes X
    proposal = propose(mixture, settings, guide, begin, sample, beyond)  # 2. templates W, as far as they are known
    model = fit(mixture, settings, proposal, sample)  # 3. X ≈ W Z
    model = beyond.finish(model, render, lambda rest: refit(rest, beyond, proposal))  # what masks cannot do
    if guide is not None and not (model.matched is not None and model.matched.found):
        model = replace(model, order=order_of(guide.books(settings), model.grouping, mixture.sample_rate))
    return model, render(model, mixture)


def render(model: Model, mixture: Mixture) -> Iterator[Samples]:
    """Yield consecutive pieces of the stems, (stems, channels, samples), of the mixture that a model was learned from.

    A mixture on disk is read once more, and once for each spatial mask; its samples are there until the next piece is
    asked for.
    """
    position, done = 0, model.matched.pieces if model.matched is not None else ()
    with Workers(model.settings.threads) as workers:
        pieces = iter(done) if done else _masked(model, mixture, workers)
        if model.order is not None:
            pieces = model.order.shared(mixture.samples, pieces, workers)
        for piece in pieces:
            yield piece
            position += piece.shape[-1]
            mixture.release(position)
            if model.on_rendered is not None:
                model.on_rendered(position)


def _masked(model: Model, mixture: Mixture, workers: Workers) -> Iterator[Samples]:
    """Return consecutive pieces of the stems by masks."""
    filters = stem_filters(model, mixture, workers)  # 4. shares of each bin
    mixture.rewind()
    parts = zip(model.stems_by_resolution(), filters, strict=True)
    streams = [inverse(mixture.samples, *each, shares, workers) for each, shares in parts]  # 5. back to sound
    return streams[0] if len(streams) == 1 else mean(mixture.samples, streams)


def frame_sample(
    mixture: Mixture,
    settings: Settings,
    guide: Guide | None,
    frames: int | None,
    keep: bool,
    on_progress: OnProgress | None,
) -> FrameSample:
    """Return the frames to learn from: all of a mixture in memory, a sample of those of one on disk."""
    on_progress = rising(on_progress)
    if not isinstance(mixture, Stream):
        return AllFrames(mixture, settings, guide is not None, on_progress)
    if (reason := obstacle(settings, guide)) is not None:
        raise UsageError(f"{reason}, which --max-memory does not allow", "give --max-memory more, or --duration")
    return DrawnFrames(mixture, settings, guide is not None, on_progress, frames, keep)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is known before the fit: the templates at each length of frames, without columns where the fit finds them.

    Groups of atoms are found with their activations, so that nothing is left to fit at these lengths of frames.
    """

    templates: Sequence[Templates]
    costs: Sequence[Costs]  # of entries of W and Z, for each of `templates`
    labels: tuple[str, ...] = ()  # names of the components by a guide
    moves: bool = False  # whether templates may move in the fit
    notes: Sequence[str] = ()  # what the user should know
    choice: Choice | None = None  # whether stems are groups of atoms, where that was a question
    grouped: Sequence[tuple[Resolution, AnyFit]] = ()  # the stems if they are, at each length of frames
    settings: Settings | None = None  # of the fit, where they are not those of the separation


def propose(
    mixture: Mixture, settings: Settings, guide: Guide | None, begin: float, sample: FrameSample, beyond: BeyondMasks
) -> Proposal:
    """Return the templates that a guide knows, or the groups of atoms that are found; else only the frames' length."""
    if guide is not None:
        templates, costs, notes = guide.propose(mixture, begin, settings)
        return Proposal(templates, costs, guide.labels, guide.moves(settings), notes)
    stft = STFT(*settings.frames(mixture.sample_rate), settings.window)
    unknown = Templates(stft, np.empty((stft.bins, 0), np.float32), np.empty(0, np.intp))
    choice = None
    if settings.preset or may_group(settings):
        stfts = [stft] if settings.preset else [stft, *further_lengths(stft, settings)]
        frames, on_progress = sample.consecutive(stft)
        if settings.preset:
            atoms = PRESETS.load(settings.preset)(frames.Xt.T, stft, mixture.sample_rate, settings)
        else:
            parts = max(len(stfts), 1 + pauses.may_follow(settings))
            report, each = part_of(on_progress, 0, parts, settings.max_iter), settings.shared_out(parts)
            choice, atoms = find(
                frames.Xt.T, stft, mixture.sample_rate, each, report, sample.covariances(stft),
                lambda: beyond.repeats(lambda part: _plain(part, settings, stft)[1]),
            )  # fmt: skip
        if atoms is not None:
            first = Resolution(stft, sample.of_atoms(atoms, frames, stft)), atoms.fit
            others: list[tuple[Resolution, AnyFit]] = []
            if choice is not None and choice.grouping == AGREEING:
                others = _at_lengths(mixture, each, choice, atoms, stfts, sample)
            if choice is not None and choice.grouping == pauses.GROUPING and pauses.may_follow(settings):
                return _from_pauses(mixture, settings, choice, atoms, first, sample)
            return Proposal((), (), choice=choice, grouped=[first, *others])
        if choice is not None and choice.simple and not settings.smoothness:
            del frames
            return _bootstrapped(mixture, settings, stft, choice, sample)
    return Proposal([unknown], [{}], choice=choice)


def _at_lengths(
    mixture: Mixture, settings: Settings, choice: Choice, first: Grouped, stfts: Sequence[STFT], sample: FrameSample
) -> list[tuple[Resolution, AnyFit]]:
    """Return the same stems at all lengths of frames but the first, found there anew and matched."""
    rate, found = mixture.sample_rate, list[tuple[Resolution, AnyFit]]()
    wanted = replace(settings, grouping=AGREEING, atoms=choice.atoms)
    where = cells(first, stfts[0], rate, sample.numbers(stfts[0]))
    for number, stft in enumerate(stfts[1:], 1):
        frames, on_progress = sample.consecutive(stft)
        report = part_of(on_progress, number, len(stfts), settings.max_iter)
        _, again = find(frames.Xt.T, stft, rate, wanted, report, sample.covariances(stft))
        if again is not None:
            again = matched(where, again, cells(again, stft, rate, sample.numbers(stft)))
            found.append((Resolution(stft, sample.of_atoms(again, frames, stft)), again.fit))
    return found


def _bootstrapped(mixture: Mixture, settings: Settings, stft: STFT, choice: Choice, sample: FrameSample) -> Proposal:
    """Return templates of each stem, learned where one of the stems of the best plain fit is alone.

    All is done on an excerpt of a long mixture.
    """
    part, tries, rounds = excerpt(mixture, sample.excerpt_samples(stft)), settings.starts, settings.rounds
    fitting = again.settings_for(settings, 1 + rounds)
    sharp = again.ungrouped(fitting)
    stages = Stages([tries, *[again.COST] * rounds], sample.on_progress, settings.max_iter)
    sample.refit(fitting, lambda share, loss: stages.at(rounds, share, loss))
    each = settings.shared_out((1 + rounds) * tries)
    found, stems = _plain(part, each, stft, lambda done: stages.at(0, done / tries))

    def separate_again(templates: list[Templates]) -> Samples:
        proposal = Proposal(templates, [{}] * len(templates), moves=True, settings=sharp)
        return whole(fit(part, sharp, proposal, AllFrames(part, sharp, True, None)), part)

    stfts = again.stfts_for(settings, mixture.sample_rate)
    templates = again.bootstrap(stems, stfts, fitting, rounds, separate_again)
    choice = replace(choice, atoms=again.TEMPLATES, start=found.name, entropy=found.entropy, rounds=rounds)
    return Proposal(templates, [{}] * len(templates), moves=True, choice=choice, settings=fitting)


def _plain(
    part: Audio, settings: Settings, stft: STFT, on_start: Callable[[int], object] = lambda done: None
) -> tuple[Start, Samples]:
    """Return the best of some fits of one component a stem, and its stems (stems, channels, samples)."""
    options = settings.asked(("max_iter", "tol", "sparsity", "time_limit"))
    view = AllFrames(part, again.ungrouped(settings), False, None)
    frames, _ = view.consecutive(stft)
    found = least_entropy(
        frames.Xt, settings.components, part.channels if settings.channels == "joint" else 1, settings.starts,
        settings.seed, settings.threads, options, on_start,
    )  # fmt: skip
    fitted = Fitted(
        found.fit, frames, found.fit.factors.W, found.fit.factors.Z, found.fit.parts()[1], frames.Xt.shape[1]
    )
    model = Model(again.ungrouped(settings), (Resolution(stft, view.components([fitted], stft)),))
    return found, whole(model, part)


def _from_pauses(
    mixture: Mixture,
    settings: Settings,
    choice: Choice,
    grouped: Grouped,
    first: tuple[Resolution, AnyFit],
    sample: FrameSample,
) -> Proposal:
    """Return templates of a foreground and a background, next to their atoms; of a long mixture, from an excerpt."""
    stft, rounds = first[0].stft, settings.rounds
    part = excerpt(mixture, sample.excerpt_samples(stft))
    fitting = pauses.settings_for(settings, 1 + rounds)
    plain, soft = again.ungrouped(settings), again.ungrouped(fitting)
    here, its = grouped, first
    if isinstance(mixture, Stream) or part.length < mixture.length:
        view = AllFrames(part, plain, False, None)
        frames, _ = view.consecutive(stft)
        wanted = replace(plain, grouping=pauses.GROUPING, atoms=choice.atoms)
        _, found = find(frames.Xt.T, stft, mixture.sample_rate, wanted)
        if found is None:
            return Proposal((), (), choice=choice, grouped=[first])
        here, its = found, (Resolution(stft, view.of_atoms(found, frames, stft)), found.fit)
    foreground = _foreground(grouped)
    swapped = _foreground(here) != foreground

    def separated(proposal: Proposal) -> Samples:
        stems = whole(fit(part, soft, proposal, AllFrames(part, soft, True, None)), part)
        return stems[::-1] if swapped else stems

    stfts, templates = pauses.stfts_for(settings, mixture.sample_rate), list[Templates]()
    for _ in range(rounds):
        mine = [each.renumbered([1, 0]) if swapped else each for each in templates]
        stems = separated(Proposal(mine, [{}] * len(mine), moves=True, grouped=[its], settings=soft))
        templates = [pauses.learned(part, stems, foreground, each, fitting) for each in stfts]
    report = part_of(sample.on_progress, 1, 2, settings.max_iter)
    sample.refit(fitting, lambda share, loss: report and report(share * settings.max_iter, loss))
    return Proposal(
        templates, [{}] * len(templates), moves=True, choice=replace(choice, rounds=rounds), grouped=[first],
        settings=fitting,
    )  # fmt: skip


def _foreground(grouped: Grouped) -> int:
    """Return which stem has the last atoms, those of the foreground."""
    last = grouped.fit.factors.components - 1
    return next(stem for stem, atoms in enumerate(grouped.groups) if last in atoms)


def whole(model: Model, mixture: Mixture) -> Samples:
    """Return the stems of a mixture, (stems, channels, samples)."""
    return np.concatenate(list(render(model, mixture)), axis=-1)


def fit(mixture: Mixture, settings: Settings, proposal: Proposal, sample: FrameSample) -> Model:
    """Return the model: at each length of frames the components that were proposed, fitted to the sample.

    Channels share the templates of a guide; each has activations of its own, since a guide does not know where between
    the channels its sounds will be. Without a guide they share activations, and each has a part of the templates.
    """
    wanted, settings = settings, proposal.settings or settings
    resolutions, fits = [each for each, _ in proposal.grouped], [each for _, each in proposal.grouped]
    notes, labels = list(proposal.notes), proposal.labels
    if proposal.templates:
        runs = sample.begin(proposal.templates, proposal.moves)
        limit = None if settings.time_limit is None else settings.time_limit / runs
        own = replace(settings, time_limit=limit)
        for templates, costs in zip(proposal.templates, proposal.costs, strict=True):
            parts, stft = sample.parts(templates), templates.stft
            if templates.W.shape[1]:
                way = GuidedFit(templates, costs, own, proposal.moves)
                found = [way.fit(frames, settings.components, rows, step) for frames, rows, step in parts]
            else:
                hertz = stft.frequencies(mixture.sample_rate)
                found = [fit_blind(frames, hertz, own, step(0)) for frames, _, step in parts]
                notes += _blind_notes(found)
            fits += [each.fit for each in found]
            resolutions.append(Resolution(stft, sample.components(found, stft)))
            del found, parts  # with the magnitudes, before those of the next are made
    notes += channel_notes(settings, mixture.channels)
    first = resolutions[0]
    if without_auto(settings.group)[1] and not labels and first.components.solver is None:
        settings = resolve_auto_groups(settings, first.components, first.stft, mixture.sample_rate)
    model = Model(
        settings, tuple(resolutions), tuple(fits), labels, tuple(notes), sample.learned_from, proposal.choice,
        on_rendered=sample.on_rendered,
    )  # fmt: skip
    apart = labels or (proposal.choice is not None and proposal.choice.grouping != pauses.GROUPING)
    if apart and may_go_by_place(wanted, mixture.channels, bool(labels)):
        return by_place(model, mixture)
    return model


def by_place(model: Model, mixture: Mixture) -> Model:
    """Return the model with the mask that goes by where stems are, too, if not all components are in one place.

    Elsewhere it would do nothing but sharpen the masks.
    """
    first = model.resolutions[0]
    with Workers(model.settings.threads) as workers:
        apart = learn(mixture, first.stft, first.components, workers, JUDGED).selective
    return replace(model, settings=replace(model.settings, mask=BY_PLACE, mask_power=1.0)) if apart else model


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


def stem_filters(model: Model, mixture: Mixture, workers: Workers) -> list[Filter]:
    """Return what shares the mixture out among the stems at each resolution.

    Of one channel a spatial mask is the ratio mask.
    """
    name = model.settings.mask
    if name in SPATIAL_MASKS and mixture.channels > 1:
        spatial = SPATIAL_MASKS.load(name)
        return [spatial(mixture, stft, stems, workers) for stft, stems in model.stems_by_resolution()]
    mask = mask_of("ratio" if name in SPATIAL_MASKS else name, model.settings.mask_power)
    return [Masking(mask)] * len(model.resolutions)
