"""Whatever the bytes of a header say, a file is read or refused in a sentence, in bounded time and memory."""

import io

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings, strategies as st

from nmfsep.errors import NmfsepError
from nmfsep.signal.audio import at_rate
from nmfsep.signal.read import Source
from nmfsep.signal.stream import Stream

LENGTH = 3000
KINDS = {
    "wav": ("WAV", "PCM_16"), "float": ("WAV", "DOUBLE"), "wavex": ("WAVEX", "PCM_24"), "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "FLOAT"), "aiff": ("AIFF", "PCM_16"), "aifc": ("AIFF", "DOUBLE"), "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
    "au": ("AU", "PCM_16"),
}  # fmt: skip
TAG = b"ID3\x04\0\0\0\0\0\x14" + bytes(20)
# what a size, a rate or a count is when it goes wrong
EXTREMES = [0, 1, 2, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF]


class Mutated(bytes):
    """Bytes that are shown by their beginning and their number."""

    def __repr__(self):
        return f"{len(self)} bytes, {bytes(self[:240])!r} ..."


def encoded(container, subtype, channels):
    sound = 0.3 * np.sin(np.arange(LENGTH)[:, None] * [0.05, 0.08][:channels])
    file = io.BytesIO()
    sf.write(file, sound, 48000, subtype, format=container)
    return file.getvalue()


SEEDS = {name: [encoded(*kind, channels) for channels in (1, 2)] for name, kind in KINDS.items()}
FIELD = st.tuples(
    st.integers(0, 199), st.sampled_from(EXTREMES), st.sampled_from([1, 2, 4, 8]), st.sampled_from(["little", "big"])
)
BYTES = st.tuples(st.integers(0, 199), st.binary(min_size=1, max_size=4))


@st.composite
def files(draw):
    """Draw a file that was good, with some of its first bytes replaced, cut, or joined with another."""
    data = bytearray(draw(st.sampled_from(SEEDS[draw(st.sampled_from(sorted(SEEDS)))])))
    for change in draw(st.lists(st.one_of(FIELD, BYTES), max_size=4)):
        if len(change) == 2:
            at, new = change
        else:
            at, value, width, order = change
            new = (value & ((1 << 8 * width) - 1)).to_bytes(width, order)
        data[at : at + len(new)] = new
    data = bytes(data)
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    if draw(st.booleans()):
        other = draw(st.sampled_from(SEEDS[draw(st.sampled_from(sorted(SEEDS)))]))
        place = draw(st.integers(0, 200))
        data = draw(st.sampled_from([data + other, data[:place] + other, TAG + data, TAG[: place % 30] + data + TAG]))
    return Mutated(data)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("mutated") / "a"


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=files())
def test_a_mutated_file_is_read_or_refused(path, data):
    path.write_bytes(data)
    bound = 600 * len(data) + (1 << 20)  # samples: far more than any codec makes of bytes
    read, streamed, error = 0, 0, None
    try:
        with Source(path) as source:
            assert 1 <= source.sample_rate <= 1 << 24
            read = source.read().length
            warnings = list(source.warnings)
        with Source(path) as source:
            stream = Stream(source)
            for _ in range(2):
                streamed = 0
                for piece in stream.pieces():
                    streamed += piece.shape[1]
                    assert streamed * source.channels < bound
                if not stream.needs_another_pass():
                    break
            assert streamed == read
            assert source.warnings == warnings
            audio = source.read()
        assert at_rate(audio, 44100).shape[1] <= 33 * read
    except NmfsepError as refused:
        error = str(refused)
    assert error is None or (error and "\n" not in error)
