"""Whether a mixture is separated in memory or a part at a time, by its header and what may be taken."""

from dataclasses import dataclass

import pytest

from nmfsep import memory
from nmfsep.jobs.budget import IN_MEMORY, budget, memory_needed
from nmfsep.jobs.run_options import RunOptions
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
