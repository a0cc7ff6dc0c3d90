import contextlib
import errno
import os
import signal

import numpy as np
import pytest
import soundfile as sf

import nmfsep.files.write as module
from nmfsep.errors import NmfsepError, OutputError
from nmfsep.files.formats import SampleFormat
from nmfsep.files.publish import Output
from nmfsep.files.write import StemWriter, to_integers
from nmfsep.signal.read import read

RATE = 44100
PCM = SampleFormat("wav", "PCM_16")


def write(folder, form, length):
    stems = np.random.default_rng(0).uniform(-0.3, 0.3, (3, 2, length)).astype(np.float32)
    mixture = stems.sum(axis=0)
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(Output(folder / f"{index}.x")) for index in range(3)]
        with StemWriter(outputs, form, RATE, 2, length) as writer:
            for at in range(0, length, 1000):
                piece = mixture[:, at : at + 1000]
                whole = to_integers(piece, form.bits) if form.bits else None
                writer.write(stems[..., at : at + 1000], piece, whole)


@pytest.fixture
def full_disk():
    """Let files grow to 64 KiB only; Python ignores the signal, so that writing fails with EFBIG."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("name", "subtype"), [("wav", "FLOAT"), ("wav", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_16")]
)
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_in_the_systems_words_and_nothing_stays(tmp_path, name, subtype):
    with pytest.raises(OutputError, match=f"^cannot be written: {os.strerror(errno.EFBIG).lower()}$") as caught:
        write(tmp_path, SampleFormat(name, subtype), 60_000)
    assert caught.value.path == str(tmp_path / "0.x")
    assert os.listdir(tmp_path) == []


class Closing:
    """Knows only whether it was closed."""

    def __init__(self, made, refuse_open, refuse_close):
        if len(made) == refuse_open:
            raise OutputError("cannot be written: no")
        self.closed, self.refuse = False, len(made) == refuse_close
        made.append(self)

    def write(self, data):
        pass

    def close(self):
        self.closed = True
        if self.refuse:
            raise OutputError("cannot be written: no")


@pytest.mark.parametrize(
    ("refuse_open", "refuse_close"),
    [
        (2, None),
        (None, 0),
        (None, 2),
    ],
)
def test_all_files_are_closed_whichever_fails(tmp_path, monkeypatch, refuse_open, refuse_close):
    made = []
    monkeypatch.setattr(module, "Encoder", lambda *args, **options: Closing(made, refuse_open, refuse_close))
    with pytest.raises(OutputError, match="cannot be written: no"):
        write(tmp_path, PCM, 3000)
    assert len(made) >= 2
    assert all(file.closed for file in made)


def test_an_error_on_the_way_is_told_rather_than_one_of_closing(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(module, "Encoder", lambda *args, **options: Closing(made, None, 0))
    with pytest.raises(KeyboardInterrupt), Output(tmp_path / "a") as output, StemWriter([output], PCM, RATE, 1, 10):
        raise KeyboardInterrupt
    assert made[0].closed


def told(call):
    """Return the error that a call ends with, if any."""
    try:
        call()
    except NmfsepError as error:
        return error
    return None


def failing_at(monkeypatch, name, when):
    """Let that call of a function of the operating system fail, as a disk does that is full for a moment."""
    real, count = getattr(os, name), 0

    def call(*args):
        nonlocal count
        count += 1
        if count == when:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("wav", "FLOAT"), ("wav", "PCM_16"), ("w64", "PCM_24"), ("flac", "PCM_16"), ("aiff", "PCM_16"), ("ogg", "VORBIS")],
)
def test_no_write_can_fail_unnoticed_the_last_of_a_header_on_closing_no_more_than_the_first(
    tmp_path, monkeypatch, name, subtype
):
    for when in range(1, 1000):
        with monkeypatch.context() as patch:
            failing_at(patch, "pwrite", when)
            error = told(lambda: write(tmp_path, SampleFormat(name, subtype), 500))
        if error is None:
            break
        assert error.message == "cannot be written: input/output error"
    assert when > 6  # three files of a header and samples, at least


@pytest.mark.parametrize("moment", [1, 3, 8])
def test_a_signal_in_the_midst_of_writing_is_not_lost_in_libsndfile(tmp_path, monkeypatch, capfd, moment):
    real, count = os.pwrite, 0

    def interrupted(*args):
        nonlocal count
        count += 1
        if count == moment:
            signal.raise_signal(signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(os, "pwrite", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, PCM, 3000)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""
    assert os.listdir(tmp_path) == []


def test_libsndfile_syncs_nothing_since_what_it_is_told_then_is_lost(tmp_path, monkeypatch):
    synced, library = [], sf._snd

    class Library:
        sf_write_sync = staticmethod(synced.append)

        def __getattr__(self, name):
            return getattr(library, name)

    monkeypatch.setattr(sf, "_snd", Library())
    write(tmp_path, PCM, 1000)
    assert synced == []


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("AIFF", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")],
)
def test_no_read_that_fails_is_taken_for_the_end_of_a_file(tmp_path, monkeypatch, capfd, container, subtype):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (40_000, 2))
    sf.write(tmp_path / "x", noise, RATE, subtype, format=container)
    whole = read(tmp_path / "x").samples
    for when in range(1, 1000):
        with monkeypatch.context() as patch:
            failing_at(patch, "pread", when)
            error = told(lambda: np.testing.assert_array_equal(read(tmp_path / "x").samples, whole))
        if error is None:
            break
        assert (error.message, error.path) == ("cannot be read: input/output error", str(tmp_path / "x"))
    assert when > 3
    assert capfd.readouterr().err == ""
