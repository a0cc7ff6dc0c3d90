"""The uses in a shell that the contract promises, and names of every kind."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import children
import pytest
from cli_harness import ENDLESS, Cli, assert_add_up, digests, files, until_busy, well_said

NAMES = [
    b"a b.wav",
    b"a\nb.wav",
    b"-k.wav",
    b"--help.wav",
    "sp\u00e4\u00df-\u58f0\U0001f3b5.wav".encode(),
    b"caf\xe9.wav",  # Latin-1: no UTF-8
    b"$(touch pwned);`touch pwned`.wav",
    b'it\'s "quoted".wav',
    b"\x1b[31mred\x07.wav",
    "\u202egnp.wav".encode(),
    "\x9b31m.wav".encode(),  # a control sequence in one character
    b"*?[a].wav",
    b"~.wav",
    b".wav",
    b"no extension",
    b"n" * 251 + b".wav",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_of_any_name_is_split(cli: Cli, song: Path, name: bytes) -> None:
    os.rename(song, os.fsencode(cli.folder) + b"/" + name)
    result = cli("split", "-k", "2", "--", name)
    assert (result.code, result.err) == (0, "")
    assert not (cli.folder / "pwned").exists()
    folders = os.listdir(cli.folder / "separated")
    assert len(folders) == 1
    stem = os.fsdecode(name).removesuffix(".wav") or ".wav"
    assert folders[0][:100] == stem[:100]
    written = [cli.folder / "separated" / folders[0] / f"component-{index}.wav" for index in (1, 2)]
    assert result.out == b"".join(os.fsencode(path.relative_to(cli.folder)) + b"\n" for path in written)
    assert_add_up(written, Path(os.fsdecode(os.fsencode(cli.folder) + b"/" + name)))


def test_names_of_any_kind_in_messages_stay_in_one_harmless_line(cli: Cli, broken: Path) -> None:
    for name in NAMES:
        shutil.copy(broken, os.fsencode(cli.folder) + b"/" + name)
    result = cli("split", "-k", "2", "--", *NAMES)  # the harness looks for control characters
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == len(NAMES) + 1
    missing = cli("split", "-k", "2", "--", b"\x1b[2J\nmissing\xff.wav")
    assert missing.code == 2
    assert missing.err.startswith("nmfsep: $'\\x1b[2J\\x0amissing\\xff.wav': no such file")


def test_quoted_names_mean_the_same_file_to_a_shell(cli: Cli, broken: Path) -> None:
    for name in NAMES:
        shutil.copy(broken, os.fsencode(cli.folder) + b"/" + name)
    lines = cli("split", "-k", "2", "--", *NAMES).err.splitlines()[: len(NAMES)]
    quoted = [line.removeprefix("nmfsep: ").rsplit(": is a WAV", 1)[0] for line in lines]
    printed = cli.shell("printf '%s\\0' " + " ".join(quoted)).out
    assert printed.split(b"\0")[:-1] == NAMES


@pytest.mark.long
def test_a_while_read_loop_sees_every_line(cli: Cli, song: Path) -> None:
    # another tool read standard input and so ate the list of names
    for name in ("one.wav", "two words.wav", "three.wav"):
        shutil.copy(song, cli.folder / name)
    (cli.folder / "list").write_text("one.wav\ntwo words.wav\nthree.wav\n")
    result = cli.shell('while read -r f; do nmfsep split "$f" -k 2 || exit; done < list')
    assert (result.code, result.err) == (0, "")
    assert [path.split("/")[1] for path in result.paths[::2]] == ["one", "two words", "three"]


def test_find_and_xargs_in_parallel_handle_every_name(cli: Cli, song: Path) -> None:
    (cli.folder / "songs").mkdir()
    for name in (b"a b.wav", b"a\nb.wav", b"-k.wav", b"caf\xe9.wav", b"plain.wav"):
        shutil.copy(song, os.fsencode(cli.folder) + b"/songs/" + name)
    result = cli.shell("find songs -name '*.wav' -print0 | xargs -0 -n1 -P2 nmfsep split -k 2")
    assert (result.code, result.err) == (0, "")
    assert len(files(cli.folder / "separated")) == 5 * 3
    assert cli("check", "separated").code == 0


MAKEFILE = """\
.DELETE_ON_ERROR:
stems/%/component-1.wav: %.wav
\tnmfsep split $< -k 2 -o stems
"""


@pytest.mark.long
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_a_makefile_rule_builds_once_and_again_when_the_input_is_newer(cli: Cli, song: Path) -> None:
    (cli.folder / "Makefile").write_text(MAKEFILE)
    make = "make stems/song/component-1.wav"
    assert cli.shell(make).code == 0
    assert b"up to date" in cli.shell(make).out
    newer = os.path.getmtime(cli.folder / "stems/song/component-1.wav") + 10
    os.utime(song, (newer, newer))
    assert b"nmfsep split" in cli.shell(make).out


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_a_makefile_rule_that_fails_leaves_no_target(cli: Cli, broken: Path) -> None:
    (cli.folder / "Makefile").write_text(MAKEFILE)
    make = "make stems/broken/component-1.wav"
    assert [cli.shell(make).code, cli.shell(make).code] == [2, 2]
    assert not (cli.folder / "stems").exists()


def test_ctrl_c_ends_the_loop_around_it(cli: Cli, song: Path) -> None:
    # a shell goes on with its loop if a program exits on SIGINT rather than dying of it
    path = f"{cli.wrapper().parent}{os.pathsep}{os.environ['PATH']}"
    loop = f"for f in song.wav song.wav; do nmfsep split $f -k 2 {' '.join(ENDLESS)}; echo next; done"
    process = children.start(["bash", "-c", loop], cli.folder, cli.env(PATH=path))
    until_busy(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (-signal.SIGINT, b"")
    assert well_said(err) == ""
    assert files(cli.folder) == ["song.wav"]


def test_two_runs_side_by_side_do_not_disturb_each_other(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    result = cli.shell("nmfsep split song.wav -k 2 & nmfsep split other.wav -k 2; wait")
    assert (result.code, result.err) == (0, "")
    assert digests(sorted(result.paths)[:2], cli.folder) == digests(sorted(result.paths)[2:], cli.folder)
