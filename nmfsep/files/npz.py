"""A safe container of named arrays with a description: a ``.npz`` file that numpy.load reads, too.

Nothing is unpickled, and what a file declares is checked before anything is unpacked. What belongs in a container of
some schema, its reader asks for by name; other members are never unpacked.
"""

from __future__ import annotations

import ast
import errno
import io
import json
import math
import operator
import os
import stat
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import NmfsepError, UnreadableError, UsageError
from .publish import Output, publish_one
from .view import View

BROKEN = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)  # what says nothing of the file
META = "meta"  # the member that describes the others: a JSON object as one text
MEMBERS = 1000
LARGEST = 1 << 30  # bytes of all members, unpacked
PACKED_TIGHT, HARMLESS = 100, 16 << 20  # what unpacks to more than so many times its size, and to more than so much
PIECE = 1 << 20  # bytes read or written at a time
HEADER = 4096  # bytes of a member's header
TEXT = 1 << 20  # characters of the description
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as numpy writes; unpacking others takes memory of its own
Member = NDArray[Any] | Sequence[NDArray[Any]]


def write(path: Path, schema: str, version: int, about: Mapping[str, Any], arrays: Mapping[str, Member]) -> None:
    """Write a container as `fill` does, and give it its name, complete or not at all."""
    with Output(path) as output:
        fill(output, schema, version, about, arrays)
        publish_one(output)


def fill(
    output: Output,
    schema: str,
    version: int,
    about: Mapping[str, Any],
    arrays: Mapping[str, Member],
    largest: int | None = None,
) -> None:
    """Write a container into an empty file that has no name yet, with no copy of the arrays in memory.

    The same contents give the same bytes.

    Parameters
    ----------
    schema, version : str, int
        What the contents mean, such as "nmfsep.dictionary".
    about : mapping
        What describes the arrays; must be JSON.
    arrays : mapping of str to ndarray or sequence of ndarray
        Numbers of any shape; those of a sequence, all of one shape, are stacked along a new first axis.
    largest : int, optional
        Bytes of all arrays at the most; LARGEST if not given. UsageError, if there are more.
    """
    text = json.dumps({"schema": schema, "version": version, **about}, ensure_ascii=True)
    members: dict[str, Member] = {META: np.array(text), **arrays}
    size = sum(part.nbytes for member in members.values() for part in _parts(member)) + HEADER * len(members)
    if len(text) > TEXT or size > (LARGEST if largest is None else largest) or len(members) > MEMBERS:
        raise UsageError(f"would hold {size} bytes, more than is read again", "keep less in one file", output.path)
    # not compressed: other versions of zlib give other bytes, and float32 hardly shrinks
    with zipfile.ZipFile(cast("IO[bytes]", output), "w", zipfile.ZIP_STORED) as archive:
        for name, member in members.items():
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.file_size = HEADER + sum(part.nbytes for part in _parts(member))  # at most; decides on large headers
            with archive.open(entry, "w") as stream:
                for piece in npy_pieces(member):
                    stream.write(piece)


def npy_pieces(member: Member) -> Iterator[bytes]:
    """Yield the bytes of an ``.npy`` file, little-endian and row by row, with no copy of the whole array in memory."""
    parts = _parts(member)
    dtype = parts[0].dtype.newbyteorder("<")
    shape = parts[0].shape if isinstance(member, np.ndarray) else (len(parts), *parts[0].shape)
    header = io.BytesIO()
    about = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(header, about)
    yield header.getvalue()
    for part in parts:
        rows = part.reshape(1, -1) if part.ndim < 2 else part
        step = max(1, PIECE // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            yield np.ascontiguousarray(rows[start : start + step], dtype).tobytes()


def _parts(member: Member) -> Sequence[NDArray[Any]]:
    return [member] if isinstance(member, np.ndarray) else member


class Archive:
    """A container open for reading.

    Parameters
    ----------
    path : path-like
    largest : int, optional
        Bytes of all members, unpacked, at the most; LARGEST if not given.

    Attributes
    ----------
    path : str
    about : dict
        The description; empty in an ``.npz`` file that another program wrote.
    schema : str or None
        What the contents mean; None in a file that another program wrote.
    size : int
        Bytes of all members, unpacked.

    Raises
    ------
    UsageError
        The file cannot be read, is no such container, or declares more than is safe to unpack.
    """

    def __init__(self, path: str | os.PathLike[str], largest: int | None = None) -> None:
        self.path = os.fspath(path)
        self._largest = LARGEST if largest is None else largest
        try:
            about = os.stat(os.fsencode(self.path))
            if not stat.S_ISREG(about.st_mode):
                raise UsageError("is not a file", path=self.path)
            self._file = open(os.fsencode(self.path), "rb")  # noqa: SIM115 - __exit__ closes it
        except OSError as error:
            hint = "check the name" if error.errno == 2 else None
            kind = UnreadableError if error.errno in BROKEN else UsageError
            raise kind((error.strerror or str(error)).lower(), hint, self.path) from error
        except ValueError as error:  # a NUL in it
            raise UsageError("has a name that no file can have", path=self.path) from error
        try:
            # a view, so that zipfile takes no error of the system for damage
            self._zip = zipfile.ZipFile(View(self._file, [range(about.st_size)]).buffered())
            self._members = self._checked()
            self.about = self._description()
            schema = self.about.get("schema")
            self.schema = schema if isinstance(schema, str) else None
        except BaseException as error:
            self._file.close()
            if isinstance(error, NmfsepError):
                error.path = self.path
            elif isinstance(error, Exception):  # of zipfile, for junk
                raise self.refusal("is not a container of arrays (.npz), or is damaged") from error
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def require(self, schema: str, version: int) -> None:
        """Raise UsageError unless the contents are of that schema, in that version or an older one."""
        if self.schema != schema:
            if self.schema is None:
                raise self.refusal(f"does not say that it holds {schema!r}", "give a file that nmfsep wrote")
            raise self.refusal(f"holds {self.schema[:40]!r}, not {schema!r}")
        found = self.about.get("version")
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self.refusal(f"has no version that makes sense: {str(found)[:40]!r}")
        if found > version:
            message = f"has version {found} of {schema!r}; this nmfsep knows up to {version}"
            raise self.refusal(message, "upgrade nmfsep")

    def array(self, name: str, ndim: int, signed: bool = False) -> NDArray[np.float32]:
        """Return finite numbers, non-negative unless signed, as C-contiguous float32, or raise UsageError."""
        values = self._member(name)
        if values.dtype.kind not in "fiu":
            raise self.refusal(f"{name} must be real numbers, not {str(values.dtype)[:40]}")
        if values.ndim != ndim or values.size == 0:
            raise self.refusal(f"{name} has shape {values.shape}; {ndim} dimensions that are not empty are needed")
        with np.errstate(over="ignore"):
            single = np.asarray(values, dtype=np.float32, order="C")
        if not np.isfinite(single).all():
            raise self.refusal(f"{name} holds NaN or infinite numbers, or larger than single precision has")
        if not signed and single.min() < 0:
            raise self.refusal(f"{name} holds negative numbers")
        return single

    def integer(self, name: str, low: int, high: int) -> int:
        """Return a member that is one whole number within a range."""
        value = self._member(name)
        if value.size != 1 or value.dtype.kind not in "iu" or not low <= int(value.reshape(())) <= high:
            raise self.refusal(f"{name} is not a whole number from {low} to {high}")
        return int(value.reshape(()))

    def refusal(self, message: str, hint: str | None = None) -> UsageError:
        """Return the error that refuses this file."""
        return UsageError(message, hint, self.path)

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        """Return the members by name, all that they declare checked."""
        entries = self._zip.infolist()
        if len(entries) > MEMBERS:
            raise self.refusal(f"has {len(entries)} members; {MEMBERS} are the most that are read")
        total, members = 0, {}
        for entry in entries:
            total += entry.file_size
            if entry.file_size > max(HARMLESS, PACKED_TIGHT * entry.compress_size) or total > self._largest:
                raise self.refusal(f"would unpack to {total} bytes or more, out of proportion", "it may be a zip bomb")
            name = entry.filename.removesuffix(".npy")
            if name in members:
                raise self.refusal(f"has two members named {name[:40]!r}")
            members[name] = entry
        self.size = total
        return members

    def _description(self) -> dict[str, Any]:
        if META not in self:
            return {}
        text = self._member(META)
        if text.dtype.kind != "U" or text.ndim or text.dtype.itemsize > 4 * TEXT:
            raise self.refusal("has a description that is no text")
        try:
            about = json.loads(str(text))
            json.dumps(about, allow_nan=False)  # which loads lets pass, and which is no JSON to hand on
        except (ValueError, RecursionError) as error:
            raise self.refusal("has a description that is no JSON") from error
        if not isinstance(about, dict):
            raise self.refusal("has a description that is no JSON object")
        return about

    def _member(self, name: str) -> NDArray[Any]:
        """Unpack one array, its header checked against the bytes that there are."""
        if name not in self._members:
            raise self.refusal(f"has no {name}")
        entry = self._members[name]
        if entry.compress_type not in PACKINGS:
            raise self.refusal(f"has {name} packed in a way that is not read", "save it with numpy.savez")
        try:
            with self._zip.open(entry) as stream:
                header = read_header(stream)
                there = entry.file_size - header.length
                if header.dtype.kind not in "fiuU":
                    raise self.refusal(f"{name} must be real numbers, not {header.dtype.str[:40]}")
                if header.size != there:
                    raise self.refusal(f"{name} claims shape {str(header.shape)[:60]} but has {there} bytes")
                return read_numbers(stream, header)
        except NmfsepError as error:
            error.path = self.path
            raise
        except Exception as error:  # of zipfile and what unpacks for it
            raise self.refusal(f"has a damaged {name}") from error


@dataclass(frozen=True, slots=True)
class Header:
    """Header of an array in a file."""

    dtype: np.dtype[Any]
    fortran: bool  # whether the first axis runs fastest
    shape: tuple[int, ...]
    length: int  # bytes of the header itself

    @property
    def size(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Header:
    """Return the header of an array, after which its numbers follow, or raise ValueError.

    As NEP 1 describes it. numpy's own reader goes further, to headers of Python 2, and fails in more ways.
    """
    magic = stream.read(8)
    width = 2 if magic[6:7] == b"\x01" else 4
    size = int.from_bytes(stream.read(width), "little")
    if magic[:6] != b"\x93NUMPY" or magic[6:7] not in (b"\1", b"\2", b"\3") or size > HEADER:
        raise ValueError("no header of an array")
    text = stream.read(size).decode().strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd literals and of old names of dtypes
            header = ast.literal_eval(text)
            dtype = npy.descr_to_dtype(header["descr"])
            shape = tuple(operator.index(length) for length in header["shape"])
            fortran = bool(header["fortran_order"])
    except Exception as error:  # what Python's parser and numpy say of junk
        raise ValueError("no header of an array") from error
    if min(shape, default=1) < 0:
        raise ValueError("a negative length")
    return Header(dtype, fortran, shape, 8 + width + size)


def read_numbers(stream: IO[bytes], header: Header) -> NDArray[Any]:
    """Return the array that follows its header, in the byte order of this machine; EOFError if the file ends before."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    view = flat.view(np.uint8).data
    done = 0
    while done < len(view):
        piece = stream.read(min(PIECE, len(view) - done))
        if not piece:
            raise EOFError("the numbers of an array")
        view[done : done + len(piece)] = piece
        done += len(piece)
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    return array if header.dtype.isnative else array.astype(header.dtype.newbyteorder("="))
