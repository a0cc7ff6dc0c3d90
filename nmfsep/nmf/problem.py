"""Penalties and held entries: what may be asked of the factors besides a small loss, and updates that descend.

Sparsity adds sparsity * sum_k ‖w_k‖_q ‖z_k‖₁, which does not depend on how the scale is split between W and Z. q is 1
(Marmin, Goulart & Févotte, "Majorization-minimization for sparse nonnegative matrix factorization with the
beta-divergence", IEEE TSP 71, 2023), but 2 for beta 1, where with 1 it would only turn the model down; the quadratic
that majorises ‖w‖₂ gives an update in closed form. Costs are the same entry by entry: those of Z, C, add
sum_kt ‖w_k‖_q c_kt z_kt, those of W, B, add sum_kf b_kf w_kf ‖z_k‖₁. Both are linear in what is updated.

l1 and l2 add, for W and for Z, l1 times the sum of the entries and l2 / 2 times that of their squares. The updates are
those of scikit-learn; solver hals subtracts l1 from the products and adds l2 to the diagonal of the Gram matrix.

Smoothness adds (smoothness / level / 2) sum_kt (z_kt - z_k,t-1)² for templates of unit sum and beta 1, `level` being
the mean activation; the update is the root of a quadratic after De Pierro's majorisation of the coupled terms (Essid &
Févotte, "Smooth nonnegative matrix factorization for unsupervised audiovisual document structuring", IEEE TMM 15(2),
2013). Entries are held by not moving them: the majoriser is a sum over entries, so that moving some descends as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import UsageError
from ..kernels.divergence import Divergence, kullback_leibler
from ..kernels.product import EPS, Matrix, keep_positive
from ..kernels.reference import Update


@dataclass(frozen=True, slots=True)
class Anchor:
    """Templates that others are held at or pulled back to.

    The pull is weight_k D(w⁰_k | w_k), as though X had so many more frames, each of them the template itself: for beta
    1 a Dirichlet prior (the maximum a posteriori estimate of Smaragdis & Raj's latent variable models).
    """

    templates: Matrix  # W⁰ transposed, (components, bins)
    weight: Matrix  # (components,): 0 leaves a template free, infinity holds it

    def __post_init__(self) -> None:
        if self.templates.ndim != 2 or not (np.isfinite(self.templates).all() and self.templates.min(initial=0) >= 0):
            raise UsageError("an anchor's templates must be a matrix, finite and non-negative")
        if self.weight.shape != self.templates.shape[:1] or not (self.weight >= 0).all():
            raise UsageError(f"an anchor's weight must be {len(self.templates)} numbers that are not negative")

    def in_units(self, unit: float, beta: float, Xt: Matrix, components: int) -> Anchor:
        """Return the same anchor for X divided by a unit, or raise UsageError if it does not fit that."""
        if self.templates.shape != (components, Xt.shape[1]):
            raise UsageError(f"the anchor has shape {self.templates.shape}, not {(components, Xt.shape[1])}")
        return Anchor(np.ascontiguousarray(self.templates, Xt.dtype), self.weight / float(unit) ** beta)

    @property
    def pull(self) -> Matrix:
        """The finite weights, 0 for templates that are held, shape (components, 1)."""
        return np.where(np.isinf(self.weight), 0, self.weight)[:, None].astype(self.templates.dtype)


def check_given(fixed: Collection[str], anchor: Anchor | None, W: object, Z: object) -> None:
    """Raise UsageError unless what is held or anchored is given, too."""
    for name, factor in (("W", W), ("Z", Z)):
        if name in fixed and factor is None:
            raise UsageError(f"{name} is to be held fixed but is not given")
    if anchor is not None and W is None:
        raise UsageError("an anchor holds columns of W, which is not given")


@dataclass(frozen=True, slots=True)
class Problem:
    """What to minimise over W and Z, non-negative where not said otherwise: D(X | W Z) and penalties."""

    divergence: Divergence = kullback_leibler
    fixed: frozenset[str] = frozenset()  # "W", "Z": factors that are held as they are
    sparsity: float = 0.0  # weight of sum_k ‖w_k‖ ‖z_k‖₁, for X of unit mean
    smoothness: float = 0.0  # weight of the squared steps of Z, relative to `level`; beta 1 only
    level: float = 1.0  # mean of the activations expected
    free: frozenset[str] = frozenset()  # "W", "Z": factors that may be negative, for solvers in SIGNED_SOLVERS
    anchor: Anchor | None = None
    weights: Matrix | None = None  # (frames, bins): how much each entry of the transposed X counts
    # by "W" or "Z", of the shape of the transposed factor: which entries are held, and what each costs
    held: Mapping[str, Matrix] = field(default_factory=dict)
    costs: Mapping[str, Matrix] = field(default_factory=dict)
    # by "W" or "Z": weights of the sum of its entries, and of half the sum of their squares
    l1: Mapping[str, float] = field(default_factory=dict)
    l2: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for names, what in ((self.fixed, "held fixed"), (self.free, "free")):
            if not names <= {"W", "Z"}:
                raise UsageError(f"only 'W' and 'Z' can be {what}, not {sorted(names - {'W', 'Z'})}")
        if self.sparsity < 0 or self.smoothness < 0:
            raise UsageError("sparsity and smoothness cannot be negative")
        if self.sparsity and self.smoothness:
            raise UsageError("sparsity and smoothness cannot be asked for together", "choose one")
        if not all(0 <= weight < np.inf for norm in (self.l1, self.l2) for weight in norm.values()):
            raise UsageError("weights of l1 and l2 must be finite and not negative")
        if self.smoothness and ("Z" in self.fixed or self.anchor or self.held or self.costs or self.l1 or self.l2):
            raise UsageError("smoothness scales both factors, so no entry can be held or cost anything", "choose one")
        if self.smoothness and self.divergence.beta != 1:
            raise UsageError("smoothness is known for divergence kl only", "use --divergence kl")

    def transpose(self) -> Problem:
        """Return the problem of the transpose, in which W and Z have changed places."""
        other = {"W": "Z", "Z": "W"}
        fixed, free = (frozenset(other[name] for name in names) for names in (self.fixed, self.free))
        l1, l2 = ({other[name]: weight for name, weight in norm.items()} for norm in (self.l1, self.l2))
        return replace(self, fixed=fixed, free=free, l1=l1, l2=l2)


def loss(Wt: Matrix, Zt: Matrix, problem: Problem) -> float:
    """Return what the penalties add to the divergence."""
    total = 0.0
    if problem.sparsity or "Z" in problem.costs:
        total += float(_norms(Wt, problem) @ _priced(Zt, problem))
    if "W" in problem.costs:
        each = np.einsum("kf,kf->k", problem.costs["W"], Wt, dtype=np.float64)
        total += float(each @ Zt.sum(axis=0, dtype=np.float64))
    for name, factor in (("W", Wt), ("Z", Zt)):
        if name in problem.l1:
            total += problem.l1[name] * float(factor.sum(dtype=np.float64))
        if name in problem.l2:
            total += 0.5 * problem.l2[name] * float(np.einsum("ij,ij->", factor, factor, dtype=np.float64))
    if problem.smoothness:
        steps = np.diff(Zt, axis=0)
        total += 0.5 * _stiffness(Zt, problem) * float(np.einsum("tk,tk->", steps, steps, dtype=np.float64))
    if problem.anchor is not None:
        for pull, kept, row in zip(problem.anchor.pull[:, 0], problem.anchor.templates, Wt, strict=True):
            if pull:
                total += float(pull) * problem.divergence.value(kept[None], row[None] + row.dtype.type(EPS))
    return total


def activation_update(Wt: Matrix, Zt: Matrix, problem: Problem, exponent: float) -> Update:
    """Return how the kernels update activations: by the exponent, unless a penalty needs something else.

    Zt are the activations that the update starts from, all of them, since smoothness couples neighbours.
    """
    if problem.smoothness:
        return _smooth_update(Wt, Zt, problem)
    held, each = problem.held.get("Z"), problem.costs.get("Z")
    l1, l2 = (Wt.dtype.type(norm.get("Z", 0)) for norm in (problem.l1, problem.l2))
    if not problem.sparsity and held is None and not problem.costs and l1 == l2 == 0:
        return exponent
    eps, norms = Wt.dtype.type(EPS), _norms(Wt, problem).astype(Wt.dtype)
    flat = (problem.sparsity * norms).astype(Wt.dtype) + l1
    if "W" in problem.costs:
        flat += np.einsum("kf,kf->k", problem.costs["W"], Wt)

    def sparse(first: int, z: Matrix, numerator: Matrix, denominator: Matrix) -> None:
        extra = flat if each is None else flat + norms * each[first : first + len(z)]
        extra = extra + l2 * z if l2 else extra
        factor = (numerator / (denominator + extra + eps)) ** Wt.dtype.type(exponent)
        if held is not None:
            factor[held[first : first + len(z)]] = 1
        z *= factor
        keep_positive(z)

    return sparse


def _smooth_update(Wt: Matrix, Zt: Matrix, problem: Problem) -> Update:
    eps = Wt.dtype.type(EPS)
    old, eta = Zt.copy(), Wt.dtype.type(_stiffness(Zt, problem))

    def smooth(first: int, z: Matrix, numerator: Matrix, denominator: Matrix) -> None:
        last = first + len(z)
        weight = np.zeros_like(z)  # neighbours of each frame
        pull = np.zeros_like(z)  # sum over neighbours of z_t + z_neighbour
        for shift in (-1, 1):
            low, high = max(first, -shift if shift < 0 else 0), min(last, len(old) - shift if shift > 0 else last)
            here = slice(low - first, high - first)
            weight[here] += 1
            pull[here] += old[low:high] + old[low + shift : high + shift]
        a = 2 * eta * weight
        b = denominator - eta * pull
        root = np.sqrt(b * b + 4 * a * z * numerator)
        # of the two forms of the root, the one without cancellation
        np.copyto(z, np.where(b > 0, 2 * z * numerator / (b + root + eps), (root - b) / np.where(a > 0, 2 * a, 1)))
        keep_positive(z)

    return smooth


def update_templates(
    Wt: Matrix, N: Matrix, D: Matrix, Zt: Matrix, problem: Problem, exponent: float, out: Matrix
) -> None:
    """Set `out` to the update of the templates Wt; N and D are the statistics of mm_statistics, N is overwritten."""
    eps = N.dtype.type(EPS)
    held = problem.held.get("W")
    kept = None if held is None else Wt[held]  # now, since `out` may be Wt
    if problem.anchor is not None:  # as though frames equal to the templates themselves had been added
        negative, positive = problem.divergence.ratios(problem.anchor.templates, Wt + eps, np.empty_like(Wt))
        N += problem.anchor.pull * negative
        D = D + problem.anchor.pull * (1 if positive is None else positive)
    if "W" in problem.costs:
        D = D + problem.costs["W"] * Zt.sum(axis=0)[:, None]
    if "W" in problem.l1 or "W" in problem.l2:
        l1, l2 = (N.dtype.type(norm.get("W", 0)) for norm in (problem.l1, problem.l2))
        D = D + (l1 + l2 * Wt)
    if problem.smoothness:  # on the simplex, where the penalty holds, D is the same for all bins of a template
        np.multiply(Wt, N, out=out)
        out /= out.sum(axis=1, keepdims=True) + eps
    elif (problem.sparsity or "Z" in problem.costs) and problem.divergence.beta == 1:
        pull = (_priced(Zt, problem) / np.maximum(_norms(Wt, problem), EPS))[:, None].astype(N.dtype)
        N *= Wt
        np.divide(2 * N, D + np.sqrt(D * D + 4 * pull * N) + eps, out=out)
    else:
        if problem.sparsity or "Z" in problem.costs:
            D = D + _priced(Zt, problem)[:, None].astype(N.dtype)
        N /= D + eps
        if exponent != 1:
            N **= N.dtype.type(exponent)
        np.multiply(Wt, N, out=out)
    keep_positive(out)
    if problem.anchor is not None:
        fixed = np.isinf(problem.anchor.weight)
        out[fixed] = problem.anchor.templates[fixed]
    if held is not None:
        out[held] = kept


def _norms(Wt: Matrix, problem: Problem) -> Matrix:
    """‖w_k‖_q of every template."""
    return np.asarray(np.sqrt(np.einsum("kf,kf->k", Wt, Wt)) if problem.divergence.beta == 1 else Wt.sum(axis=1))


def _priced(Zt: Matrix, problem: Problem) -> Matrix:
    """Return what the activations of every template cost in all, its norm apart."""
    price = problem.sparsity * Zt.sum(axis=0, dtype=np.float64)
    if "Z" in problem.costs:
        price = price + np.einsum("tk,tk->k", problem.costs["Z"], Zt, dtype=np.float64)
    return np.asarray(price)


def _stiffness(Zt: Matrix, problem: Problem) -> float:
    return problem.smoothness / max(problem.level, EPS)
