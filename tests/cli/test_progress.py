"""On a terminal there is a progress bar and names are quoted; elsewhere neither."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from cli_harness import PATIENCE, Cli

SPLIT = ("split", "song.wav", "-k", "2", "--tol", "0")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def on_terminal(cli: Cli, stream: str, *args: str, **env: str | None) -> tuple[int, bytes, bytes]:
    """Run with a terminal as stdout or stderr; return the code, what the terminal got, and the other stream."""
    master, slave = os.openpty()
    process = cli.start(*args, env={"TERM": "xterm", **env}, **{stream: slave})
    os.close(slave)
    shown = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:  # EIO: how Linux says that the last writer is gone
            break
        if not block:
            break
        shown += block
    os.close(master)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, shown, (out if stream == "stderr" else err) or b""


def test_a_terminal_sees_a_bar_and_stdout_does_not(cli: Cli, song: Path) -> None:
    code, shown, out = on_terminal(cli, "stderr", *SPLIT)
    assert code == 0
    assert b"song" in shown
    assert b"100%" in shown
    assert out == b"separated/song/component-1.wav\nseparated/song/component-2.wav\n"


def test_learning_has_a_bar_too(cli: Cli, song: Path) -> None:
    code, shown, out = on_terminal(cli, "stderr", "learn", "song=song.wav", "-k", "2", "-o", "kit.npz")
    assert (code, out) == (0, b"kit.npz\n")
    assert b"learn" in shown
    assert b"100%" in shown
    assert on_terminal(cli, "stderr", "learn", "song=song.wav", "-o", "kit.npz", "--no-progress")[:2] == (0, b"")


@pytest.mark.parametrize("option", ["--no-progress", "-q"])
def test_the_bar_can_be_turned_off(cli: Cli, song: Path, option: str) -> None:
    code, shown, _ = on_terminal(cli, "stderr", *SPLIT, option)
    assert (code, shown) == (0, b"")
    assert on_terminal(cli, "stderr", *SPLIT)[1] != b""


def test_no_bar_where_stderr_is_no_terminal(cli: Cli, song: Path) -> None:
    code, shown, err = on_terminal(cli, "stdout", *SPLIT)
    assert (code, err) == (0, b"")
    assert b"component-1.wav" in shown
    assert b"%" not in shown


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_nothing_is_coloured(cli: Cli, sounds: Path, env: dict[str, str]) -> None:
    # no message needs colour, so NO_COLOR is honoured by having none
    code, shown, _ = on_terminal(cli, "stderr", "split", str(sounds / "silence.wav"), "-k", "2", **env)
    assert code == 0
    assert b"warning" in shown
    assert not COLOUR.search(shown)


def test_a_hostile_name_cannot_drive_the_terminal(cli: Cli, song: Path) -> None:
    name = "\x1b]0;owned\x07\u202ex.wav"
    os.rename(song, cli.folder / name)
    code, shown, out = on_terminal(cli, "stderr", "split", name, "-k", "2", "--tol", "0")
    assert (code, len(out.splitlines())) == (0, 2)
    assert b"owned" in shown
    assert b"100%" in shown
    assert b"\x1b]0;" not in shown
    assert b"\x07" not in shown
    assert "\u202e".encode() not in shown


def test_paths_are_quoted_for_a_terminal_and_raw_for_a_pipe(cli: Cli, song: Path) -> None:
    os.rename(song, cli.folder / "a\x1b b.wav")
    args = ("split", "a\x1b b.wav", "-k", "2", "--only", "component-1")
    code, shown, err = on_terminal(cli, "stdout", *args)
    assert (code, err) == (0, b"")
    assert shown == b"$'separated/a\\x1b b/component-1.wav'\r\n"
    assert cli(*args).out == b"separated/a\x1b b/component-1.wav\n"


def test_an_error_on_a_terminal_comes_on_a_line_of_its_own(cli: Cli, song: Path, broken: Path) -> None:
    code, shown, _ = on_terminal(cli, "stderr", "split", "song.wav", "broken.wav", "-k", "2")
    assert code == 1
    lines = re.split(rb"[\r\n]+", re.sub(rb"\x1b\[[?0-9;]*[A-Za-z]", b"", shown))
    assert any(line.startswith(b"nmfsep: broken.wav: ") for line in lines)
