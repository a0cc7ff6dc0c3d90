"""What split writes: the right files, in the right format, that add up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import LENGTH, RATE, Cli, assert_add_up, digests, files, real, whole

STEMS = [f"separated/song/component-{index}.wav" for index in (1, 2, 3, 4)]


def test_writes_one_file_a_component_and_prints_their_paths_only(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "4")
    assert (result.code, result.paths, result.err) == (0, STEMS, "")
    assert files(cli.folder) == sorted([*STEMS, "separated/song/song.nmfsep.json", "song.wav"])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_stems_have_the_rate_channels_length_and_sample_format_of_the_input(
    cli: Cli, sounds: Path, subtype: str
) -> None:
    stereo, _ = sf.read(sounds / "stereo.wav")
    sf.write(cli.folder / "in.wav", stereo, 22050, subtype)
    result = cli("split", "in.wav", "-k", "3")
    assert result.code == 0
    stems = [cli.folder / path for path in result.paths]
    for stem in stems:
        info = sf.info(stem)
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (22050, 2, LENGTH, subtype)
    assert_add_up(stems, cli.folder / "in.wav")


@pytest.mark.parametrize(
    ("name", "subtype", "expected"),
    [
        ("in.flac", "PCM_16", "PCM_16"),
        ("in.flac", "PCM_24", "PCM_24"),
        ("in.flac", "PCM_S8", "PCM_U8"),  # WAV has bytes without a sign only; the samples are the same
        ("in.aiff", "PCM_24", "PCM_24"),
        ("in.w64", "FLOAT", "FLOAT"),
        ("in.rf64", "PCM_16", "PCM_16"),
        ("in.caf", "PCM_16", "PCM_16"),
    ],
)
def test_other_containers_give_wav_with_the_same_samples(
    cli: Cli, sounds: Path, name: str, subtype: str, expected: str
) -> None:
    samples, rate = sf.read(sounds / "song.wav")
    sf.write(cli.folder / name, samples, rate, subtype)
    result = cli("split", name, "-k", "2")
    assert result.code == 0
    stems = [cli.folder / path for path in result.paths]
    assert {(sf.info(stem).format, sf.info(stem).subtype) for stem in stems} == {("WAV", expected)}
    assert_add_up(stems, cli.folder / name)


@pytest.mark.parametrize("name", ["in.ogg", "in.mp3"])
def test_a_lossy_input_gives_24_bits_that_add_up_and_says_so(cli: Cli, sounds: Path, name: str) -> None:
    samples, rate = sf.read(sounds / "song.wav")
    sf.write(cli.folder / name, samples, rate)
    result = cli("split", name, "-k", "2")
    assert result.code == 0
    assert "the input is lossy" in result.err
    assert "24 bits" in result.err
    x = real(cli.folder / name)
    stems = [cli.folder / path for path in result.paths]
    assert {sf.info(stem).subtype for stem in stems} == {"PCM_24"}
    assert np.abs(sum(map(real, stems)) - x).max() <= 2.0**-23


def test_two_tones_come_out_one_a_stem(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2")
    t = np.arange(LENGTH) / RATE
    for path, hertz in zip(result.paths, (440, 1300), strict=True):  # the louder first
        spectrum = np.abs(np.fft.rfft(real(cli.folder / path)[:, 0]))
        assert np.argmax(spectrum) == pytest.approx(hertz * t[-1], abs=2)


def test_the_manifest_tells_how_the_stems_were_made(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "3", "--seed", "7")
    manifest = json.loads((cli.folder / "separated/song/song.nmfsep.json").read_text())
    assert manifest["schema"] == 1
    assert {"nmfsep", "numpy", "soundfile", "libsndfile", "python"} <= manifest["versions"].keys()
    assert manifest["settings"] | {"components": 3, "seed": 7, "divergence": "kl"} == manifest["settings"]
    assert manifest["input"] == {
        "path": "song.wav", "relative": "../../song.wav", "sha256": digests(["song.wav"], cli.folder)[0],
        "sample_rate": RATE, "channels": 1, "offset": 0, "length": LENGTH, "subtype": "PCM_16",
    }  # fmt: skip
    assert manifest["format"] == {"container": "wav", "subtype": "PCM_16"}
    assert [stem["sha256"] for stem in manifest["stems"]] == digests(result.paths, cli.folder)
    assert [stem["bytes"] for stem in manifest["stems"]] == [os.path.getsize(cli.folder / p) for p in result.paths]
    shares = [stem["energy_share"] for stem in manifest["stems"]]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert (manifest["sum_error"], manifest["gain"], manifest["warnings"]) == (0, 1, [])
    losses = list(manifest["fit"][0]["losses"].values())
    assert losses[-1] < losses[0]
    assert {"read", "factorize", "render", "hash"} == manifest["seconds"].keys()


def test_json_is_a_document_in_a_line_with_the_manifest(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "--json")
    assert (result.code, result.err) == (0, "")
    manifest = json.loads((cli.folder / "separated/song/song.nmfsep.json").read_text())
    (found,) = result.documents
    assert found == {"path": "song.wav", "status": "done", "tracks": [manifest], "errors": []}


def test_every_input_of_several_gets_its_own_stems(cli: Cli) -> None:
    # another tool once wrote file N - 1 under the name of file N, so each has samples of its own
    for index, hertz in enumerate((200, 500, 900)):
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(LENGTH) / RATE)
        sf.write(cli.folder / f"tone{index}.wav", tone, RATE, "PCM_16")
    result = cli("split", "tone2.wav", "tone0.wav", "tone1.wav", "-k", "2")
    assert result.code == 0
    tracks = ("tone2", "tone0", "tone1")
    assert result.paths == [f"separated/{track}/component-{index}.wav" for track in tracks for index in (1, 2)]
    for track in ("tone2", "tone0", "tone1"):
        stems = [path for path in result.paths if f"/{track}/" in path]
        assert_add_up([cli.folder / stem for stem in stems], cli.folder / f"{track}.wav")


def test_only_writes_the_stems_it_names_as_they_are_in_the_whole_set(cli: Cli, song: Path) -> None:
    everything = cli("split", "song.wav", "-k", "3", "-o", "all")
    result = cli("split", "song.wav", "-k", "3", "-o", "some", "--only", "component-3", "--only", "component-1")
    assert result.paths == ["some/song/component-1.wav", "some/song/component-3.wav"]
    assert files(cli.folder / "some") == ["song/component-1.wav", "song/component-3.wav", "song/song.nmfsep.json"]
    assert digests(result.paths, cli.folder) == digests(everything.paths[::2], cli.folder)


@pytest.mark.parametrize(("option", "name"), [("--residual", "residual"), ("--residual=rest", "rest")])
def test_residual_is_one_more_stem_and_the_sum_stays_exact(cli: Cli, song: Path, option: str, name: str) -> None:
    # the option stands before an input on purpose: it must not take the file name for its value
    result = cli("split", "-k", "2", option, "song.wav")
    assert result.paths == [f"separated/song/{stem}.wav" for stem in ("component-1", "component-2", name)]
    assert whole(cli.folder / result.paths[-1]).any()
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_silence_gives_silent_stems_and_a_warning(cli: Cli, sounds: Path) -> None:
    result = cli("split", sounds / "silence.wav", "-k", "2")
    assert result.code == 0
    assert "silence.wav: warning: everything is zero" in result.err
    assert len(result.paths) == 2
    assert not any(whole(cli.folder / path).any() for path in result.paths)


@pytest.mark.parametrize(("right", "said"), [(-1.0, "is silence"), (-0.9, "holds 0.3% of their energy"), (-0.3, "")])
def test_channels_that_cancel_in_their_mean_are_told(cli: Cli, right: float, said: str) -> None:
    left = 0.5 * np.sin(np.arange(4000) ** 1.2)
    sf.write(cli.folder / "x.wav", np.c_[left, right * left], 8000, "FLOAT")
    result = cli("split", "x.wav", "-k", "2", "--channels", "mid", "--max-iter", "5")
    assert result.code == 0
    assert ("cancel out" in result.err) == bool(said)
    assert said in result.err
    assert "cancel" not in cli("split", "x.wav", "-k", "2", "--channels", "joint", "--max-iter", "5").err


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error_that_tells_when(cli: Cli, bad: float) -> None:
    samples = np.zeros(LENGTH, np.float32)
    samples[2000] = samples[3000] = bad
    sf.write(cli.folder / "in.wav", samples, RATE, "FLOAT")
    result = cli("split", "in.wav", "-k", "2")
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith("nmfsep: in.wav: 2 samples are NaN or infinite, the first at 0.250 s; ")
    assert files(cli.folder) == ["in.wav"]


@pytest.mark.parametrize("length", [1, 2, 700])
def test_less_than_a_frame_is_split_with_a_warning(cli: Cli, sounds: Path, length: int) -> None:
    samples, rate = sf.read(sounds / "song.wav", dtype="int16")
    sf.write(cli.folder / "in.wav", samples[100 : 100 + length], rate)
    result = cli("split", "in.wav", "-k", "2")
    assert result.code == 0
    assert f"{length} samples are less than one frame of 768" in result.err.replace("1 sample is", "1 samples are")
    assert_add_up([cli.folder / path for path in result.paths], cli.folder / "in.wav")


def test_a_batch_of_short_inputs_keeps_its_order_in_json(cli: Cli, song: Path, sounds: Path) -> None:
    result = cli("split", sounds / "silence.wav", "song.wav", "-k", "2", "--json")
    tracks = [Path(track["input"]["path"]).name for track in result.joined("tracks")]
    assert tracks == ["silence.wav", "song.wav"]


def test_groups_are_stems_that_add_up_with_the_others(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "4", "--group", "voice=1,3", "--residual")
    names = ("voice", "component-2", "component-4", "residual")
    assert (result.code, result.paths) == (0, [f"separated/song/{name}.wav" for name in names])
    assert_add_up([cli.folder / path for path in result.paths], song)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("voice=5", "--group voice: there is no stem 5; they are numbered from 1 to 4"),
        ("voice=component-l", "did you mean 'component-"),
        ("a/b=1", "'a/b' cannot be the name of a stem"),
    ],
)
def test_a_group_of_what_there_is_not_is_found_before_any_work(cli: Cli, song: Path, group: str, message: str) -> None:
    result = cli("split", "song.wav", "-k", "4", "--group", group)
    assert (result.code, result.out, files(cli.folder)) == (2, b"", ["song.wav"])
    assert message in result.err


def test_a_mask_that_looks_at_all_channels_writes_stems_that_add_up(cli: Cli, sounds: Path, song: Path) -> None:
    stereo = sounds / "stereo.wav"
    result = cli("split", stereo, "-k", "2", "--save-model", "-o", "o", "--mask", "mwf")
    assert (result.code, result.err) == (0, "")
    assert cli("check", "o").code == 0
    assert cli("render", "o/stereo/stereo.nmf.npz", stereo, "-o", "r").code == 0
    names = ["component-1.wav", "component-2.wav"]
    assert digests(names, cli.folder / "o/stereo") == digests(names, cli.folder / "r/stereo")
    plain = cli("render", "o/stereo/stereo.nmf.npz", stereo, "--mask", "ratio", "-f", "-o", "p")
    assert plain.code == 0
    assert digests(names, cli.folder / "p/stereo") != digests(names, cli.folder / "o/stereo")
    mono = cli("split", song, "-k", "2", "--mask", "mwf", "-o", "mono")
    assert (mono.code, "there is one channel" in mono.err) == (0, True)


@pytest.mark.parametrize("peak", [1e10, 1e18, 1e-20])
def test_samples_of_any_level_are_split_without_a_word(cli: Cli, peak: float) -> None:
    rng = np.random.default_rng(0)
    samples = peak * rng.uniform(-1, 1, (8000, 2)) * (1 + np.sin(np.arange(8000) / 700))[:, None]
    sf.write(cli.folder / "far.wav", samples, 8000, "FLOAT")
    result = cli("split", "far.wav", "-k", "2")
    assert (result.code, result.err) == (0, "")
    shares = [
        stem["energy_share"] for stem in json.loads((cli.folder / "separated/far/far.nmfsep.json").read_text())["stems"]
    ]
    assert sum(shares) == pytest.approx(1, abs=0.3)
