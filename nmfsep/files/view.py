"""Views: parts of a file, and bytes that stand for others, as one file to read and seek in.

So sound is decoded whose header is wrong, or that lies behind a tag or between other sounds. Nothing is copied.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import BinaryIO, cast

from ..errors import UnreadableError
from ..system import read_at

Part = bytes | range
BUFFER = 1 << 16  # bytes read at a time; the memory of larger pieces would come fresh from the system each time
USED = "what is there is used"  # how a warning of a cut file ends
CUT_FRAME = f"ends within a frame; it was cut, and {USED}"


class View(io.RawIOBase):
    """Parts of a file, one after the other.

    Parameters
    ----------
    file : binary file
        One of the system, or a buffered view, whose own parts are then taken.
    parts : iterable of bytes or range
        Bytes as they are, or which bytes of the file.

    Raises
    ------
    UnreadableError
        On reading: the system cannot read the file.
    """

    def __init__(self, file: BinaryIO, parts: Iterable[Part]) -> None:
        below = getattr(file, "raw", None)
        self._fd: int = below._fd if isinstance(below, View) else file.fileno()
        self.parts: list[Part] = []  # with ranges of the file of the system
        for part in parts:
            if isinstance(part, range) and isinstance(below, View):
                for begin, other in zip(below._starts, below.parts, strict=False):
                    add(self.parts, other[max(0, part.start - begin) : max(0, part.stop - begin)])
            else:
                add(self.parts, part)
        self._starts: list[int] = [0, *accumulate(map(len, self.parts))]
        self.size = self._starts[-1]  # bytes
        self._position = 0

    @property
    def altered(self) -> bool:
        """Whether some of its bytes are not those of the file."""
        return not all(isinstance(part, range) for part in self.parts)

    def buffered(self) -> BinaryIO:
        """Return the view from its beginning on, fast to read in small pieces."""
        self._position = 0
        return cast(BinaryIO, io.BufferedReader(self, BUFFER))

    def close(self) -> None:
        """Do nothing: the file below stays open, and the view can be read again."""

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
            index = bisect_right(self._starts, self._position) - 1
            within = self._position - self._starts[index]
            part = self.parts[index][within : within + min(BUFFER, len(view) - filled)]
            data = self._read(part) if isinstance(part, range) else part
            if not data:  # the file has become shorter
                break
            view[filled : filled + len(data)] = data
            filled += len(data)
            self._position += len(data)
        return filled

    def _read(self, part: range) -> bytes:
        try:
            return read_at(self._fd, len(part), part.start)
        except OSError as error:
            message = f"cannot be read: {(error.strerror or str(error)).lower()}"
            raise UnreadableError(message, "the disk, or the way to it, may be failing") from error

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; return its place."""
        self._position = max(0, offset + (0, self._position, self.size)[whence])
        return self._position


def add(parts: list[Part], part: Part) -> None:
    """Append a part, or make the last one longer if it ends where this begins."""
    last = parts[-1] if parts else None
    if isinstance(part, range) and isinstance(last, range) and last.stop == part.start:
        parts[-1] = range(last.start, part.stop)
    elif part:
        parts.append(part)


def bytes_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Return bytes from a place on, fewer at the end of the file."""
    file.seek(position)
    return file.read(count)


def pieces_from(file: BinaryIO, position: int, overlap: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield where each piece begins, and the piece; it repeats so many bytes of the one before."""
    while piece := bytes_at(file, position, BUFFER):
        yield position, piece
        if len(piece) < BUFFER:
            break
        position += BUFFER - overlap


def length_warning(promised: float, there: float, promise: str = "its header promises") -> str:
    """Return the warning of a sound that has other seconds than were promised."""
    if promised < there:
        return f"{promise} {promised:.3f} s, {there:.3f} s follow; all of them are used"
    return f"ends after {there:.3f} s where {promise} {promised:.3f} s; {USED}"
