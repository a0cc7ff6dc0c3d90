"""WAV files of more than 4 GiB, whose size fields no longer hold their size."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from .containers import Container


class Large(io.RawIOBase):
    """A WAV file of more than 4 GiB with a header that says so: that of RF64 in place of its own."""

    def __init__(self, file: BinaryIO, container: Container, there: int) -> None:
        assert container.data_start is not None
        self._file, self._start, self._position = file, container.data_start, 0
        file.seek(12)
        chunks = file.read(container.data_start - 20)  # all between the form and the samples
        size = there - there % container.block
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, size + 72 + len(chunks), size, size // container.block, 0)
        unknown = b"\xff" * 4
        self._head = b"RF64" + unknown + b"WAVE" + ds64 + chunks + b"data" + unknown
        self._size = len(self._head) + there

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer; return the number of bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        piece = self._head[self._position : self._position + len(view)]
        if piece:
            view[: len(piece)] = piece
            count = len(piece)
        else:
            self._file.seek(self._start + self._position - len(self._head))
            count = self._file.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return int(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte; return its place."""
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position
