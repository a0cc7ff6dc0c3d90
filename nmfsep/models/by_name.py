"""Any model by its name."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import UsageError
from ..nmf.fit import Fit
from ..registry import MODELS, SIGNED_SOLVERS, SIGNED_STARTS, SOLVERS, STARTS, suggestion
from .convolutive import ConvolutiveFit
from .deep import DeepFit

AnyFit = Fit | ConvolutiveFit | DeepFit
FAMILY = 6  # models named at the most where one lacks an option


def fit_model(model: str, X: ArrayLike, k: int | Sequence[int], **options: Any) -> AnyFit:
    """Fit the model of that name to a matrix.

    Parameters
    ----------
    model : str
        A name in MODELS.
    X : array_like, shape (bins, frames)
        Finite, and non-negative for all but the models of signed matrices; never written to.
    k : int or sequence of int
        Components; for the deep models, those of each level, the finest first.
    **options
        Of any model: max_iter, tol, time_limit, seed, callback, threads. Others as the model's own function has them.

    Returns
    -------
    Fit, ConvolutiveFit or DeepFit
        With factors, losses, evaluated, n_iter, converged, solver and warnings.

    Raises
    ------
    UsageError
        The name is unknown, the model has no such option, or what its function raises.

    Examples
    --------
    >>> from nmfsep import fit_model
    >>> fit_model("semi", [[1.0, -2], [-3, 4]], 2, solver="mu").factors.W.shape
    (2, 2)
    """
    function = MODELS.load(model)
    known = options_of(model)
    for name in options:
        if name not in known:
            raise UsageError(f"model {MODELS.resolve(model)!r} has no option {name!r}", suggestion(name, list(known)))
    result: AnyFit = function(X, k, **options)
    return result


def options_of(model: str) -> tuple[str, ...]:
    """Return the names of the options that a model has."""
    return tuple(defaults_of(model))


def defaults_of(model: str) -> dict[str, Any]:
    """Return the values that the options of a model have if nothing is said."""
    parameters = inspect.signature(MODELS.load(model)).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def has_levels(model: str) -> bool:
    """Return whether a model takes the components of several levels rather than k."""
    return "levels" in inspect.signature(MODELS.load(model)).parameters


def require_options(model: str, options: Collection[str]) -> None:
    """Raise UsageError if a model lacks an option that was asked for."""
    for name in options:
        if name not in options_of(model):
            able = [repr(other) for other in MODELS if name in options_of(other)][:FAMILY]
            flag, have = "--" + name.replace("_", "-"), "has it" if len(able) == 1 else "have it"
            raise UsageError(f"model {model!r} has no option {flag}", f"{_listed(able)} {have}")


def require_names(model: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError if a solver or start is one of other models, though not of this one."""
    signed, plain = {"start": SIGNED_STARTS, "solver": SIGNED_SOLVERS}, {"start": STARTS, "solver": SOLVERS}
    mine, others = (signed, plain) if "free" in options_of(model) else (plain, signed)
    for kind in mine.keys() & options.keys():
        name = options[kind]
        if name != "auto" and name in others[kind] and name not in mine[kind]:
            takers = [other for other in MODELS if kind in options_of(other)]
            able = [repr(other) for other in takers if ("free" in options_of(other)) == (mine is plain)]
            message = f"{kind} {name!r} is for model{'s' if len(able) > 1 else ''} {_listed(able)}"
            raise UsageError(message, f"model {model!r} has {', '.join(mine[kind])}")


def rehearse(model: str, options: Mapping[str, Any]) -> None:
    """Fit next to nothing, so that options that contradict each other are found before anything is read."""
    require_names(model, options)
    columns = options.get("template_frames", defaults_of(model).get("template_frames", 2))
    X = np.ones((2, max(2, columns)))
    fit_model(model, X, (2, 1) if has_levels(model) else 1, **{**options, "max_iter": 0})


def require_parts(model: str, components: int | None, levels: tuple[int, ...] | None) -> int | tuple[int, ...]:
    """Return the components of a model, or those of its levels; raise UsageError unless they are what it takes."""
    if has_levels(model):
        if levels is None:
            raise UsageError(f"model {model!r} needs --levels", "such as --levels 40,12,4, the finest first")
        if components is not None:
            raise UsageError(f"model {model!r} takes --levels in the place of -k", "leave out -k")
        if any(coarser >= finer for finer, coarser in itertools.pairwise(levels)):
            message = f"--levels {','.join(map(str, levels))} must have fewer parts from one level to the next"
            raise UsageError(message, f"try {','.join(map(str, sorted(set(levels), reverse=True)))}")
        return levels
    if levels is not None:
        raise UsageError(f"model {model!r} has no levels", "use -k, or --model deep")
    if components is None:
        raise UsageError("the number of components is missing", "give it with -k")
    return components


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
