"""The same files come out of a Python that lacks what it lacks on Windows or macOS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_harness import ROOT, digests, files, well_said

QUICK = ("-k", "2", "--max-iter", "5", "--n-fft", "512")
RUNS = {
    "jobs": [("split", "-j", "2", "song.wav", "stereo.wav", *QUICK)],
    "formats": [
        ("split", "song.wav", *QUICK),
        ("split", "song.wav", *QUICK, "--float32"),
        ("split", "stereo.wav", *QUICK, "--format", "ogg"),
    ],
    "render": [
        ("split", "song.wav", *QUICK, "--save-model"),
        ("render", "separated/song/song.nmf.npz", "--mask", "binary", "-o", "rendered"),
    ],
    "learn": [
        ("learn", "tone=song.wav", "square=square.wav", "-k", "2", "--max-iter", "5", "-o", "kit.npz"),
        ("split", "song.wav", "-m", "kit.npz"),
        ("inspect", "song.wav", "-k", "2"),
    ],
}


def run(folder: Path, *arguments: str, system: str) -> subprocess.CompletedProcess[bytes]:
    """Run nmfsep in a folder as a process of a system."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NMFSEP_", "PYTHON"))}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests/elsewhere"), str(ROOT)]), "ELSEWHERE": system}
    return subprocess.run(
        [sys.executable, "-m", "nmfsep", *arguments], cwd=folder, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="has what is taken away")
@pytest.mark.parametrize("system", ["windows", "macos"])
@pytest.mark.parametrize("name", RUNS)
def test_other_systems_write_the_same_files(tmp_path: Path, sounds: Path, name: str, system: str) -> None:
    found = []
    for where in ("", system):
        folder = tmp_path / (where or "here")
        folder.mkdir()
        for sound in ("song.wav", "stereo.wav", "square.wav"):
            shutil.copy(sounds / sound, folder)
        for arguments in RUNS[name]:
            done = run(folder, *arguments, system=where)
            said = well_said(done.stderr)  # of learning it tells how it went
            assert done.returncode == 0, said
            assert name == "learn" or said == ""
        if (folder / "separated").exists():
            assert run(folder, "check", ".", system=where).returncode == 0
        here = files(folder)
        assert not [path for path in here if ".part" in path]
        found.append(
            (
                sorted(done.stdout.splitlines()),
                here,
                digests([path for path in here if path.endswith((".wav", ".npz", ".ogg"))], folder),
            )
        )
    assert found[0] == found[1]


@pytest.mark.skipif(sys.platform != "linux", reason="has what is taken away")
def test_a_closed_pipe_is_no_bug_where_it_sends_no_signal(tmp_path: Path, sounds: Path) -> None:
    split = f'"{sys.executable}" -m nmfsep split "{sounds / "song.wav"}" -k 2 -o -'
    script = split + " | head -c 10 >/dev/null; echo ${PIPESTATUS[0]}"
    path = os.pathsep.join([str(ROOT / "tests/elsewhere"), str(ROOT)])
    env = {**os.environ, "PYTHONPATH": path, "ELSEWHERE": "windows"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, timeout=120, check=False)
    assert well_said(done.stderr) == ""
    assert int(done.stdout) in (0, 141)
