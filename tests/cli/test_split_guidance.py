"""split --learn and --two-stems: what they write, what is kept, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cli_harness import Cli, assert_add_up, digests, files
from test_split_dictionary import refused

LEARN = ("split", "beat.wav", "--learn", "kick=0.1-0.2")


def test_a_sound_is_learned_from_the_mixture_and_rendered_again(cli: Cli, workshop: Path) -> None:
    result = cli(*LEARN, "--save-model", "-o", "a")
    assert (result.code, result.err) == (0, "")
    assert result.paths == ["a/beat/kick.wav", "a/beat/residual.wav"]
    assert_add_up([workshop / path for path in result.paths], workshop / "beat.wav")
    manifest = json.loads((workshop / "a/beat/beat.nmfsep.json").read_text())
    (cue,) = manifest["guidance"]
    assert (cue["kind"], cue["labels"], cue["stretches"]) == ("learn", ["kick"], [[0.1, 0.2]])
    again = cli("render", "a/beat/beat.nmf.npz", "-o", "b")
    assert again.code == 0, again.err
    assert digests(again.paths, workshop) == digests(result.paths, workshop)
    assert "kick learned from 0.1 s to 0.2 s" in cli("inspect", "a/beat/beat.nmf.npz").out.decode()


def test_with_a_dictionary_it_is_one_stem_more(cli: Cli, workshop: Path) -> None:
    result = cli("split", "beat.wav", "-m", "kit.npz", "--learn", "hum=0.3-0.4")
    assert [Path(path).stem for path in result.paths] == ["kick", "snare", "hum"]


@pytest.mark.parametrize(
    "options", [["-m", "kit.npz", "--learn", "hum=0-0.2"], ["-k", "3", "--seed", "1"]], ids=" ".join
)
def test_two_stems_are_one_and_all_others(cli: Cli, workshop: Path, options: list[str]) -> None:
    name = "kick" if "-m" in options else "component-2"
    whole, halves = cli.many(
        ["split", "beat.wav", *options, "-o", "whole", "--save-model"],
        ["split", "beat.wav", *options, "--two-stems", name, "-o", "two"],
    )
    assert halves.paths == [f"two/beat/{name}.wav", f"two/beat/no_{name}.wav"]
    assert_add_up([workshop / path for path in halves.paths], workshop / "beat.wav")
    rendered = cli("render", "whole/beat/beat.nmf.npz", "beat.wav", "--two-stems", name, "-o", "again")
    assert digests(rendered.paths, workshop) == digests(halves.paths, workshop)
    assert len(whole.paths) == 3


def test_a_score_names_the_stems_and_is_rendered_again(cli: Cli, workshop: Path) -> None:
    mido = pytest.importorskip("mido")
    file = mido.MidiFile(ticks_per_beat=100)
    for name, note in (("low", 54), ("high", 66)):
        track = file.add_track(name)
        track += [mido.Message("note_on", note=note, time=0), mido.Message("note_off", note=note, time=50)]
    file.save(workshop / "score.mid")
    result = cli("split", "beat.wav", "--midi", "score.mid", "--save-model", "-o", "a")
    assert result.paths == ["a/beat/low.wav", "a/beat/high.wav"]
    assert_add_up([workshop / path for path in result.paths], workshop / "beat.wav")
    (cue,) = json.loads((workshop / "a/beat/beat.nmfsep.json").read_text())["guidance"]
    assert (cue["kind"], cue["path"], cue["labels"]) == ("midi", "score.mid", ["low", "high"])
    again = cli("render", "a/beat/beat.nmf.npz", "-o", "b")
    assert digests(again.paths, workshop) == digests(result.paths, workshop)
    assert "midi: score.mid" in cli("inspect", "a/beat/beat.nmf.npz").out.decode()
    named = cli("split", "beat.wav", "--midi", "all=score.mid", "-o", "c")
    assert named.paths == ["c/beat/all.wav", "c/beat/residual.wav"]
    (workshop / "broken.mid").write_bytes(b"MThd")
    assert "broken.mid: is not a MIDI file" in refused(cli("split", "beat.wav", "--midi", "broken.mid"))
    assert "gone.mid: no such file or directory" in refused(cli("split", "beat.wav", "--midi", "x=gone.mid"))


def test_without_mido_it_is_said_what_to_install(cli: Cli, workshop: Path) -> None:
    (workshop / "empty").mkdir()
    (workshop / "empty" / "mido.py").write_text("raise ImportError")
    (workshop / "score.mid").write_bytes(b"")
    path = os.pathsep.join([str(workshop / "empty"), str(Path(__file__).parents[2])])
    result = cli("split", "beat.wav", "--midi", "score.mid", env=cli.env(PYTHONPATH=path))
    assert "score.mid: reading MIDI needs mido; install it: pip install 'nmfsep[midi]'" in refused(result)


def test_a_label_track_names_the_stems_and_is_rendered_again(cli: Cli, workshop: Path) -> None:
    (workshop / "track.txt").write_text("0\t0.3\tkick\n\\\t0\t1000\n0.2\t0.75\tsnare\n")
    result = cli("split", "beat.wav", "--labels", "track.txt", "--save-model", "-o", "a")
    assert (result.code, result.err) == (0, "")
    assert result.paths == ["a/beat/kick.wav", "a/beat/snare.wav"]
    assert_add_up([workshop / path for path in result.paths], workshop / "beat.wav")
    (cue,) = json.loads((workshop / "a/beat/beat.nmfsep.json").read_text())["guidance"]
    assert (cue["kind"], cue["path"], cue["labels"]) == ("labels", "track.txt", ["kick", "snare"])
    again = cli("render", "a/beat/beat.nmf.npz", "-o", "b")
    assert digests(again.paths, workshop) == digests(result.paths, workshop)
    both, plain = cli.many(
        ["split", "beat.wav", "-m", "kit.npz", "--labels", "track.txt", "-o", "c"],
        ["split", "beat.wav", "-m", "kit.npz", "-o", "d"],
    )
    assert [Path(path).name for path in both.paths] == ["kick.wav", "snare.wav"]
    assert digests(both.paths, workshop) != digests(plain.paths, workshop)
    (workshop / "bad.txt").write_text("0\t1\tkick\n1\t0.5\tsnare\n")
    told = refused(cli("split", "beat.wav", "--labels", "bad.txt"))
    assert "bad.txt: line 2: ends at 0.5 s, before it begins at 1 s; put the earlier time first" in told


def test_each_input_has_the_label_track_beside_it(cli: Cli, workshop: Path) -> None:
    for name in "abc":
        shutil.copy(workshop / "beat.wav", workshop / f"{name}.wav")
    (workshop / "a.txt").write_text("0\t0.3\tkick\n0.2\t0.75\tsnare\n")
    (workshop / "b.txt").write_text("0\t0.3\tthump\n")
    command = ["split", "a.wav", "b.wav", "c.wav", "--labels", "{track}.txt", "--skip-existing"]
    result = cli(*command, "--depfile", "d.mk")
    assert result.code == 1
    assert "c.txt: no such file" in result.err
    stems = ["a/kick", "a/snare", "b/thump", "b/residual"]
    assert result.paths == [f"separated/{stem}.wav" for stem in stems]
    assert "a.txt" in (workshop / "d.mk").read_text()
    assert "{track}" not in (workshop / "d.mk").read_text()
    alone = cli("split", "b.wav", "--labels", "b.txt", "-o", "alone")
    assert digests(alone.paths, workshop) == digests(result.paths[2:], workshop)
    before = (workshop / "separated/a/a.nmfsep.json").stat().st_mtime_ns
    (workshop / "b.txt").write_text("0\t0.4\tthump\n")
    assert cli(*command).code == 1
    assert (workshop / "separated/a/a.nmfsep.json").stat().st_mtime_ns == before
    assert digests(alone.paths, workshop) != digests(result.paths[2:], workshop)


USAGE = [
    (["-k", "2", "--midi-by", "pitch"], "--midi-by means something with --midi only"),
    (["--learn", "kick=0-0.1", "--midi-by", "pitch"], "--midi-by means something with --midi only"),
    (["--midi", "x="], "names no file; give NAME=score.mid"),
    (["--learn", "kick=0.1-9"], "beat.wav: --learn kick: there is no 0.1 s to 9 s; what is separated goes from 0 s to"),
    (["--learn", "kick=0.1-0.2", "--offset", "0.15"], "goes from 0.15 s to"),
    (["--learn", "kick"], "--learn 'kick' is not NAME=T1-T2; give such as"),
    (["--learn", "kick=0-0.1", "-m", "kit.npz"], "--learn kick: the name 'kick' is taken by kit.npz"),
    (["--learn", "kick=0-0.1", "-k", "3"], "labels say what stems there are, so -k is not needed"),
    (["--learn", "kick=0-0.1", "--model", "deep", "--levels", "4,2"], "with labels the model is nmf"),
    (["--learn", "residual=0-0.1"], "--residual residual is the name of another stem"),
    (["-m", "kit.npz", "--two-stems", "kik"], "--two-stems 'kik' is no stem; did you mean 'kick'?"),
    (["-k", "2", "--two-stems", "component-1", "--group", "a=1"], "--two-stems and --group contradict each other"),
    (["-k", "2", "--two-stems", "component-1", "--residual"], "--two-stems and --residual contradict each other"),
    (["-k", "1", "--two-stems", "component-1"], "there is nothing but that"),
]


def test_what_cannot_be_is_refused_in_one_line_before_any_work(cli: Cli, workshop: Path) -> None:
    before = files(cli.folder)
    runs = cli.many(*(["split", "beat.wav", *options] for options, _ in USAGE))
    for (options, says), result in zip(USAGE, runs, strict=True):
        assert says in refused(result), options
    assert files(cli.folder) == before


def test_a_dry_run_checks_the_stretches(cli: Cli, workshop: Path) -> None:
    assert cli(*LEARN, "--dry-run").code == 0
    assert "there is no" in refused(cli("split", "beat.wav", "--learn", "kick=5-6", "--dry-run"))


def test_a_sound_that_is_sought_and_not_there_is_told_where_its_labels_would_be(cli: Cli, workshop: Path) -> None:
    t = np.arange(8000) / 8000
    for name, hertz in (("low", 300), ("high", 2500)):
        sf.write(workshop / f"{name}.wav", 0.2 * np.sin(2 * np.pi * hertz * t), 8000)
    cli("learn", "low=low.wav", "high=high.wav", "-o", "two.npz")
    plain = cli("split", "low.wav", "-m", "two.npz")
    told = cli("split", "low.wav", "-m", "two.npz", "--export-labels", "-o", "a")
    said = "'high' was not found in the sound, so that no label or note says it is there"
    assert (plain.code, plain.err, told.code) == (0, "", 0)
    assert told.err == f"nmfsep: low.wav: warning: {said}\n"
    assert json.loads((workshop / "a/low/low.nmfsep.json").read_text())["warnings"] == [said]
    (times, _) = (workshop / "a/low/low.labels.txt").read_text().splitlines()
    assert times.split("\t")[1:] == ["1.000000", "low"]  # where the file ends


def test_exports_lie_beside_the_stems_and_are_vouched_for(cli: Cli, workshop: Path) -> None:
    pytest.importorskip("mido")
    exports = ["--export-midi", "--export-labels"]
    result = cli("split", "beat.wav", "-k", "2", *exports, "--save-model", "-o", "a")
    assert (result.code, result.err) == (0, "")
    assert result.paths[2:] == ["a/beat/beat.mid", "a/beat/beat.labels.txt"]
    manifest = json.loads((workshop / "a/beat/beat.nmfsep.json").read_text())
    assert [entry["kind"] for entry in manifest["exports"]] == ["midi", "labels"]
    assert cli("check", "a").code == 0
    rendered = cli("render", "a/beat/beat.nmf.npz", "-o", "b", *exports)
    assert digests(rendered.paths, workshop) == digests(result.paths, workshop)
    assert (
        cli("split", "beat.wav", "-k", "2", "--export-labels", "-o", "a").code == 0
    )  # what it does not write again goes
    assert not (workshop / "a/beat/beat.mid").exists()  # what is not written again goes
    (workshop / "a/beat/beat.labels.txt").write_text("mine")
    assert "exists and was not written by nmfsep" in refused(cli("split", "beat.wav", "-k", "2", *exports, "-o", "a"))
    assert "needs a folder" in refused(cli("split", "beat.wav", "-k", "2", "--export-midi", "-o", "-"))
    dry = cli("split", "beat.wav", "-k", "2", *exports, "-o", "c", "--dry-run")
    assert dry.paths[2:] == ["c/beat/beat.mid", "c/beat/beat.labels.txt"]
