"""--stem-names auto: names that are known only when the stems are, and --group auto:N."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_harness import Cli, digests

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"
NAMES = ["1-E4", "2-G4", "3-C4"]
QUICK = ("-k", "3", "--stem-names", "auto")


@pytest.fixture
def triad(cli: Cli) -> str:
    shutil.copy(SAMPLES / "triad.wav", cli.folder)
    return "triad.wav"


def files(cli: Cli, folder: str) -> set[str]:
    return {path.name for path in (cli.folder / folder).iterdir()}


def test_names_say_what_is_heard_everywhere(cli: Cli, triad: str) -> None:
    paths = [f"separated/triad/{name}.wav" for name in NAMES]
    result = cli("split", triad, *QUICK, "--depfile", "d.mk", "--export-labels", "--save-model")
    assert (result.code, result.paths) == (0, [*paths, "separated/triad/triad.labels.txt"])
    about = json.loads((cli.folder / "separated/triad/triad.nmfsep.json").read_text())
    assert [(stem["name"], stem["components"]) for stem in about["stems"]] == [
        (name, [number]) for number, name in enumerate(NAMES, 1)
    ]
    assert all(name in (cli.folder / "separated/triad/triad.labels.txt").read_text() for name in NAMES)
    assert (cli.folder / "d.mk").read_text().startswith(" ".join(paths))
    assert cli("check", "separated").code == 0
    plain = cli("split", triad, "-k", "3", "-o", "plain")
    numbers = [f"component-{k}.wav" for k in (1, 2, 3)]
    assert plain.code == 0
    assert digests(numbers, cli.folder / "plain/triad") == digests(
        [f"{name}.wav" for name in NAMES], cli.folder / "separated/triad"
    )
    # rendered in place, the plain names take the place of the others, which are removed
    assert cli("render", "separated/triad/triad.nmf.npz").paths == [f"separated/triad/{name}" for name in numbers]
    assert files(cli, "separated/triad") == {*numbers, "triad.nmfsep.json", "triad.nmf.npz"}


def test_a_run_is_resumed_by_the_names_that_it_gave(cli: Cli, triad: str) -> None:
    template = ("--filename", "{track}-{stem}.{ext}")
    paths = [f"separated/triad-{name}.wav" for name in NAMES]
    assert cli("split", triad, *QUICK, *template).paths == paths
    again = cli("split", triad, *QUICK, *template, "--skip-existing")
    assert (again.paths, "1 skipped" in again.err) == (paths, True)
    (cli.folder / paths[1]).unlink()
    again = cli("split", triad, *QUICK, *template, "--skip-existing")
    assert (again.paths, "warning" in again.err) == (paths, False)
    plain = cli("split", triad, "-k", "3", *template, "--skip-existing")
    assert plain.paths == [f"separated/triad-component-{k}.wav" for k in (1, 2, 3)]


def test_a_file_of_such_a_name_is_not_written_over(cli: Cli, triad: str) -> None:
    stranger = cli.folder / "separated/triad/2-G4.wav"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("mine")
    refused = cli("split", triad, *QUICK)
    assert (refused.code, "2-G4.wav" in refused.err, stranger.read_text()) == (2, True, "mine")
    assert files(cli, "separated/triad") == {"2-G4.wav"}
    assert cli("split", triad, *QUICK, "--force").code == 0
    shutil.copy(cli.folder / triad, cli.folder / "1-E4.wav")
    (cli.folder / "b").mkdir()
    here = cli("split", "1-E4.wav", triad, *QUICK, "--force", "-o", ".", "--filename", "{stem}-{track}.{ext}")
    assert (here.code, "not known yet" in here.err) == (2, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("-n", "--print-outputs"), "cannot know"),
        (("-o", "-"), "writes no names"),
        (("--filename", "{stem}/{track}.{ext}"), "behind the last /"),
    ],
)
def test_what_needs_names_beforehand_is_refused(cli: Cli, triad: str, more: tuple[str, ...], said: str) -> None:
    refused = cli("split", triad, *QUICK, *more)
    assert (refused.code, said in refused.err, refused.out) == (2, True, b"")


def test_a_dry_run_tells_no_names(cli: Cli, triad: str) -> None:
    looked = cli("split", triad, *QUICK, "-n")
    assert (looked.code, looked.out, "will be known" in looked.err) == (0, b"", True)


def test_groups_that_are_found_are_kept_as_they_were_found(cli: Cli, triad: str) -> None:
    split = cli("split", triad, "-k", "5", "--atoms", "1", "--group", "auto:2", "--save-model", "-o", "a")
    model, names = "a/triad/triad.nmf.npz", ["group-1.wav", "group-2.wav"]
    assert split.paths == [f"a/triad/{name}" for name in names]
    stems = json.loads((cli.folder / "a/triad/triad.nmfsep.json").read_text())["stems"]
    assert sorted(stems[0]["components"] + stems[1]["components"]) == [1, 2, 3, 4, 5]
    assert cli("render", model, triad, "-o", "b").code == 0
    assert digests(names, cli.folder / "a/triad") == digests(names, cli.folder / "b/triad")
    assert cli("render", model, triad, "--group", "auto:2", "-o", "c").code == 0
    assert digests(names, cli.folder / "a/triad") == digests(names, cli.folder / "c/triad")
    regrouped = cli("render", model, triad, "--group", "one=1", "--group", "auto:2", "--stem-names", "auto", "-o", "d")
    assert [Path(path).stem.partition("-")[0] for path in regrouped.paths] == ["one", "1", "2"]
