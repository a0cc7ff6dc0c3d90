import numpy as np
import pytest

from nmfsep.api import separate
from nmfsep.errors import UsageError
from nmfsep.kernels.product import Factors
from nmfsep.separation.arrange import arrange, filled, resolve_auto_groups
from nmfsep.separation.components import Components
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

RATE, FFT = 22050, 1024


def harmonic(pitches, decay):
    """Spectra of notes of one instrument, (bins, notes)."""
    f = np.arange(FFT // 2 + 1) * RATE / FFT
    return sum(
        decay**h * np.exp(-0.5 * ((f[:, None] - h * np.asarray(pitches)) / 20) ** 2) for h in range(1, 15)
    ) + np.float32(1e-4)


@pytest.fixture
def band():
    """Three notes of a dull instrument, two of a bright one, and two bursts of noise, the bright one loudest."""
    rng = np.random.default_rng(0)
    noise = rng.gamma(4, 1, (FFT // 2 + 1, 2))
    W = np.concatenate([harmonic([220, 262, 330], 0.3), harmonic([247, 294], 0.95), noise], axis=1)
    W /= W.sum(axis=0)
    Z = np.repeat(rng.gamma(1, 1, (7, 12)), 10, axis=1)
    Z[5:] = 0
    Z[5:, ::20] = 1
    Z[3:5] *= 4
    factors = Factors(W.astype(np.float32), Z.astype(np.float32))
    return Components([factors], [[k] for k in range(7)]), STFT(FFT)


def test_components_of_an_instrument_come_together_the_loudest_first(band):
    found = resolve_auto_groups(Settings(components=7, group=("auto:3",)), *band, RATE)
    assert found.group == ("group-1=4,5", "group-2=1,2,3", "group-3=6,7")


def test_what_is_in_a_group_is_left_there(band):
    found = resolve_auto_groups(Settings(components=7, group=("auto:2", "noise=6-7")), *band, RATE)
    assert arrange(found).names == ("noise", "group-1", "group-2")
    assert arrange(found).members == ((5, 6), (3, 4), (0, 1, 2))


def test_names_are_known_before_the_members():
    found = arrange(Settings(components=5, group=("auto:2", "a=1"), residual="rest"))
    assert (found.names, found.auto) == (("a", "group-1", "group-2", "rest"), 2)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        (("auto:0",), "does not say how many"),
        (("auto:1_0",), "does not say how many"),
        (("auto:6",), "only 5 of 5 components"),
        (("a=1-3", "auto:3"), "only 2 of 5"),
        (("auto:1", "auto:2"), "contradict"),
        (("group-2=1", "auto:2"), "choose another name"),
    ],
)
def test_what_makes_no_sense_is_refused(group, said):
    with pytest.raises(UsageError) as refused:
        arrange(Settings(components=5, group=group))
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_what_has_names_is_not_grouped():
    with pytest.raises(UsageError, match="have no names"):
        arrange(Settings(components=2, group=("auto:1",)), ("kick", "snare"))


def test_no_group_is_empty():
    assert filled(np.array([0, 0, 0, 2]), 4).tolist() == [0, 3, 1, 2]


def test_stems_add_up_in_memory():
    rng = np.random.default_rng(3)
    audio = Audio(rng.normal(0, 0.1, (1, 6000)).astype(np.float32), 8000)
    stems = separate(audio, 6, group=("auto:2",), n_fft=512, atoms=1)
    assert stems.names == ("group-1", "group-2")
    np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)
    assert np.abs(stems.samples).max(axis=(1, 2)).min() > 0
