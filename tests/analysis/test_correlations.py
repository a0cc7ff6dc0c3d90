"""Correlations block by block are those of the whole."""

import numpy as np
import pytest

from nmfsep.analysis.scores import correlate, transform_size


def direct(signals: np.ndarray, references: int, lags: int) -> np.ndarray:
    """Return sum over channels and n of reference[n] signal[n + lag]."""
    length = signals.shape[-1]
    padded = np.pad(signals, ((0, 0), (0, 0), (0, lags)))
    return np.stack(
        [np.einsum("rcn,scn->rs", signals[:references], padded[..., lag : lag + length]) for lag in range(lags)], -1
    )


@pytest.mark.parametrize("lags", [1, 2, 512, 3000])
@pytest.mark.parametrize("length", [1, 700, 30000])
def test_correlations_are_the_sums_of_products(lags, length):
    signals = np.random.default_rng(0).standard_normal((3, 2, length))
    found = correlate([signals], 2, lags)
    lags_checked = np.unique(np.r_[0, lags // 2, lags - 1])
    np.testing.assert_allclose(found.values[..., lags_checked], direct(signals, 2, lags)[..., lags_checked], atol=1e-8)
    np.testing.assert_allclose(found.energies, (signals**2).sum(axis=(1, 2)))


@pytest.mark.parametrize("cut", [1, 1000, 7681, 8192, 20000])
def test_how_the_stream_is_cut_into_blocks_changes_no_bit(cut):
    signals = np.random.default_rng(1).standard_normal((3, 1, 20000 if cut > 1 else 3000))
    blocks = [signals[..., start : start + cut] for start in range(0, signals.shape[-1], cut)]
    whole, pieces = correlate([signals], 2, 512), correlate(blocks, 2, 512)
    np.testing.assert_array_equal(pieces.values, whole.values)
    np.testing.assert_array_equal(pieces.energies, whole.energies)


def test_single_precision_is_summed_in_double(stems):
    single = stems.astype(np.float32)
    np.testing.assert_array_equal(correlate([single], 2, 8).values, correlate([single.astype(np.float64)], 2, 8).values)


def test_a_selection_keeps_the_references(stems):
    found = correlate([stems], 2, 8).of(slice(2, None))
    assert found.values.shape == (2, 1, 8)
    np.testing.assert_allclose(found.energies, (stems[2:] ** 2).sum(axis=(1, 2)))


@pytest.mark.parametrize("lags", [1, 512, 2048, 2049, 65536])
def test_most_of_a_transform_is_not_overlap(lags):
    size = transform_size(lags)
    assert size & (size - 1) == 0
    assert 4 * lags <= size <= max(8192, 8 * lags)
