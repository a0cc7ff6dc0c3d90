"""Any model by its name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..errors import UsageError
from ..registry import MODELS, suggestion
from .convolutive import ConvolutiveFit
from .deep_fit import DeepFit
from .fit import Fit


def fit_model(model: str, X: ArrayLike, k: int | Sequence[int], **options: Any) -> Fit | ConvolutiveFit | DeepFit:
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
    result: Fit | ConvolutiveFit | DeepFit = function(X, k, **options)
    return result


def options_of(model: str) -> tuple[str, ...]:
    """Return the names of the options that a model has."""
    parameters = inspect.signature(MODELS.load(model)).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def defaults_of(model: str) -> dict[str, Any]:
    """Return the values that the options of a model have if nothing is said."""
    parameters = inspect.signature(MODELS.load(model)).parameters
    return {name: parameters[name].default for name in options_of(model)}


def has_levels(model: str) -> bool:
    """Return whether a model takes the components of several levels in the place of k."""
    return "levels" in inspect.signature(MODELS.load(model)).parameters
