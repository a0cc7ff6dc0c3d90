"""--log keeps every message with its time; variables that mean nothing are named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from cli_harness import Cli

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ")


def lines(cli: Cli, name: str = "night.log") -> list[str]:
    """Return the messages of a log, after a look at their times."""
    found = (cli.folder / name).read_text().splitlines()
    assert all(TIME.match(line) for line in found)
    return [TIME.sub("", line) for line in found]


def test_the_log_has_all_that_was_said_and_more_is_added(cli: Cli, song: Path, broken: Path) -> None:
    args = ("split", "song.wav", "broken.wav", "-k", "2", "--fast")
    result = cli(*args, "--log", "night.log")
    assert result.code == 1
    first, *said, last = lines(cli)
    assert first == "nmfsep split song.wav broken.wav -k 2 --fast --log night.log"
    assert last == "exit code 1"
    assert [line for line in said if not line.endswith((": done", ": failed"))] == [
        line.removeprefix("nmfsep: ") for line in result.err.splitlines()
    ]
    assert {"song.wav: done", "broken.wav: failed"} <= set(said)
    before = (cli.folder / "night.log").read_bytes()
    assert cli(*args, "-q", env={"NMFSEP_LOG": "night.log"}).code == 1
    after = (cli.folder / "night.log").read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)


def test_what_is_wrong_with_the_command_is_logged_too(cli: Cli) -> None:
    result = cli("split", "--log", "night.log", "missing.wav", "-k", "0")
    assert (result.code, len(lines(cli))) == (2, 3)
    assert lines(cli)[1] == result.err.removeprefix("nmfsep: ").rstrip("\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("song.wav", "song.wav: is no log, so nothing is added to it"),
        ("gone/night.log", "gone/night.log: no such file or directory"),
        (".", ".: is a directory"),
    ],
)
def test_nothing_else_is_written_to(cli: Cli, song: Path, name: str, message: str) -> None:
    before = song.read_bytes()
    result = cli("split", "song.wav", "-k", "2", "--log", name)
    assert (result.code, result.out) == (2, b"")
    assert message in result.err
    assert song.read_bytes() == before


def test_a_variable_that_means_nothing_is_named(cli: Cli, song: Path) -> None:
    args = ("split", "song.wav", "-k", "2", "--fast")
    result = cli(*args, env={"NMFSEP_COMPNENTS": "3", "NMFSEP_LOWEST": "2"})
    assert result.code == 0
    assert result.err.splitlines()[0] == (
        "nmfsep: warning: the variable NMFSEP_COMPNENTS means nothing; did you mean 'NMFSEP_COMPONENTS'?"
    )
    assert cli(*args, "-q", env={"NMFSEP_COMPNENTS": "3"}).err == ""
    # one that another command has is a habit
    assert cli(*args, env={"NMFSEP_ORACLE": "1", "NMFSEP_APPEND": ""}).err.count("warning") == 1


@pytest.mark.parametrize("command", ["split", "learn", "mix", "check"])
def test_help_says_which_variables_there_are(cli: Cli, command: str) -> None:
    text = " ".join(cli(command, "--help").out.decode().split())
    found = re.search(r"NMFSEP_(\w+) sets --([\w-]+), and so on; nothing sets (.*?)\. More on", text)
    assert found
    assert found[1] == found[2].replace("-", "_").upper()
    assert "--debug" in found[3].split(", ")


def test_logging_does_not_change_the_stems(cli: Cli, song: Path) -> None:
    for place, more in (("a", []), ("b", ["--log", "night.log"])):
        assert cli("split", "song.wav", "-k", "2", "--fast", "-o", place, *more).code == 0
    assert cli("check", "a", "b").code == 0
    for stem in (cli.folder / "a/song").glob("*.wav"):
        assert stem.read_bytes() == (cli.folder / "b/song" / stem.name).read_bytes()
    shutil.rmtree(cli.folder / "a")
