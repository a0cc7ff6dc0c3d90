"""What ffmpeg decodes is read like any other file; without PyAV the way out is named."""

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings, strategies as st

from nmfsep import separate
from nmfsep.errors import InputError
from nmfsep.jobs.inputs import look
from nmfsep.signal.read import Source

av = pytest.importorskip("av")
RATE, LENGTH = 48000, 5 * 4096
KINDS = {  # codec, sample format, subtype as it is read
    "aac.m4a": ("aac", "fltp", "AAC"),
    "alac.m4a": ("alac", "s16p", "PCM_16"),
    "wide.m4a": ("alac", "s32p", "PCM_24"),
    "a.caf": ("alac", "s16p", "PCM_16"),
    "a.aac": ("aac", "fltp", "AAC"),
    "a.wma": ("wmav2", "fltp", "WMAV2"),
    "a.webm": ("libopus", "s16", "OPUS"),
    "a.mka": ("pcm_s16le", "s16", "PCM_16"),
    "film.mp4": ("aac", "fltp", "AAC"),
    "film.avi": ("ac3", "fltp", "AC3"),
}
MUXERS = {"m4a": "ipod", "wma": "asf", "mka": "matroska", "aac": "adts"}
SOUND = (8000 * np.sin(np.arange(LENGTH) * [[0.05], [0.08]])).astype(np.int16)


def encode(path, codec, form, tags=()):
    ending = path.suffix[1:]
    with av.open(str(path), "w", format=MUXERS.get(ending, ending)) as container:
        container.metadata.update(tags)
        film = container.add_stream("mpeg4", rate=25) if path.stem == "film" else None
        if film is not None:
            film.width = film.height = 32
            film.pix_fmt = "yuv420p"
        stream = container.add_stream(codec, rate=RATE, layout="stereo", format=form, bit_rate=192_000)
        stream.codec_context.open()
        samples = np.ascontiguousarray(SOUND.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        fit = av.AudioResampler(form, "stereo", RATE, frame_size=stream.frame_size or 1024)
        for piece in [*fit.resample(frame), *fit.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
        if film is not None:
            for _ in range(5):
                container.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            container.mux(film.encode(None))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    return {name: encode(folder / name, *kind[:2], {"title": "Tune"}) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_the_sound_is_that_which_was_encoded(files, name):
    with Source(files[name]) as source:
        assert (source.sample_rate, source.channels, source.subtype) == (RATE, 2, KINDS[name][2])
        found = source.read().samples * 32768
        assert source.frames == found.shape[1]
    if source.subtype.startswith("PCM"):
        np.testing.assert_array_equal(found, SOUND)
        return
    late = max(range(0, 2048), key=lambda late: np.dot(found[0, late : late + 9000], SOUND[0, :9000]))
    error = found[:, 4000 + late : 12000 + late] - SOUND[:, 4000:12000]
    assert np.square(error).mean() < 0.01 * np.square(SOUND[:, 4000:12000].astype(float)).mean()


def test_an_m4a_has_no_more_and_no_less_than_was_encoded(files):
    with Source(files["aac.m4a"]) as source:
        assert source.frames == pytest.approx(LENGTH, abs=RATE / 1000)  # its clock may tick in milliseconds


def test_stems_of_what_ffmpeg_decodes(files, tmp_path):
    lossless = separate(files["alac.m4a"], 2, atoms=1, max_iter=2).write(tmp_path / "o")
    total = sum(sf.read(stem, dtype="int16")[0].astype(int) for stem in lossless)
    np.testing.assert_array_equal(total, SOUND.T)
    assert sf.info(lossless[0]).subtype == "PCM_16"
    lossy = separate(files["aac.m4a"], 2, atoms=1, max_iter=2).write(tmp_path / "o")
    assert sf.info(lossy[0]).subtype == "PCM_24"
    with Source(lossy[0]) as stem:
        assert stem.tags().text == {"title": "Tune (component-1)"}


def test_folders_are_searched_for_sound_but_not_for_films(files):
    names = {entry.path.rpartition("/")[2] for entry in look(str(files["a.aac"].parent)).inputs}
    assert names == {name for name in KINDS if not name.startswith("film")}


@pytest.mark.parametrize("name", ["aac.m4a", "a.aac", "a.wma", "a.webm", "film.mp4"])
def test_without_pyav_the_extra_and_a_line_that_works_are_named(files, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"it's {name}"
    shutil.copy(files[name], path)
    with pytest.raises(InputError, match="is read with PyAV") as caught:
        Source(path)
    assert "pip install 'nmfsep[av]'" in caught.value.hint
    line = shlex.split(re.search("ffmpeg .*", caught.value.hint)[0])
    if shutil.which("ffmpeg"):
        subprocess.run([*line, "-v", "error"], check=True, stdin=subprocess.DEVNULL)
        with Source(line[-1]) as converted:
            assert converted.subtype == "PCM_24"


def test_a_film_without_sound_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        film = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        container.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(film.encode(None))
    with pytest.raises(InputError, match="is MPEG-4 without sound"):
        Source(tmp_path / "a.mp4")


def test_a_playlist_leads_nowhere(tmp_path, files):
    (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{files['a.aac']}\n")
    (tmp_path / "b.m4a").write_bytes(b"\0\0\0\x1cftyp" + f"\nffconcat version 1.0\nfile {files['a.aac']}\n".encode())
    for name in ("a.m3u8", "b.m4a"):
        with pytest.raises(InputError):
            Source(tmp_path / name)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_mutated_file_is_read_or_refused_in_silence(files, tmp_path_factory, capfd, data):
    file = bytearray(data.draw(st.sampled_from([path.read_bytes() for path in files.values()])))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.one_of(st.integers(0, 199), st.integers(0, len(file) - 4)))
        file[at : at + 4] = data.draw(
            st.sampled_from([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"mdat"])
        )
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(file[: data.draw(st.integers(0, len(file)))] if data.draw(st.booleans()) else file)
    with contextlib.suppress(InputError), Source(path) as source:
        assert source.read().length == source.frames
        source.tags()
    assert capfd.readouterr() == ("", "")
