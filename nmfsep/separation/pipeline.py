"""The pipeline: magnitude spectrogram, X ≈ W Z, a mask for each stem, and back to sound, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import UsageError
from ..grouping.atoms import Grouped, find
from ..grouping.choice import Choice, may_group
from ..guidance.guide import Guide
from ..models.by_name import AnyFit
from ..progress import Told
from ..registry import PRESETS, SOUND_STARTS, SPATIAL_MASKS
from ..settings.separation import Settings
from ..signal.stft import STFT
from ..signal.stream import Stream
from .fit import Fitted, GuidedFit, fit_blind
from .mixture import Mixture
from .model import Model, Resolution
from .options import channel_notes
from .regroup import regrouped
from .sample import Learned, Sampled, Whole
from .stem_groups import without_auto


def analyse(
    mixture: Mixture,
    settings: Settings,
    guide: Guide | None = None,
    *,
    begin: float = 0.0,
    frames: int | None = None,
    keep: bool = False,
    callback: Told | None = None,
) -> Model:
    """Learn the model of a mixture, from which its stems are rendered.

    What is in memory is fitted whole. Of a mixture on disk, templates are learned from a sample of its frames: from
    16,384 drawn at random, the loss over all of them comes out within a few thousandths of that of a fit to all.

    Parameters
    ----------
    mixture : Audio or Stream
    settings : Settings
    guide : Guide, optional
        What is known of the components; without it they are found.
    begin : float, default 0
        Seconds of the file before the mixture, which the times of cues count from.
    frames : int, optional
        Frames of a mixture on disk to learn from at the most; `frames_drawn` if not given.
    keep : bool, default False
        Keep the activations of a mixture on disk as they are solved, so that the model can be saved after rendering.
    callback : callable, optional
        Called as callback(step, loss); a true result stops the fit. Steps are iterations, or, while atoms are found and
        for a mixture on disk, shares of settings.max_iter that take equal times.

    Returns
    -------
    Model

    Raises
    ------
    UsageError
        The mixture is on disk, and the settings need all frames at once.
    """
    learned: Learned
    if isinstance(mixture, Stream):
        if (reason := obstacle(settings, guide)) is not None:
            raise UsageError(f"{reason}, which --max-memory does not allow", "give --max-memory more, or --duration")
        learned = Sampled(mixture, settings, frames, keep, callback)
    else:
        learned = Whole(mixture, settings, callback)
    if guide is not None:
        return _guided(mixture, settings, guide, begin, learned)
    stft = STFT(*settings.frames(mixture.sample_rate), settings.window)
    choice = None
    if settings.preset or may_group(settings):
        choice, model = _atoms(mixture, settings, stft, learned)
        if model is not None:
            return model
    return _blind(mixture, settings, stft, learned, choice)


def _atoms(mixture: Mixture, settings: Settings, stft: STFT, learned: Learned) -> tuple[Choice | None, Model | None]:
    """Return what was chosen, and the model where it is one of several atoms a stem."""
    frames, callback = learned.consecutive(stft)
    X, choice = frames.Xt.T, None
    grouped: Grouped | None
    if settings.preset:
        grouped = PRESETS.load(settings.preset)(X, stft, mixture.sample_rate, settings)
    else:
        choice, grouped = find(X, stft, mixture.sample_rate, settings, callback)
    if grouped is None:
        return choice, None
    resolution = Resolution(stft, learned.of_atoms(grouped, frames, stft))
    return choice, _model(mixture, settings, [resolution], [grouped.fit], learned, choice=choice)


def _blind(mixture: Mixture, settings: Settings, stft: STFT, learned: Learned, choice: Choice | None) -> Model:
    """Return the model that the settings name."""
    frequencies = stft.frequencies(mixture.sample_rate)
    runs = learned.begin([stft], False)
    found = [fit_blind(frames, frequencies, settings, runs, step(0)) for frames, _, step in learned.parts(stft)]
    resolution = Resolution(stft, learned.components(found, stft, False))
    fits = [each.fit for each in found]
    return _model(mixture, settings, [resolution], fits, learned, notes=_notes(found), choice=choice)


def _guided(mixture: Mixture, settings: Settings, guide: Guide, begin: float, learned: Learned) -> Model:
    """Return the model of the components that a guide knows, the means of those at each length of frames.

    Channels share the templates; each has activations of its own, since a guide does not know where between the
    channels its sounds will be.
    """
    proposals, costs, notes = guide.propose(mixture, begin, settings)
    moves = guide.moves(settings)
    runs = learned.begin(proposals, moves)
    limit = None if settings.time_limit is None else settings.time_limit / runs
    resolutions: list[Resolution] = []
    fits: list[AnyFit] = []
    for templates, prices in zip(proposals, costs, strict=True):
        way = GuidedFit(templates, prices, replace(settings, time_limit=limit), moves)
        found = [way.fit(frames, len(guide.labels), rows, step) for frames, rows, step in learned.parts(templates)]
        fits += [each.fit for each in found]
        resolutions.append(Resolution(templates.stft, learned.components(found, templates.stft, True)))
    return _model(mixture, settings, resolutions, fits, learned, labels=guide.labels, notes=notes)


def _model(
    mixture: Mixture,
    settings: Settings,
    resolutions: Sequence[Resolution],
    fits: Sequence[AnyFit],
    learned: Learned,
    *,
    labels: tuple[str, ...] = (),
    notes: Sequence[str] = (),
    choice: Choice | None = None,
) -> Model:
    """Return the model: the one place where it is made."""
    notes = (*notes, *channel_notes(settings, mixture.channels))
    model = Model(
        settings, tuple(resolutions), tuple(fits), labels, notes, learned.learned_from, choice,
        on_rendered=learned.on_rendered,
    )  # fmt: skip
    return model if labels else regrouped(model, mixture.sample_rate)


def _notes(found: Sequence[Fitted]) -> tuple[str, ...]:
    """Return what the user should know about a model whose parts need not be masks, or need not have any."""
    notes = []
    if any(min(float(each.fit.factors.W.min()), float(each.fit.factors.Z.min())) < 0 for each in found):
        notes.append("parts of this model can be negative and cancel; the masks go by how large they are")
    if empty := [str(k + 1) for k, group in enumerate(found[-1].groups) if not group]:
        notes.append(f"nothing of the finest level belongs most to component {' or '.join(empty)}, which is silent")
    return tuple(notes)


def obstacle(settings: Settings, guide: Guide | None = None) -> str | None:
    """Return what keeps a separation from being done with a part of the frames at a time, in words; None if nothing."""
    if (reason := rendering_obstacle(settings)) is not None:
        return reason
    if guide is not None and not guide.timeless:
        return "what is told of times needs all frames at once"
    if guide is not None and guide.lasting:
        return "templates of several frames need frames that follow each other"
    if without_auto(settings.group)[1]:
        return "--group auto:N needs all activations before it renders (render can do it, after --save-model)"
    if settings.model != "nmf":
        return f"model {settings.model!r} needs all frames at once"
    if settings.start in SOUND_STARTS:
        return f"start {settings.start!r} needs frames that follow each other"
    if settings.smoothness:
        return "smoothness couples all frames"
    return None


def rendering_obstacle(settings: Settings) -> str | None:
    """Return what keeps stems from being rendered in one pass, in words; None if nothing."""
    if settings.mask in SPATIAL_MASKS:
        return f"mask {settings.mask!r} goes over the sound several times"
    if settings.consistency:
        return "--consistency looks at frames before and after those that are rendered"
    return None
