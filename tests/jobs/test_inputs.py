"""Which inputs a run has."""

import json
import os

import pytest

from nmfsep.errors import UsageError
from nmfsep.jobs.depfile import rule
from nmfsep.jobs.inputs import Input, gather, labelled, listed, look, stem_files


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w"):
            pass


def test_folders_give_what_is_in_and_below_them_in_order(here):
    touch("f/b.wav", "f/a.FLAC", "f/z/c.mp3", "f/z/y/d.ogg", "f/notes.txt", "f/.x.wav", "f/.git/e.wav")
    inputs, (folder,) = gather(["f", "other.wav"], recursive=True)
    assert inputs == [
        Input("f/a.FLAC", "", True), Input("f/b.wav", "", True), Input("f/z/c.mp3", "z", True),
        Input("f/z/y/d.ogg", "z/y", True), Input("other.wav"),
    ]  # fmt: skip
    assert (folder.others, folder.products) == (1, 0)


def test_links_to_folders_are_not_followed(here):
    touch("f/a.wav")
    os.symlink("..", "f/loop")
    assert len(gather(["f"], recursive=True)[0]) == 1


def test_what_a_manifest_vouches_for_is_no_input(here):
    touch("f/a.wav", "f/out/a/component-1.wav", "f/out/a/mine.wav")
    entry = {"name": "component-1", "file": "component-1.wav", "bytes": 0, "sha256": ""}
    manifest = {"schema": 1, "complete": True, "kind": "x", "files": [entry]}
    with open("f/out/a/a.nmfsep.json", "w") as file:
        json.dump(manifest, file)
    inputs, (folder,) = gather(["f/"], recursive=True)
    assert [entry.path for entry in inputs] == ["f/a.wav", "f/out/a/mine.wav"]
    assert (folder.others, folder.products) == (0, 1)


def test_split_learn_and_evaluate_find_the_same_sounds(here):
    good = ["a.wav", "b.BWF", "c.opus", "d.oga", "e.Wave", "f.aifc", "g.rf64", "h.w64", "i.caf", "j.mp3", "k.flac"]
    touch(*(f"f/{name}" for name in [*good, ".hidden.wav", "notes.txt", "x.wav.bak", "cover.jpg"]))
    touch("elsewhere/l.wav", "f/.hidden/m.wav", "g/deep/n.wav")
    os.symlink("../elsewhere/l.wav", "f/link.wav")
    os.symlink("nowhere.wav", "f/lost.wav")  # fails when its turn comes, by its name
    os.symlink("../elsewhere", "f/folder.wav")
    if hasattr(os, "mkfifo"):
        os.mkfifo("f/pipe.wav")
    expected = sorted(f"f/{name}" for name in [*good, "link.wav", "lost.wav"])
    assert [entry.path for entry in gather(["f"], recursive=True)[0]] == expected
    assert labelled(["x=f"])["x"] == expected
    assert stem_files(["f"]) == expected


def test_learn_leaves_out_what_nmfsep_wrote_and_says_so_and_evaluate_compares_it(here):
    touch("f/a.wav", "f/out/a/component-1.wav")
    entry = {"name": "component-1", "file": "component-1.wav", "bytes": 0, "sha256": ""}
    manifest = {"schema": 1, "complete": True, "kind": "x", "files": [entry]}
    with open("f/out/a/a.nmfsep.json", "w") as file:
        json.dump(manifest, file)
    notes = []
    assert labelled(["x=f"], notes=notes)["x"] == ["f/a.wav"]
    assert notes == ["f: 1 sounds that nmfsep wrote are left out; name them to learn from them"]
    with pytest.raises(UsageError, match="but what nmfsep wrote; name them"):
        labelled(["x=f/out"])
    assert stem_files(["f/out/a"]) == ["f/out/a/component-1.wav"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_cannot_be_looked_into_is_told(here):
    touch("f/a.wav", "f/deep/b.wav")
    os.chmod("f/deep", 0)
    try:
        assert look("f").unread == ("f/deep",)
        with pytest.raises(UsageError, match="permission denied"):
            look("f/deep")
    finally:
        os.chmod("f/deep", 0o700)


def test_without_recursion_a_folder_is_a_name_as_any(here):
    touch("f/a.wav")
    assert gather(["f"], recursive=False) == ([Input("f")], [])


def test_lists_of_lines_and_of_nul_ended_names(here):
    (here / "list").write_bytes(b"a b.wav\n\ncaf\xe9.wav\nlast.wav")
    assert listed("list") == ["a b.wav", os.fsdecode(b"caf\xe9.wav"), "last.wav"]
    (here / "nul").write_bytes(b"a\nb.wav\0c.wav\0")
    assert listed("nul", null=True) == ["a\nb.wav", "c.wav"]
    with pytest.raises(UsageError, match="use -0"):
        listed("nul")


def test_names_are_spelt_as_make_reads_them():
    found = rule(["a b/x#1.wav", "c$d%.wav"], ["e:f.wav", "g%.wav"])
    assert found == b"a\\ b/x\\#1.wav c$$d\\%.wav: e\\:f.wav g%.wav\n"
    with pytest.raises(UsageError, match="line break"):
        rule(["a"], ["b\nc"])
