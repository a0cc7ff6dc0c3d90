"""From factors and mixture to stems, a block of frames at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..kernels.factors import Factors
from ..kernels.threads import Workers
from ..memory import block_frames
from ..signal.audio import Samples
from ..signal.stft import STFT, Bins
from ..signal.stream import Tape
from .masks import Mask, Parts

if TYPE_CHECKING:
    from .filters import Filter


@dataclass(frozen=True, slots=True)
class Model:
    """What each stem is made of.

    Parameters
    ----------
    factors : sequence of Factors
        One for all channels, or one for each.
    groups : sequence of sequence of int
        The components of each stem.
    residual : bool, default False
        Whether a last stem takes what the model leaves of the magnitude.
    """

    factors: Sequence[Factors]
    groups: Sequence[Sequence[int]]
    residual: bool = False

    @property
    def stems(self) -> int:
        """Number of stems."""
        return len(self.groups) + self.residual

    def merged(self, members: Sequence[Sequence[int]], residual: bool) -> Model:
        """Return the model of stems that are each made of several of these."""
        groups = [[component for stem in stems for component in self.groups[stem]] for stems in members]
        return Model(self.factors, groups, residual)

    def at(self, start: int, stop: int, mixture: Bins) -> Model:
        """Return the model of frames start to stop; `mixture` is the mixture there, (channels, frames, bins)."""
        factors = [Factors(whole.W, whole.Z[:, start:stop]) for whole in self.factors]
        return Model(factors, self.groups, self.residual)

    def parts(self, channel: int, start: int, stop: int, mixture: Bins) -> Parts:
        """Return each stem's model of frames start to stop, (stems, frames, bins).

        `mixture` is the mixture there, (frames, bins), from which the residual is taken.
        """
        factors = self.factors[channel if len(self.factors) > 1 else 0]
        parts = np.empty((self.stems, *mixture.shape), np.float32)
        for part, group in zip(parts, self.groups, strict=False):
            indices = list(group)
            if len(indices) == 1:
                z = factors.Z[indices[0], start:stop]
                np.multiply(z[:, None], factors.W[:, indices[0]], out=part, casting="same_kind")
            else:
                # laid out in one way, whichever way the factors are: the bits of a product depend on it
                z, w = (np.ascontiguousarray(rows) for rows in (factors.Z[indices, start:stop], factors.W.T[indices]))
                np.matmul(z.T, w, out=part)
        if self.residual:
            np.maximum(np.abs(mixture) - parts[:-1].sum(axis=0), 0, out=parts[-1])
        return parts


class Rendered(Protocol):
    """What stems can be rendered from: a Model, or what becomes one a block of frames at a time."""

    @property
    def stems(self) -> int:
        """Number of stems."""

    def at(self, start: int, stop: int, mixture: Bins) -> Model:
        """Return the model of frames start to stop."""


def render(samples: Samples | Tape, stft: STFT, model: Rendered, filter: Filter, workers: Workers) -> Iterator[Samples]:
    """Filter every stem out of the mixture and transform back.

    Parameters
    ----------
    samples : ndarray or Tape, shape (channels, samples)
        The mixture.
    stft : STFT
    model : Model or other Rendered
    filter : Filter
        As `separation.filters` has them.
    workers : Workers
        An entered context.

    Yields
    ------
    ndarray, shape (stems, channels, samples)
        Consecutive pieces of the stems. They add up to the mixture because the first stem is what the others leave:
        one inverse transform fewer, and no sum can be more exact.
    """
    channels, length = samples.shape
    frames = stft.n_frames(length)
    size = block_frames(model.stems, channels, stft.bins)

    def others(block: tuple[int, int, int, Samples]) -> Samples:
        """Overlap-added samples of all stems but the first, (stems - 1, channels, samples)."""
        first, start, stop, segment = block
        S = stft.transform(segment)
        here = model.at(first, first + S.shape[1], S)
        inner = slice(start - first, stop - first)
        out = np.empty((model.stems - 1, channels, (stop - start + stft.overlap - 1) * stft.hop_length), np.float32)
        for channel, stems in enumerate(filter(S, here, inner)):
            for stem, bins in enumerate(stems):
                out[stem, channel] = stft.inverse_block(bins[None])[0]
        return out

    def blocks() -> Iterator[Samples]:
        # one block ahead for each thread, so that they stay busy while the caller writes
        ahead: deque[Callable[[], Samples]] = deque()
        for start in range(0, frames, size):
            stop = min(frames, start + size)
            first, last = max(0, start - filter.margin), min(frames, stop + filter.margin)
            ahead.append(workers.submit(others, (first, start, stop, stft.segment(samples, first, last))))
            if len(ahead) > workers.threads:
                yield ahead.popleft()()
        while ahead:
            yield ahead.popleft()()

    position = 0
    for piece in stft.join(blocks(), length):
        count = piece.shape[-1]
        stems = np.empty((model.stems, channels, count), np.float32)
        stems[1:] = piece
        np.subtract(samples[:, position : position + count], piece.sum(axis=0), out=stems[0])
        position += count
        yield stems


def with_power(mask: Mask, power: float) -> Callable[[Parts], None]:
    """Bind the power of a mask."""
    return partial(mask, power=power)
