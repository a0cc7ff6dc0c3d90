import errno
import hashlib
import os
import signal
import stat

import pytest

import nmfsep.signal.publish as module
from nmfsep.errors import OutputError
from nmfsep.signal.publish import Output, folder_is_writable, publish

STEMS = ("a.wav", "b.wav", "c.wav")


def refuse_unnamed_files(monkeypatch, code=errno.EOPNOTSUPP):
    """Behave like a file system without O_TMPFILE, as NFS and FAT are."""
    real = os.open

    def opened(path, flags, *args, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", opened)


@pytest.fixture(params=["unnamed", "part"])
def way(request, monkeypatch):
    if request.param == "part":
        refuse_unnamed_files(monkeypatch)
    return request.param


@pytest.fixture
def outputs(tmp_path, way):
    opened = begin(tmp_path)
    for output in opened:
        output.write(b"new " + output.path.name.encode())
    yield opened
    for output in opened:
        output.__exit__(None, None, None)


def begin(folder):
    """Open the stems, the note that stands in for the manifest, and the manifest."""
    manifest = folder / "track.nmfsep.json"
    return [*(Output(folder / name) for name in STEMS), Output(manifest, "note"), Output(manifest)]


def fill(folder):
    for name in (*STEMS, "track.nmfsep.json"):
        (folder / name).write_bytes(b"old")


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".nmfsep-"))


def close(outputs):
    for output in outputs:
        output.__exit__(None, None, None)
    outputs.clear()


def test_nothing_has_a_final_name_before_publishing(outputs, tmp_path, way):
    assert names(tmp_path) == []
    if way == "unnamed":
        assert list(tmp_path.iterdir()) == []


def test_published_files_are_complete_and_leave_no_litter(outputs, tmp_path):
    publish(outputs[:3], outputs[3], outputs[4])
    close(outputs)
    assert sorted(os.listdir(tmp_path)) == [*STEMS, "track.nmfsep.json"]
    assert (tmp_path / "b.wav").read_bytes() == b"new b.wav"


def test_unpublished_files_leave_nothing(outputs, tmp_path):
    close(outputs)
    assert os.listdir(tmp_path) == []


def test_existing_files_are_replaced(tmp_path, way):
    fill(tmp_path)
    opened = begin(tmp_path)
    for output in opened:
        output.write(b"new")
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    publish(opened[:3], opened[3], opened[4])
    close(opened)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"new"}
    assert names(tmp_path) == [*STEMS, "track.nmfsep.json"]


def test_a_note_takes_the_place_of_the_old_manifest_until_all_files_have_their_names(outputs, tmp_path, monkeypatch):
    fill(tmp_path)
    order, real = [], Output.name
    outputs[3].write(b" (note)")

    def recording(self):
        order.append((self.path.name, (tmp_path / "track.nmfsep.json").read_bytes()[-4:]))
        real(self)

    monkeypatch.setattr(Output, "name", recording)
    publish(outputs[:3], outputs[3], outputs[4])
    manifest = "track.nmfsep.json"
    assert order == [(manifest, b"old"), *((name, b"ote)") for name in STEMS), (manifest, b"ote)")]


@pytest.mark.parametrize("failing", [0, 1, 2, 3, 4])
def test_none_of_the_new_files_stays_if_one_cannot_be_named(outputs, tmp_path, monkeypatch, failing):
    real, victim = Output.name, outputs[failing]

    def name(self):
        if self is victim:
            raise OutputError("cannot be written: no space left on device", path=self.path)
        real(self)

    monkeypatch.setattr(Output, "name", name)
    with pytest.raises(OutputError, match="no space left"):
        publish(outputs[:3], outputs[3], outputs[4])
    close(outputs)
    assert os.listdir(tmp_path) == []


def test_all_old_files_are_there_again_when_naming_fails(tmp_path, way):
    fill(tmp_path)
    (tmp_path / "b.wav").unlink()
    (tmp_path / "b.wav").mkdir()  # what no file can replace
    opened = begin(tmp_path)
    with pytest.raises(OutputError, match=r"cannot be written: (is a directory|operation not permitted)"):
        publish(opened[:3], opened[3], opened[4])
    close(opened)
    assert names(tmp_path) == sorted(os.listdir(tmp_path)) == [*STEMS, "track.nmfsep.json"]
    assert {path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == {b"old"}


def fail_folder_sync(monkeypatch, time):
    """Let the given call of fsync on a folder fail, as after a disk has gone."""
    real, calls = os.fsync, []

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            calls.append(fd)
            if len(calls) == time:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize(
    "time",
    [1, 2],
)
def test_none_of_the_new_files_stays_if_the_folder_cannot_be_synced(outputs, tmp_path, monkeypatch, time):
    fail_folder_sync(monkeypatch, time)
    with pytest.raises(OutputError, match=r"input/output error"):
        publish(outputs[:3], outputs[3], outputs[4])
    close(outputs)
    assert os.listdir(tmp_path) == []


def test_nothing_is_named_before_all_is_on_the_disk(outputs, tmp_path, monkeypatch):
    fill(tmp_path)

    def fsync(fd):
        if fd == outputs[4].fd:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="no space left on device"):
        publish(outputs[:3], outputs[3], outputs[4])
    close(outputs)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"old"}


def test_files_of_an_earlier_run_that_are_not_written_again_go(outputs, tmp_path):
    (tmp_path / "d.wav").write_bytes(b"old")
    publish(outputs[:3], outputs[3], outputs[4], [tmp_path / "d.wav", tmp_path / "gone-already.wav"])
    assert names(tmp_path) == [*STEMS, "track.nmfsep.json"]


def test_signals_wait_until_all_files_have_their_names(outputs, tmp_path, monkeypatch):
    real = Output.name

    def name(self):
        real(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Output, "name", name)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            publish(outputs[:3], outputs[3], outputs[4])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    close(outputs)
    assert sorted(os.listdir(tmp_path)) == [*STEMS, "track.nmfsep.json"]
    assert (tmp_path / "track.nmfsep.json").read_bytes() == b"new track.nmfsep.json"


def test_hash_and_size_are_those_of_the_bytes(tmp_path, way):
    with Output(tmp_path / "a") as output:
        output.write(b"x" * 100_000)
        output.write(b"y")
        assert output.size() == 100_001
        assert output.sha256() == hashlib.sha256(b"x" * 100_000 + b"y").hexdigest()


def test_folders_are_made(tmp_path, way):
    with Output(tmp_path / "p" / "q" / "a") as output:
        output.name()
    assert (tmp_path / "p" / "q" / "a").is_file()


def test_published_files_have_the_permissions_of_any_new_file(tmp_path, way):
    with Output(tmp_path / "a") as output:
        output.name()
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("name", [b"caf\xe9 \xff.wav", "ü\n.wav".encode(), b"-rf", b"a" * 255])
def test_any_name_that_a_file_can_have_is_published(tmp_path, way, name):
    path = tmp_path / os.fsdecode(name)
    with Output(path) as output:
        output.name()
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_what_a_killed_run_left_is_no_obstacle(tmp_path, monkeypatch):
    refuse_unnamed_files(monkeypatch)
    killed = Output(tmp_path / "a.wav")
    with Output(tmp_path / "a.wav") as again:
        again.write(b"new")
        again.name()
    os.close(killed.fd)
    assert (tmp_path / "a.wav").read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_to_is_told_in_the_systems_words(tmp_path, monkeypatch, code):
    def refused(*args, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(OutputError, match=f"^cannot be written: {os.strerror(code).lower()}") as caught:
        Output(tmp_path / "a.wav")
    assert caught.value.path == str(tmp_path / "a.wav")


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "f").touch()
    with pytest.raises(OutputError, match=r"cannot be written: (file exists|not a directory)"):
        Output(tmp_path / "f" / "a.wav")


def test_a_folder_is_writable_if_the_nearest_existing_one_is(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert folder_is_writable(tmp_path)
    assert folder_is_writable(tmp_path / "a" / "b")
    assert not folder_is_writable(tmp_path / "file" / "b")
    assert not folder_is_writable(tmp_path / "dangling" / "b")
    monkeypatch.chdir(tmp_path)
    assert folder_is_writable(module.Path("separated") / "song")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    assert not folder_is_writable(tmp_path / "a")
