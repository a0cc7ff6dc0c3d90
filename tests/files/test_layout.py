"""All sound of a file is read, whatever its header promises."""

import io
import os
import struct
import threading

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.files import mpeg, pages
from nmfsep.signal.read import Source
from nmfsep.signal.stream import Stream

LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
LOSSLESS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("RF64", "PCM_24"), ("W64", "PCM_16"), ("AIFF", "PCM_16"),
            ("CAF", "PCM_16"), ("FLAC", "PCM_16")]  # fmt: skip
ID3 = b"ID3\x04\0\0\0\0\1\x05" + bytes(133)  # a tag of 133 bytes


def tone(seconds, rate=48000, channels=1, pitch=440.0):
    wave = 0.5 * np.sin(2 * np.pi * pitch / rate * np.arange(round(seconds * rate)))
    return np.stack([wave] * channels, axis=1)


def encoded(samples, container, subtype, rate=48000):
    file = io.BytesIO()
    with sf.SoundFile(file, "w", rate, samples.shape[1], subtype, format=container) as sound:
        for start in range(0, len(samples), 4096):  # Vorbis overflows the stack on long blocks
            sound.write(samples[start : start + 4096])
    return file.getvalue()


def read_both_ways(path):
    """Return the sound of a file in memory, which must be that of the streamed path, and the warnings."""
    with Source(path) as source:
        promised, audio, warnings = source.frames, source.read(), list(source.warnings)
    with Source(path) as source:
        streamed = np.concatenate([piece.copy() for piece in Stream(source).pieces()], axis=1)
        assert source.warnings == warnings
    np.testing.assert_array_equal(streamed, audio.samples)
    if not warnings:
        assert promised == audio.length
    return audio.samples, warnings


def without_xing(data):
    """Return an MP3 without the frame that says how many there are."""
    assert b"Xing" in data[:200] or b"Info" in data[:200]
    return data[mpeg._frame(data[:4]).size :]


@pytest.mark.parametrize(("container", "subtype"), LOSSY + LOSSLESS)
def test_files_joined_end_to_end_are_all_read(tmp_path, container, subtype):
    first, second = tone(0.5), tone(0.7, pitch=880)
    (tmp_path / "a").write_bytes(encoded(first, container, subtype) + encoded(second, container, subtype))
    samples, warnings = read_both_ways(tmp_path / "a")
    assert (samples.shape[1], warnings) == (len(first) + len(second), [])
    truth = np.concatenate([first, second])[:, 0]
    middle = np.r_[2000:22000, 26000:55000]
    assert np.abs(samples[0] - truth)[middle].max() < (0.1 if (container, subtype) in LOSSY else 1e-4)


@pytest.mark.parametrize(("container", "subtype"), LOSSY + LOSSLESS)
@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (48000, 2)])
def test_joined_files_of_another_rate_or_number_of_channels_are_refused(tmp_path, container, subtype, rate, channels):
    other = encoded(tone(0.5, rate, channels), container, subtype, rate)
    (tmp_path / "a").write_bytes(encoded(tone(0.5), container, subtype) + other)
    with pytest.raises(InputError, match=rf"48000 Hz.*after 0\.500 s {rate} Hz, {channels} channel") as caught:
        Source(tmp_path / "a")
    assert caught.value.path == str(tmp_path / "a")


def test_the_same_stream_twice_is_twice_as_long(tmp_path):
    for container, subtype in [*LOSSY, ("FLAC", "PCM_16")]:
        data = encoded(tone(0.5), container, subtype)
        (tmp_path / "a").write_bytes(data * 3)
        assert read_both_ways(tmp_path / "a")[0].shape[1] == 3 * 24000


def test_a_stretch_over_the_joint_is_that_of_the_whole(tmp_path):
    first, second = tone(0.5), tone(0.7, pitch=880)
    (tmp_path / "a").write_bytes(encoded(first, "FLAC", "PCM_16") + encoded(second, "FLAC", "PCM_16"))
    whole, _ = read_both_ways(tmp_path / "a")
    with Source(tmp_path / "a") as source:
        np.testing.assert_array_equal(source.read(0.45, 0.1).samples, whole[:, 21600:26400])
        np.testing.assert_array_equal(source.read(0.6).samples, whole[:, 28800:])
        source.seek(23990)
        assert source.block(20).shape == (20, 1)
        assert source.block(1 << 20).shape == (57600 - 24010, 1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [48000, 22050, 8000])
def test_an_mp3_without_a_count_is_read_to_its_last_frame(tmp_path, rate, channels):
    data = encoded(tone(2.0, rate, channels), "MP3", "MPEG_LAYER_III", rate)
    (tmp_path / "a.mp3").write_bytes(without_xing(data))
    samples, warnings = read_both_ways(tmp_path / "a.mp3")
    assert warnings == []
    assert 2.0 * rate <= samples.shape[1] < 2.3 * rate


def test_an_mp3_whose_frames_grow_is_read_to_its_last_frame(tmp_path):
    quiet, loud = np.zeros((48000, 1)), np.random.default_rng(0).uniform(-0.9, 0.9, (48000, 1))
    for order in ([quiet, loud], [loud, quiet]):
        file = io.BytesIO()
        with sf.SoundFile(file, "w", 48000, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE") as sound:
            for samples in order:
                sound.write(samples)
        (tmp_path / "a.mp3").write_bytes(without_xing(file.getvalue()))
        samples, warnings = read_both_ways(tmp_path / "a.mp3")
        assert warnings == []
        assert 96000 <= samples.shape[1] < 100_000


def test_frames_beyond_the_count_are_read_and_told(tmp_path):
    data = encoded(tone(1.0), "MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(data + without_xing(data))
    samples, warnings = read_both_ways(tmp_path / "a.mp3")
    assert samples.shape[1] >= 96000
    assert warnings == ["its header promises 1.032 s, 2.064 s follow; all of them are used"]


def test_tags_between_and_behind_the_frames_are_no_sound(tmp_path):
    data = encoded(tone(0.5), "MP3", "MPEG_LAYER_III")
    end = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0) + bytes(8) + b"TAG" + bytes(125)
    for text in (ID3 + data + ID3 + data + end, ID3 * 2 + bytes(3000) + data + b"TAG" + bytes(125) + data + bytes(500)):
        (tmp_path / "a.mp3").write_bytes(text)
        samples, warnings = read_both_ways(tmp_path / "a.mp3")
        assert (samples.shape[1], warnings) == (48000, [])


def test_what_is_no_frame_is_left_out_and_told(tmp_path):
    data = encoded(tone(0.5), "MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(data + b"junk" * 1000 + data)
    samples, warnings = read_both_ways(tmp_path / "a.mp3")
    assert samples.shape[1] == 48000
    assert warnings == ["4000 bytes in it are no frames of MP3 and are left out"]


def test_no_file_of_almost_frames_takes_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(mpeg, "TRIES", 100)
    data = encoded(tone(0.5), "MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(data + data[:2] * 2000 + (data[:4] + b"\0") * 1600)
    samples, warnings = read_both_ways(tmp_path / "a.mp3")
    assert samples.shape[1] == 24000
    assert "12000 bytes in it are no frames" in warnings[0]


def with_total(data, total):
    """Return a FLAC file that promises so many samples."""
    info = int.from_bytes(data[18:26], "big") >> 36 << 36
    return data[:18] + (info | total).to_bytes(8, "big") + data[26:]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [100, 4096, 4097, 30000, 600_000])
def test_flac_of_unknown_length_is_read(tmp_path, rng, length, channels):
    truth = rng.integers(-1000, 1000, (length, channels)) / 32768
    (tmp_path / "a.flac").write_bytes(with_total(encoded(truth, "FLAC", "PCM_16"), 0))
    samples, warnings = read_both_ways(tmp_path / "a.flac")
    assert warnings == []
    np.testing.assert_array_equal(samples.T, truth.astype(np.float32))


@pytest.mark.parametrize("promised", [1, 100, 24000, 47999])
def test_flac_of_more_samples_than_promised_is_read_and_told(tmp_path, promised):
    truth = tone(1.0)
    (tmp_path / "a.flac").write_bytes(with_total(encoded(truth, "FLAC", "PCM_16"), promised))
    samples, warnings = read_both_ways(tmp_path / "a.flac")
    np.testing.assert_allclose(samples.T, truth, atol=1e-4)
    there = f"{promised / 48000:.3f} s, 1.000 s follow"
    assert warnings == [f"its header promises {there}; all of them are used"]


def test_flac_of_unknown_length_that_was_cut_is_read_as_far_as_it_goes(tmp_path, rng):
    data = with_total(encoded(rng.uniform(-1, 1, (48000, 1)), "FLAC", "PCM_16"), 0)
    (tmp_path / "a.flac").write_bytes(data[: len(data) * 3 // 4])
    samples, warnings = read_both_ways(tmp_path / "a.flac")
    assert 30_000 < samples.shape[1] < 37_000
    assert "cut" in warnings[0]


def test_tags_behind_flac_of_unknown_length_are_no_sound(tmp_path):
    data = with_total(encoded(tone(1.0), "FLAC", "PCM_16"), 0)
    for end in (b"TAG" + bytes(125), bytes(1000)):
        (tmp_path / "a.flac").write_bytes(ID3 + data + end)
        samples, warnings = read_both_ways(tmp_path / "a.flac")
        assert (samples.shape[1], warnings) == (48000, [])


def page(body, serial, flags, number):
    """Return a page of Ogg with its checksum."""
    lengths = bytes([255] * (len(body) // 255) + [len(body) % 255])
    head = b"OggS\0" + bytes([flags]) + bytes(8) + struct.pack("<III", serial, number, 0) + bytes([len(lengths)])
    data, value = head + lengths + body, 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = value << 1 ^ (0x104C11DB7 if value >> 31 else 0)
    return data[:22] + value.to_bytes(4, "little") + data[26:]


def as_ogg(data, serial=5):
    """Return a FLAC file in pages of Ogg."""
    bodies = [b"\x7fFLAC\1\0\0\1" + data[:42], *(data[at : at + 4000] for at in range(42, len(data), 4000))]
    return b"".join(
        page(body, serial, 2 * (number == 0) + 4 * (number == len(bodies) - 1), number)
        for number, body in enumerate(bodies)
    )


@pytest.mark.parametrize("total", [None, 0])
def test_flac_in_ogg_is_read(tmp_path, total):
    truth = tone(1.0)
    data = encoded(truth, "FLAC", "PCM_16")
    data = data if total is None else with_total(data, total)
    for times in (1, 2):
        (tmp_path / "a.oga").write_bytes(as_ogg(data) * times)
        samples, warnings = read_both_ways(tmp_path / "a.oga")
        assert warnings == []
        np.testing.assert_allclose(samples.T, np.concatenate([truth] * times), atol=1e-4)


def test_a_second_sound_beside_the_first_is_told(tmp_path):
    sounds = [encoded(tone(0.5, pitch=pitch), "OGG", "VORBIS") for pitch in (440, 880)]
    first, second = (
        [data[at:stop] for at, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
        for data in sounds
        for starts in [[at for at in range(len(data)) if data[at : at + 4] == b"OggS"]]
    )
    (tmp_path / "a.ogg").write_bytes(b"".join([first[0], second[0], *first[1:], *second[1:]]))
    samples, warnings = read_both_ways(tmp_path / "a.ogg")
    assert samples.shape[1] == 24000
    assert warnings == ["holds 2 sounds side by side; the first is read, the others are left out"]


def test_a_cut_link_of_a_chain_is_told_and_what_follows_is_read(tmp_path):
    data = encoded(np.random.default_rng(0).uniform(-0.5, 0.5, (48000, 2)), "OGG", "VORBIS")
    (tmp_path / "a.ogg").write_bytes(data[: len(data) * 2 // 3] + data)
    samples, warnings = read_both_ways(tmp_path / "a.ogg")
    assert 48000 < samples.shape[1] < 96000
    assert pages.CUT in warnings


def test_ogg_of_another_codec_is_refused(tmp_path):
    (tmp_path / "a.ogg").write_bytes(page(b"Speex   " + bytes(72), 1, 2, 0) + page(bytes(100), 1, 4, 1))
    with pytest.raises(InputError, match="Ogg file of no codec that is opened"):
        Source(tmp_path / "a.ogg")


@pytest.mark.parametrize("tags", [ID3, ID3 * 3, ID3 + bytes(777)])
@pytest.mark.parametrize(("container", "subtype"), LOSSY + LOSSLESS)
def test_tags_before_a_sound_change_nothing(tmp_path, container, subtype, tags):
    data = encoded(tone(0.5), container, subtype)
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(tags + data)
    plain, tagged = read_both_ways(tmp_path / "a"), read_both_ways(tmp_path / "b")
    np.testing.assert_array_equal(tagged[0], plain[0])
    assert plain[1] == tagged[1] == []


@pytest.mark.parametrize("tags", [ID3, ID3 * 2, ID3 + bytes(50), ID3 + b"junk" * 9])
@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("AIFF", "IMA_ADPCM"), ("CAF", "ALAC_16"), ("AU", "PCM_16"),
     ("AU", "ULAW"), ("VOC", "PCM_16"), ("SVX", "PCM_16")],
)  # fmt: skip
def test_no_tag_lets_another_codec_past_the_guard(tmp_path, container, subtype, tags):
    (tmp_path / "a.mp3").write_bytes(tags + encoded(tone(0.5, 8000), container, subtype, 8000))
    with pytest.raises(InputError, match=r"not opened|not audio of a kind"):
        Source(tmp_path / "a.mp3")


def test_a_tag_does_not_hide_that_a_file_was_cut(tmp_path, make_wav):
    (tmp_path / "a.wav").write_bytes(ID3 + make_wav(body=bytes(500), size=1000))
    samples, warnings = read_both_ways(tmp_path / "a.wav")
    assert samples.shape[1] == 250
    assert "promises 1000 bytes of samples, the file has 500" in warnings[0]


@pytest.mark.parametrize("size", [20, 143])
def test_a_file_that_is_all_tag_is_refused(tmp_path, size):
    (tmp_path / "a.mp3").write_bytes(ID3[:size])
    with pytest.raises(InputError, match="nothing but a tag"):
        Source(tmp_path / "a.mp3")


@pytest.mark.parametrize("length", [4, 5])
def test_chunks_behind_the_samples_are_no_sound_and_no_reason_to_warn(tmp_path, make_wav, length):
    chunk = struct.pack("<4sI", b"id3 ", length) + b"hello"[:length] + bytes(length % 2)
    for end in (b"", chunk, chunk * 3, chunk + bytes(512), chunk[: 8 + length], bytes(2048)):
        for body in (bytes(1000), bytes(999) + b"\0"):
            (tmp_path / "a.wav").write_bytes(make_wav(body=body) + end)
            samples, warnings = read_both_ways(tmp_path / "a.wav")
            assert (samples.shape[1], warnings) == (500, [])


def test_an_odd_number_of_bytes_of_samples_may_lack_its_padding(tmp_path, make_wav):
    chunk = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for padding in (b"", b"\0"):
        (tmp_path / "a.wav").write_bytes(make_wav(bits=8, body=b"\x80" * 999) + padding + chunk)
        samples, warnings = read_both_ways(tmp_path / "a.wav")
        assert (samples.shape[1], warnings) == (999, [])


@pytest.mark.parametrize(("container", "subtype"), [pair for pair in LOSSLESS if pair[0] != "FLAC"])
def test_bytes_that_no_chunk_explains_are_told_with_both_lengths(tmp_path, container, subtype):
    data = encoded(tone(0.5), container, subtype)
    (tmp_path / "a").write_bytes(data + b"\1\2" * 5000)
    samples, warnings = read_both_ways(tmp_path / "a")
    width = {"FLOAT": 4, "PCM_24": 3}.get(subtype, 2)
    assert samples.shape[1] == 24000
    assert warnings == [f"the header promises {24000 * width} bytes of samples; 10000 more follow it and are left out"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_brings_all_sound_as_well(tmp_path):
    data = encoded(tone(0.5), "OGG", "VORBIS") * 2
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    try:
        with Source(tmp_path / "pipe") as source:
            assert source.read().length == 48000
    finally:
        writer.join()


def test_a_file_that_cannot_be_read_on_does_not_end_in_silence(tmp_path, monkeypatch):
    (tmp_path / "a.mp3").write_bytes(without_xing(encoded(tone(30.0), "MP3", "MPEG_LAYER_III")))
    with Source(tmp_path / "a.mp3") as source:
        monkeypatch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        with pytest.raises(InputError, match="cannot be read: input/output error"):
            source.read()


@pytest.mark.parametrize(("container", "size"), [("W64", (1 << 63) - 1), ("CAF", (1 << 64) - 1)])
def test_a_size_that_a_pipe_did_not_know_is_no_reason_to_warn(tmp_path, container, size):
    data = encoded(tone(0.5), container, "PCM_16")
    at = data.index(b"data") + (16 if container == "W64" else 4)
    (tmp_path / "a").write_bytes(
        data[:at] + size.to_bytes(8, "little" if container == "W64" else "big") + data[at + 8 :]
    )
    samples, warnings = read_both_ways(tmp_path / "a")
    assert (samples.shape[1], warnings) == (24000, [])


def test_aiff_of_no_size_is_refused_with_a_remedy(tmp_path):
    data = encoded(tone(0.5), "AIFF", "PCM_16")
    at = data.index(b"SSND") + 4
    (tmp_path / "a.aiff").write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    with pytest.raises(InputError, match="never finished: it promises no samples, 48000 bytes follow; repair it"):
        Source(tmp_path / "a.aiff")


@pytest.mark.parametrize("promised", [0, 100, 1 << 31])
def test_the_samples_of_aiff_are_those_that_are_there(tmp_path, promised):
    data = encoded(tone(0.5), "AIFF", "PCM_16")
    at = data.index(b"COMM") + 10
    (tmp_path / "a.aiff").write_bytes(data[:at] + promised.to_bytes(4, "big") + data[at + 4 :])
    samples, _ = read_both_ways(tmp_path / "a.aiff")
    assert samples.shape[1] == 24000


def test_what_lies_behind_flac_is_left_out_and_told(tmp_path, make_wav):
    data = encoded(tone(0.5), "FLAC", "PCM_16")
    for end, says in [
        (make_wav(body=b"\1\2" * 5000), "behind its last frame"),
        (b"\1" * (2 << 20), "no frame of FLAC"),
    ]:
        (tmp_path / "a.flac").write_bytes(data + end)
        samples, warnings = read_both_ways(tmp_path / "a.flac")
        assert samples.shape[1] == 24000
        assert len(warnings) == 1
        assert says in warnings[0]


@pytest.mark.parametrize("total", [None, 0])
def test_tags_and_zeros_behind_flac_are_no_reason_to_warn(tmp_path, total):
    data = encoded(tone(0.5), "FLAC", "PCM_16")
    data = data if total is None else with_total(data, total)
    for end in (ID3, b"TAG" + bytes(125), b"APETAGEX" + bytes(range(100)), bytes(4096)):
        (tmp_path / "a.flac").write_bytes(data + end)
        samples, warnings = read_both_ways(tmp_path / "a.flac")
        assert (samples.shape[1], warnings) == (24000, [])


def test_flac_that_was_cut_is_used_with_a_warning_of_both_durations(tmp_path, rng):
    data = encoded(rng.uniform(-1, 1, (48000, 1)), "FLAC", "PCM_16")
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    samples, warnings = read_both_ways(tmp_path / "a.flac")
    there = samples.shape[1] / 48000
    assert 0.3 < there < 0.5
    assert warnings == [f"ends after {there:.3f} s where its header promises 1.000 s; what is there is used"]
