import numpy as np
import pytest

from nmfsep import STFT, Audio, Factors, Settings, separate
from nmfsep.errors import UsageError
from nmfsep.registry import SOLVERS
from nmfsep.separation import pipeline
from nmfsep.separation.components import Components
from nmfsep.separation.mixture import all_frames
from nmfsep.separation.model import Model, Resolution

RATE = 22050


def mixture(channels=1, length=20000, seed=0):
    """Two tones that take turns over a little noise, differently loud in each channel."""
    rng = np.random.default_rng(seed)
    t = np.arange(length) / RATE
    gate = (np.sin(2 * np.pi * 3 * t) > 0).astype(float)
    tones = [0.3 * gate * np.sin(2 * np.pi * 440 * t), 0.2 * (1 - gate) * np.sin(2 * np.pi * 1200 * t)]
    samples = rng.uniform(0.2, 1, (channels, 2)) @ tones + 0.01 * rng.standard_normal((channels, length))
    return Audio(samples.astype(np.float32), RATE)


def turns():
    """Two tones of soft quarters of a second that never sound together, (2, samples)."""
    t = np.arange(3 * RATE) / RATE
    envelope, second = np.sin(np.pi * 4 * t) ** 2, np.floor(t * 4).astype(int) % 2
    return envelope * [0.5 * (1 - second) * np.sin(2 * np.pi * 440 * t), 0.4 * second * np.sin(2 * np.pi * 1200 * t)]


@pytest.mark.parametrize("length", [1, 2, 1000, 2047, 50000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_stems_add_up_to_the_mixture(channels, length):
    audio = mixture(channels, length)
    # so short a mixture has fewer frames than components, which is said but does no harm
    stems = separate(audio, 3, max_iter=10).samples
    assert stems.shape == (3, channels, length)
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)


@pytest.mark.parametrize("mask", ["ratio", "wiener", "binary"])
@pytest.mark.parametrize("mode", ["joint", "mid", "independent"])
def test_stems_add_up_in_every_mode(mode, mask):
    audio = mixture(2)
    power = 1.5 if mask == "ratio" else 1.0
    stems = separate(audio, 3, channels=mode, mask=mask, mask_power=power, residual="rest", max_iter=10).samples
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
def test_one_component_is_the_mixture_itself(channels):
    audio = mixture(channels)
    np.testing.assert_array_equal(separate(audio, 1, max_iter=3).samples[0], audio.samples)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(("components", "length"), [(2, 20000), (6, 1), (40, 3000), (12, 0)])
def test_stems_add_up_with_every_solver_however_few_frames_and_in_silence(name, components, length):
    # length 0 stands for silence beside a click
    audio = mixture(2, length) if length else Audio(np.eye(2, 20000, 9000, dtype=np.float32), RATE)
    divergence = max(SOLVERS.load(name).betas or {1.0})
    stems = separate(audio, components, n_fft=64, solver=name, divergence=divergence, max_iter=20).samples
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)


SILENT = ["kl", "frobenius", "is"]


@pytest.mark.parametrize("divergence", SILENT)
def test_silence_separates_into_silence_with_a_warning(divergence):
    audio = Audio(np.zeros((2, 5000), np.float32), RATE)
    separation = pipeline.separate(audio, Settings(components=2, divergence=divergence))[0]
    assert any("zero" in warning for warning in separation.warnings)
    stems = np.concatenate(list(pipeline.render(separation, audio)), axis=-1)
    assert stems.shape == (2, 2, 5000)
    assert not stems.any()


def test_a_warning_of_several_channels_is_given_once():
    audio = Audio(np.zeros((4, 5000), np.float32), RATE)
    assert len(pipeline.separate(audio, Settings(channels="independent"))[0].warnings) == 1


def test_the_residual_is_the_last_stem_and_shrinks_with_more_components():
    audio = mixture(length=40000)
    energies = []
    for k in (1, 2, 8):
        stems = separate(audio, k, residual="rest")
        assert stems.names == (*(f"component-{i + 1}" for i in range(k)), "rest")
        assert len(stems.samples) == k + 1
        np.testing.assert_allclose(stems.samples.sum(axis=0), audio.samples, atol=1e-6)
        energies.append(float(np.sum(stems.samples[-1] ** 2)))
    assert energies[0] > 1.5 * energies[1] > 1.5 * energies[2] > 0


@pytest.mark.parametrize("mode", ["joint", "mid", "independent"])
def test_threads_do_not_change_a_bit(mode):
    audio = mixture(2, 100000)  # long enough for several blocks of frames and tiles
    first, second = (separate(audio, 3, channels=mode, max_iter=5, threads=n).samples for n in (1, 2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("divergence", ["kl", "frobenius", "is"])
def test_a_level_of_a_power_of_two_goes_through_bit_for_bit(divergence):
    audio, scale = mixture(2), np.float32(2.0**-20)
    quiet = Audio(audio.samples * scale, RATE)
    loud, soft = (separate(a, 3, divergence=divergence, max_iter=20).samples for a in (audio, quiet))
    np.testing.assert_array_equal(soft, loud * scale)


def test_rescaling_the_factors_of_a_model_leaves_the_stems():
    audio = mixture()
    learned = pipeline.separate(audio, Settings(components=3, max_iter=20))[0]
    D = np.float32([1e4, 1, 1e-5])
    scaled = [Factors(f.W * D, f.Z / D[:, None]) for f in learned.components.factors]
    components = Components(scaled, learned.components.groups)
    other = Model(learned.settings, (Resolution(learned.stft, components),), learned.fits)
    first, second = (np.concatenate(list(pipeline.render(s, audio)), axis=-1) for s in (learned, other))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_component_of_the_left_stays_on_the_left():
    low, high = turns()
    stems = separate(Audio(np.float32([low + high, high]), RATE), 2).samples
    right_of_left = np.sum(stems[..., 1, :] ** 2, axis=-1) / np.sum(stems[..., 0, :] ** 2, axis=-1)
    # one stem hardly sounds on the right, the other in both channels alike
    assert right_of_left.min() < 1e-6
    assert right_of_left.max() == pytest.approx(1, abs=1e-3)


def test_joint_channels_keep_their_phase():
    left = mixture().samples[0]
    stems = separate(Audio(np.stack([left, -left]), RATE), 2).samples
    np.testing.assert_allclose(stems[:, 0], -stems[:, 1], atol=1e-6)
    assert np.abs(stems).max() > 0.05


def test_mid_is_deaf_to_what_cancels_and_joint_is_not():
    left = mixture().samples[0]
    audio = Audio(np.stack([left, -left]), RATE)
    assert pipeline.separate(audio, Settings(channels="mid"))[0].warnings
    assert not pipeline.separate(audio, Settings(channels="joint"))[0].warnings


def test_independent_channels_are_separated_as_if_alone():
    audio = mixture(2)
    both = separate(audio, 2, channels="independent", max_iter=20)
    assert len(both.fits) == 2
    for channel in range(2):
        alone = separate(Audio(audio.samples[channel], RATE), 2, max_iter=20).samples
        np.testing.assert_allclose(both.samples[:, channel], alone[:, 0], atol=1e-6)


@pytest.mark.parametrize("mode", ["joint", "mid", "independent"])
def test_two_tones_that_take_turns_separate(mode, scores):
    tones = turns()
    audio = Audio(np.float32([tones.sum(axis=0)] * 2), RATE)
    stems = separate(audio, 2, channels=mode).samples
    assert scores(tones, stems[:, 0]).min() > 25


def test_stems_come_loudest_first():
    stems = separate(mixture(length=40000), 3).samples
    energies = np.sum(stems.astype(np.float64) ** 2, axis=(1, 2))
    assert (np.diff(energies) < 0).all()


@pytest.mark.parametrize(
    ("n_fft", "hop_length", "window"), [(512, 256, "hann"), (1024, 100, "hamming"), (64, 16, "cosine")]
)
def test_other_transforms_add_up_as_well(n_fft, hop_length, window):
    audio = mixture(2, 5000)
    stems = separate(audio, 2, n_fft=n_fft, hop_length=hop_length, window=window, max_iter=5).samples
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)


def test_magnitudes_are_those_of_the_channels_one_above_the_other():
    audio, stft = mixture(2), STFT(512)
    X, scale = (frames := all_frames(audio.samples, stft)).Xt.T, frames.scale
    wanted = np.abs(stft.forward(audio).values)
    np.testing.assert_allclose(X * scale, wanted.reshape(-1, wanted.shape[-1]), rtol=1e-6)
    assert 0.5 <= X.mean() < 1
    assert X.flags.f_contiguous  # the layout that factorize reads without a copy


@pytest.mark.parametrize("level", [1, 2.0**-12])
def test_the_model_is_in_the_units_of_the_mixture(level):
    # a fit of Kullback-Leibler has the sum of X exactly
    audio = Audio(mixture(2).samples * np.float32(level), RATE)
    learned = pipeline.separate(audio, Settings(components=2, n_fft=512))[0]
    model = np.concatenate([factors.reconstruct() for factors in learned.components.factors])
    assert model.sum() == pytest.approx(np.abs(STFT(512).forward(audio).values).sum(), rel=1e-3)


def test_the_callback_can_stop_the_fit():
    fits = separate(mixture(), 2, tol=0, callback=lambda iteration, loss: iteration >= 20).fits
    assert fits[0].n_iter == 20


def test_a_wrong_setting_is_refused_before_any_work():
    with pytest.raises(UsageError, match="did you mean 'wiener'"):
        separate(mixture(), 2, mask="weiner")
    with pytest.raises(UsageError, match="at least 1"):
        separate(mixture(), 0)


def test_the_mixture_is_only_read():
    audio = mixture(2)
    audio.samples.flags.writeable = False
    separate(audio, 2, max_iter=3, residual="rest")
