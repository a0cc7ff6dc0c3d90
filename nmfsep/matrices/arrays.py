"""Arrays in numpy's own files: what the header promises is checked before anything is believed or loaded."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NmfsepError, UsageError
from ..files import npz as archive
from ..registry import suggestion

NPY, ZIP = b"\x93NUMPY", b"PK"
SPREADSHEETS = ("xl/", "content.xml")
PIECE = 1 << 20  # bytes read at a time
ENCRYPTED = 1  # the bit that says so


@dataclass(frozen=True, slots=True)
class Header:
    """What an array file says of itself.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    fortran : bool
        Whether the first axis runs fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: IO[bytes], there: int) -> Header:
    """Return the header of an array, after which its numbers follow.

    Parameters
    ----------
    file : file
        Open at the beginning of the array.
    there : int
        Bytes that the array takes, header and all.

    Raises
    ------
    InputError
        It is damaged, promises other than what is there, or holds no real numbers.
    """
    try:
        dtype, fortran, shape, size = archive.read_header(file)
    except (ValueError, EOFError, OSError) as error:
        raise InputError("has a damaged header of .npy") from error
    header = Header(shape, dtype, fortran)
    if dtype.hasobject:
        raise InputError("holds pickled Python objects, which are never loaded", "save it as an array of numbers")
    if dtype.kind not in "fiub":
        what = {"c": "complex numbers", "V": "records"}.get(dtype.kind, f"{dtype} entries")
        raise InputError(f"holds {what}, not real numbers", "save it as an array of float64")
    rest = there - size
    if header.size != rest:
        raise InputError(f"promises {header.size} bytes of numbers in shape {shape}, but holds {rest}", "it is damaged")
    return header


def read_numbers(file: IO[bytes], header: Header) -> NDArray[np.generic]:
    """Return the array that follows its header, in the byte order of this machine."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    view = flat.view(np.uint8).data
    done = 0
    while done < len(view):
        piece = file.read(min(PIECE, len(view) - done))
        if not piece:
            raise InputError("ends before its numbers do", "it is damaged")
        view[done : done + len(piece)] = piece
        done += len(piece)
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    return array if header.dtype.isnative else array.astype(header.dtype.newbyteorder("="))


class Archive:
    """An .npz file, of which one array is read.

    Parameters
    ----------
    file : file
        Open for reading.

    Raises
    ------
    InputError
        It is damaged, or holds no arrays.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except Exception as error:  # of zipfile, for junk
            raise InputError("is a damaged .npz file") from error
        names = self._zip.namelist()
        self.arrays = {name.removesuffix(".npy"): name for name in names if name.endswith(".npy")}
        if not self.arrays:
            sheet = any(name.startswith(SPREADSHEETS) for name in names)
            raise InputError("holds no arrays", "save a spreadsheet as CSV" if sheet else None)

    def read(self, name: str | None) -> tuple[Header, IO[bytes]]:
        """Return the header of an array, of the only one if no name is given, and the file open at its numbers.

        Raises
        ------
        UsageError
            There is no array of that name, or a choice between several.
        InputError
            As for `read_header`.
        """
        if name is None:
            if len(self.arrays) > 1:
                listed = ", ".join(sorted(self.arrays)[:10])
                raise UsageError(f"holds {len(self.arrays)} arrays", f"choose one with --array: {listed}")
            (name,) = self.arrays
        if name not in self.arrays:
            raise UsageError(f"holds no array {name!r}", suggestion(name, list(self.arrays)))
        about = self._zip.getinfo(self.arrays[name])
        if about.flag_bits & ENCRYPTED:
            raise InputError(f"has an array {name!r} that is encrypted", "unpack it first")
        if about.compress_type not in archive.PACKINGS:
            raise InputError(f"has an array {name!r} packed in a way that is not read", "save it with numpy.savez")
        with unpacking():
            member = self._zip.open(about)
            return read_header(member, about.file_size), member


@contextlib.contextmanager
def unpacking() -> Iterator[None]:
    """Turn a fault of compressed bytes into an InputError."""
    try:
        yield
    except (NmfsepError, MemoryError):
        raise
    except Exception as error:  # of zipfile and what unpacks for it
        raise InputError("cannot be unpacked; it is damaged") from error
