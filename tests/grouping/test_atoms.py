"""Several atoms a stem: bands, the choice, groupings, and that they come through to stems and saved models."""

from pathlib import Path

import numpy as np
import pytest

import nmfsep
from nmfsep import Audio, separate
from nmfsep.errors import UsageError
from nmfsep.grouping.atoms import expand_to_bins, find, merged, most_atoms, sampled
from nmfsep.grouping.choice import SIMPLE, loudest
from nmfsep.grouping.foreground import background
from nmfsep.grouping.scene import Scene, bands_of
from nmfsep.grouping.timbre import group, match_runs, weighted_kmeans
from nmfsep.kernels.product import Factors
from nmfsep.separation import pipeline
from nmfsep.separation.mixture import all_frames
from nmfsep.separation.obstacles import require_model
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

SAMPLES = Path(__file__).resolve().parents[2] / "sample_audio"
RATE = 16000


@pytest.fixture(scope="module")
def duet() -> tuple[Audio, np.ndarray]:
    """Return six seconds of a dull and a bright instrument, each with a melody of its own, and the two."""
    rng = np.random.default_rng(3)
    t = np.arange(RATE * 3 // 10) / RATE
    tracks = []
    for notes, odd, slope, decay in (((48, 50, 52, 55), True, 2.5, 3.0), ((64, 67, 69, 71), False, 0.4, 0.5)):
        pieces = []
        for note in rng.choice(notes, 20):
            f = 440 * 2 ** ((note - 69) / 12)
            tone = sum(np.sin(2 * np.pi * h * f * t) / h**slope for h in range(1, 16, 2 if odd else 1) if h * f < 7000)
            pieces.append(tone * np.exp(-decay * t) * np.minimum(1, (0.3 - t) / 0.02) * np.minimum(1, t / 0.005))
        track = np.concatenate(pieces)
        tracks.append(0.1 * track / track.std())
    parts = np.array(tracks, np.float32)
    return Audio(parts.sum(axis=0, keepdims=True), RATE), parts[:, None]


def test_bands_partition_the_bins_and_are_single_below():
    bands = bands_of(1025)
    assert bands.first[0] == 0
    assert (np.diff(bands.first[:50]) == 1).all()
    assert (np.diff(bands.first) >= 1).all()
    spectra = np.random.default_rng(0).random((3, 1025))
    np.testing.assert_allclose(bands.merge(spectra).sum(axis=1), spectra.sum(axis=1))
    back = bands.spread(bands.merge(spectra), spectra[0])
    np.testing.assert_allclose(bands.merge(back), bands.merge(spectra))
    np.testing.assert_allclose(back[0], spectra[0])
    assert bands.merge(np.arange(1025.0))[10] == 10


def test_channels_keep_apart_when_bins_are_merged():
    X = np.random.default_rng(0).random((2 * 65, 300)).astype(np.float32)
    bands = bands_of(65)
    Y = merged(X, bands)
    np.testing.assert_allclose(Y[:, : bands.count], bands.merge(X[:65].T), rtol=1e-6)
    np.testing.assert_allclose(Y[:, bands.count :], bands.merge(X[65:].T), rtol=1e-6)


def test_atoms_of_bands_are_lifted_to_the_bins_of_each_channel():
    rng = np.random.default_rng(0)
    W, Z = rng.gamma(0.3, 1, (2 * 129, 3)), rng.gamma(0.5, 1, (3, 200))
    X, bands = (W @ Z).astype(np.float32), bands_of(129)
    coarse = np.concatenate([bands.merge(W[:129].T).T, bands.merge(W[129:].T).T]).astype(np.float32)
    expanded = expand_to_bins(coarse, Z.astype(np.float32), X, bands, np.arange(200))
    for channel, found in enumerate(expanded):
        true = W[129 * channel : 129 * (channel + 1)]
        for k in range(3):
            cosine = found[:, k] @ true[:, k] / np.linalg.norm(found[:, k]) / np.linalg.norm(true[:, k])
            assert cosine > 0.97


def test_a_long_sound_is_sampled_evenly_and_a_short_one_whole():
    assert sampled(2048).tolist() == list(range(2048))
    frames = sampled(100_000)
    assert len(frames) == 2048
    assert (frames[0], frames[-1]) == (0, 99_999)
    assert (np.diff(frames) >= 1).all()


def test_the_loudest_stretch_is_looked_at():
    Y = np.ones((100, 2))
    Y[60:70] = 5
    assert loudest(Y, 10) == slice(60, 70)
    assert loudest(Y, 200) == slice(0, 100)


def test_frames_longer_than_the_stretch_that_is_looked_at_are_separated_as_well():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 40_000))
    sound = Audio(samples, 1)  # 512 s from frame to frame
    assert len(pipeline.separate(sound, Settings(components=2))[0].grouping.names) == 2


def test_weighted_kmeans_finds_clusters_and_heeds_weights():
    points = np.array([[0.0], [0.2], [5.0], [5.2], [30.0]])
    heavy = np.array([1.0, 1, 1, 1, 1e-9])
    found = weighted_kmeans(points, 2, heavy, np.random.default_rng(0))
    assert found[0] == found[1] != found[2] == found[3]
    found = weighted_kmeans(points, 2, np.ones(5), np.random.default_rng(0))
    assert found[0] == found[3] != found[4]


def test_made_up_timbres_are_told_apart_whatever_their_pitch():
    bins = 1025
    frequencies = np.arange(bins) * 44100 / 2048
    W, true = [], []
    for owner, formant in enumerate((500, 3000)):
        for note in range(45, 69, 3):
            harmonics = np.arange(1, 40) * 440 * 2 ** ((note - 69) / 12)
            lines = np.exp(-0.5 * ((frequencies[:, None] - harmonics) / 20) ** 2)
            W.append(lines @ np.exp(-(np.log2(harmonics / formant) ** 2)))
            true.append(owner)
    Z = np.random.default_rng(0).gamma(0.5, 1, (len(W), 300))
    scene = Scene(np.zeros((300, bins)), np.arange(300), frequencies, lambda spectra: spectra, 0.01)
    found = group(Factors(np.array(W).T, Z), scene, 2)
    agreement = np.mean(found == np.array(true))
    assert max(agreement, 1 - agreement) == 1


def test_stems_of_several_runs_are_numbered_alike():
    rng = np.random.default_rng(0)
    factors = Factors(rng.random((20, 6)), rng.random((6, 30)))
    owners = np.array([0, 0, 1, 1, 2, 2])
    first, second = match_runs([factors, factors], [owners, np.array([2, 2, 0, 0, 1, 1])], 3)
    assert first.tolist() == second.tolist() == owners.tolist()


def test_the_background_is_what_stays():
    rng = np.random.default_rng(0)
    still = np.outer(np.ones(400), rng.gamma(1, 1, 8)).astype(np.float32)
    moving = np.zeros((400, 8), np.float32)
    moving[50:60, 2] = moving[200:220, 5] = 50
    behind = background(still + moving, 0.01)
    np.testing.assert_allclose(behind[~moving.any(axis=1)], still[~moving.any(axis=1)], rtol=1e-5)
    assert behind[55, 2] < 2 * still[55, 2]


@pytest.mark.parametrize(("name", "stems", "grouping"), [("triad", 3, None), ("drums", 3, None), ("song", 4, "timbre")])
def test_notes_and_drums_have_one_atom_a_stem_and_instruments_several(name, stems, grouping):
    audio = nmfsep.read(SAMPLES / f"{name}.wav")
    stft = STFT(2048)
    X = all_frames(audio.samples, stft, 1).Xt.T
    choice, found = find(X, stft, audio.sample_rate, Settings(components=stems, threads=1))
    assert choice.grouping == grouping
    assert (choice.simplicity < SIMPLE) == (grouping is None) == (found is None)
    assert choice.document()["atoms"] == (1 if grouping is None else 12)


def test_instruments_come_apart_as_single_templates_do_not(duet, gains):
    audio, references = duet
    grouped, plain = (separate(audio, 2, atoms=atoms, threads=1).samples for atoms in (None, 1))
    np.testing.assert_allclose(grouped.sum(axis=0), audio.samples, atol=1e-6)
    better, worse = (gains(audio.samples, references, stems).mean() for stems in (grouped, plain))
    assert better > 8  # measured: 11.9 dB, and -4.7 of single templates
    assert better > worse + 5


def test_the_number_of_threads_and_a_rerun_change_no_bit(duet):
    audio, _ = duet
    one, two = (separate(audio, 2, grouping="timbre", threads=threads).samples for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_progress_moves_through_the_stages_and_restarts_are_the_runs(duet):
    audio, _ = duet
    told = []
    settings = Settings(components=2, grouping="timbre", restarts=3, threads=1)
    found = pipeline.separate(audio, settings, on_progress=lambda step, loss: told.append(step))[0]
    assert len(found.components.factors[0].Z) == most_atoms(settings) == 3 * 2 * 12
    assert most_atoms(Settings(components=2)) == 4 * 2 * 12
    assert (told == sorted(told), len(told) >= 7, told[-1]) == (True, True, settings.max_iter)
    assert 0 < told[0] < 0.6 * settings.max_iter
    told.clear()
    chosen = pipeline.separate(
        audio, Settings(components=2, restarts=1, threads=1), on_progress=lambda step, loss: told.append(step)
    )[0]
    assert chosen.choice.grouping == "timbre"
    assert len(chosen.components.factors[0].Z) == 2 * 12
    assert len(told) >= 4


def test_level_changes_nothing_but_the_level(duet):
    audio, _ = duet
    soft = separate(Audio(audio.samples / 1024, RATE), 2, grouping="foreground").samples
    np.testing.assert_array_equal(soft * 1024, separate(audio, 2, grouping="foreground").samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"atoms": 3, "solver": "mu"}, "--solver mu is for one atom a stem"),
        ({"grouping": "timbre", "model": "nmfd"}, "--model nmfd is for one atom a stem"),
        ({"atoms": 1, "grouping": "timbre"}, "nothing to group"),
        ({"atoms": 3, "channels": "independent"}, "apart"),
        ({"atoms": 3, "components": 1}, "one stem is the mixture"),
        ({"preset": "voice", "atoms": 3}, "--preset voice decides about --atoms"),
        ({"preset": "drums", "restarts": 2}, "--preset drums decides about --restarts"),
        ({"preset": "drums", "sparsity": 0.0, "given": {"sparsity"}}, "--preset drums decides about --sparsity"),
        ({"preset": "noise", "divergence": 2}, "--preset noise decides about --divergence"),
        ({"preset": "voice", "given": {"model"}}, "--preset voice decides about --model"),
        ({"preset": "noise", "channels": "independent"}, "too little"),
    ],
)
def test_what_leaves_no_room_for_atoms_is_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        require_model(Settings(**settings))


def test_atoms_of_each_channel_share_their_activations(duet):
    _, references = duet
    left, right = references[0, 0], references[1, 0]
    stereo = Audio(np.stack([left + 0.2 * right, 0.2 * left + right]), RATE)
    separation = pipeline.separate(stereo, Settings(components=2, grouping="timbre", atoms=6))[0]
    first, second = separation.components.factors
    assert first.Z is second.Z
    assert not np.allclose(first.W, second.W)
    assert sorted(atom for group in separation.components.groups for atom in group) == list(range(first.components))
    assert separation.choice.document() == {"atoms": 6, "grouping": "timbre", "r": None, "novelty": None}
