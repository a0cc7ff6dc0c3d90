"""The README and the manual cannot rot: their commands run, and the manual names all there is."""

import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import children
import numpy as np
import pytest
import soundfile

from nmfsep import registry
from nmfsep.cli.main import COMMANDS
from nmfsep.cli.manual import TOPICS

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING = ROOT / "README.md", ROOT / "CONTRIBUTING.md"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "nmfsep" / "manual").glob("*.md"))}
MANUAL = "\n".join(PAGES.values())
# The commands of the lecture run in test_lecture.py, which also looks at what they draw.
TEXTS = {
    "README": README.read_text(encoding="utf-8"),
    **{name: text for name, text in PAGES.items() if name != "lecture"},
}


# What a tutorial says of the command that begins so.
SAID = {
    "nmfsep check band/song": "the stems add up to the input",
    "nmfsep split sample_audio/beat.wav -m kit.npz --export-midi": "73 of 73 strokes matched",
    "nmfsep split sample_audio/drums.wav -k 3 --export-strokes found -o loop": "component-1: 16; 1 one-shot written",
    "nmfsep detect -r nights": "\n19\tSpectrogram 1\t1\t37",  # the last of 19 calls in a night
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def sessions() -> list[tuple[str, list[str]]]:
    """The commands of each block of each page, which may use what those before them in the block have written."""
    found = []
    for page, text in TEXTS.items():
        for block in blocks(text, "sh"):
            lines = block.replace("\\\n", " ").splitlines()
            if any(line.startswith("dask ") for line in lines):
                continue
            commands = [line for line in lines if "nmfsep " in line or line.startswith("python ")]
            commands = [line for line in commands if not line.startswith("pip")]
            if commands:
                found.append((page, commands))
    return found


def write_field_recording(path: Path, seconds: int, seed: int) -> None:
    """Write noise with a call of one of two made species every two seconds, and a label track of them beside it."""
    rate, rng = 22050, np.random.default_rng(seed)
    samples, lines = rng.normal(0, 0.02, seconds * rate), []
    t = np.arange(0, 0.4, 1 / rate)
    calls = {
        "warbler": (3000, 4200, np.sin(2 * np.pi * (3000 * t + 1500 * t**2))),
        "cricket": (5700, 6300, np.sin(2 * np.pi * 6000 * t) * np.sin(2 * np.pi * 12 * t) ** 2),
    }
    for begin in range(1, seconds - 2, 2):
        name = rng.choice(list(calls))
        low, high, call = calls[name]
        samples[begin * rate :][: len(t)] += rng.uniform(0.02, 0.06) * np.hanning(len(t)) * call
        lines.append(f"{begin}\t{begin + 0.4}\t{name}\n\\\t{low}\t{high}\n")
    soundfile.write(path, samples, rate)
    path.with_suffix(".txt").write_text("".join(lines))


@pytest.fixture
def workshop(tmp_path):
    """A folder with the sample audio, faces, a song of the name that the examples use, and the command on the path."""
    folder = tmp_path / "workshop"
    shutil.copytree(ROOT / "sample_audio", folder / "sample_audio")
    shutil.copytree(ROOT / "tests" / "faces", folder / "tests" / "faces")
    shutil.copy(ROOT / "sample_audio" / "song.wav", folder / "song.wav")
    (folder / "field recordings").mkdir()
    shutil.copy(ROOT / "sample_audio" / "drums.wav", folder / "field recordings" / "morning.wav")
    (folder / "nights").mkdir()
    for seed, (name, seconds) in enumerate({"hour": 30, "nights/monday": 40, "nights/tuesday": 40}.items()):
        write_field_recording(folder / f"{name}.wav", seconds, seed)
    program = folder / "bin" / "nmfsep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m nmfsep "$@"\n')
    program.chmod(0o755)
    program.with_name("python").symlink_to(sys.executable)
    return folder


def marked(page: str, session: list[str]):
    quick = session == min((commands for _, commands in sessions()), key=lambda commands: len("".join(commands)))
    marks = [pytest.mark.readme, *([pytest.mark.smoke] if quick else [])]
    return pytest.param(session, id=f"{page}: {session[0]}", marks=marks)


@pytest.mark.parametrize("session", [marked(*session) for session in sessions()])
def test_the_commands_of_a_page_run(session, workshop):
    env = {"PATH": f"{workshop / 'bin'}:/usr/bin:/bin"}
    for command in session:
        done = children.run(["bash", "-ec", command], workshop, env)
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, f"{command}: {told}"
        assert all(said in told for begins, said in SAID.items() if command.startswith(begins))


@pytest.mark.readme
@pytest.mark.cluster
def test_the_cluster_of_the_manual_runs(workshop):
    pytest.importorskip("distributed")
    (text,) = (block for block in blocks(PAGES["cluster"], "sh") if "dask scheduler" in block)
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
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=f"{page}-{n}")
        for page, text in TEXTS.items()
        for n, code in enumerate(blocks(text, "python"))
    ],
)
def test_a_python_example_of_a_page_runs(code, workshop, monkeypatch):
    monkeypatch.chdir(workshop)
    exec(compile(code, "example", "exec"), {})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_shows_every_command(name):
    assert f"nmfsep {name}" in MANUAL


@pytest.mark.parametrize(
    "choices",
    [value for value in vars(registry).values() if isinstance(value, registry.Registry)],
    ids=lambda r: r.kind,
)
def test_the_manual_names_every_choice(choices):
    missing = [name for name in choices if f"`{name}`" not in MANUAL]
    assert not missing


def test_the_manual_shows_every_piece_of_sample_audio():
    pieces = {path.stem for path in (ROOT / "sample_audio").glob("*.wav")}
    assert len(pieces) >= 3
    assert all(f"{piece}.wav" in MANUAL for piece in pieces)


def test_every_page_is_a_topic_and_every_topic_a_page():
    assert set(TOPICS) == set(PAGES)


def test_pages_lead_to_topics_and_files_that_exist():
    named = re.findall(r"`nmfsep manual ([a-z-]+)`", MANUAL + TEXTS["README"])
    linked = re.findall(
        r"nmfsep/blob/main/([^)]+)\)", MANUAL + TEXTS["README"] + CONTRIBUTING.read_text(encoding="utf-8")
    )
    drawn = re.findall(r"nmfsep/main/([^)]+)\)", TEXTS["README"])
    assert named
    assert linked
    assert drawn
    assert set(named) <= set(TOPICS)
    assert all((ROOT / path).exists() for path in [*linked, *drawn])


@pytest.mark.parametrize(("path", "most"), [(README, 7168), (CONTRIBUTING, 6144)], ids=["README", "CONTRIBUTING"])
def test_the_first_pages_are_short(path, most):
    assert path.stat().st_size <= most


def test_the_map_shows_every_room_and_names_files_that_exist():
    package, text = ROOT / "nmfsep", CONTRIBUTING.read_text(encoding="utf-8")
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert [room for room in sorted(rooms) if f"| `{room}/`" not in text and f"`{room}/` …" not in text] == []
    named = set(re.findall(r"`(?:[a-z_]+/)*([a-z_]+\.py)`", text))
    there = {path.name for base in (package, ROOT / "tests") for path in base.rglob("*.py")}
    assert len(named) > 20
    assert named - there == set()


def test_the_picture_of_the_readme_is_small():
    picture = (ROOT / "sample_audio" / "picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000
