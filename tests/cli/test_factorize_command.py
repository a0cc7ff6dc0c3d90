"""factorize: any matrix or images to W and Z, with a manifest, by any model."""

from __future__ import annotations

import csv
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_harness import Cli, Result, digests, files

from nmfsep.cli.options import OF_MODELS
from nmfsep.models.by_name import has_levels, options_of
from nmfsep.models.kmeans import k_means
from nmfsep.registry import MODELS

FACES = Path(__file__).parents[1] / "faces"
RANK = 4


@pytest.fixture(autouse=True)
def matrices(cli: Cli) -> None:
    """Have a matrix of rank 4 in every form, and a signed one."""
    rng = np.random.default_rng(0)
    X = rng.random((20, RANK)) ** 3 @ rng.random((RANK, 30)) ** 3
    np.save(cli.folder / "x.npy", X)
    np.savez(cli.folder / "two.npz", X=X, mask=X > 0.5)
    np.savetxt(cli.folder / "table.csv", X, delimiter=",", header=",".join(f"t{n}" for n in range(30)), comments="")
    np.save(cli.folder / "signed.npy", X - X.mean())


def found(cli: Cli, *args: str, folder: str = "factors/x") -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Run without a word; return the manifest, W and Z."""
    result = cli("factorize", *args, "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    return document, np.load(cli.folder / folder / "W.npy"), np.load(cli.folder / folder / "Z.npy")


def test_factors_are_written_and_their_paths_printed(cli: Cli) -> None:
    result = cli("factorize", "x.npy", "-k", "4", "--tol", "0", "--max-iter", "500", "-o", "out")
    assert (result.code, result.err) == (0, "")
    assert result.paths == ["out/x/W.npy", "out/x/Z.npy"]
    assert files(cli.folder / "out") == ["x/W.npy", "x/Z.npy", "x/x.nmfsep.json"]
    X, W, Z = (np.load(cli.folder / path) for path in ("x.npy", *result.paths))
    assert min(W.min(), Z.min()) >= 0
    np.testing.assert_allclose(W.sum(axis=0), 1)
    assert np.linalg.norm(X - W @ Z) < 0.02 * np.linalg.norm(X)
    energies = np.linalg.norm(W, axis=0) * np.linalg.norm(Z, axis=1)
    assert (np.diff(energies) <= 0).all()


def test_the_manifest_tells_all_and_is_what_json_prints(cli: Cli) -> None:
    document, W, Z = found(cli, "x.npy", "-k", "3", "--divergence", "frobenius")
    manifest = json.loads((cli.folder / "factors/x/x.nmfsep.json").read_text())
    assert document == {"path": "x.npy", "status": "done"} | manifest
    X = np.load(cli.folder / "x.npy")
    assert document["error"] == pytest.approx(np.linalg.norm(X - W @ Z) / np.linalg.norm(X), abs=1e-6)
    losses = list(document["fit"]["losses"].values())
    assert losses[-1] == pytest.approx(0.5 * np.sum((X - W @ Z) ** 2))
    assert losses[-1] < losses[0]
    assert (document["input"]["shape"], document["kind"], document["complete"]) == ([20, 30], "factorization", True)
    settings = document["settings"]
    assert (settings["components"], settings["divergence"], settings["max_iter"]) == (3, "frobenius", 200)


@pytest.mark.parametrize("name", ["table.csv", "two.npz", "-"])
def test_every_form_of_a_matrix_gives_the_same_factors(cli: Cli, name: str) -> None:
    _, W, Z = found(cli, "x.npy", "-k", "3")
    array = ["--array", "X"] if name == "two.npz" else []
    data = (cli.folder / "table.csv").read_bytes() if name == "-" else None
    result = cli("factorize", name, "-k", "3", *array, "-o", "other", stdin=data)
    assert (result.code, result.err) == (0, "")
    for factor, path in zip((W, Z), result.paths, strict=True):
        np.testing.assert_allclose(np.load(cli.folder / path), factor, rtol=1e-9, atol=1e-12)


def test_the_transpose_is_factorized_if_asked_for(cli: Cli) -> None:
    document, W, Z = found(cli, "x.npy", "-k", "3", "--transpose")
    assert (document["input"]["shape"], W.shape, Z.shape) == ([30, 20], (30, 3), (3, 20))
    np.save(cli.folder / "t.npy", np.load(cli.folder / "x.npy").T)
    np.testing.assert_array_equal(found(cli, "t.npy", "-k", "3", folder="factors/t")[1], W)


def test_csv_holds_the_same_numbers(cli: Cli) -> None:
    document, W, Z = found(cli, "x.npy", "-k", "2", "--csv")
    for name, factor in (("W", W), ("Z", Z)):
        np.testing.assert_array_equal(np.loadtxt(cli.folder / f"factors/x/{name}.csv", delimiter=","), factor)
    head, *rows = csv.reader((cli.folder / "factors/x/loss.csv").read_text().splitlines())
    assert head == ["iteration", "loss"]
    assert {step: float(loss) for step, loss in rows} == document["fit"]["losses"]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_can_be_asked_for(cli: Cli, model: str) -> None:
    parts = ["--levels", "6,3"] if has_levels(model) else ["-k", "3"]
    name = "signed" if "semi" in model else "x"
    document, W, Z = found(cli, f"{name}.npy", "--model", model, *parts, folder=f"factors/{name}")
    assert (W.shape, Z.shape) == ((20, 3, 8) if model == "nmfd" else (20, 3), (3, 30))
    assert (W.min() < 0) == ("semi" in model)
    assert Z.min() >= 0
    assert document["error"] < 0.65
    if model in ("kmeans", "orthogonal"):
        assert (np.count_nonzero(Z, axis=0) == 1).all()
    if has_levels(model):
        layers = [np.load(cli.folder / f"factors/{name}/W-{level}.npy") for level in (1, 2)]
        np.testing.assert_allclose(layers[0] @ layers[1], W, rtol=1e-6, atol=1e-12)
        (parents,) = document["tree"]
        assert len(parents) == 6
        assert set(parents) <= {1, 2, 3}
    assert cli("check", "factors").code == 0


@pytest.mark.parametrize("model", MODELS)
def test_the_manifest_tells_the_settings_of_a_model_that_can_be_asked_for_and_no_others(cli: Cli, model: str) -> None:
    parts = ["--levels", "6,3"] if has_levels(model) else ["-k", "3"]
    document, _, _ = found(cli, "x.npy", "--model", model, *parts, "--max-iter", "2", "--threads", "1")
    flags = cli("factorize", "--help").out.decode()
    assert [name for name in document["settings"] if f"--{name.replace('_', '-')}" not in flags] == []
    asked = {name for name in options_of(model) if f"--{name.replace('_', '-')}" in flags} - {"threads"}
    assert asked <= set(document["settings"])
    assert "threads" not in document["settings"]


def test_templates_of_several_columns_are_found_where_they_begin(cli: Cli) -> None:
    rng = np.random.default_rng(4)
    strokes = rng.random((20, 2, 1)) ** 4 * rng.random((20, 2, 1)) ** np.arange(5)  # each row fades at its own rate
    strokes *= np.array([2, 1])[:, None]
    hits = np.zeros((2, 60))
    hits[0, ::12], hits[1, 6::15] = 1, 1
    X = sum(np.array([np.convolve(hit, row)[:60] for row in strokes[:, k]]) for k, hit in enumerate(hits))
    np.save(cli.folder / "strokes.npy", X)
    args = ("strokes.npy", "--model", "nmfd", "-k", "2", "--template-frames", "5", "--max-iter", "1000", "--tol", "0")
    document, W, Z = found(cli, *args, "--csv", "--pictures", folder="factors/strokes")
    assert (W.shape, Z.shape, document["settings"]["template_frames"]) == ((20, 2, 5), (2, 60), 5)
    assert document["error"] < 0.05
    np.testing.assert_allclose(W.sum(axis=(0, 2)), 1)
    for k in range(2):  # louder first
        assert set(np.flatnonzero(Z[k] > 0.5 * Z[k].max())) == set(np.flatnonzero(hits[k]))
        assert np.corrcoef(W[:, k].ravel(), strokes[:, k].ravel())[0, 1] > 0.99
    table = np.loadtxt(cli.folder / "factors/strokes/W.csv", delimiter=",")
    np.testing.assert_array_equal(table.reshape(W.shape), W)


def test_levels_are_in_order_of_energy_and_give_the_same_sum(cli: Cli) -> None:
    _, _, Z = found(cli, "x.npy", "--model", "deep", "--levels", "8,4,2")
    layers = [np.load(cli.folder / f"factors/x/W-{level}.npy") for level in (1, 2, 3)]
    for level in range(3):
        W = np.linalg.multi_dot([np.eye(20), *layers[: level + 1]])
        z = np.linalg.multi_dot([*layers[level + 1 :], Z, np.eye(30)])
        energies = np.linalg.norm(W, axis=0) * np.linalg.norm(z, axis=1)
        assert (np.diff(energies) <= 1e-12).all()
        np.testing.assert_allclose(W @ z, np.linalg.multi_dot([*layers, Z]), atol=1e-9)


@pytest.mark.parametrize("free", ["W", "Z"])
def test_the_free_factor_is_chosen(cli: Cli, free: str) -> None:
    _, W, Z = found(cli, "signed.npy", "--model", "semi", "-k", "3", "--free", free, folder="factors/signed")
    assert (W.min() < 0, Z.min() < 0) == (free == "W", free == "Z")


def test_options_reach_the_model(cli: Cli) -> None:
    base = ("x.npy", "-k", "3", "--max-iter", "7", "--tol", "0")
    documents = [
        found(cli, *base, *options)[0]
        for options in ([], ["--solver", "mu"], ["--start", "random"], ["--sparsity", "1"], ["--divergence", "0.5"])
    ]
    assert len({json.dumps(document["fit"]["losses"]) for document in documents}) == 5
    assert {document["fit"]["n_iter"] for document in documents} == {7}
    seeds = [found(cli, *base, "--start", "random", "--seed", seed)[1] for seed in ("0", "1")]
    assert np.abs(seeds[0] - seeds[1]).max() > 1e-3


def test_defaults_differ_by_model_as_the_help_says() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(k_means).parameters.items()}
    assert (defaults["tol"], defaults["restarts"]) == (1e-6, 10)
    assert "1e-06 for kmeans" in OF_MODELS["tol"]["show_default"]


def test_a_variable_counts_where_the_model_has_the_option(cli: Cli) -> None:
    result = cli("factorize", "x.npy", "-k", "3", "--model", "kmeans", env={"NMFSEP_DIVERGENCE": "is"})
    assert (result.code, result.err) == (0, "")
    document = json.loads(cli("factorize", "x.npy", "--json", env={"NMFSEP_COMPONENTS": "2", "NMFSEP_TOL": "0"}).out)
    assert (document["settings"]["tol"], document["fit"]["n_iter"], document["settings"]["components"]) == (0, 200, 2)


def test_verbose_says_how_it_went(cli: Cli) -> None:
    result = cli("factorize", "x.npy", "-k", "4", "-v")
    assert result.err.startswith("nmfsep: x.npy: 20 x 30, mue ")
    assert "relative error 0.0" in result.err


def test_a_rerun_replaces_its_own_files_and_no_others(cli: Cli) -> None:
    assert cli("factorize", "x.npy", "-k", "2", "--csv").code == 0
    assert cli("factorize", "x.npy", "-k", "3").code == 0
    assert files(cli.folder / "factors") == ["x/W.npy", "x/Z.npy", "x/x.nmfsep.json"]
    (cli.folder / "factors/x/W.npy").write_text("mine")
    result = cli("factorize", "x.npy", "-k", "3")
    assert result.code == 2
    assert "W.npy: exists and was not written by nmfsep, or was changed since; use --force" in result.err
    assert (cli.folder / "factors/x/W.npy").read_text() == "mine"
    assert cli("factorize", "x.npy", "-k", "3", "--force").code == 0


def test_the_input_is_never_overwritten(cli: Cli) -> None:
    (cli.folder / "out/W").mkdir(parents=True)
    shutil.move(cli.folder / "x.npy", cli.folder / "out/W/W.npy")
    before = digests(["out/W/W.npy"], cli.folder)
    result = cli("factorize", "out/W/W.npy", "-k", "2", "-o", "out", "--force")
    assert result.code == 2
    assert "is an input and would be overwritten" in result.err
    assert digests(["out/W/W.npy"], cli.folder) == before


@pytest.mark.long
@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_same_bytes_whatever_the_threads(cli: Cli, threads: str) -> None:
    args = ("factorize", "x.npy", "-k", "3", "--pictures", "--csv")
    first = digests(cli(*args, "-o", "a").paths, cli.folder)
    env = {"OPENBLAS_NUM_THREADS": threads, "HOME": "/nonexistent", "MPLCONFIGDIR": None}
    second = cli(*args, "-o", "b", "--threads", threads, env=env)
    assert (second.code, second.err) == (0, "")
    assert digests(second.paths, cli.folder) == first


def test_a_changed_file_is_found_by_check(cli: Cli) -> None:
    assert cli("factorize", "x.npy", "-k", "3").code == 0
    assert cli("check", "factors").out == b"factors/x/x.nmfsep.json: hashes match\n"
    with open(cli.folder / "factors/x/Z.npy", "ab") as file:
        file.write(b"x")
    result = cli("check", "factors")
    assert result.code == 4
    assert "file 'Z.npy' has" in result.err


def test_a_full_disk_leaves_nothing(cli: Cli) -> None:
    result = cli.shell("ulimit -f 1; exec nmfsep factorize x.npy -k 4 --csv")
    assert (result.code, result.out) == (3, b"")
    assert not [name for name in files(cli.folder) if name.startswith("factors")]


BAD = [
    (2, ["x.npy", "-k", "2", "--template-frames", "3"], "model 'nmf' has no option --template-frames; 'nmfd' has it"),
    (2, ["x.npy", "-k", "2", "--model", "nmfd", "--template-frames", "31"], "templates of 31 frames are longer"),
    (1, ["ragged.csv", "-k", "1"], "ragged.csv: line 2 has 1 cell where the first has 2"),
    (1, ["nan.csv", "-k", "1"], "nan.csv: an entry is NaN or infinite, the first in row 1, column 2"),
    (1, ["na.csv", "-k", "1"], "na.csv: line 1, column 2 is 'NA', a missing number; every cell must hold a number"),
    (1, ["long.csv", "-k", "1"], "long.csv: holds a cell of more than 131072 characters"),
    (1, ["empty.csv", "-k", "1"], "empty.csv: is empty"),
    (1, ["huge.npy", "-k", "1"], "huge.npy: promises 8000000000000 bytes of numbers"),
    (1, ["pickled.npy", "-k", "1"], "pickled.npy: holds pickled Python objects, which are never loaded"),
    (1, ["signed.npy", "-k", "1"], "signed.npy: holds negative entries, the first "),
    (1, ["signed.npy", "--model", "deep", "--levels", "2,1"], "use --model semi or deep-semi, which take any sign"),
    (1, ["x.npy", "-k", "1", "--images"], "x.npy: holds an array of shape (20, 30); images have 3 axes"),
    (2, ["x.npy"], "the number of components is missing; give it with -k"),
    (2, ["x.npy", "-k", "0"], "at least 1"),
    (2, ["x.npy", "-k", "21"], "x.npy: 21 components are too many: a matrix of 20 x 30 has rank 20 at the most"),
    (2, ["x.npy", "-k", "31", "--model", "kmeans"], "there are 30 columns to cluster; use 30 or fewer"),
    (
        2,
        ["x.npy", "--model", "deep", "--levels", "4,8"],
        "--levels 4,8 must have fewer parts from one level to the next",
    ),
    (2, ["x.npy", "--model", "deep", "--levels", "4,4"], "try 4"),
    (2, ["x.npy", "--model", "deep", "--levels", "4,,2"], "is not a whole number"),
    (2, ["x.npy", "--model", "deep", "--levels", "40,2"], "40 components are too many"),
    (2, ["x.npy", "--model", "deep", "-k", "4"], "model 'deep' needs --levels"),
    (2, ["x.npy", "--model", "deep", "-k", "4", "--levels", "4,2"], "leave out -k"),
    (2, ["x.npy", "-k", "4", "--levels", "4,2"], "model 'nmf' has no levels"),
    (2, ["x.npy", "-k", "4", "--model", "kmean"], "did you mean 'kmeans'?"),
    (2, ["x.npy", "-k", "4", "--model", "kmeans", "--solver", "mu"], "model 'kmeans' has no option --solver"),
    (
        2,
        ["x.npy", "-k", "4", "--model", "semi", "--divergence", "kl"],
        "no option --divergence; 'nmf', 'nmfd' and 'deep' have it",
    ),
    (2, ["x.npy", "-k", "4", "--free", "Z"], "model 'nmf' has no option --free"),
    (
        2,
        ["x.npy", "-k", "4", "--model", "semi", "--start", "spa"],
        "start 'spa' is for models 'nmf' and 'deep'; model 'semi' has svd, random",
    ),
    (2, ["x.npy", "-k", "4", "--solver", "hals"], "solver 'hals' minimises beta 2, not 1"),
    (2, ["x.npy", "-k", "4", "--smoothness", "1", "--sparsity", "1"], "cannot be asked for together"),
    (2, ["x.npy", "-k", "4", "--max-memory", "1M"], "x.npy: 'x' needs about"),
    (2, ["x.npy", "-k", "4", "--array", "X"], "x.npy: --array is for .npz files"),
    (2, ["two.npz", "-k", "4"], "two.npz: holds 2 arrays; choose one with --array: X, mask"),
    (2, ["x.npy", "-k", "4", "--pca"], "--pca compares images; add --images"),
    (2, ["x.npy", "-k", "4", "--images", "--transpose"], "contradict"),
    (2, ["missing.npy", "-k", "4"], "missing.npy: no such file or directory; check the name"),
    (2, ["folder", "-k", "4"], "folder: is a folder; use --images if it holds images"),
    (2, ["folder", "-k", "4", "--images"], "folder: holds no images"),
    (2, ["/dev/zero", "-k", "4"], "is a device"),
    (2, ["x.npy", "-k", "4", "-o", "table.csv"], "cannot be written to"),
    (2, ["x.npy", "table.csv", "-k", "4"], "unexpected extra argument"),
]


@pytest.mark.parametrize(("code", "args", "fragment"), BAD, ids=[" ".join(args) for _, args, _ in BAD])
def test_bad_input_is_answered_with_one_clear_line(cli: Cli, code: int, args: list[str], fragment: str) -> None:
    from numpy.lib import format as npy

    (cli.folder / "folder").mkdir()
    (cli.folder / "ragged.csv").write_text("1,2\n3\n")
    (cli.folder / "nan.csv").write_text("1,nan\n3,4\n")
    (cli.folder / "na.csv").write_text("1,NA,3\n4,5,6\n")
    (cli.folder / "long.csv").write_text("1,2\n3," + "x" * 200_000)
    (cli.folder / "empty.csv").touch()
    np.save(cli.folder / "pickled.npy", np.array([[None]], dtype=object), allow_pickle=True)
    with open(cli.folder / "huge.npy", "wb") as file:
        npy.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
        file.write(bytes(80))
    before = files(cli.folder)
    result = cli("factorize", *args)
    assert (result.code, result.out) == (code, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err
    assert files(cli.folder) == before


def test_no_option_of_a_model_is_left_out_of_the_command_line(cli: Cli) -> None:
    text = cli("factorize", "--help").out.decode()
    inner = {"callback", "W", "Z", "fixed", "execution", "anchor", "weights", "costs", "l1", "l2"}
    for model in MODELS:
        for name in set(options_of(model)) - inner:
            assert f"--{name.replace('_', '-')}" in text


def test_no_more_components_than_the_rank_but_for_sparse_ones(cli: Cli) -> None:
    assert cli("factorize", "x.npy", "-k", "25").code == 2
    assert cli("factorize", "x.npy", "-k", "25", "--sparsity", "0.1", "-q").code == 0


def test_images_are_taken_apart_into_what_they_were_made_of(cli: Cli) -> None:
    result = cli("factorize", FACES, "--images", "-k", "13", "--divergence", "frobenius", "--pca", "-o", "out")
    assert (result.code, result.err) == (0, "")
    assert [os.path.basename(path) for path in result.paths] == [
        "W.npy", "Z.npy", "parts.png", "reconstructions.png", "pca.png",
    ]  # fmt: skip
    document = json.loads((cli.folder / "out/faces/faces.nmfsep.json").read_text())
    assert (len(document["input"]["images"]), document["input"]["height"]) == (72, 36)
    assert document["error"] < 0.01
    assert document["error"] < document["pca_clipped_error"] / 10
    assert document["sparseness"] > document["pca_sparseness"] + 0.1
    assert np.load(cli.folder / "out/faces/W.npy").min() >= 0
    assert cli("check", "out").code == 0


@pytest.mark.long
def test_faces_of_people_come_apart_into_sparser_parts_than_those_of_pca(cli: Cli) -> None:
    data = pytest.importorskip("skimage.data")
    np.save(cli.folder / "people.npy", data.lfw_subset()[:100])
    args = ("people.npy", "--images", "-k", "25", "--divergence", "frobenius", "--pca")
    document, W, Z = found(cli, *args, folder="factors/people")
    assert min(W.min(), Z.min()) >= 0
    # measured: error 0.165, of clipped PCA 0.39; sparseness 0.35, of PCA 0.24
    assert document["error"] < 0.2 < 0.3 < document["pca_clipped_error"]
    assert document["sparseness"] > document["pca_sparseness"] + 0.05


@pytest.mark.long
def test_a_deep_model_of_images_is_drawn_as_a_tree(cli: Cli) -> None:
    args = ("--images", "--model", "deep", "--levels", "13,4", "--max-iter", "20", "--pictures")
    result = cli("factorize", FACES, *args)
    assert (result.code, result.err) == (0, "")
    names = [os.path.basename(path) for path in result.paths]
    assert names[-4:] == ["parts.png", "reconstructions.png", "tree.png", "factors.png"]


def test_images_of_different_sizes_are_refused(cli: Cli) -> None:
    image = pytest.importorskip("PIL.Image")
    (cli.folder / "mixed").mkdir()
    for name, size in (("a", (4, 5)), ("b", (5, 4))):
        image.new("L", size).save(cli.folder / f"mixed/{name}.png")
    result = cli("factorize", "mixed", "--images", "-k", "1")
    assert (result.code, result.out) == (1, b"")
    assert result.err == (
        "nmfsep: mixed/b.png: has 5 x 4 pixels, where 'a.png' has 4 x 5; scale or crop the images to one size first\n"
    )


def test_a_plain_factorization_loads_no_library_for_pictures_or_sound(cli: Cli) -> None:
    from test_help import loaded

    modules = loaded(cli, "factorize", "x.npy", "-k", "2", "-q")
    assert "numpy" in modules
    assert not modules & {"matplotlib", "PIL", "librosa", "scipy", "sklearn", "numba"}


@pytest.mark.parametrize(
    ("args", "need"),
    [
        (("-k", "4"), 8 * 4 * 50),
        (("--model", "nmfd", "-k", "2", "--template-frames", "3"), 8 * 2 * (3 * 20 + 30)),
        (("--model", "deep", "--levels", "6,3"), 8 * (3 * 50 + 20 * 6 + 6 * 3)),
    ],
)
def test_a_full_disk_is_found_before_the_fit(cli: Cli, args: tuple[str, ...], need: int) -> None:
    def run(free: int) -> Result:
        script = f"import nmfsep.jobs.safety as safety\nsafety.free_space = lambda folder: {free}\n"
        script += "from nmfsep.cli.main import main\nmain()\n"
        command = [sys.executable, "-c", script, "factorize", "x.npy", *args, "--max-iter", "2", "-o", "out"]
        return cli._run(command, None, None, None, subprocess.PIPE)

    full = run(need - 1)
    assert (full.code, full.out) == (3, b"")
    assert full.err == "nmfsep: out/x: no space left on device: 1 MB are needed, 1 MB are free\n"
    assert not (cli.folder / "out").exists()
    assert run(need).code == 0
    assert sum(np.load(path).nbytes for path in (cli.folder / "out/x").glob("*.npy")) == need
