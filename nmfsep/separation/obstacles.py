"""Obstacles: settings that contradict each other are refused, and those that need a whole file in memory are named."""

from __future__ import annotations

from ..errors import UsageError
from ..grouping.choice import may_group, one_component_option
from ..guidance.guide import Guide
from ..kernels.divergence import as_divergence
from ..models.by_name import has_levels, rehearse, require_options, require_parts
from ..nmf.fit import choose_solver
from ..nmf.problem import Problem
from ..registry import SOUND_STARTS, SPATIAL_MASKS
from ..settings.separation import Settings
from .arrange import without_auto

OWN = ("divergence", "solver", "start", "restarts", "sparsity", "smoothness", "template_frames")  # not of all models


def require_model(settings: Settings) -> None:
    """Refuse what no mixture could make possible.

    Raises
    ------
    UsageError
        The model lacks an option that was asked for, or options contradict each other.
    """
    asked = settings.asked(OWN)
    if settings.preset is not None and settings.convolutive:
        asked.pop("template_frames", None)
    require_options(settings.model, asked)
    require_parts(settings.model, None if settings.levels else settings.components, settings.levels)
    if has_levels(settings.model) and settings.channels == "independent":
        message = "--channels independent would give each channel a tree of its own"
        raise UsageError(message, f"use --channels joint with model {settings.model!r}")
    _require_groupable(settings)
    if settings.start in SOUND_STARTS:
        if settings.model != "nmf":
            raise UsageError(f"start {settings.start!r} is for model 'nmf'", "leave out --start")
        del asked["start"]
    if settings.model == "nmf":
        divergence = as_divergence(settings.divergence)
        choose_solver(settings.solver, divergence, settings.start, bool(settings.sparsity or settings.smoothness))
        Problem(divergence, sparsity=settings.sparsity, smoothness=settings.smoothness)
    rehearse(settings.model, asked)


def _require_groupable(settings: Settings) -> None:
    """Refuse several atoms, a grouping or a preset together with an option that leaves no room for them."""
    other = one_component_option(settings)
    if settings.best and (settings.preset is not None or not may_group(settings)):
        preset = settings.preset and f"--preset {settings.preset}"
        reason = preset or other or ("--atoms 1" if settings.atoms == 1 else "-k 1")
        raise UsageError(f"{reason} leaves --best nothing to try", "leave out one")
    if settings.preset is not None:
        taken = ("sparsity", "smoothness", "restarts") if settings.convolutive else ()
        decided = [f"--{name.replace('_', '-')}" for name in settings.asked(("atoms", "grouping", *taken))]
        if settings.channels == "independent":
            raise UsageError("--channels independent leaves a preset too little", "use joint or mid")
        for option in filter(None, (*decided, other)):
            raise UsageError(f"--preset {settings.preset} decides about {option.split()[0]}", "leave it out")
    if settings.atoms == 1:
        if settings.grouping != "auto":
            raise UsageError("one atom a stem leaves nothing to group", "leave out --grouping or --atoms")
        return
    if settings.atoms is None and settings.grouping == "auto":
        return
    if settings.channels == "independent":
        raise UsageError("--channels independent would group the atoms of each channel apart", "use joint or mid")
    if settings.components < 2:
        raise UsageError("one stem is the mixture, so there is nothing to group", "give -k 2 or more")
    if other is not None:
        raise UsageError(f"{other} is for one atom a stem", "leave it out, or --atoms and --grouping")


def obstacle(settings: Settings, guide: Guide | None = None) -> str | None:
    """Return what keeps a separation from being done with a part of the frames at a time, in words; None if nothing."""
    if guide is not None and not guide.timeless:
        return "timed cues need the whole file in memory"
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


def channel_notes(settings: Settings, channels: int) -> tuple[str, ...]:
    """Return what the user should know about settings for a mixture of so many channels."""
    if settings.mask in SPATIAL_MASKS and channels == 1:
        name = repr(settings.mask)
        return (f"there is one channel, of which mask {name} can tell no more than 'ratio', so that was taken",)
    return ()
