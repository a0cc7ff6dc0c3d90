import contextlib
import errno
import hashlib
import os
import signal
import stat

import pytest

import nmfsep.files.publish as module
from nmfsep import system
from nmfsep.errors import OutputError
from nmfsep.files.publish import Output, folder_is_writable, publish, publish_one

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
    return [*(Output(folder / name) for name in STEMS), Output(manifest), Output(manifest)]


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


def fail_folder_sync(monkeypatch, time, always=False):
    """Let the given call of fsync on a folder fail, or all from there on, as after a disk has gone."""
    real, calls = os.fsync, []

    def fsync(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            calls.append(fd)
            if len(calls) == time or (always and len(calls) > time):
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


def earlier(folder):
    """Return what each file that is not hidden holds."""
    return {name: (folder / name).read_bytes() for name in names(folder)}


CALLS = ["link", "replace", "unlink", "rename"]


@pytest.mark.parametrize("call", [*CALLS, "fsync of a folder"])
@pytest.mark.parametrize("always", [False, True])
def test_a_rerun_that_fails_at_any_change_of_a_name_leaves_all_old_files_or_all_new_ones(
    tmp_path, monkeypatch, way, call, always
):
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # which takes longest of all
    failures = 0
    for when in range(1, 14):
        folder = tmp_path / str(when)
        folder.mkdir()
        fill(folder)
        (folder / "d.wav").write_bytes(b"old")
        opened = begin(folder)
        for output in opened:
            output.write(b"new")
        with monkeypatch.context() as patch:
            if call in CALLS:
                fail(patch, call, when, always)
            else:
                fail_folder_sync(patch, when, always)
            error = None
            try:
                publish(opened[:3], opened[3], opened[4], [folder / "d.wav"])
            except OutputError as caught:
                error = caught
        if error is None:  # the call did not matter, or there are no more of them
            assert earlier(folder) == dict.fromkeys([*STEMS, "track.nmfsep.json"], b"new")
        else:
            assert "input/output error" in error.message
            assert earlier(folder) == dict.fromkeys([*STEMS, "d.wav", "track.nmfsep.json"], b"old")
            failures += 1
        close(opened)
        module._tidied.clear()
        with Output(folder / "x"):
            pass
        assert [name for name in os.listdir(folder) if name.startswith(".") and "kept" not in name] == []
    # in the part way a name is taken by renaming, and a file is removed only where one is not written again
    assert failures > 0 or (call, way) == ("rename", way)


def fail(patch, name, when, always=False):
    """Let a call of the operating system fail, the one of that number or all from there on."""
    real, count = getattr(os, name), 0

    def failing(*args, **options):
        nonlocal count
        count += 1
        if count == when or (always and count > when):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args, **options)

    patch.setattr(os, name, failing)


def test_what_a_dead_run_left_goes_and_what_a_living_one_holds_stays(tmp_path, monkeypatch):
    refuse_unnamed_files(monkeypatch)
    dead, living = Output(tmp_path / "dead.wav"), Output(tmp_path / "living.wav")
    os.close(dead.fd)  # as the system does when a run is killed
    living.write(b"sound")
    assert len(os.listdir(tmp_path)) == 2
    monkeypatch.setattr(module, "_tidied", set())  # as another run
    with Output(tmp_path / "other.wav") as other:
        assert dead._part.name not in os.listdir(tmp_path)
        other.name()
        living.name()
    assert sorted(os.listdir(tmp_path)) == ["living.wav", "other.wav"]
    living.__exit__(None, None, None)


def test_earlier_files_that_a_killed_run_had_set_aside_go_when_the_next_one_has_its_names(outputs, tmp_path):
    fill(tmp_path)
    for name in ("a.wav", "gone.wav"):
        module._hidden(tmp_path / name, module.KEPT).write_bytes(b"older")
    publish(outputs[:3], outputs[3], outputs[4])
    close(outputs)
    assert sorted(os.listdir(tmp_path)) == [*STEMS, "track.nmfsep.json"]


def test_without_proc_a_file_has_a_hidden_name_from_the_beginning(tmp_path, monkeypatch):
    real = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: not str(path).startswith("/proc") and real(path))
    with Output(tmp_path / "a.wav") as output:
        assert len(os.listdir(tmp_path)) == 1
        publish_one(output)
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.fixture
def windows(monkeypatch):
    """Take away what Windows lacks: locks, unnamed files, opening folders, renaming what is open, pread and pwrite."""
    real_open, real_replace, held = os.open, os.replace, []

    def opened(path, flags, *args, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        held.append(real_open(path, flags, *args, **options))
        return held[-1]

    def replace(source, target):
        for fd in held:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(fd), os.stat(source)):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), source)
        real_replace(source, target)

    monkeypatch.setattr(system, "fcntl", None)
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "replace", replace)
    for name in ("O_TMPFILE", "pread", "pwrite", "sync"):
        monkeypatch.delattr(os, name)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("again", [False, True])
def test_files_are_published_with_what_windows_has(tmp_path, again):
    if again:
        fill(tmp_path)
    opened = begin(tmp_path)
    for output in opened:
        output.write(b"n?w\n")
        output.seek(1)
        output.write(b"e")
        assert output.sha256() == hashlib.sha256(b"new\n").hexdigest()
    publish(opened[:3], opened[3], opened[4])
    close(opened)
    assert sorted(os.listdir(tmp_path)) == [*STEMS, "track.nmfsep.json"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"new\n"}


@pytest.mark.parametrize("most", [1, 1000])
def test_a_system_that_takes_fewer_bytes_at_a_time_gets_all_of_them(tmp_path, monkeypatch, most):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:most], offset))
    with Output(tmp_path / "a") as output:
        output.write(bytes(range(256)) * 10)
        assert output.sha256() == hashlib.sha256(bytes(range(256)) * 10).hexdigest()


def test_a_folder_that_is_not_there_is_looked_for_no_further_than_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # as of a drive that is not there
    assert isinstance(folder_is_writable(module.Path("a") / "b"), bool)
