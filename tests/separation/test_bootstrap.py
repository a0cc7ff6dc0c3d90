"""Templates learned again from stems: where a stem is alone, at which lengths of frames, and what comes of it."""

import numpy as np
import pytest
import soundfile as sf

from nmfsep import Audio, separate
from nmfsep.errors import UsageError
from nmfsep.separation import bootstrap, pipeline
from nmfsep.separation.excerpt import SECONDS, STRETCHES, excerpt
from nmfsep.settings.separation import Settings
from nmfsep.signal.read import Source
from nmfsep.signal.stft import STFT
from nmfsep.signal.stream import Stream

RATE = 8000


def strokes(seconds=6.0, seed=0):
    """Three decaying sounds, struck at random, alone and together: (3, 1, samples)."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(0.3 * RATE)) / RATE
    tones = [
        np.sin(2 * np.pi * 110 * t) * np.exp(-9 * t),
        np.sin(2 * np.pi * 700 * t) * np.exp(-14 * t) + 0.4 * np.sin(2 * np.pi * 1433 * t) * np.exp(-25 * t),
        rng.standard_normal(len(t)) * np.exp(-40 * t),
    ]
    sound = np.zeros((3, 1, round(seconds * RATE)))
    for track, tone in zip(sound, tones, strict=True):
        for start in rng.choice(np.arange(0, track.shape[1] - len(t), RATE // 8), round(3 * seconds), replace=False):
            track[0, start : start + len(t)] += rng.uniform(0.4, 1) * tone
    return (0.2 * sound).astype(np.float32)


@pytest.fixture(scope="module")
def truth():
    return strokes()


@pytest.fixture(scope="module")
def mixture(truth):
    return Audio(truth.sum(axis=0), RATE)


def test_templates_of_a_stem_are_spectra_of_what_it_is_alone_in(truth):
    stft = STFT(512)
    found = bootstrap.learned(truth, stft, Settings())
    assert found.W.shape == (stft.bins, 3 * bootstrap.TEMPLATES)
    np.testing.assert_allclose(np.linalg.norm(found.W, axis=0), 1, atol=1e-5)
    centre = stft.frequencies(RATE) @ found.W / found.W.sum(axis=0)
    assert centre[found.owners == 0].max() < centre[found.owners == 1].min()
    assert centre[found.owners == 1].max() < centre[found.owners == 2].min()


def test_a_stem_that_is_silent_or_never_alone_has_templates_all_the_same(truth):
    quiet = truth.copy()
    quiet[2] = 0
    quiet[1] = 0.9 * quiet[0]
    found = bootstrap.learned(quiet, STFT(512), Settings())
    assert set(found.owners.tolist()) == {0, 1, 2}
    assert np.isfinite(found.W).all()


def test_each_round_begins_with_the_stems_of_the_one_before_loudest_first(truth):
    asked = []

    def again(templates):
        asked.append([each.stft.n_fft for each in templates])
        return truth[::-1]

    stfts = [STFT(256), STFT(1024)]
    one = bootstrap.bootstrap(truth, stfts, Settings(), 1, again)
    assert asked == []
    bootstrap.bootstrap(truth, stfts, Settings(), 3, again)
    assert asked == [[256, 1024]] * 2
    energies = np.square(truth).sum(axis=(1, 2))
    loudest = bootstrap.learned(truth[np.argsort(-energies)], stfts[0], Settings())
    np.testing.assert_array_equal(one[0].W, loudest.W)


def test_the_second_look_makes_stems_better_and_the_model_says_how(truth, mixture, gains):
    plain = gains(mixture.samples, truth, separate(mixture, 3, atoms=1).samples)
    model, _ = pipeline.separate(mixture, Settings(components=3))
    stems = separate(mixture, 3)
    again = gains(mixture.samples, truth, stems.samples)
    assert again.mean() > plain.mean() + 1
    np.testing.assert_allclose(stems.samples.sum(axis=0), mixture.samples, atol=1e-6)
    assert len(model.resolutions) == 2
    assert model.settings.mask_power == 2
    about = model.choice.document()
    assert (about["atoms"], about["grouping"], about["rounds"]) == (bootstrap.TEMPLATES, None, 1)
    assert about["start"]
    assert about["entropy"] > 0
    best, _ = pipeline.separate(mixture, Settings(components=3, best=True))
    assert best.choice.rounds == 2


@pytest.mark.parametrize(
    ("given", "resolutions", "power"),
    [({"n_fft": 512}, 1, 2), ({"mask": "wiener"}, 2, 1), ({"mask_power": 1.0, "given": ["mask_power"]}, 2, 1)],
    ids=str,
)
def test_what_is_given_holds(mixture, given, resolutions, power):
    model, _ = pipeline.separate(mixture, Settings(components=3, restarts=2, **given))
    assert model.choice.rounds == 1
    assert len(model.resolutions) == resolutions
    assert model.settings.mask_power == power


def test_smoothness_is_for_one_fit(mixture):
    model, _ = pipeline.separate(mixture, Settings(components=3, smoothness=1.0))
    assert (model.choice.rounds, len(model.resolutions)) == (0, 1)


def test_groups_and_a_residual_are_made_of_what_is_found(mixture):
    whole = separate(mixture, 3)
    grouped = separate(mixture, 3, group=("both=1,3",), residual="rest")
    assert grouped.names == ("both", "component-2", "rest")
    assert whole.samples.shape[0] == 3


def test_threads_change_nothing_and_progress_only_grows(mixture):
    told = []
    one = separate(mixture, 3, threads=1, callback=lambda step, loss: told.append(step)).samples
    np.testing.assert_array_equal(one, separate(mixture, 3, threads=3).samples)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(200, rel=0.05)


@pytest.mark.parametrize(
    "given",
    [{"atoms": 1}, {"solver": "mu"}, {"components": 1}, {"preset": "drums"}, {"channels": "independent"}],
    ids=str,
)
def test_best_is_refused_where_it_could_do_nothing(mixture, given):
    with pytest.raises(UsageError, match="--best"):
        separate(mixture, **({"components": 3} if "preset" not in given else {}) | given, best=True)


@pytest.mark.parametrize("stems", [3, 2])
def test_a_sound_on_disk_is_looked_at_again_in_an_excerpt(tmp_path, gains, stems):
    """Three stems by the bootstrap, two by the pauses of a foreground."""
    truth = np.tile(strokes(), 6)
    if stems == 2:
        truth = np.stack([truth[0] + truth[1], truth[2]])
    path = tmp_path / "long.wav"
    sf.write(path, truth.sum(axis=0).T, RATE, "FLOAT")
    settings = Settings(components=stems, threads=1, **({"grouping": "foreground"} if stems == 2 else {}))
    with Source(path) as source:
        stream, told = Stream(source), []
        model, pieces = pipeline.separate(stream, settings, keep=True, on_progress=lambda step, loss: told.append(step))
        found = np.concatenate([piece.copy() for piece in pieces], axis=-1)
    np.testing.assert_allclose(found.sum(axis=0), truth.sum(axis=0), atol=1e-5)
    assert model.choice.rounds == 1
    assert len(model.resolutions) == (2 if stems == 3 else 3)
    assert all(each.components.kept is not None for each in model.resolutions)
    assert told == sorted(told)
    if stems == 3:
        assert gains(truth.sum(axis=0), truth, found).mean() > 8


def test_a_short_sound_is_its_own_excerpt_and_a_long_one_evenly_spaced_stretches():
    short = Audio(np.random.default_rng(0).standard_normal((2, 5 * RATE)), RATE, 3)
    same = excerpt(short)
    np.testing.assert_array_equal(same.samples, short.samples)
    assert same.exponent == 3
    ramp = Audio(np.arange(100 * 100, dtype=np.float32)[None] / 10_000, 100)
    found = excerpt(ramp)
    assert found.duration == STRETCHES * SECONDS
    middles = found.samples.reshape(STRETCHES, -1)[:, 150] * 10_000
    np.testing.assert_allclose(np.diff(middles), (100 * 100 - 100 * SECONDS) / 7, atol=1.1)
    assert np.abs(found.samples).max() <= 1
    assert excerpt(ramp, 800).samples.shape == (1, 800)
