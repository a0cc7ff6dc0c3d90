"""evaluate prints how near estimates come to the true stems, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import LENGTH, RATE, Cli, files

TONES = {"kick": 200, "snare": 700, "hat": 1900}


def write(path: Path, sound: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(exist_ok=True)
    sf.write(path, sound, rate, "FLOAT")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three true stems, estimates in another order, and the mixture; copy it to change it."""
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    t = np.arange(LENGTH) / RATE
    sounds = [
        0.3 * np.sin(2 * np.pi * pitch * t) * np.exp(-5 * t) + 0.02 * rng.standard_normal(LENGTH)
        for pitch in TONES.values()
    ]
    for name, sound in zip(TONES, sounds, strict=True):
        write(folder / "true" / f"{name}.wav", sound)
    write(folder / "mix.wav", sum(sounds))
    for number, own, other in ((1, 2, 0), (2, 0, 1), (3, 1, 2)):
        noise = 0.005 * rng.standard_normal(LENGTH)
        write(folder / "found" / f"component-{number}.wav", sounds[own] + 0.1 * sounds[other] + noise)
    return folder


@pytest.fixture(autouse=True)
def stems(cli: Cli, scene: Path) -> None:
    """Have them in the working folder."""
    shutil.copytree(scene, cli.folder, dirs_exist_ok=True)


def document(cli: Cli, *args: str) -> dict:
    result = cli("evaluate", *args, "--json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_the_table_names_each_pair_and_their_figures(cli: Cli) -> None:
    result = cli("evaluate", "true", "found")
    assert (result.code, result.err) == (0, "")
    figures, bleed = result.out.decode().split("\n\n")
    head, *rows = [line.split() for line in figures.splitlines()]
    assert head == ["stem", "estimate", "SI-SDR", "gain", "SDR", "gain", "SIR", "SAR", "SNR"]
    assert [row[:2] for row in rows[:3]] == [["hat", "component-1"], ["kick", "component-2"], ["snare", "component-3"]]
    assert rows[3][0] == "mean"
    values = np.array([row[2:] for row in rows[:3]], float)
    np.testing.assert_allclose(np.array(rows[3][1:], float), values.mean(axis=0), atol=0.011)
    assert 15 < values[:, 0].min() < values[:, 0].max() < 22
    corner, *lines = [line.split() for line in bleed.splitlines()]
    assert corner == ["bleed", "hat", "kick", "snare"]
    assert [line[0] for line in lines] == ["component-1", "component-2", "component-3"]
    levels = np.array([line[1:] for line in lines], float)
    np.testing.assert_allclose(np.diag(levels), 0, atol=0.1)
    np.testing.assert_allclose(levels[[0, 1, 2], [1, 2, 0]], -20, atol=1)
    assert levels[[0, 1, 2], [2, 0, 1]].max() < -25


def test_the_columns_of_the_table_are_aligned(cli: Cli) -> None:
    write(cli.folder / "found/日本語.wav", np.ones(LENGTH))
    lines = cli("evaluate", "true", "found", "-q").out.decode().split("\n\n")[1].splitlines()
    widths = {len(line) + sum(not char.isascii() for char in line) for line in lines}
    assert len(widths) == 1


def test_json_holds_what_the_table_shows_and_more(cli: Cli) -> None:
    found = document(cli, "true", "found")
    assert [(row["stem"], row["estimate"]) for row in found["stems"]] == [
        ("hat", "component-1"),
        ("kick", "component-2"),
        ("snare", "component-3"),
    ]
    lines = cli("evaluate", "true", "found").out.decode().splitlines()[1:4]
    shown = ("si_sdr", "si_sdr_gain", "sdr", "sdr_gain", "sir", "sar", "snr")
    for line, row in zip(lines, found["stems"], strict=True):
        np.testing.assert_allclose(np.array(line.split()[2:], float), [row[name] for name in shown], atol=0.0056)
    assert found["bleed"]["component-1"]["kick"] == pytest.approx(-20, abs=1)
    assert (found["matched_by"], found["left_over"], found["warnings"]) == ("best", [], [])
    assert (found["sample_rate"], found["channels"], found["length"]) == (RATE, 1, LENGTH)
    assert (found["schema"], set(found["mean"])) == (1, set(found["stems"][0]) - {"stem", "estimate"})


@pytest.mark.long
def test_csv_holds_the_figures_of_json(cli: Cli) -> None:
    write(cli.folder / "found/rest.wav", 0.1 * np.sin(np.arange(LENGTH)))
    result = cli("evaluate", "true", "found", "--csv", "--oracle")
    assert result.code == 0
    assert b"nan" not in result.out
    head, *rows = csv.reader(io.StringIO(result.out.decode()))
    *paired, extra = (dict(zip(head, row, strict=True)) for row in rows)
    found = json.loads(cli("evaluate", "true", "found", "--json", "--oracle", "-q").out)
    for row, expected in zip(paired, found["stems"], strict=True):
        assert {name: row[name] for name in expected} == {name: str(value) for name, value in expected.items()}
        for stem, level in found["bleed"][expected["estimate"]].items():
            assert row[f"bleed of {stem}"] == str(level)
    assert (extra["stem"], extra["estimate"], extra["sdr"]) == ("", "rest", "")
    assert extra["bleed of kick"] == str(found["bleed"]["rest"]["kick"])


@pytest.mark.long
def test_files_can_be_named_one_by_one(cli: Cli) -> None:
    whole = document(cli, "true", "found")
    files_named = document(cli, "true/hat.wav", "true/kick.wav", "true/snare.wav", "found")
    assert files_named == whole
    one = document(cli, "true/kick.wav", "found/component-2.wav", "--mixture", "mix.wav")
    assert one["stems"][0]["si_sdr"] == whole["stems"][1]["si_sdr"]
    assert one["stems"][0]["si_sdr_gain"] == pytest.approx(whole["stems"][1]["si_sdr_gain"], abs=0.01)
    assert one["stems"][0]["sir"] is None


def test_an_estimate_can_come_through_a_pipe(cli: Cli) -> None:
    result = cli("evaluate", "true/kick.wav", "-", "--json", stdin=(cli.folder / "found/component-2.wav").read_bytes())
    assert result.code == 0
    row = json.loads(result.out)["stems"][0]
    expected = document(cli, "true/kick.wav", "found/component-2.wav")["stems"][0]
    assert row == expected | {"estimate": "stdin"}


def test_a_mixture_beside_the_stems_is_none_of_them(cli: Cli) -> None:
    expected = document(cli, "true", "found", "--mixture", "mix.wav")
    (cli.folder / "mix.wav").rename(cli.folder / "true/mix.wav")
    assert document(cli, "true", "found", "--mixture", "true/mix.wav") == expected


def test_names_decide_where_all_match_unless_told_otherwise(cli: Cli) -> None:
    for number, name in ((1, "kick"), (2, "hat"), (3, "snare")):
        (cli.folder / f"found/component-{number}.wav").rename(cli.folder / f"found/{name}.wav")
    by_name, best = document(cli, "true", "found"), document(cli, "true", "found", "--match", "best")
    assert [row["estimate"] for row in by_name["stems"]] == ["hat", "kick", "snare"]
    assert [row["estimate"] for row in best["stems"]] == ["kick", "hat", "snare"]
    assert by_name["mean"]["sdr"] < best["mean"]["sdr"] - 10


def test_the_oracle_shows_what_a_mask_could_reach(cli: Cli) -> None:
    result = cli("evaluate", "true", "found", "--oracle", "--n-fft", "512")
    assert result.code == 0
    head = result.out.decode().splitlines()[0]
    assert head.endswith("oracle SI-SDR  oracle SDR")
    row = document(cli, "true", "found", "--oracle", "--n-fft", "512")["stems"][0]
    other = document(cli, "true", "found", "--oracle", "--n-fft", "64", "--mask", "wiener")["stems"][0]
    assert row["oracle_si_sdr"] > row["si_sdr"] - row["si_sdr_gain"] + 10  # well above the mixture
    assert row["oracle_si_sdr"] != other["oracle_si_sdr"]


def test_silence_is_a_dash_a_null_and_a_warning(cli: Cli) -> None:
    write(cli.folder / "true/bell.wav", np.zeros(LENGTH))
    write(cli.folder / "found/none.wav", np.zeros(LENGTH))
    result = cli("evaluate", "true", "found")
    assert result.code == 0
    assert result.err == (
        "nmfsep: warning: true stem 'bell' is silent, so nothing can be said of it; the means leave it out\n"
    )
    assert result.out.decode().splitlines()[1].split() == ["bell", "none", *"-------"]
    quiet = cli("evaluate", "true", "found", "--json", "-q")
    assert (quiet.code, quiet.err) == (0, "")
    row = json.loads(quiet.out)["stems"][0]
    assert {row[name] for name in set(row) - {"stem", "estimate"}} == {None}


@pytest.mark.long
def test_what_has_no_partner_is_told(cli: Cli) -> None:
    os.remove(cli.folder / "found/component-2.wav")
    result = cli("evaluate", "true", "found")
    assert (result.code, result.err) == (
        0,
        "nmfsep: warning: true stem 'kick' has no estimate; the means leave it out\n",
    )
    assert ["kick", "-", *"-------"] in [line.split() for line in result.out.decode().splitlines()]
    os.remove(cli.folder / "true/kick.wav")
    os.remove(cli.folder / "true/hat.wav")
    result = cli("evaluate", "true", "found")
    assert result.err == "nmfsep: warning: estimate 'component-1' is left over\n"


@pytest.mark.long
def test_the_same_bytes_whatever_the_threads(cli: Cli) -> None:
    runs = {cli("evaluate", "true", "found", "--json", env={"OPENBLAS_NUM_THREADS": n}).out for n in ("1", "2")}
    assert len(runs) == 1


@pytest.mark.long
def test_options_come_from_variables_too(cli: Cli) -> None:
    given = cli("evaluate", "true", "found", "--filter-length", "32", "--oracle", "--n-fft", "512", "--csv")
    env = {"NMFSEP_FILTER_LENGTH": "32", "NMFSEP_ORACLE": "1", "NMFSEP_N_FFT": "512", "NMFSEP_CSV": "1"}
    assert cli("evaluate", "true", "found", env=env).out == given.out
    # one meant for split is no reason to fail
    assert cli("evaluate", "true", "found", env={"NMFSEP_N_FFT": "512"}).code == 0


USAGE = [
    (["true"], "Missing argument"),
    (["true", "missing"], "nmfsep: missing: no such file or directory; check the name"),
    (["missing", "found"], "nmfsep: missing: no such file or directory"),
    (["true", "deep"], "nmfsep: deep: holds no audio files; name the folder that the stems themselves lie in"),
    (["true", "empty"], "nmfsep: empty: holds no audio files"),
    (["true", "/dev/null"], "nmfsep: /dev/null: is a device"),
    (["true", "found", "--mixture", "missing.wav"], "nmfsep: missing.wav: no such file"),
    (["true", "found", "--mixture", "true"], "nmfsep: true: is a folder"),
    (["true", "true/kick.wav", "found"], "nmfsep: true/kick.wav: is one of 2 files called 'kick'"),
    (["-", "-"], "standard input can be read only once"),
    (["true", "fast"], "fast/kick.wav: has 16000 Hz, where 'true/hat.wav' has 8000 Hz; convert it first"),
    (["true", "stereo"], "stereo/kick.wav: has 2 channels, where 'true/hat.wav' has 1 channel; convert"),
    (["true", "short"], "short/kick.wav: has 5999 samples, where 'true/hat.wav' has 6000; use --trim"),
    (["true", "found", "--match", "nam"], "did you mean 'name'?"),
    (["true", "found", "--match", "name"], "no estimate has the name of a true stem; use --match best"),
    (["true", "found", "--csv", "--json"], "contradict"),
    (["true", "found", "--n-fft", "512"], "--n-fft is for --oracle only; add --oracle, or leave it out"),
    (["true", "found", "--mask-power", "2"], "--mask-power is for --oracle only"),
    (["true", "found", "--oracle", "--n-fft", "511"], "even"),
    (["true", "found", "--oracle", "--mask", "ratoi"], "did you mean 'ratio'?"),
    (["true", "found", "--filter-length", "0"], "at least 1"),
    (["true", "found", "--filter-length", "1_0"], "not a whole number"),
    (["true", "found", "--max-memory", "1M"], "3 true stems need about"),
    (["true", "found", "--orcale"], "--oracle"),
]


@pytest.mark.parametrize(("args", "fragment"), USAGE, ids=[" ".join(args) for args, _ in USAGE])
def test_usage_errors_exit_2_in_one_line(cli: Cli, args: list[str], fragment: str) -> None:
    (cli.folder / "empty").mkdir()
    shutil.copytree(cli.folder / "true", cli.folder / "deep/true")
    write(cli.folder / "fast/kick.wav", np.ones(LENGTH), 16000)
    write(cli.folder / "stereo/kick.wav", np.ones((LENGTH, 2)))
    write(cli.folder / "short/kick.wav", np.ones(LENGTH - 1))
    before = files(cli.folder)
    result = cli("evaluate", *args)
    assert (result.code, result.out) == (2, b"")
    assert result.err.count("\n") == 1
    assert fragment in result.err
    assert files(cli.folder) == before


def test_trim_compares_as_far_as_the_shortest_goes(cli: Cli) -> None:
    for path in (cli.folder / "found").iterdir():
        write(path, np.r_[sf.read(path)[0], np.ones(100)])
    assert cli("evaluate", "true", "found").code == 2
    longer = document(cli, "true", "found", "--trim")
    shutil.rmtree(cli.folder / "found")
    shutil.copytree(cli.folder / "true", cli.folder / "found")
    assert longer["length"] == LENGTH
    assert longer["mean"]["si_sdr"] > 15


@pytest.mark.parametrize("where", ["true/kick.wav", "found/component-1.wav", "mix.wav"])
def test_a_file_that_cannot_be_judged_exits_1(cli: Cli, broken: Path, where: str) -> None:
    sound = sf.read(cli.folder / where)[0]
    sound[4000] = np.nan
    write(cli.folder / where, sound)
    result = cli("evaluate", "true", "found", "--mixture", "mix.wav")
    assert (result.code, result.out) == (1, b"")
    expected = "1 samples are NaN or infinite, the first at 0.500 s; repair the file first"
    assert result.err == f"nmfsep: {where}: {expected}\n"
    shutil.copy(broken, cli.folder / where)
    result = cli("evaluate", "true", "found", "--mixture", "mix.wav")
    assert (result.code, result.out, result.err.count("\n")) == (1, b"", 1)
    assert result.err.startswith(f"nmfsep: {where}: ")


def test_odd_names_can_be_told_apart_and_drive_nothing(cli: Cli) -> None:
    names = ["=1+1", "@x", "a\nb", "\x1b[31mred", "\udce9t\udce9", "-k", "with space", "a,\"b'"]
    rng = np.random.default_rng(2)
    for name in names:
        write(cli.folder / "any.wav", rng.uniform(-0.1, 0.1, LENGTH))
        os.rename(cli.folder / "any.wav", cli.folder / f"true/{name}.wav")
    args = ("evaluate", "true", "true", "--filter-length", "8")
    table, rows, tree = (cli(*args, *flags) for flags in ([], ["--csv"], ["--json"]))
    assert (table.code, rows.code, tree.code) == (0, 0, 0)
    for out in (table.out, rows.out):
        assert not any(byte < 0x20 and byte != 0x0A for byte in out)
    stems = len(names) + len(TONES)
    assert len(table.out.splitlines()) == 1 + stems + 1 + 1 + 1 + stems
    head, *read = csv.reader(io.StringIO(rows.out.decode()))
    assert len(read) == stems
    assert not any(cell.startswith(("=", "@", "-k")) for row in (head, *read) for cell in row)
    assert set(names) < {row["stem"] for row in json.loads(tree.out)["stems"]}


def test_what_split_wrote_can_be_judged_at_once(cli: Cli) -> None:
    script = "nmfsep split mix.wav -k 3 -q && nmfsep evaluate true separated/mix --csv"
    result = cli.shell(script)
    assert (result.code, result.err) == (0, "")
    assert result.out.decode().count("\n") == 3 + 4
