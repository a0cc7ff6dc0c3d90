"""What stems are said to sound like, and what the user is told to try."""

import numpy as np
import pytest

from nmfsep.kernels.product import Factors
from nmfsep.separation.components import Components
from nmfsep.separation.describe import descriptors, hints, summarize
from nmfsep.signal.stft import STFT

STFT_ = STFT(1024)
RATE = 16000
FREQUENCIES = STFT_.frequencies(RATE)
FRAMES = 300


def comb(hertz):
    lines = np.arange(1, 12) * hertz
    return np.exp(-0.5 * ((FREQUENCIES[:, None] - lines) / 12) ** 2) @ (1 / np.arange(1, 12))


def band(low, high):
    noise = np.random.default_rng(0).gamma(3, 1, len(FREQUENCIES))
    return noise * ((low <= FREQUENCIES) & (high > FREQUENCIES))


def held():
    return (np.arange(FRAMES) % 100 < 60) * 1.0


def struck(every=50):
    return np.exp(-(np.arange(FRAMES) % every) / 2.0)


def model(templates, activations, groups=None, sides=((1.0,) * 9,)):
    W, Z = np.stack(templates, axis=1).astype(np.float32), np.stack(activations).astype(np.float32)
    count = W.shape[1]
    factors = [Factors(W * np.array(side[:count], np.float32), Z) for side in sides]
    return Components(factors, groups or [[k] for k in range(count)])


def told(model):
    return hints(summarize(model), [f"component-{k + 1}" for k in range(model.count)])


def test_a_portrait_holds_the_products_of_the_stems_models():
    rng = np.random.default_rng(0)
    given = model(
        list(rng.random((4, 513))), list(rng.random((4, FRAMES))), [[0, 2], [1, 3]], [(1, 1, 1, 1), (2, 0, 1, 3)]
    )
    portrait = summarize(given)
    stems = np.array(
        [[factors.W[:, group] @ factors.Z[group] for factors in given.factors] for group in given.groups], np.float64
    )
    np.testing.assert_allclose(portrait.products, np.einsum("icft,jcft->ij", stems, stems), rtol=1e-4)
    np.testing.assert_allclose(portrait.Z, stems.sum(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(portrait.W.T, stems.sum(axis=(1, 3)) / stems.sum(axis=(1, 2, 3))[:, None], rtol=1e-4)
    np.testing.assert_allclose(portrait.bleed.sum(axis=1), 1)


def test_stems_are_described_by_pitch_stroke_time_and_side():
    given = model([comb(220), band(300, 8000)], [held(), struck()], sides=[(1, 3), (1, 1)])
    note, hat = descriptors(summarize(given), ["a", "b"], STFT_, RATE)
    assert (note["pitch"]["name"], hat["pitch"]) == ("A3", None)
    assert note["percussiveness"] < 0.25 < 0.8 < hat["percussiveness"]
    assert note["activity"] == pytest.approx(0.6, abs=0.02)
    assert hat["activity"] < 0.2
    assert (note["pan"], hat["pan"]) == (0, -0.5)
    assert 3500 < hat["centroid"] < 4800
    assert 0 < note["centre"] < 1000 < 300 * 10 < hat["centre"] < 4100


def test_mono_has_no_pan_and_silence_no_figures():
    given = model([comb(220), np.zeros(513)], [held(), np.zeros(FRAMES)])
    note, nothing = descriptors(summarize(given), ["a", "b"], STFT_, RATE)
    assert note["pan"] is None
    assert nothing == {
        "pitch": None, "centroid": 0.0, "centre": 0.0, "percussiveness": 0.0, "activity": 0.0, "pan": None
    }  # fmt: skip


def test_stems_that_differ_need_no_hint():
    assert told(model([comb(220), comb(277), band(5000, 8000)], [held(), np.roll(held(), 40), struck()])) == []


def test_stems_that_are_alike_are_named_with_what_to_try():
    twins = model([comb(220), band(5000, 8000), 2 * comb(220)], [held(), struck(), np.roll(held(), 60)])
    (hint,) = told(twins)
    assert hint == "component-1 and component-3 are 1.00 alike: try -k 2"


def test_empty_stems_are_named_with_what_to_try():
    empty = model([comb(220), comb(277), comb(330)], [held(), np.roll(held(), 40), 1e-4 * held()])
    assert told(empty) == ["component-3 holds next to nothing: try -k 2"]


def test_stems_that_lie_over_each_other_are_named():
    over = model([2 * comb(220) + comb(277), 2 * comb(220) + comb(330)], [held(), held()])
    (hint,) = told(over)
    assert hint.startswith("component-1 and component-2 lie over each other (")


def test_silence_and_a_single_stem_need_no_hint():
    assert told(model([np.zeros(513)] * 2, [np.zeros(FRAMES)] * 2)) == []
    assert told(model([comb(220)], [held()])) == []
