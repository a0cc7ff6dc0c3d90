"""Standard input and output, pipes, and what happens when they are closed or full."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import LENGTH, RATE, Cli, assert_add_up, digests, files, well_said, whole

SPLIT = ("split", "song.wav", "-k", "2")
SPEAKING = [
    pytest.param(("--help",), id="help"),
    pytest.param(("--version",), id="version"),
    pytest.param(("completion", "bash"), id="completion"),
    pytest.param(("check", "made"), id="check"),
    pytest.param(SPLIT, id="split"),
    pytest.param((*SPLIT, "--json"), id="split json"),
    pytest.param((*SPLIT, "-o", "-"), id="split audio"),
]


@pytest.fixture
def made(cli: Cli, song: Path, stems_of_song: Path) -> None:
    """Have stems of song.wav in the folder `made`."""
    shutil.copytree(stems_of_song, cli.folder / "made")


def test_a_pipe_in_and_out_gives_the_samples_of_the_file_route(cli: Cli, song: Path) -> None:
    route = cli(*SPLIT, "-o", "files")
    result = cli.shell("set -o pipefail; cat song.wav | nmfsep split - -k 2 --only component-1 -o - > out.wav")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert digests(["out.wav"], cli.folder) == digests(route.paths[:1], cli.folder)


def test_all_stems_on_stdout_are_side_by_side_in_one_file(cli: Cli, sounds: Path) -> None:
    route = cli("split", sounds / "stereo.wav", "-k", "3")
    result = cli("split", sounds / "stereo.wav", "-k", "3", "-o", "-")
    assert (result.code, result.err) == (0, "")
    info = sf.info(io.BytesIO(result.out))
    assert (info.channels, info.samplerate, info.subtype, info.frames) == (6, 22050, "PCM_24", LENGTH)
    streamed = sf.read(io.BytesIO(result.out), dtype="int32")[0]
    np.testing.assert_array_equal(streamed, np.hstack([whole(cli.folder / path) for path in route.paths]))


def test_stdin_makes_a_track_called_stdin(cli: Cli, song: Path) -> None:
    result = cli("split", "-", "-k", "2", stdin=song.read_bytes())
    assert result.paths == ["separated/stdin/component-1.wav", "separated/stdin/component-2.wav"]
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_a_wav_whose_header_was_written_before_its_length_was_known_is_read_to_its_end(cli: Cli, song: Path) -> None:
    # as ffmpeg writes to a pipe: both sizes are all ones
    raw = bytearray(song.read_bytes())
    place = raw.index(b"data") + 4
    raw[4:8] = raw[place : place + 4] = b"\xff" * 4
    result = cli("split", "-", "-k", "2", stdin=bytes(raw))
    assert (result.code, result.err) == (0, "")
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_a_named_pipe_is_an_input(cli: Cli, song: Path) -> None:
    pipe = cli.folder / "fifo.wav"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=lambda: pipe.write_bytes(song.read_bytes()))
    feeder.start()
    result = cli("split", "fifo.wav", "-k", "2")
    feeder.join()
    assert (result.code, result.err) == (0, "")
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_process_substitution_is_an_input(cli: Cli, song: Path) -> None:
    result = cli.shell("nmfsep split <(cat song.wav) -k 2")
    assert (result.code, result.err) == (0, "")
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_an_empty_pipe_is_an_error_that_names_standard_input(cli: Cli) -> None:
    result = cli("split", "-", "-k", "2", stdin=b"")
    assert (result.code, result.err) == (1, "nmfsep: standard input: no bytes came through\n")
    assert files(cli.folder) == []


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--max-memory", "10M"], 2, "may take 10 MB"),
        (["--subtype", "FLOATY"], 2, "cannot hold FLOATY"),
        (["--offset", "100"], 1, "before --offset 100"),
    ],
)
def test_standard_input_is_refused_before_its_end_by_what_is_wrong_with_it(
    cli: Cli, song: Path, options: list[str], code: int, says: str
) -> None:
    result = cli("split", "-", "-k", "2", *options, stdin=song.read_bytes())
    assert (result.code, result.out, result.err.count("\n")) == (code, b"", 1)
    assert result.err.startswith("nmfsep: standard input: ")
    assert says in result.err


def test_standard_input_is_left_alone_unless_asked_for(cli: Cli, song: Path) -> None:
    result = cli.shell("printf 'left\\nover\\n' | { nmfsep split song.wav -k 2 >/dev/null; cat; }")
    assert (result.code, result.out) == (0, b"left\nover\n")


@pytest.mark.parametrize("args", SPEAKING)
@pytest.mark.usefixtures("made")
def test_a_full_stdout_is_one_line_and_exit_3(cli: Cli, args: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        result = cli(*args, stdout=full)
    assert (result.code, result.err) == (3, "nmfsep: standard output: no space left on device\n")
    assert not list(cli.temp.iterdir())


@pytest.mark.parametrize("args", SPEAKING)
@pytest.mark.usefixtures("made")
def test_a_closed_stdout_is_one_line_and_exit_3(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli.shell(f"nmfsep {' '.join(args)} >&-")
    assert result.code == 3
    assert result.err == "nmfsep: standard output: bad file descriptor\n"


@pytest.mark.parametrize("args", SPEAKING)
@pytest.mark.usefixtures("made")
def test_a_reader_that_is_gone_ends_the_run_by_sigpipe(cli: Cli, args: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = cli(*args, stdout=writer)
    os.close(writer)
    assert result.code == -signal.SIGPIPE


@pytest.mark.parametrize("unbuffered", [None, "1"])
@pytest.mark.parametrize("args", [SPLIT, (*SPLIT, "-o", "-"), ("--help",)])
def test_a_reader_that_is_gone_is_no_reason_to_complain(
    cli: Cli, song: Path, args: tuple[str, ...], unbuffered: str | None
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = cli(*args, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    os.close(writer)
    assert "standard output" not in result.err
    assert not list(cli.temp.iterdir())


def test_a_reader_that_leaves_early_is_no_reason_to_complain(cli: Cli, sounds: Path) -> None:
    # more than a pipe holds, so that the writer is still at it
    process = cli.start("split", sounds / "long.wav", "-k", "2", "-o", "-", "--max-iter", "0")
    assert process.stdout.read(4) == b"RIFF"
    process.stdout.close()
    assert process.wait(60) != 0  # not all was written, so it was no success
    assert well_said(process.stderr.read()) == ""
    assert not list(cli.temp.iterdir())
    process.stderr.close()


def test_a_disk_that_fills_is_noticed_with_unbuffered_output_too(cli: Cli, song: Path) -> None:
    # PYTHONUNBUFFERED is set in most containers; only what is already in out.wav makes it too large
    (cli.folder / "out.wav").write_bytes(bytes(8 << 10))
    script = "ulimit -f 16; exec nmfsep split song.wav -k 2 --only component-1 -o - >> out.wav"
    result = cli.shell(script, env={"PYTHONUNBUFFERED": "1"})
    assert result.code == 3
    assert result.err == "nmfsep: standard output: file too large\n"


def test_a_closed_stderr_does_not_matter(cli: Cli, song: Path) -> None:
    result = cli.shell("nmfsep split song.wav -k 2 2>&-")
    assert (result.code, len(result.paths)) == (0, 2)


def test_a_closed_stdin_is_an_error_in_one_line(cli: Cli) -> None:
    result = cli.shell("nmfsep split - -k 2 <&-")
    assert result.code in (1, 2)
    assert result.err.startswith("nmfsep: standard input: ")


def test_a_closed_stdin_does_not_matter_where_it_is_not_read(cli: Cli, song: Path) -> None:
    result = cli.shell("nmfsep split song.wav -k 2 <&-")
    assert (result.code, len(result.paths)) == (0, 2)


def test_an_error_leaves_stdout_empty(cli: Cli, broken: Path) -> None:
    result = cli("split", "broken.wav", "-k", "2", "-o", "-")
    assert (result.code, result.out) == (1, b"")
    assert not list(cli.temp.iterdir())


def test_what_goes_to_stdout_can_be_split_again(cli: Cli, song: Path) -> None:
    script = (
        "set -o pipefail; nmfsep split song.wav -k 2 --only component-1 -o - | nmfsep split - -k 2 -o again"
        " && nmfsep check again"
    )
    result = cli.shell(script)
    assert result.code == 0
    assert sf.info(cli.folder / "again/stdin/component-1.wav").samplerate == RATE


def test_messages_and_results_do_not_mix(cli: Cli, sounds: Path) -> None:
    process = cli.start("split", sounds / "silence.wav", "-k", "2", "-v", stderr=subprocess.STDOUT)
    lines = process.communicate()[0].decode().splitlines()
    assert [line for line in lines if not line.startswith("nmfsep: ")] == [
        "separated/silence/component-1.wav",
        "separated/silence/component-2.wav",
    ]
