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
LONGEST = 450  # lines of a file
# A layer may import those before it; the members of one layer may not import each other unless they are listed alone.
LAYERS = [
    {"errors"},
    {"registry", "system"},
    {"settings"},
    {"naming", "memory", "processes"},
    {"cluster"},
    {"signal", "nmf"},
    {"separation"},
    {"manifest", "budget"},
    {"access", "inputs", "plots", "resume"},
    {"job"},
    {"plan"},
    {"track"},
    {"batch", "evaluation", "inspection", "matrices", "training"},
    {"tasks", "depfile"},
    {"cli"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_rooms(path: Path) -> set[str]:
    """Names below nmfsep that a module imports, wherever in it."""
    package = ("nmfsep", *path.relative_to(PACKAGE).parent.parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            names = (*base, *(node.module or "").split("."))
            if names[:1] == ("nmfsep",):
                rooms |= {names[1]} if names[1:2] != ("",) and len(names) > 1 else {alias.name for alias in node.names}
    return rooms


def test_every_room_has_its_place_in_the_order_of_layers():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"__init__", "__main__"} == set(RANK)


def test_imports_point_one_way():
    upward = {}
    for path in MODULES:
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):
            names = {name for name in imported_rooms(path) if name in RANK and name != room}
            upward[str(path)] = sorted(name for name in names if RANK[name] >= RANK[room])
    assert {path: names for path, names in upward.items() if names} == {}, "these import what lies above or beside them"


def test_a_file_is_one_room():
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
        "[getattr(nmfsep, name) for name in nmfsep.__all__ if name != 'NMF']; "
        "assert not {'librosa', 'sklearn', 'numba', 'scipy'} & set(sys.modules); "
        "nmfsep.NMF"  # the one that is a class of scikit-learn
    )
    root = str(PACKAGE.parent)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": root})


@pytest.mark.parametrize("given", [[], ["--fast"], ["--label", "auto"]], ids=" ".join)
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
