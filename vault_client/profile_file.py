"""The one file of a profile: made whole, recognised before it is touched, held by one process.

docs/format/profile.md says what is in it. ``vault_client.device_store`` is the only user.
"""

import errno
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from crypto.errors import Conflict, Damaged, Full, NotPermitted
from crypto.labels import SUITE
from vault_client.durable_folder import sync_folder

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


FILE: Final = "profile.sqlite3"
LOCK: Final = "profile.lock"
APPLICATION_ID: Final = 0x436F6672  # "Cofr"
FORMAT: Final = 1
REMEDY: Final = "Restore the profile from a copy."

_SCHEMA: Final = (
    "CREATE TABLE profile (suite TEXT NOT NULL, key_check BLOB NOT NULL, sealed_key BLOB) STRICT",
    "CREATE TABLE record (tag BLOB NOT NULL PRIMARY KEY, group_tag BLOB NOT NULL, sealed BLOB NOT NULL) STRICT",
    "CREATE INDEX record_by_group ON record (group_tag, tag)",
)
_BESIDE: Final = (f"{FILE}-wal", f"{FILE}-journal")  # SQLite opens them as it finds them
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_REFUSED: Final = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
}
_AGAIN: Final = 0.05  # seconds until a lock that another process has is tried again
_NOT_LET: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


def make_folder(folder: Path) -> None:
    """Make the folder of a profile, which others cannot enter, or take one that is there.

    Raises NotPermitted when others may enter it and it holds something of theirs or ours: closing it would shut them out.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_open = sys.platform != "win32" and stat.S_IMODE(folder.stat().st_mode) & 0o077
    if is_open and any(not each.name.startswith((FILE, LOCK)) for each in folder.iterdir()):
        raise NotPermitted(
            f"{folder} holds other files, and others may enter it. Nothing was made. Name a folder for the profile alone."
        )


def write(folder: Path, key_check: bytes, sealed_key: bytes | None) -> None:
    """Write an empty profile beside its place, then move it there: it exists whole or not at all."""
    unfinished = folder / f"{FILE}.new"
    unfinished.unlink(missing_ok=True)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA fullfsync = ON")
            database.execute("BEGIN")
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute("INSERT INTO profile VALUES (?, ?, ?)", (SUITE, key_check, sealed_key))
            database.execute("COMMIT")
        unfinished.rename(folder / FILE)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(folder)
    sync_folder(folder.parent)


def recognise(folder: Path) -> None:
    """Check the first bytes of the file before SQLite, which repairs and deletes as it opens, touches anything.

    Raises Damaged when there is no profile, or one of another format.
    """
    try:
        with open(folder / FILE, "rb", opener=_opened) as file:
            header = file.read(100)
        for beside in _BESIDE:
            with suppress(FileNotFoundError):
                _check_file((folder / beside).stat(), folder / beside)
    except FileNotFoundError:
        raise Damaged(f"There is no profile in {folder}. Nothing was changed. {REMEDY}") from None
    if header[:16] != b"SQLite format 3\0" or header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise Damaged(f"The file in {folder} is no profile, or is damaged. Nothing was changed. {REMEDY}")
    if header[60:64] != FORMAT.to_bytes(4, "big"):
        raise Damaged(
            f"The profile in {folder} is of another version of Coffre, or is damaged. Nothing was changed. "
            f"Use that version. {REMEDY}"
        )


def connect(folder: Path) -> sqlite3.Connection:
    """Open the file for its one process: every committed write is on disk."""
    folder.chmod(0o700)
    (folder / FILE).chmod(0o600)
    database = sqlite3.connect(folder / FILE, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # With one process the index of the write-ahead log stays in memory, so there is no third file.
        for pragma in (
            "locking_mode = EXCLUSIVE",
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = ON",
        ):
            database.execute(f"PRAGMA {pragma}")
        database.execute("PRAGMA secure_delete = ON")
    except BaseException:
        database.close()
        raise
    return database


def read(database: sqlite3.Connection) -> tuple[bytes, bytes | None]:
    """The key check and the sealed key, once the whole file has been found to be what the format says.

    Raises Damaged. Without the check of the structure, one spoilt byte of an index would make a record vanish.
    """
    if database.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]:
        schema = database.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        profile = database.execute(
            "SELECT key_check, sealed_key FROM profile WHERE suite = ?", (SUITE,)
        ).fetchall()
        if [sql for (sql,) in schema] == list(_SCHEMA) and len(profile) == 1:
            key_check, sealed_key = profile[0]
            return key_check, sealed_key
    raise Damaged(f"The profile is damaged. Nothing in it was changed. {REMEDY}")


@contextmanager
def only_process(folder: Path, patience: float = 0) -> Iterator[None]:
    """Hold the profile's lock, which the system drops if this process dies.

    Raises Conflict when another process has it for longer than ``patience`` seconds.
    """
    with open(folder / LOCK, "ab", opener=_opened) as lock:
        until = time.monotonic() + patience
        while not _is_locked(lock.fileno()):
            if time.monotonic() >= until:
                raise Conflict(
                    f"The profile in {folder} is open in another program. Nothing was opened. Close that one and try again."
                )
            time.sleep(_AGAIN)
        yield


def _is_locked(descriptor: int) -> bool:
    """Whether the lock could be taken."""
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _opened(path: str, flags: int) -> int:
    """Open a file, and nothing else: a pipe in its place would keep us waiting for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)
    try:
        _check_file(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(status: os.stat_result, path: Path | str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a file", str(path))


@contextmanager
def plainly() -> Iterator[None]:
    """Say in the words of ``crypto.errors`` what SQLite or the system refused."""
    try:
        yield
    except OSError as error:
        raise _full() if error.errno in _NO_ROOM else _not_let(error) from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.ProgrammingError):
            raise
        code = getattr(error, "sqlite_errorcode", None)  # text that is not UTF-8 is refused without a code
        if code in _WRITE_REFUSED:
            raise _full() from error
        if code == sqlite3.SQLITE_BUSY:
            raise Conflict(
                "The profile's file is open in another program. Nothing was done. Close that one and try again."
            ) from error
        if code is not None and code & 0xFF in _NOT_LET:
            raise _not_let(error) from error
        raise Damaged(
            f"The profile could not be read or written ({error}). Nothing was changed. {REMEDY}"
        ) from error


def _full() -> Full:
    return Full(
        "The disk is full or refuses to be written. What came last was not stored here; what was stored before is not lost. "
        "Make room and try again."
    )


def _not_let(error: Exception) -> Damaged:
    why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
    return Damaged(
        f"The profile could not be read or written ({why}). Nothing was changed. Check its folder, and who may use it."
    )
