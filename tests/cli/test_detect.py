"""detect prints events and writes tables and clips; learn --labels learns from what is marked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import RATE, Cli, files


@pytest.fixture
def night(cli: Cli) -> Path:
    """Have calls of a bird in night.wav, the first two of which are marked in night.txt."""
    rng = np.random.default_rng(0)
    sound = 0.01 * rng.standard_normal(8 * RATE)
    t = np.arange(int(0.4 * RATE)) / RATE
    for begin in (1, 2.5, 4, 6):
        sound[int(begin * RATE) : int(begin * RATE) + len(t)] += 0.1 * np.sin(2 * np.pi * 0.15 * RATE * t)
    sf.write(cli.folder / "night.wav", sound, RATE, "PCM_16")
    low, high = 0.1 * RATE, 0.2 * RATE
    marks = "".join(f"{begin}\t{begin + 0.4}\tbird\n\\\t{low}\t{high}\n" for begin in (1, 2.5))
    (cli.folder / "night.txt").write_text(marks)
    assert cli("learn", "--labels", "{track}.txt", "night.wav", "-o", "bird.npz").code == 0
    return cli.folder / "night.wav"


def test_calls_are_found_by_what_was_marked(cli: Cli, night: Path) -> None:
    result = cli("detect", "-m", "bird.npz", "night.wav", "--json", "-o", "tables", "--format", "raven")
    assert (result.code, result.err) == (0, "")
    (document,) = [json.loads(line) for line in result.out.decode().splitlines()]
    assert document["path"] == "night.wav"
    assert [event["label"] for event in document["events"]] == ["bird"] * 4
    assert [event["begin"] for event in document["events"]] == pytest.approx([1, 2.5, 4, 6], abs=0.06)
    rows = (cli.folder / "tables/night.selections.txt").read_text().splitlines()
    assert len(rows) == 5
    assert rows[0].startswith("Selection\t")
    before = (cli.folder / "tables/night.selections.txt").read_bytes()
    again = cli("detect", "-m", "bird.npz", "night.wav", "-o", "tables", "--format", "raven")
    assert again.code == 3
    assert "exists; use --force" in again.err
    assert (cli.folder / "tables/night.selections.txt").read_bytes() == before


def test_clips_are_the_samples_of_the_recording(cli: Cli, night: Path) -> None:
    result = cli("detect", "-m", "bird.npz", "night.wav", "--json", "--clips", "clips")
    events = json.loads(result.out)["events"]
    clips = [name for name in files(cli.folder) if name.startswith("clips/")]
    assert len(clips) == len(events) == 4
    whole, clip = sf.read(night, dtype="int16")[0], sf.read(cli.folder / clips[0], dtype="int16")[0]
    begin = round(events[0]["begin"] * RATE)
    assert any((whole[at : at + len(clip)] == clip).all() for at in range(begin - 2, begin + 3))


def test_a_recording_that_cannot_be_read_does_not_end_the_others(cli: Cli, night: Path) -> None:
    (cli.folder / "bad.wav").write_bytes(b"no sound")
    one = cli("detect", "-m", "bird.npz", "bad.wav", "night.wav")
    assert one.code == 1
    assert "bad.wav" in one.err
    assert one.err.count("\n") == 1
    assert one.out.decode().count("\n") == 5
    assert cli("detect", "-m", "bird.npz", "bad.wav", "night.wav", "-j", "2").out == one.out


def test_folders_are_labels_and_stretches_are_parts(cli: Cli, night: Path) -> None:
    (cli.folder / "samples/tick").mkdir(parents=True)
    sf.write(cli.folder / "samples/tick/one.wav", sf.read(night)[0][: RATE // 2], RATE)
    result = cli("learn", "samples/tick", "call=night.wav@1-1.4", "-o", "kit.npz", "--json")
    labels = json.loads(result.out)["labels"]
    assert [(entry["label"], entry["from"]["seconds"]) for entry in labels] == [("tick", 0.5), ("call", 0.4)]
    assert "ends at 8.000 s" in cli("learn", "call=night.wav@9-10", "-o", "kit.npz").err


def test_events_are_compared_label_by_label(cli: Cli) -> None:
    (cli.folder / "true.txt").write_text("1\t2\tbird\n3\t4\tbird\n3\t4\tfrog\n8\t9\tbird\n")
    found = ["file,label,begin,end,low,high,score,level"]
    for label, begin, end in (
        ("bird", 1.1, 2.4),
        ("bird", 1.0, 2.0),
        ("frog", 3, 4.6),
        ("bird", 8.3, 9),
        ("owl", 0, 1),
    ):
        found.append(f"night.wav,{label},{begin},{end},0,0,1,0")
    (cli.folder / "found.csv").write_text("\n".join(found))
    result = cli("evaluate", "--events", "true.txt", "found.csv", "--json")
    assert (result.code, result.err) == (0, "")
    about = json.loads(result.out)
    counts = {row["label"]: (row["true"], row["found"], row["hits"]) for row in about["labels"]}
    assert counts == {"bird": (3, 3, 1), "frog": (1, 1, 0), "owl": (0, 1, 0)}
    assert (about["all"]["precision"], about["all"]["recall"]) == (0.2, 0.25)
    wide = cli("evaluate", "--events", "true.txt", "found.csv", "--tolerance", "0.7").out.decode().splitlines()
    assert [line.split()[:4] for line in wide[1:3]] == [["bird", "3", "3", "2"], ["frog", "1", "1", "1"]]
    assert wide[3].split() == ["owl", "0", "1", "0", "0.000", "-", "0.000"]


def test_tables_without_events_count_and_tables_of_several_recordings_do_not(cli: Cli) -> None:
    (cli.folder / "true.txt").write_text("1\t2\tbird\n")
    (cli.folder / "none.tsv").write_text("file\tlabel\tbegin\tend\n")
    (cli.folder / "two.tsv").write_text("file\tlabel\tbegin\tend\na.wav\tbird\t1\t2\nb.wav\tbird\t1\t2\n")
    assert cli("evaluate", "--events", "true.txt", "none.tsv").out.decode().split()[-3:] == ["-", "0.000", "0.000"]
    several = cli("evaluate", "--events", "true.txt", "two.tsv")
    assert (several.code, several.err.count("\n")) == (2, 1)
    assert "two.tsv: line 3: is about another recording" in several.err
    assert "--tolerance is for --events" in cli("evaluate", "true.txt", "none.tsv", "--tolerance", "1").err
    assert "--oracle is about stems" in cli("evaluate", "--events", "true.txt", "none.tsv", "--oracle").err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_stays_as_it_is_in_tables(cli: Cli, night: Path) -> None:
    name = os.fsdecode(b"night\xff.wav")
    night.rename(cli.folder / name)
    result = cli("detect", "-m", "bird.npz", name, "-o", "tables")
    assert (result.code, result.err) == (0, "")
    (table,) = (cli.folder / "tables").iterdir()
    assert table.read_bytes().count(b"night\xff.wav\tbird") == 4
