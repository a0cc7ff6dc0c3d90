"""From files to figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scored import compare

from nmfsep.analysis.evaluate import evaluate, memory_needed, rounded
from nmfsep.errors import UsageError
from nmfsep.settings.commands import EvaluationSettings
from nmfsep.settings.separation import Settings

RATE = 8000


@pytest.fixture
def files(tmp_path, stems, estimates):
    """Write sounds, (channels, samples), as files and return their paths."""

    def write(folder: str, **sounds: np.ndarray) -> list[str]:
        (tmp_path / folder).mkdir(exist_ok=True)
        for name, sound in sounds.items():
            sf.write(tmp_path / folder / f"{name}.wav", sound.T, RATE, "DOUBLE")
        return [str(tmp_path / folder / f"{name}.wav") for name in sounds]

    return write


@pytest.fixture
def truth(files, stems) -> list[str]:
    return files("true", a=stems[0], b=stems[1], c=stems[2])


@pytest.fixture
def found(files, estimates) -> list[str]:
    return files("found", x=estimates[2], y=estimates[0], z=estimates[1])


def test_the_permutation_is_recovered_and_the_figures_are_those_of_compare(truth, found, stems, estimates):
    result = evaluate(truth, found)
    assert [(row.stem, row.estimate) for row in result.rows] == [("a", "y"), ("b", "z"), ("c", "x")]
    assert (result.matched_by, result.left_over, result.warnings) == ("best", (), ())
    assert (result.length, result.sample_rate, result.channels) == (6000, RATE, 2)
    figures = compare(stems, np.concatenate([estimates, stems.sum(axis=0, keepdims=True)]))
    for j, row in enumerate(result.rows):
        for name in ("si_sdr", "sdr", "sir", "sar", "snr"):
            assert row.figures[name] == pytest.approx(getattr(figures, name)[j, j], abs=1e-6)
        for name in ("si_sdr", "sdr", "snr"):
            gain = getattr(figures, name)[j, j] - getattr(figures, name)[j, 3]
            assert row.figures[f"{name}_gain"] == pytest.approx(gain, abs=1e-6)
    np.testing.assert_allclose(result.bleed, figures.bleed.T[[2, 0, 1]], atol=1e-6)
    mean = np.mean([figures.sdr[j, j] for j in range(3)])
    assert result.mean["sdr"] == pytest.approx(mean, abs=1e-6)


def test_names_decide_where_they_are_the_same_unless_told_otherwise(truth, files, estimates):
    swapped = files("swapped", a=estimates[1], b=estimates[0], c=estimates[2])
    by_name = evaluate(truth, swapped)
    assert ([row.estimate for row in by_name.rows], by_name.matched_by) == (["a", "b", "c"], "name")
    best = evaluate(truth, swapped, settings=EvaluationSettings(match="best"))
    assert ([row.estimate for row in best.rows], best.matched_by) == (["b", "a", "c"], "best")
    assert best.mean["sdr"] > by_name.mean["sdr"] + 5


def test_the_mixture_is_the_sum_of_the_stems_or_the_file_given(truth, found, files, stems):
    (same,) = files("mix", same=stems.sum(axis=0))
    (other,) = files("mix", other=stems.sum(axis=0) + 0.5 * stems[0])
    by_sum, by_file, by_other = (evaluate(truth, found, mixture) for mixture in (None, same, other))
    assert by_file.document() == by_sum.document()
    assert by_other.rows[0].figures["si_sdr_gain"] < by_sum.rows[0].figures["si_sdr_gain"] - 1
    assert by_other.rows[0].figures["si_sdr"] == pytest.approx(by_sum.rows[0].figures["si_sdr"], abs=1e-9)


def test_one_stem_alone_gains_nothing_unless_there_is_a_mixture(truth, found, files, stems):
    alone = evaluate(truth[:1], found)
    assert alone.rows[0].estimate == "y"
    assert np.isnan([alone.rows[0].figures[name] for name in ("si_sdr_gain", "sdr_gain", "snr_gain", "sir")]).all()
    (mixture,) = files("mix", mix=stems.sum(axis=0))
    assert evaluate(truth[:1], found, mixture).rows[0].figures["sdr_gain"] > 5


def test_estimates_too_many_are_left_over_and_stems_too_many_stay_without(truth, found):
    few = evaluate(truth[:2], found)
    assert few.left_over == ("x",)
    assert few.warnings == ("estimate 'x' is left over",)
    assert few.bleed.shape == (3, 2)
    many = evaluate(truth, found[:2])
    assert [row.estimate for row in many.rows] == ["y", None, "x"]
    assert many.warnings == ("true stem 'b' has no estimate; the means leave it out",)
    assert np.isnan(many.rows[1].figures["sdr"])
    assert many.mean["sdr"] == pytest.approx(np.mean([many.rows[j].figures["sdr"] for j in (0, 2)]))


def test_silence_is_undefined_and_told(files, truth, found, stems):
    quiet = 0 * stems[0]
    result = evaluate([*truth, *files("true", d=quiet)], [*found, *files("found", w=quiet)])
    assert [row.estimate for row in result.rows] == ["y", "z", "x", "w"]
    assert all(np.isnan(value) for value in result.rows[3].figures.values())
    assert result.warnings == ("true stem 'd' is silent, so nothing can be said of it; the means leave it out",)
    assert rounded(result.mean["sdr"]) == rounded(evaluate(truth, found).mean["sdr"])
    assert result.document()["stems"][3]["sdr"] is None
    assert result.document()["bleed"]["w"] == dict.fromkeys("abcd")
    assert result.document()["bleed"]["x"]["d"] is None
    mute = evaluate(truth, [found[0], found[1], *files("found", w=quiet)])
    assert mute.rows[1].estimate == "w"
    assert mute.warnings == ("estimate 'w' is silent; the means leave out its stem, 'b'",)


def test_the_oracle_uses_the_stft_and_mask_asked_for(truth, found):
    def oracle(**settings):
        chosen = EvaluationSettings(oracle=True)
        rows = evaluate(truth, found, settings=chosen, oracle=Settings(**settings)).rows
        return np.array([row.figures["oracle_si_sdr"] for row in rows])

    default = oracle()
    np.testing.assert_array_equal(default, oracle(n_fft=768, hop_length=192))  # of three stems at 8 kHz
    others = [oracle(n_fft=256), oracle(hop_length=100), oracle(mask="binary"), oracle(mask_power=2)]
    assert len({round(float(values[0]), 3) for values in (default, *others)}) == 5
    assert "oracle_sdr" not in evaluate(truth, found).columns


def test_the_oracle_of_stems_apart_in_time_is_near_perfect(files):
    t = np.arange(8192)
    first, second = np.zeros((2, 1, 8192))
    first[0, :3500], second[0, 4500:] = np.sin(0.3 * t[:3500]), np.sin(0.5 * t[4500:])
    truth = files("apart", a=first, b=second)
    result = evaluate(truth, truth, settings=EvaluationSettings(oracle=True), oracle=Settings(n_fft=256))
    assert min(row.figures["oracle_si_sdr"] for row in result.rows) > 60
    assert {row.figures["si_sdr"] for row in result.rows} == {100}


def test_too_little_memory_is_refused_before_reading(truth, found):
    need = memory_needed(3, 3, 2, 512, None)
    evaluate(truth, found, limit=need)
    with pytest.raises(UsageError, match=r"3 true stems need about .* use a smaller --filter-length"):
        evaluate(truth, found, limit=need - 1)
    evaluate(truth, found, settings=EvaluationSettings(filter_length=16), limit=need - 1)


def test_figures_are_rounded_without_a_negative_zero():
    assert str(rounded(-1e-9)) == "0.0"
    assert rounded(float("nan")) is None
    assert rounded(1.23456) == 1.235


@pytest.mark.parametrize("value", [{"match": "nam"}, {"filter_length": 0}, {"filter_length": 1 << 17}])
def test_settings_are_checked(value):
    with pytest.raises(UsageError):
        EvaluationSettings(**value)


def test_files_are_only_read(truth, found, tmp_path):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.wav")}
    evaluate(truth, found, settings=EvaluationSettings(oracle=True))
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path(tmp_path).rglob("*.wav")} == before
