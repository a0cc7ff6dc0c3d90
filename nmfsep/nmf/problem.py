"""What a fit minimises and what it must leave alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import UsageError
from .divergences import Divergence
from .divergences.beta import kullback_leibler
from .factors import Matrix


@dataclass(frozen=True, slots=True)
class Anchor:
    """Templates that others are held at or pulled back to.

    The pull is weight_k D(w⁰_k | w_k), as though X had so many more frames, each of them the template itself: for beta
    1 a Dirichlet prior (the maximum a posteriori estimate of Smaragdis & Raj's latent variable models).

    Parameters
    ----------
    templates : ndarray, shape (components, bins)
        W⁰, transposed.
    weight : ndarray, shape (components,)
        0 leaves a template free, infinity holds it.

    Raises
    ------
    UsageError
        Templates or weights are not that.
    """

    templates: Matrix
    weight: Matrix

    def __post_init__(self) -> None:
        if self.templates.ndim != 2 or not (np.isfinite(self.templates).all() and self.templates.min(initial=0) >= 0):
            raise UsageError("an anchor's templates must be a matrix, finite and non-negative")
        if self.weight.shape != self.templates.shape[:1] or not (self.weight >= 0).all():
            raise UsageError(f"an anchor's weight must be {len(self.templates)} numbers that are not negative")

    @property
    def held(self) -> Matrix:
        """Which templates are held."""
        return np.isinf(self.weight)

    @property
    def pull(self) -> Matrix:
        """The finite weights, 0 for templates that are held, shape (components, 1)."""
        return np.where(self.held, 0, self.weight)[:, None].astype(self.templates.dtype)


@dataclass(frozen=True, slots=True)
class Problem:
    """A factorization problem over W and Z, non-negative where not said otherwise.

    Parameters
    ----------
    divergence : Divergence
        The loss D(X | W Z).
    fixed : frozenset of {"W", "Z"}
        Factors held as they are.
    sparsity : float, default 0
        Weight of sum_k ‖w_k‖ ‖z_k‖₁, for X of unit mean; see `penalties`.
    smoothness : float, default 0
        Weight of the squared steps of Z, relative to `level`; beta 1 only.
    level : float, default 1
        Mean of the activations expected.
    free : frozenset of {"W", "Z"}
        Factors that may be negative, for solvers in SIGNED_SOLVERS.
    anchor : Anchor, optional
        What holds some of the templates, or pulls them back.
    weights : ndarray, shape (frames, bins), optional
        How much each entry of the transposed X counts.
    held : mapping of "W" or "Z" to ndarray of bool, shapes (components, bins) and (frames, components)
        Entries of the transposed factors that are held as they are.
    costs : mapping of "W" or "Z" to ndarray, shapes as of `held`
        What entries of the transposed factors cost; see `penalties`.
    """

    divergence: Divergence = kullback_leibler
    fixed: frozenset[str] = frozenset()
    sparsity: float = 0.0
    smoothness: float = 0.0
    level: float = 1.0
    free: frozenset[str] = frozenset()
    anchor: Anchor | None = None
    weights: Matrix | None = None
    held: Mapping[str, Matrix] = field(default_factory=dict)
    costs: Mapping[str, Matrix] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for names, what in ((self.fixed, "held fixed"), (self.free, "free")):
            if not names <= {"W", "Z"}:
                raise UsageError(f"only 'W' and 'Z' can be {what}, not {sorted(names - {'W', 'Z'})}")
        if self.sparsity < 0 or self.smoothness < 0:
            raise UsageError("sparsity and smoothness cannot be negative")
        if self.sparsity and self.smoothness:
            raise UsageError("sparsity and smoothness cannot be asked for together", "choose one")
        if self.smoothness and ("Z" in self.fixed or self.anchor or self.held or self.costs):
            raise UsageError("smoothness scales both factors, so no entry can be held or cost anything", "choose one")
        if self.smoothness and self.divergence.beta != 1:
            raise UsageError("smoothness is known for divergence kl only", "use --divergence kl")

    def transpose(self) -> Problem:
        """Return the problem of the transpose, in which W and Z have changed places."""
        swap = {"W": "Z", "Z": "W"}
        fixed, free = (frozenset(swap[name] for name in names) for names in (self.fixed, self.free))
        return replace(self, fixed=fixed, free=free)
