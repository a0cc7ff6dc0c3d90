"""Help, version and completion: quick, and true to what the commands do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from cli_harness import Cli

import nmfsep
from nmfsep import __version__
from nmfsep.cli.main import COMMANDS, cli as cli_group

NUMERIC = {"numpy", "scipy", "soundfile", "librosa", "sklearn", "numba"}
AFTER = """
import atexit, json, os, sys
atexit.register(lambda: os.write(2, json.dumps(sorted({name.split(".")[0] for name in sys.modules})).encode()))
from nmfsep.cli.main import main
main()
"""


def loaded(cli: Cli, *args: str) -> set[str]:
    """Return the top-level modules that a run has loaded when it ends."""
    command = [cli.command[0], "-c", AFTER, *args]
    done = subprocess.run(command, cwd=cli.folder, env=cli.env(), capture_output=True, check=False)
    return set(json.loads(done.stderr[done.stderr.index(b"[") :]))


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["-h"],
        ["--version"],
        ["split", "--help"],
        ["check", "--help"],
        ["render", "--help"],
        ["evaluate", "--help"],
        ["learn", "--help"],
        ["inspect", "--help"],
        ["factorize", "--help"],
        ["completion", "zsh"],
        ["manual", "start"],
        ["spilt"],
        ["split", "song.wav", "-k", "0"],
        ["learn", "kick=song.wav", "-k", "0", "-o", "kit.npz"],
        ["inspect", "song.wav"],
    ],
    ids=" ".join,
)
def test_an_answer_that_needs_no_numbers_loads_no_numeric_library(cli: Cli, args: list[str]) -> None:
    modules = loaded(cli, *args)
    assert "nmfsep" in modules
    assert not modules & NUMERIC


def test_split_loads_only_what_it_needs(cli: Cli, song: Path) -> None:
    # each of these costs more than a short file takes to split
    modules = loaded(cli, "split", "song.wav", "-k", "2", "-q")
    assert "numpy" in modules
    assert not modules & {"librosa", "scipy", "sklearn", "numba"}


def examples(text: str) -> list[str]:
    """Return the commands after "Example:"."""
    return [" ".join(match.split()) for match in re.findall(r"Example: (.+?)(?=\n\n|\Z)", text, re.DOTALL)]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_the_help_has_an_example_that_works(
    cli: Cli, song: Path, stems_of_song: Path, lessons: Path, command: str | None
) -> None:
    if command in ("learn", "inspect"):
        shutil.copytree(lessons, cli.folder, dirs_exist_ok=True)
    for folder in {
        "check": ["separated"],
        "report": ["separated"],
        "mix": ["separated"],
        "rerun": ["separated"],
        "evaluate": ["separated", "stems"],
    }.get(command or "", []):
        shutil.copytree(stems_of_song, cli.folder / folder)
    if command == "render":
        assert cli("split", "song.wav", "-k", "4", "--save-model").code == 0
        shutil.move(cli.folder / "separated/song/song.nmf.npz", cli.folder)
    if command == "evaluate":  # whose true stems lie in one folder
        for stem in (cli.folder / "stems/song").iterdir():
            stem.rename(cli.folder / "stems" / stem.name)
    if command == "detect":
        shutil.copytree(lessons, cli.folder, dirs_exist_ok=True)
        shutil.copy(cli.folder / "song.wav", cli.folder / "night.wav")
        assert cli("learn", "call=kick.wav", "-o", "calls.npz").code == 0
    (cli.folder / "table.csv").write_text("a,b,c,d\n1,2,0,1\n2,1,3,0\n0,1,1,5\n")
    result = cli(*([command] if command else []), "--help")
    assert (result.code, result.err) == (0, "")
    found = examples(result.out.decode())
    assert found
    for example in found:
        assert f"nmfsep {command or ''}".strip() in example
        ran = cli.shell(example)
        said = "nmfsep: again: nmfsep split song.wav -k 2\n" if command == "rerun" else ""
        assert (ran.code, ran.err) == (0, said), example


def test_the_help_lists_every_command_with_its_summary(cli: Cli) -> None:
    text = " ".join(cli("--help").out.decode().split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in text


def test_the_help_of_split_fits_on_two_screens_of_eighty_columns(cli: Cli) -> None:
    lines = cli("split", "--help", env={"COLUMNS": "80"}).out.decode().splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_no_other_help_is_longer_than_that_of_split(cli: Cli, command: str) -> None:
    lines, longest = (len(cli(name, "--help").out.splitlines()) for name in (command, "split"))
    assert lines <= longest


def test_the_help_of_split_begins_with_the_options_that_most_runs_need(cli: Cli) -> None:
    _, common, section, *_ = re.split(r"^(\w+ options):$", cli("split", "--help").out.decode(), flags=re.MULTILINE)
    assert common == "Common options"
    found = re.findall(r"^  (-[^ ]+)", section, re.MULTILINE)
    assert 8 <= len(found) <= 12
    assert found[0] == "-k,"
    assert {"-m,", "--learn", "--preset", "--two-stems", "-o,", "-j,", "-n,"} <= set(found)


def test_help_reads_the_same_after_a_command_and_in_short(cli: Cli) -> None:
    assert cli("split", "-h").out == cli("split", "--help").out
    assert cli("-h").out == cli("--help").out


def test_version_is_one_line(cli: Cli) -> None:
    assert cli("--version").out.decode() == f"nmfsep {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert f"_NMFSEP_COMPLETE={shell}_complete" in result.out.decode()
    if shutil.which(shell):
        (cli.folder / "script").write_bytes(result.out)
        assert cli.shell(f"{shell} -n script").code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("sp", ["split"]),
        ("c", ["check", "completion"]),
        ("split --div", ["--divergence"]),
        ("split --fla", ["--flac"]),
        ("check --js", ["--json"]),
        ("evaluate --or", ["--oracle"]),
        ("learn --ap", ["--append"]),
        ("split --ad", ["--adapt"]),
        ("split --backg", ["--background"]),
        ("fac", ["factorize"]),
        ("factorize --tran", ["--transpose"]),
        ("split --preset ''", ["drums", "voice", "noise"]),
        ("split --solver e", ["ehals"]),
        ("split --format F", ["flac"]),
        ("split --divergence a", []),
        ("split -k 3 --only c", ["component-1", "component-2", "component-3"]),
        ("split song.wav --preset drums --two-stems k", ["kick"]),
        ("split song.wav -m kit.npz --only k", ["kick"]),
        ("mix stems --mute ''", ["component-1", "component-2"]),
        ("render missing.npz --only ''", []),
        ("completion p", ["powershell"]),
        ("manual gu", ["guidance"]),
    ],
)
def test_bash_completes_commands_options_and_values(
    cli: Cli, lessons: Path, stems_of_song: Path, words: str, expected: list[str]
) -> None:
    shutil.copy(lessons / "kit.npz", cli.folder)
    shutil.copytree(stems_of_song, cli.folder / "stems")
    line = f"nmfsep {words}"
    script = (
        'eval "$(nmfsep completion bash)"; '
        f"COMP_WORDS=({line}) COMP_CWORD={len(words.split())} COMPREPLY=(); _nmfsep_completion nmfsep; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    result = cli.shell(script)
    assert (result.code, result.err) == (0, "")
    assert [path for path in result.paths if path] == expected


def test_bash_is_asked_to_complete_files_and_folders(cli: Cli, song: Path) -> None:
    for words, kind in (
        ("split so", "file"),
        ("split -o so", "dir"),
        ("mix stems -o so", "file"),
        ("check so", "file"),
    ):
        asked = {"_NMFSEP_COMPLETE": "bash_complete", "COMP_WORDS": f"nmfsep {words}"}
        asked["COMP_CWORD"] = str(len(words.split()))
        assert cli(env=asked).out.decode() == f"{kind},so\n"


def test_stems_of_a_model_are_completed(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "3", "--fast", "--group", "low=1,2", "--save-model", "-q").code == 0
    words = "nmfsep render separated/song/song.nmf.npz --only "
    result = cli(env={"_NMFSEP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"})
    assert result.out.decode() == "plain,low\nplain,component-3\n"


def test_powershell_gets_a_script_and_answers(cli: Cli) -> None:
    script = cli("completion", "PowerShell").out.decode()
    assert "Register-ArgumentCompleter -Native -CommandName nmfsep" in script
    assert "$env:_NMFSEP_COMPLETE = " in script
    assert script.count("{") == script.count("}")
    for word, line in (("h", "nmfsep split --solver h"), ("", "nmfsep split --preset ")):
        asked = {"_NMFSEP_COMPLETE": "powershell_complete", "COMP_WORDS": line, "COMP_WORD": word}
        rows = [row.split("\t") for row in cli(env=asked).out.decode().splitlines()]
        assert {row[0] for row in rows} == {"plain"}
        assert [row[1] for row in rows] == (["hals"] if word else ["drums", "voice", "noise"])
        assert all(row[2] for row in rows)


def test_help_refers_to_pages_of_the_manual_that_there_are() -> None:
    group = click.Context(cli_group)
    texts = [cli_group.get_command(group, name).epilog or "" for name in COMMANDS]
    topics = {match for text in texts for match in re.findall(r"nmfsep manual (\S+)", text)}
    pages = {page.stem for page in (Path(nmfsep.__file__).parent / "manual").glob("*.md")}
    assert "split" in topics
    assert topics <= pages or not pages  # before there is a manual
