"""The figures, against known values and another program."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scored import compare

from nmfsep.analysis.scores import LIMIT, Figures

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("NMFSEP_DATA", ROOT.parent / "shared" / "data"))

# Every estimate held against every reference by mir_eval 0.8.2 on the signals of conftest.py:
# separation._bss_source_crit(*separation._bss_decomp_mtifilt(references, estimate, reference, 512)); for stereo with
# the channels laid end to end, 600 zeros after each.
MIR_EVAL = {
    1: {
        "sdr": [[17.2097, -7.2970, -11.6590], [-10.2848, 9.8801, -9.4024], [-10.5536, -10.9552, 15.6342]],
        "sir": [[20.6570, -7.2295, -11.6249], [-10.2360, 10.5326, -9.3668], [-10.5050, -10.8938, 17.0345]],
        "sar": [[19.8601, 18.8026, 21.3161]] * 3,
    },
    2: {
        "sdr": [[15.3202, -9.4276, -11.3838], [-11.5723, 9.1357, -11.1458], [-10.6561, -10.0180, 14.6472]],
        "sir": [[21.4770, -9.2885, -11.3072], [-11.4706, 10.4443, -11.0688], [-10.5529, -9.8807, 17.5893]],
        "sar": [[16.5559, 15.3584, 17.8019]] * 3,
    },
}


def orthogonal(signal: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Return a signal without what it shares with the rows of `to`, and of unit energy."""
    basis = np.linalg.qr(to.T)[0]
    rest = signal - basis @ (basis.T @ signal)
    return rest / np.linalg.norm(rest)


def delayed(signal: np.ndarray, lags: int) -> np.ndarray:
    """Return a signal that is silent at its end, delayed by 0 to lags - 1 samples."""
    return np.stack([np.roll(signal, lag) for lag in range(lags)])


@pytest.mark.parametrize("channels", [1, 2])
def test_bss_eval_is_what_mir_eval_finds(stems, estimates, channels):
    figures = compare(stems[:, :channels], estimates[:, :channels])
    for name, expected in MIR_EVAL[channels].items():
        np.testing.assert_allclose(getattr(figures, name), expected, atol=2e-4)


def test_si_sdr_and_snr_are_as_defined(stems, estimates):
    figures = compare(stems, estimates)
    for j, s in enumerate(stems):
        for i, e in enumerate(estimates):
            target = (s * e).sum() / (s * s).sum() * s
            si_sdr = 10 * np.log10((target**2).sum() / ((e - target) ** 2).sum())
            snr = 10 * np.log10((s**2).sum() / ((e - s) ** 2).sum())
            assert figures.si_sdr[j, i] == pytest.approx(si_sdr, abs=1e-9)
            assert figures.snr[j, i] == pytest.approx(snr, abs=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("level", [-20.0, 0.0, 10.0, 40.0, 80.0])
def test_orthogonal_noise_of_known_level_gives_that_figure(stems, level):
    # two references, each silent in the last samples, and noise that no filter of either can make
    references = stems[:2, 0].copy()
    references[:, -40:] = 0
    spanned = np.concatenate([delayed(s, 32) for s in references])
    noise = orthogonal(stems[2, 0], spanned)
    estimate = references[0] + np.linalg.norm(references[0]) * 10 ** (-level / 20) * noise
    figures = compare(references, estimate[None], 32)
    for name in ("si_sdr", "sdr", "sar", "snr"):
        assert getattr(figures, name)[0, 0] == pytest.approx(level, abs=1e-3), name
    assert figures.sir[0, 0] == LIMIT
    assert figures.bleed[0, 0] == pytest.approx(0, abs=1e-6)


def test_a_leak_of_known_level_is_interference_and_not_artefact(stems):
    references = stems[:2, 0].copy()
    references[:, -40:] = 0
    references[1] = orthogonal(references[1], delayed(references[0], 1)) * np.linalg.norm(references[0])
    estimate = references[0] + 0.1 * references[1]
    figures = compare(references, estimate[None], 1)
    assert figures.sdr[0, 0] == pytest.approx(20, abs=1e-6)
    assert figures.sir[0, 0] == pytest.approx(20, abs=1e-6)
    assert figures.sar[0, 0] == LIMIT
    np.testing.assert_allclose(figures.bleed[:, 0], [0, -20], atol=1e-6)


def test_the_bleed_of_a_mixture_is_its_mixing_matrix(stems):
    mixing = np.array([[1.0, 0.1, 0.5], [-0.01, 2.0, 0.3], [0.2, 0.0, 0.7], [0.0, 0.0, 1.0]])
    signals = np.einsum("es,scn->ecn", mixing, stems)
    for length in (1, 64):
        bleed = compare(stems, signals, length).bleed.T
        with np.errstate(divide="ignore"):
            expected = np.maximum(20 * np.log10(np.abs(mixing)), -LIMIT)
        np.testing.assert_allclose(bleed[mixing != 0], expected[mixing != 0], atol=1e-3)
        assert bleed[mixing == 0].max() < -80


def test_bleed_does_not_depend_on_the_level_of_the_other_references(stems):
    quiet = stems * np.array([1, 1e-3, 1])[:, None, None]
    signal = (quiet[0] + 0.5 * quiet[1])[None]
    assert compare(quiet, signal).bleed[1, 0] == pytest.approx(20 * np.log10(0.5), abs=1e-3)


@pytest.mark.parametrize("gain", [1.0, -1.0, 0.25, 1e-3, 1e3])
def test_a_scaled_copy_is_perfect_but_for_plain_snr(stems, gain):
    figures = compare(stems, gain * stems)
    for name in ("si_sdr", "sdr", "sir", "sar"):
        np.testing.assert_array_equal(np.diag(getattr(figures, name)), LIMIT)
    assert (np.diag(figures.snr) == LIMIT).all() == (gain == 1)
    if gain != 1:
        assert figures.snr[0, 0] == pytest.approx(-20 * np.log10(abs(gain - 1)), abs=1e-6)
    assert np.diag(figures.bleed) == pytest.approx(np.full(3, 20 * np.log10(abs(gain))), abs=1e-3)


def test_a_delay_within_the_filter_is_forgiven_and_a_longer_one_is_not(stems):
    sound = stems[:1, :1].copy()
    sound[..., -100:] = 0
    late = np.roll(sound, 20, axis=-1)
    assert compare(sound, late, 21).sdr[0, 0] == LIMIT
    assert compare(sound, late, 20).sdr[0, 0] < 6
    assert compare(sound, late, 21).si_sdr[0, 0] < 0  # nor by SI-SDR, which knows no filter


def test_with_a_filter_of_one_sample_sdr_is_si_sdr(stems, estimates):
    figures = compare(stems, estimates, 1)
    np.testing.assert_allclose(figures.sdr, figures.si_sdr, atol=1e-6)


def test_nothing_depends_on_level(stems, estimates):
    figures = compare(stems, estimates)
    for scale in (2.0**-60, 2.0**60):
        scaled = compare(stems * scale, estimates * scale)
        for field in fields(Figures):
            np.testing.assert_allclose(getattr(scaled, field.name), getattr(figures, field.name), atol=1e-9)


def test_signals_that_have_nothing_in_common_stop_at_the_limit():
    references, signals = np.zeros((2, 4000)), np.zeros((1, 4000))
    references[0, 100], references[1, 200], signals[0, 3000] = 1, 1, 1
    figures = compare(references, signals)
    for name in ("si_sdr", "sdr", "sar", "bleed"):
        assert (getattr(figures, name) == -LIMIT).all(), name


def test_silence_is_undefined_and_touches_nothing_else(stems, estimates):
    whole = compare(stems[:2], estimates[:2])
    silence = np.zeros((1, *stems.shape[1:]))
    padded = compare(np.concatenate([stems[:1], silence, stems[1:2]]), np.concatenate([silence, estimates[:2]]))
    for field in fields(Figures):
        found = getattr(padded, field.name)
        assert np.isnan(found[1]).all(), field.name
        assert np.isnan(found[:, 0]).all(), field.name
        np.testing.assert_allclose(found[np.ix_([0, 2], [1, 2])], getattr(whole, field.name), atol=1e-9)
    only = compare(silence, silence)
    assert all(np.isnan(getattr(only, field.name)).all() for field in fields(Figures))


def test_one_reference_has_no_interference(stems, estimates):
    figures = compare(stems[:1], estimates[:1])
    assert np.isnan(figures.sir).all()
    np.testing.assert_array_equal(figures.sar, figures.sdr)


def test_references_that_determine_each_other_give_finite_figures(stems, estimates):
    t = np.arange(stems.shape[-1])
    tone = np.sin(0.1 * t)
    hard = np.stack([tone, tone, 0.5 * tone + np.sin(0.1 * t + 1), stems[0, 0]])  # a double, dependents, pure tones
    figures = compare(hard, np.stack([tone, *estimates[:, 0]]))
    for field in fields(Figures):
        assert np.isfinite(getattr(figures, field.name)).all(), field.name
    assert figures.sdr[0, 0] > 80
    np.testing.assert_array_equal(figures.sdr[0], figures.sdr[1])
    # the double shares what there is with the original: half the amplitude each
    np.testing.assert_allclose(compare(stems[[0, 0, 1]], stems[:1]).bleed[:2, 0], -6.0206, atol=0.01)


@pytest.mark.parametrize("case", ["music_gm_jazz_trio", "drums_808_box"])
def test_figures_agree_with_the_script_that_measures_the_project(case):
    script = DATA.parent / "bench" / "metrics.py"
    if not (script.is_file() and (DATA / case).is_dir()):
        pytest.skip(f"no {case} in {DATA}; set NMFSEP_DATA to the folder of recordings")
    spec = importlib.util.spec_from_file_location("metrics", script)
    metrics = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metrics)
    references = np.stack([sf.read(path)[0] for path in sorted((DATA / case / "stems").iterdir())])
    mixture = sf.read(DATA / case / "mix.flac")[0]
    signals = np.concatenate([0.7 * references[::-1] + 0.2 * mixture, mixture[None]])
    channels_first = [np.atleast_3d(x).swapaxes(1, 2) for x in (references, signals)]
    figures = compare(*channels_first)
    for j, s in enumerate(references):
        for i, e in enumerate(signals):
            assert figures.si_sdr[j, i] == pytest.approx(metrics.si_sdr(s, e), abs=0.01)
            assert figures.snr[j, i] == pytest.approx(metrics.sdr(s, e), abs=0.01)
