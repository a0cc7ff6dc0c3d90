import contextlib
import os
import struct

import numpy as np
import pytest
import soundfile as sf

import nmfsep.files.write as module
from nmfsep.errors import InputError
from nmfsep.files.formats import FORMATS, SampleFormat
from nmfsep.files.publish import Output
from nmfsep.files.write import StemWriter, to_integers
from nmfsep.signal.read import Source

INTEGERS = [(name, s) for name in ("wav", "rf64", "w64", "aiff", "flac") for s in FORMATS[name].subtypes if "PCM" in s]
FLOATS = [(name, s) for name in ("wav", "rf64", "w64", "aiff") for s in ("FLOAT", "DOUBLE")]
RATE = 44100


def sound(rng, k=3, channels=2, length=3000, level=0.3):
    """Stems, the first being what the others leave of the mixture, and the mixture."""
    stems = rng.uniform(-level, level, (k, channels, length)).astype(np.float32)
    mixture = stems.sum(axis=0)
    stems[0] = mixture - stems[1:].sum(axis=0)
    return stems, mixture


def write(folder, form, stems, mixture, integers=None, *, step=1000, **options):
    """Write stems in pieces as the pipeline does; return the paths and the writer."""
    count = 1 if options.get("merged") else len(options.get("selected") or stems)
    paths = [folder / f"{index}.{form.file.extension}" for index in range(count)]
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(Output(path)) for path in paths]
        with StemWriter(outputs, form, RATE, mixture.shape[0], mixture.shape[1], **options) as writer:
            for at in range(0, mixture.shape[1], step):
                piece = slice(at, at + step)
                whole = None if integers is None else integers[:, piece]
                writer.write(stems[..., piece], mixture[:, piece], whole)
        for output in outputs:
            output.name()
    return paths, writer


def integers_of(path):
    with Source(path) as source:
        return source.integers(1 << 20).astype(np.int64)


@pytest.mark.parametrize(("name", "subtype"), INTEGERS)
@pytest.mark.parametrize(("channels", "level"), [(1, 0.3), (2, 1.2), (8, 0.3)])
def test_integer_stems_read_back_add_up_bit_for_bit(tmp_path, rng, name, subtype, channels, level):
    form = SampleFormat(name, subtype)
    half = 1 << (form.bits - 1)
    integers = rng.integers(-half, half, (channels, 500))
    stems = rng.uniform(-level, level, (3, channels, 500)).astype(np.float32)
    paths, _ = write(tmp_path, form, stems, (integers / half).astype(np.float32), integers)
    total = sum(integers_of(path) for path in paths)
    np.testing.assert_array_equal(total, integers << (32 - form.bits))
    info = sf.info(paths[0])
    assert (info.subtype, info.format, info.channels, info.frames, info.samplerate) == (
        subtype, FORMATS[name].container, channels, 500, RATE,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "subtype"), INTEGERS)
def test_integer_stems_are_the_stems_to_within_rounding(tmp_path, rng, name, subtype):
    form = SampleFormat(name, subtype)
    stems, mixture = sound(rng)
    paths, writer = write(tmp_path, form, stems, mixture, to_integers(mixture, form.bits))
    for path, stem in zip(paths, stems, strict=True):
        assert np.abs(sf.read(path, dtype="float64")[0].T - stem).max() <= 2.5 / (1 << (form.bits - 1)) + 2e-7
    assert writer.moved == 0


@pytest.mark.parametrize(("name", "subtype"), FLOATS)
def test_float_stems_read_back_add_up_to_a_millionth_of_the_peak(tmp_path, rng, name, subtype):
    stems, mixture = sound(rng, k=6)
    paths, writer = write(tmp_path, SampleFormat(name, subtype), stems, mixture)
    read = [sf.read(path, dtype="float64")[0].T for path in paths]
    for found, stem in zip(read[1:], stems[1:], strict=True):
        np.testing.assert_array_equal(found, stem)
    assert np.abs(sum(read) - mixture).max() <= 1e-6 * np.abs(mixture).max()
    assert writer.sum_error <= 1e-6


def test_stems_of_doubles_add_up_to_the_mixture_exactly(tmp_path, rng):
    stems, mixture = sound(rng, k=6)
    paths, _ = write(tmp_path, SampleFormat("wav", "DOUBLE"), stems, mixture)
    total = sum(sf.read(path, dtype="float64")[0].T for path in paths)
    np.testing.assert_allclose(total, mixture, rtol=0, atol=1e-15)


def test_the_sum_error_is_relative_to_the_peak_of_the_mixture(tmp_path):
    stems, mixture = np.full((2, 1, 100), 0.25, np.float32), np.full((1, 100), 0.5, np.float32)
    mixture[0, 70] = 0.75
    _, writer = write(tmp_path, SampleFormat("wav", "FLOAT"), stems, mixture, step=50)
    assert writer.sum_error == pytest.approx(1 / 3)


@pytest.mark.parametrize(("name", "subtype"), [("wav", "FLOAT"), ("wav", "DOUBLE"), ("aiff", "FLOAT")])
def test_float_files_carry_no_time_of_day(tmp_path, rng, name, subtype):
    paths, _ = write(tmp_path, SampleFormat(name, subtype), *sound(rng))
    data = paths[0].read_bytes()
    place = data.index(b"PEAK")
    assert data[place + 12 : place + 16] == bytes(4)
    assert data[place + 16 : place + 20] != bytes(4)  # the peak itself is still there


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        *INTEGERS,
        *FLOATS,
        ("mp3", "MPEG_LAYER_III"),
        ("ogg", "VORBIS"),
    ],
)
def test_equal_runs_give_equal_bytes(tmp_path, rng, name, subtype):
    form = SampleFormat(name, subtype)
    stems, mixture = sound(rng)
    integers = to_integers(mixture, form.bits) if form.bits else None
    runs = []
    for run in ("1", "2"):
        (tmp_path / run).mkdir()
        paths, _ = write(tmp_path / run, form, stems, mixture, integers)
        runs.append([path.read_bytes() for path in paths])
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


@pytest.mark.parametrize("name", ["w64", "rf64"])
def test_samples_that_spell_peak_are_left_alone(tmp_path, name):
    mixture = np.full((1, 20), np.frombuffer(b"PEAK", np.float32)[0])
    paths, _ = write(tmp_path, SampleFormat(name, "FLOAT"), mixture[None], mixture)
    np.testing.assert_array_equal(sf.read(paths[0], dtype="float32")[0], mixture[0])


@pytest.mark.parametrize("step", [1, 7, 3000])
def test_the_size_of_the_pieces_does_not_matter(tmp_path, rng, step):
    stems, mixture = sound(rng, length=300)
    form, whole = SampleFormat("wav", "PCM_16"), to_integers(mixture, 16)
    once = [path.read_bytes() for path in write(tmp_path, form, stems, mixture, whole)[0]]
    assert [path.read_bytes() for path in write(tmp_path, form, stems, mixture, whole, step=step)[0]] == once


def test_inputs_of_the_writer_may_be_read_only(tmp_path, rng):
    stems, mixture = sound(rng)
    integers = to_integers(mixture, 16)
    for array in (stems, mixture, integers):
        array.flags.writeable = False
    write(tmp_path, SampleFormat("wav", "PCM_16"), stems, mixture, integers)
    write(tmp_path, SampleFormat("wav", "DOUBLE"), stems, mixture, exponent=100, gain=0.5)


@pytest.mark.parametrize("selected", [(1,), (0, 2), (2,)])
def test_only_selected_stems_are_written(tmp_path, rng, selected):
    stems, mixture = sound(rng)
    paths, _ = write(tmp_path, SampleFormat("wav", "FLOAT"), stems, mixture, selected=selected)
    for path, index in zip(paths, selected, strict=True):
        np.testing.assert_array_equal(sf.read(path, dtype="float32")[0].T, stems[index])


@pytest.mark.parametrize("selected", [(0, 1, 2), (2, 1)])
def test_merged_stems_lie_side_by_side(tmp_path, rng, selected):
    stems, mixture = sound(rng)
    paths, _ = write(tmp_path, SampleFormat("wav", "FLOAT"), stems, mixture, selected=selected, merged=True)
    found = sf.read(paths[0], dtype="float32")[0].T
    np.testing.assert_array_equal(found, np.concatenate([stems[index] for index in selected]))


def test_one_gain_applies_to_all_stems(tmp_path, rng):
    stems, mixture = sound(rng)
    paths, _ = write(tmp_path, SampleFormat("wav", "FLOAT"), stems, mixture, gain=0.25)
    for path, stem in zip(paths, stems, strict=True):
        np.testing.assert_array_equal(sf.read(path, dtype="float32")[0].T, stem / 4)


@pytest.mark.parametrize(("subtype", "exponent"), [("FLOAT", 100), ("FLOAT", -100), ("DOUBLE", 1000), ("DOUBLE", -900)])
def test_an_exponent_brings_back_the_level_of_the_input(tmp_path, rng, subtype, exponent):
    stems, mixture = sound(rng)
    paths, _ = write(tmp_path, SampleFormat("wav", subtype), stems, mixture, exponent=exponent)
    for path, stem in zip(paths, stems, strict=True):
        found = np.ldexp(sf.read(path, dtype="float64")[0].T, -exponent)
        np.testing.assert_allclose(found, stem, rtol=1e-6, atol=1e-7)


def test_stems_far_below_the_last_bit_are_silent_as_integers(tmp_path, rng):
    stems, mixture = sound(rng)
    paths, _ = write(
        tmp_path, SampleFormat("wav", "PCM_16"), stems, mixture, np.zeros(mixture.shape, np.int32), exponent=-100
    )
    assert not any(integers_of(path).any() for path in paths)


def test_stems_beyond_single_precision_are_refused_with_a_remedy(tmp_path, rng):
    with pytest.raises(InputError, match="beyond the range of single precision; use --subtype DOUBLE"):
        write(tmp_path, SampleFormat("wav", "FLOAT"), *sound(rng), exponent=200)
    assert os.listdir(tmp_path) == []


def test_samples_beyond_full_scale_are_counted_for_lossy_codecs_only(tmp_path):
    stems, mixture = np.zeros((2, 1, 5000), np.float32), np.zeros((1, 5000), np.float32)
    stems[0, 0, :7], stems[1, 0, 0] = 1.5, -1.5
    assert write(tmp_path, SampleFormat("ogg", "VORBIS"), stems, mixture)[1].clipped == 8
    assert write(tmp_path, SampleFormat("wav", "FLOAT"), stems, mixture)[1].clipped == 0


@pytest.mark.parametrize(("name", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")])
def test_lossy_stems_can_be_decoded_to_nearly_the_same_sound(tmp_path, name, subtype):
    tone = (0.5 * np.sin(np.arange(40_000) * 0.05)).astype(np.float32)
    mixture = np.stack([tone, np.zeros_like(tone)])
    paths, _ = write(tmp_path, SampleFormat(name, subtype), mixture[None], mixture)
    found = sf.read(paths[0])[0].T
    assert found.shape == mixture.shape
    assert np.abs(found - mixture)[:, 2000:-2000].max() < 0.05


def test_minutes_of_vorbis_in_one_piece_do_not_crash(tmp_path):
    mixture = np.zeros((2, 3_000_000), np.float32)
    paths, _ = write(tmp_path, SampleFormat("ogg", "VORBIS"), mixture[None], mixture, step=3_000_000)
    assert sf.info(paths[0]).frames == 3_000_000


@pytest.mark.parametrize(("limit", "magic"), [(12_000, b"RIFF"), (11_999, b"RF64")])
def test_rf64_is_written_where_a_wav_header_could_not_hold_the_size(tmp_path, rng, monkeypatch, limit, magic):
    monkeypatch.setattr(module, "WAV_LIMIT", limit)
    stems, mixture = sound(rng)  # 3000 samples of 2 channels of 2 bytes
    paths, _ = write(tmp_path, SampleFormat("wav", "PCM_16"), stems, mixture, to_integers(mixture, 16))
    assert paths[0].read_bytes()[:4] == magic
    assert integers_of(paths[0]).shape == (2, 3000)


def test_the_limit_counts_the_channels_of_merged_stems(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(module, "WAV_LIMIT", 12_000)
    stems, mixture = sound(rng)
    form, whole = SampleFormat("wav", "PCM_16"), to_integers(mixture, 16)
    paths, _ = write(tmp_path, form, stems, mixture, whole, selected=(0, 1), merged=True)
    data = paths[0].read_bytes()
    assert data[:4] == b"RF64"
    assert struct.unpack("<Q", data[28:36])[0] == 24_000  # what ds64 says of the samples
