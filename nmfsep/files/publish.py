"""Files that appear under their names complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from .. import system
from ..errors import OutputError

OURS, UNFINISHED = ".nmfsep-", ".part"  # how the names begin and end that files have until they have their own
KEPT = f"-kept{UNFINISHED}"  # the end of those that earlier files have meanwhile
BLOCK = 1 << 20  # bytes read at a time
HINTS = {
    errno.ENOSPC: "make room, or write to another disk",
    errno.EDQUOT: "make room, or write to another disk",
    errno.EIO: "the disk, or the way to it, may be failing",
    errno.EROFS: "write to another folder",
}
_tidied: set[str] = set()  # folders in which this process has taken away what dead runs left


@contextlib.contextmanager
def naming_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError into an OutputError of that path, with the system's words."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0)
        raise OutputError(f"cannot be written: {(error.strerror or str(error)).lower()}", hint, path) from error


class Output:
    """A file being written, without a name where the system allows it, so that a killed run leaves nothing.

    Elsewhere it has a name that begins with a dot, and is locked as long as its run lives: the next run takes away what
    nobody holds. It can be written, and gone back in, like any file of bytes.

    Parameters
    ----------
    path : Path
        Its final name; the folder is made. While the file has no name, another one in this folder may be set.

    Raises
    ------
    OutputError
        The folder cannot be made or written to; from all methods: the system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part: Path | None = None
        self._position = 0
        with naming_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            folder = os.path.abspath(path.parent)
            if folder not in _tidied:
                _tidied.add(folder)
                _remove_what_dead_runs_left(path.parent)
            unnamed = system.open_unnamed(path.parent)
            self.fd = self._open_part() if unnamed is None else unnamed
            system.lock(self.fd)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if self._part is not None:
            with contextlib.suppress(OSError):  # the next run takes it away
                self._part.unlink(missing_ok=True)

    def _open_part(self) -> int:
        while True:
            self._part = self._free_name()
            self.fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | system.O_BINARY, 0o666)
            try:
                system.lock(self.fd)
                if os.fstat(self.fd).st_nlink:  # else another run took it for dead before it was locked
                    return self.fd
            except BaseException:
                self.__exit__()
                raise
            self._close()

    def _free_name(self) -> Path:
        return _hidden(self.path, f"-{os.urandom(8).hex()}{UNFINISHED}")

    def _close(self) -> None:
        if self.fd >= 0:
            system.close(self.fd)
            self.fd = -1

    def write(self, data: bytes) -> int:
        """Write bytes where the last ones ended, or where `seek` went; return how many."""
        count = memoryview(data).nbytes
        with naming_errors(self.path):
            system.write_at(self.fd, data, self._position)
        self._position += count
        return count

    def read(self, count: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        with naming_errors(self.path):
            data = system.read_at(self.fd, count, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte, counted from the beginning, from here or from the end (0, 1, 2); return its place."""
        self._position = offset + (self.size() if whence == 2 else (0, self._position)[whence])
        return self._position

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def blocks(self) -> Iterator[bytes]:
        """Yield all bytes from the beginning on."""
        self.seek(0)
        while block := self.read(BLOCK):
            yield block

    def sha256(self) -> str:
        """Return the hash of what was written, read back."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def size(self) -> int:
        """Return the bytes written."""
        with naming_errors(self.path):
            return os.fstat(self.fd).st_size

    def sync(self) -> None:
        """Bring the bytes to the disk."""
        with naming_errors(self.path):
            os.fsync(self.fd)

    def name(self) -> None:
        """Give the file its final name, in place of whatever had it."""
        with naming_errors(self.path):
            if self._part is None:
                with contextlib.suppress(FileExistsError):
                    # no name in between, so that a killed run leaves no litter
                    system.name_unnamed(self.fd, self.path)
                    return
                part = self._free_name()
                system.name_unnamed(self.fd, part)
                self._part = part
            try:
                os.replace(self._part, self.path)
            except PermissionError:  # Windows renames no open file
                self._close()
                os.replace(self._part, self.path)
            self._part = None


def publish(
    outputs: Sequence[Output],
    note: Output,
    manifest: Output,
    obsolete: Sequence[Path] | Callable[[], Sequence[Path]] = (),
) -> None:
    """Give all files their names, the manifest last; on an error all is as it was before.

    Parameters
    ----------
    outputs : sequence of Output
        Written completely.
    note : Output
        What stands under the manifest's name until all files have theirs: it says that the run is not complete, and
        which files are its own, the old and the new, so that after a kill the next run may replace them.
    manifest : Output
        It lists the outputs, and says that they are complete.
    obsolete : sequence of Path, or a function that returns them
        Files of an earlier run that this one does not write again; removed. A function is called when no other run can
        give names in the folder, and raises an error if what is there now must stay.
    """
    for output in (*outputs, note, manifest):
        output.sync()
    with _locked(manifest.path.parent):
        gone = obsolete() if callable(obsolete) else obsolete
        with _exchange() as exchange:
            for output in (note, *outputs):
                exchange.name(output)
            for path in gone:
                exchange.remove(path)
            exchange.sync()
            exchange.name(manifest)
            exchange.sync()


def publish_one(output: Output) -> None:
    """Give a single file its name, once its bytes are on the disk; on an error all is as it was before."""
    output.sync()
    with _locked(output.path.parent), _exchange() as exchange:
        exchange.name(output)
        exchange.sync()


def pour(blocks: Iterable[bytes], sink: BinaryIO) -> None:
    """Write to a pipe or file, and see to it that what is in a file is on the disk."""
    for block in blocks:
        view = memoryview(block)
        while view:  # an unbuffered stream may take fewer bytes at a time
            view = view[sink.write(view) :]
    sink.flush()
    if stat.S_ISREG(os.fstat(sink.fileno()).st_mode):
        os.fsync(sink.fileno())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one run at a time give names in a folder: of two, the later one's files replace the other's, all of them."""
    with naming_errors(folder):
        fd = system.open_folder(folder)
    if fd is None:
        yield
        return
    try:
        system.lock(fd)
        yield
    finally:
        system.close(fd)


@contextlib.contextmanager
def _exchange() -> Iterator[_Exchange]:
    """Change names all at once: on an error earlier files come back. What would stop the process waits so long."""
    exchange = _Exchange()
    with system.signals_deferred():
        try:
            yield exchange
        except BaseException as error:
            exchange.undo(error)
            raise
        exchange.finish()


class _Exchange:
    """New files in place of earlier ones, which keep a second name until all is done."""

    def __init__(self) -> None:
        self._kept: dict[Path, Path | None] = {}  # by its name, where the earlier file is; None if there was none
        self._named: set[Path] = set()

    def name(self, output: Output) -> None:
        """Give a file its name."""
        self._keep(output.path)
        output.name()
        self._named.add(output.path)

    def remove(self, path: Path) -> None:
        """Take a file away."""
        self._keep(path)
        with naming_errors(path):
            path.unlink(missing_ok=True)

    def sync(self) -> None:
        """Bring all names to the disk."""
        for folder in self._folders():
            with naming_errors(folder):
                system.sync_folder(folder)

    def finish(self) -> None:
        """Take the earlier files away."""
        for aside in filter(None, self._kept.values()):
            with contextlib.suppress(OSError):  # the next run takes it away
                aside.unlink()
        for folder in self._folders():
            _remove_what_dead_runs_left(folder, also_kept=True)

    def undo(self, error: BaseException) -> None:
        """Put the earlier files back; the hint of the error names those that cannot be."""
        lost = []
        for path, aside in reversed(self._kept.items()):  # the manifest, which came first, last
            try:
                if aside is not None:
                    system.put_back(aside, path)
                elif path in self._named:
                    _take_away(path)
            except OSError:
                lost.append(path if aside is None else aside)
        with contextlib.suppress(OutputError):
            self.sync()
        if lost and isinstance(error, OutputError):
            where = ", ".join(sorted(os.fspath(path) for path in lost))
            error.hint = f"earlier files could not all be put back; left are {where}"

    def _keep(self, path: Path) -> None:
        if path in self._kept:
            return
        aside = _hidden(path, KEPT)
        with naming_errors(path):
            try:
                system.set_aside(path, aside)
            except FileExistsError:  # of a run that was killed here
                aside.unlink()
                system.set_aside(path, aside)
            except FileNotFoundError:
                self._kept[path] = None
                return
        self._kept[path] = aside

    def _folders(self) -> list[Path]:
        return list(dict.fromkeys(path.parent for path in self._kept))


def _hidden(path: Path, end: str) -> Path:
    """Return a name in the folder of a file for what is not the file itself; as short for any name that it may have."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.parent / f"{OURS}{digest}{end}"


def _take_away(path: Path) -> None:
    """Remove a file, or let the next run do so."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        os.replace(path, _hidden(path, UNFINISHED))


def _remove_what_dead_runs_left(folder: Path, also_kept: bool = False) -> None:
    """Remove hidden files of ours that no living run holds; earlier files that were set aside only if that is said."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries]:
            if name.startswith(OURS) and name.endswith(UNFINISHED) and (also_kept or not name.endswith(KEPT)):
                with contextlib.suppress(OSError):
                    system.remove_unless_locked(os.path.join(folder, name))


def folder_is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    while (
        not system.exists(folder, follow=False) and folder != folder.parent
    ):  # above a drive that is not there is nothing
        folder = folder.parent
    return system.is_folder(folder) and os.access(folder, os.W_OK | os.X_OK)
