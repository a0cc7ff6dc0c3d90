"""Sound that does not fit into memory: files in blocks, and a window that slides over a stream of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .read import BLOCK, Source, mute

Block = NDArray[np.floating]


def blocks(source: Source, size: int = BLOCK) -> Iterator[NDArray[np.float64]]:
    """Yield a file from its beginning to its end, (channels, samples), at most `size` samples at a time.

    Raises
    ------
    InputError
        The file is damaged.
    """
    try:
        with mute(source.container.kind):
            source.seek(0)
        while True:
            with mute(source.container.kind):
                block = source.block(size)
            if not len(block):
                return
            yield block.T
    except (RuntimeError, OSError) as error:
        raise InputError("cannot be decoded to its end; it is damaged", path=source.path) from error


class Window:
    """A stretch of a stream of blocks, which only moves on.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (..., samples)
        Consecutive pieces of a signal, equal in all but the last axis.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = iter(blocks)
        self._held: Block | None = None
        self._first = 0

    def between(self, start: int, stop: int) -> Block:
        """Return samples start to stop, fewer where the stream ends; nothing before `start` can be had again.

        No stretch may begin after the end of the one before it.
        """
        if self._held is None:
            self._held = next(self._blocks, np.empty(0))
        pieces = [self._held[..., start - self._first :]]
        have = pieces[0].shape[-1]
        while have < stop - start:
            block = next(self._blocks, None)
            if block is None:
                break
            pieces.append(block)
            have += block.shape[-1]
        self._held = np.concatenate(pieces, axis=-1) if len(pieces) > 1 else pieces[0]
        self._first = start
        return self._held[..., : stop - start]
