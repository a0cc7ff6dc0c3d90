"""A folder of images as a matrix, one image a column."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .read import Allow, Found

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
