import contextlib
import errno
import os
import resource

import numpy as np
import pytest

import nmfsep.signal.write as module
from nmfsep.errors import OutputError
from nmfsep.signal.formats import SampleFormat
from nmfsep.signal.publish import Output
from nmfsep.signal.quantise import to_integers
from nmfsep.signal.write import StemWriter

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
            raise RuntimeError("no")
        self.closed, self.refuse = False, len(made) == refuse_close
        made.append(self)

    def write(self, data):
        pass

    def close(self):
        self.closed = True
        if self.refuse:
            raise RuntimeError("no")


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
