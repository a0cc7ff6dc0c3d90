"""Compiled loops whatever becomes of numba and of what it keeps; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FIT = """
import json, sys
import numpy as np
from nmfsep.nmf.factorize import factorize
from nmfsep.kernels.select import slower
X = np.random.default_rng(0).random((513, 1040), np.float32)
fit = factorize(X, 3, max_iter=5, tol=0, threads=2)
fit.factors.W.tofile("W"); json.dump(slower(), sys.stdout)
"""
FULL = """
import os, tempfile, numba.core.caching as caching
def full(*rest, **given): raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = full
"""
NOWHERE = """
import numba.core.caching as caching
caching.FunctionCache._impl_class._locator_classes.clear()
"""


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, Path]:
    """Return W as it comes out with numba, and where that keeps its code."""
    pytest.importorskip("numba")
    folder = tmp_path_factory.mktemp("usual")
    assert fitted(folder, NUMBA_CACHE_DIR=str(folder / "kept")) == []
    assert list((folder / "kept").rglob("*.nbi"))
    return np.fromfile(folder / "W", np.float32), folder / "kept"


def fitted(folder: Path, before: str = "", **env: str) -> list[str]:
    """Factorize a matrix in a process; return what the user is told."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)} | env
    done = subprocess.run(
        [sys.executable, "-c", before + FIT], cwd=folder, env=env, capture_output=True, timeout=300, check=True
    )
    assert done.stderr == b""
    told: list[str] = json.loads(done.stdout)
    return told


def test_without_numba_the_same_comes_out_and_is_told(tmp_path: Path, usual: tuple[np.ndarray, Path]) -> None:
    (told,) = fitted(tmp_path, "import sys; sys.modules['numba'] = None\n")
    assert told.startswith("computed without numba, more slowly and rounded a little differently: ")
    W = np.fromfile(tmp_path / "W", np.float32)
    np.testing.assert_allclose(W, usual[0], rtol=1e-3, atol=1e-6)
    assert (usual[0] != W).any()


@pytest.mark.long
@pytest.mark.parametrize("before", [FULL, NOWHERE], ids=["full disk", "nowhere to keep it"])
def test_what_cannot_be_kept_is_compiled_all_the_same(
    tmp_path: Path, usual: tuple[np.ndarray, Path], before: str
) -> None:
    assert fitted(tmp_path, before, NUMBA_CACHE_DIR=str(tmp_path / "kept")) == []
    np.testing.assert_array_equal(np.fromfile(tmp_path / "W", np.float32), usual[0])


@pytest.mark.long
def test_what_was_kept_and_is_damaged_is_compiled_anew(tmp_path: Path, usual: tuple[np.ndarray, Path]) -> None:
    kept = usual[1]
    for path in kept.rglob("*.nb?"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert fitted(tmp_path, NUMBA_CACHE_DIR=str(kept)) == []
    np.testing.assert_array_equal(np.fromfile(tmp_path / "W", np.float32), usual[0])


def test_loops_are_kept_in_a_private_folder_where_there_is_no_other(monkeypatch, tmp_path: Path) -> None:
    lanes = pytest.importorskip("nmfsep.kernels.numba_loops")
    tried = []

    def refuse(**options):
        def njit(function):
            tried.append(lanes.nb.config.CACHE_DIR)
            if len(tried) == 1:
                raise RuntimeError("cannot cache function: no locator available")
            return function

        return njit

    monkeypatch.setattr(lanes, "_compiled", lambda function=None, **options: function or refuse(**options))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = lanes.nb.config.CACHE_DIR
    lanes.outer(sum)
    (folder,) = tmp_path.iterdir()
    assert tried == [before, str(folder)]
    assert before == lanes.nb.config.CACHE_DIR
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_to_is_not_trusted(monkeypatch, tmp_path: Path) -> None:
    from nmfsep.system import private_folder

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = private_folder()
    assert folder is not None
    assert private_folder() == folder
    folder.chmod(0o777)
    assert private_folder() is None
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert private_folder() is None
