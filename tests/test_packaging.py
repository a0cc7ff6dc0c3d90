"""What an installer and an index are told."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_every_dependency_has_a_lower_bound_that_can_be_asked_for():
    script = ROOT / ".ci" / "lower_bounds.py"
    if not script.exists():
        pytest.skip("not in a source distribution")
    printed = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True).stdout.splitlines()
    asked = {*PROJECT["dependencies"], *(text for texts in EXTRAS.values() for text in texts)}
    assert len(printed) == len(asked)
    assert all(re.match(r"[\w-]+==[\d.]+(;.*)?$", line) for line in printed)
    assert "click==8.4" in printed


def test_what_is_imported_is_declared():
    imported = set()
    for path in (ROOT / "nmfsep").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    asked = [*PROJECT["dependencies"], *(text for name in ("cluster", "midi", "plot") for text in EXTRAS[name])]
    declared = {re.split("[>;[]", text)[0] for text in asked}
    packages = metadata.packages_distributions()
    borrowed = {
        name
        for name in imported - sys.stdlib_module_names
        if not declared & set(map(str.lower, packages.get(name, [name])))
    }
    assert borrowed == set()


def test_links_of_the_readme_lead_somewhere_on_an_index_too():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert links
    assert all(link.startswith(("https://", "#")) for link in links)
