import io
import struct

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.files.containers import W64_RIFF, identify

INTEGERS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")


def look(data):
    return identify(io.BytesIO(data), len(data))


def encoded(container, subtype, channels=1, length=64):
    file = io.BytesIO()
    sf.write(file, np.zeros((length, channels)), 8000, subtype, format=container)
    return file.getvalue()


@pytest.mark.parametrize("subtype", [*INTEGERS, "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(("container", "kind"), [("WAV", "WAV"), ("WAVEX", "WAV"), ("RF64", "RF64"), ("W64", "W64")])
def test_the_samples_of_the_wav_family_are_located(container, kind, channels, subtype):
    width = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}[subtype]
    data = encoded(container, subtype, channels)
    found = look(data)
    assert (found.kind, found.block, found.data_size) == (kind, width * channels, 64 * width * channels)
    assert data[found.data_start :][: found.data_size] == (b"\x80" if subtype == "PCM_U8" else b"\0") * found.data_size


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_aiff_with_plain_samples_is_admitted(subtype):
    assert look(encoded("AIFF", subtype)).kind == "AIFF"


@pytest.mark.parametrize(
    ("container", "subtype", "kind"),
    [
        ("CAF", "PCM_16", "CAF"),
        ("CAF", "FLOAT", "CAF"),
        ("FLAC", "PCM_24", "FLAC"),
        ("OGG", "VORBIS", "OGG"),
        ("MP3", "MPEG_LAYER_III", "MP3"),
    ],
)
def test_other_kinds_are_told_by_their_first_bytes(container, subtype, kind):
    assert look(encoded(container, subtype, length=4000)).kind == kind


def test_what_a_tag_lay_before_is_mp3_if_nothing_else():
    assert identify(io.BytesIO(b"junk" * 20), 80, tagged=True).kind == "MP3"
    assert identify(io.BytesIO(encoded("WAV", "PCM_16")), 172, tagged=True).kind == "WAV"


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "IMA_ADPCM"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "GSM610"),
        ("W64", "IMA_ADPCM"),
        ("AIFF", "IMA_ADPCM"),
        ("AIFF", "DWVW_16"),
        ("CAF", "ALAC_16"),
    ],
)
def test_samples_of_exotic_codecs_are_refused(container, subtype):
    with pytest.raises(InputError, match=r"not opened.*convert it first"):
        look(encoded(container, subtype))


@pytest.mark.parametrize("container", ["AU", "SVX", "VOC", "NIST", "IRCAM", "PVF", "MAT5"])
def test_containers_beyond_the_list_are_refused(container):
    with pytest.raises(InputError, match="not audio of a kind that is known"):
        look(encoded(container, "PCM_16"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tag": 0x55}, "codec 0x0055"),
        ({"tag": 0}, "codec 0x0000"),
        ({"tag": 0xFFFF}, "codec 0xffff"),
        ({"channels": 0, "block": 2}, "0 channels"),
        ({"channels": 1025}, "1025 channels"),
        ({"rate": 0}, "sample rate of 0 Hz"),
        ({"rate": 1 << 31}, "sample rate of 2147483648 Hz"),
        ({"bits": 12, "block": 2}, "PCM samples of 12 bits"),
        ({"bits": 0, "block": 2}, "PCM samples of 0 bits"),
        ({"tag": 3, "bits": 16}, "float samples of 16 bits"),
        ({"block": 0}, "frames of 0 bytes where 1 channels of 16 bits need 2"),
        ({"channels": 2, "block": 2}, "frames of 2 bytes where 2 channels of 16 bits need 4"),
    ],
)
def test_formats_that_make_no_sense_are_refused(make_wav, fields, message):
    with pytest.raises(InputError, match=message):
        look(make_wav(body=bytes(64), **fields))


@pytest.mark.parametrize(("inner", "admitted"), [(1, True), (3, False), (2, False), (0x55, False)])
def test_the_inner_codec_of_an_extensible_format_decides(make_wav, inner, admitted):
    extra = struct.pack("<HHIH", 22, 16, 4, inner) + bytes(14)
    data = make_wav(tag=0xFFFE, body=bytes(64), extra=extra)
    if admitted:
        assert look(data).block == 2
    else:  # 3 is float, of which there is none with 16 bits
        with pytest.raises(InputError):
            look(data)


def test_samples_before_their_format_are_refused():
    data = b"RIFF\0\0\0\0WAVEdata" + struct.pack("<I", 4) + bytes(4)
    with pytest.raises(InputError, match="samples before their format"):
        look(data)


@pytest.mark.parametrize("length", [0, 4, 15])
def test_a_short_format_chunk_is_refused(length):
    data = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", length) + bytes(length + length % 2) + b"data\0\0\0\0"
    with pytest.raises(InputError, match="broken format"):
        look(data)


def test_chunks_between_format_and_samples_are_skipped_with_their_padding(make_wav):
    data = make_wav(body=b"\1\2\3\4")
    at = data.index(b"data")
    odd = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    found = look(data[:at] + odd + data[at:])
    assert (found.data_start, found.data_size) == (at + len(odd) + 8, 4)


@pytest.mark.parametrize("stop", range(12, 44))
def test_headers_cut_anywhere_are_refused(make_wav, stop):
    with pytest.raises(InputError, match=r"cut or never finished|broken format"):
        look(make_wav(body=bytes(8))[:stop])


@pytest.mark.parametrize("tail", [b"", bytes(8), b"fmt " + bytes(12) + struct.pack("<Q", 3)])
def test_w64_with_senseless_chunks_is_refused(tail):
    # a chunk's size counts its own header of 24 bytes, so 3 is no size
    with pytest.raises(InputError, match="W64 file without a format"):
        look(W64_RIFF + bytes(24) + tail)


def test_a_size_near_the_largest_integer_does_not_loop():
    data = W64_RIFF + bytes(24) + b"junk" + bytes(12) + struct.pack("<Q", (1 << 64) - 1)
    with pytest.raises(InputError, match="without a format"):
        look(data)


def test_an_empty_file_is_refused():
    with pytest.raises(InputError, match="empty"):
        look(b"")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
        (b"\n <!doctype html><title>404</title>", "web page"),
        (b"<HTML><body>", "web page"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "ZIP"),
        (b"%PDF-1.7", "PDF"),
        (b"hello, world\n", "not audio of a kind"),
        (b"\xff", "not audio of a kind"),
        (b"\xff\xfe", "not audio of a kind"),  # the byte order mark of UTF-16 looks almost like MPEG
        (b"\xff\xf1", "not audio of a kind"),  # AAC
        (b"RIFX\0\0\0\0WAVE", "not audio of a kind"),
        (b"RIFF\0\0\0\0AVI ", "not audio of a kind"),
        (b"FORM\0\0\0\x04AIFF", "AIFF file without a format"),
        (b"caffdesc", "CAF file of a codec"),
    ],
)
def test_what_is_no_audio_is_called_what_it_is(head, message):
    with pytest.raises(InputError, match=message):
        look(head + bytes(70) if len(head) > 2 else head)
