"""The same bytes wherever, whenever and however often nmfsep runs; and nothing but the output is touched."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from cli_harness import Cli, digests, files


@pytest.fixture(scope="module")
def reference(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the hashes of the stems of stereo.wav in a plain environment."""
    cli = Cli(tmp_path_factory.mktemp("reference"))
    return digests(cli("split", sounds / "stereo.wav", "-k", "3", "--float32").paths, cli.folder)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "LANG": "xx_YY.UTF-8", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TZ": "Asia/Tokyo"},
        {"COLUMNS": "1", "LINES": "1", "TERM": "dumb", "NO_COLOR": "1"},
        {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        {"HOME": None, "USER": None, "LOGNAME": None, "XDG_CACHE_HOME": None},
        {"HOME": "/nonexistent"},
    ],
    ids=lambda env: " ".join(f"{name}={value}" for name, value in env.items()) or "again",
)
def test_the_environment_changes_no_byte(
    cli: Cli, sounds: Path, reference: list[str], env: dict[str, str | None]
) -> None:
    result = cli("split", sounds / "stereo.wav", "-k", "3", "--float32", env=env)
    assert (result.code, result.err) == (0, "")
    assert digests(result.paths, cli.folder) == reference


@pytest.mark.parametrize("threads", ["1", "2"])
def test_threads_change_no_byte(cli: Cli, sounds: Path, reference: list[str], threads: str) -> None:
    result = cli("split", sounds / "stereo.wav", "-k", "3", "--float32", "--threads", threads)
    assert digests(result.paths, cli.folder) == reference


def test_threads_change_no_byte_of_a_longer_file(cli: Cli, sounds: Path) -> None:
    # long enough that the work really is divided
    runs = [
        digests(
            cli("split", sounds / "long.wav", "-k", "3", "--max-iter", "20", "--threads", n, "-o", n).paths, cli.folder
        )
        for n in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_a_later_run_writes_the_same_bytes(cli: Cli, sounds: Path, reference: list[str]) -> None:
    # libsndfile puts the time, in seconds, into float files
    time.sleep(1.1)
    result = cli("split", sounds / "stereo.wav", "-k", "3", "--float32")
    assert digests(result.paths, cli.folder) == reference


def test_company_changes_no_byte(cli: Cli, sounds: Path, reference: list[str]) -> None:
    result = cli("split", sounds / "song.wav", sounds / "stereo.wav", sounds / "square.wav", "-k", "3", "--float32")
    assert digests(result.paths[3:6], cli.folder) == reference


def test_the_working_folder_changes_no_byte(cli: Cli, sounds: Path, reference: list[str]) -> None:
    (cli.folder / "deep/er").mkdir(parents=True)
    result = cli("split", sounds / "stereo.wav", "-k", "3", "--float32", "-o", "../up", cwd=cli.folder / "deep/er")
    assert digests(result.paths, cli.folder / "deep/er") == reference


def own(err: str) -> list[str]:
    """Return the lines of nmfsep; the shell complains, too."""
    return [line for line in err.splitlines() if line.startswith("nmfsep: ")]


def test_a_deleted_working_folder_does_not_matter_to_absolute_names(cli: Cli, song: Path) -> None:
    script = 'here="$PWD"; mkdir gone; cd gone; rmdir ../gone; nmfsep split "$here/song.wav" -k 2 -o "$here/out"'
    result = cli.shell(script)
    assert (result.code, own(result.err), len(result.paths)) == (0, [], 2)


def test_a_deleted_working_folder_is_told_as_what_it_is(cli: Cli, song: Path) -> None:
    result = cli.shell('here="$PWD"; mkdir gone; cd gone; rmdir ../gone; nmfsep split "$here/song.wav" -k 2')
    assert result.code in (2, 3)
    (line,) = own(result.err)
    assert "standard output" not in line


def test_the_input_is_left_as_it_is(cli: Cli, song: Path) -> None:
    os.utime(song, ns=(10**18, 10**18))
    song.chmod(0o444)
    before = (digests([song], cli.folder), os.stat(song).st_mtime_ns, os.stat(song).st_mode)
    assert cli("split", "song.wav", "-k", "2", "--force").code == 0
    assert (digests([song], cli.folder), os.stat(song).st_mtime_ns, os.stat(song).st_mode) == before


def test_nothing_outside_the_output_folder_is_written(cli: Cli, sounds: Path) -> None:
    home = cli.folder / "home"
    home.mkdir()
    work = cli.folder / "work"
    work.mkdir()
    shutil.copy(sounds / "song.wav", work)
    assert cli("split", "song.wav", "-k", "2", "-o", "../out", cwd=work, env={"HOME": str(home)}).code == 0
    assert [name for name in files(cli.folder) if not name.startswith("out/")] == ["work/song.wav"]
    assert not list(home.iterdir())
    assert not list(cli.temp.iterdir())
