"""What may be rendered from a kept factorization, and of which sound."""

from dataclasses import replace

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.kernels.product import Factors
from nmfsep.separation.components import Components
from nmfsep.separation.mixture import MixtureIdentity, identity_of, samples_sha256
from nmfsep.separation.model import Resolution
from nmfsep.separation.saved import Saved
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

RATE, LENGTH = 8000, 2000
SOUND = Audio(np.random.default_rng(0).uniform(-0.5, 0.5, (2, LENGTH)).astype(np.float32), RATE)


def saved(labels=(), sound=SOUND, offset=0, to_end=True, **settings):
    settings = Settings(**({"components": len(labels) or 4, "n_fft": 256} | settings))
    count = settings.components + (settings.free if labels else 0)
    stft, rng = STFT(256), np.random.default_rng(1)
    factors = Factors(rng.random((129, count), np.float32), rng.random((count, stft.n_frames(LENGTH)), np.float32))
    groups = [[index] for index in range(settings.components)]
    if labels and settings.free:
        groups.append(list(range(settings.components, count)))
    mixture = identity_of("songs/song.wav", sound, offset, to_end)
    return Saved(settings, labels, (Resolution(stft, Components([factors], groups)),), mixture)


def test_nothing_given_changes_nothing():
    model = saved(group=("a=1,2",), residual="left", mask="wiener", seed=3)
    assert model.settings_with({}) == model.settings


@pytest.mark.parametrize(
    ("before", "given", "power"),
    [
        ({"mask_power": 3.0}, {"mask": "ratio"}, 3.0),
        ({"mask_power": 3.0}, {"mask": "wiener"}, 1.0),
        ({"mask": "binary"}, {"mask": "ratio"}, 1.0),
        ({"mask": "binary"}, {"mask": "ratio", "mask_power": 1.5}, 1.5),
        ({"mask": "binary", "labels": ("a", "b")}, {"mask": "ratio"}, 2.0),  # the default with a dictionary
        ({"mask_power": 3.0}, {"mask_power": 1.0}, 1.0),
    ],
)
def test_another_mask_has_its_default_power(before, given, power):
    assert saved(**before).settings_with(given).mask_power == power


def test_a_power_without_the_ratio_mask_is_refused():
    with pytest.raises(UsageError, match="mask 'wiener' has no power"):
        saved(mask="wiener").settings_with({"mask_power": 2.0})


def test_groups_may_be_made_of_saved_groups():
    model = saved(group=("voice=1,3",))
    assert model.settings_with({"group": ("lead=voice,2", "b=rest")}).group == ("lead=1,2,3", "b=4")
    assert model.settings_with({"group": ()}).group == ()


def test_what_is_saved_of_a_group_is_what_was_meant_where_labels_look_like_numbers():
    model = saved(("3", "b", "c"))
    assert model.settings_with({"group": ("x=b,c",)}).group == ("x=2,c",)
    model = saved(("3", "b", "c"), group=("x=b,c",))
    again = saved(("3", "b", "c"), group=model.settings_with({"group": ("y=x",)}).group)
    assert again.settings_with({}).group == ("y=2,c",)


@pytest.mark.parametrize("group", ["x=5", "x=nothing", "component-2=1"])
def test_groups_of_what_there_is_not_are_refused(group):
    with pytest.raises(UsageError, match="--group"):
        saved().settings_with({"group": (group,)})


def test_a_residual_can_be_added_renamed_and_left_out():
    assert saved().settings_with({"residual": "left"}).residual == "left"
    assert saved(residual="left").settings_with({"residual": None}).residual is None
    assert saved(("a", "b"), free=2, residual="x").settings_with({"residual": "y"}).residual == "y"


def test_a_residual_that_is_needed_stays():
    with pytest.raises(UsageError, match="free templates of the model are a stem"):
        saved(("a", "b"), free=2, residual="x").settings_with({"residual": None})
    with pytest.raises(UsageError, match="stem 'a' would be the whole mixture"):
        saved(("a",), residual="x").settings_with({"residual": None})


def test_the_sound_that_was_learned_from_is_taken_without_a_word():
    model = saved()
    assert model.model(SOUND, model.settings).warnings == ()


def test_a_sound_as_long_is_taken_with_a_warning():
    model = saved()
    (warning,) = model.model(Audio(SOUND.samples * 0.999, RATE), model.settings).warnings
    assert "is not the very sound that the model was learned from, 'song.wav'" in warning


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (SOUND.samples, 16000, "has 16000 Hz, the mixture of the model 8000 Hz"),
        (SOUND.samples[:1], RATE, "has 1 channel, the mixture of the model 2 channels"),
        (SOUND.samples[:, 1:], RATE, "has 1999 samples, the mixture of the model 2000"),
        (np.tile(SOUND.samples, 2), RATE, "has 4000 samples, the mixture of the model 2000"),
    ],
)
def test_any_other_sound_is_refused(samples, rate, message):
    model = saved()
    with pytest.raises(UsageError) as caught:
        model.model(Audio(samples, rate), model.settings)
    assert str(caught.value) == f"{message}; give the file that the model was learned from, 'song.wav'"


def test_a_mixture_that_came_through_a_pipe_has_no_name():
    model = saved()
    piped = replace(model, mixture=identity_of("-", SOUND, 0, True))
    with pytest.raises(UsageError, match=r"learned from, what came through standard input$"):
        piped.require(16000, 2, None)


@pytest.mark.parametrize("arguments", [(16000, 2, None), (RATE, 1, None), (RATE, 2, LENGTH - 1)])
def test_a_header_may_be_enough_to_refuse_a_file(arguments):
    with pytest.raises(UsageError, match="the mixture of the model"):
        saved().require(*arguments)


def test_a_header_that_does_not_tell_or_promises_more_is_no_reason():
    for frames in (None, LENGTH, LENGTH + 5):  # a file that was cut promises more than it has
        saved().require(RATE, 2, frames)


def test_the_hash_is_of_samples_and_of_how_they_lie_in_channels():
    samples = SOUND.samples
    same = Audio(np.asfortranarray(samples), RATE)
    others = [samples[::-1], samples.reshape(1, -1), -samples, samples.reshape(4, -1)]
    assert samples_sha256(same) == samples_sha256(SOUND)
    assert len({samples_sha256(Audio(other, RATE)) for other in [samples, *others]}) == 5


@pytest.mark.parametrize(
    ("offset", "to_end", "stretch"), [(0, True, (0, None)), (4000, True, (0.5, None)), (4000, False, (0.5, 0.25))]
)
def test_the_stretch_to_read_is_told_in_seconds(offset, to_end, stretch):
    assert saved(offset=offset, to_end=to_end).mixture.stretch == stretch


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 3_999_999])
def test_seconds_give_back_the_very_samples(rate):
    for number in (1, 7, 44099, 10**9 + 7):
        offset, duration = MixtureIdentity("x", "", rate, 1, number, number + 1, False).stretch
        assert (round(offset * rate), round(duration * rate)) == (number, number + 1)


def test_shares_of_energy_add_up_over_the_components():
    shares = saved(("a", "b"), free=2, residual="x").energy_shares()
    assert len(shares) == 3
    assert sum(shares) == pytest.approx(1)
    assert shares[2] > max(shares[:2])  # of two templates as loud as the others
