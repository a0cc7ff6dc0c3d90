"""Reading a matrix from whatever holds it."""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NmfsepError, UsageError
from ..files.npz import Header
from ..signal.read import open_input
from .arrays import NPY, ZIP, Archive, read_header, read_numbers, unpacking
from .table import Table

KINDS = ("PNG", "JPEG", "PPM", "BMP")  # decoders that are used; those of odder files stay shut
EXTENSIONS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp")


def list_images(folder: str) -> list[str]:
    """Return the images in a folder, by their extensions, sorted by name.

    Raises
    ------
    UsageError
        There are none, or it cannot be listed.
    """
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

    Parameters
    ----------
    paths : list of str
    allow : callable
        As for `read_matrix`.

    Raises
    ------
    InputError
        One cannot be read, or is of another size than the first.
    UsageError
        Pillow is not installed, or what `allow` raises.
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
        raise UsageError("images need Pillow, which is not installed", "pip install 'nmfsep[plot]'") from error
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


# Told the shape, of text only about, and the bytes of an entry before they are loaded; raises UsageError if memory
# would not suffice.
Allow = Callable[[tuple[int, ...], int], object]


@dataclass(frozen=True, slots=True)
class Found:
    """A matrix, and the images that its columns are, if they are.

    Attributes
    ----------
    X : ndarray, shape (rows, columns)
    names : tuple of str
        Of the images; empty if they have none.
    size : tuple of int, optional
        Height and width of the images.
    sha256 : str, optional
        Of the file.
    """

    X: NDArray[Any]
    names: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    sha256: str | None = None


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
        Told the shape and the bytes of an entry before they are loaded.

    Raises
    ------
    InputError
        It cannot be read, or is no matrix of finite real numbers.
    UsageError
        There is no such array, or what `allow` raises.
    """
    try:
        file = open_input(path)
    except InputError as error:
        error.path = path
        raise
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error
    except ValueError as error:
        raise InputError("has a name that no file can have", path=path) from error
    try:
        with file:
            X = _numbers(file, array, 3 if images else 2, allow)
            file.seek(0)
            digest = hashlib.sha256()
            for piece in iter(partial(file.read, 1 << 20), b""):
                digest.update(piece)
    except NmfsepError as error:
        error.path = path
        raise
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error
    except (ValueError, csv.Error) as error:
        raise InputError("cannot be read as a matrix", "it is damaged, or not what it seems", path) from error
    try:
        require_numbers(X)
    except InputError as error:
        error.path = path
        raise
    if images:
        count, height, width = X.shape
        return Found(X.reshape(count, -1).T, (), (height, width), digest.hexdigest())
    return Found(X, sha256=digest.hexdigest())


def require_numbers(X: NDArray[Any]) -> None:
    """Raise InputError, which names the first, if an entry is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum(dtype=np.float64)):
            return
        bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        count = "an entry is" if len(bad) == 1 else f"{len(bad)} entries are"
        raise InputError(f"{count} NaN or infinite, the first in {_place(bad[0])}", "repair it first")


def require_positive(X: NDArray[Any], hint: str) -> None:
    """Raise InputError, which names the first, if an entry is negative."""
    if X.min() >= 0:
        return
    first = np.unravel_index(int(np.argmax(np.ravel(X) < 0)), X.shape)
    raise InputError(f"holds negative entries, the first {X[first]:g} in {_place(first)}", hint)


def _place(index: Any) -> str:
    names = ("row", "column") if len(index) == 2 else ("image", "row", "column")
    return ", ".join(f"{name} {int(place) + 1}" for name, place in zip(names, index, strict=True))


def _numbers(file: BinaryIO, array: str | None, axes: int, allow: Allow) -> NDArray[Any]:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)  # what came through a pipe has been written just now
    start = file.read(len(NPY))
    file.seek(0)
    if array is not None and not start.startswith(ZIP):
        raise UsageError("--array is for .npz files", "leave it out")
    if start.startswith(NPY):
        header = read_header(file, size)
        _check_shape(header, axes, allow)
        return read_numbers(file, header)
    if start.startswith(ZIP):
        header, member = Archive(file).read(array)
        _check_shape(header, axes, allow)
        with unpacking(), member:
            return read_numbers(member, header)
    if axes != 2:
        raise UsageError("holds no images", "--images takes a folder of images, or an array (images, height, width)")
    table = Table(file, size)
    allow(table.shape, 8)
    return table.read()


def _check_shape(header: Header, axes: int, allow: Allow) -> None:
    if len(header.shape) != axes:
        wanted = "a matrix has 2 axes" if axes == 2 else "images have 3 axes: image, height, width"
        hint = "use --images for a stack of images" if len(header.shape) == 3 else None
        raise InputError(f"holds an array of shape {header.shape}; {wanted}", hint)
    if 0 in header.shape:
        raise InputError(f"is empty: an array of shape {header.shape}")
    allow(header.shape, header.dtype.itemsize)
