"""Sound on disk is the sound in memory, for those who go forward."""

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.signal.read import BLOCK, Source
from nmfsep.signal.stream import Stream

RATE = 8000
LENGTH = 2 * BLOCK + 777


def noise(channels=2, length=LENGTH):
    return 0.3 * np.random.default_rng(0).standard_normal((length, channels)).clip(-3, 3)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "PCM_16"), ("a.wav", "PCM_32"), ("a.wav", "DOUBLE"), ("a.flac", "PCM_24"), ("a.ogg", "VORBIS")],
)
@pytest.mark.parametrize("stretch", [(0.0, None), (0.5, None), (1.0, 9.0)])
def test_the_pieces_are_the_samples_that_are_read_at_once(tmp_path, name, subtype, stretch):
    with sf.SoundFile(tmp_path / name, "w", RATE, 2, subtype) as file:
        for block in np.array_split(noise(), 50):  # the Vorbis encoder takes no long ones
            file.write(block)
    with Source(tmp_path / name) as source:
        whole = source.read(*stretch)
        stream = Stream(source, *stretch)
        for _ in range(2):  # every pass gives them again
            np.testing.assert_array_equal(np.concatenate(list(stream.pieces()), axis=1), whole.samples)
            assert not stream.needs_another_pass()
        assert (stream.length, stream.channels, stream.duration) == (whole.length, 2, whole.duration)


def test_a_tape_can_be_sliced_forwards_and_forgets_what_is_released(tmp_path):
    sf.write(tmp_path / "a.wav", noise(), RATE, "PCM_16")
    with Source(tmp_path / "a.wav") as source:
        samples = source.read().samples
        stream = Stream(source)
        list(stream.pieces())
        stream.rewind()
        tape = stream.samples
        assert (tape.shape, len(tape)) == (samples.shape, 2)
        for start, stop in ((0, 10), (5, 5), (5, 70_000), (60_000, 140_000), (LENGTH - 3, LENGTH + 9)):
            np.testing.assert_array_equal(tape[:, start:stop], samples[:, start:stop])
            tape.release(start)
        assert tape._window._held.shape[1] < LENGTH
        stream.rewind()
        np.testing.assert_array_equal(stream.samples[:, :7], samples[:, :7])


@pytest.mark.parametrize("level", [1e-30, 1e30, 1e200])
def test_extreme_levels_are_rescaled_as_in_memory(tmp_path, level):
    sf.write(tmp_path / "a.wav", level * noise(1, 3000), RATE, "DOUBLE")
    with Source(tmp_path / "a.wav") as source:
        whole, stream = source.read(), Stream(source)
        list(stream.pieces())
        assert stream.needs_another_pass()
        np.testing.assert_array_equal(np.concatenate(list(stream.pieces()), axis=1), whole.samples)
        assert not stream.needs_another_pass()
        assert stream.exponent == whole.exponent != 0


def test_samples_that_are_not_finite_are_counted_to_the_end(tmp_path):
    samples = noise(1)
    samples[BLOCK + 5], samples[LENGTH - 1] = np.nan, np.inf
    sf.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
    with Source(tmp_path / "a.wav") as source, pytest.raises(InputError) as caught:
        list(Stream(source).pieces())
    with Source(tmp_path / "a.wav") as source, pytest.raises(InputError, match="2 samples are NaN") as other:
        source.read()
    assert (caught.value.message, caught.value.path) == (other.value.message, other.value.path)


def test_integers_can_be_read_in_between(tmp_path):
    sf.write(tmp_path / "a.wav", noise(1), RATE, "PCM_32")
    with Source(tmp_path / "a.wav") as source:
        whole = source.read().samples
        pieces = []
        for piece in Stream(source).pieces():
            pieces.append(piece)
            source.seek(3)
            source.integers(5)
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
