"""A mixture on disk is separated as one in memory would be with the same templates; its templates are as good."""

import numpy as np
import pytest
import soundfile as sf

from nmfsep import STFT, factorize
from nmfsep.errors import UsageError
from nmfsep.guidance.dictionary import Dictionaries, Dictionary
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.templates import Templates, unit
from nmfsep.separation import pipeline
from nmfsep.separation.frames import FEWEST, FRAMES, frames_drawn
from nmfsep.separation.mixture import LOOK, all_frames, draw, segments
from nmfsep.separation.model import Model, Resolution
from nmfsep.separation.obstacles import obstacle
from nmfsep.settings.separation import Settings
from nmfsep.signal.read import Source
from nmfsep.signal.stream import Stream

pytestmark = pytest.mark.long

RATE, SECONDS = 8000, 20
SMALL = {"n_fft": 256, "components": 3, "threads": 1}


def music(channels=2, seconds=SECONDS):
    """Tones that come and go, and noise."""
    rng = np.random.default_rng(0)
    t = np.arange(RATE * seconds) / RATE
    sound = np.zeros((channels, len(t)))
    for pitch in (220, 500, 1210, 2100):
        gate = np.repeat(rng.random(seconds * 4) ** 2, RATE // 4)
        sound += rng.uniform(0.2, 1, (channels, 1)) * gate * np.sin(2 * np.pi * pitch * t + rng.uniform(0, 6))
    return 0.15 * sound + 0.01 * rng.standard_normal(sound.shape)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "song.wav"
    sf.write(path, music().T, RATE, "PCM_16")
    return path


def kit(**given):
    rng = np.random.default_rng(3)
    views = [Templates(STFT(n), unit(rng.random((n // 2 + 1, 4)) ** 8), np.array([0, 0, 1, 1])) for n in (128, 512)]
    found = Dictionary(tuple(views), ("low", "high"), RATE, "kl")
    return Guide((Dictionaries((found,), ("kit.npz",), ("0" * 64,)),), given)


def solved(layer, samples):
    """The model of a layer with all activations in memory."""
    S = layer.stft.forward_block(samples, 0, layer.stft.n_frames(samples.shape[1]))
    return layer.components.at(0, S.shape[1], S)


def whole(separation, samples):
    """The separation with all activations in memory."""
    memory = [Resolution(each.stft, solved(each, samples)) for each in separation.resolutions]
    return Model(separation.settings, tuple(memory), labels=separation.labels)


def both(song, settings, guide=None, frames=800):
    """The separation of a file, the pieces of its stems, and the stems from memory."""
    with Source(song) as source:
        audio, stream = source.read(), Stream(source)
        separation = pipeline.separate(stream, settings, guide, frames=frames)[0]
        pieces = list(pipeline.render(separation, stream))
        for piece, again in zip(pieces, pipeline.render(separation, stream), strict=True):
            np.testing.assert_array_equal(piece, again)
    memory = np.concatenate(list(pipeline.render(whole(separation, audio.samples), audio)), axis=-1)
    streamed = np.concatenate(pieces, axis=-1)
    np.testing.assert_allclose(streamed.sum(axis=0), audio.samples, atol=1e-6)
    return separation, pieces, memory


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"channels": "mid"},
        {"channels": "independent"},
        {"divergence": "is"},
        {"divergence": "frobenius"},
        {"sparsity": 0.3, "residual": "rest", "mask_power": 2.0},
        {"group": ("pair=1,3",), "mask": "wiener", "window": "hamming", "hop_length": 100},
    ],
)
def test_rendered_in_one_pass_the_stems_are_those_of_memory(song, given):
    separation, pieces, memory = both(song, Settings(**(SMALL | given)))
    np.testing.assert_allclose(np.concatenate(pieces, axis=-1), memory, atol=1e-6)
    assert len(separation.names) == len(memory)


@pytest.mark.smoke
@pytest.mark.parametrize("given", [{}, {"free": 3}, {"adapt": 0.0}, {"channels": "independent"}])
def test_so_are_those_of_a_dictionary(song, given):
    guide = kit(threads=1, max_iter=15, **given)
    separation, pieces, memory = both(song, guide.settings(), guide, 400)
    np.testing.assert_allclose(np.concatenate(pieces, axis=-1), memory, atol=2e-6)
    assert separation.names == (("low", "high", "residual") if given.get("free") else ("low", "high"))


def test_no_block_ends_with_a_click(song):
    _, pieces, memory = both(song, Settings(**SMALL))
    ends = np.cumsum([piece.shape[-1] for piece in pieces])[:-1]
    assert len(ends) > 3
    steps = abs(np.diff(np.concatenate(pieces, axis=-1) - memory, axis=-1)).max(axis=(0, 1))
    assert steps[ends - 1].max() < 1e-6


@pytest.mark.parametrize("divergence", ["kl", "frobenius", "is"])
def test_templates_of_a_sample_are_as_good_as_those_of_all_frames(song, divergence):
    settings = Settings(**(SMALL | {"divergence": divergence, "components": 4}))
    with Source(song) as source:
        audio, stream = source.read(), Stream(source)
        separation = pipeline.separate(stream, settings, frames=1000)[0]
    X = all_frames(audio.samples, separation.stft).Xt.T
    best = pipeline.separate(audio, settings)[0].fits[0]

    def loss(W):
        return factorize(X, 4, W=W, fixed={"W"}, divergence=divergence, max_iter=60, tol=0).losses[-1]

    assert loss(separation.components.solver.templates[0].Wt.T) <= 1.02 * loss(best.factors.W)
    assert separation.learned_from == (1000, X.shape[1])


def test_where_all_frames_are_drawn_the_templates_are_those_of_memory(song):
    settings = Settings(**SMALL)
    with Source(song) as source:
        audio, stream = source.read(), Stream(source)
        separation = pipeline.separate(stream, settings, frames=1 << 14)[0]
    expected = pipeline.separate(audio, settings)[0].components
    found = separation.components.solver.templates[0].Wt
    for channel, W in enumerate(np.split(found.T, 2)):
        np.testing.assert_allclose(W, expected.factors[channel].W, atol=2e-3)


def test_kept_activations_are_those_that_were_rendered(song):
    with Source(song) as source:
        samples, stream = source.read().samples, Stream(source)
        separation = pipeline.separate(stream, Settings(**SMALL), frames=800, keep=True)[0]
        for _ in pipeline.render(separation, stream):
            pass
    kept, expected = separation.components.kept.factors, solved(separation.resolutions[0], samples).factors
    assert len(kept) == len(expected) == 2
    np.testing.assert_allclose(kept[1].Z, expected[1].Z, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("hop", [64, 100])
@pytest.mark.parametrize("length", [1, 130, 64 * LOOK, 64 * LOOK + 5, 100 * LOOK * 2 + 3])
def test_segments_hold_every_frame_once(hop, length):
    stft = STFT(256, hop)
    samples = np.random.default_rng(0).standard_normal((1, length)).astype(np.float32)
    pieces = (samples[:, start : start + 1000] for start in range(0, length, 1000))
    found = list(segments(pieces, stft))
    S = np.concatenate([stft.transform(segment) for _, segment in found], axis=1)
    assert [start for start, _ in found] == list(range(0, S.shape[1], LOOK))
    np.testing.assert_array_equal(S, stft.forward_block(samples, 0, stft.n_frames(length)))


def test_the_seed_decides_which_frames_are_drawn_and_all_come_from_the_mixture(song):
    stft = STFT(256)
    with Source(song) as source:
        X = np.abs(stft.forward_block(source.read().samples, 0, stft.n_frames(RATE * SECONDS)))
        first, same, other = (
            draw(Stream(source), stft, "joint", 50, key, lambda position: None)[0] for key in ("0", "0", "1")
        )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    rows = X.swapaxes(0, 1).reshape(X.shape[1], -1)
    for row in first[:10]:
        assert np.abs(rows - row).max(axis=1).min() < 1e-5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"model": "nmfd", "template_frames": 4}, "model 'nmfd' needs all frames"),
        ({"start": "semantic"}, "start 'semantic' needs frames that follow"),
        ({"smoothness": 1.0}, "smoothness couples"),
    ],
)
def test_what_needs_all_frames_is_refused_with_what_to_do(song, given, reason):
    settings = Settings(**(SMALL | given))
    assert obstacle(settings).startswith(reason)
    with Source(song) as source, pytest.raises(UsageError, match="--max-memory"):
        pipeline.separate(Stream(source), settings)[0]


def test_long_frames_and_many_channels_draw_fewer():
    assert frames_drawn(Settings(), 1, 2048) == FRAMES
    assert FEWEST < frames_drawn(Settings(), 8, 2048) < FRAMES
    assert frames_drawn(Settings(channels="mid"), 8, 2048) == FRAMES
    assert frames_drawn(Settings(), 1000, 2**20) == FEWEST


def test_progress_is_told_in_rising_steps_to_the_end(song):
    told = []
    with Source(song) as source:
        stream = Stream(source)
        settings = Settings(**SMALL)
        separation = pipeline.separate(stream, settings, frames=800, on_progress=lambda step, loss: told.append(step))[
            0
        ]
        for _ in pipeline.render(separation, stream):
            pass
    assert told == sorted(told)
    assert len(set(told)) > 8
    assert 0.8 * settings.max_iter < told[-1] < settings.max_iter  # what remains is for hashing and the disk


def test_one_thread_or_two_give_the_same(song):
    found = []
    for threads in (1, 2):
        with Source(song) as source:
            stream = Stream(source)
            separation = pipeline.separate(stream, Settings(**(SMALL | {"threads": threads})), frames=800)[0]
            found.append(np.concatenate(list(pipeline.render(separation, stream)), axis=-1))
    np.testing.assert_array_equal(*found)
