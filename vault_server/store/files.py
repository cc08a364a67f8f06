"""Files that survive a power cut: written beside their place, synced, moved, and the folder synced."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto.errors import Damaged, Full, NotPermitted, Unavailable

PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
PRIVATE_FOLDER = 0o700


def make_folder(folder: Path) -> None:
    """Make a private folder and its parents, each durable in its own parent."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        sync_folder(each.parent)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep ``folder``, made now if it is new, to this process. Raises NotPermitted when another one has it."""
    make_folder(folder)
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotPermitted(
                "The server was not started: another process is using this data folder. Nothing was changed. "
                "Stop that one first."
            ) from None
        yield


def write_durably(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Write a file whole or not at all, replacing one that is there."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def in_words(consequence: str) -> Iterator[None]:
    """Say what the system refused, and the ``consequence``. Raises Full or Unavailable instead of an OSError."""
    try:
        yield
    except OSError as error:
        kind = Full if error.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable
        where = f"{error.filename}: " if error.filename else ""
        raise kind(f"{where}{error.strerror or error}. {consequence}") from None


def read_whole(path: Path) -> bytes:
    """The content of a small file. Raises Damaged, naming the file, when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"{path} could not be read ({error.strerror}). Nothing was done.") from None
