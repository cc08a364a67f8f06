"""One connection to an SQLite database: what ``commit`` has returned from survives a power cut.

A statement is run where it is asked: it takes some microseconds, and to hand it to another thread and back takes ten
times as long (docs/decisions/0015). COMMIT waits for the disk, and so it alone has a thread.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PATIENCE = "busy_timeout = 5000"
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", PATIENCE, "secure_delete = ON")


class Connection:
    """An open connection. It is used by one event loop, and by nobody while it commits."""

    def __init__(self, path: Path) -> None:
        """Open the database at ``path``, made now if it is new. Raises sqlite3.DatabaseError when it is none."""
        self._sqlite = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._committing = ThreadPoolExecutor(1, "commit")
        try:
            for pragma in PRAGMAS:
                self.all(f"PRAGMA {pragma}")
        except sqlite3.Error:
            self.close()
            raise

    def all(self, sql: str, *values: object) -> list[Any]:
        """Every row, or none for a statement that returns nothing."""
        return self._sqlite.execute(sql, values).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """One statement for each of ``rows``."""
        self._sqlite.executemany(sql, rows)

    def script(self, sql: str) -> None:
        """Several statements, of which none returns anything."""
        self._sqlite.executescript(sql)

    async def commit(self) -> None:
        """End the transaction; what it wrote is durable once this returns."""
        await asyncio.get_running_loop().run_in_executor(self._committing, self.all, "COMMIT")

    async def empty_wal(self) -> bool:
        """Move all that was committed into the database and cut the write-ahead log, which still holds what was destroyed.

        False while another process reads: then it is to be asked again.
        """
        return await asyncio.get_running_loop().run_in_executor(self._committing, self._emptied)

    def _emptied(self) -> bool:
        # Nobody waits for a reader here: a backup can read for minutes.
        self.all("PRAGMA busy_timeout = 0")
        try:
            ((busy, _, _),) = self.all("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.all(f"PRAGMA {PATIENCE}")
        return not busy

    def close(self) -> None:
        """Close the connection, after a COMMIT that is under way."""
        self._committing.shutdown()
        self._sqlite.close()
