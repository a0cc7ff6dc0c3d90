"""What systems do differently, tried by taking from this one what others lack."""

from __future__ import annotations

import ctypes
import errno
import ntpath
import os
import signal
from pathlib import Path, PureWindowsPath

import pytest

from nmfsep import system
from nmfsep.errors import OutputError, UsageError
from nmfsep.files import naming
from nmfsep.files.publish import folder_is_writable
from nmfsep.guidance.dictionary import check_labels
from nmfsep.jobs import safety as access
from nmfsep.kernels.threads import Workers

EVIL = ["..\\..\\evil", "\\\\server\\share", "c:\\evil", "c:evil", "a:b", ". .", ".. ", " ", "a/../b", "\0"]
DEVICES = ["con", "NUL", "nul.wav", "Aux.tar.gz", "com1", "LPT9.x", "CON .txt", "conout$", "com²"]


@pytest.fixture
def windows(monkeypatch):
    """Have the module do as on Windows."""
    monkeypatch.setattr(system, "WINDOWS", True)


@pytest.mark.parametrize("on_windows", [False, True])
@pytest.mark.parametrize("name", [*EVIL, *DEVICES])
def test_no_name_leads_out_of_its_folder_on_any_system(monkeypatch, name, on_windows):
    monkeypatch.setattr(system, "WINDOWS", on_windows)
    usable = system.usable_name(name)
    assert ntpath.basename(usable) == usable == os.path.basename(usable)
    assert not {":", "\0"} & set(usable)
    assert usable.rstrip(". ") != ""  # Windows takes dots and blanks off the end
    assert not PureWindowsPath(usable.rstrip(". ")).is_reserved()
    assert system.usable_name(usable) == usable


@pytest.mark.parametrize(
    "name", ["song", "*?[a]", "a\nb", 'it\'s "quoted"', "trail ", "what?", ".hidden", "console", "com10"]
)
def test_other_names_stay(name):
    assert system.usable_name(name) == name


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(
    ("name", "usable"),
    [("what?", "what_"), ('<a>|"b"*', "_a___b__"), ("a\nb", "a_b"), ("song. .", "song___"), ("..song", "..song")],
)
def test_what_windows_refuses_is_replaced_there(name, usable):
    assert system.usable_name(name) == usable


@pytest.mark.parametrize("name", EVIL)
def test_whatever_a_file_is_called_by_stays_in_the_folder(name):
    fields = dict.fromkeys(naming.FIELDS, name)
    for path in (
        naming.expand("{track}/{stem}", fields),
        Path(naming.manifest_name(name)),
        Path(naming.fit_name(name)),
    ):
        parts = PureWindowsPath(path).parts
        assert parts == path.parts
        assert not {"..", ".", ""} & {part.rstrip(". ") for part in parts}


def test_labels_that_would_be_one_file_are_refused():
    with pytest.raises(UsageError, match="would be one file on some systems"):
        check_labels(["a:b", "a_b"])


def test_patterns_are_expanded_where_no_shell_does(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.wav", "c.txt"):
        Path(name).touch()
    given = ["split", "*.wav", "-k", "2", "no*.wav", "--filename", "{stem}.{ext}", "kick=?.wav"]
    assert system.expanded(given) == given
    monkeypatch.setattr(system, "WINDOWS", True)
    assert system.expanded(given) == ["split", "a.wav", "b.wav", *given[2:]]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0xC000013A), (signal.SIGTERM, 143)])
def test_windows_has_a_code_of_its_own_for_control_c(number, code):
    with pytest.raises(SystemExit) as end:
        system.end_by(number)
    assert end.value.code % (1 << 32) == code


@pytest.mark.usefixtures("windows")
def test_windows_tells_its_free_memory(monkeypatch):
    class Kernel:
        kernel32 = None

        @staticmethod
        def GlobalMemoryStatusEx(pointer):
            status = pointer._obj
            assert status.size == ctypes.sizeof(status) == 64
            status.amounts[:2] = [8 << 30, 3 << 30]  # there are, and are free
            return 1

    Kernel.kernel32 = Kernel
    monkeypatch.setattr(ctypes, "windll", Kernel, raising=False)
    monkeypatch.setattr(system, "text_of", lambda path: "")
    assert system.free_memory() == 3 << 30


def test_what_the_kernel_keeps_to_itself_limits_nothing(monkeypatch, tmp_path):
    real = Path.read_text

    def closed(path, *args):
        if str(path).startswith("/sys"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args)

    monkeypatch.setattr(Path, "read_text", closed)
    assert all(isinstance(limit, int) for limit in system.memory_limits())


def test_all_cores_work_where_there_is_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert system.cpu_count() == Workers().threads == 7
    assert Workers(2).threads == 2


def test_above_a_drive_that_is_not_there_is_nothing():
    class Drive(type(Path())):
        """Z: where there is no such drive; its parent is itself."""

        parent = property(lambda self: self)

    assert not folder_is_writable(Drive("gone/"))
    with pytest.raises(OutputError, match="no such file"):
        access.require_space(Drive("gone/"), 1)


def test_a_path_on_another_drive_is_told_whole(monkeypatch):
    def apart(path, folder):
        raise ValueError("path is on mount 'd:', start on mount 'c:'")

    assert system.relative("/a/b", "/a/c") == "../b"
    monkeypatch.setattr(os.path, "relpath", apart)
    assert system.relative("/a/b", "/c") == "/a/b"


@pytest.mark.parametrize("ask", [system.exists, system.is_file, system.is_folder])
def test_a_disk_that_does_not_answer_is_not_taken_for_one_where_nothing_is(ask, tmp_path, monkeypatch):
    assert not ask(tmp_path / "nothing")
    assert not ask("a\0b")
    assert not ask(tmp_path / ("n" * 1000))

    def fail(path, **options):
        raise OSError(errno.EIO, "Input/output error", path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", fail)
        with pytest.raises(OSError, match="Input/output"):
            ask(tmp_path)
