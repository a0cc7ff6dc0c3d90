"""The README cannot rot: its commands run, and it names all there is."""

import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import children
import pytest

from nmfsep import registry
from nmfsep.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def sessions() -> list[list[str]]:
    """The commands of each block, which may use what those before them in the block have written."""
    texts = (text.replace("\\\n", " ").splitlines() for text in blocks("sh"))
    alone = (text for text in texts if not any(line.startswith("dask ") for line in text))
    found = [[line for line in text if "nmfsep " in line and not line.startswith("pip")] for text in alone]
    return [session for session in found if session]


@pytest.fixture
def workshop(tmp_path):
    """A folder with the sample audio, faces, a song of the name that the examples use, and the command on the path."""
    folder = tmp_path / "workshop"
    shutil.copytree(ROOT / "sample_audio", folder / "sample_audio")
    shutil.copytree(ROOT / "tests" / "faces", folder / "tests" / "faces")
    shutil.copy(ROOT / "sample_audio" / "song.wav", folder / "song.wav")
    (folder / "field recordings").mkdir()
    shutil.copy(ROOT / "sample_audio" / "drums.wav", folder / "field recordings" / "morning.wav")
    program = folder / "bin" / "nmfsep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m nmfsep "$@"\n')
    program.chmod(0o755)
    return folder


def marked(session: list[str]):
    quick = session == min(sessions(), key=len)
    return pytest.param(session, id=session[0], marks=[pytest.mark.readme, *([pytest.mark.smoke] if quick else [])])


@pytest.mark.parametrize("session", [marked(session) for session in sessions()])
def test_the_commands_of_the_readme_run(session, workshop):
    env = {"PATH": f"{workshop / 'bin'}:/usr/bin:/bin"}
    for command in session:
        done = children.run(["bash", "-ec", command], workshop, env)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"


@pytest.mark.readme
@pytest.mark.cluster
def test_the_cluster_of_the_readme_runs(workshop):
    pytest.importorskip("distributed")
    (text,) = (text for text in blocks("sh") if "dask scheduler" in text)
    python = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m distributed.cli.dask_"
    (workshop / "bin" / "dask").write_text(f'#!/bin/sh\nkind=$1\nshift\n{python}$kind --no-dashboard "$@"\n')
    (workshop / "bin" / "dask").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        text = text.replace("8786", str(free.getsockname()[1]))
    script = f"set -e\ntrap 'kill $(jobs -p)' EXIT\n{text}"
    done = children.run(["bash", "-c", script], workshop, {"PATH": f"{workshop / 'bin'}:/usr/bin:/bin"})
    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert f"{workshop}/stems/kick/component-1.wav" in out
    assert out.endswith("corpus.npz\n")


@pytest.mark.readme
@pytest.mark.parametrize("code", blocks("python"))
def test_a_python_example_of_the_readme_runs(code, workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_shows_every_command(name):
    assert f"nmfsep {name}" in README


@pytest.mark.parametrize(
    "choices",
    [value for value in vars(registry).values() if isinstance(value, registry.Registry)],
    ids=lambda r: r.kind,
)
def test_the_readme_names_every_choice(choices):
    missing = [name for name in choices if f"`{name}`" not in README]
    assert not missing


def test_the_readme_shows_every_piece_of_sample_audio():
    pieces = {path.stem for path in (ROOT / "sample_audio").glob("*.wav")}
    assert len(pieces) >= 3
    assert all(f"{piece}.wav" in README for piece in pieces)
