"""Templates of other sample rates and frames: the same sound must look the same."""

import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.guidance.dictionary import FARTHEST, Dictionary, convert, suitable
from nmfsep.guidance.templates import Templates, unit
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT


def tone(hertz, rate, stft):
    """The template of a sine: the mean magnitude of its frames."""
    sound = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)
    X = np.abs(stft.forward(Audio(sound, rate)).values[0])
    return X[:, 4:-4].mean(axis=1, keepdims=True)


def kit(hertz, rate, *stfts):
    views = tuple(Templates(stft, unit(tone(hertz, rate, stft)), np.zeros(1, np.intp)) for stft in stfts)
    return Dictionary(views, ("tone",), rate, "kl", provenance=({"label": "tone"},))


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("hertz", [250, 1000, 2500])
@pytest.mark.parametrize(
    ("rate", "n_fft"),
    [(8000, 256), (8000, 1024), (16000, 512), (16000, 1024), (11025, 512), (44100, 2048), (6000, 384)],
)
def test_a_sine_ends_at_the_bin_where_its_frequency_is(hertz, rate, n_fft):
    stft = STFT(n_fft)
    W = convert(kit(hertz, 8000, STFT(512)), rate, [stft]).views[0].W[:, 0]
    assert abs(np.argmax(W) - hertz * n_fft / rate) <= 0.75
    assert np.linalg.norm(W) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("rate", "n_fft"), [(8000, 512), (16000, 1024), (8000, 256), (16000, 512), (22050, 2048)])
def test_the_converted_template_is_near_the_one_measured_there(rate, n_fft):
    # the lobe of a sine keeps its width in hertz, which frames of another length would change
    stft = STFT(n_fft)
    W = convert(kit(1000, 8000, STFT(512)), rate, [stft]).views[0].W[:, 0]
    assert cosine(W, tone(1000, rate, stft)[:, 0]) > (0.98 if n_fft / rate == 512 / 8000 else 0.85)
    assert cosine(W, tone(1200, rate, stft)[:, 0]) < 0.2


def test_there_and_back_is_about_the_same():
    first = kit(1000, 8000, STFT(512))
    back = convert(convert(first, 16000, [STFT(1024)]), 8000, [STFT(512)])
    assert cosine(back.views[0].W[:, 0], first.views[0].W[:, 0]) > 0.95
    again = convert(first, 8000, [STFT(512)])
    np.testing.assert_array_equal(again.views[0].W, first.views[0].W)


def test_the_energy_of_a_flat_template_stays_flat():
    view = Templates(STFT(512), unit(np.ones((257, 1), np.float32)), np.zeros(1, np.intp))
    flat = Dictionary((view,), ("flat",), 8000)
    for rate, n_fft in ((8000, 128), (8000, 2048), (6000, 512), (16000, 512)):
        W = convert(flat, rate, [STFT(n_fft)]).views[0].W
        np.testing.assert_allclose(W, W.mean(), rtol=1e-4)


def test_another_hop_needs_no_conversion():
    first = kit(1000, 8000, STFT(512))
    view = convert(first, 8000, [STFT(512, 64)]).views[0]
    assert view.stft.hop_length == 64
    np.testing.assert_array_equal(view.W, first.views[0].W)


def test_what_else_a_dictionary_holds_is_kept():
    converted = convert(kit(1000, 8000, STFT(512)), 16000, [STFT(1024), STFT(2048)])
    assert (converted.labels, converted.sample_rate, converted.divergence) == (("tone",), 16000, "kl")
    assert converted.provenance == ({"label": "tone"},)
    assert [view.stft.n_fft for view in converted.views] == [1024, 2048]


def test_each_view_is_made_from_the_one_that_lasts_most_nearly_as_long():
    short, long = STFT(128), STFT(1024)
    both = kit(1000, 8000, short, long)
    converted = convert(both, 16000, [STFT(256), STFT(2048)])
    for view, alone in zip(converted.views, (kit(1000, 8000, short), kit(1000, 8000, long)), strict=True):
        np.testing.assert_array_equal(view.W, convert(alone, 16000, [view.stft]).views[0].W)


def test_above_what_was_recorded_the_templates_are_said_to_know_nothing():
    slow = kit(1000, 8000, STFT(512))
    view = convert(slow, 16000, [STFT(1024)]).views[0]
    assert view.known_bins == pytest.approx(1024 * 4000 / 16000, abs=1.01)
    assert view.W[view.known_bins :].min() > 0
    whole = convert(slow, 6000, [STFT(512)]).views[0]
    assert whole.known_bins == whole.stft.bins


def test_what_is_known_is_still_known_after_a_second_conversion():
    once = convert(kit(1000, 8000, STFT(512)), 16000, [STFT(1024)])
    twice = convert(once, 32000, [STFT(2048)]).views[0]
    assert twice.known_bins == pytest.approx(2048 * 4000 / 32000, abs=2.01)


@pytest.mark.parametrize("n_fft", [64, 4096])
def test_frames_that_last_too_differently_are_refused_with_the_reason(n_fft):
    stft = STFT(n_fft)
    assert max(n_fft / 512, 512 / n_fft) > FARTHEST
    with pytest.raises(
        UsageError, match=r"frames last 0\.064 s, those asked for .* too different to convert; leave out"
    ):
        convert(kit(1000, 8000, STFT(512)), 8000, [stft])


@pytest.mark.parametrize("n_fft", [128, 2048])
def test_frames_of_four_times_or_a_quarter_can_be_converted(n_fft):
    W = convert(kit(1000, 8000, STFT(512)), 8000, [STFT(n_fft)]).views[0].W[:, 0]
    assert np.argmax(W) == pytest.approx(1000 * n_fft / 8000, abs=0.75)


def test_a_mixture_far_above_the_recordings_is_refused():
    slow = Dictionary((Templates(STFT(4), unit(np.ones((3, 1), np.float32)), np.zeros(1, np.intp)),), ("rumble",), 2)
    with pytest.raises(UsageError, match="no frequency that the mixture has"):
        convert(slow, 2_000_000, [STFT(2**20)])


@pytest.mark.parametrize(
    ("rate", "lengths", "hops"),
    [(8000, [512, 2048], [128, 512]), (16000, [1024, 4096], [256, 1024]), (22050, [1024, 4096], [256, 1024]),
     (44100, [2048, 8192], [512, 2048]), (4000, [256, 1024], [64, 256])],
)  # fmt: skip
def test_suitable_frames_last_about_as_long_as_the_dictionarys(rate, lengths, hops):
    stfts = suitable(kit(300, 8000, STFT(512), STFT(2048)), rate)
    assert [stft.n_fft for stft in stfts] == lengths
    assert [stft.hop_length for stft in stfts] == hops


def test_suitable_frames_for_the_rate_of_the_dictionary_are_its_own():
    stfts = (STFT(300, 70, "hamming"), STFT(1000, 500, "boxcar"))
    assert suitable(kit(300, 8000, *stfts), 8000) == list(stfts)


def test_suitable_frames_keep_the_window_and_the_overlap():
    (stft,) = suitable(kit(300, 8000, STFT(512, 64, "blackman")), 16000)
    assert stft == STFT(1024, 128, "blackman")


def test_lengths_that_become_the_same_are_one_view():
    assert [stft.n_fft for stft in suitable(kit(300, 8000, STFT(500), STFT(520)), 16000)] == [1024]


def test_the_dictionary_is_only_read():
    first = kit(1000, 8000, STFT(512))
    first.views[0].W.flags.writeable = False
    convert(first, 22050, [STFT(1024)])
