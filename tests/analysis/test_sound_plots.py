"""The picture of a sound and its components."""

import io

import numpy as np
import pytest

from nmfsep.analysis.plots.canvas import is_ours
from nmfsep.analysis.plots.sound import ROWS, Sound, on_log_axis, sound_picture

Image = pytest.importorskip("PIL.Image")


def sound(k, columns=200, rate=22050, bins=513, level=1.0):
    rng = np.random.default_rng(k)
    W, Z = rng.random((bins, k)) ** 4, rng.random((k, columns)) ** 4
    return Sound(
        spectrogram=level * (W @ Z),
        W=W,
        Z=level * Z,
        frequencies=np.arange(bins) * rate / 2 / (bins - 1),
        seconds=3.0,
        names=[f"component-{n + 1}" for n in range(k)],
        notes=["C4", *[""] * (k - 1)],
        pitches=[261.6, *[None] * (k - 1)],
        onsets=[(0.5, 1.0)] * k,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "given",
    [sound(1), sound(3), sound(17), sound(2, level=0.0), sound(2, columns=1), sound(2, rate=60), sound(2, bins=3)],
    ids=["one", "three", "many", "silent", "short", "low", "coarse"],
)
def test_a_sound_is_drawn_whatever_it_is(given):
    image = Image.open(io.BytesIO(sound_picture(given, "title")))
    image.load()
    assert image.size[0] == 1056
    assert np.asarray(image.convert("L")).min() < 40


def test_the_same_sound_gives_the_same_bytes_and_they_are_known_as_ours(tmp_path):
    data = sound_picture(sound(2), "title")
    assert sound_picture(sound(2), "title") == data
    (tmp_path / "a.png").write_bytes(data)
    assert is_ours(tmp_path / "a.png")
    Image.new("L", (9, 9)).save(tmp_path / "b.png")
    assert not is_ours(tmp_path / "b.png")
    assert not is_ours(tmp_path / "none.png")


def test_a_tone_stands_at_its_frequency():
    frequencies = np.arange(1025) * 11025 / 1024
    edges = np.geomspace(40, 11025, ROWS + 1)
    for hertz in (100, 440, 5000):
        X = np.zeros((1025, 1))
        nearest = int(np.abs(frequencies - hertz).argmin())
        X[nearest] = 1
        row = int(on_log_axis(X, frequencies, edges)[:, 0].argmax())
        assert edges[row] * 0.97 <= frequencies[nearest] <= edges[row + 1] * 1.03


def test_no_peak_is_lost_between_rows():
    X = np.zeros((1025, 900))
    X[np.arange(100, 1000), np.arange(900)] = 1
    edges = np.geomspace(40, 11025, ROWS + 1)
    assert on_log_axis(X, np.arange(1025) * 11025 / 1024, edges).max(axis=0).min() == 1
