"""Stems at several lengths of frames: cells in which they are compared, and how they are matched."""

import numpy as np

from nmfsep import Audio
from nmfsep.grouping.atoms import find
from nmfsep.grouping.lengths import cells, further_lengths, matched
from nmfsep.separation import pipeline
from nmfsep.settings.separation import Settings
from nmfsep.signal.stft import STFT

RATE = 16000


def duet(seconds=4):
    """A buzz of low notes and a thin line of high ones, each with rests: (2, samples)."""
    rng = np.random.default_rng(1)
    t = np.arange(RATE * seconds) / RATE
    voices = []
    for pitches, partials in (((110, 131, 147), 30), ((880, 1047, 1319), 3)):
        sound = np.zeros(len(t))
        for beat in range(seconds * 4):
            if rng.random() < 0.7:
                note = slice(beat * RATE // 4, (beat + 1) * RATE // 4)
                pitch = rng.choice(pitches)
                sound[note] += sum(np.sin(2 * np.pi * pitch * h * t[note]) / h for h in range(1, partials))
        voices.append(0.1 * sound)
    return np.array(voices, np.float32)


def found_at(stft):
    X = np.abs(stft.forward(Audio(duet().sum(axis=0), RATE)).values[0])
    return find(X, stft, RATE, Settings(components=2, atoms=4, grouping="timbre", restarts=2))[1]


def test_stems_of_another_length_get_the_order_of_the_first():
    short, long = STFT(1024), STFT(2048)
    one, other = found_at(short), found_at(long)
    every = [np.arange(stft.n_frames(duet().shape[1])) for stft in (short, long)]
    where = cells(one, short, RATE, every[0])
    same = matched(where, other, cells(other, long, RATE, every[1]))
    turned = cells(one, short, RATE, every[0])[::-1]
    opposite = matched(turned, other, cells(other, long, RATE, every[1]))
    assert opposite.groups == same.groups[::-1]
    found = cells(same, long, RATE, every[1])
    bands, times = (min(a, b) for a, b in zip(where.shape[1:], found.shape[1:], strict=True))
    a, b = (each[:, :bands, :times].reshape(2, -1) for each in (where, found))
    alike = a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    assert np.diag(alike).min() > max(alike[0, 1], alike[1, 0])


def test_cells_hold_all_of_a_model_wherever_its_frames_are():
    stft = STFT(1024)
    found = found_at(stft)
    numbers = np.arange(found.fit.factors.Z.shape[1])
    whole = cells(found, stft, RATE, numbers)
    late = cells(found, stft, RATE, numbers + 1000)
    expected = [(found.fit.factors.W[:, group] @ found.fit.factors.Z[group]).sum() for group in found.groups]
    np.testing.assert_allclose(whole.sum(axis=(1, 2)), expected, rtol=1e-4)
    np.testing.assert_allclose(late.sum(axis=(1, 2)), expected, rtol=1e-4)
    assert not late[..., :100].any()


def test_lengths_beside_the_usual_one_are_longer_and_for_best_or_two_stems():
    best = Settings(components=3, best=True)
    assert [each.n_fft for each in further_lengths(STFT(2048), best)] == [4096, 3072]
    assert [each.n_fft for each in further_lengths(STFT(1536), best)] == [3072, 2048]
    assert further_lengths(STFT(2048), Settings(components=3)) == []
    assert [each.n_fft for each in further_lengths(STFT(4096), Settings(components=2))] == [8192]
    assert further_lengths(STFT(2048), Settings(components=3, best=True, n_fft=2048)) == []


def test_a_model_has_the_stems_at_all_lengths_and_its_sum_is_the_mixture():
    audio = Audio(duet().sum(axis=0), RATE)
    settings = Settings(components=2, grouping="timbre", atoms=4, restarts=2, best=True)
    told = []
    model, pieces = pipeline.separate(audio, settings, on_progress=lambda step, loss: told.append(step))
    stems = np.concatenate(list(pieces), axis=-1)
    assert [each.stft.n_fft for each in model.resolutions] == [1536, 3072, 2048]
    assert len(model.fits) == 3
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)
    assert told == sorted(told)
    assert told[-1] == 200
