"""render writes what split would have written, and answers what it cannot render."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import Cli, assert_add_up, digests, files


@pytest.fixture
def stereo(cli: Cli, sounds: Path) -> Path:
    return Path(shutil.copy(sounds / "stereo.wav", cli.folder))


@pytest.fixture(scope="session")
def kept(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with song.wav and its four stems and model in separated; copy it before changing anything."""
    cli = Cli(tmp_path_factory.mktemp("kept"))
    shutil.copy(sounds / "song.wav", cli.folder)
    assert cli("split", "song.wav", "-k", "4", "--save-model").code == 0
    return cli.folder


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dictionary of two tones."""
    cli, t = Cli(tmp_path_factory.mktemp("kit")), np.arange(4000) / 22050
    for name, hertz in (("low", 440), ("high", 1300)):
        sf.write(cli.folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hertz * t), 22050)
    assert cli("learn", "low=low.wav", "high=high.wav", "-k", "3", "-o", "kit.npz").code == 0
    return cli.folder / "kit.npz"


@pytest.fixture
def model(kept: Path, cli: Cli) -> str:
    """Return the model's path in the folder of the runner, beside its stems."""
    shutil.copytree(kept, cli.folder, dirs_exist_ok=True)
    return "separated/song/song.nmf.npz"


def test_the_model_lies_beside_the_stems_and_is_not_printed(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "--save-model")
    assert (result.code, result.err) == (0, "")
    assert result.paths == [f"separated/song/component-{index}.wav" for index in (1, 2)]
    written = ["song.nmf.npz", "song.nmfsep.json"]
    assert files(cli.folder / "separated/song") == ["component-1.wav", "component-2.wav", *written]
    manifest = json.loads((cli.folder / "separated/song/song.nmfsep.json").read_text())
    path = "separated/song/song.nmf.npz"
    size = (cli.folder / path).stat().st_size
    assert manifest["model"] == {"file": "song.nmf.npz", "bytes": size, "sha256": digests([path], cli.folder)[0]}


@pytest.mark.parametrize(
    ("split", "render"),
    [
        (["-k", "3", "--channels", "mid", "--residual"], []),
        (["-k", "3", "--offset", "0.05", "--duration", "0.1", "--flac"], ["--flac"]),
        (["-k", "3", "--group", "a=1,3", "--residual=r"], ["--only", "a", "--only", "r", "--only", "component-2"]),
    ],
    ids=lambda args: " ".join(args),
)  # fmt: skip
def test_without_changes_the_stems_are_those_that_split_wrote(
    cli: Cli, stereo: Path, split: list[str], render: list[str]
) -> None:
    before = cli("split", "stereo.wav", *split, "--save-model", "-o", "a")
    model = next(cli.folder.glob("a/**/stereo.nmf.npz"))
    after = cli("render", model, "stereo.wav", *render, "-o", "b")
    assert (before.code, after.code, after.err) == (0, 0, "")
    assert after.paths == ["b" + path[1:] for path in before.paths]
    assert cli("check", "b").code == 0
    assert digests(after.paths, cli.folder) == digests(before.paths, cli.folder)


@pytest.mark.parametrize(
    "options",
    [
        ["--group", "voice=1,3", "--group", "band=rest"],
        ["--mask-power", "2.5", "--residual=left", "--only", "component-2", "--subtype", "FLOAT", "--format", "w64"],
        ["--clip-mode", "rescale", "--threads", "1"],
    ],
    ids=lambda args: " ".join(args),
)
def test_with_options_they_are_those_that_split_writes_with_them(cli: Cli, model: str, options: list[str]) -> None:
    fresh = cli("split", "song.wav", "-k", "4", *options, "-o", "a")
    again = cli("render", model, "song.wav", *options, "-o", "b")
    assert (fresh.code, again.code, again.err) == (0, 0, "")
    assert [path[1:] for path in again.paths] == [path[1:] for path in fresh.paths]
    assert digests(again.paths, cli.folder) == digests(fresh.paths, cli.folder)


@pytest.mark.parametrize(
    ("split", "render"),
    [
        ([], []),
        (["--background", "3"], ["--group", "all=low,residual"]),
        (["--adapt", "0.3", "--residual"], ["--group", "all=rest", "--mask", "wiener"]),
    ],
)
def test_so_it_is_with_a_dictionary(cli: Cli, stereo: Path, kit: Path, split: list[str], render: list[str]) -> None:
    shutil.copy(kit, cli.folder)
    command = ["split", "stereo.wav", "-m", "kit.npz", *split]
    assert cli(*command, "--save-model", "-o", "a").code == 0
    fresh = cli(*command, *render, "-o", "b")
    os.remove(cli.folder / "kit.npz")  # is not needed again
    again = cli("render", "a/stereo/stereo.nmf.npz", "stereo.wav", *render, "-o", "c")
    assert (fresh.code, again.code, again.err) == (0, 0, fresh.err)
    assert digests(again.paths, cli.folder) == digests(fresh.paths, cli.folder)
    guidance = json.loads((cli.folder / "c/stereo/stereo.nmfsep.json").read_text())["guidance"]
    assert [(entry["path"], entry["labels"]) for entry in guidance] == [("kit.npz", ["low", "high"])]


def test_a_model_beside_its_stems_knows_its_mixture_and_stays(cli: Cli, model: str) -> None:
    before = digests([model], cli.folder)
    result = cli("render", model, "--group", "a=1,3", "--group", "b=rest")
    assert (result.code, result.err) == (0, "")
    assert result.paths == ["separated/song/a.wav", "separated/song/b.wav"]
    assert files(cli.folder / "separated/song") == ["a.wav", "b.wav", "song.nmf.npz", "song.nmfsep.json"]
    assert digests([model], cli.folder) == before
    assert cli("check", "separated").code == 0
    again = cli("render", model, "--no-group")  # which replaces them, as split would
    assert [os.path.basename(path) for path in again.paths] == [f"component-{index}.wav" for index in (1, 2, 3, 4)]
    assert files(cli.folder / "separated/song")[-2:] == ["song.nmf.npz", "song.nmfsep.json"]


def test_a_model_elsewhere_must_be_told_its_mixture(cli: Cli, model: str) -> None:
    shutil.move(cli.folder / model, cli.folder / "m.npz")
    result = cli("render", "m.npz")
    assert (result.code, result.out) == (2, b"")
    says = "does not lie with its stems, so its mixture is not known; give the mixture: nmfsep render m.npz MIXTURE"
    assert result.err == f"nmfsep: m.npz: {says}\n"
    assert cli("render", "m.npz", "song.wav", "-o", "b").code == 0


def test_check_finds_a_model_that_changed(cli: Cli, model: str) -> None:
    data = bytearray((cli.folder / model).read_bytes())
    data[-1] ^= 1
    (cli.folder / model).write_bytes(data)
    result = cli("check", "separated")
    assert result.code == 4
    assert "'song.nmf.npz' has changed since it was written" in result.err


def test_split_takes_away_a_model_that_no_longer_fits(cli: Cli, model: str) -> None:
    assert cli("split", "song.wav", "-k", "2").code == 0
    assert files(cli.folder / "separated/song") == ["component-1.wav", "component-2.wav", "song.nmfsep.json"]


def test_a_model_is_not_written_over_a_file_of_another_program(cli: Cli, song: Path) -> None:
    (cli.folder / "separated/song").mkdir(parents=True)
    (cli.folder / "separated/song/song.nmf.npz").write_bytes(b"mine")
    result = cli("split", "song.wav", "-k", "2", "--save-model")
    assert (result.code, files(cli.folder / "separated")) == (2, ["song/song.nmf.npz"])
    assert "song.nmf.npz: exists and was not written by nmfsep" in result.err


def test_where_no_stem_can_be_written_no_model_is(cli: Cli, sounds: Path) -> None:
    shutil.copy(sounds / "square.wav", cli.folder)
    result = cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--clip-mode", "error", "--save-model")
    assert result.code == 1
    assert files(cli.folder) == ["square.wav"]


def test_a_model_needs_a_folder(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "--save-model", "-o", "-")
    assert (result.code, result.out) == (2, b"")
    assert "--save-model needs a folder for the model; name one with -o" in result.err


def test_stems_can_go_to_standard_output(cli: Cli, model: str) -> None:
    result = cli("render", model, "song.wav", "--only", "component-2", "-o", "-")
    assert (result.code, result.err) == (0, "")
    assert result.out == (cli.folder / "separated/song/component-2.wav").read_bytes()


def test_the_mixture_can_come_through_a_pipe_both_times(cli: Cli, song: Path) -> None:
    data = song.read_bytes()
    assert cli("split", "-", "-k", "2", "--save-model", stdin=data).code == 0
    model = "separated/stdin/stdin.nmf.npz"
    result = cli("render", model, "-", "-o", "b", stdin=data)
    assert (result.code, result.err) == (0, "")
    stems = ["component-1.wav", "component-2.wav"]
    assert digests([f"b/stdin/{name}" for name in stems], cli.folder) == digests(
        [f"separated/stdin/{name}" for name in stems], cli.folder
    )
    assert "so its mixture is not known" in cli("render", model).err


def test_the_same_sound_in_another_container_is_the_same(cli: Cli, model: str) -> None:
    samples, rate = sf.read(cli.folder / "song.wav", dtype="int16")
    sf.write(cli.folder / "song.flac", samples, rate)
    result = cli("render", model, "song.flac", "-o", "b")
    assert (result.code, result.err) == (0, "")
    assert digests(result.paths, cli.folder) == digests([f"separated{path[1:]}" for path in result.paths], cli.folder)


def test_a_copy_that_was_encoded_again_is_taken_with_a_warning(cli: Cli, model: str) -> None:
    samples, rate = sf.read(cli.folder / "song.wav")
    sf.write(cli.folder / "copy.wav", samples * 0.7, rate, "PCM_24")
    result = cli("render", model, "copy.wav", "-o", "b")
    assert result.code == 0
    assert "copy.wav: warning: is not the very sound that the model was learned from, 'song.wav'" in result.err
    assert_add_up([cli.folder / path for path in result.paths], cli.folder / "copy.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (slice(1, None), 8000, "has 5999 samples, the mixture of the model 6000"),
        (None, 8000, "has 12000 samples, the mixture of the model 6000"),
        (slice(None), 16000, "has 16000 Hz, the mixture of the model 8000 Hz"),
    ],
)
def test_another_sound_is_refused_in_one_line(
    cli: Cli, model: str, samples: slice | None, rate: int, message: str
) -> None:
    song, _ = sf.read(cli.folder / "song.wav")
    sf.write(cli.folder / "other.wav", np.tile(song, 2) if samples is None else song[samples], rate)
    result = cli("render", model, "other.wav", "-o", "b")
    hint = "give the file that the model was learned from, 'song.wav'"
    assert (result.code, result.err) == (2, f"nmfsep: other.wav: {message}; {hint}\n")
    assert not (cli.folder / "b").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--group", "voice=9"], "--group voice: there is no stem 9; they are numbered from 1 to 4"),
        (["--group", "voice=bass"], "--group voice: 'bass' is no stem; choose from component-1"),
        (["--only", "voice"], "--only 'voice' is no stem"),
        (["--group", "a=1", "--no-group"], "--group and --no-group contradict each other"),
        (["--residual", "--no-residual"], "--residual and --no-residual contradict each other"),
        (["--max-memory", "1M"], "of memory and may take 1 MB"),
    ],
)
def test_options_that_make_no_sense_are_found_before_any_work(
    cli: Cli, model: str, args: list[str], message: str
) -> None:
    result = cli("render", model, "song.wav", *args, "-o", "b")
    assert (result.code, result.out) == (2, b"")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (cli.folder / "b").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("song.wav", "is a sound, not a model; make one first: nmfsep split FILE -k 4 --save-model"),
        ("none.npz", "no such file or directory; check the name"),
        ("separated", "is not a file"),
        ("cut.npz", "is not a container of arrays (.npz), or is damaged"),
        ("plain.npz", "does not say that it holds 'nmfsep.model'; give a file that nmfsep wrote"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(cli: Cli, model: str, name: str, message: str) -> None:
    data = (cli.folder / model).read_bytes()
    (cli.folder / "cut.npz").write_bytes(data[: len(data) // 2])
    np.savez(cli.folder / "plain.npz", W=np.ones((1025, 4)))
    result = cli("render", name, "song.wav", "-o", "b")
    assert (result.code, result.out, result.err) == (2, b"", f"nmfsep: {name}: {message}\n")


@pytest.mark.parametrize(
    ("out", "args"),
    [
        (".", ["--group", "song=rest", "--filename", "{stem}.{ext}"]),
        ("separated", ["--group", "song.nmf=rest", "--filename", "{track}/{stem}.npz"]),
    ],
)
def test_no_stem_is_written_over_the_mixture_or_the_model(cli: Cli, model: str, out: str, args: list[str]) -> None:
    before = digests(files(cli.folder), cli.folder)
    result = cli("render", model, "song.wav", "-o", out, *args, "--force")
    assert (result.code, result.out) == (2, b"")
    assert "is an input and would be overwritten; choose another folder with -o" in result.err
    assert digests(files(cli.folder), cli.folder) == before


def test_a_dry_run_tells_and_writes_nothing(cli: Cli, model: str) -> None:
    result = cli("render", model, "song.wav", "--group", "a=1-4", "-o", "b", "-n")
    assert (result.code, result.paths) == (0, ["b/song/a.wav"])
    assert "song.wav: would write 1 stems, PCM_16, in about" in result.err
    assert not (cli.folder / "b").exists()
    result = cli("split", "song.wav", "-k", "2", "--save-model", "-n", "-o", "b")
    assert "would write 2 stems and the model, PCM_16" in result.err


def test_the_manifest_tells_what_was_rendered_from(cli: Cli, model: str) -> None:
    result = cli("render", model, "song.wav", "-o", "b", "--mask-power", "2", "--json")
    (track,) = json.loads(result.out)["tracks"]
    assert track == json.loads((cli.folder / "b/song/song.nmfsep.json").read_text())
    assert track["rendered_from"] == {"path": model, "sha256": digests([model], cli.folder)[0]}
    assert (track["model"], track["settings"]["mask_power"], track["settings"]["components"]) == (None, 2, 4)
    assert track["fit"][0]["solver"] == "mue"
    assert {"read", "match", "render", "hash"} == track["seconds"].keys()
    assert cli("check", "b").code == 0


def test_inspect_shows_what_can_be_grouped(cli: Cli, model: str) -> None:
    assert cli("render", model, "--group", "voice=1,3").code == 0
    result = cli("inspect", model)
    lines = result.out.decode().splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0] == "model of song.wav: 0.750 s from 0.000 s on, 8000 Hz, 1 channel"
    assert [line.split()[:2] for line in lines[-4:]] == [[str(n), f"component-{n}"] for n in (1, 2, 3, 4)]
    about = json.loads(cli("inspect", model, "--json").out)
    assert (about["kind"], about["mixture"]["length"]) == ("model", 6000)
    assert [entry["name"] for entry in about["components"]] == about["stems"]
    assert sum(entry["energy_share"] for entry in about["components"]) == pytest.approx(1, abs=1e-5)


def test_inspect_shows_the_groups_that_were_saved(cli: Cli, song: Path) -> None:
    assert cli("split", "song.wav", "-k", "3", "--group", "voice=1,3", "--save-model").code == 0
    about = json.loads(cli("inspect", "separated/song/song.nmf.npz", "--json").out)
    assert about["stems"] == ["voice", "component-2"]
    assert [entry["stem"] for entry in about["components"]] == ["voice", "component-2", "voice"]
