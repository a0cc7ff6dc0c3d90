"""The exit code says what happened, and a refused run leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile as sf
from cli_harness import ROOT, Cli, digests, files


def test_one_broken_input_fails_alone(cli: Cli, song: Path, broken: Path) -> None:
    shutil.copy(song, cli.folder / "third.wav")
    result = cli("split", "song.wav", "broken.wav", "third.wav", "-k", "2")
    assert result.code == 1
    assert [path.split("/")[1] for path in result.paths] == ["song", "song", "third", "third"]
    failure, summary = result.err.splitlines()
    assert failure.startswith("nmfsep: broken.wav: ")
    assert summary == "nmfsep: 2 of 3 inputs done, 1 failed"
    assert not [name for name in files(cli.folder / "separated") if "broken" in name]


def test_a_failure_is_in_the_json_too(cli: Cli, song: Path, broken: Path) -> None:
    result = cli("split", "broken.wav", "song.wav", "-k", "2", "--json")
    assert result.code == 1
    assert [(each["path"], each["status"]) for each in result.documents] == [
        ("broken.wav", "failed"),
        ("song.wav", "done"),
    ]
    assert [track["input"]["path"] for track in result.joined("tracks")] == ["song.wav"]
    (error,) = result.joined("errors")
    assert (error["path"], error["exit"]) == ("broken.wav", 1)
    assert error["message"] in result.err


def test_fail_fast_stops_at_the_first_failure(cli: Cli, song: Path, broken: Path) -> None:
    result = cli("split", "broken.wav", "song.wav", "-k", "2", "--fail-fast")
    assert (result.code, result.out) == (1, b"")
    assert files(cli.folder) == ["broken.wav", "song.wav"]


USAGE = [
    (["--compnents", "3"], "--components"),
    (["-k"], "requires an argument"),
    (["-k", "0"], "at least 1"),
    (["-k", "-1"], "whole number"),
    (["-k", "nan"], "whole number"),
    (["-k", "1_000"], "whole number"),
    (["-k", "\uff14"], "whole number"),
    (["-k", "1" + "0" * 20], "at most"),
    (["--divergence", "nan"], "unknown"),
    (["--divergence", "frobenus"], "did you mean 'frobenius'?"),
    (["--solver", "hal"], "did you mean 'hals'?"),
    (["--start", "nndsdv"], "did you mean 'nndsvd'?"),
    (["--mask", "ratoi"], "did you mean 'ratio'?"),
    (["--window", "han"], "did you mean 'hann'?"),
    (["--channels", "join"], "did you mean 'joint'?"),
    (["--format", "flacc"], "did you mean 'flac'?"),
    (["--subtype", "PCM24"], "PCM_24"),
    (["--clip-mode", "clam"], "did you mean 'clamp'?"),
    (["--only", "componet-2"], "did you mean 'component-2'?"),
    (["--filename", "{trak}/{stem}"], "did you mean 'track'?"),
    (["--filename", "{track}.{ext}"], "{stem}"),
    (["--filename", "../{stem}.{ext}"], "leads out"),
    (["--filename", "/tmp/{stem}.{ext}"], "leads out"),
    (["--filename", "{stem.__class__}"], "no field"),
    (["--filename", "{stem}}"], "brace"),
    (["--tol", "inf"], "finite"),
    (["--mask-power", "nan"], "finite"),
    (["--max-iter", "1e3"], "whole number"),
    (["--n-fft", "1023"], "even"),
    (["--hop-length", "2000"], "half"),
    (["--seed", "-1"], "whole number"),
    (["--offset", "-1"], "time"),
    (["--duration", "0"], "nothing"),
    (["--max-memory", "5X"], "800M"),
    (["--max-memory", "1M"], "memory"),
    (["--residual=component-1"], "another stem"),
    (["--flac", "--format", "wav"], "contradict"),
    (["--int24", "--subtype", "FLOAT"], "contradict"),
    (["--flac", "--float32"], "flac cannot hold FLOAT"),
    (["-o", "-", "--flac"], "WAV"),
    (["-o", "-", "--json"], "standard output"),
    (["-o", "song.wav"], "cannot be written to"),
    (["-", "-"], "standard input"),
    (["song.wav"], "is given twice"),
    (["./song.wav"], "is given twice"),
]


@pytest.mark.parametrize(("options", "fragment"), USAGE, ids=[" ".join(options) for options, _ in USAGE])
def test_usage_errors_exit_2_in_one_line_before_any_work(
    cli: Cli, song: Path, options: list[str], fragment: str
) -> None:
    default = [] if "-k" in options else ["-k", "2"]
    result = cli("split", "song.wav", *default, *options)
    assert (result.code, result.out) == (2, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err
    assert files(cli.folder) == ["song.wav"]


@pytest.mark.parametrize(
    ("args", "fragment"),
    [
        (["spilt"], "did you mean 'split'?"),
        (["split"], "Missing argument 'INPUT...'"),
        (["--verison"], "--version"),
        (["completion", "bsh"], "did you mean 'bash'?"),
        (["check", "missing"], "missing: no such file or directory"),
    ],
)
def test_mistyped_commands_exit_2_and_name_the_nearest(cli: Cli, song: Path, args: list[str], fragment: str) -> None:
    result = cli(*args)
    assert (result.code, result.out) == (2, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err


def test_the_number_of_components_must_be_given_as_the_help_says(cli: Cli, song: Path) -> None:
    assert "Give -k, or what names the stems" in " ".join(cli("split", "--help").out.decode().split())
    result = cli("split", "song.wav")
    assert (result.code, result.out) == (2, b"")
    assert "give -k 4, -k auto, --preset, or a dictionary with -m" in result.err
    assert files(cli.folder) == ["song.wav"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NMFSEP_COMPONENTS", "1_000"),
        ("NMFSEP_COMPONENTS", "four"),
        ("NMFSEP_DIVERGENCE", "kk"),
        ("NMFSEP_TOL", "nan"),
        ("NMFSEP_FORCE", "maybe"),
        ("NMFSEP_MAX_MEMORY", "much"),
        ("NMFSEP_DURATION", "0"),
    ],
)
def test_a_bad_value_of_a_variable_exits_2(cli: Cli, song: Path, variable: str, value: str) -> None:
    options = [] if variable == "NMFSEP_COMPONENTS" else ["-k", "2"]
    result = cli("split", "song.wav", *options, env={variable: value})
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert files(cli.folder) == ["song.wav"]


def test_where_no_input_exists_all_are_named_and_the_code_is_2(cli: Cli) -> None:
    result = cli("split", "missing.wav", "gone/x.wav", "-k", "2")
    assert (result.code, result.out) == (2, b"")
    assert result.err.splitlines() == [
        "nmfsep: missing.wav: no such file or directory; check the name",
        "nmfsep: gone/x.wav: no such file or directory; check the name",
    ]
    assert files(cli.folder) == []


def test_too_little_memory_for_one_input_is_told_of_that_alone(cli: Cli, song: Path, sounds: Path) -> None:
    # 60 s need some 6 MB more than 0.75 s; the limit lies between
    def need(path: Path) -> int:
        return int(json.loads(cli("split", path, *whole, "-n", "--json").out)["tracks"][0]["memory"])

    whole = ("-k", "2", "--threads", "1", "--model", "kmeans")  # which cannot be done a part at a time

    limit = str((need(song) + need(sounds / "long.wav")) // 2)
    result = cli("split", song, sounds / "long.wav", *whole, "--max-memory", limit)
    assert (result.code, len(result.paths)) == (1, 2)
    assert "'long' cannot stay on disk and needs about" in result.err


@pytest.mark.parametrize("names", [("a/x.wav", "b/x.wav"), ("x.wav", "x.flac"), ("X.wav", "x.wav")])
def test_colliding_names_are_found_before_work(cli: Cli, sounds: Path, names: tuple[str, str]) -> None:
    samples, rate = sf.read(sounds / "song.wav")
    for name in names:
        (cli.folder / name).parent.mkdir(exist_ok=True)
        sf.write(cli.folder / name, samples, rate)
    result = cli("split", *names, "-k", "2")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "{parent}" in result.err
    assert files(cli.folder) == sorted(names)


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_input_is_never_overwritten_by_whatever_name(cli: Cli, song: Path, link: object, force: list[str]) -> None:
    target = cli.folder / "out" / "component-2.wav"
    target.parent.mkdir()
    name = "song.wav"
    if link is None:
        name = str(shutil.move(song, target))
    else:
        link(song, target)  # type: ignore[operator]
    before = digests([name], cli.folder)
    result = cli("split", name, "-k", "2", "-o", "out", "--filename", "{stem}.{ext}", *force)
    assert (result.code, result.out) == (2, b"")
    assert "is an input and would be overwritten" in result.err
    assert digests([name], cli.folder) == before
    assert files(cli.folder / "out") == ["component-2.wav"]


@pytest.mark.parametrize("flags", [[], ["-n"]])
def test_a_file_of_another_program_is_refused(cli: Cli, song: Path, flags: list[str]) -> None:
    foreign = cli.folder / "separated/song/component-2.wav"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    result = cli("split", "song.wav", "-k", "2", *flags)
    assert result.code == 2
    assert "component-2.wav: exists and was not written by nmfsep" in result.err
    assert "--force" in result.err
    assert foreign.read_text() == "mine"
    assert files(cli.folder / "separated") == ["song/component-2.wav"]


def test_a_folder_in_place_of_a_stem_is_refused_even_by_force(cli: Cli, song: Path) -> None:
    (cli.folder / "separated/song/component-1.wav").mkdir(parents=True)
    assert cli("split", "song.wav", "-k", "2", "--force").code == 2
    assert files(cli.folder) == ["song.wav"]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("OSError(5, 'Input/output error', 'song.wav')", 1, "nmfsep: song.wav: input/output error\n"),
        ("OSError(28, 'No space left on device')", 3, "nmfsep: standard output: no space left on device\n"),
        ("MemoryError()", 1, "nmfsep: memory does not suffice; use --max-memory, or a shorter input\n"),
    ],
)
def test_what_the_system_cannot_do_is_no_bug(error: str, code: int, says: str) -> None:
    script = f"import nmfsep.cli.main as m\ndef fail(context): raise {error}\nm.cli.invoke = fail\nm.main()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script, "check", "x"], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (code, says)
