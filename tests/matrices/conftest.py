"""What the tests of matrices share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nmfsep.matrices.load import Found, read_matrix


@pytest.fixture
def read() -> Callable[..., Found]:
    """Read a matrix, with no limit to memory."""

    def read(path: Path, array: str | None = None, images: bool = False) -> Found:
        return read_matrix(str(path), array, images, lambda shape, size, **_: True)

    return read
