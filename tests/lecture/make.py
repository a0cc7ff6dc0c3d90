"""Make the two tables of the walk-through and run its commands; keep their pictures, small, here.

The page is nmfsep/manual/lecture.md. ``![words](../../tests/lecture/name.png "path")`` names the file here, and in
quotes the one that a command has drawn.
"""

import argparse
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "nmfsep" / "manual" / "lecture.md"
LARGEST = 60_000  # bytes of a picture
WIDEST = 900  # pixels

# Of each recipe, how much of 12 ingredients: pancakes, omelette, salad.
RECIPES = np.array([
    [3, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 1, 4, 1, 0, 2, 2, 1, 0, 0, 0, 0],
    [0, 0, 1, 0, 0, 0, 0, 2, 3, 2, 2, 1],
]).T  # fmt: skip


def recipes() -> NDArray[np.int64]:
    """Return what a kitchen used up, ingredients x days: recipes times how often each was made."""
    rng = np.random.default_rng(2)
    made = rng.integers(0, 5, (3, 24)) * (rng.random((3, 24)) < 0.6)
    return RECIPES @ made


def weather() -> NDArray[np.float64]:
    """Return how far from the mean the temperature was, hours x days: weathers, of either sign, times how much of each.

    A sunny day is warm at noon and cold at night; warm air comes in the course of a day, and a front cools its evening.
    """
    rng = np.random.default_rng(3)
    hours = np.arange(24)
    sun = -np.cos(2 * np.pi * (hours - 2) / 24)
    warm = np.linspace(0.2, 1, 24)
    front = -1 / (1 + np.exp(-(hours - 15)))
    strength = rng.gamma(1, 3, (3, 30)) * (rng.random((3, 30)) < 0.6)
    return np.round(np.stack([sun, warm, front], axis=1) @ strength + 0.2 * rng.standard_normal((24, 30)), 1)


def write_tables(folder: Path) -> None:
    """Write both tables as CSV with a line of names."""
    for name, table in (("recipes", recipes()), ("weather", weather())):
        rows = [",".join(f"day {n + 1}" for n in range(table.shape[1])), *(",".join(map(str, row)) for row in table)]
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


def commands(page: str) -> list[list[str]]:
    """Return the commands of every block of a page."""
    return [
        [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    ]


def pictures(page: str) -> dict[str, str]:
    """Return the pictures of a page: the file in this folder, and what a command has drawn."""
    return dict(re.findall(r'!\[[^\]]*\]\(\.\./\.\./tests/lecture/([\w.-]+) "([^"]+)"\)', page))


def workshop(folder: Path) -> dict[str, str]:
    """Put what the commands need into a folder; return the environment in which they run there."""
    for name in ("sample_audio", "tests/faces", "tests/lecture"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "bin").mkdir()
    for name, code in (("nmfsep", "-m nmfsep"), ("python", "")):
        program = folder / "bin" / name
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} {code} "$@"\n'
        )
        program.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": os.environ.get("HOME", str(folder))}


def small(path: Path) -> bytes:
    """Return a picture as a PNG file of few colours and no more than LARGEST bytes."""
    picture = Image.open(path).convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
    for colours in (256, 128, 64, 32):
        buffer = io.BytesIO()
        picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            buffer, "PNG", optimize=True
        )
        if buffer.tell() <= LARGEST:
            break
    else:
        raise SystemExit(f"{path} is too large")
    return buffer.getvalue()


def main() -> None:
    """Write the tables and the pictures into this folder, or the tables alone."""
    parser = argparse.ArgumentParser(description="Remake the tables and pictures of the walk-through.")
    parser.add_argument("--tables", action="store_true", help="write the tables only")
    write_tables(HERE)
    if parser.parse_args().tables:
        return
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "workshop"
        env = workshop(folder)
        for command in [command for block in commands(page) for command in block]:
            print(command)
            subprocess.run(["bash", "-ec", command], cwd=folder, env=env, check=True)
        for kept, drawn in pictures(page).items():
            (HERE / kept).write_bytes(small(folder / drawn))
            print(HERE / kept)


if __name__ == "__main__":
    main()
