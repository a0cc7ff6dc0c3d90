import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from nmfsep.errors import UsageError
from nmfsep.files.naming import (
    FIELDS,
    MANIFEST,
    MODEL,
    check_template,
    collision_key,
    expand,
    fit_name,
    parent_name,
    sidecar_name,
    track_name,
)

USUAL = dict.fromkeys(FIELDS, "x") | {"track": "song", "stem": "component-1", "ext": "wav"}


@pytest.mark.parametrize(
    ("path", "track"),
    [
        ("song.wav", "song"),
        ("a/b.c/song.tar.wav", "song.tar"),
        ("song", "song"),
        ("/x/.hidden", ".hidden"),
        ("-", "stdin"),
        ("./-", "-"),
        ("folder/", "track"),
        (os.fsdecode(b"caf\xe9.wav"), os.fsdecode(b"caf\xe9")),
    ],
)
def test_a_track_is_called_by_its_file_name(path, track):
    assert track_name(path) == track


def test_the_parent_is_the_folder_of_the_track(monkeypatch, tmp_path):
    (tmp_path / "album").mkdir()
    monkeypatch.chdir(tmp_path / "album")
    assert parent_name("song.wav") == "album"
    assert parent_name("../song.wav") == tmp_path.name
    assert parent_name("/song.wav") == ""
    assert parent_name("-") == ""


@pytest.mark.parametrize("template", ["{stem}", "{track}/{stem}.{ext}", "{parent}/{track}-{index}.wav", "..{stem}"])
def test_good_templates_pass(template):
    check_template(template)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{stem}/{nane}", r"no field \{nane\}"),
        ("{stem}{}", r"no field \{\}"),
        ("{stem.x}", "no field"),
        ("{stem!r}", "no field"),
        ("{stem:>5}", "no field"),
        ("{track}.{ext}", "gives all stems one name"),
        ("stem", "gives all stems one name"),
        ("", "gives all stems one name"),
        ("{stem}{", "single brace"),
        ("}{stem}", "single brace"),
        ("{{stem}}", "single brace|no field"),
        ("/{stem}", "leads out"),
        ("../{stem}", "leads out"),
        ("{track}/../../{stem}", "leads out"),
        ("./{stem}", "leads out"),
        ("{track}//{stem}", "leads out"),
        ("{stem}/", "leads out"),
        ("..\\..\\{stem}.wav", "some systems"),
        ("c:/{stem}.wav", "some systems"),
        ("con/{stem}.wav", "some systems"),
        (".. /{stem}", "some systems"),
    ],
)
def test_bad_templates_are_refused(template, message):
    with pytest.raises(UsageError, match=message):
        check_template(template)


def test_a_mistyped_field_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'track'"):
        check_template("{trak}/{stem}")


def test_a_template_is_filled_in():
    fields = USUAL | {"index": "3", "parent": "album", "k": "4", "seed": "0"}
    path = expand("{parent}/{track}-{k}-{seed}/{index} {stem}.{ext}", fields)
    assert path == Path("album/song-4-0/3 component-1.wav")


def test_braces_in_values_are_not_expanded_again():
    assert expand("{track}/{stem}", USUAL | {"track": "{seed}", "stem": "{track}"}) == Path("{seed}/{track}")


@pytest.mark.parametrize("value", ["", ".", "..", "../..", "/etc/passwd", "a/../../b", "\0", "/"])
@pytest.mark.parametrize("template", ["{track}/{stem}", "{stem}", "{parent}/{track}/{stem}.{ext}", "{track}{stem}"])
def test_no_value_leads_out_of_the_folder(template, value):
    path = expand(template, USUAL | dict.fromkeys(("track", "stem", "parent"), value))
    assert len(path.parts) == template.count("/") + 1
    assert not {"..", ".", ""} & set(path.parts)
    assert not path.is_absolute()
    assert "\0" not in str(path)


@settings(deadline=None)  # a busy machine is no failure
@given(
    values=st.fixed_dictionaries(
        {
            field: st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=200)
            for field in FIELDS
        }
    )
)
def test_expansion_stays_in_the_folder_and_within_255_bytes(values):
    path = expand("{parent}/{track}{k}/{index}{stem}.{ext}", values)
    assert os.path.normpath(path) == str(path)
    assert len(path.parts) == 3
    assert not path.is_absolute()
    assert all(0 < len(os.fsencode(part)) <= 255 for part in path.parts)


LONG = ["a" * 300 + ".wav", "ü" * 200 + ".wav", "\N{MUSICAL SYMBOL G CLEF}" * 100, os.fsdecode(b"\xe9" * 300 + b".wav")]


@pytest.mark.parametrize("name", LONG)
def test_long_names_are_cut_to_255_bytes_that_the_system_takes(tmp_path, name):
    short = fit_name(name)
    assert 240 <= len(os.fsencode(short)) <= 255
    assert os.path.splitext(short)[1] == os.path.splitext(name)[1]
    assert short[:50] == name[:50]
    (tmp_path / short).touch()
    assert os.listdir(tmp_path) == [short]


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127 + "b", os.fsdecode(b"\xff" * 255), "x.wav"])
def test_names_that_fit_are_left_alone(name):
    assert fit_name(name) == name


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=60, max_size=400))
def test_a_cut_name_of_valid_characters_has_valid_characters(name):
    fit_name(name + "." + "x" * 5).encode()


def test_a_long_ending_is_cut_between_characters():
    fit_name("a" * 300 + "." + "é" * 20 + "x").encode()


def test_long_names_that_differ_in_the_middle_stay_apart():
    names = {fit_name("a" * 280 + mark + "b" * 20 + ".wav") for mark in "123"}
    assert len(names) == 3


@pytest.mark.parametrize("track", ["song", "a" * 251, "ü" * 125, os.fsdecode(b"\xe9" * 250)])
@pytest.mark.parametrize("ending", [MANIFEST, MODEL])
def test_manifest_and_model_keep_their_endings_whatever_the_track(track, ending):
    name = sidecar_name(track, ending)
    assert name.endswith(ending)
    assert len(os.fsencode(name)) <= 255
    assert name.startswith(track[:50])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Song.wav", "song.WAV"),
        (unicodedata.normalize("NFC", "Café"), unicodedata.normalize("NFD", "Café")),
        (unicodedata.normalize("NFC", "ÉTÉ"), unicodedata.normalize("NFD", "été")),
        ("a/../b", "b"),
        ("./x", "x"),
    ],
)
def test_paths_that_some_file_system_takes_for_one_collide(one, other):
    assert collision_key(Path(one)) == collision_key(Path(other))


@pytest.mark.parametrize(
    ("one", "other"), [("a", "b"), ("a/b", "a-b"), ("e", "é"), (os.fsdecode(b"\xe9"), os.fsdecode(b"\xea"))]
)
def test_paths_that_every_file_system_tells_apart_do_not_collide(one, other):
    assert collision_key(Path(one)) != collision_key(Path(other))
