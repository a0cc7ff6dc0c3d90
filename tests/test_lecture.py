"""The walk-through of the lecture cannot rot: its commands run, draw its pictures, and show what it says."""

import importlib.util
import json
import re
from pathlib import Path

import children
import numpy as np
import pytest

pytestmark = pytest.mark.lecture

HERE = Path(__file__).parent / "lecture"
SPEC = importlib.util.spec_from_file_location("lecture_make", HERE / "make.py")
make = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make)
PAGE = make.PAGE.read_text(encoding="utf-8")
STEPS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with all that the commands need, the environment they run in, and the steps that ran there."""
    folder = tmp_path_factory.mktemp("lecture") / "workshop"
    return folder, make.workshop(folder), set()


def ran(workshop, step):
    """Run the commands of a step, once; return the folder."""
    folder, env, done_before = workshop
    for command in [command for block in make.commands(step) for command in block if step not in done_before]:
        done = children.run(["bash", "-ec", command], folder, env)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    done_before.add(step)
    return folder


def step(title):
    return next(step for step in STEPS if title in step.splitlines()[0])


def words(text):
    return " ".join(text.split())


def manifest(folder, path):
    return json.loads((folder / path).read_text())


@pytest.mark.parametrize("text", STEPS, ids=lambda text: text.splitlines()[0])
def test_every_step_has_a_command_that_draws_its_picture(text, workshop):
    pictures = make.pictures(text)
    assert len(pictures) == 1
    folder = ran(workshop, text)
    for kept, drawn in pictures.items():
        assert (folder / drawn).read_bytes().startswith(b"\x89PNG")
        assert (HERE / kept).read_bytes().startswith(b"\x89PNG")
        assert (HERE / kept).stat().st_size <= make.LARGEST


@pytest.mark.smoke
def test_recipes_are_found_exactly(workshop):
    W = np.load(ran(workshop, step("both non-negative")) / "recipes/recipes/W.npy")
    recipes = make.RECIPES / make.RECIPES.sum(axis=0)
    order = np.abs(W[:, :, None] - recipes[:, None]).max(axis=0).argmin(axis=0)  # which is which is not determined
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(W[:, order], recipes, atol=1e-6)


def test_the_figures_beside_pca_and_of_clusters_are_those_of_the_page(workshop):
    text = step("Beside PCA")
    about = manifest(ran(workshop, text), "beside/faces/faces.nmfsep.json")
    assert "from 0.2 to 38 %" in words(text)
    assert (round(about["pca_error"], 3), round(about["pca_clipped_error"], 2)) == (0.002, 0.38)
    assert f"{about['sparseness']:.2f} to {about['pca_sparseness']:.2f}" in words(text)
    text = step("k-means")
    about = manifest(ran(workshop, text), "clusters/faces/faces.nmfsep.json")
    assert f"here it is {about['error']:.0%}".replace("%", " %") in words(text)


def test_coarse_stems_are_the_sums_that_the_tree_says(workshop):
    soundfile = pytest.importorskip("soundfile")
    folder = ran(workshop, step("Deep NMF"))
    (fit,) = manifest(folder, "fine/drums/drums.nmfsep.json")["fit"]
    fine, coarse = (
        [soundfile.read(folder / level / f"drums/component-{n + 1}.wav")[0] for n in range(count)]
        for level, count in (("fine", 9), ("coarse", 3))
    )
    for n, stem in enumerate(coarse, 1):
        below = sum(part for part, parent in zip(fine, fit["tree"][0], strict=True) if parent == n)
        np.testing.assert_allclose(below, stem, atol=5e-4)  # rounding to 16 bits, nine times


def test_the_tables_are_those_that_the_script_makes(tmp_path):
    make.write_tables(tmp_path)
    for name in ("recipes.csv", "weather.csv"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()


def test_the_readme_leads_to_the_page():
    assert "nmfsep/manual/lecture.md)" in (make.ROOT / "README.md").read_text(encoding="utf-8")
