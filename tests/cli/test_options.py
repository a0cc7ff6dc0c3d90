"""What the options of split change."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import ENDLESS, LENGTH, RATE, Cli, assert_add_up, digests, files, real, whole


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{track}-{stem}.{ext}", ["out/song-component-1.wav", "out/song-component-2.wav"]),
        (
            "{parent}/{track}_{index}of{k}_seed{seed}.{ext}",
            ["out/in/song_1of2_seed5.wav", "out/in/song_2of2_seed5.wav"],
        ),
        ("a/b/{index}", ["out/a/b/1", "out/a/b/2"]),
    ],
)
def test_filename_lays_out_the_names(cli: Cli, song: Path, template: str, expected: list[str]) -> None:
    (cli.folder / "in").mkdir()
    shutil.copy(song, cli.folder / "in")
    result = cli("split", "in/song.wav", "-k", "2", "--seed", "5", "-o", "out", "--filename", template)
    assert (result.code, result.paths) == (0, expected)
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_flat_names_of_several_inputs_share_a_folder(cli: Cli, song: Path) -> None:
    shutil.copy(song, cli.folder / "other.wav")
    result = cli("split", "song.wav", "other.wav", "-k", "2", "-o", "out", "--filename", "{track}.{index}.{ext}")
    assert result.code == 0
    assert files(cli.folder / "out") == [
        "other.1.wav", "other.2.wav", "other.nmfsep.json", "song.1.wav", "song.2.wav", "song.nmfsep.json",
    ]  # fmt: skip
    assert cli("check", "out").code == 0


@pytest.mark.parametrize(
    ("options", "container", "subtype", "extension"),
    [
        (["--flac"], "FLAC", "PCM_16", "flac"),
        (["--format", "flac", "--int24"], "FLAC", "PCM_24", "flac"),
        (["--int16"], "WAV", "PCM_16", "wav"),
        (["--int24"], "WAV", "PCM_24", "wav"),
        (["--float32"], "WAV", "FLOAT", "wav"),
        (["--subtype", "DOUBLE"], "WAV", "DOUBLE", "wav"),
        (["--subtype", "pcm_32"], "WAV", "PCM_32", "wav"),
        (["--format", "rf64"], "RF64", "PCM_16", "wav"),
        (["--format", "w64"], "W64", "PCM_16", "w64"),
        (["--format", "aiff"], "AIFF", "PCM_16", "aiff"),
    ],
)
def test_lossless_formats_add_up(
    cli: Cli, song: Path, options: list[str], container: str, subtype: str, extension: str
) -> None:
    result = cli("split", "song.wav", "-k", "3", *options)
    assert (result.code, result.err) == (0, "")
    assert result.paths == [f"separated/song/component-{index}.{extension}" for index in (1, 2, 3)]
    stems = [cli.folder / path for path in result.paths]
    assert {(sf.info(stem).format, sf.info(stem).subtype) for stem in stems} == {(container, subtype)}
    if subtype in ("FLOAT", "DOUBLE"):
        assert np.abs(sum(map(real, stems)) - real(song)).max() <= 1e-6 * np.abs(real(song)).max()
    else:
        assert_add_up(stems, song)


@pytest.mark.parametrize(("name", "container"), [("ogg", "OGG"), ("mp3", "MP3")])
def test_lossy_formats_can_be_read_back(cli: Cli, song: Path, name: str, container: str) -> None:
    result = cli("split", "song.wav", "-k", "2", "--format", name)
    assert (result.code, result.err) == (0, "")
    for path in result.paths:
        info = sf.info(cli.folder / path)
        assert (info.format, info.samplerate) == (container, RATE)
        assert info.frames >= LENGTH


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        (["--offset", "0.25"], 2000, LENGTH),
        (["--duration", "0.25"], 0, 2000),
        (["--offset", "0:0.5", "--duration", "0:00:00.125"], 4000, 5000),
        (["--offset", "0.5", "--duration", "1:00"], 4000, LENGTH),
    ],
)
def test_a_stretch_is_cut_to_the_sample(cli: Cli, song: Path, options: list[str], first: int, last: int) -> None:
    result = cli("split", "song.wav", "-k", "2", *options)
    assert result.code == 0
    stretch = whole(song)[first:last]
    np.testing.assert_array_equal(sum(whole(cli.folder / path) for path in result.paths), stretch)
    assert cli("check", "separated").code == 0


def test_an_offset_beyond_the_end_is_an_error(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "--offset", "0.75")
    assert result.code in (1, 2)
    assert result.err == "nmfsep: song.wav: ends at 0.750 s, before --offset 0.75\n"
    assert files(cli.folder) == ["song.wav"]


@pytest.fixture
def square(sounds: Path, tmp_path: Path) -> Path:
    """Return a copy of a wave at full scale, whose stems overshoot."""
    return Path(shutil.copy(sounds / "square.wav", tmp_path))


def test_clamp_keeps_the_sum_exact_and_says_so(cli: Cli, square: Path) -> None:
    result = cli("split", "square.wav", "-k", "3", "--n-fft", "2048")  # clamp is what happens if nothing is said
    assert result.code == 0
    assert "samples of a stem would have left the range of PCM_16; the excess went to the other stems" in result.err
    assert_add_up([cli.folder / path for path in result.paths], square)


def test_rescale_turns_all_stems_down_by_one_factor(cli: Cli, square: Path) -> None:
    result = cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--clip-mode", "rescale", "-q")
    assert (result.code, result.err) == (0, "")
    manifest = json.loads((cli.folder / "separated/square/square.nmfsep.json").read_text())
    gain = manifest["gain"]
    assert 0.3 < gain < 1
    total = sum(real(cli.folder / path) for path in result.paths)
    assert np.abs(total - gain * real(square)).max() <= 2**-15
    plain = cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--float32", "-o", "plain")
    for stem, reference in zip(result.paths, plain.paths, strict=True):
        difference = real(cli.folder / stem) - gain * real(cli.folder / reference)
        assert np.abs(difference).max() <= 3 * 2**-15  # the first holds the rounding of all


def test_rescale_leaves_what_fits_alone(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "3", "--clip-mode", "rescale")
    assert_add_up([cli.folder / path for path in result.paths], song)


def test_clip_mode_error_fails_and_writes_nothing(cli: Cli, square: Path) -> None:
    result = cli("split", "square.wav", "-k", "3", "--n-fft", "2048", "--clip-mode", "error")
    assert (result.code, result.out) == (1, b"")
    assert "samples of the stems would leave the range of PCM_16; use --float32" in result.err
    assert files(cli.folder) == ["square.wav"]


@pytest.mark.parametrize("spelling", ["-n", "--dry-run"])
def test_dry_run_prints_what_would_be_written_and_writes_nothing(cli: Cli, song: Path, spelling: str) -> None:
    result = cli("split", "song.wav", "-k", "2", spelling)
    assert result.code == 0
    assert result.paths == ["separated/song/component-1.wav", "separated/song/component-2.wav"]
    assert "would write 2 stems" in result.err
    assert sorted(path.name for path in cli.folder.iterdir()) == [".temp", "song.wav"]
    assert cli("split", "song.wav", "-k", "2").paths == result.paths


def test_dry_run_as_json_tells_the_memory(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "-n", "--json")
    (track,) = json.loads(result.out)["tracks"]
    assert track["outputs"] == ["separated/song/component-1.wav", "separated/song/component-2.wav"]
    assert track["memory"] > 1 << 20


def test_dry_run_refuses_what_a_run_refuses(cli: Cli, song: Path) -> None:
    contradiction = ("split", "song.wav", "-k", "2", "--solver", "hals", "--divergence", "is")
    assert cli(*contradiction).code == 2
    assert cli(*contradiction, "-n").code == 2


def test_dry_run_of_standard_output_counts_the_stems(cli: Cli, song: Path) -> None:
    assert "2 stems" in cli("split", "song.wav", "-k", "2", "-n", "-o", "-").err


def test_quiet_says_nothing_of_warnings_but_tells_errors(cli: Cli, sounds: Path) -> None:
    result = cli("split", sounds / "silence.wav", sounds / "broken.wav", "-k", "2", "-q")
    assert len(result.paths) == 2
    assert "warning" not in result.err
    assert "broken.wav: is a WAV file without a format" in result.err


def test_verbose_tells_solver_iterations_and_loss(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "-v", "--max-iter", "3", "--tol", "0")
    assert "nmfsep: song.wav: mue stopped after 3 iterations, loss " in result.err


def test_time_limit_ends_a_fit_that_would_go_on(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-k", "2", "--time-limit", "0.05", *ENDLESS)
    assert (result.code, len(result.paths)) == (0, 2)


@pytest.mark.parametrize(
    "options",
    [
        ["--divergence", "frobenius"],
        ["--divergence", "kullback-leibler", "--solver", "mu"],
        ["--divergence", "is", "--mask", "wiener"],
        ["--divergence", "0.5", "--start", "random"],
        ["--solver", "hals", "--divergence", "2", "--start", "nndsvd"],
        ["--solver", "pinv", "--divergence", "2"],
        ["--mask", "binary", "--window", "blackman"],
        ["--mask", "ratio", "--mask-power", "3"],
        ["--channels", "independent", "--n-fft", "512", "--hop-length", "100"],
        ["--channels", "mid", "--window", "boxcar", "--residual"],
        ["--max-iter", "0", "--start", "nndsvdar", "--threads", "2"],
    ],
)
def test_models_and_masks_leave_the_sum_exact(cli: Cli, sounds: Path, options: list[str]) -> None:
    result = cli("split", sounds / "stereo.wav", "-k", "3", "--max-iter", "10", *options)
    assert result.code == 0
    assert all(line.endswith(": one component a stem, not groups of atoms") for line in result.err.splitlines())
    assert_add_up([cli.folder / path for path in result.paths], sounds / "stereo.wav")


def test_the_seed_decides_a_random_start(cli: Cli, song: Path) -> None:
    runs = [
        digests(cli("split", "song.wav", "-k", "3", "--start", "random", "--seed", seed, "-o", out).paths, cli.folder)
        for seed, out in (("1", "a"), ("1", "b"), ("2", "c"))
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("variable", "value", "last"),
    [
        ("NMFSEP_COMPONENTS", "3", "separated/song/component-3.wav"),
        ("NMFSEP_FORMAT", "flac", "separated/song/component-2.flac"),
        ("NMFSEP_OUT", "elsewhere", "elsewhere/song/component-2.wav"),
        ("NMFSEP_RESIDUAL", "rest", "separated/song/rest.wav"),
        ("NMFSEP_ONLY", "component-1", "separated/song/component-1.wav"),
    ],
)
def test_a_variable_stands_for_its_option(cli: Cli, song: Path, variable: str, value: str, last: str) -> None:
    options = [] if variable == "NMFSEP_COMPONENTS" else ["-k", "2"]
    result = cli("split", "song.wav", "-n", *options, env={variable: value})
    assert (result.code, result.paths[-1]) == (0, last)


def test_an_option_wins_over_its_variable(cli: Cli, song: Path) -> None:
    result = cli("split", "song.wav", "-n", "-k", "2", env={"NMFSEP_COMPONENTS": "4"})
    assert len(result.paths) == 2


@pytest.mark.parametrize("variable", ["NMFSEP_QUIET", "NMFSEP_DRY_RUN", "NMFSEP_JSON", "NMFSEP_FLAC"])
def test_a_flag_comes_from_a_variable_too(cli: Cli, sounds: Path, variable: str) -> None:
    result = cli("split", sounds / "silence.wav", "-k", "2", env={variable: "1"})
    assert result.code == 0
    effect = {
        "NMFSEP_QUIET": not result.err,  # silence gives a warning otherwise
        "NMFSEP_DRY_RUN": not (cli.folder / "separated").exists(),
        "NMFSEP_JSON": result.out.startswith(b"{"),
        "NMFSEP_FLAC": result.paths[0].endswith(".flac"),
    }
    assert effect[variable]


def test_only_what_grouping_cannot_do_chooses_another_method_and_that_is_said(cli: Cli, song: Path) -> None:
    limits = ["--max-iter", "400", "--tol", "1e-6", "--time-limit", "600", "--sparsity", "0.01", "--restarts", "2"]
    quiet = [limits, ["--divergence", "kl"], ["--solver", "auto"], ["--fast"], ["--atoms", "1"], ["--preset", "voice"]]
    said = [["--solver", "mu"], ["--start", "random"], ["--divergence", "is"], ["--channels", "independent"]]
    begin = ["split", "song.wav", "-n"]
    results = cli.many(*([*begin, *([] if "--preset" in more else ["-k", "2"]), *more] for more in [*quiet, *said]))
    for more, result in zip([*quiet, *said], results, strict=True):
        assert result.code == 0
        told = [line for line in result.err.splitlines() if "one component a stem" in line]
        note = f"nmfsep: {' '.join(more)}: one component a stem, not groups of atoms"
        assert told == ([note] if more in said else [])
    assert cli("split", "song.wav", "-k", "2", "-q", env={"NMFSEP_SOLVER": "mu"}).err == ""
    assert "--solver mu: one" in cli("split", "song.wav", "-k", "2", env={"NMFSEP_SOLVER": "mu"}).err


def test_a_variable_is_meant_for_the_models_that_have_it(cli: Cli, song: Path) -> None:
    env = {"NMFSEP_SOLVER": "mu", "NMFSEP_SPARSITY": "0.5", "NMFSEP_BACKGROUND": "3", "NMFSEP_MIDI_BY": "pitch"}
    assert cli("split", "song.wav", "-k", "2", "--model", "kmeans", "-q", env=env).code == 0
    refused = cli("split", "song.wav", "-k", "2", "--model", "kmeans", "--sparsity", "0", env=env)
    assert (refused.code, "model 'kmeans' has no option --sparsity" in refused.err) == (2, True)


def test_a_run_with_other_limits_is_not_the_one_that_is_there(cli: Cli, song: Path) -> None:
    begin = ["split", "song.wav", "-k", "2", "--skip-existing", "-v"]
    same = ["--seed", "0", "--solver", "auto"]
    other = ["--max-iter", "200"]  # a default, but not of atoms
    runs = cli.many(begin, begin, [*begin, *same], [*begin, *other], [*begin, *other])
    assert ["skipped" in run.err for run in runs] == [False, True, True, False, True]


def test_a_dry_run_tells_what_would_be_skipped(cli: Cli, song: Path) -> None:
    begin = ["split", "song.wav", "-k", "2", "--skip-existing"]
    runs = cli.many([*begin, "-n"], begin, [*begin, "-n"], [*begin, "-n", "--seed", "1"])
    assert ["would be skipped" in run.err for run in runs] == [False, False, True, False]
    assert ["would write" in run.err for run in runs] == [True, False, False, True]
