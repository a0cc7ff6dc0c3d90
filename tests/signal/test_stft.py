import warnings

import librosa
import numpy as np
import pytest

from nmfsep.errors import UsageError
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import BLOCK, STFT, window_samples

WINDOWS = ("hann", "hamming", "blackman", "cosine", "boxcar")
GRIDS = [(2048, 512), (2048, 1024), (256, 64), (256, 100), (64, 1), (64, 31), (4, 2), (4, 1), (1000, 333)]


def noise(channels, length, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (channels, length)).astype(np.float32)


def librosa_stft(samples, n_fft, hop, window):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_fft=.* is too large")  # signals below one frame
        return librosa.stft(
            samples.astype(np.float64), n_fft=n_fft, hop_length=hop, window=window, center=True, pad_mode="constant"
        )


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("n_fft", "hop"), GRIDS)
@pytest.mark.parametrize(("channels", "length"), [(1, 5001), (2, 777), (3, 9)])
def test_forward_equals_librosa(n_fft, hop, window, channels, length):
    samples = noise(channels, length)
    ours = STFT(n_fft, hop, window).forward(Audio(samples, 8000)).values
    theirs = librosa_stft(samples, n_fft, hop, window)
    assert ours.dtype == np.complex64
    assert ours.shape[:2] == (channels, n_fft // 2 + 1)
    assert ours.shape[2] - theirs.shape[2] in (0, 1)  # one more where the last samples would be uncovered
    error = np.abs(ours[..., : theirs.shape[2]] - theirs).max()
    assert error <= 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("length", [1, 2, 511, 512, 513, 2047, 2048, 2049, 40_001])
def test_a_hann_window_of_a_quarter_overlap_has_librosas_frames(length):
    assert STFT().n_frames(length) == 1 + length // 512


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("n_fft", "hop"), GRIDS)
def test_inverse_of_forward_is_the_signal(n_fft, hop, window):
    stft = STFT(n_fft, hop, window)
    lengths = {1, 2, hop - 1, hop, hop + 1, n_fft - 1, n_fft, n_fft + 1, n_fft // 2, 3 * n_fft + hop - 1, 2971}
    for length in sorted(lengths - {0}):
        samples = noise(1, length, seed=length)
        back = stft.inverse(stft.forward(Audio(samples, 8000)))
        assert back.samples.shape == samples.shape
        assert np.abs(back.samples - samples).max() <= 1e-5, f"length {length}"


@pytest.mark.parametrize("channels", [2, 8, 32])
def test_inverse_keeps_channels_apart(channels):
    samples = noise(channels, 3000)
    samples[1] = 0
    back = STFT(256).inverse(STFT(256).forward(Audio(samples, 44100)))
    assert back.sample_rate == 44100
    np.testing.assert_allclose(back.samples, samples, rtol=0, atol=1e-5)
    assert not back.samples[1].any()


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (256, 100), (64, 32)])
def test_blocks_of_frames_are_slices_of_the_whole(n_fft, hop):
    stft = STFT(n_fft, hop)
    samples = noise(2, 60 * hop + 7)
    whole = stft.forward(Audio(samples, 8000)).values
    frames = whole.shape[2]
    for start, stop in [(0, 1), (0, frames), (1, 4), (7, frames), (frames - 1, frames)]:
        block = stft.forward_block(samples, start, stop)
        np.testing.assert_array_equal(block, whole[..., start:stop].swapaxes(1, 2))


def test_a_signal_longer_than_a_block_equals_librosa():
    samples = noise(1, 16 * (2 * BLOCK + 3))
    ours = STFT(64, 16).forward(Audio(samples, 8000)).values
    theirs = librosa_stft(samples, 64, 16, "hann")
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 19, 1000])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 31), (128, 64), (64, 1)])
def test_joined_samples_do_not_depend_on_the_block_size(n_fft, hop, size):
    stft = STFT(n_fft, hop)
    samples = noise(2, 611)
    values = stft.forward(Audio(samples, 8000)).values.swapaxes(1, 2)
    # the result of a mask is no longer the transform of any signal, which is where seams would show
    values = values * np.random.default_rng(3).uniform(0, 1, values.shape).astype(np.float32)
    frames = values.shape[1]
    reference = np.concatenate(list(stft.join(iter([stft.inverse_block(values)]), 611)), axis=-1)
    blocks = (stft.inverse_block(values[:, start : start + size]) for start in range(0, frames, size))
    joined = np.concatenate(list(stft.join(blocks, 611)), axis=-1)
    assert joined.shape == samples.shape
    np.testing.assert_allclose(joined, reference, rtol=0, atol=1e-6 * np.abs(reference).max())


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (64, 31)])
def test_inverse_of_a_masked_spectrogram_is_the_least_squares_signal(n_fft, hop, window):
    # Griffin and Lim (1984), frame by frame as in the paper; librosa.istft is the same and takes 4 s to compile
    stft = STFT(n_fft, hop, window)
    spectrogram = stft.forward(Audio(noise(1, 3000), 8000))
    gains = np.random.default_rng(5).uniform(0, 1, spectrogram.values.shape).astype(np.float32)
    np.multiply(spectrogram.values, gains, out=spectrogram.values)
    taper = window_samples(window, n_fft)
    total, weight = np.zeros(3000 + 2 * n_fft), np.zeros(3000 + 2 * n_fft)
    for t, frame in enumerate(spectrogram.values[0].T.astype(np.complex128)):
        total[t * hop : t * hop + n_fft] += taper * np.fft.irfft(frame, n_fft)
        weight[t * hop : t * hop + n_fft] += taper**2
    expected = (total[n_fft // 2 :] / np.maximum(weight[n_fft // 2 :], 1e-12))[:3000]
    np.testing.assert_allclose(stft.inverse(spectrogram).samples[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("exponent", [-40, 20])
def test_levels_pass_through_bit_for_bit_as_powers_of_two(exponent):
    samples, factor = noise(1, 3000), np.float32(2.0**exponent)
    usual = STFT(256).forward(Audio(samples, 8000)).values
    scaled = STFT(256).forward(Audio(samples * factor, 8000)).values
    np.testing.assert_array_equal(scaled, usual * factor)


def test_read_only_samples_are_transformed_and_left_as_they_are():
    samples = noise(2, 3000)
    before = samples.copy()
    samples.flags.writeable = False
    spectrogram = STFT(256).forward(Audio(samples, 8000))
    spectrogram.values.flags.writeable = False
    STFT(256).inverse(spectrogram)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("hop", [129, 256, 1000, -1])
def test_frames_that_overlap_by_less_than_half_are_refused(hop):
    with pytest.raises(UsageError, match=f"hop_length {hop} is not between 1 and half of n_fft 256"):
        STFT(256, hop)


@pytest.mark.parametrize("n_fft", [3, 255, 2, 0, -8])
def test_odd_and_tiny_frames_are_refused(n_fft):
    with pytest.raises(UsageError, match="even number"):
        STFT(n_fft, 1)


@pytest.mark.parametrize("window", ["hahn", "", "kaiser"])
def test_unknown_windows_are_refused(window):
    with pytest.raises(UsageError, match=f"window '{window}' is unknown"):
        STFT(256, 64, window)


def test_windows_that_leave_samples_uncovered_are_refused(monkeypatch):
    taper = np.zeros(256)
    taper[:64] = 1
    monkeypatch.setattr("nmfsep.signal.stft.window_samples", lambda name, n_fft: taper)
    with pytest.raises(UsageError, match="uncovered"):
        STFT(256, 128)


def test_the_default_hop_is_a_quarter_of_a_frame():
    assert STFT(1000).hop_length == 250


def test_windows_are_shared_and_cannot_be_written_to():
    taper = window_samples("hann", 64)
    with pytest.raises(ValueError, match="read-only"):
        taper[0] = 1
