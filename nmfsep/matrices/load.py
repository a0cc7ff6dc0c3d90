"""Matrices and images read from files of any origin: what a file promises is checked before it takes memory."""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NmfsepError, UsageError, install_command
from ..files.npz import PACKINGS, read_header, read_numbers
from ..registry import suggestion
from ..signal.read import open_input
from .text import Table

NPY, ZIP = b"\x93NUMPY", b"PK"
SPREADSHEETS = ("xl/", "content.xml")
ENCRYPTED = 1  # the bit that says so
KINDS = ("PNG", "JPEG", "PPM", "BMP")  # decoders that are used; those of odder files stay shut
EXTENSIONS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp")
# Called with the shape, of text only about, and the bytes of an entry before they are loaded; raises UsageError if
# memory would not suffice.
Allow = Callable[[tuple[int, ...], int], object]


@dataclass(frozen=True, slots=True)
class Found:
    """A matrix, (rows, columns), and the images that its columns are, if they are."""

    X: NDArray[Any]
    names: tuple[str, ...] = ()  # of the images; empty if they have none
    size: tuple[int, int] | None = None  # height and width of the images
    sha256: str | None = None  # of the file


def read_matrix(path: str, array: str | None, images: bool, allow: Allow) -> Found:
    """Read a matrix, or a stack of images as one.

    Parameters
    ----------
    path : str
        An .npy or .npz file, or text with a line for each row; "-" is standard input.
    array : str or None
        Which array of an .npz file; the only one if not given.
    images : bool
        Expect an array of images, (images, height, width); each becomes a column.
    allow : callable
        Called with the shape and the bytes of an entry before they are loaded.

    Raises
    ------
    InputError
        It cannot be read, or is no matrix of finite real numbers.
    UsageError
        There is no such array, or what `allow` raises.
    """
    try:
        try:
            file = open_input(path)
        except ValueError as error:
            raise InputError("has a name that no file can have") from error
        with file:
            X = _numbers(file, array, 3 if images else 2, allow)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        _require_finite(X)
    except NmfsepError as error:
        error.path = path
        raise
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error
    except (ValueError, csv.Error) as error:
        raise InputError("cannot be read as a matrix", "it is damaged, or not what it seems", path) from error
    if images:
        count, height, width = X.shape
        return Found(X.reshape(count, -1).T, (), (height, width), sha256)
    return Found(X, sha256=sha256)


def _numbers(file: BinaryIO, array: str | None, axes: int, allow: Allow) -> NDArray[Any]:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)  # what came through a pipe has been written just now
    start = file.read(len(NPY))
    file.seek(0)
    if array is not None and not start.startswith(ZIP):
        raise UsageError("--array is for .npz files", "leave it out")
    if start.startswith(NPY):
        return _array(file, size, axes, allow)
    if start.startswith(ZIP):
        archive, member = _member(file, array)
        try:
            with archive.open(member) as stream:
                return _array(stream, member.file_size, axes, allow)
        except (NmfsepError, MemoryError):
            raise
        except Exception as error:  # of zipfile and what unpacks for it
            raise InputError("cannot be unpacked; it is damaged") from error
    if axes != 2:
        raise UsageError("holds no images", "--images takes a folder of images, or an array (images, height, width)")
    table = Table(file, size)
    allow(table.shape, 8)
    return table.read()


def _array(file: IO[bytes], size: int, axes: int, allow: Allow) -> NDArray[Any]:
    """Return an array that takes so many bytes with its header."""
    try:
        header = read_header(file)
    except (ValueError, EOFError, OSError) as error:
        raise InputError("has a damaged header of .npy") from error
    dtype, shape, rest = header.dtype, header.shape, size - header.length
    if dtype.hasobject:
        raise InputError("holds pickled Python objects, which are never loaded", "save it as an array of numbers")
    if dtype.kind not in "fiub":
        what = {"c": "complex numbers", "V": "records"}.get(dtype.kind, f"{dtype} entries")
        raise InputError(f"holds {what}, not real numbers", "save it as an array of float64")
    if header.size != rest:
        raise InputError(f"promises {header.size} bytes of numbers in shape {shape}, but holds {rest}", "it is damaged")
    if len(shape) != axes:
        wanted = "a matrix has 2 axes" if axes == 2 else "images have 3 axes: image, height, width"
        hint = "use --images for a stack of images" if len(shape) == 3 else None
        raise InputError(f"holds an array of shape {shape}; {wanted}", hint)
    if 0 in shape:
        raise InputError(f"is empty: an array of shape {shape}")
    allow(shape, dtype.itemsize)
    try:
        return read_numbers(file, header)
    except EOFError as error:
        raise InputError("ends before its numbers do", "it is damaged") from error


def _member(file: BinaryIO, name: str | None) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    """Return an .npz file, and an array in it: the only one if no name is given."""
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # of zipfile, for junk
        raise InputError("is a damaged .npz file") from error
    files = archive.namelist()
    arrays = {each.removesuffix(".npy"): each for each in files if each.endswith(".npy")}
    if not arrays:
        sheet = any(each.startswith(SPREADSHEETS) for each in files)
        raise InputError("holds no arrays", "save a spreadsheet as CSV" if sheet else None)
    if name is None:
        if len(arrays) > 1:
            listed = ", ".join(sorted(arrays)[:10])
            raise UsageError(f"holds {len(arrays)} arrays", f"choose one with --array: {listed}")
        (name,) = arrays
    if name not in arrays:
        raise UsageError(f"holds no array {name!r}", suggestion(name, list(arrays)))
    member = archive.getinfo(arrays[name])
    if member.flag_bits & ENCRYPTED:
        raise InputError(f"has an array {name!r} that is encrypted", "unpack it first")
    if member.compress_type not in PACKINGS:
        raise InputError(f"has an array {name!r} packed in a way that is not read", "save it with numpy.savez")
    return archive, member


def _require_finite(X: NDArray[Any]) -> None:
    """Raise InputError, which names the first, if an entry is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum(dtype=np.float64)):
            return
        bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        count = "an entry is" if len(bad) == 1 else f"{len(bad)} entries are"
        raise InputError(f"{count} NaN or infinite, the first in {_place(bad[0])}", "repair it first")


def require_positive(X: NDArray[Any], path: str) -> None:
    """Raise InputError, which names the first, if an entry is negative."""
    if X.min() < 0:
        first = np.unravel_index(int(np.argmax(np.ravel(X) < 0)), X.shape)
        message = f"holds negative entries, the first {X[first]:g} in {_place(first)}"
        raise InputError(message, "use --model semi or deep-semi, which take any sign", path)


def _place(index: Any) -> str:
    names = ("row", "column") if len(index) == 2 else ("image", "row", "column")
    return ", ".join(f"{name} {int(place) + 1}" for name, place in zip(names, index, strict=True))


def list_images(folder: str) -> list[str]:
    """Return the images in a folder, by their extensions, sorted by name; UsageError if there are none."""
    try:
        names = sorted(os.fsdecode(name) for name in os.listdir(os.fsencode(folder)))
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower(), path=folder) from error
    images = [name for name in names if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
    if not images:
        raise UsageError("holds no images", f"those that can be read end in {', '.join(EXTENSIONS)}", folder)
    return [os.path.join(folder, name) for name in images]


def read_images(paths: list[str], allow: Allow) -> Found:
    """Read images of one size; colours become grey, black is 0 and white 1.

    InputError if one cannot be read, or is of another size than the first; UsageError if there is no Pillow.
    """
    first: tuple[int, int] | None = None
    for path in paths:
        with _opened(path) as image:
            if first is not None and image.size != first:
                message = f"has {_size(image.size)} pixels, where {os.path.basename(paths[0])!r} has {_size(first)}"
                raise InputError(message, "scale or crop the images to one size first", path)
            first = image.size
    assert first is not None
    width, height = first
    allow((len(paths), height, width), 4)
    X = np.empty((len(paths), height * width), np.float32)
    for row, path in zip(X, paths, strict=True):
        with _opened(path) as image:
            try:
                row[:] = _grey(image).ravel()
            except (OSError, ValueError, SyntaxError) as error:
                raise InputError("cannot be decoded to its end; it is damaged", path=path) from error
    names = tuple(os.path.splitext(os.path.basename(path))[0] for path in paths)
    return Found(X.T, names, (height, width))


def _opened(path: str) -> Any:
    """Return an image of which the header was read."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "images need Pillow, which is not installed", f"install it: {install_command('pillow', extra='plot')}"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large images: whether memory suffices is checked
            return Image.open(os.fsencode(path), formats=KINDS)
    except Image.DecompressionBombError as error:
        raise InputError("has more pixels than can be believed", path=path) from error
    except OSError as error:
        reason = error.strerror.lower() if error.strerror else "is no image that can be read"
        raise InputError(reason, "PNG, JPEG, PGM, PPM and BMP are", path) from error
    except (ValueError, SyntaxError) as error:
        raise InputError("is a damaged image", path=path) from error


def _grey(image: Any) -> NDArray[np.float32]:
    """Return an image in grey, (height, width), from 0 to 1."""
    if image.mode.startswith("I"):  # 16 bits, which convert("L") would clip
        return np.asarray(image, np.float32) / np.float32(65535)
    return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
