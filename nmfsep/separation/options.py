"""Options of the fit: those of the settings that the model takes; settings that contradict each other are refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UsageError
from ..grouping.choice import atoms_options, may_group, one_component_option
from ..kernels.divergence import as_divergence
from ..kernels.factors import Matrix
from ..kernels.select import ONCE
from ..models.by_name import defaults_of, has_levels, options_of, rehearse, require_options, require_parts
from ..nmf.fit import Execution, choose_solver
from ..nmf.problem import Problem
from ..registry import SOUND_STARTS, SPATIAL_MASKS
from ..settings.separation import Settings

OWN = ("divergence", "solver", "start", "restarts", "sparsity", "smoothness", "template_frames")  # not of all models
COMMON = ("max_iter", "tol", "time_limit", "seed", "threads")


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
    require_groupable(settings)
    if settings.start in SOUND_STARTS:
        if settings.model != "nmf":
            raise UsageError(f"start {settings.start!r} is for model 'nmf'", "leave out --start")
        del asked["start"]
    if settings.model == "nmf":
        divergence = as_divergence(settings.divergence)
        choose_solver(settings.solver, divergence, settings.start, bool(settings.sparsity or settings.smoothness))
        Problem(divergence, sparsity=settings.sparsity, smoothness=settings.smoothness)
    rehearse(settings.model, asked)


def require_groupable(settings: Settings) -> None:
    """Refuse atoms where the fit is one that has none to group.

    Raises
    ------
    UsageError
        Several atoms, or a grouping, are asked for together with an option that they leave no room for.
    """
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
    if settings.atoms in (None, 1) and settings.grouping == "auto":
        return
    if settings.atoms == 1 and settings.grouping != "auto":
        raise UsageError("one atom a stem leaves nothing to group", "leave out --grouping or --atoms")
    if settings.atoms == 1:
        return
    if settings.channels == "independent":
        raise UsageError("--channels independent would group the atoms of each channel apart", "use joint or mid")
    if settings.components < 2:
        raise UsageError("one stem is the mixture, so there is nothing to group", "give -k 2 or more")
    if other is not None:
        raise UsageError(f"{other} is for one atom a stem", "leave it out, or --atoms and --grouping")


def options(settings: Settings, X: Matrix, frequencies: Matrix, fits: int = 1) -> dict[str, Any]:
    """Return what a model is given beside X and the number of components; what was not asked for is left to it.

    Parameters
    ----------
    settings : Settings
    X : ndarray, shape (channels * bins, frames)
    frequencies : ndarray, shape (bins,)
        Hertz, for the starts that need it.
    fits : int, default 1
        Among how many fits the time limit is shared out.
    """
    chosen = settings.asked((*OWN, *COMMON))
    if settings.time_limit is not None:
        chosen["time_limit"] = settings.time_limit / fits
    if settings.start in SOUND_STARTS:
        rng = np.random.default_rng(settings.seed)
        begin = SOUND_STARTS.load(chosen.pop("start"))(X.T, settings.components, rng, frequencies)
        chosen |= {"W": begin.W, "Z": begin.Z}
    if "execution" in options_of(settings.model):
        chosen["execution"] = Execution(compiled_from=ONCE)
    return chosen


def channel_notes(settings: Settings, channels: int) -> tuple[str, ...]:
    """Return what the user should know about settings for a mixture of so many channels."""
    if settings.mask in SPATIAL_MASKS and channels == 1:
        return (
            f"there is one channel, of which mask {settings.mask!r} can tell no more than 'ratio', so that was taken",
        )
    return ()


def resolved(settings: Settings, guided: bool = False) -> dict[str, Any]:
    """Return all settings as they were used: those not asked for at the model's defaults, None where it has no such.

    `atoms_fit` has the options of the fits of atoms, where stems may be groups of them; None where they are not.
    """
    asked, own = settings.asked((*OWN, *COMMON)), defaults_of(settings.model)
    if settings.convolutive:
        own["template_frames"] = settings.template_frames
    used = {name: asked.get(name, own.get(name)) for name in (*OWN, *COMMON)}
    atoms = not guided and (settings.preset is not None or may_group(settings))
    return settings.values() | used | {"atoms_fit": atoms_options(settings) if atoms else None}
