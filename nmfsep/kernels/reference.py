"""The kernels as plain formulas over whole matrices: the definition that the fast ones are tested against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .divergence import Divergence
from .factors import Matrix
from .threads import Workers

# what a penalty puts in the place of the multiplicative update: (first frame, z in place, Wᵀ N, Wᵀ P)
Rule = Callable[[int, Matrix, Matrix, Matrix], None]
TINY = 1e-16  # keeps positive factors positive and clear of denormals; X has unit mean
EPS = 1e-12  # keeps the model positive where all factors are zero


def model(Wt: Matrix, Zt: Matrix) -> Matrix:
    """Return the transposed model, (frames, bins), floored by EPS."""
    return Zt @ Wt + np.asarray(EPS, Wt.dtype)


def keep_positive(A: Matrix) -> None:
    """Raise positive entries to TINY in place; exact zeros stay, since a multiplicative update means them to."""
    np.maximum(A, np.asarray(TINY, A.dtype), out=A, where=A > 0)


def divergence(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
    """Return D(X | W Z)."""
    return measure.value(Xt, model(Wt, Zt))


def mm_activations(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    rule: Rule | None = None,
) -> None:
    """Update Zt in place by Z * (Wᵀ N / Wᵀ P)^exponent, N and P the parts of dD/dV, or as a rule says."""
    V = model(Wt, Zt)
    negative, positive = measure.ratios(Xt, V, np.empty_like(V))
    denominator = Wt.sum(axis=1) if positive is None else positive @ Wt.T
    if rule is not None:
        rule(0, Zt, negative @ Wt.T, np.broadcast_to(denominator, Zt.shape))
        return
    Zt *= ((negative @ Wt.T) / (denominator + np.asarray(EPS, Wt.dtype))) ** exponent
    keep_positive(Zt)


def mm_statistics(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> tuple[Matrix, Matrix]:
    """Return N Zᵀ and P Zᵀ, both transposed: (components, bins); the second is (components, 1) where P is all ones."""
    V = model(Wt, Zt)
    negative, positive = measure.ratios(Xt, V, np.empty_like(V))
    if positive is None:
        return Zt.T @ negative, Zt.sum(axis=0)[:, None]
    return Zt.T @ negative, Zt.T @ positive


def mm_pass(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    templates: Matrix | None = None,
    rule: Rule | None = None,
) -> tuple[Matrix, Matrix]:
    """Update Zt as mm_activations, then return mm_statistics at `templates`, Wt if not given: one pass does both."""
    mm_activations(Xt, Wt, Zt, measure, exponent, workers, rule)
    return mm_statistics(Xt, Wt if templates is None else templates, Zt, measure, workers)


def sweep(P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
    """Coordinate descent in place on rows of H >= 0 for ||X - A H||², P = Aᵀ X and G = Aᵀ A."""
    for _ in range(sweeps):
        for k in range(len(H)):
            if G[k, k] > 0:
                row = H[k] + (P[k] - G[k] @ H) / G[k, k]
                np.maximum(row, 0, out=H[k])


def hals_pass(
    Xt: Matrix,
    Wt: Matrix,
    G: Matrix,
    Zt: Matrix,
    sweeps: int,
    workers: Workers,
    plain: Matrix | None = None,
    momentum: float = 0.0,
) -> tuple[Matrix, Matrix]:
    """Sweep Zt in place with W fixed, then return Z Xᵀ, (components, bins), and Z Zᵀ. No sweeps leave Zt.

    G is W Wᵀ. Where `plain` is given, Zt is then moved ahead, max(0, Z + momentum (Z - plain)), and `plain` takes the Z
    that was not: the products are those of the Z ahead.
    """
    if sweeps:
        Z = np.ascontiguousarray(Zt.T)
        sweep(np.ascontiguousarray(Wt @ Xt.T), G, Z, sweeps)
        Zt[:] = Z.T
    if plain is not None:
        move_ahead(Zt, plain, momentum)
    return Zt.T @ Xt, Zt.T @ Zt


def move_ahead(Z: Matrix, plain: Matrix, momentum: float) -> None:
    """Set Z to max(0, Z + momentum (Z - plain)) and plain to what Z was, in place."""
    step = Z - plain
    plain[:] = Z
    step *= Z.dtype.type(momentum)
    Z += step
    np.maximum(Z, 0, out=Z)
