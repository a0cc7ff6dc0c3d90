"""Matrices and images read from files of any origin: what a file promises is checked before it takes memory."""

from __future__ import annotations

import csv
import hashlib
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, NmfsepError, UsageError, install_command
from ..files.npz import PACKINGS, Header, read_header, read_numbers
from ..kernels.streamed import Rows
from ..registry import suggestion
from ..signal.read import open_input
from .text import Table

NPY, ZIP = b"\x93NUMPY", b"PK"
SPREADSHEETS = ("xl/", "content.xml")
ENCRYPTED = 1  # the bit that says so
KINDS = ("PNG", "JPEG", "PPM", "BMP")  # decoders that are used; those of odder files stay shut
EXTENSIONS = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp")
SPARSE = {"indices", "indptr", "format", "shape", "data"}  # arrays in a file of scipy's save_npz
OTHERS = [{"format", "shape", "data", *more} for more in (("row", "col"), ("coords",), ("offsets",))]  # COO and DIA


class Allow(Protocol):
    """What is asked before entries are loaded; raises UsageError if memory would not suffice."""

    def __call__(self, shape: tuple[int, ...], size: int, *, entries: int | None = None, on_disk: bool = False) -> bool:
        """Return whether to load a matrix of that shape, of text only about, with `size` bytes an entry.

        Of sparse ones, `entries` are there. Where it may stay `on_disk`, false says that it shall.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """A matrix, (rows, columns), and the images that its columns are, if they are.

    It is an array, a sparse one of scipy, or Rows in a file.
    """

    X: Any
    names: tuple[str, ...] = ()  # of the images; empty if they have none
    size: tuple[int, int] | None = None  # height and width of the images
    sha256: str | None = None  # of the file
    labels: tuple[str, ...] = ()  # of the images, where they are needed


def read_matrix(path: str, array: str | None, images: bool, allow: Allow) -> Found:
    """Read a matrix, or a stack of images as one.

    Parameters
    ----------
    path : str
        An .npy or .npz file, also one of scipy's save_npz, or text with a line for each row; "-" is standard input.
    array : str or None
        Which array of an .npz file; the only one if not given.
    images : bool
        Expect an array of images, (images, height, width); each becomes a column.
    allow : callable
        Asked before entries are loaded, as `Allow` says.

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
            X = _numbers(file, array, 3 if images else 2, allow, path)
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


def open_matrix(path: str | os.PathLike[str]) -> Rows:
    """Return a matrix in an ``.npy`` file that stays on disk, for `factorize` to read a block at a time.

    A pass over it reads each entry once, so that a fit of 100 iterations reads the file some 120 times, and nothing is
    approximated: the loss is that of a fit in memory but for rounding, and the order in which W and Z take turns.

    Parameters
    ----------
    path : path-like
        A regular file. In C order, rows are read together, in Fortran order columns.

    Returns
    -------
    Rows
        With `shape` and `dtype`, in which it is computed: float64 where the file has it, else float32.

    Raises
    ------
    InputError
        It is no matrix of real numbers, or damaged.

    Examples
    --------
    >>> import numpy as np, tempfile, os
    >>> from nmfsep import factorize, open_matrix
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "X.npy")
    ...     np.save(path, np.outer(np.arange(1.0, 31), np.arange(1.0, 21)))
    ...     factorize(open_matrix(path), 1).factors.W.shape
    (30, 1)
    """
    path = os.fspath(path)
    with open_input(path) as file:
        return _rows(path, _header(file, os.fstat(file.fileno()).st_size, 2))


def _rows(path: str, header: Header) -> Rows:
    shape = header.shape[::-1] if header.fortran else header.shape
    count, columns = shape

    def read(start: int, stop: int) -> NDArray[Any]:
        offset = header.length + start * columns * header.dtype.itemsize
        block = np.fromfile(os.fsencode(path), header.dtype, (stop - start) * columns, offset=offset)
        if block.size < (stop - start) * columns:
            raise InputError("ends before its numbers do", "it is damaged, or changes while it is read", path)
        return block.reshape(-1, columns)

    double = header.dtype.kind == "f" and header.dtype.itemsize == 8
    rows = Rows((count, columns), np.dtype(np.float64 if double else np.float32), read)
    return rows.T if header.fortran else rows


def _numbers(file: BinaryIO, array: str | None, axes: int, allow: Allow, path: str) -> Any:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)  # what came through a pipe has been written just now
    start = file.read(len(NPY))
    file.seek(0)
    if array is not None and not start.startswith(ZIP):
        raise UsageError("--array is for .npz files", "leave it out")
    if start.startswith(NPY):
        regular = path != "-" and os.path.isfile(os.fsencode(path))
        return _array(file, size, axes, allow, path if regular and axes == 2 else None)
    if start.startswith(ZIP):
        try:
            archive, member = _member(file, array)
            if member is None:
                return _sparse(archive, axes, allow)
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


def _array(file: IO[bytes], size: int, axes: int, allow: Allow, path: str | None = None) -> Any:
    """Return an array that takes so many bytes with its header, or its Rows if it stays in the file of that path."""
    header = _header(file, size, axes)
    if not allow(header.shape, header.dtype.itemsize, on_disk=path is not None) and path is not None:
        return _rows(path, header)
    try:
        return read_numbers(file, header)
    except EOFError as error:
        raise InputError("ends before its numbers do", "it is damaged") from error


def _sparse(archive: zipfile.ZipFile, axes: int, allow: Allow) -> Any:
    """Return the csr_array or csc_array that scipy's save_npz wrote."""
    if axes != 2:
        raise UsageError("holds a sparse matrix, which is no stack of images", "leave out --images")
    from scipy.sparse import csc_array, csr_array

    kinds = {b"csr": csr_array, b"csc": csc_array}
    parts: dict[str, NDArray[Any]] = {}
    for name in ("format", "shape", "data", "indptr", "indices"):
        member = archive.getinfo(f"{name}.npy")
        with archive.open(member) as stream:
            header = _header(
                stream, member.file_size, 1 if name != "format" else 0, "S" if name == "format" else "fiub"
            )
            if name == "data":
                shape = tuple(int(side) for side in parts["shape"])
                allow(shape, header.dtype.itemsize, entries=header.shape[0])
            parts[name] = read_numbers(stream, header)
            if name == "format" and parts[name].item() not in kinds:
                raise InputError("holds a sparse matrix in a format that is not read", "save it as csr or csc")
    kind = kinds[parts["format"].item()]
    X = kind((parts["data"], parts["indices"], parts["indptr"]), shape=shape)
    X.check_format(full_check=True)
    return X


def _header(file: IO[bytes], size: int, axes: int, kinds: str = "fiub") -> Header:
    """Return the header of an array of so many axes that takes so many bytes with it; InputError if it is no such."""
    try:
        header = read_header(file)
    except (ValueError, EOFError, OSError) as error:
        raise InputError("has a damaged header of .npy") from error
    dtype, shape, rest = header.dtype, header.shape, size - header.length
    if dtype.hasobject:
        raise InputError("holds pickled Python objects, which are never loaded", "save it as an array of numbers")
    if dtype.kind not in kinds:
        what = {"c": "complex numbers", "V": "records"}.get(dtype.kind, f"{dtype} entries")
        raise InputError(f"holds {what}, not real numbers", "save it as an array of float64")
    if header.size != rest:
        raise InputError(f"promises {header.size} bytes of numbers in shape {shape}, but holds {rest}", "it is damaged")
    if len(shape) != axes:
        wanted = "a matrix has 2 axes" if axes == 2 else "images have 3 axes: image, height, width"
        hint = "use --images for a stack of images" if len(shape) == 3 else None
        raise InputError(f"holds an array of shape {shape}; {wanted}", hint)
    if axes > 1 and 0 in shape:
        raise InputError(f"is empty: an array of shape {shape}")
    return header


def _member(file: BinaryIO, name: str | None) -> tuple[zipfile.ZipFile, zipfile.ZipInfo | None]:
    """Return an .npz file, and an array in it: the only one if no name is given, none of a sparse matrix."""
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
        if arrays.keys() >= SPARSE:
            return archive, None
        if any(arrays.keys() >= other for other in OTHERS):
            raise InputError("holds a sparse matrix in a format that is not read", "save it as csr or csc")
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


def _require_finite(X: Any) -> None:
    """Raise InputError, which names the first, if an entry is NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if not isinstance(X, Rows) and np.isfinite(X.sum(dtype=np.float64)):
            return
    bad, first, _ = _search(X, lambda entries: ~np.isfinite(entries))
    if bad:
        count = "an entry is" if bad == 1 else f"{bad} entries are"
        raise InputError(f"{count} NaN or infinite, the first in {_place(first)}", "repair it first")


def require_positive(X: Any, path: str) -> None:
    """Raise InputError, which names the first, if an entry is negative."""
    if isinstance(X, Rows) or X.min() < 0:
        bad, first, value = _search(X, lambda entries: entries < 0)
        if bad:
            message = f"holds negative entries, the first {value:g} in {_place(first)}"
            raise InputError(message, "use --model semi or deep-semi, which take any sign", path)


def _search(X: Any, bad: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> tuple[int, tuple[int, ...], float]:
    """Return how many entries are bad, and the place and the value of the first."""
    count, value = 0, 0.0
    first: tuple[int, ...] = ()
    parts: Iterable[tuple[int, NDArray[Any]]]
    if isinstance(X, Rows):
        stored = X.T if X.flipped else X
        parts = ((span.start, block) for span, block in stored.blocks())
    elif isinstance(X, np.ndarray):
        parts = [(0, X)]
    else:
        X = X.tocoo()
        parts = [(0, X.data)]
    for start, block in parts:
        hits = np.argwhere(bad(block))
        if len(hits) and not count:
            value, first = float(block[tuple(hits[0])]), (start + int(hits[0][0]), *map(int, hits[0][1:]))
        count += len(hits)
    if count and isinstance(X, Rows) and X.flipped:
        first = first[::-1]
    elif count and len(first) == 1:
        first = tuple(int(axis[first[0]]) for axis in (X.row, X.col))
    return count, first, value


def _place(index: Any) -> str:
    names = ("row", "column") if len(index) == 2 else ("image", "row", "column")
    return ", ".join(f"{name} {int(place) + 1}" for name, place in zip(names, index, strict=True))


def read_labels(path: str, images: int) -> tuple[str, ...]:
    """Return a label for each image, in their order: the lines of a text file.

    InputError if there are more or fewer, or nothing to tell apart: one label only, or a label for each.
    """
    try:
        with open(os.fsencode(path), encoding="utf-8-sig", errors="replace") as file:
            labels = tuple(line.strip() for line in file.read().splitlines() if line.strip())
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower(), path=path) from error
    if len(labels) != images:
        raise InputError(f"has {len(labels)} labels for {images} images", "give one a line, in the images' order", path)
    if not 1 < len(set(labels)) < images:
        raise InputError(f"has {len(set(labels))} different labels for {images} images", "group them", path)
    return labels


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
