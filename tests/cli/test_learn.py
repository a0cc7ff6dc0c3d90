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


def test_the_same_sounds_give_the_same_bytes(cli: Cli, workshop: Path) -> None:
    # whatever the order of the files, the threads, or the folder they lie in; at once or one label after the other
    (cli.folder / "copies/more").mkdir(parents=True)
    shutil.copy(workshop / "snares/one.wav", workshop / "copies/more/one.wav")
    shutil.copy(workshop / "snares/two.wav", workshop / "copies/two.wav")
    again = cli(*LEARN, "-o", "0.npz", env={"PYTHONHASHSEED": "5", "LC_ALL": "C", "TZ": "Asia/Tokyo"})
    swapped = ("kick=", "kick.wav", "snare=snares/two.wav", "./snares/one.wav")
    results = cli.many(
        ("learn", *swapped, "-k", "8,kick=3", "--threads", "1", "-o", "1.npz"),
        ("learn", "kick=[k]*.wav", "snare=copies", "-k", "kick=3,snare=8", "--threads", "3", "-o", "2.npz"),
        ("learn", "kick=kick.wav", "-k", "3", "-o", "3.npz"),
        ("learn", "snare=snares", "-k", "8", "-o", "3.npz", "--append"),
    )
    assert [result.err for result in (again, *results)] == [""] * 5
    found = digests([f"{number}.npz" for number in range(4)], workshop)
    assert found == 4 * digests(["kit.npz"], workshop)


def test_what_was_learned_is_told_by_json_as_inspect_tells_it(cli: Cli, workshop: Path) -> None:
    result, shown = cli.many([*LEARN, "-o", "new.npz", "--json", "-v"], ["inspect", "new.npz", "--json"])
    assert result.code == 0
    assert "nmfsep: snare: 8 and 8 templates of 2 files" in result.err
    document = json.loads(result.out)
    assert document == json.loads(shown.out)
    assert counts(document) == {"kick": [3, 3], "snare": [8, 8]}
    assert document["labels"][1]["from"]["files"] == 2
    assert [entry["name"] for entry in document["labels"][0]["from"]["first"]] == ["kick.wav"]


def test_templates_are_as_many_as_asked_for(cli: Cli, workshop: Path) -> None:
    options = ["-k", "5,snare=2", "--exemplars", "--n-fft", "256", "--divergence", "frobenius"]
    arguments = ("learn", "kick=kick.wav", "snare=snares", *options, "-o", "k.npz", "--json")
    document = json.loads(cli(*arguments).out)
    assert counts(document) == {"kick": [5], "snare": [2]}
    assert document["views"][0]["n_fft"] == 256
    assert document["divergence"] == "frobenius"


def test_options_come_from_variables_too(cli: Cli, workshop: Path) -> None:
    env = {"NMFSEP_COMPONENTS": "2", "NMFSEP_N_FFT": "128", "NMFSEP_DIVERGENCE": "is"}
    document = json.loads(cli("learn", "kick=kick.wav", "-o", "k.npz", "--json", env=dict(env)).out)
    assert counts(document) == {"kick": [2]}
    assert document["views"] == [
        {"n_fft": 128, "hop_length": 32, "window": "hann", "templates": 2, "template_frames": 1}
    ]
    assert document["divergence"] == "is"


def test_other_rates_and_channels_are_converted_and_said(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "kick.wav")
    sf.write(workshop / "fast.wav", np.c_[samples, samples], 2 * RATE, "PCM_24")
    learn = ("learn", "kick=kick.wav", "fast.wav", "snare=snares", "-k", "2", "--n-fft", "256", "-o", "k.npz", "--json")
    plain, quiet, faster = cli.many(learn, [*learn, "-q"], [*learn, "--sample-rate", "16000"])
    said = "1 of 4 files converted to 8000 Hz, 1 of 4 files averaged over their channels"
    assert (plain.code, plain.err, quiet.err) == (0, f"nmfsep: {said}\n", "")
    document = json.loads(plain.out)
    assert document["sample_rate"] == RATE
    assert document["labels"][0]["from"]["sample_rates"] == [RATE, 2 * RATE]
    assert "3 of 4 files converted to 16000 Hz" in faster.err
    assert json.loads(faster.out)["sample_rate"] == 16000


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
    (["kick=kick.wav", "-o", "-"], "a dictionary is not written to standard output; name a file with -o"),
    (["rest=silence.wav"], "'rest' holds nothing but silence; leave it out"),
    ([], "Missing argument"),
]


def test_usage_errors_exit_2_in_one_line_and_write_nothing(cli: Cli, workshop: Path, sounds: Path) -> None:
    shutil.copy(sounds / "silence.wav", workshop)
    before = files(cli.folder)
    results = cli.many(*(["learn", "-o", "new.npz", *arguments] for arguments, _ in USAGE), LEARN)
    for (arguments, says), result in zip([*USAGE, ([], "'-o'")], results, strict=True):
        assert says in refused(result), arguments
    assert files(cli.folder) == before


BAD = ("broken.wav", "nan.wav", "text.wav", "empty.wav", "missing.wav", "none*.wav", "void")


@pytest.fixture
def bad(workshop: Path, sounds: Path) -> tuple[str, ...]:
    """Names of what nothing can be learned from."""
    shutil.copy(sounds / "broken.wav", workshop)
    sf.write(workshop / "nan.wav", np.r_[np.ones(99), np.nan], RATE, "FLOAT")
    (workshop / "text.wav").write_text("This is no audio")
    (workshop / "empty.wav").touch()
    (workshop / "void").mkdir()
    return BAD


def test_files_that_are_no_sounds_are_left_out_by_name(cli: Cli, workshop: Path, bad: tuple[str, ...]) -> None:
    learn = ("learn", "kick=kick.wav", *bad, "snare=snares", "-k", "kick=3,snare=8", "-o")
    alone, jobs, told = cli.many((*learn, "a.npz"), (*learn, "b.npz", "-j", "2"), (*learn, "c.npz", "--json"))
    for result in (alone, jobs, told):
        assert result.code == 1
        lines = [line for line in result.err.splitlines() if line.endswith("; left out")]
        assert sorted(line.split(": ")[1].strip("'") for line in lines) == sorted(bad)
    assert [entry["path"] for entry in json.loads(told.out)["errors"]] != []
    assert digests(["a.npz", "b.npz", "c.npz"], workshop) == 3 * digests(["kit.npz"], workshop)


def test_a_label_with_nothing_left_ends_it(cli: Cli, workshop: Path, bad: tuple[str, ...]) -> None:
    one, some, missing = cli.many(
        ("learn", "kick=nan.wav", "snare=snares", "-o", "new.npz"),
        ("learn", "kick=broken.wav", "text.wav", "snare=snares", "-o", "new.npz"),
        ("learn", "kick=kick.wav", "snare=missing.wav", "-o", "new.npz"),
    )
    assert refused(one, 1).startswith("nmfsep: nan.wav: ")
    assert "and the other 1 files of 'kick' cannot be read either" in refused(some, 1)
    assert refused(missing, 2) == "nmfsep: missing.wav: no such file\n"
    assert not (workshop / "new.npz").exists()


def test_a_dictionary_in_place_is_replaced_and_nothing_else_without_force(cli: Cli, workshop: Path) -> None:
    (workshop / "mine.npz").write_text("precious")
    learn = ("learn", "kick=kick.wav", "-k", "2", "--json", "-o")
    replaced, kept = cli.many([*learn, "kit.npz"], [*learn, "mine.npz"])
    assert counts(json.loads(replaced.out)) == {"kick": [2, 2]}
    assert replaced.err == "nmfsep: kit.npz: replaced a dictionary that had 'snare', too; --append adds to one\n"
    says = "exists and is no dictionary; use --force to replace it, or another name with -o"
    assert refused(kept) == f"nmfsep: mine.npz: {says}\n"
    assert (workshop / "mine.npz").read_text() == "precious"
    forced, shown = cli.many([*learn, "mine.npz", "--force"], ["inspect", "mine.npz"])
    assert (forced.code, shown.code) == (0, 0)


def test_a_sound_is_never_overwritten_by_whatever_name(cli: Cli, workshop: Path) -> None:
    os.symlink("kick.wav", workshop / "symbolic.npz")
    os.link(workshop / "kick.wav", workshop / "hard.npz")
    before = digests(["kick.wav"], workshop)
    for result in cli.many(*([*LEARN, "-o", name, "--force"] for name in ("kick.wav", "symbolic.npz", "hard.npz"))):
        assert "is an input and would be overwritten" in refused(result)
    assert digests(["kick.wav"], workshop) == before
    assert (workshop / "symbolic.npz").is_symlink()


def test_what_is_no_place_for_a_file_is_refused_even_by_force(cli: Cli, workshop: Path) -> None:
    os.mkfifo(workshop / "pipe")
    places = {"snares": "is a folder", "pipe": "is no regular file", "kick.wav/k.npz": "cannot be written to"}
    results = cli.many(*([*LEARN, "-o", place, "--force"] for place in places))
    for says, result in zip(places.values(), results, strict=True):
        assert says in refused(result)
    assert stat.S_ISFIFO(os.stat(workshop / "pipe").st_mode)


APPENDING = [
    (["kick=snares"], "kit.npz: has label 'kick' already; use another name"),
    (["Kick=snares"], "would be one file on some systems"),
    (["hat=snares", "-o", "missing.npz"], "missing.npz: no such file or directory; check the name"),
    (["hat=snares", "-o", "beat.wav"], "beat.wav: is not a container of arrays"),
    (["hat=snares", "--sample-rate", "16000"], "the dictionary has 8000, not --sample-rate 16000; leave out"),
    (["hat=snares", "--n-fft", "1024"], "the dictionary has 512, not --n-fft 1024"),
    (["hat=snares", "--window", "hamming"], "the dictionary has hann, not --window hamming"),
    (["hat=snares", "--divergence", "is"], "the dictionary has kl, not --divergence is"),
]


def test_what_cannot_be_appended_is_refused_and_the_dictionary_left(cli: Cli, workshop: Path) -> None:
    before = digests(ALL, workshop)
    runs = [["learn", "-o", "kit.npz", "--append", "-k", "2", *arguments] for arguments, _ in APPENDING]
    for (arguments, says), result in zip(APPENDING, cli.many(*runs), strict=True):
        assert says in refused(result), arguments
    assert digests(ALL, workshop) == before
    assert files(cli.folder) == ALL


def test_appended_sounds_are_converted_to_what_the_dictionary_has(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "kick.wav")
    sf.write(workshop / "tom.wav", samples, 2 * RATE, "PCM_16")
    learn = ("learn", "tom=tom.wav", "-k", "4", "-o", "kit.npz", "--append")
    inspect = ("inspect", "kit.npz", "--json")
    first, learned, second = cli.many(inspect, learn, inspect)
    assert learned.err == "nmfsep: 1 of 1 files converted to 8000 Hz\n"
    before, after = json.loads(first.out), json.loads(second.out)
    assert counts(after) == counts(before) | {"tom": [4, 4]}
    assert after["labels"][:2] == before["labels"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("options", [[], ["--append"]])
def test_a_folder_without_permission_is_found_before_work(cli: Cli, workshop: Path, options: list[str]) -> None:
    cli.temp.mkdir(exist_ok=True)  # which the run would otherwise want to make there
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


@pytest.mark.faults
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
            assert code == -signal.SIGKILL if mode == "kill" else code in (0, 1, 2, 3), (
                code,
                (folder / "stderr").read_bytes(),
            )
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
    learned, shown, done, checked = cli.many(
        ["learn", "-k", "2", "--n-fft", "256", "-v", "-o", "odd.npz", "--", *map(os.fsdecode, arguments)],
        ["inspect", "odd.npz", "--json"],
        ["split", "beat.wav", "-m", "odd.npz"],
        ["check", "separated"],
    )
    assert (learned.code, learned.err.count("\n")) == (0, len(odd))
    names = [os.fsdecode(label) for label in odd]
    assert list(counts(json.loads(shown.out))) == names
    assert (done.code, checked.code) == (0, 0)
    files = [name.replace("con", "_con") for name in names]  # no file can be called like a device of Windows
    assert done.out == b"".join(b"separated/beat/" + os.fsencode(name) + b".wav\n" for name in files)
    assert_add_up([workshop / "separated/beat" / f"{name}.wav" for name in files], workshop / "beat.wav")


def test_a_shells_own_pattern_needs_no_quotes(cli: Cli, workshop: Path) -> None:
    result = cli.shell("nmfsep learn kick= k*.wav snare= snares/*.wav -k kick=3,snare=8 -o new.npz")
    assert (result.code, result.err) == (0, "")
    assert digests(["new.npz"], workshop) == digests(["kit.npz"], workshop)
