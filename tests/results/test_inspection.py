"""What is found in recordings whose notes are known."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from nmfsep.analysis.inspect import pooled_spectrogram
from nmfsep.errors import InputError, UsageError
from nmfsep.jobs.plan import plan
from nmfsep.jobs.run_options import RunOptions
from nmfsep.jobs.track import separate_file
from nmfsep.results.inspect import inspect_separated, inspect_sound
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.audio import Audio
from nmfsep.signal.stft import STFT

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("NMFSEP_DATA", ROOT.parent / "shared" / "data"))
TRIAD = ROOT / "sample_audio" / "triad.wav"
STEPS = [  # of sample_audio/make.py, 0.4 s each
    "C", "E", "G", "CE", "EG", "CG", "CEG", "G", "E", "C", "CG", "CE", "EG", "CEG", "E", "C", "G", "CEG",
]  # fmt: skip


def notes(found):
    return sorted(component.pitch.note for component in found.components if component.pitch)


def inspect(path, **settings):
    return inspect_sound(str(path), Settings(**({"atoms": 1} | settings)), OutputSettings())  # as the command does


def test_the_notes_of_the_sample_triad_and_their_times_are_found():
    found = inspect(TRIAD, components=3)
    assert notes(found) == [60, 64, 67]
    for component in found.components:
        letter = component.pitch.name[0]
        # a note that is struck again while it sounds need not rise by much
        fresh = [0.4 * n for n, step in enumerate(STEPS) if letter in step and (n == 0 or letter not in STEPS[n - 1])]
        onsets = np.array(component.onsets)
        assert all(np.abs(onsets - time).min() < 0.05 for time in fresh)
        assert all(letter in STEPS[round(onset / 0.4)] for onset in onsets)
    assert sum(component.share for component in found.components) == pytest.approx(1)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("notes_guitar5_arpeggio", {}),
        ("notes_organ4_never_alone", {}),
        ("notes_piano_scale8", {}),
        ("notes_piano_triad", {}),
        # at the defaults one short note of 0.3 s has no template of its own, and another has two
        ("notes_real_bassoon", {"n_fft": 4096, "start": "semantic"}),
    ],
)
def test_the_pitches_of_real_notes_are_those_that_were_played(case, settings):
    if not (DATA / case).is_dir():
        pytest.skip(f"no {case} in {DATA}; set NMFSEP_DATA to the folder of recordings")
    meta = json.loads((DATA / case / "meta.json").read_text())
    assert notes(inspect(DATA / case / "mix.flac", components=meta["k"], **settings)) == sorted(meta["midi_pitches"])


def test_channels_are_added_up():
    found = inspect(ROOT / "sample_audio" / "song.wav", components=3)
    assert found.samples.shape[0] == 2
    assert found.W.shape == (1025, 3)
    np.testing.assert_allclose(found.W.sum(axis=0), 1, rtol=1e-4)


def separated(folder, **output):
    settings = Settings(components=3, atoms=1)  # inspect shows the components of one fit
    options = OutputSettings(out=str(folder), **output)
    run = RunOptions(settings, options)
    separate_file(plan([str(TRIAD)], run)[0], run).result()


def test_stems_are_described_as_the_components_that_they_are(tmp_path):
    separated(tmp_path)
    (found,) = inspect_separated(str(tmp_path))
    assert (found.kind, found.track, notes(found)) == ("separation", "triad", [60, 64, 67])
    direct = inspect(TRIAD, components=3)
    for stem, component in zip(found.components, direct.components, strict=True):
        assert (stem.name, stem.pitch.note) == (component.name, component.pitch.note)
        assert stem.centroid == pytest.approx(component.centroid, rel=0.03)
        assert len(stem.onsets) == pytest.approx(len(component.onsets), abs=1)
    np.testing.assert_allclose(found.samples, direct.samples, atol=1e-4)
    manifest = tmp_path / "triad" / "triad.nmfsep.json"
    assert inspect_separated(str(manifest))[0].document() == found.document()


def test_what_cannot_be_inspected_is_told(tmp_path):
    with pytest.raises(UsageError, match="holds no separation of nmfsep"):
        inspect_separated(str(tmp_path))
    separated(tmp_path)
    with pytest.raises(UsageError, match="of memory"):
        inspect_separated(str(tmp_path), limit=1 << 20)
    os.remove(tmp_path / "triad" / "component-2.wav")
    with pytest.raises(InputError, match=r"stem 'component-2\.wav' is missing"):
        inspect_separated(str(tmp_path))
    manifest = tmp_path / "triad" / "triad.nmfsep.json"
    manifest.write_text(manifest.read_text().replace('"n_fft": 2048', '"n_fft": "many"'))
    with pytest.raises(InputError, match="has frames that make no sense"):
        inspect_separated(str(tmp_path))


def test_options_that_contradict_each_other_are_refused_before_reading():
    with pytest.raises(UsageError, match="hals"):
        inspect(TRIAD, components=3, solver="hals")
    with pytest.raises(UsageError, match="of memory"):
        inspect_sound(str(TRIAD), Settings(components=3), OutputSettings(), limit=1 << 20)


@pytest.mark.parametrize("step", [1, 3, 7])
def test_frames_of_the_picture_are_pooled_whatever_the_blocks(step):
    samples = np.random.default_rng(0).standard_normal((2, 150_000)).astype(np.float32)
    stft = STFT(512)
    X = np.abs(stft.forward(Audio(samples, 8000)).values).sum(axis=0)
    expected = np.stack([X[:, n : n + step].max(axis=1) for n in range(0, X.shape[1], step)], axis=1)
    np.testing.assert_allclose(pooled_spectrogram(samples, stft, step), expected, rtol=1e-5)
