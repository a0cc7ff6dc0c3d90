"""Files that appear under their names complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
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

    Raises
    ------
    OutputError
        The folder cannot be made or written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part: Path | None = None
        with naming_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
            except (AttributeError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
                    raise
                self._part = self._part_name()
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

    def _part_name(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.path.name)).hexdigest()[:16]
        return self.path.parent / f".nmfsep-{digest}-{os.getpid()}.part"

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
            if self._part is None:
                part = self._part_name()
                part.unlink(missing_ok=True)
                # linkat follows the link in /proc only if it gets a folder's descriptor, though it needs none
                os.link(f"/proc/self/fd/{self.fd}", part, src_dir_fd=self.fd, follow_symlinks=True)
                self._part = part
            os.replace(self._part, self.path)
            self._part = None


def publish(outputs: Sequence[Output], manifest: Output, obsolete: Sequence[Path] = ()) -> None:
    """Give all files their names, the manifest last; on an error none of the new ones stays.

    Parameters
    ----------
    outputs : sequence of Output
        Written completely.
    manifest : Output
        What vouches for them. The old one goes first, so that a mixture of old and new is never vouched for.
    obsolete : sequence of Path
        Files of an earlier run that this one does not write again; removed.
    """
    for output in (*outputs, manifest):
        output.sync()
    named: list[Output] = []
    held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with naming_errors(manifest.path):
            manifest.path.unlink(missing_ok=True)
        for output in outputs:
            output.name()
            named.append(output)
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
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


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
