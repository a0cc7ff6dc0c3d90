"""A file seen otherwise: stretches of it, and bytes in the place of others, as one file that can be read and sought in.

So sound is decoded whose header is wrong, lies behind a tag, or is one of several in a file; nothing is copied.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import BinaryIO, cast

from .containers import Container

Part = bytes | range


class View(io.RawIOBase):
    """Parts of a file, one after the other.

    Parameters
    ----------
    file : binary file
        Seekable.
    parts : iterable of bytes or range
        Bytes as they are, or which bytes of the file.

    Attributes
    ----------
    parts : list of bytes or range
    size : int
        Bytes.
    """

    def __init__(self, file: BinaryIO, parts: Iterable[Part]) -> None:
        self._file, self._position = file, 0
        self.parts: list[Part] = []
        for part in parts:
            if isinstance(part, range):
                add(self.parts, part.start, part.stop)
            elif part:
                self.parts.append(part)
        self._starts = [0, *accumulate(map(len, self.parts))]
        self.size = self._starts[-1]

    @property
    def altered(self) -> bool:
        """Whether some of its bytes are not those of the file."""
        return not all(isinstance(part, range) for part in self.parts)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer; return the number of bytes."""
        view, filled = memoryview(buffer).cast("B"), 0  # type: ignore[arg-type]
        while filled < len(view) and self._position < self.size:
            count = self._some(view[filled:])
            if not count:  # the file has become shorter
                break
            filled += count
            self._position += count
        return filled

    def _some(self, view: memoryview) -> int:
        index = bisect_right(self._starts, self._position) - 1
        part, within = self.parts[index], self._position - self._starts[index]
        count = min(len(view), len(part) - within)
        if isinstance(part, range):
            self._file.seek(part.start + within)
            return int(self._file.readinto(view[:count]))  # type: ignore[attr-defined]
        view[:count] = part[within : within + count]
        return count

    def moved(self, file: BinaryIO, start: int) -> View:
        """Return the same of another file, in which that of this one begins at a byte."""
        shift = (range(p.start + start, p.stop + start) if isinstance(p, range) else p for p in self.parts)
        return View(file, shift)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; return its place."""
        self._position = max(0, offset + (0, self._position, self.size)[whence])
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position


def buffered(view: View) -> BinaryIO:
    """Return a view that may be read in small pieces."""
    return cast(BinaryIO, io.BufferedReader(view, 1 << 16))


def add(parts: list[Part], start: int, stop: int) -> None:
    """Append a range, or make the last one longer if it ends where this begins."""
    last = parts[-1] if parts else None
    if isinstance(last, range) and last.stop == start:
        parts[-1] = range(last.start, stop)
    elif start < stop:
        parts.append(range(start, stop))


def beyond_4_gib(file: BinaryIO, container: Container, there: int) -> View:
    """Return a WAV file whose size fields no longer hold its size with a header that does: that of RF64."""
    assert container.data_start is not None
    file.seek(12)
    chunks = file.read(container.data_start - 20)  # all between the form and the samples
    size = there - there % container.block
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, size + 72 + len(chunks), size, size // container.block, 0)
    unknown = b"\xff" * 4
    head = b"RF64" + unknown + b"WAVE" + ds64 + chunks + b"data" + unknown
    return View(file, [head, range(container.data_start, container.data_start + there)])
