"""Foreground and background: what moves fast, such as a voice, before what stays for seconds.

The running median of each band, over SPAN seconds, is what stays while something else comes and goes (as in Rafii &
Pardo's REPET, IEEE TASLP 21(1), 2013, and FitzGerald's median filtering, DAFx 2010). Atoms of the background are
learned from what of the mixture is no more than TOLERANCE times it, atoms of the foreground from what those leave.
"""

from __future__ import annotations

import numpy as np

from ..kernels.product import Matrix
from .scene import Atoms, Scene
from .timbre import group

SPAN = 2.0  # seconds
TOLERANCE = 1.5
STEPS = 8  # medians taken in a span; between them they are interpolated


def foreground(scene: Scene, stems: int, atoms: int, span: float = SPAN, still: int | None = None) -> Atoms:
    """Make one stem, the last, of what moves fast, and the others of what stays, grouped by timbre.

    Parameters
    ----------
    scene : Scene
    stems, atoms : int
        The stems, and atoms for each.
    span : float, default SPAN
        Seconds of the running median.
    still : int, optional
        Atoms for each stem of what stays; as many as for the other if not given.
    """
    scene = scene.within(4)
    behind = background(scene.Y, scene.step, span)
    scene.report(0.2)
    slow = scene.learn(behind[scene.sample], (still or atoms) * (stems - 1), restarts=scene.starts)
    scene.report(0.5)
    W, owners = slow.factors.W, group(slow.factors, scene, stems - 1)
    Zb = scene.follow(behind, W)
    rest = np.maximum(scene.Y - Zb.T @ W.T, 0)
    scene.report(0.6)
    fast = scene.learn(rest[scene.sample], atoms, run=1, restarts=scene.starts)
    Z = np.concatenate([Zb, scene.follow(rest, fast.factors.W)])
    owners = np.concatenate([owners, np.full(atoms, stems - 1)])
    W = np.concatenate([W, fast.factors.W], axis=1)
    return Atoms(W, Z, owners, 1, max(slow.n_iter, fast.n_iter), slow.converged and fast.converged)


def background(Y: Matrix, step: float, span: float = SPAN) -> Matrix:
    """Return what of magnitudes (frames, bands) is no more than TOLERANCE times their running median."""
    half = max(1, round(span / 2 / step))
    hop = max(1, 2 * half // STEPS)
    at = np.unique(np.append(np.arange(0, len(Y), hop), len(Y) - 1))
    medians = np.stack([np.median(Y[max(0, t - half) : t + half + 1], axis=0) for t in at])
    behind = np.empty_like(Y)
    for low, high, here, there in zip(at[:-1], at[1:], medians[:-1], medians[1:], strict=True):
        share = (np.arange(low, high, dtype=Y.dtype) - low)[:, None] / (high - low)
        behind[low:high] = here + share * (there - here)
    behind[-1] = medians[-1]
    behind *= np.asarray(TOLERANCE, Y.dtype)
    return np.minimum(behind, Y, out=behind)
