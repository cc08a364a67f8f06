"""The one file of a profile: made whole, recognised before it is touched, held by one process.

docs/format/profile.md says what is in it. ``vault_client.device_store`` is the only user.
"""

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from crypto.errors import Conflict, Damaged, Full
from crypto.labels import SUITE

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _sync_folder(folder: Path) -> None:
        """Windows writes the entries of a folder through with its files."""
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_REFUSED: Final = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
}


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
    _sync_folder(folder)
    _sync_folder(folder.parent)


def recognise(folder: Path) -> None:
    """Check the first bytes of the file before SQLite, which repairs and deletes as it opens, touches anything.

    Raises Damaged when there is no profile, or one of another format.
    """
    try:
        with (folder / FILE).open("rb") as file:
            header = file.read(100)
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
def only_process(folder: Path) -> Iterator[None]:
    """Hold the profile's lock, which the system drops if this process dies. Raises Conflict when another has it."""
    with open(folder / LOCK, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as lock:
        try:
            _lock(lock.fileno())
        except (BlockingIOError, PermissionError):
            raise Conflict(
                f"The profile in {folder} is open in another program. Nothing was opened. Close that one and try again."
            ) from None
        yield


@contextmanager
def plainly() -> Iterator[None]:
    """Say in the words of ``crypto.errors`` what SQLite or the system refused."""
    try:
        yield
    except OSError as error:
        raise _full() if error.errno in _NO_ROOM else _unusable(error) from error
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
        raise _unusable(error) from error


def _full() -> Full:
    return Full(
        "The disk is full or refuses to be written. This was not stored; what was stored before is not lost. "
        "Make room and try again."
    )


def _unusable(error: Exception) -> Damaged:
    return Damaged(f"The profile could not be read or written ({error}). Nothing was changed. {REMEDY}")
