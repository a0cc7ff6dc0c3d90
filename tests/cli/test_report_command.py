"""``nmfsep report`` and ``split --report`` as processes."""

import json
from pathlib import Path

from cli_harness import Cli


def test_split_and_report_print_the_page(cli: Cli, song: Path) -> None:
    done = cli("split", "song.wav", "-k", "2", "-q", "--report", "--fast")
    page = cli.folder / "separated" / "song" / "song.html"
    assert (done.code, done.paths[-1]) == (0, "separated/song/song.html")
    before = page.read_bytes()
    done = cli("report", page.parent, "--json")
    found = json.loads(done.out)
    assert done.code == 0
    assert found["page"] == str(page)
    assert found["bytes"] == len(before)
    assert page.read_bytes() == before


def test_a_page_of_another_program_stays(cli: Cli, song: Path) -> None:
    page = cli.folder / "separated" / "song" / "song.html"
    page.parent.mkdir(parents=True)
    page.write_text("mine")
    done = cli("split", "song.wav", "-k", "2", "-q", "--report", "--fast")
    assert (done.code, page.read_text()) == (2, "mine")
    assert "is no report of nmfsep" in done.err
    assert [path.name for path in page.parent.iterdir()] == ["song.html"]


def test_stdout_has_no_place_for_a_page(cli: Cli, song: Path) -> None:
    done = cli("split", "song.wav", "-k", "2", "--report", "-o", "-")
    assert done.code == 2
    assert "--report" in done.err


def test_a_folder_of_several_separations_is_refused(cli: Cli, song: Path) -> None:
    for name in ("a", "b"):
        assert cli("split", "song.wav", "-k", "2", "-q", "--fast", "-o", f"all/{name}").code == 0
    done = cli("report", "all")
    assert done.code == 2
    assert "holds the stems of 2 sounds" in done.err
    assert cli("report", "nowhere").code == 2


def test_a_page_does_not_go_to_standard_output(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "2", "-q", "--fast").code == 0
    done = cli("report", "separated", "-o", "-")
    assert (done.code, done.out) == (2, b"")
    assert not (cli.folder / "-").exists()
