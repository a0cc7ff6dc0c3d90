import hashlib
import os
import re
import struct

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import InputError
from nmfsep.signal.read import BLOCK, Source, read

WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
LOSSLESS = [
    *((container, subtype) for container in ("WAV", "WAVEX", "RF64", "W64") for subtype in WAV_SUBTYPES),
    *(("AIFF", subtype) for subtype in ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *(("CAF", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    *(("FLAC", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24")),
]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]


def encode(path, samples, container, subtype, rate=48000):
    with sf.SoundFile(path, "w", rate, samples.shape[1], subtype, format=container) as file:
        for start in range(0, len(samples), 4096):  # Vorbis overflows the stack on long blocks
            file.write(samples[start : start + 4096])


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(("container", "subtype"), LOSSLESS)
def test_lossless_files_give_their_samples_exactly(tmp_path, rng, container, subtype, channels):
    # multiples of 1/128, which every one of these formats holds
    samples = rng.integers(-128, 128, (300, channels)) / 128
    path = tmp_path / "a.bin"  # the name's extension must not matter
    encode(path, samples, container, subtype, 44100)
    before = digest(path)
    with Source(path) as source:
        assert (source.sample_rate, source.channels, source.frames) == (44100, channels, 300)
        audio = source.read()
        assert source.warnings == []
    np.testing.assert_array_equal(audio.samples, samples.T.astype(np.float32))
    assert audio.exponent == 0
    assert digest(path) == before


@pytest.mark.parametrize(("container", "subtype"), LOSSY)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossy_files_give_sound_of_the_same_length(tmp_path, container, subtype, channels):
    tone = 0.5 * np.sin(np.arange(30_000) * 0.05)
    path = tmp_path / "a.wav"
    encode(path, np.stack([tone] * channels, axis=1), container, subtype)
    before = digest(path)
    audio = read(path)
    assert audio.samples.shape == (channels, 30_000)
    assert np.abs(audio.samples[:, 2000:-2000] - tone[2000:-2000]).max() < 0.1
    assert digest(path) == before


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_keep_their_order(tmp_path, channels):
    samples = np.tile(np.arange(channels) / 16, (50, 1))
    encode(tmp_path / "a.flac", samples, "FLAC", "PCM_16")
    np.testing.assert_array_equal(read(tmp_path / "a.flac").samples[:, 7], np.arange(channels) / 16)


def test_integers_of_32_bits_are_exact(tmp_path, rng):
    samples = rng.integers(-(1 << 31), 1 << 31, (1000, 2)).astype(np.int32)
    samples[0] = -(1 << 31), (1 << 31) - 1
    sf.write(tmp_path / "a.wav", samples, 8000, "PCM_32")
    with Source(tmp_path / "a.wav") as source:
        source.read()
        source.seek(0)
        first, rest = source.integers(3), source.integers(2000)
    np.testing.assert_array_equal(np.concatenate([first, rest], axis=1), samples.T)


def test_blocks_follow_each_other_from_where_one_seeks(tmp_path, rng):
    samples = rng.uniform(-1, 1, (100, 2))
    sf.write(tmp_path / "a.wav", samples, 8000, "DOUBLE")
    with Source(tmp_path / "a.wav") as source:
        source.seek(30)
        np.testing.assert_array_equal(source.block(20), samples[30:50])
        np.testing.assert_array_equal(source.block(60), samples[50:])
        assert source.block(60).shape == (0, 2)


def test_a_file_longer_than_a_block_is_read_whole(tmp_path):
    samples = np.arange(BLOCK + 5)[:, None] % 1000 / 1024
    encode(tmp_path / "a.wav", samples, "WAV", "PCM_16")
    np.testing.assert_array_equal(read(tmp_path / "a.wav").samples, samples.T.astype(np.float32))


@pytest.mark.parametrize(
    ("offset", "duration", "first", "count"),
    [
        (0.0, None, 0, 1000),
        (0.1, None, 100, 900),
        (0.1, 0.2, 100, 200),
        (0.999, None, 999, 1),
        (0.9, 5.0, 900, 100),
        (0.5, 1e-9, 500, 1),  # never fewer than one sample
        (0.0996, 0.0996, 100, 100),  # the nearest sample
    ],
)
def test_a_stretch_is_cut_at_the_nearest_samples(tmp_path, offset, duration, first, count):
    ramp = np.arange(1000) / 1024
    sf.write(tmp_path / "a.wav", ramp, 1000, "FLOAT")
    with Source(tmp_path / "a.wav") as source:
        audio = source.read(offset, duration)
        assert source.warnings == []
    np.testing.assert_array_equal(audio.samples[0], ramp[first : first + count].astype(np.float32))


@pytest.mark.parametrize("offset", [1.0, 1.5, 1e9])
def test_a_stretch_that_begins_after_the_end_is_refused(tmp_path, offset):
    sf.write(tmp_path / "a.wav", np.zeros(1000), 1000)
    with pytest.raises(InputError, match=r"ends at 1\.000 s, before --offset"):
        read(tmp_path / "a.wav", offset)


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("W64", "PCM_16")])
def test_a_stretch_before_the_cut_is_read_from_a_cut_file(tmp_path, container, subtype):
    samples = np.full((1000, 1), 0.5)
    encode(tmp_path / "a.wav", samples, container, subtype, 1000)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(read(tmp_path / "a.wav", 0.1, 0.2).samples, np.full((1, 200), 0.5))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_that_are_not_finite_are_refused_with_count_time_and_path(tmp_path, value, subtype):
    samples = np.zeros((4000, 2))
    samples[2000, 1] = samples[3000] = value
    sf.write(tmp_path / "a.wav", samples, 8000, subtype)
    with pytest.raises(InputError, match=r"3 samples are NaN or infinite, the first at 0\.250 s") as caught:
        read(tmp_path / "a.wav")
    assert caught.value.path == str(tmp_path / "a.wav")
    assert caught.value.hint


def test_a_signalling_nan_is_refused_without_a_warning(tmp_path, make_wav):
    body = struct.pack("<dQd", 0.5, 0x7FF0000000000001, 0.5)
    (tmp_path / "a.wav").write_bytes(make_wav(tag=3, bits=64, body=body))
    with pytest.raises(InputError, match="1 samples are NaN"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("level", "subtype"),
    [
        (1e-40, "FLOAT"),
        (3e38, "FLOAT"),
        (1e-30, "DOUBLE"),
        (1e-300, "DOUBLE"),
        (1e300, "DOUBLE"),
        (1.7e308, "DOUBLE"),
        (1e-310, "DOUBLE"),
    ],
)
def test_levels_far_from_full_scale_are_kept_as_an_exponent(tmp_path, level, subtype):
    samples = np.array([level, -level / 2, 0, level / 4])
    sf.write(tmp_path / "a.wav", samples, 8000, subtype)
    audio = read(tmp_path / "a.wav")
    assert 0.5 <= np.abs(audio.samples).max() < 1
    truth = samples.astype(np.float32) if subtype == "FLOAT" else samples
    np.testing.assert_allclose(np.ldexp(audio.samples[0].astype(float), audio.exponent), truth, rtol=1e-7, atol=0)


@pytest.mark.parametrize("level", [2.0**31, 2.0**-31, 100.0])
def test_usual_levels_of_float_files_have_no_exponent(tmp_path, level):
    sf.write(tmp_path / "a.wav", np.array([level, -level]), 8000, "FLOAT")
    audio = read(tmp_path / "a.wav")
    assert audio.exponent == 0
    np.testing.assert_array_equal(audio.samples, np.float32([[level, -level]]))


def test_powers_of_two_in_level_change_the_exponent_only(tmp_path, rng):
    samples = rng.uniform(-1, 1, (500, 2)).astype(np.float32)
    sf.write(tmp_path / "a.wav", samples.astype(float) * 2.0**100, 8000, "DOUBLE")
    sf.write(tmp_path / "b.wav", samples.astype(float) * 2.0**-100, 8000, "DOUBLE")
    loud, quiet = read(tmp_path / "a.wav"), read(tmp_path / "b.wav")
    assert loud.exponent - quiet.exponent == 200
    np.testing.assert_array_equal(loud.samples, quiet.samples)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("CAF", "PCM_16"),
        ("OGG", "VORBIS"),
    ],
)
def test_a_file_without_samples_is_refused(tmp_path, container, subtype):
    sf.write(tmp_path / "a", np.zeros((0, 1)), 44100, subtype, format=container)
    with pytest.raises(InputError, match="holds no samples"):
        read(tmp_path / "a")


@pytest.mark.parametrize("head", [b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90\x00", b"caffdesc" + bytes(20) + b"lpcm"])
def test_junk_behind_a_good_beginning_is_refused_in_one_sentence(tmp_path, head):
    (tmp_path / "a").write_bytes((head.ljust(8, b"\0") if head[:4] == b"caff" else head) + b"\x55" * 500)
    with pytest.raises(
        InputError, match=r"cannot be decoded|not opened|without its beginning|nothing but a tag"
    ) as caught:
        read(tmp_path / "a")
    assert not re.search(r"0x|Error|\n", str(caught.value))


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_half_a_sample_at_the_end_is_left_out(tmp_path, make_wav, cut):
    body = struct.pack("<6h", 1, 2, 3, 4, 5, 6)
    (tmp_path / "a.wav").write_bytes(make_wav(channels=2, body=body[:-cut], size=len(body) - cut))
    samples = read(tmp_path / "a.wav").samples * 32768
    np.testing.assert_array_equal(samples.T.ravel(), np.arange(1, 7)[: 2 * ((12 - cut) // 4)])


def test_names_that_are_not_utf8_can_be_read(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe caf\xe9.wav"
    with open(name, "wb") as file:
        sf.write(file, np.full(10, 0.5), 8000, format="WAV")
    assert read(os.fsdecode(name)).length == 10
