"""What was made from one input is not replaced by what is made from another."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import PATIENCE, RATE, Cli, digests, files

QUICK = ("--max-iter", "5", "--fast")


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two sounds of one name."""
    rng = np.random.default_rng(0)
    for folder in ("m", "t"):
        (tmp_path / folder).mkdir()
        sf.write(tmp_path / folder / "x.wav", 0.1 * rng.standard_normal(3000), RATE)
    sf.write(tmp_path / "m/x.flac", 0.1 * rng.standard_normal(3000), RATE)
    for folder in ("m", "t"):
        np.save(tmp_path / folder / "x.npy", rng.uniform(size=(6, 8)))
    np.savetxt(tmp_path / "m/x.csv", rng.uniform(size=(6, 8)), delimiter=",")
    return "m/x.wav", "t/x.wav"


SPLIT = ("split", "-k", "2", *QUICK)
COMMANDS = [
    (("split", "m/x.wav", "-k", "2", *QUICK), ("split", "t/x.wav", "-k", "2", *QUICK)),
    (("split", "m/x.wav", "-k", "2", *QUICK), ("split", "m/x.flac", "-k", "2", *QUICK)),
    (("split", "m/x.wav", "-k", "2", *QUICK), ("split", "t/x.wav", "-k", "2", *QUICK, "--skip-existing")),
    (("split", "m/x.wav", "-k", "2", *QUICK), ("split", "t/x.wav", "-k", "2", *QUICK, "-n")),
    (("factorize", "m/x.npy", "-k", "2"), ("factorize", "m/x.csv", "-k", "2")),
    (("factorize", "m/x.npy", "-k", "2"), ("factorize", "t/x.npy", "-k", "2")),
    (("split", "m/x.wav", "-k", "2", *QUICK), ("factorize", "m/x.npy", "-k", "2")),
    (("factorize", "m/x.npy", "-k", "2"), ("split", "m/x.wav", "-k", "2", *QUICK)),
]


@pytest.mark.parametrize(("first", "second"), COMMANDS)
def test_it_is_refused_before_work_unless_forced(
    cli: Cli, two: tuple[str, str], first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    one, again, other = cli.many((*first, "-o", "o"), (*first, "-o", "o"), (*second, "-o", "o"))
    assert (one.code, again.code) == (0, 0)
    assert (other.code, other.out) == (2, b"")
    assert f"nmfsep: {second[1]}: would replace the" in other.err
    assert f"of '{first[1]}' in 'o/x'; use another folder with -o" in other.err
    before = digests(one.paths, cli.folder)
    (forced,) = cli.many((*second, "-o", "o", "-f"))
    assert forced.code == 0
    if "-n" not in second:
        assert digests([path for path in one.paths if (cli.folder / path).exists()], cli.folder) != before


def test_sounds_of_templates_do_not_replace_stems_nor_those_of_another_sound(cli: Cli, two: tuple[str, str]) -> None:
    inspect = ("inspect", "-k", "2", "--max-iter", "5", "--audition")
    stems, over, first, again, other = cli.many(
        ("split", two[0], "-k", "2", *QUICK, "-o", "o"),
        (*inspect, "o", two[0]),
        (*inspect, "a", two[0]),
        (*inspect, "a", two[0]),
        (*inspect, "a", two[1]),
    )
    assert [result.code for result in (stems, over, first, again, other)] == [0, 2, 0, 0, 2]
    assert "would replace the stems of 'm/x.wav'" in over.err
    assert "would replace the sounds of templates of 'm/x.wav'" in other.err


def test_the_stems_of_a_moved_file_and_of_one_that_changed_are_replaced(cli: Cli, two: tuple[str, str]) -> None:
    cli.many((*SPLIT, two[0], "-o", "o"))
    shutil.move(cli.folder / "m", cli.folder / "moved")
    (moved,) = cli.many((*SPLIT, "moved/x.wav", "-o", "o"))
    shutil.copy(cli.folder / two[1], cli.folder / "moved/x.wav")
    (changed,) = cli.many((*SPLIT, "moved/x.wav", "-o", "o"))
    assert (moved.code, changed.code) == (0, 0)


def test_what_comes_through_a_pipe_is_known_by_its_bytes(cli: Cli, two: tuple[str, str]) -> None:
    sounds = [(cli.folder / path).read_bytes() for path in two]
    args = (*SPLIT, "-", "-o", "o")
    assert cli(*args, stdin=sounds[0]).code == 0
    assert cli(*args, stdin=sounds[0]).code == 0
    before = digests(files(cli.folder / "o"), cli.folder / "o")
    result = cli(*args, stdin=sounds[1])
    assert (result.code, result.out) == (2, b"")
    assert "standard input: would replace the stems of another input in 'o/stdin'" in result.err
    assert digests(files(cli.folder / "o"), cli.folder / "o") == before
    with open(cli.folder / two[0], "rb") as one, open(cli.folder / two[1], "rb") as other:
        args = (*SPLIT, "/dev/stdin", "-o", "d")
        assert [cli(*args, stdin=file.fileno()).code for file in (one, other)] == [0, 2]
    assert cli("factorize", "-", "-k", "2", "-o", "f", stdin=(cli.folder / "m/x.npy").read_bytes()).code == 0
    assert cli("factorize", "-", "-k", "2", "-o", "f", stdin=(cli.folder / "t/x.npy").read_bytes()).code == 2


def test_of_two_runs_at_once_one_is_refused_when_files_get_their_names(cli: Cli, two: tuple[str, str]) -> None:
    fifos = [cli.folder / name for name in ("m/p", "t/p")]  # both have checked the folder before a sound comes
    for fifo in fifos:
        subprocess.run(["mkfifo", fifo], check=True)
    args = ("-k", "2", *QUICK, "-o", "o", "--filename", "x/{stem}.{ext}")
    runs = [cli.start("split", fifo.relative_to(cli.folder), *args) for fifo in fifos]
    for fifo, sound in zip(fifos, two, strict=True):
        fifo.write_bytes((cli.folder / sound).read_bytes())
    ends = [(*run.communicate(timeout=PATIENCE), run.returncode) for run in runs]
    codes = [code for *_, code in ends]
    assert sorted(codes) in ([0, 1], [0, 2])
    refused = next(err for _, err, code in ends if code)
    assert b"would replace the stems of" in refused
    assert cli("check", "o").code == 0
