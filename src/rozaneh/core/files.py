"""Files that survive a power cut and that nobody else reads.

A write is whole or absent: temporary file in the same directory, fsync, rename, fsync of the directory. Directories
are 0700 and files 0600 from their first moment, so there is no instant at which another user could open them. One
process owns a directory at a time: an advisory lock on ``D/lock``, which the kernel drops when the process dies.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from pathlib import Path
from types import TracebackType

from rozaneh.core.errors import Fault, FaultKind

LOCK = "lock"
TEMPORARY = ".tmp-"


def state_home() -> Path:
    """Where a reader's state lives unless told otherwise: ``$XDG_STATE_HOME/rozaneh``, or the platform's own place."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    if chosen and os.path.isabs(chosen):  # the specification says relative values are ignored
        return Path(chosen) / "rozaneh"
    if sys.platform == "win32":  # pragma: no cover - not reached on the platforms tests run on
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "rozaneh"
    return Path.home() / ".local" / "state" / "rozaneh"


def private_dir(path: Path) -> Path:
    """Make ``path`` (and missing parents) a directory of ours alone, mode 0700.

    Raises:
        Fault: PERMISSION when it is not ours, is open to others and cannot be closed, or cannot be made; CONFIG when
        it is no
            directory.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            sync_dir(path.parent)
        info = path.stat()
        if not stat.S_ISDIR(info.st_mode):
            raise Fault(FaultKind.CONFIG, f"`{path}` is not a directory")
        if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
            raise Fault(FaultKind.PERMISSION, f"`{path}` belongs to another user")
        if os.name == "posix" and info.st_mode & 0o077:
            if any(path.iterdir()):
                raise Fault(
                    FaultKind.PERMISSION,
                    f"`{path}` is open to other users",
                    hint=f"close it with `chmod 700 {path}` if its content is yours alone",
                )
            path.chmod(0o700)
    except OSError as error:
        raise Fault(FaultKind.PERMISSION, f"Could not prepare `{path}`", why=reason(error)) from error
    return path


def sync_dir(path: Path) -> None:
    """Make names in a directory durable (a no-op where directories cannot be opened)."""
    if os.name != "posix":  # pragma: no cover - Windows keeps names by itself
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_private(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put ``content`` at ``path`` atomically and durably, mode 0600.

    Args:
        path: where; its directory must exist.
        content: the whole content.
        replace: False = refuse when something is there already (also against a race).

    Raises:
        Fault: PERMISSION when it cannot be written; CONFIG when ``replace`` is False and the file exists.
    """
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        fd = os.open(temporary, flags, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            if replace:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        sync_dir(path.parent)
    except FileExistsError as error:
        raise Fault(FaultKind.CONFIG, f"`{path}` exists already") from error
    except OSError as error:
        raise Fault(FaultKind.PERMISSION, f"Could not write `{path}`", why=reason(error)) from error


def read_private(path: Path, limit: int) -> bytes:
    """Read a file that must be ours alone and no larger than ``limit``.

    Raises:
        FileNotFoundError: there is none.
        Fault: PERMISSION when others can read it or it is not ours; CONFIG when it is too large or no regular file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Fault(FaultKind.PERMISSION, f"Could not read `{path}`", why=reason(error)) from error
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise Fault(FaultKind.CONFIG, f"`{path}` is not a regular file")
        if os.name == "posix" and (info.st_mode & 0o077 or info.st_uid not in (os.geteuid(), 0)):
            raise Fault(
                FaultKind.PERMISSION, f"`{path}` can be read by other users", hint=f"close it with `chmod 600 {path}`"
            )
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Fault(FaultKind.CONFIG, f"`{path}` is larger than {limit} bytes")
    return content


def sweep(path: Path) -> None:
    """Remove temporary files a killed process left; call it while holding the directory's lock."""
    for leftover in path.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def reason(error: OSError) -> str:
    """An OSError as one short phrase without a path."""
    return (error.strerror or type(error).__name__).lower()


class DirectoryLock:
    """The right to be the one process that works in a directory; gone when the process is gone."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK
        self._fd: int | None = None

    def take(self) -> DirectoryLock:
        """Take the lock, at once or not at all.

        Raises:
            Fault: BUSY when another process has it; PERMISSION when the file cannot be opened.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise Fault(FaultKind.PERMISSION, f"Could not open `{self._path}`", why=reason(error)) from error
        try:
            _lock(fd)
        except OSError as error:
            os.close(fd)
            raise Fault(FaultKind.BUSY, f"`{self._path.parent}` is in use by another process of ours") from error
        self._fd = fd
        return self

    def release(self) -> None:
        """Give the lock back; doing it twice is fine.

        The file stays: removing it would let two processes hold "the" lock.
        """
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> DirectoryLock:
        return self if self._fd is not None else self.take()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_locked(directory: Path) -> bool:
    """Whether a process of ours works in ``directory`` right now."""
    if not (directory / LOCK).exists():
        return False
    probe = DirectoryLock(directory)
    try:
        probe.take()
    except Fault as fault:
        if fault.kind is FaultKind.BUSY:
            return True
        raise
    probe.release()
    return False


def _lock(fd: int) -> None:
    if sys.platform == "win32":  # pragma: no cover - not reached on the platforms tests run on
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
