"""Whether a mixture is separated in memory or a part at a time, by its header and what may be taken."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from nmfsep import memory
from nmfsep.jobs.budget import IN_MEMORY, budget, matrix_estimate, memory_needed, model_size
from nmfsep.jobs.run_options import RunOptions
from nmfsep.registry import MODELS
from nmfsep.separation.frames import FEWEST, FRAMES
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings

RATE = 44100
PLENTY = 64 << 30


@dataclass
class Header:
    """What a budget asks of an input."""

    seconds: float
    channels: int = 2
    sample_rate: int = RATE

    @property
    def frames(self):
        return round(self.seconds * RATE)

    def stretch(self, offset=0.0, duration=None):
        return round(offset * RATE), None if duration is None else round(duration * RATE)


@pytest.fixture(autouse=True)
def free(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: PLENTY)


def of(seconds, limit=None, save_model=False, **settings):
    chosen = Settings(**({"components": 4, "threads": 2} | settings))
    return budget(Header(seconds), RunOptions(chosen, OutputSettings(save_model=save_model), limit=limit))


def test_short_files_are_separated_in_memory_and_long_ones_a_part_at_a_time():
    assert not of(60).streamed
    long = of(3600)
    assert long.streamed
    assert long.frames == pytest.approx(FRAMES, rel=0.01)
    assert long.need < 400 << 20


def test_no_length_takes_more():
    assert of(3600).need == of(36000).need == of(360_000).need


def test_a_larger_limit_changes_nothing():
    whole = memory_needed(Header(3600), RunOptions(Settings(components=4, threads=2)))
    assert whole > IN_MEMORY
    assert of(3600, limit=2 * whole) == of(3600)
    assert of(3600).streamed


def test_what_is_free_decides_nothing_as_long_as_it_suffices(monkeypatch):
    plenty = of(3600)
    monkeypatch.setattr(memory, "available", lambda: 1 << 30)
    assert of(3600) == plenty
    monkeypatch.setattr(memory, "available", lambda: 250 << 20)
    assert of(3600).frames < plenty.frames
    assert of(600).streamed


def test_frames_are_halved_until_they_fit_and_not_beyond_the_fewest():
    sizes = [of(3600, limit=limit << 20).frames for limit in (400, 280, 220, 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == FEWEST
    assert of(3600, limit=1 << 20).need > 1 << 20


def test_no_more_frames_are_drawn_than_there_are():
    assert of(20, limit=60 << 20).frames <= 20 * RATE // 512 + 2


def test_activations_that_are_kept_are_counted():
    assert of(36000, save_model=True, atoms=1).need - of(36000, atoms=1).need == pytest.approx(
        4 * 4 * 36000 * RATE / 512, rel=0.01
    )


@pytest.mark.parametrize(
    "given", [{"smoothness": 1.0}, {"start": "semantic"}, {"model": "kmeans"}, {"model": "nmfd", "template_frames": 4}]
)
def test_what_needs_all_frames_stays_in_memory_and_says_why(given):
    found = of(3600, **given)
    assert not found.streamed
    assert found.obstacle
    assert found.need > IN_MEMORY


@pytest.mark.parametrize("limit", [None, 230 << 20, 280 << 20])
def test_threads_take_more_but_change_nothing(limit):
    one, many = (of(3600, limit, threads=threads) for threads in (1, 32))
    assert many.need >= one.need
    assert (many.streamed, many.frames) == (one.streamed, one.frames)


def test_frames_that_are_floored_take_more():
    assert of(3600, divergence="is").need > of(3600, atoms=1).need


LENGTH = 44100 * 600


def blind(channels=2, length=LENGTH, threads=2, mode="joint", **settings):
    """Return what a mixture takes in memory, without a guide and one template a stem."""
    chosen = {"components": 20, "n_fft": 2048, "atoms": 1, "threads": threads, "channels": mode} | settings
    return memory_needed(Header(length / RATE, channels), RunOptions(Settings(**chosen)))


@pytest.mark.parametrize(
    "larger",
    [
        {"channels": 3},
        {"length": 2 * LENGTH},
        {"components": 40},
        {"hop_length": 256},
        {"divergence": "is"},
        {"divergence": 0.0},
        {"divergence": -1},
        {"atoms": 4},
    ],
)
def test_whatever_is_larger_takes_more(larger):
    assert blind(**larger) > blind()


def test_threads_take_memory_where_rendering_is_the_peak():
    assert blind(length=44100, threads=8) > blind(length=44100, threads=2)


def test_masks_that_go_by_place_take_more_than_one_mask_a_stem():
    assert blind(mask="mwf") > blind()


@pytest.mark.parametrize("mode", ["independent", "mid"])
def test_channels_apart_take_less_than_joint_ones(mode):
    assert blind(channels=8, mode=mode) < blind(channels=8)


@pytest.mark.parametrize(("length", "channels"), [(44100 * 60, 2), (LENGTH, 1), (44100 * 3600, 2)])
def test_the_spectrogram_and_the_sound_are_counted_in_full(length, channels):
    sound = 4 * channels * length
    spectrogram = 4 * (length // 512) * 1025 * channels
    assert blind(channels=channels, length=length) > sound + spectrogram
    assert blind(channels=channels, length=length) < 3 * (sound + spectrogram) + (1 << 30)


def test_fewer_stems_take_less_to_render():
    many = blind(length=44100, threads=8, components=400)
    assert blind(length=44100, threads=8, components=400, group=("a=1-200", "b=rest")) < many


VIEWS = ((512, 128, 60), (2048, 512, 20))


def saved(size, views=VIEWS):
    """Return a saved model of so many bytes."""
    found = [
        SimpleNamespace(
            stft=SimpleNamespace(n_fft=n_fft, hop_length=hop),
            components=SimpleNamespace(factors=[SimpleNamespace(components=count)]),
        )
        for n_fft, hop, count in views
    ]
    return SimpleNamespace(size=size, resolutions=found, labels=())


def test_rendering_takes_the_sound_the_model_and_the_blocks():
    def of(channels, views, size):
        options = RunOptions(Settings(components=4, threads=2), saved=saved(size, views))
        return memory_needed(Header(LENGTH / RATE, channels), options)

    view = [(2048, 512, 20)]
    one = of(1, view, 10**6)
    assert one - 4 * LENGTH - 10**6 > 0
    assert of(1, view, 10**9) - one == 10**9 - 10**6
    assert of(2, view, 10**6) > one
    assert of(1, view * 2, 10**6) > one
    assert one < blind(channels=1)


def guide(views=VIEWS):
    """Return a guide with so many templates at each length of frames."""
    return SimpleNamespace(
        sizes=lambda sample_rate, settings: list(views),
        moves=lambda settings: bool(settings.free or settings.adapt),
        cues=[],
        books=lambda settings: [(), ()],
        labels=("kick", "snare"),
    )


@pytest.mark.parametrize(
    ("channels", "mode", "matrices"), [(1, "joint", (1, 1)), (2, "joint", (2, 1)), (2, "independent", (2, 2))]
)
def test_a_model_is_as_large_as_its_factors(channels, mode, matrices):
    sound = Header(LENGTH / RATE, channels)
    size = model_size(sound, RunOptions(Settings(components=20, channels=mode, atoms=1)))
    assert size == pytest.approx(4 * 20 * (1025 * matrices[0] + LENGTH / 512 * matrices[1]), rel=1e-3)
    options = RunOptions(Settings(free=5), guide=guide([(2048, 512, 15)]))
    assert model_size(Header(LENGTH / RATE), options) == pytest.approx(4 * 20 * 2 * (1025 + LENGTH / 512), rel=1e-3)


def guided(channels=2, length=8000 * 600, views=VIEWS, mode="joint", **settings):
    chosen = Settings(components=2, threads=2, channels=mode, **settings)
    return memory_needed(Header(length / RATE, channels), RunOptions(chosen, guide=guide(views)))


@pytest.mark.parametrize(
    "larger",
    [
        {"channels": 3},
        {"length": 8000 * 1200},
        {"views": ((512, 128, 120), (2048, 512, 20))},
        {"views": ((512, 64, 60), (2048, 512, 20))},
        {"views": (VIEWS[0], *VIEWS)},
        {"free": 10, "residual": "residual"},
    ],
)
def test_whatever_is_larger_takes_more_with_a_dictionary_too(larger):
    assert guided(**larger) > guided()


@pytest.mark.parametrize("mode", ["independent", "mid"])
def test_channels_apart_take_less_with_a_dictionary_too(mode):
    assert guided(channels=8, mode=mode) < guided(channels=8)


def test_a_dictionarys_spectrogram_and_the_sound_are_counted_in_full():
    sound, spectrogram = 4 * 2 * 8000 * 600, 4 * 2 * (8000 * 600 // 128) * 257
    assert sound + spectrogram < guided() < 3 * (sound + spectrogram) + (1 << 28)


@pytest.mark.parametrize("model", MODELS)
def test_a_matrix_is_counted_with_the_copies_that_its_model_makes(model):
    entries = 3000 * 2000
    need = matrix_estimate(model, 3000, 2000, 8, 5)
    assert 16 * entries < need - matrix_estimate(model, 1, 1, 8, 5) < 16 * 8 * entries
    assert matrix_estimate(model, 3000, 2000, 8, 50) > need
    assert matrix_estimate(model, 3000, 2000, 4, 5) < need
    assert matrix_estimate(model, 3000, 2000, 8, 5, compiled=True, pictures=True, pca=True) > need + (100 << 20)
