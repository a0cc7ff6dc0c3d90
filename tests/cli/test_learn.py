"""What learn writes, says and refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from cli_harness import PATIENCE, RATE, Cli, Result, assert_add_up, digests, files, until_busy, well_said

LEARN = ("learn", "kick=kick.wav", "snare=snares", "-k", "kick=3,snare=8")
ALL = ["beat.wav", "kick.wav", "kit.npz", "snares/one.wav", "snares/two.wav"]


def inspected(cli: Cli, path: str | Path) -> dict[str, Any]:
    """Return what inspect --json says of a dictionary."""
    result = cli("inspect", path, "--json")
    assert (result.code, result.err) == (0, "")
    return dict(json.loads(result.out))


def counts(document: dict[str, Any]) -> dict[str, list[int]]:
    return {entry["label"]: entry["templates"] for entry in document["labels"]}


def refused(result: Result, code: int = 2) -> str:
    """Assert that a run ended with that code and one line, and return the line."""
    assert (result.code, result.out) == (code, b"")
    assert result.err.count("\n") == 1
    return result.err


def test_writes_one_file_and_prints_its_path_only(cli: Cli, workshop: Path) -> None:
    result = cli(*LEARN, "-o", "new/deep/kit.npz")
    assert (result.code, result.paths, result.err) == (0, ["new/deep/kit.npz"], "")
    assert files(cli.folder) == sorted([*ALL, "new/deep/kit.npz"])
    assert stat.S_IMODE(os.stat(cli.folder / "new/deep/kit.npz").st_mode) == 0o644
    assert not list(cli.temp.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        LEARN,
        ("learn", "kick=", "kick.wav", "snare=snares/two.wav", "./snares/one.wav", "-k", "8,kick=3", "--threads", "1"),
        ("learn", "kick=[k]*.wav", "snare=copies", "-k", "kick=3,snare=8", "--threads", "3"),
    ],
    ids=" ".join,
)
def test_the_same_sounds_give_the_same_bytes(cli: Cli, workshop: Path, arguments: tuple[str, ...]) -> None:
    # whatever the order of the files, the threads, or the folder they lie in
    (cli.folder / "copies/more").mkdir(parents=True)
    shutil.copy(workshop / "snares/one.wav", workshop / "copies/more/one.wav")
    shutil.copy(workshop / "snares/two.wav", workshop / "copies/two.wav")
    result = cli(*arguments, "-o", "again.npz", env={"PYTHONHASHSEED": "5", "LC_ALL": "C"})
    assert result.code == 0
    assert digests(["again.npz"], cli.folder) == digests(["kit.npz"], cli.folder)


def test_appending_gives_the_bytes_of_learning_all_at_once(cli: Cli, workshop: Path) -> None:
    assert cli("learn", "kick=kick.wav", "-k", "3", "-o", "one.npz").code == 0
    result = cli("learn", "snare=snares", "-k", "8", "-o", "one.npz", "--append")
    assert (result.code, result.paths, result.err) == (0, ["one.npz"], "")
    assert digests(["one.npz"], cli.folder) == digests(["kit.npz"], cli.folder)


def test_what_was_learned_is_told_by_json_as_inspect_tells_it(cli: Cli, workshop: Path) -> None:
    result = cli(*LEARN, "-o", "new.npz", "--json", "-v")
    assert result.code == 0
    assert "nmfsep: snare: 8 and 8 templates of 2 files" in result.err
    document = json.loads(result.out)
    assert document == inspected(cli, "new.npz")
    assert counts(document) == {"kick": [3, 3], "snare": [8, 8]}
    assert document["labels"][1]["from"]["files"] == 2
    assert [entry["name"] for entry in document["labels"][0]["from"]["first"]] == ["kick.wav"]


def test_templates_are_as_many_as_asked_for(cli: Cli, workshop: Path) -> None:
    options = ["-k", "5,snare=2", "--exemplars", "--n-fft", "256", "--divergence", "frobenius"]
    cli("learn", "kick=kick.wav", "snare=snares", *options, "-o", "k.npz")
    document = inspected(cli, "k.npz")
    assert counts(document) == {"kick": [5], "snare": [2]}
    assert document["views"][0]["n_fft"] == 256
    assert document["divergence"] == "frobenius"


def test_options_come_from_variables_too(cli: Cli, workshop: Path) -> None:
    env = {"NMFSEP_COMPONENTS": "2", "NMFSEP_N_FFT": "128", "NMFSEP_DIVERGENCE": "is"}
    assert cli("learn", "kick=kick.wav", "-o", "k.npz", env=dict(env)).code == 0
    document = inspected(cli, "k.npz")
    assert counts(document) == {"kick": [2]}
    assert document["views"] == [{"n_fft": 128, "hop_length": 32, "window": "hann", "templates": 2}]
    assert document["divergence"] == "is"


def test_other_rates_and_channels_are_converted_and_said(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "kick.wav")
    sf.write(workshop / "fast.wav", np.c_[samples, samples], 2 * RATE, "PCM_24")
    arguments = ("learn", "kick=kick.wav", "fast.wav", "snare=snares", "-k", "2", "-o", "k.npz")
    result = cli(*arguments)
    said = "1 of 4 files converted to 8000 Hz, 1 of 4 files mixed down to one channel"
    assert (result.code, result.err) == (0, f"nmfsep: {said}\n")
    document = inspected(cli, "k.npz")
    assert document["sample_rate"] == RATE
    assert document["labels"][0]["from"]["sample_rates"] == [RATE, 2 * RATE]
    assert cli(*arguments, "-q").err == ""
    result = cli(*arguments, "--sample-rate", "16000")
    assert "3 of 4 files converted to 16000 Hz" in result.err
    assert inspected(cli, "k.npz")["sample_rate"] == 16000


def test_a_cut_file_is_learned_from_with_a_warning(cli: Cli, workshop: Path) -> None:
    with open(workshop / "kick.wav", "r+b") as file:
        file.truncate(8000)
    result = cli(*LEARN, "-o", "new.npz")
    assert (result.code, result.paths) == (0, ["new.npz"])
    assert result.err.startswith("nmfsep: kick.wav: warning: the header promises 12000 bytes of samples")


USAGE = [
    (["kick.wav"], "nmfsep: 'kick.wav' has no label; write NAME=kick.wav\n"),
    (["kick=missing.wav"], "nmfsep: missing.wav: no such file\n"),
    (["kick=no*.wav"], "matches no file"),
    (["..=kick.wav"], "'..' cannot be the name of a stem"),
    (["kick=kick.wav", "-k", "lwo=3"], "-k names 'lwo', which is not learned; choose from kick"),
    (["kick=kick.wav", "-k", "1_000"], "not auto, a number, or such as"),
    (["kick=kick.wav", "--n-fft", "256", "--hop-length", "200"], "hop_length 200"),
    (["rest=silence.wav"], "'rest' holds nothing but silence; leave it out"),
    ([], "Missing argument"),
]


@pytest.mark.parametrize(("arguments", "says"), USAGE, ids=[" ".join(arguments)[:40] for arguments, _ in USAGE])
def test_usage_errors_exit_2_in_one_line_and_write_nothing(
    cli: Cli, workshop: Path, sounds: Path, arguments: list[str], says: str
) -> None:
    shutil.copy(sounds / "silence.wav", workshop)
    before = files(cli.folder)
    assert says in refused(cli("learn", *arguments, "-o", "new.npz"))
    assert files(cli.folder) == before


def test_the_output_must_be_named(cli: Cli, workshop: Path) -> None:
    assert "'-o'" in refused(cli(*LEARN))


@pytest.mark.parametrize("name", ["broken.wav", "nan.wav", "text.wav"])
def test_a_file_that_is_no_sound_exits_1_by_name(cli: Cli, workshop: Path, sounds: Path, name: str) -> None:
    shutil.copy(sounds / "broken.wav", workshop)
    sf.write(workshop / "nan.wav", np.r_[np.ones(99), np.nan], RATE, "FLOAT")
    (workshop / "text.wav").write_text("This is no audio")
    assert refused(cli("learn", "kick=kick.wav", name, "-o", "new.npz"), 1).startswith(f"nmfsep: {name}: ")
    assert not (workshop / "new.npz").exists()


def test_a_dictionary_in_place_is_replaced_and_nothing_else_without_force(cli: Cli, workshop: Path) -> None:
    before = digests(["kit.npz"], workshop)
    assert cli("learn", "kick=kick.wav", "-k", "2", "-o", "kit.npz").code == 0
    assert digests(["kit.npz"], workshop) != before
    (workshop / "mine.npz").write_text("precious")
    says = refused(cli("learn", "kick=kick.wav", "-k", "2", "-o", "mine.npz"))
    assert says == "nmfsep: mine.npz: exists and is no dictionary; use --force to replace it, or another name with -o\n"
    assert (workshop / "mine.npz").read_text() == "precious"
    assert cli("learn", "kick=kick.wav", "-k", "2", "-o", "mine.npz", "--force").code == 0
    assert counts(inspected(cli, "mine.npz")) == {"kick": [2, 2]}


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_a_sound_is_never_overwritten_by_whatever_name(cli: Cli, workshop: Path, link: Any) -> None:
    target = "kick.wav"
    if link is not None:
        target = "other.npz"
        link(workshop / "kick.wav", workshop / target)
    before = digests(["kick.wav"], workshop)
    assert "is an input and would be overwritten" in refused(cli(*LEARN, "-o", target, "--force"))
    assert digests(["kick.wav"], workshop) == before


@pytest.mark.parametrize(
    ("target", "says"), [("snares", "is a folder"), ("pipe", "is no regular file"), ("kick.wav/k.npz", "written to")]
)
def test_what_is_no_place_for_a_file_is_refused_even_by_force(cli: Cli, workshop: Path, target: str, says: str) -> None:
    os.mkfifo(workshop / "pipe")
    assert says in refused(cli(*LEARN, "-o", target, "--force"))
    assert stat.S_ISFIFO(os.stat(workshop / "pipe").st_mode)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["kick=snares"], "kit.npz: has label 'kick' already; use another name"),
        (["hat=snares", "-o", "missing.npz"], "missing.npz: no such file or directory; check the name"),
        (["hat=snares", "-o", "beat.wav"], "beat.wav: is not a container of arrays"),
        (["hat=snares", "--sample-rate", "16000"], "the dictionary has 8000, not --sample-rate 16000; leave out"),
    ],
)
def test_what_cannot_be_appended_is_refused_and_the_dictionary_left(
    cli: Cli, workshop: Path, arguments: list[str], says: str
) -> None:
    before = digests(ALL, workshop)
    assert says in refused(cli("learn", "-o", "kit.npz", "--append", "-k", "2", *arguments))
    assert digests(ALL, workshop) == before
    assert files(cli.folder) == ALL


def test_appended_sounds_are_converted_to_what_the_dictionary_has(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "kick.wav")
    sf.write(workshop / "tom.wav", samples, 2 * RATE, "PCM_16")
    before = inspected(cli, "kit.npz")
    result = cli("learn", "tom=tom.wav", "-k", "4", "-o", "kit.npz", "--append")
    assert result.err == "nmfsep: 1 of 1 files converted to 8000 Hz\n"
    after = inspected(cli, "kit.npz")
    assert counts(after) == counts(before) | {"tom": [4, 4]}
    assert after["labels"][:2] == before["labels"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("options", [[], ["--append"]])
def test_a_folder_without_permission_is_found_before_work(cli: Cli, workshop: Path, options: list[str]) -> None:
    workshop.chmod(0o555)
    try:
        assert "cannot be written to" in refused(cli("learn", "hat=snares", "-o", "kit.npz", *options))
    finally:
        workshop.chmod(0o755)


def test_a_file_that_cannot_grow_is_told_with_exit_3_and_the_old_one_stays(cli: Cli, workshop: Path) -> None:
    before = digests(ALL, workshop)
    result = cli.shell(f"ulimit -f 1; exec nmfsep {' '.join(LEARN)} -o kit.npz")
    assert refused(result, 3) == "nmfsep: kit.npz: cannot be written: file too large\n"
    assert digests(ALL, workshop) == before
    assert files(cli.folder) == ALL


def test_a_signal_ends_it_and_leaves_the_old_one(cli: Cli, workshop: Path) -> None:
    number = signal.SIGTERM
    before = digests(ALL, workshop)
    process = cli.start(*LEARN, "-o", "kit.npz", "--max-iter", "10000000", "--tol", "0", start_new_session=True)
    until_busy(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, well_said(err)) == (-number, b"", "")
    assert digests(ALL, workshop) == before
    assert files(cli.folder) == ALL


@pytest.mark.parametrize(("mode", "before"), [("kill", False), ("kill", True), ("fail", True)])
def test_whatever_goes_wrong_when_there_is_a_whole_dictionary_or_none(
    cli: Cli, workshop: Path, before: bool, mode: str
) -> None:
    last = 12  # more events than there are
    for turn in range(1, last + 1):
        (workshop / str(turn) / "wreck").mkdir(parents=True)
        if before:
            shutil.copy(workshop / "kit.npz", workshop / str(turn) / "wreck/kit.npz")
    arguments = ["learn", "kick=../kick.wav", "-k", "2", "--n-fft", "256", "-o", "wreck/kit.npz"]
    command = [sys.executable, Path(__file__).with_name("sabotage.py"), mode, "1", str(last), "wreck", *arguments]
    driver = subprocess.run(command, cwd=workshop, env=cli.env(), capture_output=True, check=True)
    struck, old = 0, digests(["kit.npz"], workshop)
    complete = digests([f"{last}/wreck/kit.npz"], workshop)
    for turn, code in zip(range(1, last + 1), map(int, driver.stdout.split()), strict=True):
        folder = workshop / str(turn)
        well_said((folder / "stderr").read_bytes())
        left = files(folder / "wreck")
        if (folder / "struck").exists():
            struck += 1
            assert code == -signal.SIGKILL if mode == "kill" else code in (0, 2, 3)
        else:
            assert code == 0
        if "kit.npz" in left:
            assert digests(["kit.npz"], folder / "wreck")[0] in (*complete, *(old if before else ()))
        else:
            assert not before
        assert (code == 0) <= ("kit.npz" in left)
        if mode == "fail":
            assert set(left) <= {"kit.npz"}
    assert 2 < struck < last


def test_sounds_are_left_as_they_are(cli: Cli, workshop: Path) -> None:
    for path in (workshop / "kick.wav", workshop / "snares/one.wav"):
        os.utime(path, ns=(10**18, 10**18))
        path.chmod(0o444)
    before = digests(ALL, workshop), os.stat(workshop / "kick.wav").st_mtime_ns
    assert cli(*LEARN, "-o", "new.npz", "--force").code == 0
    assert (digests(ALL, workshop), os.stat(workshop / "kick.wav").st_mtime_ns) == before


def test_odd_labels_go_all_the_way_to_stems(cli: Cli, workshop: Path) -> None:
    odd = [b"a b", b"\xff", b"a\nb", "鼓".encode() * 60, b"-k", b"{stem}", b"...", b"con", b"~", b"*", b"\x1b[31m"]
    arguments = [label + b"=kick.wav" for label in odd]
    learned = cli("learn", "-k", "2", "--n-fft", "256", "-v", "-o", "odd.npz", "--", *arguments)
    assert (learned.code, learned.err.count("\n")) == (0, len(odd))
    names = [os.fsdecode(label) for label in odd]
    assert list(counts(inspected(cli, "odd.npz"))) == names
    done = cli("split", "beat.wav", "-m", "odd.npz")
    assert done.code == 0
    assert done.out == b"".join(b"separated/beat/" + label + b".wav\n" for label in odd)
    assert_add_up([workshop / "separated/beat" / f"{name}.wav" for name in names], workshop / "beat.wav")
    assert cli("check", "separated").code == 0


def test_a_shells_own_pattern_needs_no_quotes(cli: Cli, workshop: Path) -> None:
    result = cli.shell("nmfsep learn kick= k*.wav snare= snares/*.wav -k kick=3,snare=8 -o new.npz")
    assert (result.code, result.err) == (0, "")
    assert digests(["new.npz"], workshop) == digests(["kit.npz"], workshop)
