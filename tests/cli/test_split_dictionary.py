"""split -m: stems by label, what it says, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli, Result, assert_add_up, digests, files, real, whole

STEMS = ["separated/beat/kick.wav", "separated/beat/snare.wav"]
SPLIT = ("split", "beat.wav", "-m", "kit.npz")


def refused(result: Result, code: int = 2) -> str:
    """Assert that a run ended with that code and one line, and return the line."""
    assert (result.code, result.out) == (code, b"")
    assert result.err.count("\n") == 1
    return result.err


@pytest.fixture
def other(cli: Cli, workshop: Path) -> Path:
    """Return a second dictionary, of one label and frames of its own."""
    arguments = ("learn", "hat=snares/one.wav", "-k", "2", "--n-fft", "512", "-o", "hat.npz")
    assert cli(*arguments).code == 0
    return workshop / "hat.npz"


def test_labels_are_the_names_of_stems_that_add_up(cli: Cli, workshop: Path) -> None:
    before = files(cli.folder)
    result = cli(*SPLIT)
    assert (result.code, result.paths, result.err) == (0, STEMS, "")
    assert_add_up([workshop / stem for stem in STEMS], workshop / "beat.wav")
    assert files(cli.folder) == sorted([*before, *STEMS, "separated/beat/beat.nmfsep.json"])
    assert cli("check", "separated").code == 0


def test_each_sound_is_in_the_stem_of_its_label(cli: Cli, workshop: Path) -> None:
    cli(*SPLIT, "--float32")
    kick, snare = (real(workshop / stem)[:, 0] for stem in STEMS)
    spectra = [np.abs(np.fft.rfft(stem)) for stem in (kick, snare)]
    low = slice(0, 400 * len(kick) // RATE)
    shares = [float(np.sum(spectrum[low] ** 2) / np.sum(spectrum**2)) for spectrum in spectra]
    assert shares[0] > 0.95
    assert shares[1] < 0.2


def test_the_manifest_vouches_for_the_dictionary(cli: Cli, workshop: Path, other: Path) -> None:
    result = cli(*SPLIT, "-m", "hat.npz", "--json", "-q")
    (track,) = json.loads(result.out)["tracks"]
    assert track == json.loads((workshop / "separated/beat/beat.nmfsep.json").read_text())
    assert track["guidance"] == [
        {"kind": "dictionary", "path": name, "sha256": hashlib.sha256((workshop / name).read_bytes()).hexdigest(),
         "labels": labels, "n_fft": [512, 2048]}
        for name, labels in (("kit.npz", ["kick", "snare"]), ("hat.npz", ["hat"]))
    ]  # fmt: skip
    assert [stem["name"] for stem in track["stems"]] == ["kick", "snare", "hat"]
    assert track["settings"]["components"] == 3


@pytest.mark.parametrize("options", [[], ["--background", "3", "--adapt", "0.3"]], ids=" ".join)
def test_the_same_bytes_whatever_threads_and_place(cli: Cli, workshop: Path, options: list[str]) -> None:
    shutil.copy(workshop / "kit.npz", workshop / "elsewhere.npz")
    runs = cli.many(
        [*SPLIT, *options, "--threads", "1", "-o", "a"],
        [*SPLIT, *options, "--threads", "2", "-o", "b"],
        ["split", workshop / "beat.wav", "-m", workshop / "elsewhere.npz", *options, "--threads", "3"],
    )
    runs.append(cli(*SPLIT, *options, "-o", "c", env={"PYTHONHASHSEED": "3", "OPENBLAS_NUM_THREADS": "2"}))
    found = [digests(result.paths, workshop) for result in runs]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 2 + bool(options)


OPTIONS = [
    (["--background", "2"], ["kick", "snare", "residual"]),
    (["--residual"], ["kick", "snare", "residual"]),
    (["--residual=rest", "--background", "2"], ["kick", "snare", "rest"]),
    (["--only", "snare"], ["snare"]),
    (["--adapt", "0.5", "--mask", "wiener"], ["kick", "snare"]),
    (["--n-fft", "1024", "--hop-length", "200"], ["kick", "snare"]),
]


def test_options_decide_which_stems_there_are(cli: Cli, workshop: Path) -> None:
    runs = cli.many(*([*SPLIT, *options, "-o", str(turn)] for turn, (options, _) in enumerate(OPTIONS)))
    for turn, (result, (options, names)) in enumerate(zip(runs, OPTIONS, strict=True)):
        assert (result.code, result.paths) == (0, [f"{turn}/beat/{name}.wav" for name in names]), options
        if "--only" not in options:
            assert_add_up([workshop / path for path in result.paths], workshop / "beat.wav")


def test_several_dictionaries_add_up(cli: Cli, workshop: Path, other: Path) -> None:
    result = cli("split", "beat.wav", "-m", "hat.npz", "--dictionary", "kit.npz")
    assert result.paths == [f"separated/beat/{name}.wav" for name in ("hat", "kick", "snare")]
    assert result.err == "nmfsep: beat.wav: warning: templates of 'kit.npz' converted to n_fft 512\n"
    assert_add_up([workshop / path for path in result.paths], workshop / "beat.wav")


def test_one_label_with_what_the_rest_is(cli: Cli, workshop: Path, other: Path) -> None:
    says = refused(cli("split", "beat.wav", "-m", "hat.npz"))
    assert "with 'hat' alone, its stem would be the whole mixture; use --background 20" in says
    result = cli("split", "beat.wav", "-m", "hat.npz", "--background", "2")
    assert result.paths == ["separated/beat/hat.wav", "separated/beat/residual.wav"]


USAGE = [
    (["-m", "kit.npz", "-k", "3"], "the dictionary says what stems there are, so -k is not needed; leave out -k"),
    (["-m", "kit.npz", "-m", "same.npz"], "same.npz: has label 'kick', as kit.npz has; give one of them"),
    (["-m", "missing.npz"], "missing.npz: no such file or directory; check the name"),
    (["-m", "kick.wav"], "kick.wav: is not a container of arrays (.npz), or is damaged"),
    (["-m", "kit.npz", "--n-fft", "16"], "kit.npz: its frames last 0.064 s, those asked for 0.002 s, too different"),
    (["-m", "kit.npz", "--smoothness", "1"], "smoothness means nothing with a dictionary"),
    (["-m", "kit.npz", "--only", "kik"], "did you mean 'kick'?"),
    (["-m", "kit.npz", "--residual=snare"], "is the name of another stem; give --residual=NAME"),
    (["-m", "kit.npz", "--max-memory", "1M"], "of memory and may take 1 MB"),
    (["-m", "kit.npz", "--fast"], "--fast is for separation without cues"),
    (["-k", "2", "--background", "3"], "mean something with guidance only; give a dictionary with -m"),
    ([], "how many stems is not said; give -k 4, -k auto, --preset, or a dictionary with -m"),
]


def test_usage_errors_exit_2_in_one_line_before_any_work(cli: Cli, workshop: Path) -> None:
    shutil.copy(workshop / "kit.npz", workshop / "same.npz")
    before = files(cli.folder)
    runs = cli.many(*(["split", "beat.wav", *options] for options, _ in USAGE))
    for (options, says), result in zip(USAGE, runs, strict=True):
        assert says in refused(result), options
    assert files(cli.folder) == before


def test_a_dry_run_refuses_what_a_run_refuses(cli: Cli, workshop: Path) -> None:
    wrong = (["--n-fft", "16"], ["--max-memory", "1M"], ["--smoothness", "1"])
    said = [
        refused(result) for result in cli.many(*([*SPLIT, *options, *n] for options in wrong for n in (["-n"], [])))
    ]
    for dry, run in zip(said[::2], said[1::2], strict=True):
        assert run.endswith(dry.removeprefix("nmfsep: "))  # which may name the input, too


def test_another_rate_is_converted_and_said(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "beat.wav")
    sf.write(workshop / "beat.wav", np.c_[samples, samples / 2], 2 * RATE, "PCM_24")
    said = "nmfsep: beat.wav: warning: templates of 'kit.npz' converted from 8000 to 16000 Hz; they tell nothing of "
    said += "what is above 4000 Hz\n"
    result, quiet, dry = cli.many(SPLIT, [*SPLIT, "-q"], [*SPLIT, "-n"])
    assert (result.code, result.err, quiet.err) == (0, said, "")
    assert_add_up([workshop / stem for stem in STEMS], workshop / "beat.wav")
    assert "converted from 8000 to 16000 Hz" in dry.err


def test_a_batch_of_several_rates_goes_through(cli: Cli, workshop: Path) -> None:
    samples, _ = sf.read(workshop / "beat.wav")
    sf.write(workshop / "fast.wav", samples, 11025, "PCM_16")
    result = cli("split", "beat.wav", "fast.wav", "-m", "kit.npz", "--background", "1")
    assert (result.code, len(result.paths)) == (0, 6)
    assert result.err.count("\n") == 1
    assert "fast.wav: warning: templates of 'kit.npz' converted from 8000 to 11025 Hz" in result.err


def test_one_broken_input_fails_alone(cli: Cli, workshop: Path, broken: Path) -> None:
    result = cli("split", "broken.wav", "beat.wav", "-m", "kit.npz")
    assert (result.code, result.paths) == (1, STEMS)
    assert result.err.splitlines()[0].startswith("nmfsep: broken.wav: ")


def test_silence_gives_silent_stems_and_a_warning(cli: Cli, workshop: Path, sounds: Path) -> None:
    shutil.copy(sounds / "silence.wav", workshop / "beat.wav")
    result = cli(*SPLIT, "--background", "2")
    assert result.code == 0
    assert "warning: everything is zero" in result.err
    assert not any(whole(workshop / path).any() for path in result.paths)


def test_standard_output_and_standard_input(cli: Cli, workshop: Path) -> None:
    stdin = (workshop / "beat.wav").read_bytes()
    result = cli("split", "-", "-m", "kit.npz", "--only", "snare", "-o", "-", stdin=stdin)
    assert (result.code, result.err) == (0, "")
    (workshop / "out.wav").write_bytes(result.out)
    cli(*SPLIT)
    np.testing.assert_array_equal(whole(workshop / "out.wav"), whole(workshop / STEMS[1]))


def test_variables_give_a_dictionary_and_one_for_k_does_not_matter(cli: Cli, workshop: Path) -> None:
    result = cli("split", "beat.wav", env={"NMFSEP_DICTIONARY": "kit.npz", "NMFSEP_COMPONENTS": "7"})
    assert (result.code, result.paths) == (0, STEMS)
    result = cli(*SPLIT, env={"NMFSEP_BACKGROUND": "2", "NMFSEP_RESIDUAL": "rest"})
    assert result.paths == [*STEMS, "separated/beat/rest.wav"]


def test_inputs_and_dictionaries_are_left_as_they_are(cli: Cli, workshop: Path) -> None:
    for name in ("beat.wav", "kit.npz"):
        (workshop / name).chmod(0o444)
    before = digests(["beat.wav", "kit.npz"], workshop)
    assert cli(*SPLIT, "--force", "--adapt", "0.5").code == 0
    assert digests(["beat.wav", "kit.npz"], workshop) == before


def test_a_dictionary_is_never_overwritten_by_a_stem(cli: Cli, workshop: Path) -> None:
    target = workshop / "separated/beat/kick.wav"
    target.parent.mkdir(parents=True)
    os.link(workshop / "kit.npz", target)
    assert "kick.wav: is an input and would be overwritten" in refused(cli(*SPLIT, "--force"))
    assert target.read_bytes() == (workshop / "kit.npz").read_bytes()


def test_dry_run_tells_stems_and_memory(cli: Cli, workshop: Path) -> None:
    before = files(cli.folder)
    result = cli(*SPLIT, "-n", "--json", "--background", "2")
    (track,) = json.loads(result.out)["tracks"]
    assert track["stems"] == ["kick", "snare", "residual"]
    assert track["outputs"] == [*STEMS, "separated/beat/residual.wav"]
    assert files(cli.folder) == before


def test_the_memory_told_is_about_what_is_taken(cli: Cli, workshop: Path, sounds: Path) -> None:
    arguments = ("split", sounds / "long.wav", *SPLIT[2:], "--threads", "2", "--max-iter", "2", "--background", "8")
    told = json.loads(cli(*arguments, "-n", "--json").out)["tracks"][0]["memory"]
    # measured by a small process, since a child counts what its parent had, too
    script = "import resource as r, subprocess as s, sys; s.run(sys.argv[1:], check=True, stdout=s.DEVNULL); "
    script += "print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", script, *cli.command, *map(os.fspath, arguments)]
    done = subprocess.run(command, cwd=cli.folder, env=cli.env(), capture_output=True, check=True)
    assert 0.7 < told / (int(done.stdout) << 10) < 1.5


def test_the_help_lists_guidance(cli: Cli) -> None:
    text = cli("split", "--help").out.decode()
    first = text.partition("Common options:")[2].partition("\n\n")[0]
    section = text.partition("Guidance options:")[2].partition("\n\n")[0]
    assert "-m, --dictionary FILE" in first
    assert all(option in section for option in ("--background", "--adapt"))
