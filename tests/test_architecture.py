"""The house rules of the code, held by reading it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nmfsep

PACKAGE = Path(__file__).parents[1] / "nmfsep"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 450  # lines of a file: one subject
# A module may import those of its own room and of the rooms before it; no imports go round in a circle.
ORDER = (
    ("errors", "system"),
    ("registry", "progress", "memory"),
    ("settings",),
    ("files", "kernels"),
    ("signal",),
    ("nmf",),
    ("models",),
    ("guidance", "grouping"),
    ("matching",),
    ("separation",),
    ("detection",),
    ("analysis",),
    ("jobs",),
    ("results",),
    ("batch",),
    ("api",),
    ("matrices",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def named(path: Path) -> str:
    """Return the dotted name of a module below the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {named(path): path for path in MODULES}


def imported(name: str) -> set[str]:
    """Return the modules of the package that a module imports, wherever in it, but for type checkers."""
    path, found = FILES[name], set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                found.add(whole if whole in FILES else ".".join(base))
    return found - {name, ""}


def test_every_room_has_its_place_in_the_order():
    rooms = {name.split(".")[0] for name in FILES}
    assert rooms - {"", "__main__"} == set(RANK)


def test_imports_point_one_way():
    upward = []
    for name in FILES:
        room = name.split(".")[0]
        for other in imported(name) if room in RANK else ():
            theirs = other.split(".")[0]
            if theirs != room and RANK[theirs] >= RANK[room]:
                upward.append(f"{name} -> {other}")
    assert upward == [], "these import what stands after or beside them"


def test_imports_never_go_round_in_a_circle():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in imported(name) & FILES.keys():
                visit(other, (*path, name))
            done.add(name)

    for name in FILES:
        if name not in ("", "__main__"):
            visit(name, ())


def test_a_file_is_one_subject():
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_only_the_command_line_knows_click_or_prints():
    printing, knowing = [], []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                printing.append(str(path))
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if "click" in {name.split(".")[0] for name in names} and path.relative_to(PACKAGE).parts[0] != "cli":
                knowing.append(str(path))
    assert (printing, knowing) == ([], [])


def test_editors_are_told_all_public_names_and_where_they_are():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    known = {name: place if ":" in place else f"{place}:{name}" for name, place in nmfsep._PUBLIC.items()}
    assert told == known
    assert (PACKAGE / "py.typed").exists()


def test_public_names_resolve_and_importing_the_package_loads_no_numeric_library():
    code = (
        "import sys, nmfsep; assert not {'numpy', 'scipy', 'soundfile'} & set(sys.modules); "
        "[getattr(nmfsep, name) for name in nmfsep.__all__ if not name.endswith('NMF')]; "
        "assert not {'librosa', 'sklearn', 'numba', 'scipy'} & set(sys.modules); "
        "nmfsep.NMF, nmfsep.MiniBatchNMF"  # the classes of scikit-learn
    )
    root = str(PACKAGE.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": root})


@pytest.mark.parametrize("given", [[], ["--fast"], ["--stem-names", "auto"]], ids=" ".join)
def test_splitting_loads_no_library_that_takes_seconds(tmp_path, given):
    sound = PACKAGE.parent / "sample_audio" / "triad.wav"
    command = ["nmfsep", "split", str(sound), "-k", "3", "-o", str(tmp_path), "-q", "--duration", "2", *given]
    code = (
        f"import sys; sys.argv = {command!r}\n"
        "from nmfsep.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "found = {'librosa', 'sklearn', 'scipy.signal', 'soxr', 'matplotlib'} & set(sys.modules)\n"
        "assert not found, found"
    )
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, stdout=subprocess.DEVNULL)
