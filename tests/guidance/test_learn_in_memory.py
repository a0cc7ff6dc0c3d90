"""nmfsep.learn: dictionaries from sounds in memory."""

import numpy as np
import pytest

import nmfsep
from nmfsep.errors import UsageError

RATE = 8000
SMALL = {"n_fft": 256, "max_iter": 20}


def tone(frequency, rate=RATE):
    return np.sin(2 * np.pi * frequency * np.arange(rate) / rate).astype(np.float32)


def test_it_separates_what_it_was_taught():
    kit = nmfsep.learn({"low": nmfsep.Audio(tone(300), RATE), "high": [nmfsep.Audio(tone(2000), RATE)]}, **SMALL)
    low, high = tone(310), 0.5 * tone(1990)
    stems = nmfsep.separate(nmfsep.Audio(low + high, RATE), dictionary=kit)
    assert stems.names == ("low", "high")
    for estimate, true in zip(stems.samples[:, 0], (low, high), strict=True):
        assert np.linalg.norm(estimate - true) < 0.1 * np.linalg.norm(true)


def test_it_equals_what_is_written_and_read(tmp_path):
    kit = nmfsep.learn({"low": nmfsep.Audio(tone(300), RATE)}, **SMALL)
    nmfsep.write_dictionary(kit, tmp_path / "kit.npz")
    again = nmfsep.read_dictionary(tmp_path / "kit.npz")
    assert again.labels == kit.labels
    np.testing.assert_array_equal(again.views[0].W, kit.views[0].W)


def test_sounds_of_other_rates_and_in_other_order_give_one_dictionary():
    sounds = [nmfsep.Audio(tone(300), RATE), nmfsep.Audio(tone(500), RATE), nmfsep.Audio(tone(900, 16000), 16000)]
    kits = [nmfsep.learn({"x": order}, **SMALL) for order in (sounds, sounds[::-1])]
    assert kits[0].sample_rate == RATE
    np.testing.assert_array_equal(kits[0].views[0].W, kits[1].views[0].W)


@pytest.mark.parametrize("sounds", [{}, {"x": []}])
def test_nothing_to_learn_from_is_refused(sounds):
    with pytest.raises(UsageError, match="every label needs a sound"):
        nmfsep.learn(sounds)
