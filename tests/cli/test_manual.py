"""The manual on the command line: a list, plain pages in a pipe, a pager on a terminal, topics completed by a shell."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from cli_harness import Cli

from nmfsep.cli.manual import TOPICS

PAGES = Path(__file__).parents[2] / "nmfsep" / "manual"


def test_without_a_topic_each_page_has_a_line(cli: Cli) -> None:
    done = cli("manual")
    assert done.code == 0
    lines = done.out.decode().splitlines()
    assert [line.split()[0] for line in lines] == list(TOPICS)
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_goes_to_a_pipe_as_it_is(cli: Cli, topic: str) -> None:
    done = cli("manual", topic)
    assert (done.code, done.out, done.err) == (0, (PAGES / f"{topic}.md").read_bytes(), "")


def test_a_mistyped_topic_is_answered_with_the_nearest_right_one(cli: Cli) -> None:
    done = cli("manual", "gidance")
    assert (done.code, done.out) == (2, b"")
    assert "'guidance'" in done.err


def test_a_terminal_gets_a_pager(cli: Cli, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path / 'shown'}\n")
    pager.chmod(0o755)
    ours, theirs = pty.openpty()
    try:
        env = {**cli.env(), "PAGER": str(pager), "TERM": "xterm"}
        subprocess.run([*cli.command, "manual", "start"], stdin=theirs, stdout=theirs, env=env, check=True, timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert (tmp_path / "shown").read_text(encoding="utf-8").rstrip() == (PAGES / "start.md").read_text().rstrip()


def test_a_shell_completes_topics(cli: Cli) -> None:
    env = {**cli.env(), "_NMFSEP_COMPLETE": "bash_complete", "COMP_WORDS": "nmfsep manual gu", "COMP_CWORD": "2"}
    done = subprocess.run(cli.command, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["plain,guidance"]
