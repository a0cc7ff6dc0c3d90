"""doctor says what there is, what is missing, and what to do about it."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from cli_harness import Cli

from nmfsep import __version__
from nmfsep.errors import install_command
from nmfsep.jobs import doctor


def test_text_and_json_say_the_same(cli: Cli) -> None:
    text, found = cli("doctor"), json.loads(cli("doctor", "--json").out)
    assert (text.code, text.err, found["problems"]) == (0, "", [])
    lines = dict(line.split(maxsplit=1) for line in text.out.decode().splitlines())
    assert lines["nmfsep"].startswith(f"{__version__} in ")
    assert lines["numpy"] == found["versions"]["numpy"] == np.__version__
    assert lines["cores"] == str(found["cores"]) == str(len(os.sched_getaffinity(0)))
    assert lines["codecs"] == "FLAC, OGG, MP3"
    assert lines["BLAS"].endswith("threads")
    assert set(found["extras"]) == {"av", "cluster", "midi", "plot"}
    assert 0 < found["memory"]["taken"] <= found["memory"]["free"]


def test_what_is_missing_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    there = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("mido", "soxr") else there(name))
    monkeypatch.setattr("soundfile.available_subtypes", lambda kind: [] if kind == "MP3" else doctor.CODECS.values())
    found = doctor.examine()
    assert found["problems"][0] == "soxr is missing; pip install soxr"
    assert found["problems"][1].endswith("has no MP3")
    assert found["extras"]["midi"]["installed"] is False
    lines = dict(doctor.lines(found))
    assert lines["[midi]"] == "mido missing; pip install 'nmfsep[midi]'"
    assert lines["codecs"] == "FLAC, OGG"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("/usr", "pip install 'nmfsep[plot]'"),
        (os.path.join("/home/a/.local/share", "pipx", "venvs", "nmfsep"), "pipx inject nmfsep matplotlib pillow"),
    ],
)
def test_who_installed_with_pipx_is_told_to_inject(monkeypatch: pytest.MonkeyPatch, prefix: str, expected: str) -> None:
    monkeypatch.setattr(sys, "prefix", prefix)
    assert install_command("matplotlib", "pillow", extra="plot") == expected
