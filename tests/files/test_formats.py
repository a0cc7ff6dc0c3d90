import io

import numpy as np
import pytest
import soundfile as sf

from nmfsep.errors import UsageError
from nmfsep.files.formats import BITS, FORMATS, SampleFormat, resolve
from nmfsep.settings.fields import CONTAINERS


@pytest.mark.parametrize(("name", "subtype"), [(name, s) for name, form in FORMATS.items() for s in form.subtypes])
def test_every_format_offered_can_be_written(name, subtype):
    file = io.BytesIO()
    sf.write(file, np.zeros((50, 1)), 48000, subtype, format=FORMATS[name].container)
    file.seek(0)
    with sf.SoundFile(file) as back:
        assert (back.subtype, back.format) == (subtype, FORMATS[name].container)


def test_the_settings_offer_the_formats_there_are():
    assert list(CONTAINERS) == list(FORMATS)


@pytest.mark.parametrize("name", ["wav", "rf64", "w64"])
@pytest.mark.parametrize("source", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_the_sample_format_of_the_input_is_kept(name, source):
    assert resolve(name, None, source, 2, 44100) == SampleFormat(name, source)


@pytest.mark.parametrize(
    ("name", "source", "subtype"),
    [
        ("wav", "PCM_S8", "PCM_U8"),  # signed and unsigned bytes are the same samples
        ("aiff", "PCM_U8", "PCM_S8"),
        ("flac", "PCM_U8", "PCM_S8"),
        ("aiff", "PCM_24", "PCM_24"),
        ("wav", "VORBIS", "PCM_24"),
        ("aiff", "MPEG_LAYER_III", "PCM_24"),
        ("flac", "OPUS", "PCM_24"),
        ("flac", "PCM_32", "PCM_24"),
        ("flac", "FLOAT", "PCM_24"),
        ("flac", "DOUBLE", "PCM_24"),
        ("wav", "ULAW", "PCM_16"),
        ("flac", "ALAW", "PCM_16"),
        ("opus", "FLOAT", "OPUS"),
        ("ogg", "PCM_16", "VORBIS"),
        ("ogg", "VORBIS", "VORBIS"),
        ("ogg", "OPUS", "VORBIS"),
        ("mp3", "FLOAT", "MPEG_LAYER_III"),
    ],
)
def test_what_a_container_lacks_becomes_the_nearest_it_has(name, source, subtype):
    assert resolve(name, None, source, 2, 48000).subtype == subtype


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("source", list(BITS))
def test_integers_are_never_narrowed_where_the_container_has_as_many_bits(name, source):
    form = resolve(name, None, source, 1, 44100)
    widths = [BITS.get(subtype, 0) for subtype in FORMATS[name].subtypes]
    if BITS[source] in widths:
        assert form.bits == BITS[source]


@pytest.mark.parametrize(("asked", "subtype"), [("pcm_24", "PCM_24"), ("Float", "FLOAT"), ("PCM_16", "PCM_16")])
def test_a_subtype_asked_for_wins_over_the_inputs_in_any_case(asked, subtype):
    assert resolve("wav", asked, "PCM_32", 2, 44100).subtype == subtype


def test_unsigned_bytes_asked_for_are_signed_where_there_are_no_others():
    assert resolve("flac", "PCM_U8", "PCM_16", 2, 44100).subtype == "PCM_S8"


@pytest.mark.parametrize(
    ("name", "subtype"), [("flac", "FLOAT"), ("flac", "PCM_32"), ("wav", "VORBIS"), ("mp3", "PCM_16"), ("wav", "x")]
)
def test_a_subtype_the_container_cannot_hold_is_refused_with_those_it_can(name, subtype):
    with pytest.raises(UsageError, match=f"{name} cannot hold {subtype}") as caught:
        resolve(name, subtype, "PCM_16", 2, 44100)
    assert all(able in caught.value.hint for able in FORMATS[name].subtypes)


@pytest.mark.parametrize(("name", "most"), [("flac", 8), ("mp3", 2), ("ogg", 255), ("wav", 1024)])
def test_channels_beyond_what_a_container_holds_are_refused(name, most):
    assert resolve(name, None, "PCM_16", most, 44100).name == name
    with pytest.raises(UsageError, match=f"{name} holds at most {most} channels, not {most + 1}"):
        resolve(name, None, "PCM_16", most + 1, 44100)


@pytest.mark.parametrize("rate", [96000, 44099, 1])
def test_sample_rates_that_mp3_lacks_are_refused(rate):
    with pytest.raises(UsageError, match=f"mp3 cannot hold a sample rate of {rate} Hz"):
        resolve("mp3", None, "PCM_16", 2, rate)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        # libsndfile's Vorbis encoder does not refuse it but crashes the interpreter on closing
        ("ogg", 384000),
        ("flac", 655360),
        ("flac", 65537),
    ],
)
def test_sample_rates_that_a_codec_lacks_are_refused_before_any_work(name, rate):
    with pytest.raises(UsageError, match=f"{name} cannot hold a sample rate of {rate} Hz"):
        resolve(name, None, "PCM_16", 2, rate)


@pytest.mark.parametrize(("name", "rate"), [("ogg", 192000), ("flac", 655350), ("flac", 192000), ("flac", 65535)])
def test_high_sample_rates_that_a_codec_has_can_be_written(name, rate):
    form = resolve(name, None, "PCM_16", 1, rate)
    file = io.BytesIO()
    sf.write(file, np.zeros(100), rate, form.subtype, format=form.file.container)
    file.seek(0)
    assert sf.info(file).samplerate == rate


def test_an_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="format 'wave' is unknown; did you mean 'wav'"):
        resolve("wave", None, "PCM_16", 2, 44100)


@pytest.mark.parametrize(
    ("subtype", "bits", "size"),
    [("PCM_U8", 8, 1), ("PCM_16", 16, 2), ("PCM_24", 24, 3), ("PCM_32", 32, 4), ("FLOAT", 0, 4), ("DOUBLE", 0, 8)],
)
def test_bits_and_bytes_of_a_sample(subtype, bits, size):
    form = SampleFormat("wav", subtype)
    assert (form.bits, form.bytes) == (bits, size)
