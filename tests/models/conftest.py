"""What the tests of the matrices share."""

from collections.abc import Iterator

import pytest

from nmfsep.kernels.threads import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    # BLAS in one thread, as inside factorize: otherwise bits would depend on the machine
    with Workers(1) as entered:
        yield entered
