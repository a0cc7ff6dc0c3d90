"""The page of a report: what is in it, that names stay text, and where it may be written. A browser is not needed."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import nmfsep
from nmfsep.analysis import preview
from nmfsep.analysis.page.fill import fill
from nmfsep.errors import InputError, UsageError
from nmfsep.results.report import report

RATE = 16000


def tones(seconds: float, *, loud_at: float = 0.0) -> np.ndarray:
    """A low and a high tone that take turns, in two channels; six times as loud for a second."""
    t = np.arange(round(seconds * RATE)) / RATE
    low, high = np.sin(2 * np.pi * 220 * t), np.sin(2 * np.pi * 2000 * t)
    x = 0.1 * np.where(t % 1 < 0.5, low, high)
    x[(t >= loud_at) & (t < loud_at + 1)] *= 6
    return np.column_stack([x, 0.5 * x])


@pytest.fixture
def separated(tmp_path):
    """A folder with a sound in two stems, with the model."""
    sf.write(tmp_path / "song.wav", tones(3), RATE, subtype="PCM_16")
    stems = nmfsep.separate(tmp_path / "song.wav", components=2, atoms=1, max_iter=30)
    stems.write(tmp_path / "out", save_model=True)
    return tmp_path / "out" / "song"


def data_of(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def picture(text: str) -> np.ndarray:
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(base64.b64decode(text))))[::-1]


@pytest.mark.smoke
def test_the_page_has_the_stems_as_they_sound(separated):
    data = data_of(report(str(separated)))
    assert [row["name"] for row in data["rows"]] == ["component-1", "component-2"]
    assert data["notes"] == []
    total = 0
    for row in data["rows"]:
        heard, rate = sf.read(io.BytesIO(base64.b64decode(row["audio"])))
        stem, _ = sf.read(separated / f"{row['name']}.wav")
        assert rate == RATE
        assert row["href"] == f"./{row['name']}.wav"
        total = total + heard[: len(stem)]
    mixture, _ = sf.read(separated.parent.parent / "song.wav")
    count = min(len(total), len(mixture))
    error = total[:count] - mixture[:count]
    assert np.sum(error**2) < 0.01 * np.sum(mixture**2)
    low, high = (picture(row["picture"]) for row in sorted(data["rows"], key=lambda row: row["centroid"]))
    assert low[: preview.ROWS // 2].sum() > low[preview.ROWS // 2 :].sum()
    assert high[preview.ROWS // 2 :].sum() > high[: preview.ROWS // 2].sum()
    assert data["factors"]["of"] == "model"
    assert data["factors"]["rows"] == [0, 1]
    assert data["regroup"]["command"] == "nmfsep render song.nmf.npz"


def test_without_a_model_or_mixture_the_page_says_so(separated):
    (separated / "song.nmf.npz").unlink()
    (separated.parent.parent / "song.wav").unlink()
    data = data_of(report(str(separated / "song.nmfsep.json")))
    assert data["mixture"]["audio"] is None
    assert data["factors"]["of"] == "stems"
    assert any("mixture is not at hand" in note for note in data["notes"])
    assert any("model was not saved" in note for note in data["notes"])
    assert data["regroup"]["command"].startswith("nmfsep split ")


def test_of_a_long_sound_the_loudest_minute_is_heard(tmp_path):
    sf.write(tmp_path / "long.wav", tones(100, loud_at=90), RATE, subtype="PCM_16")
    nmfsep.separate(tmp_path / "long.wav", components=2, atoms=1, max_iter=5).write(tmp_path, report=True)
    data = data_of(tmp_path / "long" / "long.html")
    begin = data["preview"]["begin"]
    assert 30 < begin <= 40
    assert data["preview"]["seconds"] == pytest.approx(60)
    heard, _ = sf.read(io.BytesIO(base64.b64decode(data["mixture"]["audio"])))
    loudest = begin + np.argmax(np.abs(heard[:, 0]) > 0.3) / RATE
    assert loudest == pytest.approx(90, abs=0.1)


def test_names_are_data(tmp_path):
    document = {"track": "</script><script>alert(1)</script>&<!--", "rows": ["\u2028</SCRIPT>", "\udcff"]}
    text = fill(document).decode()
    assert text.lower().count("</script>") == 2
    assert "<script>alert" not in text
    assert json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]) == document


def test_the_policy_allows_the_scripts_of_the_page_alone():
    text = fill({"track": "x"}).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")
    for tag, source in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", text)


def test_only_reports_are_replaced(separated):
    page = separated / "page.html"
    page.write_text("mine")
    with pytest.raises(UsageError, match="no report"):
        report(str(separated), page)
    assert page.read_text() == "mine"
    report(str(separated), page, force=True)
    assert report(str(separated), page) == page
    with pytest.raises(UsageError, match="is an input"):
        report(str(separated), separated / "component-1.wav", force=True)


def test_what_is_no_separation_is_refused(separated, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no manifest"):
        report(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="not a manifest"):
        report(str(tmp_path / "song.wav"))
    (separated / "component-2.wav").unlink()
    with pytest.raises(InputError, match="missing"):
        report(str(separated))
    assert not (separated / "song.html").exists()


def test_true_stems_are_compared(separated):
    truth = separated.parent / "truth"
    truth.mkdir()
    for name in ("component-1.wav", "component-2.wav"):
        (truth / name).write_bytes((separated / name).read_bytes())
    scores = data_of(report(str(separated), references=str(truth)))["scores"]
    assert [row["si_sdr"] for row in scores["stems"]] == [100, 100]


def test_an_overview_has_the_peaks_and_bands_of_a_sound():
    x = tones(2, loud_at=1).T.astype(np.float32)
    found = preview.overview([x[:, :10001], x[:, 10001:]], x.shape[1], RATE)
    mono = x.mean(axis=0)
    assert found.peaks[0].min() == mono.min()
    assert found.peaks[1].max() == mono.max()
    assert found.energy.sum() == pytest.approx(np.sum(mono.astype(float) ** 2))
    assert min(abs(found.frequencies[found.spectrum.argmax()] - tone) for tone in (220, 2000)) < 16
    loud, quiet = (found.level[slice(*part)].mean() for part in ((65, 120), (5, 55)))
    assert found.rows.shape == (preview.ROWS, len(found.energy))
    assert loud > 5 * quiet


def test_partials_are_the_peaks_of_a_spectrum():
    frequencies = np.arange(513) * 10.0
    spectrum = np.exp(-0.5 * ((frequencies - 443) / 15) ** 2) + 0.5 * np.exp(-0.5 * ((frequencies - 1200) / 15) ** 2)
    (first, one), (second, half) = preview.partials(spectrum, frequencies)
    assert (first, second) == (pytest.approx(443, abs=2), pytest.approx(1200, abs=2))
    assert (one, half) == (1, pytest.approx(0.5, abs=0.05))


@pytest.mark.parametrize("rate", [7000, 96000])
def test_any_rate_can_be_heard(rate):
    audio = preview.playable(nmfsep.Audio(np.random.default_rng(0).normal(0, 0.1, (3, rate)).astype(np.float32), rate))
    assert audio.sample_rate in preview.RATES
    assert audio.channels == 1
    assert abs(audio.duration - 1) < 0.01
    assert sf.info(io.BytesIO(preview.mp3(audio.samples, audio.sample_rate))).samplerate == audio.sample_rate
