"""What a file says of its sound besides the samples comes into its stems, as far as their format can keep it."""

import io
import json
import struct
import sys

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings, strategies as st

from nmfsep import separate
from nmfsep.errors import InputError
from nmfsep.files.formats import FORMATS
from nmfsep.files.id3 import frames_of, id3
from nmfsep.files.tags import LIMIT, PLAIN, Tags
from nmfsep.signal.read import Source

RATE, LENGTH = 8000, 6000
PICTURE = b"\x89PNG" + bytes(range(256)) * 40
TEXT = {"title": "Müller's Song", "artist": "The 耳", "bpm": "128", "date": "2024", "isrc": "QZ1"}
MASK_5_1_SIDE, FIRST_ORDER = 0x60F, bytes.fromhex("00002107d3118644c8c1ca000000")


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def bext(time):
    body = b"Take 7".ljust(338, b"\0") + struct.pack("<QH", time, 2) + bytes(64)
    return body + struct.pack("<5h", -2300, 500, -100, -1800, -2000) + bytes(180) + b"A=PCM"


def ixml(low, high=0):
    tag = "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_"
    return f"<BWFXML><{tag}LO>{low}</{tag}LO><{tag}HI>{high}</{tag}HI></BWFXML>".encode()


def cue(*places):
    entries = (struct.pack("<II4sIII", index, at, b"data", 0, 0, at) for index, at in enumerate(places, 1))
    return struct.pack("<I", len(places)) + b"".join(entries)


def smpl(*loops):
    entries = (struct.pack("<6I", index, 0, *loop, 0, 0) for index, loop in enumerate(loops))
    return struct.pack("<9I", 0, 0, 125000, 60, 0, 0, 0, len(loops), 0) + b"".join(entries)


LABEL = b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"Verse\0")
INFO = b"INFO" + chunk(b"INAM", b"Field\0") + chunk(b"IENG", b"Ann\0") + chunk(b"ISFT", b"Old DAW\0")
DAW = [(b"bext", bext(1 << 33)), (b"iXML", ixml(5, 2)), (b"cue ", cue(1000, 4000)), (b"LIST", LABEL),
       (b"smpl", smpl((3000, 5000), (1000, 5000)))]  # fmt: skip


def sound(path, chunks=(), container="WAV", channels=2, mask=None, tail=PLAIN, length=LENGTH):
    noise = np.random.default_rng(0).normal(0, 0.05, (length, channels))
    sf.write(path, noise, RATE, "PCM_16", format=container)
    data = bytearray(path.read_bytes())
    if mask is not None:
        body = data.find(b"fmt ") + 8
        data[body + 20 : body + 24], data[body + 26 : body + 40] = struct.pack("<I", mask), tail
    data += b"".join(chunk(*each) for each in chunks)
    data[4:8] = data[4:8] if data[:4] == b"RF64" else struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    return path


def split(path, out, **options):
    """Return the tags of the first stem, its path, and what the run said."""
    stretch = {key: options.pop(key) for key in ("offset", "duration") if key in options}
    stems = separate(path, 2, atoms=1, max_iter=2).write(out, **options, **stretch)
    with Source(stems[0]) as stem:
        return stem.tags(), stems[0], stem


@pytest.mark.parametrize("container", ["WAV", "RF64"])
@pytest.mark.parametrize("form", ["wav", "rf64"])
def test_chunks_of_daws_survive_in_wav(tmp_path, container, form):
    source = sound(tmp_path / "a.wav", [*DAW, (b"LIST", INFO)], container)
    tags, stem, _ = split(source, tmp_path / "o", format=form)
    kept = dict(tags.chunks)
    assert kept.pop(b"bext") != bext(1 << 33)  # loudness is that of the mixture, and now not said
    assert kept == dict(DAW[1:])
    assert struct.unpack("<Q", dict(tags.chunks)[b"bext"][338:346])[0] == 1 << 33
    assert struct.unpack("<5h", dict(tags.chunks)[b"bext"][412:422]) == (0x7FFF,) * 5
    assert tags.text == {"title": "Field (component-1)", "ieng": "Ann"}
    data = stem.read_bytes()
    size = int.from_bytes(data[4:8] if form == "wav" else data[20:28], "little")
    assert size == len(data) - 8


def test_times_move_with_the_stretch_that_is_separated(tmp_path):
    source = sound(tmp_path / "a.wav", DAW)
    tags, _, _ = split(source, tmp_path / "o", offset=0.25, duration=0.45)  # samples 2000 to 5600
    kept = dict(tags.chunks)
    assert struct.unpack("<Q", kept[b"bext"][338:346])[0] == (1 << 33) + 2000
    assert kept[b"iXML"] == ixml(2005, 2)
    assert kept[b"cue "] == struct.pack("<I", 1) + struct.pack("<II4sIII", 2, 2000, b"data", 0, 0, 2000)
    assert kept[b"smpl"] == smpl((1000, 3000))


@pytest.mark.parametrize(
    ("channels", "mask", "tail"), [(6, MASK_5_1_SIDE, PLAIN), (4, 0x33, PLAIN), (4, 0, FIRST_ORDER), (2, 0x600, PLAIN)]
)
@pytest.mark.parametrize("form", ["wav", "rf64"])
def test_places_of_channels_survive(tmp_path, channels, mask, tail, form):
    source = sound(tmp_path / "a.wav", container="WAVEX", channels=channels, mask=mask, tail=tail)
    tags, stem, _ = split(source, tmp_path / "o", format=form)
    assert tags.layout == struct.pack("<I", mask) + tail
    total = sum(sf.read(each, dtype="int16")[0].astype(int) for each in stem.parent.glob("*.wav"))
    np.testing.assert_array_equal(total, sf.read(source, dtype="int16")[0])


def test_flac_names_the_places_of_channels_in_a_comment(tmp_path):
    source = sound(tmp_path / "a.wav", container="WAVEX", channels=6, mask=MASK_5_1_SIDE)
    tags, _, _ = split(source, tmp_path / "o", format="flac")
    assert tags.text == {"waveformatextensible_channel_mask": "0x060F"}


def tagged_mp3(path):
    noise = np.random.default_rng(0).normal(0, 0.05, LENGTH)
    file = io.BytesIO()
    sf.write(file, noise, RATE, format="MP3")
    more = {**TEXT, "comment": "Nice", "replaygain_track_gain": "-7 dB"}
    path.write_bytes(id3(more, ("image/png", PICTURE)) + file.getvalue())
    return path


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "w64"])
def test_text_and_cover_survive_in_what_can_keep_them(tmp_path, form):
    tags, stem, opened = split(tagged_mp3(tmp_path / "a.mp3"), tmp_path / "o", format=form)
    assert tags.text == {**TEXT, "comment": "Nice", "title": "Müller's Song (component-1)"}
    assert tags.cover == ("image/png", PICTURE)
    assert opened.warnings == []
    seen = sf.SoundFile(stem)  # an independent reader
    if form not in ("mp3", "rf64", "aiff"):  # of which it reads no ID3, or no list behind samples of RF64
        assert (seen.title, seen.artist) == ("Müller's Song (component-1)", TEXT["artist"])
    assert seen.frames == pytest.approx(LENGTH * seen.samplerate / RATE, abs=2400)


def test_what_is_tagged_is_the_same_bytes_again(tmp_path):
    for form in ("flac", "opus"):
        _, one, _ = split(tagged_mp3(tmp_path / "a.mp3"), tmp_path / "o", format=form)
        _, two, _ = split(tmp_path / "a.mp3", tmp_path / "p", format=form)
        assert one.read_bytes() == two.read_bytes()


def test_what_cannot_be_kept_is_named():
    tags = Tags(TEXT, ("image/png", PICTURE), tuple(DAW), layout=struct.pack("<I", MASK_5_1_SIDE) + PLAIN)
    assert tags.within("wav") == (tags, [])
    assert tags.within("flac")[1] == ["bext", "iXML", "cue", "LIST", "smpl"]
    assert tags.within("mp3")[1] == ["bext", "iXML", "cue", "LIST", "smpl", "the places of the channels"]
    assert tags.within("w64")[1][-3:] == ["tags", "the cover", "the places of the channels"]
    assert tags.within("-")[0] == Tags()
    large = Tags(TEXT, ("image/png", PICTURE * 9))
    assert large.within("opus")[1] == ["the cover"]
    assert large.within("ogg")[1] == []


def test_the_manifest_says_once_what_is_lost(tmp_path):
    source = sound(tmp_path / "a.wav", DAW)
    _, stem, _ = split(source, tmp_path / "o", format="flac")
    said = json.loads((stem.parent / "a.nmfsep.json").read_text())["warnings"]
    assert said == ["flac cannot keep bext, iXML, cue, LIST, smpl of the input"]


def test_files_without_tags_keep_their_bytes(tmp_path):
    source = sound(tmp_path / "a.wav")
    _, stem, _ = split(source, tmp_path / "o")
    assert stem.stat().st_size == source.stat().st_size
    assert stem.read_bytes()[:44] == source.read_bytes()[:44]


@pytest.mark.parametrize("code", range(4))
@pytest.mark.parametrize("version", [2, 3, 4])
def test_all_versions_and_codes_of_id3_are_read(version, code):
    encode = ("latin-1", "utf-16", "utf-16-be", "utf-8")[code]
    end = b"\0\0" if code in (1, 2) else b"\0"
    body = bytes([code]) + "Grün".encode(encode) + end
    cover = bytes([code]) + (b"PNG" if version == 2 else b"image/png\0") + b"\x03" + end + PICTURE
    frames = b""
    for old, name, data in (("TT2", "TIT2", body), ("PIC", "APIC", cover), ("ULT", "USLT", body)):
        sizes = (
            [len(data) >> shift & 0x7F for shift in (21, 14, 7, 0)] if version == 4 else len(data).to_bytes(4, "big")
        )
        head = old.encode() + len(data).to_bytes(3, "big") if version == 2 else name.encode() + bytes(sizes) + b"\0\0"
        frames += head + data
    if version < 4:
        frames = frames.replace(b"\xff", b"\xff\0")  # unsynchronised
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3" + bytes([version, 0, 0x80 if version < 4 else 0]) + size + frames + bytes(30)
    text, found, left = frames_of(tag)
    assert (text, found) == ({"title": "Grün"}, ("image/png", PICTURE))
    assert left == (["ID3 ULT"] if version == 2 else ["ID3 USLT"])


def test_tags_that_are_too_large_are_left_behind_and_named(tmp_path):
    source = sound(tmp_path / "a.wav", [(b"axml", bytes(LIMIT + 2)), (b"iXML", ixml(5))])
    with Source(source) as opened:
        tags = opened.tags()
    assert tags.left == ("a large chunk axml",)
    assert tags.chunks == ((b"iXML", ixml(5)),)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Good files with tags, one of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    found = [sound(folder / "a.wav", [*DAW, (b"LIST", INFO), (b"id3 ", id3(TEXT, ("image/png", PICTURE)))], length=50)]
    found.append(sound(folder / "b.wav", DAW, "RF64", length=50))
    mp3 = tagged_mp3(folder / "a.mp3")
    found += [mp3, *(split(mp3, folder / form, format=form)[1] for form in ("flac", "ogg", "opus", "aiff"))]
    return [path.read_bytes() for path in found]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_hostile_tag_breaks_the_reader(seeds, tmp_path_factory, data):
    file = bytearray(data.draw(st.sampled_from(seeds)))
    places = st.one_of(st.integers(0, min(400, len(file) - 4)), st.integers(0, len(file) - 4))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(places)
        new = data.draw(
            st.sampled_from([b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"LIST"])
        )
        file[at : at + len(new)] = new
    file = file[: data.draw(st.sampled_from([len(file), len(file) // 2]))]
    path = tmp_path_factory.getbasetemp() / "hostile"
    path.write_bytes(file)
    try:
        with Source(path) as source:
            tags = source.tags()
    except InputError:
        return
    assert sum(len(body) for _, body in tags.chunks) <= len(file)
    for form in FORMATS:  # whatever was read can be written
        kept, _ = tags.within(form)
        kept = kept.of_stem("drums", "a", 100, 1000, False)
        assert len(id3(kept.text, kept.cover)) < 2 * len(file) + 4096


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_behind_the_head_of_a_tag_are_read(body):
    for version in (2, 3, 4):
        for flags in (0, 0x40, 0x80, 0xFF):
            frames_of(b"ID3" + bytes([version, 0, flags, 0, 0, 2, 0x2C]) + body)


def test_the_walk_over_endless_chunks_ends(tmp_path):
    path = sound(tmp_path / "a.wav", [(b"abcd", b"")] * 20_000)
    with Source(path) as source:
        assert len(source.tags().chunks) <= 1025


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_names_that_are_no_text_become_titles_that_are(tmp_path, form):
    kept = Tags({"artist": "A"}).of_stem("kick", "\udc80\udcff", 0, 10, True)
    assert kept.text["title"] == "?? (kick)"
    path = tmp_path / "\udc80\udcfe.mp3"
    path.write_bytes(id3({"artist": "A"}, None) + tagged_mp3(tmp_path / "a.mp3").read_bytes())
    separate(path, 2, atoms=1, max_iter=2).write(tmp_path / "o", format=form)
