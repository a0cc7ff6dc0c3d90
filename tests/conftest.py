"""What all tests share: loops compiled once, processes that end with their test, and WAV files right or wrong."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import children
import numpy as np
import pytest

WARM = """
import numpy as np, nmfsep
from nmfsep.kernels.divergence import Beta
from nmfsep.kernels.compiled import Compiled
from nmfsep.kernels.threads import Workers
from nmfsep.nmf.fit import Execution
W, Z = np.ones((2, 40), np.float32), np.ones((40, 2), np.float32)
held, compiled = np.ones((40, 40), np.float32), Compiled()
held.flags.writeable = False  # which makes another function of it
with Workers(1) as workers:
    for beta in (0.0, 1.0, 2.0):
        nmfsep.factorize(np.ones((40, 40)), 2, divergence=beta, max_iter=2, execution=Execution(compiled_from=0))
        compiled.divergence(held, W, Z, Beta(beta), workers)
        compiled.mm_activations(held, W, Z, Beta(beta), 1.0, workers)
        compiled.mm_pass(held, W, Z, Beta(beta), 1.0, workers, W)
    for momentum in (None, (Z.copy(), 0.5)):
        compiled.hals_pass(held, W, Z, 2, workers, momentum)
"""


CASES = 10  # of a test that make test runs at the most


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of a test's cases, where they are very many, to make test-rest: all but some evenly spread."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in cases.values():
        for number, item in enumerate(group):
            if number % -(-len(group) // CASES):
                item.add_marker("many")


def pytest_configure(config: pytest.Config) -> None:
    """Have one place for compiled loops, and fill it before there are workers; name this session of tests."""
    os.environ[children.MARK] = f"{os.getpid()}-{time.monotonic_ns()}"
    os.environ["PYTHONPATH"] = str(children.ROOT)
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    kernels = sorted((children.ROOT / "nmfsep" / "kernels").glob("*.py"))
    version = hashlib.sha256(b"".join(path.read_bytes() for path in kernels)).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir(), f"nmfsep-tests-{user}-{sys.version_info.minor}-{version}")
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if not (folder / "warm").exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        subprocess.run([sys.executable, "-c", WARM], check=True)
        (folder / "warm").touch()


@pytest.fixture(autouse=True, scope="session")
def no_process_outlives_the_tests() -> Iterator[None]:
    """See to it that nothing runs on."""
    yield
    assert children.end_all() == []


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    """See to it that what a test has started has ended."""
    before = set(children.RUNNING)
    yield
    assert [left for process in children.RUNNING - before for left in process.end()] == []


@pytest.fixture
def rng() -> np.random.Generator:
    """Return the same random numbers for every test."""
    return np.random.default_rng(7)


def riff(*, tag=1, channels=1, rate=8000, bits=16, body=b"", size=None, block=None, extra=b"") -> bytes:
    """Return the bytes of a WAV file with any header field as wanted, right or wrong."""
    block = channels * bits // 8 if block is None else block
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits) + extra
    size = len(body) if size is None else size
    head = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + len(body) & 0xFFFFFFFF) + head + body


@pytest.fixture
def make_wav() -> Callable[..., bytes]:
    """Return what makes WAV files."""
    return riff
