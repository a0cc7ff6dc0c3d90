"""How well real and rendered recordings come apart; thresholds lie some dB below what was measured."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from nmfsep import Audio, separate

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("NMFSEP_DATA", ROOT.parent / "shared" / "data"))


def load(mixture: Path, stems: Path) -> tuple[Audio, np.ndarray]:
    samples, rate = sf.read(mixture, dtype="float32", always_2d=True)
    references = np.stack([sf.read(path, always_2d=True)[0].T for path in sorted(stems.iterdir())])
    return Audio(samples.T.copy(), rate), references


@pytest.mark.parametrize(
    ("name", "worst", "mean"),
    # measured: worst 15.3 and mean 16.9 dB; 11.5 and 16.3 dB
    [("triad", 11, 13), ("drums", 8, 13)],
)
def test_sample_recordings_come_apart(name, worst, mean, gains):
    audio, references = load(ROOT / "sample_audio" / f"{name}.wav", ROOT / "sample_audio" / "stems" / name)
    stems = separate(audio, len(references)).samples
    np.testing.assert_allclose(stems.sum(axis=0), audio.samples, atol=1e-6)
    gained = gains(audio.samples, references, stems)
    assert gained.min() > worst
    assert gained.mean() > mean


@pytest.mark.parametrize("mask", ["ratio", "wiener"])
@pytest.mark.parametrize(
    ("case", "worst", "mean"),
    # measured with either mask: worst 19.5 and mean 20.5 dB; 12.3 and 16.5 dB
    [("notes_piano_triad", 15, 16), ("drums_sonicpi_rock", 9, 13)],
)
def test_real_recordings_come_apart(case, worst, mean, mask, gains):
    if not (DATA / case).is_dir():
        pytest.skip(f"no {case} in {DATA}; set NMFSEP_DATA to the folder of recordings")
    audio, references = load(DATA / case / "mix.flac", DATA / case / "stems")
    gained = gains(audio.samples, references, separate(audio, len(references), mask=mask).samples)
    assert gained.min() > worst
    assert gained.mean() > mean
