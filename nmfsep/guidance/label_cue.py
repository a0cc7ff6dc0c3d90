"""Label cue, by label tracks and tables: when a sound is heard, and between which frequencies.

Neither is a bound that the fit cannot cross: activations outside a label's time and entries of templates outside its
frequencies cost something.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..kernels.product import Matrix
from ..kernels.select import ONCE
from ..nmf.factorize import factorize
from ..nmf.fit import Execution
from ..settings.separation import Settings
from ..signal.stft import STFT
from .annotations import TRACK, Region, parse, table_of
from .cue import Context, Costs, Cue, Proposed, evenly, read_bytes
from .templates import Templates, unit

LARGEST = 1 << 22  # bytes of a file
TEMPLATES = 12  # of each label
LEARNED, LEARNED_FROM = 30, 600  # iterations by which they are begun, and the most frames
ALONE = 0.3  # seconds at the least that a label must be heard alone, to begin from these
OUTSIDE_TIME, OUTSIDE_RANGE = 100.0, 10.0  # costs


@dataclass(frozen=True, slots=True)
class Labels(Cue):
    """The labels of a run, at least one."""

    kind: ClassVar[str] = "labels"
    templates: ClassVar[int] = TEMPLATES
    moves: ClassVar[bool] = True
    matrices: ClassVar[int] = 4
    shared: ClassVar[bool] = True  # one may say when a sound is heard that another cue has templates for
    regions: tuple[Region, ...]
    paths: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    @classmethod
    def read(cls, texts: Sequence[str], given: Mapping[str, Any]) -> Labels:
        """Read label tracks, but for those that belong to an input, which are read with it."""
        regions, hashes = [], []
        if any(TRACK in path for path in texts):
            return cls((), tuple(texts))
        for path in texts:
            data = read_bytes(path, LARGEST, "label track", "label track")
            regions += parse(data, path)
            hashes.append(hashlib.sha256(data).hexdigest())
        return cls(tuple(regions), tuple(texts), tuple(hashes))

    def for_input(self, path: str) -> Labels:
        """Return the labels of one input, where its path stands for {track}."""
        paths = [table_of(path, own) for own in self.paths]
        return self if paths == list(self.paths) else self.read(paths, {})

    @property
    def labels(self) -> tuple[str, ...]:
        """The names, in the order of the files."""
        return tuple(dict.fromkeys(region.name for region in self.regions))

    def check(self, sample_rate: int, stfts: Sequence[STFT], begin: float, end: float | None) -> tuple[str, ...]:
        """Refuse labels of which nothing is in the sound that is separated, and ranges above its frequencies."""
        for name in self.labels:
            mine = self._of(name)
            if end is not None and not any(region.end > begin and region.begin < end for region in mine):
                what = f"what is separated goes from {begin:g} s to {end:g} s"
                message = f"--labels: {name!r} is heard from {mine[0].begin:g} s to {mine[0].end:g} s only; {what}"
                raise UsageError(message, "correct its times")
            if all(region.low >= sample_rate / 2 for region in mine):
                message = f"--labels: {name!r} is above {sample_rate // 2} Hz, where a sound of {sample_rate} Hz ends"
                raise UsageError(message, "correct its frequencies")
        return ()

    def propose(self, context: Context, stfts: Sequence[STFT], labels: Sequence[str]) -> Proposed:
        """Return templates begun from where each label is heard: alone if it is, else together with those that are."""
        templates, notes = [], []
        for stft in stfts:
            rate = context.audio.sample_rate / stft.hop_length
            active = {name: self._active(context, stft, name) for name in self.labels}
            crowd = np.sum(list(active.values()), axis=0)
            alone = {name: active[name] & (crowd == 1) for name in labels}
            alone = {name: where for name, where in alone.items() if where.sum() >= ALONE * rate}
            begun: dict[str, Matrix] = {}
            for name in sorted(labels, key=lambda name: name not in alone):
                inside = self._inside(context, stft, name)
                X = context.frames(stft, evenly(np.flatnonzero(alone.get(name, active[name])), LEARNED_FROM))
                known = [] if name in alone else [begun[other] * inside[:, None] for other in alone]
                begun[name] = _begun((X * inside).T, known, context.settings)
            owners = np.repeat(np.arange(len(labels)), TEMPLATES)
            W = np.concatenate([begun[name] for name in labels], axis=1)
            templates.append(Templates(stft, W, owners, mobility=np.ones(len(owners))))
            unbounded = [name for name in labels if all(r.low <= 0 and r.high == math.inf for r in self._of(name))]
            if len(lost := [repr(name) for name in unbounded if name not in alone]) > 1:
                notes.append(f"--labels: {' and '.join(lost)} are never heard alone, so little tells them apart")
        return templates, list(dict.fromkeys(notes))

    def costs(self, context: Context, templates: Templates, labels: Sequence[str]) -> Costs:
        """Return what it costs to be heard outside a label's time, or above or below its frequencies."""
        stft, k = templates.stft, len(templates.owners)
        W = np.zeros((stft.bins, k), np.float32)
        Z = np.zeros((k, stft.n_frames(context.audio.length)), np.float32)
        for name in self.labels:
            columns = templates.columns(labels.index(name))
            W[:, columns] = OUTSIDE_RANGE * (1 - self._inside(context, stft, name)[:, None])
            Z[columns] = OUTSIDE_TIME * ~self._active(context, stft, name)
        return {"Z": Z} | ({"W": W} if W.any() else {})

    def _of(self, name: str) -> list[Region]:
        return [region for region in self.regions if region.name == name]

    def _active(self, context: Context, stft: STFT, name: str) -> NDArray[np.bool_]:
        """Return in which frames, that reach half their length to both sides, a label is heard."""
        rate = context.audio.sample_rate
        reach = stft.n_fft / 4 / rate  # where the window has half its height
        at = context.begin + np.arange(stft.n_frames(context.audio.length)) * stft.hop_length / rate
        active = np.zeros(len(at), bool)
        for region in self._of(name):
            active |= (at >= region.begin - reach) & (at <= region.end + reach)
        return active

    def _inside(self, context: Context, stft: STFT, name: str) -> Matrix:
        """Return 1 for the bins within any range of a label, else 0."""
        frequencies = stft.frequencies(context.audio.sample_rate)
        inside: Matrix = np.zeros(stft.bins, np.float32)
        for region in self._of(name):
            inside[(frequencies >= region.low - frequencies[1]) & (frequencies <= region.high + frequencies[1])] = 1
        return inside


def _begun(X: Matrix, known: Sequence[Matrix], settings: Settings) -> Matrix:
    """Return templates of what some frames hold that known templates, which are held, do not explain."""
    if not X.shape[1] or not X.any():
        return unit(np.ones((len(X), TEMPLATES), np.float32))
    options: dict[str, Any] = {"seed": settings.seed, "execution": Execution(settings.threads, ONCE)}
    options |= {"max_iter": settings.at_most(LEARNED), "tol": 0.0}
    if not known:
        return unit(factorize(X, TEMPLATES, start="random", **options).factors.W)
    rng = np.random.default_rng(settings.seed)
    W = np.concatenate([*known, unit(rng.uniform(0.1, 1.1, (len(X), TEMPLATES)).astype(np.float32))], axis=1)
    held = np.zeros(W.shape, bool)
    held[:, :-TEMPLATES] = True
    level = X.sum(axis=0) / np.maximum(W.sum(dtype=np.float64), 1e-12)
    Z = np.repeat(level[None].astype(np.float32), W.shape[1], axis=0)
    return unit(factorize(X, W.shape[1], W=W, Z=Z, fixed={"W": held}, **options).factors.W[:, -TEMPLATES:])
