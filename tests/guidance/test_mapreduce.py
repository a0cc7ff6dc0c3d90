"""Learning by a map, a sum and a step, as a job of another engine would."""

from functools import reduce
from operator import add

import numpy as np
import pytest
import soundfile as sf

from nmfsep import statistics, update
from nmfsep.errors import InputError, UsageError

RATE = 8000


@pytest.fixture
def files(tmp_path):
    t = np.arange(RATE) / RATE
    for number, hertz in enumerate((300, 700, 1500)):
        sf.write(tmp_path / f"{number}.wav", 0.3 * np.sin(2 * np.pi * hertz * t), RATE, "PCM_16")
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("divergence", ["kl", "frobenius", 0.5])
def test_steps_lower_the_loss_over_all_files_and_find_their_templates(files, divergence):
    W = np.random.default_rng(0).random((129, 3)) + 0.1
    losses = []
    for _ in range(60):
        total = reduce(add, (statistics(path, W, sample_rate=RATE, divergence=divergence) for path in files))
        losses.append(total.loss)
        W = update(W, total, divergence=divergence)
    assert (np.diff(losses[2:]) <= 1e-3 * np.array(losses[2:-1])).all()
    assert losses[-1] < 0.1 * losses[0]
    assert sorted(W.argmax(axis=0).tolist()) == pytest.approx([300 / 8000 * 256, 700 / 8000 * 256, 48], abs=1)


def test_a_pass_is_that_of_all_frames_at_once(files):
    W = np.random.default_rng(0).random((129, 3)).astype(np.float32) + 0.1
    one = statistics(files[0], W, sample_rate=RATE)
    both = one + one
    np.testing.assert_allclose(update(W, both), update(W, one), rtol=1e-6)
    assert both.frames == 2 * one.frames


def test_what_makes_no_sense_is_refused(files, tmp_path):
    W = np.ones((129, 3))
    with pytest.raises(UsageError, match="no matrix"):
        statistics(files[0], W[0], sample_rate=RATE)
    with pytest.raises(UsageError, match="not \\(129, 2\\)"):
        update(W[:, :2], statistics(files[0], W, sample_rate=RATE))
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError):
        statistics(tmp_path / "bad.wav", W, sample_rate=RATE)


def test_where_templates_lie_in_memory_does_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    sf.write(tmp_path / "noise.wav", 0.1 * rng.standard_normal(40000), RATE, "PCM_16")
    W = rng.random((257, 20)).astype(np.float32, order="F")
    odd = np.ndarray(W.shape, W.dtype, bytearray(W.nbytes + 1), 1, order="F")  # as messages are taken apart
    odd[:] = W
    here, there = (statistics(tmp_path / "noise.wav", A, sample_rate=RATE, sparsity=0.5) for A in (W, odd))
    assert here.negative.tobytes() == there.negative.tobytes()
