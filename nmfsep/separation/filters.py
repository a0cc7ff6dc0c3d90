"""What turns the transform of a mixture into those of its stems, a block of frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..signal.stft import STFT, Bins
from .masks import Parts, share
from .stems import Model


class Filter(Protocol):
    """Shares the mixture out among the stems."""

    @property
    def margin(self) -> int:
        """Frames on either side of a block that must be seen, too, where there are such."""

    def __call__(self, mixture: Bins, model: Model, inner: slice) -> Iterator[Iterator[Bins]]:
        """Yield for each channel the transforms, (frames, bins), of all stems but the first, which is what they leave.

        Parameters
        ----------
        mixture : ndarray, shape (channels, frames, bins)
        model : Model
            Of these frames.
        inner : slice
            The frames that are wanted.
        """


@dataclass(frozen=True, slots=True)
class Masking:
    """One mask for each channel and stem."""

    mask: Callable[[Parts], None]
    margin: int = 0

    def __call__(self, mixture: Bins, model: Model, inner: slice) -> Iterator[Iterator[Bins]]:
        """Yield the masked mixture."""
        for channel, S in enumerate(mixture):
            shares = model.parts(channel, 0, len(S), S)
            self.mask(shares)
            yield (S[inner] * mine[inner] for mine in shares[1:])


@dataclass(frozen=True, slots=True)
class Consistent:
    """Masks made again from what the stems are once they were sound.

    A masked transform is not the transform of any sound: what its inverse has in it is nearer to the stem's neighbours
    in time than the mask says. The magnitudes of that sound, as shares of their sum, are the next masks.

    Parameters
    ----------
    mask : callable
        Turns models into the first shares, in place.
    stft : STFT
    rounds : int
    """

    mask: Callable[[Parts], None]
    stft: STFT
    rounds: int

    @property
    def margin(self) -> int:
        """Frames that a round looks at on either side, for all rounds."""
        return self.rounds * (self.stft.overlap - 1)

    def __call__(self, mixture: Bins, model: Model, inner: slice) -> Iterator[Iterator[Bins]]:
        """Yield the masked mixture."""
        edge, frames = self.stft.overlap - 1, mixture.shape[1]
        whole = slice(edge, max(edge, frames - edge))  # frames that all that lie over them are seen with
        for channel, S in enumerate(mixture):
            shares = model.parts(channel, 0, frames, S)
            self.mask(shares)
            for _ in range(self.rounds):
                for mine in shares:
                    heard = self.stft.transform(self.stft.inverse_block((S * mine)[None]))[0]
                    mine[whole] = np.abs(heard[whole])
                renewed = shares[:, whole]
                share(renewed)
                shares[:, whole] = renewed
            yield (S[inner] * mine[inner] for mine in shares[1:])
