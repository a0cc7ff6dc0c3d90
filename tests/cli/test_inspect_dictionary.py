"""What inspect shows, and what is made to harm whoever reads a dictionary."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_harness import RATE, Cli, files


def test_the_table_shows_labels_templates_frames_and_sources(cli: Cli, workshop: Path) -> None:
    result = cli("inspect", "kit.npz")
    assert (result.code, result.err) == (0, "")
    first, second, blank, *rows = result.out.decode().splitlines()
    assert first == "dictionary of 2 labels, 8000 Hz, divergence kl"
    assert second == "frames of 512 (hop 128, hann) and 2048 (hop 512, hann) samples"
    assert blank == ""
    assert [row.split() for row in rows] == [
        ["label", "templates", "files", "seconds", "learned", "from"],
        ["kick", "3", "3", "1", "0.75", "kick.wav"],
        ["snare", "8", "8", "2", "1.5", *rows[2].split()[5:]],
    ]
    assert sorted(rows[2].split()[5:]) in (["one.wav", "two.wav,"], ["one.wav,", "two.wav"])
    assert rows[1].index("kick.wav") == rows[0].index("learned from")


def test_json_shows_all_of_it(cli: Cli, workshop: Path) -> None:
    document = json.loads(cli("inspect", "kit.npz", "--json").out)
    assert (document["path"], document["kind"], document["sample_rate"]) == ("kit.npz", "dictionary", RATE)
    assert [view["n_fft"] for view in document["views"]] == [512, 2048]
    assert [entry["label"] for entry in document["labels"]] == ["kick", "snare"]
    source = document["labels"][1]["from"]
    assert (source["files"], source["seconds"], source["channels"]) == (2, 1.5, [1])
    assert all(len(entry["sha256"]) == 64 for entry in source["first"])


def test_names_cannot_drive_the_terminal(cli: Cli, workshop: Path) -> None:
    name = os.fsdecode(b"\x1b[31mk\n\xff.wav")
    os.rename(workshop / "kick.wav", workshop / name)
    label = "\x1b]0;owned\x07\u202e"
    learned, shown, document = cli.many(
        ["learn", f"{label}={name}", "-k", "2", "-o", "odd.npz"],
        ["inspect", "odd.npz"],
        ["inspect", "odd.npz", "--json"],
    )
    assert learned.code == 0
    out = shown.out
    assert not [byte for byte in out if byte < 32 and byte != 10]
    assert "\u202e" not in out.decode()
    assert len(out.splitlines()) == 5
    assert json.loads(document.out)["labels"][0]["label"] == label


def test_what_is_no_dictionary_exits_2(cli: Cli, workshop: Path) -> None:
    os.mkfifo(workshop / "pipe")  # which nobody writes to
    says = {
        "pipe": "how many stems is not said; give -k 4",
        "missing.npz": "no such file or directory; check the name",
        "snares": "holds no separation of nmfsep; give an audio file, or the folder that split wrote to",
        "kick.wav": "how many stems is not said; give -k 4",
    }
    for name, result in zip(says, cli.many(*(["inspect", name] for name in says)), strict=True):
        assert (result.code, result.out, result.err) == (2, b"", f"nmfsep: {name}: {says[name]}\n")


class Bomb:
    """Unpickling it makes a folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def member(array: object) -> bytes:
    body = io.BytesIO()
    np.lib.format.write_array(body, np.asarray(array), allow_pickle=True)
    return body.getvalue()


@pytest.fixture
def hostile(workshop: Path) -> list[str]:
    """Write dictionaries of which each must be refused, one of each kind; return their names."""
    with zipfile.ZipFile(workshop / "kit.npz") as file:
        whole = {name.removesuffix(".npy"): file.read(name) for name in file.namelist()}
    about = json.loads(str(np.lib.format.read_array(io.BytesIO(whole["meta"]))))
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb()
    head = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (129, 32768), }".ljust(
        118
    )
    cases = {
        "pickle": {"W0": member(bomb)},
        "bomb": {"W0": head + bytes(129 << 18)},
        "future": {"meta": member(json.dumps(about | {"version": 999}))},
    }
    for name, members in cases.items():
        with zipfile.ZipFile(workshop / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as file:
            for key, data in (whole | members).items():
                file.writestr(f"{key}.npy", data)
    intact = (workshop / "kit.npz").read_bytes()
    for name, data in {"cut": intact[: len(intact) // 2], "empty": b"", "named": pickle.dumps(Bomb())}.items():
        (workshop / f"{name}.npz").write_bytes(data)
    return ["pickle.npz", "bomb.npz", "future.npz", "cut.npz", "empty.npz", "named.npz"]


@pytest.mark.parametrize(
    "command",
    [["inspect"], ["split", "-q", "beat.wav", "-m"], ["learn", "hat=kick.wav", "-k", "2", "--append", "-o"]],
    ids=lambda command: command[0],
)
def test_hostile_dictionaries_are_refused_in_one_line_before_any_work(
    cli: Cli, hostile: list[str], command: list[str]
) -> None:
    before = {name: os.stat(cli.folder / name).st_mtime_ns for name in files(cli.folder)}
    results = cli.many(*([*command, name] for name in hostile))
    for name, result in zip(hostile, results, strict=True):
        assert (result.code, result.out, result.err.count("\n")) == (2, b"", 1)
        assert result.err.startswith(f"nmfsep: {name}: ")
    assert "zip bomb" in results[1].err
    assert "upgrade nmfsep" in results[2].err
    assert {name: os.stat(cli.folder / name).st_mtime_ns for name in files(cli.folder)} == before
