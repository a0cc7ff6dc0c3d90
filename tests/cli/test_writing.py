"""Faults while writing: a full disk, a read-only folder, every single change of a name."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile as sf
from cli_harness import LENGTH, Cli, Result, files, well_said

pytestmark = pytest.mark.faults

STEMS = ["song/component-1.wav", "song/component-2.wav"]
MANIFEST = "song/song.nmfsep.json"
OURS = [*STEMS, "song/song.nmf.npz"]
SPLIT = ("split", "song.wav", "-k", "2", "-o", "wreck", "--save-model")
MOST = 33  # events of a run, of which there are 25


@dataclass(frozen=True)
class Wreck:
    """What a run struck at one event left, and the folder it ran in."""

    cli: Cli
    result: Result
    left: list[str]

    def again(self) -> Result:
        """Run once more, undisturbed."""
        return self.cli(*SPLIT)

    def now(self) -> list[str]:
        """Return what is there now."""
        return files(self.cli.folder / "wreck")


def strike(folder: Path, song: Path, mode: str, first: int, last: int, stems: Path | None = None) -> list[Wreck]:
    """Run split once for each number, struck at the event of that number in its output folder.

    `stems` are those of an earlier run to put in place. Runs that end before they are struck do not count.
    """
    for when in range(first, last + 1):
        (folder / str(when)).mkdir()
        shutil.copy(song, folder / str(when))
        if stems is not None:
            shutil.copytree(stems, folder / str(when) / "wreck")
    command = [sys.executable, Path(__file__).with_name("sabotage.py"), mode, str(first), str(last), "wreck", *SPLIT]
    driver = subprocess.run(command, cwd=folder, env=Cli(folder).env(), capture_output=True, check=True)
    wrecks = []
    for when, code in zip(range(first, last + 1), driver.stdout.split(), strict=True):
        ran = folder / str(when)
        result = Result(int(code), (ran / "stdout").read_bytes(), well_said((ran / "stderr").read_bytes()))
        left = files(ran / "wreck")
        if (ran / "struck").exists():
            wrecks.append(Wreck(Cli(ran), result, left))
        else:
            assert (result.code, left) == (0, [*OURS, MANIFEST])
    return wrecks


@pytest.fixture(scope="module")
def killed(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Wreck]:
    """Return what kill -9 before each event leaves."""
    found = strike(tmp_path_factory.mktemp("killed"), sounds / "song.wav", "kill", 1, MOST)
    assert 5 < len(found) < MOST
    assert {wreck.result.code for wreck in found} == {-signal.SIGKILL}
    return found


@pytest.fixture(scope="module")
def failed(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Wreck]:
    """Return what an input/output error at each event leaves."""
    found = strike(tmp_path_factory.mktemp("failed"), sounds / "song.wav", "fail", 1, MOST)
    assert 5 < len(found) < MOST
    return found


def test_kill_9_before_any_change_of_a_name_leaves_complete_stems_only(killed: list[Wreck]) -> None:
    assert any(STEMS[0] in wreck.left for wreck in killed)
    for wreck in killed:
        for stem in set(wreck.left) & set(STEMS):
            assert len(sf.read(wreck.cli.folder / "wreck" / stem)[0]) == LENGTH
        if MANIFEST in wreck.left:  # until all are there it says that they are not
            complete = json.loads((wreck.cli.folder / "wreck" / MANIFEST).read_text())["complete"]
            assert complete <= (set(OURS) <= set(wreck.left))


def test_kill_9_before_any_change_of_a_name_leaves_no_litter(killed: list[Wreck]) -> None:
    litter = [set(wreck.left) - {*OURS, MANIFEST} for wreck in killed]
    # while the manifest takes the place of the note it has another name; the next run takes that away
    assert sum(map(len, litter)) <= 1
    for wreck in killed:
        wreck.again()
        assert wreck.now() == [*OURS, MANIFEST]


def test_the_run_after_a_kill_works(killed: list[Wreck]) -> None:
    assert [wreck.left for wreck in killed if wreck.left and wreck.again().code != 0] == []


def test_a_failing_change_of_a_name_exits_3_unless_it_did_not_matter(failed: list[Wreck]) -> None:
    for wreck in failed:
        if wreck.left == [*OURS, MANIFEST]:
            assert wreck.result.code == 0
        else:
            assert (wreck.result.code, wreck.result.out) == (3, b""), wreck
            assert wreck.result.err.startswith("nmfsep: wreck"), wreck
            assert "input/output error" in wreck.result.err, wreck


def test_a_failing_change_of_a_name_leaves_all_or_nothing(failed: list[Wreck]) -> None:
    assert [wreck for wreck in failed if wreck.left not in ([], [*OURS, MANIFEST])] == []


def test_the_run_after_a_rerun_that_failed_works(cli: Cli, song: Path, stems_of_song: Path) -> None:
    (wreck,) = strike(cli.folder, song, "rename", 2, 2, stems_of_song)
    assert wreck.result.code == 3
    assert wreck.again().code == 0


@pytest.mark.smoke
def test_a_failing_fsync_is_told_with_exit_3_and_leaves_nothing(cli: Cli, song: Path) -> None:
    wrecks = strike(cli.folder, song, "fsync", 1, 6)  # four files, the folder, and the folder again
    assert [wreck.result.code for wreck in wrecks] == [3] * 6
    assert ["input/output error" in wreck.result.err for wreck in wrecks] == [True] * 6
    assert [wreck.left for wreck in wrecks] == [[]] * 6


@pytest.mark.parametrize("options", [[], ["--flac"], ["--float32"]])
def test_a_file_that_cannot_grow_is_told_with_exit_3_and_leaves_nothing(
    cli: Cli, song: Path, options: list[str]
) -> None:
    result = cli.shell(f"ulimit -f 1; exec nmfsep split song.wav -k 2 {' '.join(options)}")
    assert (result.code, result.out) == (3, b"")
    assert result.err.startswith("nmfsep: separated/song/component-")
    assert result.err.endswith("cannot be written: file too large\n")
    assert files(cli.folder) == ["song.wav"]


def test_a_model_that_cannot_grow_is_told_with_exit_3_and_leaves_nothing(cli: Cli, song: Path) -> None:
    result = cli.shell("ulimit -f 14; exec nmfsep split song.wav -k 2 --n-fft 4096 --save-model")  # stems take 12
    assert (result.code, result.out) == (3, b"")
    assert result.err == "nmfsep: separated/song/song.nmf.npz: cannot be written: file too large\n"
    assert files(cli.folder) == ["song.wav"]


def test_a_batch_that_meets_a_write_error_exits_3(cli: Cli, song: Path, broken: Path) -> None:
    result = cli.shell("ulimit -f 1; exec nmfsep split broken.wav song.wav -k 2")
    assert result.code == 3  # the worse of 1 and 3
    assert result.err.splitlines()[-1] == "nmfsep: 0 of 2 inputs done, 2 failed"


@pytest.fixture(scope="module")
def namespace() -> list[str]:
    """Return the command that gives a process mounts of its own."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        probe = [*command, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
        if shutil.which("unshare") and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("file systems cannot be mounted here")


def on_tmpfs(cli: Cli, namespace: list[str], options: str, command: str) -> Result:
    """Run a command with a file system mounted at `disk`, then list that to `listing`."""
    (cli.folder / "disk").mkdir()
    inner = (
        f"mount -t tmpfs -o {options} tmpfs disk && {{ {command}; code=$?; find disk -type f >listing; exit $code; }}"
    )
    return cli.shell(f"exec {' '.join(namespace)} sh -c '{inner}'")


@pytest.mark.parametrize(
    ("size", "options"),
    [
        pytest.param("8k", "", id="known beforehand"),
        pytest.param("20k", "--duration 0.51075", id="in the last block of the second stem"),
        pytest.param("24k", "", id="in the manifest"),
    ],
)
def test_a_full_disk_is_told_with_exit_3_and_leaves_nothing(
    cli: Cli, song: Path, namespace: list[str], size: str, options: str
) -> None:
    # the file system counts in pages of 4 KiB
    result = on_tmpfs(cli, namespace, f"size={size}", f"nmfsep split song.wav -k 2 -o disk {options}")
    assert (result.code, result.out) == (3, b"")
    assert result.err.startswith("nmfsep: disk")
    assert "no space left on device" in result.err
    assert (cli.folder / "listing").read_text() == ""


def test_a_read_only_folder_is_found_before_work(cli: Cli, song: Path, namespace: list[str]) -> None:
    result = on_tmpfs(cli, namespace, "ro", "nmfsep split song.wav -k 2 -o disk")
    assert (result.code, result.out) == (2, b"")
    assert result.err == "nmfsep: disk/song: cannot be written to; choose another folder with -o\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_found_before_work(cli: Cli, song: Path) -> None:
    (cli.folder / "out").mkdir(mode=0o555)
    result = cli("split", "song.wav", "-k", "2", "-o", "out")
    assert (result.code, result.out) == (2, b"")
    assert "cannot be written to" in result.err


@pytest.mark.parametrize(("umask", "mode"), [("022", 0o644), ("077", 0o600)])
def test_files_have_the_permissions_that_the_umask_leaves(cli: Cli, song: Path, umask: str, mode: int) -> None:
    result = cli.shell(f"umask {umask}; nmfsep split song.wav -k 2")
    modes = {stat.S_IMODE(os.stat(cli.folder / path).st_mode) for path in result.paths}
    assert modes == {mode}


def test_a_link_in_the_place_of_a_stem_is_not_followed(cli: Cli, song: Path) -> None:
    (cli.folder / "elsewhere").write_text("precious")
    (cli.folder / "out/song").mkdir(parents=True)
    for target in ("elsewhere", "missing"):
        link = cli.folder / "out/song/component-1.wav"
        link.unlink(missing_ok=True)
        link.symlink_to(cli.folder / target)
        assert cli("split", "song.wav", "-k", "2", "-o", "out").code == 2
    assert cli("split", "song.wav", "-k", "2", "-o", "out", "--force").code == 0
    assert (cli.folder / "elsewhere").read_text() == "precious"
    assert not (cli.folder / "missing").exists()
    assert not (cli.folder / "out/song/component-1.wav").is_symlink()
