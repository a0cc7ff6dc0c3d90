"""Files that appear under their names complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from ..errors import OutputError

SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


@contextlib.contextmanager
def naming_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError into an OutputError of that path, with the system's words."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot be written: {(error.strerror or str(error)).lower()}", path=path) from error


class Output:
    """A file being written, without a name where the system allows it, so that a killed run leaves nothing.

    Parameters
    ----------
    path : Path
        Its final name; the folder is made.
    role : str, default "file"
        Tells two files apart that will have one name, one after the other.

    Raises
    ------
    OutputError
        The folder cannot be made or written to.
    """

    def __init__(self, path: Path, role: str = "file") -> None:
        self.path = path
        self._part: Path | None = None
        with naming_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                    raise
                self._part = self._part_name(f"{os.getpid()}-{role}")
                self._part.unlink(missing_ok=True)  # of a killed run whose process id has come again
                self.fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def _part_name(self, mark: str) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path.name)).hexdigest()[:16]
        return self.path.parent / f".nmfsep-{digest}-{mark}.part"

    def rename(self, path: Path) -> None:
        """Choose another final name, in the same folder, while the file has none."""
        self.path = path

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with naming_errors(self.path):
            view = memoryview(data)
            while view:
                view = view[os.write(self.fd, view) :]

    def sha256(self) -> str:
        """Return the hash of what was written."""
        with naming_errors(self.path), os.fdopen(os.dup(self.fd), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size(self) -> int:
        """Return the bytes written."""
        return os.fstat(self.fd).st_size

    def sync(self) -> None:
        """Bring the bytes to the disk."""
        with naming_errors(self.path):
            os.fsync(self.fd)

    def name(self) -> None:
        """Give the file its final name, in place of whatever had it."""
        with naming_errors(self.path):
            if self._part is None and not os.path.lexists(self.path):
                # no name in between, so that a killed run leaves no litter
                os.link(f"/proc/self/fd/{self.fd}", self.path, src_dir_fd=self.fd, follow_symlinks=True)
                return
            if self._part is None:
                part = self._part_name("replace")  # always this one, so that the next run takes away what a kill left
                part.unlink(missing_ok=True)
                # linkat follows the link in /proc only if it gets a folder's descriptor, though it needs none
                os.link(f"/proc/self/fd/{self.fd}", part, src_dir_fd=self.fd, follow_symlinks=True)
                self._part = part
            os.replace(self._part, self.path)
            self._part = None


def publish(
    outputs: Sequence[Output],
    note: Output,
    manifest: Output,
    obsolete: Sequence[Path] | Callable[[], Sequence[Path]] = (),
) -> None:
    """Give all files their names, the manifest last; on an error none of the new ones stays.

    Parameters
    ----------
    outputs : sequence of Output
        Written completely.
    note : Output
        What stands under the manifest's name until all files have theirs: it says that the run is not complete, and
        which files are its own, the old and the new, so that after a kill the next run may replace them.
    manifest : Output
        What vouches for them.
    obsolete : sequence of Path, or a function that returns them
        Files of an earlier run that this one does not write again; removed. A function is called when no other run can
        give names in the folder, and raises an error if what is there now must stay.
    """
    for output in (*outputs, note, manifest):
        output.sync()
    with _locked(manifest.path.parent):
        _name_all(outputs, note, manifest, obsolete() if callable(obsolete) else obsolete)


def publish_one(output: Output) -> None:
    """Give a single file its name, once its bytes are on the disk."""
    output.sync()
    with _locked(output.path.parent):
        output.name()
        _sync_folders([output.path])


def _name_all(outputs: Sequence[Output], note: Output, manifest: Output, obsolete: Sequence[Path]) -> None:
    named: list[Output] = []
    held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        fresh = not os.path.lexists(manifest.path)
        note.name()
        for output in outputs:
            replaced = os.path.lexists(output.path)
            output.name()
            named.append(output)
            fresh &= not replaced
        for path in obsolete:
            with naming_errors(path):
                path.unlink(missing_ok=True)
        _sync_folders([output.path for output in outputs])
        manifest.name()
        named.append(manifest)
        _sync_folders([manifest.path])
    except BaseException:
        for output in named:
            output.path.unlink(missing_ok=True)
        if fresh:  # otherwise the note goes on vouching for what is left of the earlier run
            note.path.unlink(missing_ok=True)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one run at a time give names in a folder: of two, the later one's files replace the other's, all of them."""
    with naming_errors(folder):
        fd = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sync_folders(paths: Sequence[Path]) -> None:
    for folder in dict.fromkeys(path.parent for path in paths):
        with naming_errors(folder):
            fd = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def folder_is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
