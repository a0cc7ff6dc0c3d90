"""Dictionaries whose templates last several frames."""

import numpy as np
import pytest

import nmfsep
from nmfsep.errors import UsageError
from nmfsep.guidance.dictionary import read, write

RATE = 8000


def stroke(low, high, seconds=0.4):
    """A tone that falls from one pitch to another while it fades."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * np.cumsum(np.linspace(low, high, len(t))) / RATE) * np.exp(-6 * t)


def train(sound, beats, length=4 * RATE):
    out = np.zeros(length)
    for beat in beats:
        out[beat : beat + len(sound)] += sound[: length - beat]
    return out.astype(np.float32)


@pytest.fixture(scope="module")
def kit():
    sounds = {"fall": stroke(900, 300), "rise": stroke(300, 900)}
    audio = {name: nmfsep.Audio(train(sound, [0, 6000])[None], RATE) for name, sound in sounds.items()}
    return nmfsep.learn(audio, template_frames=12, components="1", n_fft=512)


@pytest.mark.parametrize("given", [{}, {"adapt": 0.0}, {"free": 1}])
def test_strokes_of_the_same_spectrum_are_told_apart_by_how_it_changes(kit, given):
    fall, rise = train(stroke(900, 300), [0, 9000, 20000]), train(stroke(300, 900), [4000, 15000, 25000])
    mixture = nmfsep.Audio((fall + rise)[None], RATE)
    stems = nmfsep.separate(mixture, dictionary=kit, n_fft=512, **given)
    assert stems.names[:2] == ("fall", "rise")
    np.testing.assert_allclose(stems.samples.sum(axis=0), mixture.samples, atol=1e-6)
    for stem, true in zip(stems.samples, (fall, rise), strict=False):
        assert 10 * np.log10(np.sum(true**2) / np.sum((stem[0] - true) ** 2)) > 8


def test_they_are_kept_as_they_are(kit, tmp_path):
    write(kit, tmp_path / "kit.npz")
    (view,) = read(tmp_path / "kit.npz").views
    assert (view.delays, view.W.shape) == (12, (257, 24))
    np.testing.assert_array_equal(view.W, kit.views[0].W)


def test_what_does_not_go_with_them_is_refused(kit):
    single = nmfsep.learn({"hum": nmfsep.Audio(train(stroke(200, 200), [0])[None], RATE)}, n_fft=512, components="1")
    mixture = nmfsep.Audio(train(stroke(900, 300), [0])[None], RATE)
    with pytest.raises(UsageError, match="do not go together"):
        nmfsep.separate(mixture, dictionary=[kit, single])
    with pytest.raises(UsageError, match="know no sparsity"):
        nmfsep.separate(mixture, dictionary=kit, sparsity=1.0)
    with pytest.raises(UsageError, match="single frames"):
        nmfsep.learn({"x": mixture}, template_frames=4, exemplars=True)
    with pytest.raises(UsageError, match="not of"):
        nmfsep.separate(mixture, dictionary=kit, n_fft=2048)
