import numpy as np
import pytest

import nmfsep.separation.render as rendering
from nmfsep import STFT, Factors
from nmfsep.kernels.threads import Workers
from nmfsep.separation.components import Components
from nmfsep.separation.masks import mask_of
from nmfsep.separation.render import Masking, inverse

SIGNAL = STFT(256)


def noise(channels=1, length=3000, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, length)).astype(np.float32)


def factors(length=3000, k=4, seed=1, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return Factors(rng.random((SIGNAL.bins, k)).astype(dtype), rng.random((k, SIGNAL.n_frames(length))).astype(dtype))


def rendered(samples, model, mask=None, threads=1):
    with Workers(threads) as workers:
        pieces = list(inverse(samples, SIGNAL, model, Masking(mask or mask_of("ratio", 1)), workers))
    return np.concatenate(pieces, axis=-1)


@pytest.mark.parametrize("channels", [1, 2])
def test_stems_are_the_inverse_transforms_of_the_masked_mixture(channels):
    librosa = pytest.importorskip("librosa")  # the oracle: the whole transform at once, in another library
    samples, W_Z = noise(channels), factors(k=3)
    got = rendered(samples, Components([W_Z], [[0], [1, 2]]))
    parts = np.stack([W_Z.select([0]).reconstruct(), W_Z.select([1, 2]).reconstruct()])
    for channel in range(channels):
        S = librosa.stft(samples[channel], n_fft=256, hop_length=64)
        for stem in range(2):
            masked = S * (parts[stem] / parts.sum(axis=0))[:, : S.shape[1]]
            wanted = librosa.istft(masked, n_fft=256, hop_length=64, length=3000)
            np.testing.assert_allclose(got[stem, channel], wanted, atol=2e-6)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("length", [1, 2, 255, 256, 257, 3000])
def test_stems_add_up_to_the_mixture(length, residual):
    samples = noise(2, length)
    got = rendered(samples, Components([factors(length)], [[0, 3], [1], [2]], residual))
    assert got.shape == (3 + residual, 2, length)
    np.testing.assert_allclose(got.sum(axis=0), samples, atol=1e-6)


def test_parts_are_the_models_of_the_groups():
    W_Z = factors()
    magnitude = np.full((5, SIGNAL.bins), 0.6, np.float32)
    parts = Components([W_Z], [[2], [0, 3]], residual=True).at(7, 12, magnitude[None]).parts(0, magnitude)
    np.testing.assert_allclose(parts[0], W_Z.select([2]).reconstruct()[:, 7:12].T, rtol=1e-6)
    np.testing.assert_allclose(parts[1], W_Z.select([0, 3]).reconstruct()[:, 7:12].T, rtol=1e-6)
    np.testing.assert_allclose(parts[2], np.maximum(0.6 - parts[0] - parts[1], 0), atol=1e-6)
    assert (parts[2] == 0).any()  # where the model exceeds the mixture, it leaves nothing
    assert (parts[2] > 0).any()


def test_each_channel_is_masked_by_its_own_factors():
    samples = noise(2)
    first, second = factors(seed=1), factors(seed=2)
    groups = [[0], [1], [2], [3]]
    both = rendered(samples, Components([first, second], groups))
    np.testing.assert_allclose(both[:, :1], rendered(samples[:1], Components([first], groups)), atol=1e-6)
    np.testing.assert_allclose(both[:, 1:], rendered(samples[1:], Components([second], groups)), atol=1e-6)


def test_a_single_factorization_masks_all_channels_alike():
    samples = noise(1).repeat(2, axis=0)
    got = rendered(samples, Components([factors()], [[0], [1, 2, 3]]))
    np.testing.assert_array_equal(got[:, 0], got[:, 1])


@pytest.mark.parametrize("groups", [[[0], [1], [2], [3]], [[0, 1], [2, 3]]])
def test_rescaling_between_w_and_z_leaves_the_stems(groups):
    samples, W_Z = noise(), factors()
    D = np.float32([1e-6, 3, 1e5, 1])
    other = Factors(W_Z.W * D, W_Z.Z / D[:, None])
    first, second = rendered(samples, Components([W_Z], groups)), rendered(samples, Components([other], groups))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first).max() > 0.05


def test_factors_in_double_precision_are_taken():
    samples = noise()
    single, double = (rendered(samples, Components([factors(dtype=t)], [[0], [1]])) for t in (np.float32, np.float64))
    np.testing.assert_allclose(single, double, atol=1e-6)


def test_the_order_of_the_stems_is_that_of_the_groups():
    samples, W_Z = noise(), factors()
    forward = rendered(samples, Components([W_Z], [[0], [1], [2]]))
    backward = rendered(samples, Components([W_Z], [[2], [1], [0]]))
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-6)


def test_blocks_and_threads_do_not_matter(monkeypatch):
    samples, model = noise(2, 20000), Components([factors(20000)], [[0], [1], [2, 3]])
    whole = rendered(samples, model)
    monkeypatch.setattr(rendering, "BLOCK", 1)  # blocks of 32 frames
    small = rendered(samples, model)
    np.testing.assert_allclose(small, whole, atol=1e-6)
    np.testing.assert_array_equal(rendered(samples, model, threads=2), small)


def test_a_binary_mask_of_disjoint_models_keeps_each_stem_where_its_model_is():
    # a component in the first half of the frames and one in the second: their stems divide time between them
    n = SIGNAL.n_frames(3000)
    Z = np.zeros((2, n), np.float32)
    Z[0, : n // 2] = Z[1, n // 2 :] = 1
    got = rendered(
        noise(), Components([Factors(np.ones((SIGNAL.bins, 2), np.float32), Z)], [[0], [1]]), mask_of("binary", 1)
    )
    middle = n // 2 * SIGNAL.hop_length
    np.testing.assert_allclose(got[1, 0, : middle - 256], 0, atol=1e-6)
    np.testing.assert_allclose(got[0, 0, middle + 256 :], 0, atol=1e-6)


def test_a_silent_model_gives_equal_shares():
    samples = noise()
    nothing = Factors(np.zeros((SIGNAL.bins, 2), np.float32), np.zeros((2, SIGNAL.n_frames(3000)), np.float32))
    got = rendered(samples, Components([nothing], [[0], [1]]))
    np.testing.assert_allclose(got, samples[None].repeat(2, axis=0) / 2, atol=1e-6)


def test_nothing_is_written_to_the_mixture_or_the_factors():
    samples, W_Z = noise(2), factors()
    for array in (samples, W_Z.W, W_Z.Z):
        array.flags.writeable = False
    rendered(samples, Components([W_Z], [[0], [1, 2]], residual=True))
