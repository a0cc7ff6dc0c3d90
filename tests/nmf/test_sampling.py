"""Samples of frames that do not depend on the order they come in, and the number of templates a sound deserves."""

import itertools

import numpy as np
import pytest

from nmfsep.nmf.blockwise import Sample
from nmfsep.nmf.starts import LOOKED_AT, richness

BINS = 5


def blocks(count=6, frames=40):
    rng = np.random.default_rng(0)
    return [(f"key{i % 3}", 100 * i, rng.random((frames, BINS)).astype(np.float32)) for i in range(count)]


def sample(parts, size):
    kept = Sample(BINS, size)
    for part in parts:
        kept.add(*part)
    return kept


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_the_order_of_the_blocks_does_not_matter(size):
    parts = blocks()
    first = sample(parts, size).frames()
    assert first.shape == (min(size, 240), BINS)
    for order in itertools.islice(itertools.permutations(parts), 0, 720, 89):
        np.testing.assert_array_equal(sample(order, size).frames(), first)


def test_a_smaller_sample_is_the_beginning_of_a_larger_one():
    parts = blocks()
    np.testing.assert_array_equal(sample(parts, 20).frames(), sample(parts, 90).first(20))


def test_every_frame_is_one_that_was_given_and_none_comes_twice():
    parts = blocks()
    given = {row.tobytes() for _, _, frames in parts for row in frames}
    kept = [row.tobytes() for row in sample(parts, 50).frames()]
    assert len(set(kept)) == 50
    assert set(kept) <= given


def test_what_fits_is_kept_whole():
    parts = blocks()
    kept = sample(parts, 240)
    assert len(kept.frames()) == 240
    assert kept.left_out == 0


def test_what_is_left_out_is_counted():
    kept = sample(blocks(), 50)
    kept.frames()
    assert kept.left_out == 190


def test_memory_is_bounded_however_many_frames_come():
    kept = Sample(BINS, 10)
    for start in range(200):
        kept.add("key", start, np.ones((8, BINS), np.float32))
        assert len(kept.rows()) <= len(kept._frames) == 10
    assert kept.frames().shape == (10, BINS)
    assert kept.left_out == 1590


def test_every_block_has_its_chance():
    # 20 of 2000 frames each, 4 standard deviations about 200 of 10 blocks
    parts = [(f"file{i}", 0, np.full((2000, BINS), i, np.float32)) for i in range(10)]
    drawn = np.bincount(sample(parts, 2000).frames()[:, 0].astype(int), minlength=10)
    assert drawn.sum() == 2000
    assert (abs(drawn - 200) < 55).all()


def test_other_keys_or_starts_draw_other_frames():
    frames = np.arange(500, dtype=np.float32)[:, None] * np.ones(BINS, np.float32)
    drawn = {
        tuple(sample([(key, start, frames)], 20).frames()[:, 0]) for key, start in (("a", 0), ("b", 0), ("a", 500))
    }
    assert len(drawn) == 3


@pytest.mark.parametrize("rank", [2, 3, 8])
def test_richness_is_the_number_of_shapes_that_take_turns(rank):
    rng = np.random.default_rng(0)
    shapes = np.eye(20)[:rank]
    X = shapes[rng.integers(rank, size=300)] * rng.uniform(0.5, 2, (300, 1))
    assert richness(X.astype(np.float32), 100) == rank


def test_one_shape_still_gets_two_templates():
    assert richness(np.ones((10, 6), np.float32), 100) == 2
    assert richness(np.ones((1, 6), np.float32), 100) == 2


def test_richness_does_not_exceed_what_is_allowed():
    X = np.random.default_rng(0).random((400, 50)).astype(np.float32)
    assert richness(X, 7) == 7
    assert 7 < richness(X, 1000) <= 50


def test_what_hardly_sounds_deserves_no_template():
    X = np.eye(20)[np.arange(200) % 2] + 1e-3 * np.random.default_rng(0).random((200, 20))
    assert richness(X.astype(np.float32), 100) == 2


def test_many_frames_are_looked_at_sparsely():
    # a shape that sounds between the frames that are looked at is not seen
    X = np.tile(np.float32([1, 0, 0, 0]), (4 * LOOKED_AT, 1))
    X[2::4] = [0, 1, 0, 0]
    X[3::4] = [0, 0, 1, 0]
    assert richness(X, 100) == 2
    assert richness(X[: 4 * LOOKED_AT // 5], 100) == 3


def test_frames_are_only_read():
    X = np.random.default_rng(0).random((30, BINS)).astype(np.float32)
    before = X.copy()
    kept = sample([("key", 0, X)], 10)
    kept.frames()
    richness(X, 5)
    np.testing.assert_array_equal(X, before)
