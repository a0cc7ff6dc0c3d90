"""Files in blocks, and a window that moves over a stream."""

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.signal.read import Source
from nmfsep.signal.stream import Window, blocks


def test_blocks_are_the_file(tmp_path):
    sound = np.random.default_rng(0).integers(-9000, 9000, (1000, 2)).astype(np.int16)
    sf.write(tmp_path / "x.wav", sound, 8000)
    with Source(tmp_path / "x.wav") as source:
        for _ in range(2):  # from the beginning every time
            found = list(blocks(source, 300))
            assert [block.shape for block in found] == [(2, 300)] * 3 + [(2, 100)]
            np.testing.assert_array_equal(np.concatenate(found, axis=1), sound.T / 32768)


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "x.flac"
    sf.write(path, np.random.default_rng(0).uniform(-1, 1, 50000), 8000)
    content = bytearray(path.read_bytes())
    content[20000:60000] = bytes(40000)
    path.write_bytes(content)
    with Source(path) as source, pytest.raises(InputError, match="cannot be decoded to its end") as caught:
        list(blocks(source))
    assert caught.value.path == str(path)


@pytest.mark.parametrize("cut", [1, 3, 7, 100])
def test_a_window_shows_the_stretch_asked_for(cut):
    signal = np.arange(40).reshape(2, 20)
    window = Window(signal[:, start : start + cut] for start in range(0, 20, cut))
    for start, stop in ((0, 5), (2, 9), (2, 4), (9, 15), (12, 30), (20, 25)):
        np.testing.assert_array_equal(window.between(start, stop), signal[:, start:stop])


def test_a_window_holds_no_more_than_it_shows_and_one_block():
    read = []

    def stream():
        for start in range(0, 100, 10):
            read.append(start)
            yield np.arange(start, start + 10)

    window = Window(stream())
    assert not read
    window.between(0, 25)
    assert read == [0, 10, 20]
    np.testing.assert_array_equal(window.between(21, 30), np.arange(21, 30))
    assert read == [0, 10, 20]
