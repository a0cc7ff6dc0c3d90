"""The kernels for Kullback-Leibler, Itakura-Saito and least squares, compiled: four frames by four components together.

With few components the products are too thin for BLAS, and a fused loop over X is several times faster; for least
squares, whose products are the only work on X, it is the sweeps over the rows of small factors that are. The compiled
code runs without the interpreter's lock on the threads of Workers, so that no second pool of threads competes with
BLAS. All other cases, and all where numba cannot be loaded, are left to `blocked`.
"""

from __future__ import annotations

import numpy as np

from ..divergences import Divergence
from ..factors import Matrix
from . import blocked, reference
from .reference import EPS, Rule, keep_positive
from .workers import Workers, spans

LANES = 4  # frames and components handled together
SPAN = 64  # frames in the unit that spans are divided into
REAL = np.float32
SMALLEST = 1e-20  # stands for 0 in x log x, whose limit is 0


def divergence(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> float:
    """Return D(X | W Z)."""
    if not _able(Xt, measure):
        return blocked.divergence(Xt, Wt, Zt, measure, workers)
    from .loops import is_loss, kl_loss

    loop = is_loss if measure.beta == 0 else kl_loss
    fours = len(Xt) // LANES * LANES
    W, Z = _pad(Wt, 0), _pad(Zt, 1)

    def part(span: range) -> float:
        return float(loop(Xt, W, Z, span.start, span.stop, REAL(EPS), REAL(SMALLEST)))

    total = sum(workers.map(part, spans(fours, SPAN)))
    rest = reference.divergence(Xt[fours:], Wt, Zt[fours:], measure, workers) if fours < len(Xt) else 0.0
    return total + rest


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
    if rule is not None or not _able(Xt, measure):
        return blocked.mm_activations(Xt, Wt, Zt, measure, exponent, workers, rule)
    _run(Xt, Wt, Zt, Wt, measure, exponent, workers, update=True, accumulate=False)
    return None


def mm_statistics(Xt: Matrix, Wt: Matrix, Zt: Matrix, measure: Divergence, workers: Workers) -> tuple[Matrix, Matrix]:
    """Return N Zᵀ and P Zᵀ, both transposed: (components, bins); the second is (components, 1) where P is all ones."""
    if not _able(Xt, measure):
        return blocked.mm_statistics(Xt, Wt, Zt, measure, workers)
    return _run(Xt, Wt, Zt, Wt, measure, 1.0, workers, update=False, accumulate=True)


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
    if rule is not None or not _able(Xt, measure):
        return blocked.mm_pass(Xt, Wt, Zt, measure, exponent, workers, templates, rule)
    return _run(
        Xt, Wt, Zt, Wt if templates is None else templates, measure, exponent, workers, update=True, accumulate=True
    )


def _run(
    Xt: Matrix,
    Wt: Matrix,
    Zt: Matrix,
    templates: Matrix,
    measure: Divergence,
    exponent: float,
    workers: Workers,
    *,
    update: bool,
    accumulate: bool,
) -> tuple[Matrix, Matrix]:
    """Run the loops on all frames that come in fours; the last few are left to the definition."""
    from .loops import is_frames, kl_frames

    loop = is_frames if measure.beta == 0 else kl_frames
    k, fours = len(Wt), len(Xt) // LANES * LANES
    W, ahead, Z = _pad(Wt, 0), _pad(templates, 0), _pad(Zt, 1)

    def part(span: range) -> tuple[Matrix, Matrix]:
        N = np.zeros_like(W)
        D = np.zeros_like(W) if measure.beta == 0 else np.zeros((len(W), 1), W.dtype)
        loop(Xt, W, ahead, Z, span.start, span.stop, REAL(EPS), REAL(exponent), update, accumulate, N, D)
        return N[:k], D[:k]

    parts = workers.map(part, spans(fours, SPAN))
    if update:
        if Z is not Zt:
            Zt[:fours] = Z[:fours, :k]
        keep_positive(Zt)
    if fours < len(Xt):
        x, z = Xt[fours:], Zt[fours:]
        if update:
            reference.mm_activations(x, Wt, z, measure, exponent, workers)
        if accumulate:
            parts.append(reference.mm_statistics(x, templates, z, measure, workers))
    return blocked.total(parts)


def sweep(P: Matrix, G: Matrix, H: Matrix, sweeps: int) -> None:
    """Coordinate descent in place on rows of H >= 0 for ||X - A H||², P = Aᵀ X and G = Aᵀ A."""
    if H.dtype != REAL or not H.flags.c_contiguous:
        return reference.sweep(P, G, H, sweeps)
    from .loops import sweep_rows

    sweep_rows(np.ascontiguousarray(P), np.ascontiguousarray(G), H, sweeps)
    return None


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
    return blocked.hals_pass(Xt, Wt, G, Zt, sweeps, workers, plain, momentum, sweep)


def _able(Xt: Matrix, measure: Divergence) -> bool:
    return measure.beta in (0, 1) and Xt.dtype == REAL and len(Xt) >= LANES


def _pad(A: Matrix, axis: int) -> Matrix:
    """Return A with zeros up to a multiple of LANES along an axis, or A itself if it needs none."""
    short = -A.shape[axis] % LANES
    if not short:
        return A
    widths = [(0, 0), (0, 0)]
    widths[axis] = (0, short)
    return np.pad(A, widths)
