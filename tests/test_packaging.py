"""What an installer and an index are told."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import click
import pytest

from nmfsep.cli.main import COMMANDS, cli
from nmfsep.cli.options import variables_of

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
    asked = [*PROJECT["dependencies"], *(text for name in EXTRAS if name != "test" for text in EXTRAS[name])]
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


def test_a_wheel_has_man_pages_that_show_every_option(tmp_path):
    hook = ROOT / ".ci/man_pages.py"
    if not hook.exists():
        pytest.skip("not in an installation")
    spec = importlib.util.spec_from_file_location("man_pages", hook)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    found = build.pages()
    assert set(found) == {"nmfsep.1", *(f"nmfsep-{name}.1" for name in COMMANDS)}
    group = click.Context(cli)
    for name in COMMANDS:
        page = found[f"nmfsep-{name}.1"].replace("\\-", "-")
        for param in cli.get_command(group, name).params:
            if isinstance(param, click.Option) and not param.hidden:
                assert param.opts[0] in page
                assert all(variable in page for variable in variables_of(param))
    if shutil.which("groff"):
        for name, page in found.items():
            (tmp_path / name).write_text(page, encoding="utf-8")
        command = ["groff", "-man", "-ww", "-z", "-K", "utf8", *sorted(found)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_source_distribution_can_make_them_too():
    if not (ROOT / ".ci/man_pages.py").exists():
        pytest.skip("not in an installation")
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert ".ci/man_pages.py" in whole["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert any(text.startswith("click") for text in whole["build-system"]["requires"])
