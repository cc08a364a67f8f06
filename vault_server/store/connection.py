"""One connection to an SQLite database: what COMMIT has returned from survives a power cut."""

import sqlite3
from pathlib import Path

import aiosqlite

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000")


async def connect(path: Path) -> aiosqlite.Connection:
    """Open the database at ``path``, made now if it is new. Raises sqlite3.DatabaseError when it is none."""
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        for pragma in PRAGMAS:
            await connection.execute_fetchall(f"PRAGMA {pragma}")
    except sqlite3.Error:
        await connection.close()  # left open it would keep its thread, and with it the process
        raise
    return connection
