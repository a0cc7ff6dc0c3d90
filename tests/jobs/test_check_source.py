import dataclasses

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError, OutputError, UsageError
from nmfsep.guidance.dictionary import Dictionaries, Dictionary
from nmfsep.guidance.guide import Guide
from nmfsep.guidance.templates import Templates
from nmfsep.jobs.budget import memory_needed
from nmfsep.jobs.plan import check_source, plan
from nmfsep.jobs.run_options import RunOptions
from nmfsep.settings.commands import OutputSettings
from nmfsep.settings.separation import Settings
from nmfsep.signal.read import Source
from nmfsep.signal.stft import STFT


@pytest.fixture(autouse=True)
def song(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sf.write("song.wav", np.zeros(800), 8000, "PCM_16")


def look(limit=None, **output):
    options = RunOptions(Settings(components=2, threads=1), OutputSettings(**output), limit=limit)
    (job,) = plan(["song.wav"], options)
    with Source("song.wav") as source:
        return check_source(job, source, options)[0]


def test_the_format_of_the_stems_is_the_inputs():
    form = look()
    assert (form.name, form.subtype) == ("wav", "PCM_16")


def test_too_little_memory_is_found_before_any_work():
    with pytest.raises(UsageError, match=r"'song' needs about \d+ MB of memory and may take 1 MB.*--max-memory"):
        look(limit=1 << 20)
    assert look(limit=1 << 40)


@pytest.mark.parametrize(("free", "enough"), [(10**15, True), (1 << 20, False), (None, True)])
def test_without_a_limit_what_is_free_decides(monkeypatch, free, enough):
    monkeypatch.setattr("nmfsep.memory.available", lambda: free)
    if enough:
        assert look()
    else:
        with pytest.raises(UsageError, match="of memory and may take"):
            look()


def test_a_full_disk_is_found_before_any_work(monkeypatch):
    monkeypatch.setattr("nmfsep.jobs.safety.free_space", lambda folder: 0)
    with pytest.raises(OutputError, match=r"no space left on device: .* are needed"):
        look()
    assert look(out="-")  # standard output needs none there


def test_a_stretch_after_the_end_is_found_before_any_work():
    with pytest.raises(InputError, match=r"ends at 0\.100 s"):
        look(offset=0.1)


def test_a_container_that_cannot_hold_the_stems_is_found_before_any_work():
    with pytest.raises(UsageError, match="flac cannot hold FLOAT"):
        look(format="flac", subtype="FLOAT")


def guide(templates=2, rate=8000):
    view = Templates(STFT(256), np.ones((129, templates), np.float32), np.arange(templates) % 2)
    return Guide((Dictionaries((Dictionary((view,), ("kick", "snare"), rate),), ("kit.npz",), ("0" * 64,)),))


def look_guided(guide, limit=None, **given):
    guide = dataclasses.replace(guide, given=given)
    options = RunOptions(guide.settings(), guide=guide, limit=limit)
    (job,) = plan(["song.wav"], options)
    with Source("song.wav") as source:
        return check_source(job, source, options)[0]


def test_the_memory_of_a_dictionary_counts():
    assert look_guided(guide(), limit=1 << 40)
    with pytest.raises(UsageError, match=r"'song' needs about \d+ MB of memory and may take 1 MB"):
        look_guided(guide(), limit=1 << 20)
    with Source("song.wav") as source:
        few, many = (memory_needed(source, RunOptions(kit.settings(), guide=kit)) for kit in (guide(), guide(100_000)))
    assert many > few + 100_000 * 129 * 4


def test_a_dictionary_that_cannot_be_converted_is_found_before_any_work():
    with pytest.raises(UsageError, match="too different to convert") as caught:
        look_guided(guide(), n_fft=8192)
    assert caught.value.path == "kit.npz"
    assert look_guided(guide(rate=16000))
