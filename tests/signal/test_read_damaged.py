import os
import re
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.signal.read import Source, read

FOUR_GIB = 1 << 32


def write_cut(path, container, subtype, share):
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (60_000, 2))
    with sf.SoundFile(path, "w", 48000, 2, subtype, format=container) as file:
        for start in range(0, len(samples), 4096):  # Vorbis overflows the stack on long blocks
            file.write(samples[start : start + 4096])
    os.truncate(path, int(os.path.getsize(path) * share))


@pytest.mark.parametrize("share", [0.5, 0.99])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("W64", "DOUBLE")],
)
def test_a_cut_file_is_used_with_a_warning_of_both_sizes(tmp_path, container, subtype, share):
    path = tmp_path / "a"
    write_cut(path, container, subtype, share)
    width = {"PCM_16": 4, "PCM_24": 6, "FLOAT": 8, "DOUBLE": 16}[subtype]
    with Source(path) as source:
        audio = source.read()
        there = os.path.getsize(path) - source.container.data_start
        assert len(source.warnings) == 1
        assert f"promises {60_000 * width} bytes" in source.warnings[0]
        assert f"has {there}" in source.warnings[0]
    assert audio.length == there // width


@pytest.mark.parametrize(
    ("container", "subtype", "share"),
    [
        ("FLAC", "PCM_16", 0.5),
        ("FLAC", "PCM_16", 0.99),
        ("MP3", "MPEG_LAYER_III", 0.5),
        ("MP3", "MPEG_LAYER_III", 0.99),
        ("AIFF", "PCM_16", 0.5),
        ("AIFF", "PCM_16", 0.99),
        ("CAF", "PCM_16", 0.99),
        ("OGG", "VORBIS", 0.99),
        ("OGG", "OPUS", 0.99),
    ],
)
def test_a_cut_file_is_never_taken_for_a_whole_one(tmp_path, container, subtype, share):
    write_cut(tmp_path / "a", container, subtype, share)
    try:
        with Source(tmp_path / "a") as source:
            audio = source.read()
            noticed = source.warnings
    except InputError as error:
        noticed = ["damaged" in str(error)]
    else:
        assert audio.length < 60_000
    assert any(noticed)


def test_a_cut_mp3_is_used_with_a_warning_of_both_durations(tmp_path):
    write_cut(tmp_path / "a.mp3", "MP3", "MPEG_LAYER_III", 0.5)
    with Source(tmp_path / "a.mp3") as source:
        audio = source.read()
        assert len(source.warnings) == 1
        assert re.search(rf"after {audio.duration:.3f} s where its header promises 1\.250 s", source.warnings[0])


@pytest.mark.parametrize("promise", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFD0])
@pytest.mark.parametrize("samples", [1, 1000])
def test_a_streamed_header_that_knows_no_size_is_no_reason_to_warn(tmp_path, make_wav, promise, samples):
    body = struct.pack(f"<{samples}h", *range(samples))
    (tmp_path / "a.wav").write_bytes(make_wav(body=body, size=promise))
    with Source(tmp_path / "a.wav") as source:
        assert source.frames == samples
        np.testing.assert_array_equal(source.read().samples[0] * 32768, np.arange(samples))
        assert source.warnings == []


@pytest.mark.parametrize("promise", [0xFFFFFFFF, 100])
def test_a_header_with_nothing_behind_it_holds_no_samples(tmp_path, make_wav, promise):
    (tmp_path / "a.wav").write_bytes(make_wav(body=b"\1", size=promise))
    with pytest.raises(InputError, match="holds no samples"):
        read(tmp_path / "a.wav")


def test_a_header_that_was_never_finished_is_refused_with_a_remedy(tmp_path, make_wav):
    (tmp_path / "a.wav").write_bytes(make_wav(body=bytes(1000), size=0))
    with pytest.raises(InputError, match="never finished: it promises no samples, 1000 bytes follow; repair it"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("extra", [1000, FOUR_GIB + 1000])
def test_a_size_that_began_again_at_zero_after_4_gib_is_put_right(tmp_path, make_wav, extra):
    path = tmp_path / "a.wav"
    path.write_bytes(make_wav(channels=2, size=(FOUR_GIB + extra) % FOUR_GIB))
    os.truncate(path, 44 + FOUR_GIB + extra)  # sparse: no block on the disk
    with Source(path) as source:
        assert source.frames == (FOUR_GIB + extra) // 4


def test_a_size_that_began_again_at_zero_is_told(tmp_path, make_wav):
    (tmp_path / "a.wav").write_bytes(make_wav(channels=2, size=1000))
    os.truncate(tmp_path / "a.wav", 44 + FOUR_GIB + 1000)
    with Source(tmp_path / "a.wav") as source:
        assert source.frames > 1 << 29
        assert source.warnings == [
            f"the header says 1000 bytes of samples where {FOUR_GIB + 1000} follow; all of them are used"
        ]


def test_a_stream_of_more_than_4_gib_is_read_to_its_end(tmp_path, make_wav):
    (tmp_path / "a.wav").write_bytes(make_wav(channels=2, size=0xFFFFFFFF))
    os.truncate(tmp_path / "a.wav", 44 + FOUR_GIB + 400_000)
    with Source(tmp_path / "a.wav") as source:
        assert source.frames == (FOUR_GIB + 400_000) // 4


def test_bytes_behind_the_samples_of_a_small_file_are_not_samples(tmp_path, make_wav):
    data = make_wav(body=struct.pack("<4h", 1, 2, 3, 4))
    (tmp_path / "a.wav").write_bytes(data + b"LIST" + struct.pack("<I", 8) + b"INFOxxxx")
    with Source(tmp_path / "a.wav") as source:
        assert source.read().length == 4
        assert source.warnings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty"),
        (b"not audio at all", "not audio of a kind"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
    ],
)
def test_messages_name_the_file_and_what_it_is(tmp_path, text, message):
    (tmp_path / "a.wav").write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.wav")
    assert caught.value.path == str(tmp_path / "a.wav")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def test_a_missing_file_is_refused_in_the_systems_words(tmp_path):
    with pytest.raises(InputError, match=r"^no such file or directory$"):
        read(tmp_path / "none.wav")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_devices_are_refused(device):
    with pytest.raises(InputError, match="is a device"):
        read(device)


@pytest.mark.parametrize("name", ["a\0b.wav", "\ud800.wav"])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(InputError):
        read(name)


def through_pipe(folder, data):
    """Read a named pipe that another thread fills."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    try:
        with Source(pipe) as source:
            return source.read(), source.warnings
    finally:
        writer.join()


@pytest.mark.parametrize("size", [None, 0xFFFFFFFF])
def test_a_named_pipe_is_read_like_a_file(tmp_path, make_wav, size):
    body = struct.pack("<5000h", *range(5000))  # more than a pipe's page
    audio, warnings = through_pipe(tmp_path, make_wav(channels=2, body=body * 20, size=size))
    assert warnings == []
    np.testing.assert_array_equal(audio.samples.T.ravel() * 32768, np.tile(np.arange(5000), 20))


def test_a_pipe_that_brings_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="no bytes came through"):
        through_pipe(tmp_path, b"")


def test_standard_input_is_read_as_a_pipe(tmp_path, make_wav):
    code = "from nmfsep.signal.read import read; a = read('-'); print(a.length, a.sample_rate)"
    done = subprocess.run(
        [sys.executable, "-c", code], input=make_wav(body=bytes(246)), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"123", b"8000"]


def test_the_mp3_decoder_is_kept_from_stderr(tmp_path, capfd):
    write_cut(tmp_path / "a.mp3", "MP3", "MPEG_LAYER_III", 0.5)
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    data[3000:3400] = bytes(400)
    (tmp_path / "a.mp3").write_bytes(data)
    read(tmp_path / "a.mp3")
    os.write(2, b"mark")
    assert capfd.readouterr().err == "mark"  # silent in between, and open again afterwards


def test_an_mp3_is_read_also_where_stderr_is_closed(tmp_path):
    sf.write(tmp_path / "a.mp3", np.zeros(5000), 44100)
    code = f"from nmfsep.signal.read import read; print(read({str(tmp_path / 'a.mp3')!r}).length)"
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], stdout=subprocess.PIPE, check=False
    )
    assert done.stdout.split() == [b"5000"]


@pytest.mark.parametrize("container", ["WAV", "AIFF", "CAF", "W64"])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, container):
    sf.write(tmp_path / "a", np.zeros(100), (1 << 24) + 1, format=container)
    with pytest.raises(InputError, match="sample rate of 16777217 Hz; 1 to 16777216 can be read"):
        Source(tmp_path / "a")
